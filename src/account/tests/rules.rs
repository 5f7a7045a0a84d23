use super::*;

const ARN: &str = "arn:aws:xray:eu-west-1:000000000000:sampling-rule/";

pub(super) fn rule(name: &str) -> Value {
    json!({
        "RuleName": name, "ResourceARN": "*", "Priority": 10, "FixedRate": 0.05, "ReservoirSize": 2,
        "ServiceName": "api", "ServiceType": "*", "Host": "*", "HTTPMethod": "GET", "URLPath": "/a", "Version": 1,
    })
}

/// A rule with other members, or without those that are null.
fn rule_with(members: Value) -> Value {
    let mut rule = rule("a");
    for (name, value) in members.as_object().unwrap() {
        rule[name] = value.clone();
    }
    json!({"SamplingRule": rule})
}

fn record(members: Value) -> Value {
    let mut rule = rule("a");
    rule["RuleARN"] = json!(format!("{ARN}a"));
    rule["Attributes"] = json!({});
    for (name, value) in members.as_object().unwrap() {
        rule[name] = value.clone();
    }
    json!({"CreatedAt": 1_790_161_552.0, "ModifiedAt": 1_790_161_552.0, "SamplingRule": rule})
}

fn default_record(rate: f64) -> Value {
    json!({"CreatedAt": 0.0, "ModifiedAt": 0.0, "SamplingRule": {
        "Attributes": {}, "FixedRate": rate, "HTTPMethod": "*", "Host": "*", "Priority": 10000, "ReservoirSize": 1,
        "ResourceARN": "*", "RuleARN": format!("{ARN}Default"), "RuleName": "Default", "ServiceName": "*",
        "ServiceType": "*", "URLPath": "*", "Version": 1,
    }})
}

fn list(records: &[Value]) -> Value {
    json!({"NextToken": null, "SamplingRuleRecords": records})
}

fn changed_at(desk: &mut Desk) -> Value {
    desk.ask("GetSamplingTargets", json!({"SamplingStatisticsDocuments": []}))["LastRuleModification"].clone()
}

#[test]
fn default_has_everything_sdks_read() {
    let mut desk = Desk::new();
    desk.outlives("GetSamplingRules", json!({"NextToken": "means nothing"}), &list(&[default_record(1.0)]));
    // A whole number with a point is refused by some SDKs.
    let text = desk.ask("GetSamplingRules", json!({})).to_string();
    assert!(text.contains("\"Priority\":10000,\"ReservoirSize\":1,"), "{text}");
    assert!(text.contains("\"Version\":1}"), "{text}");
}

#[test]
fn a_rule_is_made_changed_and_deleted() {
    let mut desk = Desk::new();
    let made = record(json!({}));
    assert_eq!(desk.ask("CreateSamplingRule", rule_with(json!({}))), json!({"SamplingRuleRecord": made}));
    desk.outlives("GetSamplingRules", json!({}), &list(&[made, default_record(1.0)]));
    assert_eq!(changed_at(&mut desk), json!(NOW.floor()));

    desk.now += 5.0;
    let update = json!({"SamplingRuleUpdate": {
        "RuleARN": format!("{ARN}a"), "Priority": 20, "FixedRate": 1, "ReservoirSize": 0, "Host": "h",
        "Attributes": {"k": "v"}, "SamplingRateBoost": {"MaxRate": 0.01, "CooldownWindowMinutes": 1},
    }});
    let mut changed = record(json!({
        "Priority": 20, "FixedRate": 1.0, "ReservoirSize": 0, "Host": "h", "Attributes": {"k": "v"},
        "SamplingRateBoost": {"MaxRate": 0.01, "CooldownWindowMinutes": 1},
    }));
    changed["ModifiedAt"] = json!(NOW.floor() + 5.0);
    assert_eq!(desk.ask("UpdateSamplingRule", update), json!({"SamplingRuleRecord": changed}));
    desk.outlives("GetSamplingRules", json!({}), &list(&[changed.clone(), default_record(1.0)]));
    assert_eq!(changed_at(&mut desk), json!(NOW.floor() + 5.0));

    desk.now += 5.0;
    let deleted = desk.ask("DeleteSamplingRule", json!({"RuleName": "a"}));
    assert_eq!(deleted, json!({"SamplingRuleRecord": changed}));
    desk.outlives("GetSamplingRules", json!({}), &list(&[default_record(1.0)]));
    assert_eq!(changed_at(&mut desk), json!(NOW.floor() + 10.0));
}

#[test]
fn an_update_that_says_nothing_is_one_and_removes_the_boost() {
    let mut desk = Desk::new();
    let boost = json!({"SamplingRateBoost": {"MaxRate": 0.5, "CooldownWindowMinutes": 1}});
    desk.ask("CreateSamplingRule", rule_with(boost));
    desk.now += 5.0;
    let mut expected = record(json!({}));
    expected["ModifiedAt"] = json!(NOW.floor() + 5.0);
    let updated = desk.ask("UpdateSamplingRule", json!({"SamplingRuleUpdate": {"RuleName": "a"}}));
    assert_eq!(updated, json!({"SamplingRuleRecord": expected}));
}

#[test]
fn rules_are_listed_by_name_with_default_last() {
    let mut desk = Desk::new();
    for name in ["b", "a", "Z", "z"] {
        desk.ask("CreateSamplingRule", rule_with(json!({"RuleName": name})));
    }
    let listed = desk.ask("GetSamplingRules", json!({}));
    let names: Vec<&str> = listed["SamplingRuleRecords"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["SamplingRule"]["RuleName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Z", "a", "b", "z", "Default"]);
}

#[test]
fn a_rule_can_be_made_by_its_arn_alone() {
    let mut desk = Desk::new();
    let by_arn = rule_with(json!({"RuleName": null, "RuleARN": format!("{ARN}a")}));
    assert_eq!(desk.ask("CreateSamplingRule", by_arn), json!({"SamplingRuleRecord": record(json!({}))}));
    for arn in [ARN.to_owned(), format!("{ARN}{}", "a".repeat(33))] {
        let body = rule_with(json!({"RuleName": null, "RuleARN": arn}));
        desk.refuses_as_invalid("CreateSamplingRule", body, "Invalid sampling rule");
    }
    let body = rule_with(json!({"RuleName": null, "RuleARN": "a"}));
    desk.refuses_as_invalid("CreateSamplingRule", body, "Invalid sampling rule ARN");
}

#[test]
fn rules_are_refused_in_the_words_of_the_service() {
    let mut desk = Desk::new();
    desk.ask("CreateSamplingRule", rule_with(json!({})));
    let neither = "Request must contain either sampling rule name or sampling rule ARN";
    let both = "Request cannot contain both sampling rule name and sampling rule ARN";
    let two = json!({"RuleName": "a", "RuleARN": format!("{ARN}a")});
    desk.refuses_as_invalid("CreateSamplingRule", rule_with(two.clone()), both);
    desk.refuses_as_invalid("CreateSamplingRule", rule_with(json!({"RuleName": null})), neither);
    desk.refuses_as_invalid("UpdateSamplingRule", json!({"SamplingRuleUpdate": two}), both);
    desk.refuses_as_invalid("UpdateSamplingRule", json!({"SamplingRuleUpdate": {}}), neither);
    desk.refuses_as_invalid("DeleteSamplingRule", two, both);
    desk.refuses_as_invalid("DeleteSamplingRule", json!({}), neither);

    let missing = "Sampling rule does not exist";
    for named in [json!({"RuleName": "b"}), json!({"RuleARN": format!("{ARN}b")}), json!({"RuleARN": "a"})] {
        desk.refuses_as_invalid("DeleteSamplingRule", named.clone(), missing);
        desk.refuses_as_invalid("UpdateSamplingRule", json!({"SamplingRuleUpdate": named}), missing);
    }
    let exists = "Sampling rule already exists";
    desk.refuses_as_invalid("CreateSamplingRule", rule_with(json!({})), exists);
    desk.refuses_as_invalid("CreateSamplingRule", rule_with(json!({"RuleName": "Default"})), exists);
    desk.refuses_as_invalid(
        "CreateSamplingRule",
        rule_with(json!({"Version": 2})),
        "Sampling rule version must be 1",
    );
    let cannot = "The default sampling rule cannot be deleted";
    desk.refuses_as_invalid("DeleteSamplingRule", json!({"RuleName": "Default"}), cannot);
    desk.refuses_as_invalid("DeleteSamplingRule", json!({"RuleARN": format!("{ARN}Default")}), cannot);
    let refusal = desk.call("CreateSamplingRule", &rule_with(json!({"Priority": 0}))).unwrap_err();
    assert_eq!(refusal.code, Code::Validation);
}

#[test]
fn a_wrong_update_changes_nothing() {
    let mut desk = Desk::new();
    desk.ask("CreateSamplingRule", rule_with(json!({})));
    for (name, value) in [
        ("Priority", json!(-1)),
        ("Priority", json!(0)),
        ("Priority", json!(10_000)),
        ("FixedRate", json!(1.1)),
        ("FixedRate", json!(-0.1)),
        ("ReservoirSize", json!(-1)),
        ("ReservoirSize", json!(4_000_000_000_u32)),
        ("SamplingRateBoost", json!({"MaxRate": 0.5, "CooldownWindowMinutes": 0})),
    ] {
        let mut update = json!({"RuleName": "a", "Host": "changed"});
        update[name] = value;
        let body = json!({"SamplingRuleUpdate": update});
        desk.refuses_as_invalid("UpdateSamplingRule", body, "Invalid update request for sampling rule");
    }
    desk.outlives("GetSamplingRules", json!({}), &list(&[record(json!({})), default_record(1.0)]));
}

#[test]
fn of_default_the_rate_and_the_reservoir_can_be_changed() {
    let mut desk = Desk::new();
    for (name, value) in [("Host", json!("h")), ("Priority", json!(1)), ("Attributes", json!({"a": "b"}))] {
        let mut update = json!({"RuleName": "Default"});
        update[name] = value;
        let body = json!({"SamplingRuleUpdate": update});
        desk.refuses_as_invalid("UpdateSamplingRule", body, "Invalid update request for sampling rule");
    }
    let update =
        json!({"RuleName": "Default", "FixedRate": 0.5, "ReservoirSize": 7, "Host": "*", "Priority": 10_000});
    let mut expected = default_record(0.5);
    expected["SamplingRule"]["ReservoirSize"] = json!(7);
    expected["ModifiedAt"] = json!(NOW.floor());
    let updated = desk.ask("UpdateSamplingRule", json!({"SamplingRuleUpdate": update}));
    assert_eq!(updated, json!({"SamplingRuleRecord": expected}));
    desk.outlives("GetSamplingRules", json!({}), &list(&[expected]));
}

#[test]
fn another_sampling_rate_at_the_start_replaces_the_one_of_default() {
    let mut desk = Desk::new();
    desk.ask("UpdateSamplingRule", json!({"SamplingRuleUpdate": {"RuleName": "Default", "FixedRate": 0.5}}));
    let json = desk.account.to_json();
    let rate = Settings { sampling_rate: 0.25, ..settings() };
    desk.account = Account::load(json.as_bytes(), rate, NOW + 60.0).unwrap();
    assert!(desk.account.is_unsaved());
    let listed = desk.ask("GetSamplingRules", json!({}));
    assert_eq!(listed["SamplingRuleRecords"][0]["SamplingRule"]["FixedRate"], 0.25);
    assert_eq!(changed_at(&mut desk), json!((NOW + 60.0).floor()));
}

#[test]
fn an_account_has_no_more_than_25_rules_beside_default() {
    let mut desk = Desk::new();
    for number in 0..RULES_MAX {
        desk.ask("CreateSamplingRule", rule_with(json!({"RuleName": format!("r{number}")})));
    }
    desk.refuses(
        "CreateSamplingRule",
        rule_with(json!({})),
        Code::RuleLimitExceeded,
        "An account cannot have more than 25 sampling rules",
    );
    desk.ask("DeleteSamplingRule", json!({"RuleName": "r0"}));
    desk.ask("CreateSamplingRule", rule_with(json!({})));
}
