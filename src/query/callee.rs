//! What a subsegment calls: the node a call leads to when no segment answers it.

use super::json::{object, text};
use super::node::cut;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The node a call leads to when no segment answers it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Callee {
    /// The resource's name, else the subsegment's.
    pub name: String,
    /// `remote`, `AWS::DynamoDB::Table`, `Database::SQL` and so on.
    pub r#type: String,
}

/// `namespace` of a call of an AWS service.
pub(super) const AWS_NAMESPACE: &str = "aws";

impl Callee {
    /// What a subsegment calls; none when it is work inside of the service. The rules are those of X-Ray's recorded
    /// answers: a known service with a known resource is named by the resource.
    pub fn of(fields: &Map<String, Value>) -> Option<Self> {
        let aws = object(fields, "aws");
        let clues = Clues {
            name: cut(text(fields, "name").unwrap_or_default()),
            namespace: text(fields, "namespace"),
            sql: fields.contains_key("sql"),
            operation: aws.is_some_and(|aws| aws.contains_key("operation")),
        };
        let (resource, r#type) = clues.callee(|key| text(aws?, key))?;
        let name = resource.map_or(clues.name, cut).to_owned();
        Some(Self { name, r#type: r#type.into_owned() })
    }
}

/// What tells the callee of a subsegment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clues<'a> {
    /// `name`
    pub(super) name: &'a str,
    /// `namespace`
    pub(super) namespace: Option<&'a str>,
    /// There is a field `sql`.
    pub(super) sql: bool,
    /// There is a field `aws.operation`.
    pub(super) operation: bool,
}

impl Clues<'_> {
    /// Name, where it is not the subsegment's, and type of the callee. `field` gives a text of the `aws` block.
    pub(super) fn callee<T>(
        self,
        field: impl FnOnce(&'static str) -> Option<T>,
    ) -> Option<(Option<T>, Cow<'static, str>)> {
        if self.namespace == Some(AWS_NAMESPACE) {
            return Some(self.callee_in_cloud(field));
        }
        if self.sql {
            return Some((None, Cow::Borrowed("Database::SQL")));
        }
        (self.namespace == Some("remote")).then_some((None, Cow::Borrowed("remote")))
    }

    fn callee_in_cloud<T>(
        self,
        field: impl FnOnce(&'static str) -> Option<T>,
    ) -> (Option<T>, Cow<'static, str>) {
        let known = AwsService::named(self.name);
        let with_operation = known.filter(|_| self.operation);
        let resource = with_operation.and_then(|service| field(service.resource_key));
        let r#type = match (known, &resource) {
            (Some(service), Some(_)) => Cow::Borrowed(service.resource_type),
            (Some(service), None) => Cow::Owned(format!("AWS::{}", service.name)),
            (None, _) => Cow::Owned(format!("AWS::{}", self.name)),
        };
        (resource, r#type)
    }
}

/// Whether a subsegment is a call of an AWS service.
pub fn is_aws(fields: &Map<String, Value>) -> bool {
    text(fields, "namespace") == Some(AWS_NAMESPACE)
}

/// A service whose resources are nodes.
#[derive(Debug, Clone, Copy)]
pub struct AwsService {
    /// As X-Ray writes it.
    pub name: &'static str,
    /// Key in a subsegment's `aws` block.
    pub resource_key: &'static str,
    /// Type of the node.
    pub resource_type: &'static str,
}

/// As recorded of X-Ray.
pub(super) const AWS_SERVICES: [AwsService; 5] = [
    AwsService { name: "DynamoDB", resource_key: "table_name", resource_type: "AWS::DynamoDB::Table" },
    AwsService { name: "S3", resource_key: "bucket_name", resource_type: "AWS::S3::Bucket" },
    AwsService { name: "SQS", resource_key: "queue_url", resource_type: "AWS::SQS::Queue" },
    AwsService { name: "SNS", resource_key: "topic_arn", resource_type: "AWS::SNS" },
    AwsService { name: "Lambda", resource_key: "function_name", resource_type: "AWS::Lambda" },
];

impl AwsService {
    /// By the name SDKs give the subsegment: `DynamoDB`, `dynamodb`.
    pub fn named(name: &str) -> Option<Self> {
        AWS_SERVICES.into_iter().find(|service| service.name.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn callee(subsegment: &Value) -> (String, String) {
        let callee = Callee::of(subsegment.as_object().unwrap()).unwrap();
        (callee.name, callee.r#type)
    }

    #[test]
    fn a_resource_names_the_node_when_the_operation_is_known() {
        let aws = |name: &str, aws: Value| callee(&json!({ "name": name, "namespace": "aws", "aws": aws }));
        let pair = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
        let table = json!({ "operation": "GetItem", "table_name": "users" });
        assert_eq!(aws("dynamodb", table), pair("users", "AWS::DynamoDB::Table"));
        assert_eq!(aws("DynamoDB", json!({ "table_name": "users" })), pair("DynamoDB", "AWS::DynamoDB"));
        assert_eq!(aws("s3", json!({})), pair("s3", "AWS::S3"));
        let queue = json!({ "operation": "SendMessage", "queue_url": "https://q" });
        assert_eq!(aws("SQS", queue), pair("https://q", "AWS::SQS::Queue"));
        let odd = json!({ "operation": "Do", "table_name": "users" });
        assert_eq!(aws("Odd", odd), pair("Odd", "AWS::Odd"));
        assert_eq!(callee(&json!({ "name": "db@h", "sql": {} })), pair("db@h", "Database::SQL"));
        assert_eq!(callee(&json!({ "name": "h", "namespace": "remote" })), pair("h", "remote"));
        assert_eq!(Callee::of(json!({ "name": "h", "namespace": "local" }).as_object().unwrap()), None);
    }
}
