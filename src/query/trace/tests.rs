use super::made::{TRACE_ID, alone, document, hex, stored, trace, within};
use super::*;
use serde_json::json;

/// The documents of an answer, read again.
fn documents(trace: &Trace) -> Vec<Value> {
    let documents = trace.documents().into_iter();
    documents.map(|segment| serde_json::from_str(&segment.document).unwrap()).collect()
}

/// Names of a part and those below, `a[b c[d]]`.
fn outline(part: &Value) -> String {
    let name = part["name"].as_str().unwrap();
    match part.get("subsegments").and_then(Value::as_array) {
        None => name.to_owned(),
        Some(below) => format!("{name}[{}]", below.iter().map(outline).collect::<Vec<_>>().join(" ")),
    }
}

#[track_caller]
fn check(sent: &[Value], expected: &[&str], orphans: &[&str]) {
    let mut sent = sent.to_vec();
    for _ in 0..sent.len() {
        let trace = trace(&sent);
        assert_eq!(documents(&trace).iter().map(outline).collect::<Vec<_>>(), expected, "{sent:#?}");
        assert_eq!(trace.orphans().map(Part::name).collect::<Vec<_>>(), orphans);
        sent.rotate_left(1);
    }
}

#[test]
fn subsegments_sent_by_themselves_stand_in_their_parents_whatever_came_first() {
    check(
        &[
            alone(4, 3, "grandchild", json!({})),
            alone(3, 1, "child", json!({ "subsegments": [within(5, "inside", json!({}))] })),
            document(1, "api", json!({ "subsegments": [within(2, "first", json!({ "start_time": 19 }))] })),
            alone(6, 2, "below first", json!({})),
            alone(7, 5, "below inside", json!({})),
        ],
        &["api[first[below first] child[inside[below inside] grandchild]]"],
        &[],
    );
}

#[test]
fn what_tells_of_the_parent_is_dropped_once_a_subsegment_stands_there() {
    let sent =
        [alone(2, 1, "child", json!({ "metadata": { "type": "kept" } })), document(1, "api", json!({}))];
    let child = &documents(&trace(&sent))[0]["subsegments"][0];
    let expected = json!({ "id": hex(2), "name": "child", "start_time": 10.0, "end_time": 20.0,
                           "metadata": { "type": "kept" } });
    assert_eq!(*child, expected);
}

#[test]
fn ids_are_in_lower_case_wherever_they_are_compared() {
    let sent = [
        document(
            0xa,
            "api",
            json!({ "id": "000000000000000A", "trace_id": "581CF771A006649127E371903A2DE979",
            "subsegments": [{ "id": "000000000000000B", "name": "call", "namespace": "remote" }] }),
        ),
        document(0xc, "back", json!({ "parent_id": "000000000000000B" })),
        alone(0xd, 0xb, "child", json!({})),
    ];
    let found = documents(&trace(&sent));
    assert_eq!(found.iter().map(outline).collect::<Vec<_>>(), ["api[call[child]]", "back"]);
    assert_eq!((&found[0]["id"], &found[0]["trace_id"]), (&json!(hex(0xa)), &json!(TRACE_ID)));
    assert_eq!(found[0]["subsegments"][0]["id"], hex(0xb));
    assert_eq!(found[1]["parent_id"], hex(0xb));
}

#[test]
fn a_subsegment_stays_where_it_stands_whatever_parent_it_names() {
    let deep = within(3, "deep", json!({ "parent_id": hex(1) }));
    let child = within(2, "child", json!({ "parent_id": hex(1), "subsegments": [deep] }));
    check(&[document(1, "api", json!({ "subsegments": [child] }))], &["api[child[deep]]"], &[]);
}

#[test]
fn a_parent_is_rather_the_segment_of_that_id_than_a_subsegment() {
    let api = document(1, "api", json!({ "subsegments": [within(2, "same id", json!({}))] }));
    let sent = [alone(3, 2, "child", json!({})), document(2, "back", json!({ "parent_id": hex(2) })), api];
    check(&sent, &["api[same id]", "back[child]"], &[]);
}

#[test]
fn the_first_complete_document_counts_and_the_last_in_progress_until_then() {
    let open = |name: &str| document(1, name, json!({ "in_progress": true, "end_time": null }));
    let names = |sent: &[Value]| documents(&trace(sent)).iter().map(outline).collect::<Vec<_>>();
    let (one, two) = (document(1, "one", json!({})), document(1, "two", json!({})));
    assert_eq!(names(&[open("a"), one.clone(), two.clone(), open("b")]), ["one"]);
    assert_eq!(names(&[two, one]), ["two"]);
    assert_eq!(names(&[open("a"), open("b")]), ["b"]);
}

#[test]
fn of_a_subsegment_that_comes_twice_the_complete_one_counts() {
    let open = within(
        2,
        "open",
        json!({ "in_progress": true, "end_time": null,
                                         "subsegments": [within(3, "of open", json!({}))] }),
    );
    let open_for_dotnet = within(
        2,
        "open",
        json!({ "end_time": 0,
                                         "subsegments": [within(3, "of open", json!({}))] }),
    );
    let ended = within(2, "ended", json!({ "subsegments": [within(4, "of ended", json!({}))] }));
    let api = |list: Value| document(1, "api", json!({ "subsegments": list }));
    check(&[api(json!([open, ended]))], &["api[ended[of open of ended]]"], &[]);
    check(&[api(json!([open_for_dotnet, ended]))], &["api[ended[of open of ended]]"], &[]);
    check(&[api(json!([ended, open]))], &["api[ended[of ended of open]]"], &[]);
    let ended_alone = alone(2, 1, "ended", json!({ "subsegments": [within(4, "of ended", json!({}))] }));
    check(&[api(json!([open])), ended_alone], &["api[ended[of open of ended]]"], &[]);
}

#[test]
fn orphans_are_kept_apart_until_their_parent_comes() {
    let sent = [
        alone(3, 2, "child", json!({})),
        alone(2, 9, "orphan", json!({ "start_time": 5 })),
        alone(4, 8, "other", json!({ "start_time": 4 })),
    ];
    check(&sent, &[], &["other", "orphan"]);
    let lone = trace(&sent);
    let expected = json!({ "Id": TRACE_ID, "Duration": null, "LimitExceeded": false, "Segments": [] });
    assert_eq!(serde_json::to_value(lone.answer()).unwrap(), expected);
    assert_eq!((lone.start(), lone.is_partial(), lone.root().is_none()), (Some(4.0), true, true));
    let mut more = sent.to_vec();
    more.push(document(9, "api", json!({})));
    check(&more, &["api[orphan[child]]"], &["other"]);
}

#[test]
fn subsegments_that_stand_in_each_other_are_no_endless_trace() {
    check(
        &[
            alone(2, 3, "two", json!({})),
            alone(3, 4, "three", json!({ "start_time": 1 })),
            alone(4, 2, "four", json!({})),
        ],
        &[],
        &["two"],
    );
    check(&[alone(2, 2, "self", json!({}))], &[], &["self"]);
    let inner = within(3, "inner", json!({ "subsegments": [within(2, "again", json!({}))] }));
    let inside_itself = alone(2, 1, "outer", json!({ "subsegments": [inner] }));
    check(&[inside_itself, document(1, "api", json!({}))], &["api[outer[inner]]"], &[]);
    let inside = |id, name: &str| json!({ "subsegments": [within(id, name, json!({}))] });
    let each_other = [alone(2, 9, "two", inside(3, "three")), alone(3, 9, "three", inside(2, "two"))];
    check(&each_other, &[], &["two"]);
}

#[test]
fn segments_that_call_each_other_have_no_root_and_lack_nothing() {
    let call = |id, to: &str| within(id, to, json!({ "namespace": "remote" }));
    let both = trace(&[
        document(1, "a", json!({ "parent_id": hex(4), "subsegments": [call(2, "b")] })),
        document(3, "b", json!({ "parent_id": hex(2), "subsegments": [call(4, "a")] })),
    ]);
    assert!(both.root().is_none() && !both.is_partial());
    assert_eq!(both.documents().len(), 2, "nothing is made up");
}

#[test]
fn documents_that_cannot_be_read_or_are_of_another_trace_are_left_out() {
    let mut sent = stored(&[
        document(1, "api", json!({})),
        document(2, "other", json!({ "trace_id": "1-581cf771-a006649127e371903a2de970" })),
        json!([]),
    ]);
    sent[2].document = "{\"id\":".into();
    let trace = Trace::assemble(TraceId::parse(TRACE_ID).unwrap(), sent);
    assert_eq!(documents(&trace).iter().map(outline).collect::<Vec<_>>(), ["api"]);
    assert!(Trace::assemble(trace.id(), Vec::new()).is_empty());
}

#[test]
fn a_chain_of_any_length_is_shown_with_all_its_parts_and_no_deeper_than_can_be_read() {
    const LENGTH: u64 = 20_000;
    let mut sent: Vec<_> = (2..LENGTH).rev().map(|id| alone(id, id - 1, "link", json!({}))).collect();
    sent.push(document(1, "api", json!({})));
    let trace = trace(&sent);
    let documents = trace.documents();
    // Reading it again fails when it is nested deeper than 128.
    let read: Value = serde_json::from_str(&documents[0].document).unwrap();
    assert!(read["subsegments"][0]["subsegments"].is_array());
    assert_eq!(documents[0].document.matches("\"link\"").count() as u64, LENGTH - 2);
    assert!(trace.exceeds_limit() && trace.answer().limit_exceeded);
}

#[test]
fn a_segment_with_very_many_subsegments_is_put_together_at_once() {
    let mut sent: Vec<_> = (2..30_000).map(|id| alone(id, 1, "one of many", json!({}))).collect();
    let many: Vec<_> = (40_000..70_000).map(|id| within(id, "inside", json!({}))).collect();
    sent.push(document(1, "api", json!({ "subsegments": many })));
    let root = trace(&sent);
    assert_eq!(root.root().unwrap().children().count(), 29_998 + 30_000);
    assert_eq!(root.find(SegmentId(65_000)).unwrap().segment().unwrap().id(), Some(SegmentId(1)));
}

#[test]
fn duration_is_from_the_earliest_start_to_the_latest_end_of_segments_that_all_ended() {
    let one = document(1, "a", json!({ "start_time": 1.5, "end_time": 3 }));
    let two = |end: Value| document(2, "b", json!({ "parent_id": hex(1), "start_time": 2, "end_time": end }));
    let open = document(2, "b", json!({ "in_progress": true, "end_time": null }));
    assert_eq!(trace(&[one.clone(), two(json!(9.75))]).duration(), Some(8.25));
    assert_eq!(trace(&[one.clone(), two(json!(2.5))]).duration(), Some(1.5));
    assert_eq!(trace(&[one.clone(), open]).duration(), None);
    assert_eq!(
        trace(&[document(1, "a", json!({ "end_time": 1 }))]).duration(),
        None,
        "ended before it began"
    );
    let rounded = trace(&[document(1, "a", json!({ "start_time": 0, "end_time": 0.414_594_2 }))]);
    assert_eq!(rounded.answer().duration, Some(0.415));
}

#[test]
fn the_root_is_the_earliest_segment_without_a_parent() {
    let root = |sent: &[Value]| trace(sent).root().map(|root| root.name().to_owned());
    let late = document(1, "late", json!({ "start_time": 12 }));
    let early = document(2, "early", json!({}));
    let called = document(3, "called", json!({ "start_time": 1, "parent_id": hex(9) }));
    assert_eq!(root(&[late.clone(), early, called.clone()]).as_deref(), Some("early"));
    assert_eq!(root(std::slice::from_ref(&called)), None);
    assert!(trace(&[called]).is_partial());
    assert!(!trace(&[late]).is_partial());
}

/// What is sent within a segment, and what is made of it: the subsegment, and the inferred segment but for its id.
#[track_caller]
fn check_inferred(sent: Value, shown: Value, inferred: Option<Value>) {
    let merge = |base: Value, more: Value| {
        let mut all = base;
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let times = json!({ "id": hex(2), "start_time": 10.0, "end_time": 20.0 });
    let api = document(1, "api", json!({ "subsegments": [merge(times.clone(), sent)] }));
    let mut found = documents(&trace(&[api]));
    assert_eq!(found[0]["subsegments"][0], merge(times.clone(), shown));
    let expected = inferred.map(|inferred| {
        let own = json!({ "trace_id": TRACE_ID, "parent_id": hex(2), "inferred": true });
        let mut expected = merge(merge(times, own), inferred);
        expected.as_object_mut().unwrap().remove("id");
        expected
    });
    let mut made = found.drain(1..).map(|mut document| {
        document.as_object_mut().unwrap().remove("id");
        if let Some(time) = document.get_mut("subsegments") {
            time[0].as_object_mut().unwrap().remove("id");
        }
        document
    });
    assert_eq!(made.next(), expected);
    assert_eq!(made.next(), None);
}

#[test]
fn a_remote_call_that_nothing_answers_has_an_inferred_segment_without_origin() {
    let cause = json!({ "exceptions": [{ "id": hex(7), "type": "E" }] });
    let http = json!({ "request": { "url": "http://h/" }, "response": { "status": 500 } });
    let mut traced = http.clone();
    traced["request"]["traced"] = json!(true);
    check_inferred(
        json!({ "name": "h", "namespace": "remote", "fault": true, "http": traced, "cause": cause,
                "annotations": { "n": 1.0 } }),
        json!({ "name": "h", "namespace": "remote", "fault": true, "http": http, "cause": cause,
                "annotations": { "n": 1.0 } }),
        Some(json!({ "name": "h", "fault": true, "http": http })),
    );
    let local = json!({ "name": "work", "namespace": "local" });
    check_inferred(local.clone(), local, None);
    let sql = json!({ "name": "db@h", "namespace": "remote", "sql": { "user": "u" } });
    let inferred = json!({ "name": "db@h", "sql": { "user": "u" }, "origin": "Database::SQL" });
    check_inferred(sql.clone(), sql, Some(inferred));
}

#[test]
fn a_call_of_a_service_of_amazon_has_an_inferred_segment_with_its_resource() {
    let row = |name: &str, sent: Value, shown: Value, origin: &str| {
        let call = |aws: &Value| json!({ "name": name, "namespace": "aws", "aws": aws });
        let inferred = json!({ "name": name, "aws": shown, "origin": origin });
        check_inferred(call(&sent), call(&shown), Some(inferred));
    };
    row(
        "dynamodb",
        json!({ "operation": "GetItem", "table_name": "users" }),
        json!({ "operation": "GetItem", "table_name": "users", "resource_names": ["users"] }),
        "AWS::DynamoDB::Table",
    );
    let plain = json!({ "table_name": "users" });
    row("DynamoDB", plain.clone(), plain, "AWS::DynamoDB");
    let bucket = json!({ "operation": "GetObject", "bucket_name": "b", "resource_names": ["b"] });
    row("S3", bucket.clone(), bucket, "AWS::S3::Bucket");
    row(
        "Odd",
        json!({ "operation": "Do", "table_name": "users", "resource_names": ["users"] }),
        json!({ "operation": "Do", "table_name": "users" }),
        "AWS::Odd",
    );
    let queue =
        json!({ "operation": "SendMessage", "queue_url": "https://q", "resource_names": ["https://q"] });
    let call = json!({ "name": "SQS", "namespace": "aws", "aws": queue });
    let time = json!([{ "name": "QueueTime", "start_time": 10.0, "end_time": 20.0 }]);
    let inferred = json!({ "name": "SQS", "aws": queue, "origin": "AWS::SQS::Queue", "subsegments": time });
    check_inferred(call.clone(), call, Some(inferred));
}

#[test]
fn an_inferred_segment_is_the_same_in_every_answer_and_gone_when_the_real_one_comes() {
    let call = |id| within(id, "back", json!({ "namespace": "remote" }));
    let mut sent = vec![document(1, "api", json!({ "subsegments": [call(2), call(3)] }))];
    let first = trace(&sent).documents();
    let ids: Vec<_> = first.iter().map(|segment| segment.id.clone()).collect();
    assert_eq!((first.len(), first.clone()), (3, trace(&sent).documents()));
    assert!(ids[1] != ids[2] && SegmentId::parse(&ids[1]).is_some());
    assert!(first[1].document.contains(&format!("\"id\":\"{}\"", ids[1])));
    sent.push(document(4, "back", json!({ "parent_id": hex(2) })));
    let now: Vec<_> = trace(&sent).documents().into_iter().map(|segment| segment.id).collect();
    assert_eq!(now, [hex(1), hex(4), ids[2].clone()]);
    sent.push(document(5, "has the id that was made up", json!({ "id": ids[2] })));
    let now: Vec<_> = trace(&sent).documents().into_iter().map(|segment| segment.id).collect();
    assert_eq!(now[..3], [hex(1), hex(4), ids[2].clone()]);
    assert!(now.len() == 4 && now[3] != ids[2]);
}

#[test]
fn documents_are_given_as_x_ray_changes_them() {
    let stack = json!([{ "path": "p", "line": 1, "label": "l" }]);
    let sent = document(
        1,
        "api",
        json!({
            "annotations": { "n": 7, "t": "7", "b": true },
            "metadata": { "default": { "n": 7 } },
            "cause": { "exceptions": [{ "id": hex(8), "stack": [] }, { "id": hex(9), "stack": stack }] },
            "subsegments": [within(2, "s", json!({ "annotations": { "n": 7 }, "subsegments": "none" })), 3],
        }),
    );
    let text = &trace(&[sent]).documents()[0].document;
    assert!(text.contains(r#""annotations":{"b":true,"n":7.0,"t":"7"}"#), "{text}");
    assert!(
        text.contains(r#""annotations":{"n":7.0},"end_time""#) && text.contains(r#"{"default":{"n":7}}"#)
    );
    let read: Value = serde_json::from_str(text).unwrap();
    let exceptions = json!([{ "id": hex(8) }, { "id": hex(9), "stack": stack }]);
    assert_eq!(read["cause"]["exceptions"], exceptions);
    assert_eq!(read["subsegments"].as_array().map(Vec::len), Some(1), "what is no subsegment is none");
}

#[test]
fn a_trace_is_written_as_x_ray_writes_it() {
    let written = serde_json::to_value(trace(&[document(1, "api", json!({}))]).answer()).unwrap();
    let text = format!(
        r#"{{"end_time":20.0,"id":"{}","name":"api","start_time":10.0,"trace_id":"{TRACE_ID}"}}"#,
        hex(1)
    );
    let expected = json!({ "Id": TRACE_ID, "Duration": 10.0, "LimitExceeded": false,
                           "Segments": [{ "Id": hex(1), "Document": text }] });
    assert_eq!(written, expected);
}

#[test]
fn nodes_are_segments_and_what_unanswered_calls_lead_to() {
    let table = within(
        2,
        "DynamoDB",
        json!({ "namespace": "aws", "aws": { "operation": "Get", "table_name": "t" } }),
    );
    let call = within(3, "back", json!({ "namespace": "remote" }));
    let nameless = json!({ "name": "without id", "namespace": "remote" });
    let nodes = trace(&[
        document(1, "api", json!({ "origin": "AWS::EC2::Instance", "aws": { "account_id": "1" }, "subsegments": [table, call, nameless] })),
        document(4, "service", json!({ "parent_id": hex(3) })),
        alone(5, 9, "orphan", json!({ "namespace": "remote" })),
    ])
    .nodes();
    let node =
        |name: &str, kind: Option<&str>, account: Option<&str>| NodeId::of_segment(name, kind, account);
    let expected = [
        node("api", Some("AWS::EC2::Instance"), Some("1")),
        node("service", None, None),
        node("t", Some("AWS::DynamoDB::Table"), None),
    ];
    assert_eq!(nodes, expected);
}

#[test]
fn the_revision_counts_batches() {
    let mut sent =
        stored(&[document(1, "a", json!({})), document(2, "b", json!({})), document(2, "b", json!({}))]);
    sent[1].received_at = sent[0].received_at;
    let trace = Trace::assemble(TraceId::parse(TRACE_ID).unwrap(), sent);
    assert_eq!((trace.revision(), trace.received_at()), (2, 3.0));
}
