//! What stands for a service: in the graph, in the summary of a trace, in the selectors of a filter.

use super::callee::Callee;
use super::row::{Call, Row};
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// Longest name of a segment, in characters, as the X-Ray developer guide gives it ("X-Ray segment documents").
const NAME_MAX_CHARS: usize = 200;

/// A name as X-Ray keeps it.
pub(super) fn cut(name: &str) -> &str {
    // Characters are never more than bytes.
    if name.len() <= NAME_MAX_CHARS {
        return name;
    }
    name.char_indices().nth(NAME_MAX_CHARS).map_or(name, |(end, _)| &name[..end])
}

/// A node. Two with one name and different types are two nodes: X-Ray shows a Lambda function as the service that runs
/// it, `AWS::Lambda`, and the function itself, `AWS::Lambda::Function`.
///
/// Written as the `ServiceId` of X-Ray's API: `Name`, `Names`, `AccountId`, `Type`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Of the service, or of what a call leads to.
    pub name: String,
    /// `AWS::EC2::Instance`, `remote`, `client`. None for a segment without origin.
    pub r#type: Option<String>,
    /// Account it runs in, where that is known.
    pub account_id: Option<String>,
}

impl NodeId {
    /// Type of the node that stands for whoever called the root.
    pub const CLIENT: &'static str = "client";

    /// The node of a segment: its name and origin.
    pub fn of_segment(name: &str, origin: Option<&str>, account_id: Option<&str>) -> Self {
        Self {
            name: cut(name).to_owned(),
            r#type: origin.map(str::to_owned),
            account_id: account_id.map(str::to_owned),
        }
    }

    /// The node of a segment, from its row. Needs the columns `NAME` and `ACCOUNT`.
    pub fn of_row(row: &Row<'_>) -> Self {
        Self::of_segment(row.name, row.origin, row.account_id)
    }

    /// The node that a call leads to when no segment answers it.
    pub fn of_call(call: &Call<'_>) -> Self {
        Self { name: cut(call.callee()).to_owned(), r#type: Some(call.r#type.to_string()), account_id: None }
    }

    /// The node that stands for whoever called this one: X-Ray gives it the name of the service it calls.
    #[must_use]
    pub fn client(&self) -> Self {
        Self { r#type: Some(Self::CLIENT.to_owned()), ..self.clone() }
    }
}

impl From<Callee> for NodeId {
    fn from(callee: Callee) -> Self {
        Self { name: cut(&callee.name).to_owned(), r#type: Some(callee.r#type), account_id: None }
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = serializer.serialize_struct("ServiceId", 4)?;
        written.serialize_field("Name", &self.name)?;
        written.serialize_field("Names", &[&self.name])?;
        written.serialize_field("AccountId", &self.account_id)?;
        written.serialize_field("Type", &self.r#type)?;
        written.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_written_as_x_rays_service_id() {
        let node = NodeId::of_segment("api", None, Some("123456789012"));
        let written = json!({ "Name": "api", "Names": ["api"], "AccountId": "123456789012", "Type": null });
        assert_eq!(serde_json::to_value(&node).unwrap(), written);
        assert_eq!(serde_json::to_value(node.client()).unwrap()["Type"], "client");
    }

    #[test]
    fn a_call_leads_to_the_same_node_from_its_document_and_from_its_row() {
        let aws = json!({ "operation": "GetItem", "table_name": "users" });
        let fields = json!({ "id": "000000000000000a", "name": "DynamoDB", "namespace": "aws", "aws": aws });
        let from_document = NodeId::from(Callee::of(fields.as_object().unwrap()).unwrap());
        let call = json!({ "id": "000000000000000a", "name": "DynamoDB", "type": "AWS::DynamoDB::Table",
                           "resource": "users", "start": 1 })
        .to_string();
        assert_eq!(NodeId::of_call(&serde_json::from_str(&call).unwrap()), from_document);
    }

    #[test]
    fn a_name_is_cut_where_x_ray_cuts_it() {
        let (long, short) = ("é".repeat(300), "é".repeat(200));
        assert_eq!(NodeId::of_segment(&long, None, None).name, short);
        for changes in [
            json!({ "namespace": "remote" }),
            json!({ "namespace": "aws" }),
            json!({ "name": "DynamoDB", "namespace": "aws", "aws": { "operation": "Get", "table_name": long } }),
        ] {
            let mut document = json!({ "id": "000000000000000a", "trace_id": "1-581cf771-a006649127e371903a2de979",
                "parent_id": "0000000000000001", "type": "subsegment", "name": long, "start_time": 1, "end_time": 2 });
            document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            let from_document = NodeId::from(Callee::of(document.as_object().unwrap()).unwrap());
            assert_eq!(from_document.name, short, "{changes}");
            let (record, _) = Record::read(document.to_string().as_bytes(), 1, 0.0).unwrap();
            let call = record.row().calls().remove(0);
            assert_eq!(NodeId::of_call(&call), from_document);
            let uncut = Call { name: long.as_str().into(), resource: None, ..call };
            assert_eq!(NodeId::of_call(&uncut).name, short);
        }
    }
}
