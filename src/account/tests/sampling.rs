use super::*;

const CLIENT: &str = "7ed84c300f33e5b785ef28c9";

/// A request as a real SDK sent it.
macro_rules! capture {
    ($file:literal) => {
        ($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/captures/", $file)))
    };
}

const CAPTURES: &[(&str, &str)] = &[
    capture!("go/http/01-go-GetSamplingRules.http"),
    capture!("go/http/02-go-SamplingTargets.http"),
    capture!("go/http/03-go-SamplingTargets.http"),
    capture!("java/http/01-java-GetSamplingRules.http"),
    capture!("java/http/02-java-SamplingTargets.http"),
    capture!("java/http/03-java-SamplingTargets.http"),
    capture!("node/http/01-node-GetSamplingRules.http"),
    capture!("node/http/02-node-SamplingTargets.http"),
    capture!("node/http/03-node-SamplingTargets.http"),
    capture!("node/http/04-node-SamplingTargets.http"),
    capture!("otel-js/http/01-oteljs-GetSamplingRules.http"),
    capture!("otel-js/http/02-oteljs-SamplingTargets.http"),
    capture!("otel-js/http/03-oteljs-SamplingTargets.http"),
    capture!("otel-python/http/01-otelpy-GetSamplingRules.http"),
    capture!("otel-python/http/02-otelpy-SamplingTargets.http"),
    capture!("otel-python/http/03-otelpy-SamplingTargets.http"),
    capture!("python/http/01-py-GetSamplingRules.http"),
    capture!("python/http/02-py-SamplingTargets.http"),
    capture!("python/http/03-py-SamplingTargets.http"),
    capture!("python/http/04-pyaio-GetSamplingRules.http"),
];

fn report(rule: &str, requests: u64) -> Value {
    json!({"RuleName": rule, "ClientID": CLIENT, "Timestamp": NOW, "RequestCount": requests, "SampledCount": 1,
           "BorrowCount": 2})
}

fn boost(rule: &str, wrong: u64, total: u64) -> Value {
    json!({"RuleName": rule, "ServiceName": "s", "Timestamp": NOW, "AnomalyCount": wrong, "TotalCount": total,
           "SampledAnomalyCount": 0})
}

fn targets(reports: &[Value], boosts: &[Value]) -> Value {
    json!({"SamplingStatisticsDocuments": reports, "SamplingBoostStatisticsDocuments": boosts})
}

fn desk_with_rule(name: &str) -> Desk {
    let mut desk = Desk::new();
    desk.ask("CreateSamplingRule", json!({"SamplingRule": rules::rule(name)}));
    desk
}

#[test]
fn what_real_sdks_send_is_answered() {
    assert!(CAPTURES.len() > 15);
    for (file, request) in CAPTURES {
        // Some captures end their lines as HTTP does, others do not.
        let request = request.replace("\r\n", "\n");
        let (head, body) = request.split_once("\n\n").unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let operation = model::by_path(path).unwrap();
        let body = model::parse(body.as_bytes()).unwrap();
        let mut desk = desk_with_rule("rule-cap");
        let answer = desk.call(operation.name, &body).unwrap_or_else(|refusal| panic!("{file}: {refusal:?}"));
        if operation.name == "GetSamplingRules" {
            assert_eq!(answer["SamplingRuleRecords"].as_array().unwrap().len(), 2, "{file}");
            continue;
        }
        let reports = body["SamplingStatisticsDocuments"].as_array().unwrap();
        let targets = answer["SamplingTargetDocuments"].as_array().unwrap();
        assert_eq!(targets.len(), reports.len(), "{file}");
        assert_eq!(targets[0]["RuleName"], "rule-cap", "{file}");
        assert_eq!(targets[0]["ReservoirQuota"], 2, "{file}");
        let summaries = desk.ask("GetSamplingStatisticSummaries", json!({}));
        let summary = summaries["SamplingStatisticSummaries"]
            .as_array()
            .unwrap()
            .iter()
            .find(|summary| summary["RuleName"] == "rule-cap")
            .unwrap();
        assert_eq!(summary["RequestCount"], reports[0]["RequestCount"], "{file}");
        assert_eq!(summary["BorrowCount"], reports[0]["BorrowCount"], "{file}");
        let sampled = reports[0].get("SampledCount").or_else(|| reports[0].get("SampleCount"));
        assert_eq!(Some(&summary["SampledCount"]), sampled, "{file}");
    }
}

#[test]
fn a_target_has_everything_sdks_read() {
    let mut desk = desk_with_rule("a");
    desk.now += 10.0;
    let answer = desk.ask("GetSamplingTargets", targets(&[report("a", 5), report("Default", 0)], &[]));
    let target = |rule: &str, rate: f64, quota: u64| {
        json!({
            "FixedRate": rate, "Interval": 10, "ReservoirQuota": quota,
            "ReservoirQuotaTTL": (NOW + 310.0).floor(), "RuleName": rule,
        })
    };
    assert_eq!(
        answer,
        json!({
            "LastRuleModification": NOW.floor(),
            "SamplingTargetDocuments": [target("a", 0.05, 2), target("Default", 1.0, 1)],
            "UnprocessedBoostStatistics": [],
            "UnprocessedStatistics": [],
        })
    );
}

#[test]
fn rules_that_are_not_known_are_told() {
    let mut desk = desk_with_rule("a");
    let answer =
        desk.ask("GetSamplingTargets", targets(&[report("a", 1), report("gone", 1)], &[boost("lost", 1, 1)]));
    let unknown = |rule: &str| json!([{"ErrorCode": "400", "Message": "Unknown rule", "RuleName": rule}]);
    assert_eq!(answer["UnprocessedStatistics"], unknown("gone"));
    assert_eq!(answer["UnprocessedBoostStatistics"], unknown("lost"));
    assert_eq!(answer["SamplingTargetDocuments"].as_array().unwrap().len(), 1);

    desk.ask("DeleteSamplingRule", json!({"RuleName": "a"}));
    let answer = desk.ask("GetSamplingTargets", targets(&[report("a", 1)], &[]));
    assert_eq!(answer["UnprocessedStatistics"], unknown("a"));
    assert_eq!(answer["SamplingTargetDocuments"], json!([]));
}

#[test]
fn a_rule_reported_twice_by_a_client_is_answered_once() {
    let mut desk = desk_with_rule("a");
    let answer = desk.ask("GetSamplingTargets", targets(&[report("a", 1), report("a", 2)], &[]));
    assert_eq!(answer["SamplingTargetDocuments"].as_array().unwrap().len(), 1);
}

#[test]
fn clients_of_one_request_share_whatever_their_order() {
    let client = |id: &str, requests: u64| {
        let mut report = report("a", requests);
        report["ClientID"] = json!(format!("{id:0>24}"));
        report
    };
    let quotas = |reports: &[Value]| {
        let answer = desk_with_rule("a").ask("GetSamplingTargets", targets(reports, &[]));
        let targets = answer["SamplingTargetDocuments"].as_array().unwrap().clone();
        targets.iter().map(|target| target["ReservoirQuota"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(quotas(&[client("1", 90), client("2", 10)]), [2, 0]);
    assert_eq!(quotas(&[client("2", 10), client("1", 90)]), [0, 2]);
    assert_eq!(quotas(&[client("2", 50), client("1", 50)]), [1, 1]);
}

#[test]
fn anomalies_raise_the_rate_for_a_minute_and_then_it_cools_down() {
    let mut desk = Desk::new();
    let mut rule = rules::rule("a");
    rule["SamplingRateBoost"] = json!({"MaxRate": 0.5, "CooldownWindowMinutes": 2});
    desk.ask("CreateSamplingRule", json!({"SamplingRule": rule}));
    for (after, wrong, total, is_boosted) in [
        (0.0, 0, 100, false),
        (10.0, 2, 1, false),
        (20.0, 1, 100, true),
        (79.0, 0, 100, true),
        (80.0, 90, 100, false),
        (199.0, 90, 100, false),
        (200.0, 90, 100, true),
    ] {
        desk.now = NOW + after;
        let body = targets(&[report("a", total)], &[boost("a", wrong, total)]);
        let answer = desk.ask("GetSamplingTargets", body);
        let found = answer["SamplingTargetDocuments"][0].get("SamplingBoost");
        let expected = json!({"BoostRate": 0.5, "BoostRateTTL": (desk.now + 20.0).floor()});
        assert_eq!(found, is_boosted.then_some(&expected), "after {after}");
    }
    let boosts =
        json!({"SamplingStatisticsDocuments": [], "SamplingBoostStatisticsDocuments": [boost("a", 1, 1)]});
    assert_eq!(desk.ask("GetSamplingTargets", boosts)["SamplingTargetDocuments"], json!([]));
}

#[test]
fn reports_are_summed_up() {
    let mut desk = desk_with_rule("a");
    let none = json!({"NextToken": null, "SamplingStatisticSummaries": []});
    assert_eq!(desk.ask("GetSamplingStatisticSummaries", json!({})), none);
    desk.ask("GetSamplingTargets", targets(&[report("a", 5)], &[]));
    desk.now += 1.0;
    desk.ask("GetSamplingTargets", targets(&[report("a", 6)], &[]));
    assert_eq!(
        desk.ask("GetSamplingStatisticSummaries", json!({})),
        json!({"NextToken": null, "SamplingStatisticSummaries": [{
            "BorrowCount": 4, "RequestCount": 11, "RuleName": "a", "SampledCount": 2,
            "Timestamp": (NOW / 60.0).floor() * 60.0,
        }]})
    );
}
