//! How X-Ray refuses a request: a code a client tells errors apart by, and a message for a person.

use serde_json::{Value, json};

/// Why an operation was not done, as X-Ray says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of error it is.
    pub code: Code,
    /// For a person.
    pub message: String,
    /// `ResourceName` of `ResourceNotFoundException` and `TooManyTagsException`.
    pub resource: Option<String>,
}

/// The error shapes of the service's model, and those of its front end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are X-Ray's, and say it")]
pub enum Code {
    InvalidRequest,
    RuleLimitExceeded,
    ResourceNotFound,
    TooManyTags,
    MalformedPolicyDocument,
    LockoutPrevention,
    InvalidPolicyRevisionId,
    PolicySizeLimitExceeded,
    PolicyCountLimitExceeded,
    /// A constraint of the model is not met: a member is missing, too long, out of range.
    Validation,
    /// A member has another JSON type than the model says, or the body is no JSON.
    Serialization,
    /// Too much is asked at once.
    Throttled,
    /// The service failed. X-Ray answers some odd requests so, without a word why.
    InternalFailure,
}

impl Code {
    /// The exception's name on the wire (`x-amzn-errortype`, `__type`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "InvalidRequestException",
            Self::RuleLimitExceeded => "RuleLimitExceededException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::TooManyTags => "TooManyTagsException",
            Self::MalformedPolicyDocument => "MalformedPolicyDocumentException",
            Self::LockoutPrevention => "LockoutPreventionException",
            Self::InvalidPolicyRevisionId => "InvalidPolicyRevisionIdException",
            Self::PolicySizeLimitExceeded => "PolicySizeLimitExceededException",
            Self::PolicyCountLimitExceeded => "PolicyCountLimitExceededException",
            Self::Validation => "ValidationException",
            Self::Serialization => "SerializationException",
            Self::Throttled => "ThrottledException",
            Self::InternalFailure => "InternalFailure",
        }
    }

    /// HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::ResourceNotFound => 404,
            Self::Throttled => 429,
            Self::InternalFailure => 500,
            _ => 400,
        }
    }
}

impl Refusal {
    /// An error with a message and nothing else.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), resource: None }
    }

    /// `InvalidRequestException`, the usual one.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    /// `SerializationException`: not the JSON the model says.
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new(Code::Serialization, message)
    }

    /// `InternalFailure`: no fault of the request. X-Ray says nothing with it.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::InternalFailure, message)
    }

    /// 404 for a resource with this ARN.
    pub fn not_found(arn: &str) -> Self {
        Self {
            code: Code::ResourceNotFound,
            message: format!("Resource {arn} not found"),
            resource: Some(arn.to_owned()),
        }
    }

    /// The answer's body. The front end's errors have their message under a small letter (recorded answers).
    pub fn body(&self) -> Value {
        let message = Some(self.message.as_str()).filter(|message| !message.is_empty());
        let mut body = match self.code {
            Code::Validation | Code::Serialization | Code::InternalFailure => json!({ "message": message }),
            _ => json!({ "Message": message }),
        };
        if let Some(resource) = &self.resource {
            body["ResourceName"] = resource.as_str().into();
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_those_of_the_service() {
        for (refusal, body) in [
            (Refusal::invalid("no"), json!({"Message": "no"})),
            (Refusal::not_found("arn"), json!({"Message": "Resource arn not found", "ResourceName": "arn"})),
            (Refusal::new(Code::Validation, "no"), json!({"message": "no"})),
            (Refusal::internal(""), json!({"message": null})),
        ] {
            assert_eq!(refusal.body(), body);
        }
        assert_eq!(Refusal::internal("").code.status(), 500);
    }
}
