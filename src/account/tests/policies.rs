use super::*;

const DOCUMENT: &str = r#"{"Version": "2012-10-17", "Statement": []}"#;

fn put(name: &str, revision: Option<&str>) -> Value {
    json!({"PolicyName": name, "PolicyDocument": DOCUMENT, "PolicyRevisionId": revision})
}

fn policy(revision: &str) -> Value {
    json!({
        "LastUpdatedTime": 1_790_161_552.0,
        "PolicyDocument": DOCUMENT,
        "PolicyName": "a",
        "PolicyRevisionId": revision,
    })
}

#[test]
fn a_policy_is_made_changed_and_deleted() {
    let mut desk = Desk::new();
    let list = |policies: &[Value]| json!({"NextToken": null, "ResourcePolicies": policies});
    desk.outlives("ListResourcePolicies", json!({}), &list(&[]));
    assert_eq!(desk.ask("PutResourcePolicy", put("a", Some("0"))), json!({"ResourcePolicy": policy("1")}));
    desk.outlives("ListResourcePolicies", json!({}), &list(&[policy("1")]));
    assert_eq!(desk.ask("PutResourcePolicy", put("a", Some("1"))), json!({"ResourcePolicy": policy("2")}));
    assert_eq!(desk.ask("PutResourcePolicy", put("a", None)), json!({"ResourcePolicy": policy("3")}));
    desk.outlives("ListResourcePolicies", json!({}), &list(&[policy("3")]));
    let delete = json!({"PolicyName": "a", "PolicyRevisionId": "3"});
    assert_eq!(desk.ask("DeleteResourcePolicy", delete), json!({}));
    desk.outlives("ListResourcePolicies", json!({}), &list(&[]));
    assert_eq!(desk.ask("PutResourcePolicy", put("a", None)), json!({"ResourcePolicy": policy("1")}));
    assert_eq!(desk.ask("DeleteResourcePolicy", json!({"PolicyName": "a"})), json!({}));
}

#[test]
fn a_policy_that_somebody_else_changed_is_left_alone() {
    let mut desk = Desk::new();
    let modified = "Another concurrent request has modified the resource policy a";
    let stale = Code::InvalidPolicyRevisionId;
    desk.refuses("PutResourcePolicy", put("a", Some("1")), stale, modified);
    desk.ask("PutResourcePolicy", put("a", None));
    desk.refuses("PutResourcePolicy", put("a", Some("0")), stale, modified);
    desk.refuses("PutResourcePolicy", put("a", Some("2")), stale, modified);
    desk.refuses("PutResourcePolicy", put("a", Some("x")), stale, modified);
    for name in ["a", "b"] {
        let text = format!("Another concurrent request has modified or deleted the resource policy {name}");
        let delete = json!({"PolicyName": name, "PolicyRevisionId": "7"});
        desk.refuses("DeleteResourcePolicy", delete, stale, &text);
    }
    desk.refuses_as_invalid(
        "DeleteResourcePolicy",
        json!({"PolicyName": "b"}),
        "The resource policy b does not exist.",
    );
}

#[test]
fn policies_have_limits() {
    let mut desk = Desk::new();
    for number in 0..POLICIES_MAX {
        desk.ask("PutResourcePolicy", put(&format!("p{number}"), None));
    }
    desk.refuses(
        "PutResourcePolicy",
        put("a", None),
        Code::PolicyCountLimitExceeded,
        "An account cannot have more than 5 resource policies",
    );
    desk.ask("PutResourcePolicy", put("p0", None));
    let long = format!("{}{DOCUMENT}", " ".repeat(POLICY_MAX_BYTES - DOCUMENT.len()));
    desk.ask("PutResourcePolicy", json!({"PolicyName": "p0", "PolicyDocument": long}));
    desk.refuses(
        "PutResourcePolicy",
        json!({"PolicyName": "p0", "PolicyDocument": long + " "}),
        Code::PolicySizeLimitExceeded,
        "A resource policy cannot be longer than 5120 bytes",
    );
    for document in ["", "{", "[]", "{}", "7"] {
        let refusal = desk
            .call("PutResourcePolicy", &json!({"PolicyName": "p0", "PolicyDocument": document}))
            .unwrap_err();
        assert_eq!(refusal.code, Code::MalformedPolicyDocument, "{document}");
    }
    let refusal = desk.call("PutResourcePolicy", &put("a b", None)).unwrap_err();
    assert_eq!(refusal.code, Code::Validation);
}
