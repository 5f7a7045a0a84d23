//! Which traces match which expressions.

use super::super::Selector;
use super::IN_USE;
use super::traces::{Trace, all_names, call, check, segment, status};
use serde_json::{Value, json};

/// Asks expressions of one trace.
#[track_caller]
fn check_one(documents: Value, matching: &[&str], others: &[&str]) {
    let trace = Trace::new("one", documents);
    for expression in matching {
        assert!(trace.matches(expression), "{expression}");
    }
    for expression in others {
        assert!(!trace.matches(expression), "{expression}");
    }
}

#[test]
fn every_expression_in_use_finds_what_it_is_about() {
    for (expression, expected) in IN_USE {
        check(expression, expected);
    }
}

#[test]
fn of_a_trace_the_root_alone_says_how_it_went() {
    let child = json!({ "fault": true, "http": { "request": { "url": "http://in/", "method": "PUT",
        "user_agent": "agent", "client_ip": "10.0.0.1" }, "response": { "status": 500 } } });
    let root = json!({ "http": { "request": { "url": "http://out/", "method": "GET", "user_agent": "curl",
        "client_ip": "10.0.0.2" }, "response": { "status": 200 } },
        "subsegments": [call(2, "b", 104.0, json!({ "fault": true }))] });
    check_one(
        json!([segment(1, None, "a", 102.0, root), segment(3, Some(2), "b", 105.0, child)]),
        &[
            "ok",
            "responsetime = 2",
            "http.status = 200",
            "http.url = \"http://out/\"",
            "http.method = GET",
            "http.useragent BEGINSWITH \"cu\"",
            "http.clientip ENDSWITH \".2\"",
            "duration = 5",
        ],
        &["fault", "error", "http.status = 500", "http.url CONTAINS \"in\"", "http.method = PUT"],
    );
}

#[test]
fn of_several_roots_the_earliest_counts() {
    let early = |mut segment: Value| {
        segment["start_time"] = json!(99);
        segment
    };
    let (one, two) = (json!({ "fault": true }), json!({ "error": true }));
    check_one(
        json!([segment(1, None, "late", 101.0, one), early(segment(2, None, "early", 101.0, two))]),
        &["error", "responsetime = 2", "service(\"early\") { root }", "service(\"late\") { !root }"],
        &["fault", "service(\"late\") { root }"],
    );
}

/// As recorded of X-Ray: `HasThrottle` is true and `HasError` is false.
#[test]
fn a_throttled_root_is_throttle_only() {
    for fields in [
        json!({ "http": status(429) }),
        json!({ "error": true, "throttle": true }),
        json!({ "throttle": true }),
    ] {
        check_one(
            json!([segment(1, None, "a", 101.0, fields)]),
            &["throttle", "!ok", "!error", "service(\"a\") { throttle }", "throttle = true", "error != true"],
            &["error", "ok", "fault", "service(\"a\") { error }"],
        );
    }
}

#[test]
fn a_status_says_as_much_as_a_flag() {
    let with = |code: i32| json!([segment(1, None, "a", 101.0, json!({ "http": status(code) }))]);
    check_one(with(404), &["error", "http.status = 404", "http.status < 500"], &["fault", "throttle", "ok"]);
    check_one(with(503), &["fault", "http.status >= 500"], &["error", "ok"]);
    check_one(with(302), &["ok", "http.status != 200"], &["error", "fault"]);
}

#[test]
fn a_duration_is_null_while_a_segment_is_in_progress() {
    let open = json!({ "id": 2, "parent_id": 1, "name": "b", "start_time": 100, "in_progress": true });
    check_one(
        json!([segment(1, None, "a", 103.0, json!({})), open]),
        &["responsetime = 3", "service(\"a\") { duration = 3 }", "!duration >= 2", "service(\"b\") { ok }"],
        &[
            "duration >= 2",
            "duration < 2",
            "duration != 2",
            "service(\"b\") { duration >= 0 OR responsetime >= 0 }",
        ],
    );
}

/// Recorded of X-Ray.
#[test]
fn a_root_in_progress_is_ok_and_has_no_duration() {
    let open = json!({ "id": 1, "name": "x", "start_time": 100, "in_progress": true });
    check_one(
        json!([open]),
        &["service(\"x\") { root AND ok }", "ok"],
        &[
            "service(\"x\") { root AND ok AND duration >= 2 }",
            "duration >= 2",
            "responsetime >= 0",
            "partial",
        ],
    );
}

#[test]
fn times_are_those_x_ray_shows() {
    check_one(
        json!([segment(1, None, "a", 100.414_594_2, json!({}))]),
        &["responsetime = 0.415", "duration = 0.415", "service() { responsetime = 0.415 }"],
        &["responsetime < 0.415"],
    );
    // An end before the start is taken, and no duration is known.
    check_one(
        json!([segment(1, None, "a", 99.0, json!({}))]),
        &["ok"],
        &["duration < 0", "duration >= 0", "responsetime != 3"],
    );
}

#[test]
fn a_trace_is_partial_when_a_parent_is_missing() {
    let orphan = |parent: u64| {
        json!({ "id": 9, "parent_id": parent, "type": "subsegment", "name": "s", "start_time": 100,
                "end_time": 101 })
    };
    let root = || {
        let local = json!({ "id": 2, "name": "local", "start_time": 100,
            "subsegments": [call(3, "b", 101.0, json!({ "http": { "request": { "traced": true } } }))] });
        segment(1, None, "a", 101.0, json!({ "subsegments": [local] }))
    };
    // A traced downstream that never came does not make it partial.
    check_one(json!([root()]), &["!partial", "partial = false"], &["partial"]);
    check_one(json!([root(), segment(4, Some(3), "b", 101.0, json!({}))]), &[], &["partial"]);
    for known in [1, 2, 3] {
        check_one(json!([root(), orphan(known)]), &[], &["partial"]);
    }
    check_one(json!([root(), orphan(77)]), &["partial", "ok"], &[]);
    check_one(json!([root(), segment(4, Some(77), "b", 101.0, json!({}))]), &["partial = true"], &[]);
}

#[test]
fn users_places_and_annotations_are_those_of_any_segment() {
    let below = json!({ "user": "alice", "resource_arn": "arn:aws:x", "annotations": { "depth": 1 },
        "aws": { "ec2": { "availability_zone": "eu-1a", "instance_id": "i-1" } },
        "subsegments": [{ "id": 7, "name": "l", "annotations": { "depth": 2, "deep": true } }] });
    check_one(
        json!([
            segment(1, None, "a", 101.0, json!({ "user": "bob", "annotations": { "depth": 0 } })),
            segment(2, Some(1), "b", 101.0, below)
        ]),
        &[
            "user = \"alice\" AND user = \"bob\"",
            "user != \"bob\"",
            "user CONTAINS \"\"",
            "availabilityzone = \"eu-1a\"",
            "instance.id ENDSWITH \"1\"",
            "resource.arn BEGINSWITH \"arn:\"",
            "annotation.depth = 2 AND annotation.depth = 0 AND annotation.depth < 1",
            "annotation.deep",
            "service(\"b\") { user = \"alice\" AND annotation.depth = 2 AND instance.id = \"i-1\" }",
        ],
        &[
            "service(\"a\") { user = \"alice\" }",
            "service(\"a\") { annotation.depth = 2 }",
            "service(\"a\") { instance.id }",
            "service(\"b\") { user = \"bob\" }",
            "user = \"Alice\"",
        ],
    );
}

#[test]
fn annotations_are_compared_as_what_they_are() {
    let annotations =
        json!({ "t": "Value", "n": 30, "yes": true, "no": false, "empty": "", "digits": "12345" });
    check_one(
        json!([segment(1, None, "a", 101.0, json!({ "annotations": annotations }))]),
        &[
            "annotation.t",
            "annotation.t BEGINSWITH \"Val\" AND annotation.t ENDSWITH \"ue\" AND annotation.t CONTAINS \"al\"",
            "annotation.t != \"value\"",
            "annotation.n >= 30 AND annotation.n <= 30 AND annotation.n > 29.5 AND annotation.n < 31",
            "annotation.n != 31",
            "annotation.yes AND annotation.yes = true AND annotation.no = false AND annotation.no != true",
            "annotation.empty AND annotation.empty = \"\" AND annotation.empty CONTAINS \"\"",
            "!annotation.no",
            "!annotation.absent",
            "!annotation.absent != \"x\"",
        ],
        &[
            "annotation.t = \"value\"",
            "annotation.T",
            "annotation.t CONTAINS \"VAL\"",
            "annotation.t != \"Value\"",
            // Of another type: neither equal nor different.
            "annotation.t != 3",
            "annotation.t > \"A\"",
            "annotation.n = \"30\"",
            "annotation.n != \"30\"",
            "annotation.digits = 12345",
            "annotation.yes = \"true\"",
            "annotation.yes > 0",
            "annotation.no",
            "annotation.absent",
            "annotation.absent != \"x\"",
            "annotation.absent != 1",
        ],
    );
}

/// Recorded of X-Ray: no error, and no match.
#[test]
fn a_value_of_another_type_matches_nothing() {
    for expression in [
        "duration = \"slow\"",
        "duration != \"slow\"",
        "http.url = 3",
        "http.url != 3",
        "http.url > \"a\"",
        "http.status CONTAINS \"2\"",
        "ok = \"true\"",
        "ok != 1",
        "ok > false",
        "group.name = 3",
        "group.name CONTAINS \"Def\"",
    ] {
        check(expression, "");
    }
    check("!annotation.nobody_has_this", &all_names());
}

#[test]
fn what_is_not_there_is_neither_equal_nor_different() {
    check("http.status != 99999", "plain, game, shop, gateway, throttled");
    check("http.url", "plain, game, shop, gateway");
    check("!http.url AND http.status > 0", "throttled");
    check("user", "game, orphan, open");
    check("service() { type != \"x\" AND root }", "lambda, random, typed");
}

#[test]
fn and_binds_tighter_than_or() {
    check("user OR ok AND throttle", "game, orphan, open");
    check("(user OR ok) AND throttle", "");
    check("throttle OR user duration > 5", "game, throttled");
}

#[test]
fn all_in_one_pair_of_braces_is_asked_of_the_same_service() {
    check_one(
        json!([
            segment(1, None, "a", 105.0, json!({ "fault": true, "http": status(500) })),
            segment(2, Some(1), "a", 101.0, json!({ "error": true, "annotations": { "k": 1 } }))
        ]),
        &[
            "service(\"a\") { fault AND responsetime > 4 AND http.status = 500 AND root }",
            "service(\"a\") { error } AND service(\"a\") { fault }",
            "service { error AND annotation.k = 1 AND name = \"a\" }",
            "service(\"a\") { !fault }",
        ],
        &[
            "service(\"a\") { fault AND error }",
            "service(\"a\") { fault AND annotation.k = 1 }",
            "service(\"a\") { error AND responsetime > 4 }",
            "service(\"b\")",
            "service(\"A\")",
            "service(\"\")",
            "!service(\"a\") { fault }",
        ],
    );
}

#[test]
fn what_no_segment_answers_is_a_service_too() {
    let aws = json!({ "namespace": "aws", "throttle": true, "aws": { "operation": "GetItem", "table_name": "users" },
        "http": status(400), "annotations": { "k": 1 } });
    let root = json!({ "aws": { "account_id": "1" }, "subsegments": [
        call(2, "DynamoDB", 100.6, aws), call(3, "peer", 104.0, json!({ "fault": true })),
        { "id": 4, "name": "db@host", "start_time": 100, "end_time": 102, "sql": {} }] });
    check_one(
        json!([segment(1, None, "a", 103.0, root), segment(5, Some(3), "answers", 103.0, json!({}))]),
        &[
            "service() { throttle }",
            "service(\"users\") { throttle AND inferred AND responsetime = 0.5 AND http.status = 400 }",
            "service(id(name: \"users\", type: \"AWS::DynamoDB::Table\")) { type = \"AWS::DynamoDB::Table\" }",
            "service(id(type: \"Database::SQL\")) { ok AND duration = 2 AND name = \"db@host\" }",
            "service(\"answers\") { !inferred AND ok }",
            "inferred",
            "service(\"a\") { annotation.k = 1 }",
        ],
        &[
            "throttle",
            // The node is the table.
            "service(\"DynamoDB\")",
            // A segment of another name answers.
            "service(\"peer\")",
            "service() { fault }",
            "service(\"users\") { annotation.k = 1 }",
            "service(\"users\") { error }",
            "service(id(name: \"users\", account.id: \"1\"))",
            "service(id(name: \"users\", type: \"remote\"))",
            "service(\"users\") { root }",
        ],
    );
    check("inferred", "pair");
}

#[test]
fn an_edge_is_what_the_caller_saw() {
    let from = json!({ "subsegments": [call(2, "b.example.com", 103.1, json!({ "fault": true, "http": status(504) }))],
        "annotations": { "k": "from", "a": 1 }, "user": "alice", "http": { "request": { "url": "http://a/" } } });
    let to = json!({ "http": { "request": { "url": "http://b/x" }, "response": { "status": 200 } },
        "annotations": { "k": "to", "b": 1 } });
    check_one(
        json!([segment(1, None, "a", 104.0, from), segment(3, Some(2), "b", 101.0, to)]),
        &[
            "edge(\"a\", \"b\")",
            "edge(\"a\", \"b\") { fault AND responsetime = 3 AND duration = 3 AND http.status = 504 }",
            "edge(\"a\", \"b\") { http.url = \"http://b/x\" AND user = \"alice\" }",
            "edge(\"a\", \"b\") { source.annotation.k = \"from\" AND destination.annotation.k = \"to\" }",
            "edge(\"a\", \"b\") { annotation.a = 1 AND annotation.b = 1 }",
            "edge(id(type: \"client\"), \"a\") { ok AND responsetime = 4 AND destination.annotation.a = 1 }",
            "edge(id(name: \"a\", type: \"client\"), id(name: \"a\"))",
            "service(id(type: \"client\"))",
        ],
        &[
            "edge(\"b\", \"a\")",
            "edge(\"a\", \"b.example.com\")",
            "edge(\"a\", \"b\") { ok }",
            "edge(\"a\", \"b\") { http.url = \"http://a/\" }",
            "edge(\"a\", \"b\") { source.annotation.k = \"to\" }",
            "edge(\"a\", \"b\") { destination.annotation.a }",
            "edge(id(type: \"client\"), \"b\")",
            "edge(id(type: \"client\"), \"a\") { source.annotation.a = 1 }",
            // The client has the name of the root, but is not it.
            "edge(\"a\", \"a\")",
            "service(id(type: \"client\")) { ok }",
            "service(\"a\") { type = \"client\" }",
        ],
    );
}

#[test]
fn an_edge_leads_to_what_no_segment_answers_and_from_segment_to_segment() {
    let root = json!({ "subsegments": [call(2, "queue", 100.5, json!({ "error": true }))] });
    check_one(
        json!([
            segment(1, None, "a", 104.0, root),
            segment(3, Some(1), "b", 101.0, json!({ "fault": true }))
        ]),
        &[
            "edge(\"a\", \"queue\") { error }",
            "edge(\"a\", id(name: \"queue\", type: \"remote\"))",
            // Without a call between, the callee says how it went.
            "edge(\"a\", \"b\") { fault AND responsetime = 1 }",
        ],
        &[
            "edge(\"a\", \"queue\") { annotation.k }",
            "edge(\"queue\", \"a\")",
            "edge(\"a\", id(type: \"t\"))",
        ],
    );
}

#[test]
fn a_subsegment_sent_by_itself_belongs_to_the_segment_above_it() {
    let by_itself = |id: u64, parent: u64, more: Value| {
        let mut subsegment = segment(id, Some(parent), "work", 106.0, more);
        subsegment["type"] = json!("subsegment");
        subsegment
    };
    let waiting =
        json!({ "id": 2, "name": "peer", "namespace": "remote", "start_time": 100, "in_progress": true });
    let root =
        json!({ "subsegments": [waiting, { "id": 8, "name": "local", "start_time": 100, "end_time": 101 }] });
    let done = json!({ "name": "peer", "namespace": "remote", "fault": true, "annotations": { "k": 1 } });
    check_one(
        json!([
            by_itself(9, 7, json!({ "annotations": { "deep": 1 } })),
            by_itself(7, 8, json!({})),
            by_itself(2, 1, done),
            segment(1, None, "a", 102.0, root),
            segment(5, Some(1), "b", 101.0, json!({}))
        ]),
        &[
            "service(\"a\") { annotation.k = 1 AND annotation.deep = 1 }",
            // The complete one of the two counts.
            "service(\"peer\") { fault AND responsetime = 6 }",
            "edge(\"a\", \"peer\") { fault AND source.annotation.k = 1 }",
            // What it started outlives it.
            "service(\"a\") { duration = 6 AND responsetime = 2 }",
            "!partial",
        ],
        &[
            "service(\"b\") { annotation.k }",
            "service(\"work\")",
            "service(\"peer\") { ok }",
            "edge(\"b\", \"peer\")",
        ],
    );
    // Nothing is known of whose call it is.
    let done = json!({ "name": "peer", "namespace": "remote", "annotations": { "k": 1 } });
    check_one(
        json!([by_itself(2, 1, done)]),
        &["annotation.k", "partial"],
        &["service()", "duration >= 0", "ok"],
    );
}

/// Where its own document and the one that mentions it differ, its own is right.
#[test]
fn a_subsegment_says_itself_where_it_belongs() {
    let mentions = json!({ "subsegments": [{ "id": 5, "name": "work", "start_time": 100 }] });
    let by_itself = |id: u64, parent: u64| {
        segment(id, Some(parent), "work", 101.0, json!({ "type": "subsegment", "annotations": { "k": id } }))
    };
    check_one(
        json!([
            segment(1, None, "a", 101.0, mentions),
            segment(2, Some(1), "b", 101.0, json!({})),
            by_itself(5, 2),
            by_itself(6, 5)
        ]),
        &["service(\"b\") { annotation.k = 5 AND annotation.k = 6 }"],
        &["service(\"a\") { annotation.k }"],
    );
}

#[test]
fn parents_in_a_circle_are_nobody() {
    let by_itself = |id: u64, parent: u64| {
        segment(id, Some(parent), "work", 101.0, json!({ "type": "subsegment", "annotations": { "k": 1 } }))
    };
    check_one(
        json!([
            segment(1, Some(1), "a", 101.0, json!({})),
            by_itself(2, 3),
            by_itself(3, 2),
            by_itself(4, 4)
        ]),
        &["service(\"a\") { !root }", "annotation.k = 1", "!ok", "partial"],
        &["edge(\"a\", \"a\")", "service() { annotation.k }", "responsetime >= 0"],
    );
}

/// Each below the one before: what belongs to the segment is found in the time it takes to read the rows.
#[test]
fn subsegments_sent_one_by_one_may_go_deep() {
    let mut documents = vec![segment(1, None, "a", 101.0, json!({}))];
    for id in 2..10_000 {
        let annotations = json!({ "depth": id });
        let more = json!({ "type": "subsegment", "annotations": annotations });
        documents.push(segment(id, Some(id - 1), "work", 101.0, more));
    }
    documents.reverse();
    check_one(
        json!(documents),
        &["service(\"a\") { annotation.depth = 9999 }", "!partial"],
        &["service(\"a\") { annotation.depth = 10000 }"],
    );
}

#[test]
fn a_service_is_known_by_name_type_and_account() {
    let fields = json!({ "origin": "AWS::EC2::Instance", "aws": { "account_id": "123" } });
    let long = "é".repeat(300);
    check_one(
        json!([segment(1, None, "a", 101.0, fields), segment(2, Some(1), &long, 101.0, json!({}))]),
        &[
            "service(id(name: \"a\", type: \"AWS::EC2::Instance\", account.id: \"123\"))",
            "service(id(account.id: \"123\")) { type ENDSWITH \"Instance\" AND account.id = \"123\" }",
            "service(\"a\") { name = \"a\" AND type }",
            &format!("service(\"{}\") {{ !type }}", &long[..400]),
        ],
        &["service(id(name: \"a\", type: \"remote\"))", "service(id(name: \"a\", account.id: \"1\"))"],
    );
}

#[test]
fn the_client_is_meant_only_by_its_type() {
    let typed = |r#type: &str| Selector { r#type: Some(r#type.to_owned()), ..Selector::default() };
    let named = Selector { name: Some("a".to_owned()), ..Selector::default() };
    assert!(typed("client").matches_client("a", None));
    assert!(!typed("remote").matches_client("a", None));
    assert!(!named.matches_client("a", None) && named.matches("a", None, None));
    assert!(!Selector::default().matches_client("a", None));
}
