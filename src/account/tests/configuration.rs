use super::*;

#[test]
fn encryption_is_remembered() {
    let mut desk = Desk::new();
    let config = |key: Option<&str>, kind: &str| json!({"EncryptionConfig": {"KeyId": key, "Status": "ACTIVE", "Type": kind}});
    desk.outlives("GetEncryptionConfig", json!({}), &config(None, "NONE"));
    let put = json!({"Type": "KMS", "KeyId": "alias/a"});
    assert_eq!(desk.ask("PutEncryptionConfig", put), config(Some("alias/a"), "KMS"));
    desk.outlives("GetEncryptionConfig", json!({}), &config(Some("alias/a"), "KMS"));
    desk.refuses_as_invalid(
        "PutEncryptionConfig",
        json!({"Type": "KMS"}),
        "Encryption of type KMS needs a KeyId",
    );
    desk.ask("PutEncryptionConfig", json!({"Type": "NONE"}));
    desk.outlives("GetEncryptionConfig", json!({}), &config(None, "NONE"));
}

#[test]
fn the_destination_is_remembered() {
    let mut desk = Desk::new();
    let destination =
        |name: &str| json!({"CompositeConfiguration": null, "Destination": name, "Status": "ACTIVE"});
    desk.outlives("GetTraceSegmentDestination", json!({}), &destination("XRay"));
    let logs = json!({"Destination": "CloudWatchLogs"});
    assert_eq!(desk.ask("UpdateTraceSegmentDestination", logs), destination("CloudWatchLogs"));
    desk.outlives("GetTraceSegmentDestination", json!({}), &destination("CloudWatchLogs"));
    desk.ask("UpdateTraceSegmentDestination", json!({}));
    desk.outlives("GetTraceSegmentDestination", json!({}), &destination("CloudWatchLogs"));
}

#[test]
fn the_indexing_rule_can_be_changed() {
    let mut desk = Desk::new();
    let rule = |percentage: f64, modified: f64| {
        let percentages =
            json!({"ActualSamplingPercentage": percentage, "DesiredSamplingPercentage": percentage});
        json!({"ModifiedAt": modified, "Name": "Default", "Rule": {"Probabilistic": percentages}})
    };
    let listed = |rule: Value| json!({"IndexingRules": [rule], "NextToken": null});
    desk.outlives("GetIndexingRules", json!({}), &listed(rule(1.0, NOW.floor())));
    desk.now += 10.0;
    let update = |name: &str, percentage: f64| json!({"Name": name, "Rule": {"Probabilistic": {"DesiredSamplingPercentage": percentage}}});
    let changed = rule(12.5, NOW.floor() + 10.0);
    assert_eq!(desk.ask("UpdateIndexingRule", update("Default", 12.5)), json!({"IndexingRule": changed}));
    desk.outlives("GetIndexingRules", json!({}), &listed(changed));
    desk.refuses("UpdateIndexingRule", update("a", 1.0), Code::ResourceNotFound, "Resource a not found");
    let between = "DesiredSamplingPercentage must be between 0 and 100";
    desk.refuses_as_invalid("UpdateIndexingRule", update("Default", 100.1), between);
    desk.refuses_as_invalid("UpdateIndexingRule", json!({"Name": "Default", "Rule": {}}), between);
}
