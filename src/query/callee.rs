//! What a subsegment calls: the node a call leads to when no segment answers it.

use super::json::{object, text};
use serde_json::{Map, Value};

/// The node a call leads to when no segment answers it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Callee {
    /// The resource's name, else the subsegment's.
    pub name: String,
    /// `remote`, `AWS::DynamoDB::Table`, `Database::SQL` and so on.
    pub r#type: String,
}

impl Callee {
    /// What a subsegment calls; none when it is work inside of the service. The rules are those of X-Ray's recorded
    /// answers: a known service with a known resource is named by the resource.
    pub fn of(fields: &Map<String, Value>) -> Option<Self> {
        let name = text(fields, "name").unwrap_or_default().to_owned();
        if is_aws(fields) {
            return Some(Self::of_aws(name, object(fields, "aws")));
        }
        if fields.contains_key("sql") {
            return Some(Self { name, r#type: "Database::SQL".to_owned() });
        }
        let remote = text(fields, "namespace") == Some("remote");
        remote.then(|| Self { name, r#type: "remote".to_owned() })
    }

    fn of_aws(name: String, aws: Option<&Map<String, Value>>) -> Self {
        let operation = aws.is_some_and(|aws| aws.contains_key("operation"));
        let known = AwsService::named(&name).filter(|_| operation);
        let resource = known.and_then(|service| text(aws?, service.resource_key));
        if let (Some(service), Some(resource)) = (known, resource) {
            Self { name: resource.to_owned(), r#type: service.resource_type.to_owned() }
        } else {
            let service = AwsService::named(&name).map_or(name.as_str(), |service| service.name);
            Self { r#type: format!("AWS::{service}"), name }
        }
    }
}

/// Whether a subsegment is a call of an AWS service.
pub fn is_aws(fields: &Map<String, Value>) -> bool {
    text(fields, "namespace") == Some("aws")
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
const AWS_SERVICES: [AwsService; 5] = [
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
