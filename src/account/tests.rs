//! Whole operations, from a request's body to its answer, each looked at again after the account was kept and loaded.

#![expect(clippy::needless_pass_by_value, reason = "bodies are written where they are asked with")]

mod configuration;
mod groups;
mod policies;
mod retrievals;
mod rules;
mod sampling;
mod tags;

use super::*;
use crate::refusal::Code;

const NOW: f64 = 1_790_161_552.75;

fn settings() -> Settings {
    Settings { region: "eu-west-1".into(), account_id: "000000000000".into(), sampling_rate: 1.0 }
}

/// An account, a clock and a source of numbers that are not random at all.
struct Desk {
    account: Account,
    now: f64,
    drawn: u64,
}

impl Desk {
    fn new() -> Self {
        Self { account: Account::new(settings(), NOW), now: NOW, drawn: 0 }
    }

    fn call(&mut self, operation: &str, body: &Value) -> Result<Value, Refusal> {
        let operation = model::OPERATIONS.iter().find(|known| known.name == operation).unwrap();
        model::check(operation, body)?;
        let mut random = || {
            self.drawn += 1;
            self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        self.account.call(operation, body, self.now, &mut random).expect("an operation of the account")
    }

    /// Asks, and wants an answer.
    #[track_caller]
    fn ask(&mut self, operation: &str, body: Value) -> Value {
        self.call(operation, &body).unwrap_or_else(|refusal| panic!("{operation} {body}: {refusal:?}"))
    }

    /// Asks, and wants to be refused so.
    #[track_caller]
    fn refuses(&mut self, operation: &str, body: Value, code: Code, message: &str) -> Refusal {
        let kept = self.account.to_json();
        let refusal = self.call(operation, &body).expect_err("it is to be refused");
        assert_eq!((refusal.code, refusal.message.as_str()), (code, message), "{operation} {body}");
        assert_eq!(self.account.to_json(), kept, "{operation} {body} changed something");
        refusal
    }

    #[track_caller]
    fn refuses_as_invalid(&mut self, operation: &str, body: Value, message: &str) {
        self.refuses(operation, body, Code::InvalidRequest, message);
    }

    /// Keeps the account and loads it again, and wants the same answer as before.
    #[track_caller]
    fn outlives(&mut self, operation: &str, body: Value, expected: &Value) {
        assert_eq!(&self.ask(operation, body.clone()), expected, "{operation}");
        let json = self.account.to_json();
        self.account = Account::load(json.as_bytes(), settings(), self.now).unwrap();
        assert!(!self.account.is_unsaved());
        assert_eq!(&self.ask(operation, body), expected, "{operation}, loaded");
    }
}

#[test]
fn operations_that_need_documents_are_left_to_others() {
    let left: Vec<&str> = model::OPERATIONS
        .iter()
        .filter(|operation| {
            let mut account = Account::new(settings(), NOW);
            account.call(operation, &json!({}), NOW, &mut || 0).is_none()
        })
        .map(|operation| operation.name)
        .collect();
    let expected = [
        "BatchGetTraces",
        "GetRetrievedTracesGraph",
        "GetServiceGraph",
        "GetTimeSeriesServiceStatistics",
        "GetTraceGraph",
        "GetTraceSummaries",
        "ListRetrievedTraces",
        "PutTraceSegments",
    ];
    assert_eq!(left, expected);
}

#[test]
fn only_what_changes_the_account_makes_it_unsaved() {
    let mut desk = Desk::new();
    assert!(!desk.account.is_unsaved(), "nothing was done yet");
    for (operation, body, is_unsaved) in [
        ("GetGroups", json!({}), false),
        ("GetSamplingRules", json!({}), false),
        ("GetSamplingTargets", json!({"SamplingStatisticsDocuments": []}), false),
        ("CreateGroup", json!({"GroupName": "a"}), false),
        ("CreateGroup", json!({"GroupName": "a", "FilterExpression": "ok"}), true),
        ("DeleteGroup", json!({"GroupName": "a"}), true),
    ] {
        desk.account.set_saved(true);
        let _ = desk.call(operation, &body);
        assert_eq!(desk.account.is_unsaved(), is_unsaved, "{operation} {body}");
    }
    desk.account.set_saved(false);
    assert!(desk.account.is_unsaved());
}

#[test]
fn an_account_of_a_later_version_is_refused() {
    let refused = |json: &str| Account::load(json.as_bytes(), settings(), NOW).unwrap_err();
    let error = refused(r#"{"version": 2, "groups": "of another form"}"#);
    assert!(matches!(error, LoadError::TooNew { found: 2, known: 1 }), "{error}");
    assert!(error.to_string().contains("format version 2, and only versions up to 1"), "{error}");
    for broken in ["", "[", "7", r#"{"groups": 7}"#, r#"{"version": "one"}"#] {
        assert!(matches!(refused(broken), LoadError::Broken(_)), "{broken}");
    }
}

#[test]
fn what_is_missing_in_a_kept_account_is_as_in_a_new_one() {
    for json in ["{}", r#"{"version": 1, "rules": {"others": {"a": {}}}, "of a later release": 1}"#] {
        let account = Account::load(json.as_bytes(), settings(), NOW).unwrap();
        let mut desk = Desk { account, now: NOW, drawn: 0 };
        let groups = desk.ask("GetGroups", json!({}));
        assert_eq!(groups, Desk::new().ask("GetGroups", json!({})));
        let rules = desk.ask("GetSamplingRules", json!({}));
        let last = rules["SamplingRuleRecords"].as_array().unwrap().last().unwrap();
        assert_eq!(last["SamplingRule"]["RuleName"], "Default");
        assert_eq!(last["SamplingRule"]["FixedRate"], 1.0);
        assert_eq!(desk.ask("GetTraceSegmentDestination", json!({}))["Destination"], "XRay");
    }
}

#[test]
fn insights_are_well_formed_and_none() {
    let mut desk = Desk::new();
    let range = json!({"StartTime": 1, "EndTime": 2, "GroupName": "Default"});
    let none = json!({"InsightSummaries": [], "NextToken": null});
    assert_eq!(desk.ask("GetInsightSummaries", range), none);
    desk.refuses_as_invalid(
        "GetInsightSummaries",
        json!({"StartTime": 1, "EndTime": 2, "GroupName": "nobody"}),
        "Group not found.",
    );
    let id = "12345678-1234-1234-8234-123456789012";
    desk.refuses_as_invalid("GetInsight", json!({"InsightId": id}), "Insight not found");
    desk.refuses_as_invalid("GetInsightEvents", json!({"InsightId": id}), "Insight not found");
    let graph = json!({"InsightId": id, "StartTime": 1, "EndTime": 2});
    desk.refuses_as_invalid("GetInsightImpactGraph", graph, "Insight not found");
}

#[test]
fn telemetry_is_taken() {
    let body =
        json!({"TelemetryRecords": [{"Timestamp": 1_790_161_552, "SegmentsSentCount": 1}], "Hostname": "h"});
    assert_eq!(Desk::new().ask("PutTelemetryRecords", body), json!({}));
}

#[test]
fn unique_texts_use_the_letters_of_arns_and_differ() {
    let mut number = 0;
    let mut random = || {
        number += 1_u64;
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    let (one, other) = (unique_text(52, &mut random), unique_text(52, &mut random));
    assert_ne!(one, other);
    for text in [one, other] {
        assert_eq!(text.len(), 52);
        assert!(text.bytes().all(|letter| matches!(letter, b'A'..=b'Z' | b'2'..=b'7')), "{text}");
    }
}
