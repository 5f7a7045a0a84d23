//! Records of documents, and that both ways to read them say the same.

use super::*;
use serde_json::json;

#[expect(clippy::needless_pass_by_value, reason = "what the macro makes is passed on")]
fn record(changes: Value) -> Record {
    let mut segment = json!({ "name": "api", "id": "70de5b6f19ff9a0a",
        "trace_id": "1-581cf771-a006649127e371903a2de979", "start_time": 10.0, "end_time": 12.5 });
    for (key, value) in changes.as_object().unwrap() {
        segment[key] = value.clone();
    }
    Record::of(&Document::parse(segment.to_string().as_bytes()).unwrap(), 7, 13.0)
}

#[test]
fn a_status_says_as_much_as_a_flag() {
    let outcome = |changes| record(changes).outcome;
    let response = |status| json!({ "http": { "response": { "status": status } } });
    assert!(outcome(json!({})).is_ok());
    assert!(outcome(response(200)).is_ok());
    assert!(outcome(response(404)).error && !outcome(response(404)).throttle);
    let throttled = outcome(response(429));
    assert!(throttled.throttle && throttled.error && !throttled.fault);
    assert!(outcome(response(503)).fault && outcome(json!({ "fault": true })).fault);
    let text = json!({ "http": { "response": { "status": "500" } } });
    assert_eq!(record(text).status, Some(500));
}

#[test]
fn calls_and_annotations_are_found_at_any_depth() {
    let found = record(json!({
        "annotations": { "tenant": "a", "list": [1] },
        "subsegments": [
            { "name": "work", "id": "000000000000000A", "annotations": { "tenant": "b" }, "subsegments": [
                { "name": "peer", "id": "000000000000000b", "namespace": "remote", "start_time": 1,
                  "end_time": 2, "fault": true, "annotations": { "n": 3, "ok": true, "tenant": "a" } } ] },
            { "name": "no id", "namespace": "remote" } ]
    }));
    let row = found.row();
    assert_eq!(
        row.annotation("tenant"),
        [Annotation::Text("a".to_owned()), Annotation::Text("b".to_owned())]
    );
    assert_eq!(row.annotation("n"), [Annotation::Number(3.0)]);
    assert_eq!(row.annotations().len(), 4, "{}", found.annotations);
    assert_eq!(row.locals().collect::<Vec<_>>(), [SegmentId(10)]);
    let calls = row.calls();
    assert_eq!((calls[0].id, calls[0].start, calls[0].end), (SegmentId(11), 1.0, Some(2.0)));
    assert!(calls[0].fault && !calls[0].aws && calls.len() == 1, "one without an id is nobody");
}

#[test]
fn of_a_subsegment_listed_twice_the_complete_one_counts() {
    let open = json!({ "name": "peer", "id": "000000000000000b", "namespace": "remote", "start_time": 1,
                       "in_progress": true });
    let mut ended = open.clone();
    ended["end_time"] = json!(2);
    for list in [json!([open, ended]), json!([ended, open])] {
        let found = record(json!({ "subsegments": list }));
        let calls = found.row().calls();
        assert_eq!((calls.len(), calls[0].end), (1, Some(2.0)));
    }
}

#[test]
fn a_subsegment_sent_by_itself_is_its_own_first_call() {
    let found = record(json!({ "type": "subsegment", "parent_id": "000000000000000c", "namespace": "aws",
        "name": "S3", "subsegments": [{ "id": "000000000000000d", "name": "x" }] }));
    assert_eq!(found.kind, Kind::Subsegment);
    let calls = found.row().calls();
    assert!(calls[0].id == found.id && calls[0].aws && calls[0].callee() == "S3");
    assert_eq!(found.row().locals().collect::<Vec<_>>(), [SegmentId(13)]);
}

#[test]
fn the_first_complete_document_counts() {
    let id = |changes, sequence| Record { sequence, ..record(changes) };
    let open = || json!({ "in_progress": true, "end_time": null });
    let all =
        [id(open(), 1), id(json!({ "name": "one" }), 2), id(json!({ "name": "two" }), 3), id(open(), 4)];
    let settled = |records: &[Record]| {
        let mut rows: Vec<_> = records.iter().map(Record::row).collect();
        super::super::row::settle(&mut rows);
        rows.iter().map(|row| (row.sequence, row.name.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(settled(&all), [(2, "one".to_owned())]);
    assert_eq!(settled(&[all[0].clone(), all[3].clone()]), [(4, "api".to_owned())]);
}
