use super::super::trace::made::{TRACE_ID, alone, document, hex, trace, within};
use super::*;
use serde_json::json;

fn summary(sent: &[Value]) -> Value {
    serde_json::to_value(Summary::of(&trace(sent), None)).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "what the macro makes is passed on")]
fn node(name: &str, kind: Value) -> Value {
    json!({ "Name": name, "Names": [name], "AccountId": null, "Type": kind })
}

#[test]
fn a_trace_is_summed_up_as_x_ray_does() {
    let work = within(
        2,
        "work",
        json!({ "annotations": { "n": 1, "t": "b" }, "start_time": 10.25, "end_time": 19.75 }),
    );
    let request =
        json!({ "url": "http://h/", "method": "GET", "user_agent": "curl", "client_ip": "192.0.2.1" });
    let root = document(
        1,
        "api",
        json!({
            "start_time": 10.25, "end_time": 20.664_594_2, "user": "alice", "resource_arn": "arn:a", "fault": true,
            "http": { "request": request, "response": { "status": 500 } },
            "aws": { "ec2": { "instance_id": "i-1", "availability_zone": "us-west-2a" } },
            "annotations": { "t": "a", "b": true, "list": [1] },
            "cause": { "exceptions": [{ "type": "E", "message": "m" }] },
            "subsegments": [work],
        }),
    );
    let value = |number: Value, boolean: Value, text: Value| {
        json!({ "ServiceIds": null, "AnnotationValue":
        { "NumberValue": number, "BooleanValue": boolean, "StringValue": text } })
    };
    let none = Value::Null;
    let service = |path: Value| {
        json!({ "Name": "api", "Names": ["api"], "Type": "", "AccountId": null,
                                        "Inferred": false, "EntityPath": path })
    };
    let expected = json!({
        "Id": TRACE_ID, "StartTime": 10.0, "Duration": 10.415, "ResponseTime": 10.415,
        "HasFault": true, "HasError": false, "HasThrottle": false, "IsPartial": false,
        "Http": { "HttpURL": "http://h/", "HttpStatus": 500, "HttpMethod": "GET", "UserAgent": "curl",
                  "ClientIp": "192.0.2.1" },
        "Annotations": {
            "b": [value(none.clone(), json!(true), none.clone())],
            "n": [value(json!(1.0), none.clone(), none.clone())],
            "t": [value(none.clone(), none.clone(), json!("a")), value(none.clone(), none, json!("b"))],
        },
        "Users": [{ "UserName": "alice", "ServiceIds": null }],
        "ServiceIds": [node("api", Value::Null), node("api", json!("client"))],
        "ResourceARNs": [{ "ARN": "arn:a" }], "InstanceIds": [{ "Id": "i-1" }],
        "AvailabilityZones": [{ "Name": "us-west-2a" }],
        "EntryPoint": node("api", Value::Null),
        "FaultRootCauses": [{ "ClientImpacting": true, "Services": [service(json!([
            { "Name": "api", "Remote": false, "Exceptions": [{ "Name": "E", "Message": "m" }] }]))] }],
        "ErrorRootCauses": [],
        "ResponseTimeRootCauses": [{ "ClientImpacting": true, "Services": [service(json!([
            { "Name": "api", "Coverage": 1.0, "Remote": false },
            { "Name": "work", "Coverage": 0.912, "Remote": false }]))] }],
        "Revision": 1, "MatchedEventTime": null,
    });
    assert_eq!(summary(&[root]), expected);
}

#[test]
fn flags_are_the_roots_alone_and_a_throttle_is_no_error() {
    let flags = |root: Value| {
        let back = document(3, "back", json!({ "parent_id": hex(2), "fault": true, "error": true }));
        let summary = Summary::of(&trace(&[document(1, "api", root), back]), None);
        (summary.has_fault, summary.has_error, summary.has_throttle)
    };
    let status = |status: i32| json!({ "http": { "response": { "status": status } } });
    assert_eq!(flags(json!({})), (false, false, false));
    assert_eq!(flags(status(200)), (false, false, false));
    assert_eq!(flags(status(404)), (false, true, false));
    assert_eq!(flags(status(503)), (true, false, false));
    assert_eq!(flags(status(429)), (false, false, true));
    assert_eq!(flags(json!({ "error": true, "throttle": true })), (false, false, true));
    assert_eq!(flags(json!({ "error": true, "fault": true })), (true, true, false));
}

#[test]
fn a_trace_in_progress_has_no_times_and_is_not_partial_for_it() {
    let open = document(
        1,
        "api",
        json!({ "in_progress": true, "end_time": null,
                                          "http": { "request": { "url": "u" } } }),
    );
    let found = summary(&[open]);
    let times = ["Duration", "ResponseTime", "IsPartial", "StartTime"].map(|key| found[key].clone());
    assert_eq!(times, [Value::Null, Value::Null, json!(false), json!(10.0)]);
    assert_eq!(found["Http"]["HttpURL"], "u");
    assert_eq!(found["ServiceIds"], json!([node("api", Value::Null), node("api", json!("client"))]));
}

#[test]
fn a_trace_whose_segment_names_a_parent_that_never_came_has_no_entry_point() {
    let orphan = document(
        1,
        "api",
        json!({ "parent_id": hex(9), "user": "u", "annotations": { "a": 1 },
        "fault": true, "http": { "request": { "url": "u" }, "response": { "status": 500 } } }),
    );
    let found = summary(&[orphan]);
    assert_eq!(found["EntryPoint"], Value::Null);
    assert_eq!(found["ResponseTime"], Value::Null);
    let nothing = json!({ "HttpURL": null, "HttpStatus": null, "HttpMethod": null, "UserAgent": null,
                          "ClientIp": null });
    assert_eq!(found["Http"], nothing);
    assert_eq!(found["ServiceIds"], json!([node("api", Value::Null)]), "no client");
    assert_eq!((&found["IsPartial"], &found["HasFault"]), (&json!(true), &json!(false)));
    assert_eq!(found["Duration"], 10.0);
    assert!(found["Users"][0]["UserName"] == "u" && found["Annotations"]["a"].is_array());
}

#[test]
fn a_call_that_nothing_answers_is_a_node_and_leaves_the_trace_whole() {
    let call = |id, name: &str| {
        within(id, name, json!({ "namespace": "remote", "http": { "request": { "traced": true } } }))
    };
    let sent = [
        document(1, "api", json!({ "subsegments": [call(2, "peer"), call(3, "peer"), call(4, "back")] })),
        document(5, "service", json!({ "parent_id": hex(4), "user": "u" })),
        document(6, "service", json!({ "parent_id": hex(4), "user": "u" })),
    ];
    let found = summary(&sent);
    let expected = json!([
        node("api", Value::Null),
        node("peer", json!("remote")),
        node("service", Value::Null),
        node("api", json!("client"))
    ]);
    assert_eq!(found["ServiceIds"], expected);
    assert_eq!((&found["IsPartial"], &found["Revision"]), (&json!(false), &json!(3)));
    assert_eq!(found["Users"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_trace_of_orphaned_subsegments_shows_what_they_say() {
    let sent = [alone(2, 9, "handler", json!({ "annotations": { "a": "b" }, "start_time": 7.5 }))];
    let found = summary(&sent);
    let shown =
        ["StartTime", "Duration", "EntryPoint", "IsPartial", "ServiceIds"].map(|key| found[key].clone());
    assert_eq!(shown, [json!(7.0), Value::Null, Value::Null, json!(true), json!([])]);
    assert_eq!(found["Annotations"]["a"][0]["AnnotationValue"]["StringValue"], "b");
}

#[test]
fn the_time_of_the_event_asked_for_is_shown() {
    let matched = Summary::of(&trace(&[document(1, "api", json!({}))]), Some(12.5)).matched_event_time;
    assert_eq!(matched, Some(12.5));
}
