use super::*;
use crate::query::filter::Expression;

const DEFAULT_ARN: &str = "arn:aws:xray:eu-west-1:000000000000:group/Default";

fn default_group() -> Value {
    json!({
        "FilterExpression": null,
        "GroupARN": DEFAULT_ARN,
        "GroupName": "Default",
        "InsightsConfiguration": {"InsightsEnabled": false, "NotificationsEnabled": false},
    })
}

fn create(name: &str) -> Value {
    json!({"GroupName": name, "FilterExpression": "fault"})
}

#[test]
fn default_is_always_there() {
    let mut desk = Desk::new();
    desk.outlives("GetGroup", json!({"GroupName": "Default"}), &json!({"Group": default_group()}));
    desk.outlives("GetGroup", json!({"GroupARN": DEFAULT_ARN}), &json!({"Group": default_group()}));
    desk.outlives("GetGroups", json!({}), &json!({"Groups": [default_group()], "NextToken": null}));
    desk.refuses_as_invalid(
        "DeleteGroup",
        json!({"GroupName": "Default"}),
        "The default group cannot be deleted",
    );
    desk.refuses_as_invalid(
        "UpdateGroup",
        json!({"GroupName": "Default", "FilterExpression": "ok"}),
        "The default group cannot have a filter expression",
    );
    let insights = json!({"GroupName": "Default", "InsightsConfiguration": {"InsightsEnabled": true}});
    let updated = desk.ask("UpdateGroup", insights);
    assert_eq!(updated["Group"]["InsightsConfiguration"]["InsightsEnabled"], true);
    desk.outlives("GetGroup", json!({"GroupName": "Default"}), &updated);
}

#[test]
fn a_group_is_made_changed_and_deleted() {
    let mut desk = Desk::new();
    let made = desk.ask("CreateGroup", create("slow"));
    let arn = made["Group"]["GroupARN"].as_str().unwrap().to_owned();
    let unique = arn.strip_prefix("arn:aws:xray:eu-west-1:000000000000:group/slow/").unwrap();
    assert_eq!(unique.len(), 52);
    assert_eq!(made["Group"]["FilterExpression"], "fault");
    let insights = json!({"InsightsEnabled": false, "NotificationsEnabled": false});
    assert_eq!(made["Group"]["InsightsConfiguration"], insights);
    desk.outlives("GetGroup", json!({"GroupARN": arn}), &made);
    desk.outlives(
        "GetGroups",
        json!({}),
        &json!({"Groups": [default_group(), made["Group"]], "NextToken": null}),
    );

    let updated = desk.ask(
        "UpdateGroup",
        json!({"GroupARN": arn, "FilterExpression": "duration > 5", "InsightsConfiguration": {"InsightsEnabled": true}}),
    );
    assert_eq!(updated["Group"]["FilterExpression"], "duration > 5");
    assert_eq!(updated["Group"]["GroupARN"], arn.as_str());
    assert_eq!(updated["Group"]["InsightsConfiguration"]["InsightsEnabled"], true);
    desk.outlives("GetGroup", json!({"GroupName": "slow"}), &updated);
    let again = desk.ask("UpdateGroup", json!({"GroupName": "slow", "FilterExpression": "error"}));
    assert_eq!(again["Group"]["InsightsConfiguration"]["InsightsEnabled"], true);

    assert_eq!(desk.ask("DeleteGroup", json!({"GroupName": "slow"})), json!({}));
    desk.refuses_as_invalid("GetGroup", json!({"GroupName": "slow"}), "Group not found");
    desk.outlives("GetGroups", json!({}), &json!({"Groups": [default_group()], "NextToken": null}));
}

#[test]
fn a_group_made_again_is_another_one() {
    let mut desk = Desk::new();
    let first = desk.ask("CreateGroup", create("a"))["Group"]["GroupARN"].clone();
    desk.ask("DeleteGroup", json!({"GroupARN": first}));
    let second = desk.ask("CreateGroup", create("a"))["Group"]["GroupARN"].clone();
    assert_ne!(first, second);
    desk.refuses_as_invalid("GetGroup", json!({"GroupARN": first}), "Group not found");
    let text = format!("Resource {} not found", first.as_str().unwrap());
    let refusal =
        desk.refuses("ListTagsForResource", json!({"ResourceARN": first}), Code::ResourceNotFound, &text);
    assert_eq!(refusal.resource.as_deref(), first.as_str());
}

#[test]
fn groups_are_refused_in_the_words_of_the_service() {
    let mut desk = Desk::new();
    desk.ask("CreateGroup", create("a"));
    let either = "Provide either GroupName or GroupARN";
    let both = json!({"GroupName": "Default", "GroupARN": DEFAULT_ARN});
    for operation in ["GetGroup", "UpdateGroup", "DeleteGroup"] {
        desk.refuses_as_invalid(operation, json!({}), either);
        desk.refuses_as_invalid(operation, both.clone(), either);
        desk.refuses_as_invalid(operation, json!({"GroupName": "b"}), "Group not found");
        desk.refuses_as_invalid(operation, json!({"GroupARN": "b"}), "Group not found");
    }
    desk.refuses_as_invalid("CreateGroup", create("a"), "a already exists");
    desk.refuses_as_invalid("CreateGroup", create("Default"), "Default already exists");
    let empty = "Filter Expression is empty";
    desk.refuses_as_invalid("CreateGroup", json!({"GroupName": "b"}), empty);
    desk.refuses_as_invalid("CreateGroup", json!({"GroupName": "b", "FilterExpression": " "}), empty);
    desk.refuses_as_invalid("UpdateGroup", json!({"GroupName": "a"}), empty);
    desk.refuses_as_invalid("GetGroups", json!({"NextToken": "x"}), "Next Token not supported");
    desk.refuses_as_invalid(
        "CreateGroup",
        json!({"GroupName": "b", "FilterExpression": "service(\"a\""}),
        "Error Location: line 1, position 12 : missing ')' at end of expression",
    );
    desk.refuses_as_invalid(
        "UpdateGroup",
        json!({"GroupName": "a", "FilterExpression": "nonsense"}),
        &Expression::parse("nonsense").unwrap_err().to_string(),
    );
    for name in ["a b", "ä", "a_b", "a/b"] {
        let text = "Group name can only contain letters, numbers and hyphens";
        desk.refuses_as_invalid("CreateGroup", create(name), text);
    }
}

#[test]
fn an_account_has_no_more_than_25_groups() {
    let mut desk = Desk::new();
    for number in 1..GROUPS_MAX {
        desk.ask("CreateGroup", create(&format!("g{number}")));
    }
    desk.refuses_as_invalid("CreateGroup", create("one-more"), "An account cannot have more than 25 groups");
    desk.ask("DeleteGroup", json!({"GroupName": "g1"}));
    desk.ask("CreateGroup", create("one-more"));
}

#[test]
fn filters_are_given_by_name_and_by_arn() {
    let mut desk = Desk::new();
    let arn = desk.ask("CreateGroup", create("a"))["Group"]["GroupARN"].as_str().unwrap().to_owned();
    let fault = Expression::parse("fault").unwrap();
    let everything = Expression::And(Vec::new());
    for _ in 0..2 {
        assert_eq!(*desk.account.expression(GroupBy::Name, "a").unwrap(), fault);
        assert_eq!(*desk.account.expression(GroupBy::Arn, &arn).unwrap(), fault);
        assert_eq!(*desk.account.expression(GroupBy::Name, "Default").unwrap(), everything);
        assert!(desk.account.expression(GroupBy::Name, "b").is_none());
        assert!(desk.account.expression(GroupBy::Arn, "a").is_none());
        assert_eq!(*desk.account.expression_for(&json!({})).unwrap(), everything);
        assert_eq!(*desk.account.expression_for(&json!({"GroupARN": arn})).unwrap(), fault);
        let json = desk.account.to_json();
        desk.account = Account::load(json.as_bytes(), settings(), NOW).unwrap();
    }
    desk.ask("UpdateGroup", json!({"GroupName": "a", "FilterExpression": "ok"}));
    assert_eq!(*desk.account.expression(GroupBy::Name, "a").unwrap(), Expression::parse("ok").unwrap());

    let refused = |body: Value| desk.account.expression_for(&body).unwrap_err().message;
    assert_eq!(refused(json!({"GroupName": "b"})), "Group not found.");
    assert_eq!(refused(json!({"GroupName": "a", "GroupARN": arn})), "Provide either GroupName or GroupARN");
}

#[test]
fn a_kept_filter_that_cannot_be_read_matches_nothing() {
    let kept = r#"{"groups": {"others": {"a": {"filter": "of another language"}, "Default": {}}}}"#;
    let account = Account::load(kept.as_bytes(), settings(), NOW).unwrap();
    assert_eq!(*account.expression(GroupBy::Name, "a").unwrap(), Expression::Or(Vec::new()));
    assert_eq!(*account.expression(GroupBy::Name, "Default").unwrap(), Expression::And(Vec::new()));
}
