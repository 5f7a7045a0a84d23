use super::super::trace::made::{alone, document, hex, trace, within};
use super::*;
use serde_json::{Value, json};

/// `root child(remote): Oops > inferred db[AWS::X]` and so on: services side by side, behind each the parts in it; what
/// was thrown or covered in brackets.
fn outline(causes: &[RootCause]) -> String {
    let entity = |entity: &CauseEntity| {
        let thrown = entity.exceptions.iter().flatten().map(|one| format!("!{}:{}", one.name, one.message));
        let covered = entity.coverage.map(|coverage| format!("={coverage}"));
        let remote = if entity.remote { "*" } else { "" };
        format!("{}{remote}{}", entity.name, thrown.chain(covered).collect::<String>())
    };
    let service = |service: &CauseService| {
        assert_eq!(service.names, [service.name.as_str()]);
        let inferred = if service.inferred { "~" } else { "" };
        let path: Vec<_> = service.entity_path.iter().map(entity).collect();
        format!("{inferred}{}[{}]({})", service.name, service.r#type, path.join(" "))
    };
    let cause = |cause: &RootCause| {
        let services: Vec<_> = cause.services.iter().map(service).collect();
        format!("{}{}", if cause.client_impacting { "client: " } else { "" }, services.join(" > "))
    };
    causes.iter().map(cause).collect::<Vec<_>>().join(" | ")
}

fn thrown(name: &str) -> Value {
    json!({ "exceptions": [{ "id": hex(0xe), "type": name, "message": "m" }] })
}

#[track_caller]
fn check_fault(sent: &[Value], expected: &str) {
    assert_eq!(outline(&RootCauses::of(&trace(sent)).fault), expected, "{sent:#?}");
}

/// A root that failed, with these subsegments.
#[expect(clippy::needless_pass_by_value, reason = "what the macro makes is passed on")]
fn root(subsegments: Value) -> Value {
    document(1, "root", json!({ "fault": true, "subsegments": subsegments }))
}

fn failed(id: u64, name: &str, changes: Value) -> Value {
    let mut failed = within(id, name, changes);
    failed["fault"] = json!(true);
    failed
}

#[test]
fn a_mark_alone_is_no_cause() {
    check_fault(&[root(json!([]))], "");
    check_fault(&[root(json!([failed(2, "a", json!({}))]))], "");
    check_fault(&[document(1, "root", json!({ "cause": thrown("E") }))], "");
}

#[test]
fn the_way_ends_at_the_exception() {
    let with_cause =
        |cause: Value| document(1, "root", json!({ "fault": true, "cause": cause, "origin": "O" }));
    check_fault(&[with_cause(thrown("E"))], "client: root[O](root!E:m)");
    let status =
        document(1, "root", json!({ "http": { "response": { "status": 503 } }, "cause": thrown("E") }));
    check_fault(&[status], "client: root[](root!E:m)");
    let deep = failed(3, "deep", json!({ "cause": thrown("E") }));
    check_fault(
        &[root(json!([failed(2, "a", json!({ "subsegments": [deep] }))]))],
        "client: root[](root a deep!E:m)",
    );
    let mut own = root(json!([failed(2, "a", json!({ "cause": thrown("A") }))]));
    own["cause"] = thrown("R");
    check_fault(&[own], "client: root[](root!R:m a!A:m)");
}

#[test]
fn a_part_with_an_exception_beats_one_without_and_an_unmarked_one_is_ignored() {
    let with = failed(9, "with", json!({ "cause": thrown("E") }));
    let without = failed(2, "without", json!({}));
    let unmarked = within(3, "unmarked", json!({ "cause": thrown("U") }));
    check_fault(&[root(json!([without, unmarked, with]))], "client: root[](root with!E:m)");
    let same = |id| failed(id, &format!("{id}"), json!({ "cause": thrown("E") }));
    check_fault(&[root(json!([same(4), same(3)]))], "client: root[](root 3!E:m)");
    let untraced = failed(2, "peer", json!({ "namespace": "remote" }));
    let thrower = failed(9, "thrower", json!({ "cause": thrown("E") }));
    check_fault(&[root(json!([untraced, thrower]))], "client: root[](root thrower!E:m)");
}

#[test]
fn a_failed_call_that_is_not_traced_leads_to_an_inferred_service() {
    let call = |changes: Value| {
        let mut call = failed(2, "peer", changes);
        call["namespace"] = json!("remote");
        root(json!([call]))
    };
    check_fault(&[call(json!({}))], "client: root[](root peer*) > ~peer[remote](peer)");
    check_fault(
        &[call(json!({ "cause": thrown("E") }))],
        "client: root[](root peer*!E:m) > ~peer[remote](peer)",
    );
    let table = json!({ "namespace": "aws", "aws": { "operation": "Get", "table_name": "t" } });
    check_fault(
        &[root(json!([failed(2, "DynamoDB", table)]))],
        "client: root[](root DynamoDB*) > ~t[AWS::DynamoDB::Table](DynamoDB)",
    );
}

#[test]
fn the_way_goes_on_in_the_service_that_answers() {
    let call = failed(2, "peer", json!({ "namespace": "remote" }));
    let back = |changes| document(3, "back", changes);
    let api = root(json!([call]));
    let parent = hex(2);
    check_fault(
        &[api.clone(), back(json!({ "parent_id": parent, "fault": true, "cause": thrown("E") }))],
        "client: root[](root peer*) > back[](back!E:m)",
    );
    check_fault(&[api, back(json!({ "parent_id": parent, "fault": true }))], "");
    let dial = failed(9, "dial", json!({ "cause": thrown("D") }));
    let call = failed(2, "peer", json!({ "namespace": "remote", "subsegments": [dial] }));
    check_fault(
        &[root(json!([call])), back(json!({ "parent_id": parent, "fault": true, "cause": thrown("E") }))],
        "client: root[](root peer*) > back[](back!E:m)",
    );
}

#[test]
fn below_a_root_that_did_not_fail_the_way_begins_at_the_service_that_did() {
    let quiet = |subsegments: Value| document(1, "root", json!({ "subsegments": subsegments }));
    let local = failed(2, "a", json!({ "cause": thrown("E") }));
    check_fault(&[quiet(json!([local]))], "");
    let call = failed(2, "peer", json!({ "namespace": "remote" }));
    let back = document(3, "back", json!({ "parent_id": hex(2), "fault": true, "cause": thrown("E") }));
    check_fault(&[quiet(json!([call])), back.clone()], "back[](back!E:m)");
    check_fault(&[quiet(json!([call]))], "~peer[remote](peer)");
    // An exception, although the other failed earlier.
    let earlier = failed(9, "other", json!({ "namespace": "remote", "start_time": 1 }));
    check_fault(&[quiet(json!([call, earlier])), back.clone()], "back[](back!E:m)");
    // The first service that failed, although the last has the earlier clock.
    let last = failed(4, "last", json!({ "namespace": "remote", "start_time": 1 }));
    let middle = document(3, "middle", json!({ "parent_id": hex(2), "fault": true, "subsegments": [last] }));
    check_fault(&[quiet(json!([call])), middle.clone()], "middle[](middle last*) > ~last[remote](last)");
    let thrower = json!({ "parent_id": hex(4), "fault": true, "cause": thrown("E"), "start_time": 1 });
    check_fault(
        &[quiet(json!([call])), middle, document(5, "last", thrower)],
        "middle[](middle last*) > last[](last!E:m)",
    );
    let orphan = document(3, "back", json!({ "parent_id": hex(9), "fault": true, "cause": thrown("E") }));
    check_fault(&[orphan], "back[](back!E:m)");
}

/// As recorded: the front knows of nothing, the back failed with a fault, the database the back calls throttles.
#[test]
fn a_throttled_call_is_the_cause_of_an_error() {
    let call = failed(2, "back", json!({ "namespace": "remote" }));
    let sent = [
        document(1, "front", json!({ "subsegments": [call] })),
        document(3, "back", json!({ "parent_id": hex(2), "fault": true, "cause": thrown("Owned") })),
        alone(
            4,
            3,
            "database",
            json!({ "namespace": "aws", "throttle": true, "http": { "response": { "status": 429 } },
                    "aws": { "operation": "GetItem", "table_name": "t" } }),
        ),
    ];
    let marked = within(2, "peer", json!({ "namespace": "remote", "throttle": true }));
    let marked = document(1, "front", json!({ "throttle": true, "subsegments": [marked] }));
    let causes = RootCauses::of(&trace(&[marked]));
    assert_eq!(outline(&causes.error), "client: front[](front peer*) > ~peer[remote](peer)");
    let causes = RootCauses::of(&trace(&sent));
    assert_eq!(outline(&causes.error), "~database[AWS::database](database)");
    assert_eq!(outline(&causes.fault), "back[](back!Owned:m)");
    let written = json!([{ "ClientImpacting": false, "Services": [{
        "AccountId": null, "Name": "database", "Names": ["database"], "Type": "AWS::database", "Inferred": true,
        "EntityPath": [{ "Name": "database", "Exceptions": [], "Remote": false }] }] }]);
    assert_eq!(serde_json::to_value(&causes.error).unwrap(), written);
}

#[test]
fn a_cause_may_be_an_id() {
    let child = |cause: Value| failed(2, "child", json!({ "cause": cause }));
    let with = |cause: Value, child: Value| {
        let mut root = root(json!([child]));
        root["cause"] = cause;
        root
    };
    let expected = "client: root[](root!E:m child!E:m)";
    check_fault(&[with(json!(hex(0xe)), child(thrown("E")))], expected);
    check_fault(&[with(json!(hex(2)), child(thrown("E")))], expected);
    check_fault(&[with(json!({ "id": hex(2) }), child(thrown("E")))], expected);
    check_fault(&[with(json!({ "id": hex(2), "exceptions": [] }), child(thrown("E")))], expected);
    check_fault(&[with(json!({ "id": hex(1) }), child(json!({ "id": hex(2) })))], "");
    for odd in
        [json!("nobody"), json!(3), json!({ "exceptions": 3 }), json!({ "exceptions": [3] }), json!({})]
    {
        check_fault(&[with(odd, child(Value::Null))], "");
    }
    let bare = json!({ "exceptions": [{}] });
    check_fault(&[with(bare, child(Value::Null))], "client: root[](root!:)");
}

#[test]
fn services_that_call_each_other_in_a_circle_or_for_ever_are_survived() {
    let call = |id, changes: Value| failed(id, "call", changes);
    let remote = json!({ "namespace": "remote" });
    let service = |id: u64, parent: Value, call: Value| {
        document(id, "s", json!({ "fault": true, "parent_id": parent, "subsegments": [call] }))
    };
    check_fault(
        &[
            service(1, json!(hex(4)), call(2, remote.clone())),
            service(3, json!(hex(2)), call(4, remote.clone())),
        ],
        "",
    );
    let long: Vec<_> = (0..20_000_u64)
        .map(|at| {
            let parent = if at == 0 { Value::Null } else { json!(hex(2 * at)) };
            service(2 * at + 1, parent, call(2 * at + 2, remote.clone()))
        })
        .collect();
    let causes = RootCauses::of(&trace(&long));
    assert_eq!(causes.fault[0].services.len(), 20_001);
}

#[track_caller]
fn check_time(sent: &[Value], expected: &str) {
    assert_eq!(outline(&RootCauses::of(&trace(sent)).response_time), expected);
}

#[test]
fn the_way_of_the_time_follows_what_takes_more_than_half_of_it() {
    let timed = |id, name: &str, start: f64, end: f64, more: Value| {
        let mut timed = within(id, name, more);
        (timed["start_time"], timed["end_time"]) = (json!(start), json!(end));
        timed
    };
    let root = |subsegments: Value| document(1, "root", json!({ "subsegments": subsegments }));
    let half = timed(2, "half", 10.1, 15.1, json!({}));
    check_time(&[root(json!([half]))], "");
    let six = timed(2, "six", 10.0, 16.0, json!({}));
    let seven = timed(
        3,
        "seven",
        11.0,
        18.0,
        json!({ "subsegments": [timed(4, "in", 12.0, 18.0, json!({})), half] }),
    );
    check_time(&[root(json!([six, seven]))], "client: root[](root=1 seven=0.7 in=0.6)");
    let open = within(5, "open", json!({ "in_progress": true, "end_time": null }));
    check_time(&[root(json!([open]))], "");
    check_time(&[document(1, "root", json!({ "end_time": 10.0, "subsegments": [six] }))], "");
    let call = timed(
        2,
        "peer",
        10.0,
        17.5,
        json!({ "namespace": "remote", "subsegments": [timed(4, "dial", 10.0, 17.5, json!({}))] }),
    );
    let called = root(json!([call]));
    check_time(std::slice::from_ref(&called), "client: root[](root=1 peer*=0.75) > ~peer[remote](peer=0.75)");
    let back = document(3, "back", json!({ "parent_id": hex(2) }));
    check_time(&[called, back], "client: root[](root=1 peer*=0.75)");
    check_time(&[document(1, "root", json!({ "parent_id": hex(9), "subsegments": [six] }))], "");
}
