#![expect(clippy::needless_pass_by_value, reason = "bodies are written where they are checked")]

use super::*;
use serde_json::json;

#[track_caller]
fn check_text(name: &str, body: Value, expected: &str) {
    let operation = OPERATIONS.iter().find(|operation| operation.name == name).unwrap();
    let said = check(operation, &body).map_or_else(
        |refusal| format!("{}: {}", refusal.code.name(), refusal.message),
        |()| "fine".to_owned(),
    );
    assert_eq!(said, expected, "{name} {body}");
}

#[track_caller]
fn violates(name: &str, body: Value, expected: &str) {
    check_text(name, body, &format!("ValidationException: {expected}"));
}

#[test]
fn operations_are_found_by_their_paths() {
    for (path, name) in [
        ("/Traces", "BatchGetTraces"),
        ("/TraceSummaries", "GetTraceSummaries"),
        ("/SamplingTargets", "GetSamplingTargets"),
        ("/EncryptionConfig", "GetEncryptionConfig"),
        ("/PutEncryptionConfig", "PutEncryptionConfig"),
        ("/TelemetryRecords", "PutTelemetryRecords"),
    ] {
        assert_eq!(by_path(path).unwrap().name, name);
    }
    assert!(by_path("/GetTraceSummaries").is_none());
    assert!(by_path("/traces").is_none());
}

#[test]
fn operations_are_sorted_and_their_paths_are_their_own() {
    assert!(OPERATIONS.windows(2).all(|two| two[0].name < two[1].name));
    let mut paths: Vec<_> = OPERATIONS.iter().map(|operation| operation.path).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), OPERATIONS.len());
}

#[test]
fn an_empty_body_has_no_members() {
    for body in ["", " \n", "{}"] {
        assert_eq!(parse(body.as_bytes()).unwrap(), json!({}));
    }
    assert_eq!(parse(b"{").unwrap_err().code, Code::Serialization);
    assert_eq!(parse(b"\xff").unwrap_err().code, Code::Serialization);
    assert!(parse("[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn missing_members_are_told() {
    let missing = "1 validation error detected: Value null at 'traceIds' failed to satisfy constraint: Member must not be null";
    violates("BatchGetTraces", json!({}), missing);
    violates("BatchGetTraces", json!(null), missing);
    violates("BatchGetTraces", json!({"TraceIds": null}), missing);
    violates(
        "GetTraceSummaries",
        json!({}),
        "2 validation errors detected: Value null at 'startTime' failed to satisfy constraint: Member must not be \
         null; Value null at 'endTime' failed to satisfy constraint: Member must not be null",
    );
    violates(
        "TagResource",
        json!({"ResourceARN": "a", "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c"}]}),
        "1 validation error detected: Value null at 'tags.2.member.value' failed to satisfy constraint: Member must \
         not be null",
    );
}

#[test]
fn enums_name_what_there_is() {
    violates(
        "GetTraceSummaries",
        json!({"StartTime": 1, "EndTime": 2, "TimeRangeType": "Nope"}),
        "1 validation error detected: Value 'Nope' at 'timeRangeType' failed to satisfy constraint: Member must \
         satisfy enum value set: [TraceId, Service, Event]",
    );
    violates(
        "GetInsightSummaries",
        json!({"StartTime": 1, "EndTime": 2, "States": ["OPEN"]}),
        "1 validation error detected: Value '[OPEN]' at 'states' failed to satisfy constraint: Member must satisfy \
         constraint: [Member must satisfy enum value set: [ACTIVE, CLOSED], Member must not be null]",
    );
}

#[test]
fn ranges_and_lengths_are_told() {
    violates(
        "CreateSamplingRule",
        json!({"SamplingRule": {
            "RuleName": "a", "ResourceARN": "*", "Priority": 0, "FixedRate": 2, "ReservoirSize": -1,
            "ServiceName": "*", "ServiceType": "*", "Host": "*", "HTTPMethod": "longer than 10", "URLPath": "*",
            "Version": 1
        }}),
        "4 validation errors detected: \
         Value '0' at 'samplingRule.priority' failed to satisfy constraint: Member must have value greater than or \
         equal to 1; \
         Value '2.0' at 'samplingRule.fixedRate' failed to satisfy constraint: Member must have value less than or \
         equal to 1; \
         Value '-1' at 'samplingRule.reservoirSize' failed to satisfy constraint: Member must have value greater \
         than or equal to 0; \
         Value 'longer than 10' at 'samplingRule.hTTPMethod' failed to satisfy constraint: Member must have length \
         less than or equal to 10",
    );
    violates(
        "GetGroup",
        json!({"GroupName": ""}),
        "1 validation error detected: Value '' at 'groupName' failed to satisfy constraint: Member must have length \
         greater than or equal to 1",
    );
    violates(
        "GetInsightEvents",
        json!({"InsightId": "12345678-1234-1234-8234-123456789012", "MaxResults": 51}),
        "1 validation error detected: Value '51' at 'maxResults' failed to satisfy constraint: Member must have \
         value less than or equal to 50",
    );
    check_text("GetGroup", json!({"GroupName": "é".repeat(32)}), "fine");
}

#[test]
fn elements_are_told_with_their_list() {
    let constraint = "failed to satisfy constraint: Member must satisfy constraint: [Member must have length less \
                      than or equal to 35, Member must have length greater than or equal to 1, Member must not be \
                      null]";
    violates(
        "BatchGetTraces",
        json!({"TraceIds": ["1-x", ""]}),
        &format!("1 validation error detected: Value '[1-x, ]' at 'traceIds' {constraint}"),
    );
    violates(
        "BatchGetTraces",
        json!({"TraceIds": [null]}),
        &format!("1 validation error detected: Value '[null]' at 'traceIds' {constraint}"),
    );
    check_text("BatchGetTraces", json!({"TraceIds": []}), "fine");
}

#[test]
fn maps_are_told_by_keys_and_by_values() {
    let rule = json!({"SamplingRuleUpdate": {"RuleName": "a", "Attributes": {"": "b"}}});
    violates(
        "UpdateSamplingRule",
        rule,
        "1 validation error detected: Value '{=b}' at 'samplingRuleUpdate.attributes' failed to satisfy constraint: \
         Map keys must satisfy constraint: [Member must have length less than or equal to 32, Member must have \
         length greater than or equal to 1, Member must not be null]",
    );
    let rule = json!({"SamplingRuleUpdate": {"RuleName": "a", "Attributes": {"a": ""}}});
    violates(
        "UpdateSamplingRule",
        rule,
        "1 validation error detected: Value '{a=}' at 'samplingRuleUpdate.attributes' failed to satisfy constraint: \
         Map value must satisfy constraint: [Member must have length less than or equal to 32, Member must have \
         length greater than or equal to 1, Member must not be null]",
    );
    let attributes: Map<String, Value> = (0..6).map(|n| (n.to_string(), json!("x"))).collect();
    violates(
        "UpdateSamplingRule",
        json!({"SamplingRuleUpdate": {"RuleName": "a", "Attributes": attributes}}),
        "1 validation error detected: Value '{0=x, 1=x, 2=x, 3=x, 4=x, 5=x}' at 'samplingRuleUpdate.attributes' \
         failed to satisfy constraint: Member must have length less than or equal to 5",
    );
}

#[test]
fn patterns_are_told_before_lengths() {
    violates(
        "DeleteResourcePolicy",
        json!({"PolicyName": ""}),
        "2 validation errors detected: Value '' at 'policyName' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: [\\w+=,.@-]+; Value '' at 'policyName' failed to satisfy constraint: Member \
         must have length greater than or equal to 1",
    );
    check_text("DeleteResourcePolicy", json!({"PolicyName": "a_B9+=,.@-"}), "fine");
    for (id, is_fine) in [
        ("12345678-1234-1234-8234-123456789012", true),
        ("ABCDEFAB-ABCD-5BCD-bBCD-ABCDEFABCDEF", true),
        ("12345678-1234-6234-8234-123456789012", false),
        ("12345678-1234-1234-7234-123456789012", false),
        ("12345678-1234-1234-8234-12345678901", false),
        ("12345678-1234-1234-8234-123456789012-", false),
        ("1234567g-1234-1234-8234-123456789012", false),
        ("", false),
    ] {
        let operation = by_path("/Insight").unwrap();
        assert_eq!(check(operation, &json!({"InsightId": id})).is_ok(), is_fine, "{id}");
    }
}

#[test]
fn other_types_cannot_be_converted() {
    for (name, body, expected) in [
        ("GetGroup", json!({"GroupName": 1}), "NUMBER_VALUE can not be converted to a String"),
        ("GetGroup", json!({"GroupName": true}), "TRUE_VALUE can not be converted to a String"),
        ("GetGroup", json!({"GroupName": []}), "Start of list found where not expected"),
        ("GetGroup", json!({"GroupName": {}}), "Start of structure or map found where not expected."),
        ("GetGroup", json!([]), "Start of list found where not expected"),
        ("GetGroup", json!("x"), "Unexpected field type"),
        ("BatchGetTraces", json!({"TraceIds": "x"}), "Expected list or null"),
        ("BatchGetTraces", json!({"TraceIds": [1]}), "NUMBER_VALUE can not be converted to a String"),
        ("BatchGetTraces", json!({"TraceIds": {}}), "Start of structure or map found where not expected."),
        (
            "GetTraceSummaries",
            json!({"StartTime": "yesterday", "EndTime": 1}),
            "STRING_VALUE can not be converted to milliseconds since epoch",
        ),
        (
            "GetTraceSummaries",
            json!({"StartTime": 1, "EndTime": 2, "Sampling": "true"}),
            "STRING_VALUE can not be converted to a Boolean",
        ),
        (
            "GetTimeSeriesServiceStatistics",
            json!({"StartTime": 1, "EndTime": 2, "Period": "60"}),
            "STRING_VALUE can not be converted to an Integer",
        ),
        (
            "UpdateSamplingRule",
            json!({"SamplingRuleUpdate": {"FixedRate": false}}),
            "FALSE_VALUE can not be converted to a Double",
        ),
        ("UpdateSamplingRule", json!({"SamplingRuleUpdate": {"Attributes": 1}}), "Unexpected field type"),
        (
            "UpdateSamplingRule",
            json!({"SamplingRuleUpdate": {"Attributes": {"a": 1}}}),
            "NUMBER_VALUE can not be converted to a String",
        ),
    ] {
        check_text(name, body, &format!("SerializationException: {expected}"));
    }
}

#[test]
fn a_wrong_type_goes_before_a_missing_member() {
    check_text(
        "GetTraceSummaries",
        json!({"FilterExpression": 1}),
        "SerializationException: NUMBER_VALUE can not be converted to a String",
    );
}

#[test]
fn times_are_numbers_or_text() {
    for start in [json!(1), json!(1.5), json!(-1), json!("2016-12-01T00:00:00Z")] {
        check_text("GetServiceGraph", json!({"StartTime": start, "EndTime": 2}), "fine");
    }
    let body = json!({"a": 1.5, "b": "1970-01-01T00:01:00Z", "c": null, "d": "x"});
    assert_eq!(
        ["a", "b", "c", "d", "e"].map(|name| seconds(&body, name)),
        [Some(1.5), Some(60.0), None, None, None]
    );
}

#[test]
fn what_the_model_does_not_know_is_let_be() {
    check_text("GetGroups", json!({"Colour": ["blue"], "NextToken": null}), "fine");
}

#[test]
fn a_report_without_a_sampled_count_is_taken() {
    let document = json!({"ClientID": "dafdbe3cdeccb26e7ee79e7c", "RuleName": "a", "Timestamp": 1.5,
                          "RequestCount": 10, "BorrowCount": 9, "SampleCount": 10});
    check_text(
        "GetSamplingTargets",
        json!({"SamplingStatisticsDocuments": [document], "SamplingBoostStatisticsDocuments": []}),
        "fine",
    );
}

#[test]
fn a_refusal_does_not_grow_with_the_request() {
    let records = json!({"TelemetryRecords": vec![json!({}); 10_000]});
    let operation = by_path("/TelemetryRecords").unwrap();
    let message = check(operation, &records).unwrap_err().message;
    assert!(message.starts_with("100 validation errors detected: "), "{message}");
    let ids = json!({"TraceIds": ["é".repeat(1_000_000)]});
    assert!(check(by_path("/Traces").unwrap(), &ids).unwrap_err().message.len() < 2_000);
}
