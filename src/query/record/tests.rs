//! Records of documents, and that both ways to read them say the same.

use super::*;
use crate::query::Annotation;
use crate::query::callee::AWS_SERVICES;
use crate::segment::parse_lenient;
use proptest::prelude::*;
use serde_json::{Value, json};

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
        crate::query::row::settle(&mut rows);
        rows.iter().map(|row| (row.sequence, row.name.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(settled(&all), [(2, "one".to_owned())]);
    assert_eq!(settled(&[all[0].clone(), all[3].clone()]), [(4, "api".to_owned())]);
}

/// Both ways to read a document say the same, and what is kept is the JSON that was read.
#[track_caller]
fn check_both_ways(raw: &[u8]) {
    let expected = Document::parse(raw).map(|document| Record::of(&document, 7, 13.0));
    let shown = raw.escape_ascii();
    match Record::read(raw, 7, 13.0) {
        Ok((record, kept)) => {
            assert_eq!(Ok(record), expected, "{shown}");
            let json = serde_json::from_slice::<Value>(raw);
            assert_eq!(matches!(kept, Cow::Borrowed(_)), json.is_ok(), "{shown}");
            assert_eq!(serde_json::from_slice::<Value>(&kept).ok(), parse_lenient(raw).ok(), "{shown}");
        }
        Err(error) => assert_eq!(Err(error), expected, "{shown}"),
    }
}

/// A document of these fields, in which one may stand twice.
fn written<K: AsRef<str>, V: AsRef<str>>(fields: &[(K, V)]) -> String {
    let fields: Vec<_> =
        fields.iter().map(|(key, value)| format!("\"{}\":{}", key.as_ref(), value.as_ref())).collect();
    format!("{{{}}}", fields.join(","))
}

const USUAL: [(&str, &str); 5] = [
    ("name", "\"api\""),
    ("id", "\"70de5b6f19ff9a0a\""),
    ("trace_id", "\"1-581cf771-a006649127e371903a2de979\""),
    ("start_time", "10"),
    ("end_time", "12.5"),
];

/// What any field may hold.
const ODD: [&str; 26] = [
    "null",
    "true",
    "false",
    "1",
    "-1",
    "1.5",
    "1.79534583094E9",
    "-0.0",
    "18446744073709551615",
    "1180591620717411303424",
    "429",
    "\"503\"",
    "\"\"",
    "\"subsegment\"",
    "\"aws\"",
    "\"remote\"",
    "\"DynamoDB\"",
    "\"00000000000000AB\"",
    "\"581cf771a006649127e371903a2de979\"",
    "\"\\u00e9\\ud83d\\ude00\\n\"",
    "[]",
    "{}",
    "[1,{\"a\":null}]",
    "NaN",
    "1e400",
    "\"\\ud800\"",
];

const KEYS: [&str; 41] = [
    "name",
    "id",
    "trace_id",
    "parent_id",
    "type",
    "namespace",
    "origin",
    "user",
    "resource_arn",
    "start_time",
    "end_time",
    "in_progress",
    "error",
    "fault",
    "throttle",
    "sql",
    "http",
    "aws",
    "annotations",
    "subsegments",
    "request",
    "response",
    "url",
    "method",
    "user_agent",
    "client_ip",
    "status",
    "account_id",
    "ec2",
    "operation",
    "table_name",
    "bucket_name",
    "queue_url",
    "topic_arn",
    "function_name",
    "availability_zone",
    "instance_id",
    "metadata",
    "cause",
    "n\\u0061me",
    "$serde_json::private::RawValue",
];

fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![4 => prop::sample::select(&ODD[..]).prop_map(str::to_owned),
        1 => any::<String>().prop_map(|text| Value::from(text).to_string())];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let fields = prop::collection::vec((prop::sample::select(&KEYS[..]), inner.clone()), 0..5);
        let object = fields.prop_map(|fields| written(&fields));
        prop_oneof![object, prop::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(",")))]
    })
}

/// Subsegments as SDKs write them, and nearly so.
fn any_subsegment() -> impl Strategy<Value = String> {
    let one = (0..6_u64, prop::collection::vec((prop::sample::select(&KEYS[..]), any_value()), 0..4))
        .prop_map(|(id, more)| {
            let usual = [
                ("id", format!("\"{id:016x}\"")),
                ("name", "\"dynamodb\"".to_owned()),
                ("start_time", "1".to_owned()),
            ];
            let is_there = |key: &str| more.iter().any(|(other, _)| *other == key);
            let mut fields: Vec<_> = usual.into_iter().filter(|(key, _)| !is_there(key)).collect();
            fields.extend(more);
            written(&fields)
        });
    one.prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), prop::collection::vec(inner, 1..4)).prop_map(|(outer, below)| {
            let open = outer.strip_suffix('}').unwrap();
            format!("{open},\"subsegments\":[{}]}}", below.join(","))
        })
    })
}

proptest! {
    /// Most of these are documents X-Ray takes; the fields that are odd are anywhere.
    #[test]
    fn property_both_ways_agree_on_nearly_usual_documents(
        more in prop::collection::vec((prop::sample::select(&KEYS[..]), any_value()), 0..4),
        below in prop::collection::vec(any_subsegment(), 0..4),
        twice in prop::bool::weighted(0.2),
    ) {
        let is_there = |key: &str| !twice && more.iter().any(|(other, _)| *other == key);
        let mut fields: Vec<(&str, String)> = USUAL
            .iter()
            .filter(|(key, _)| !is_there(key))
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect();
        fields.extend(more.iter().cloned());
        if !is_there("subsegments") {
            fields.push(("subsegments", format!("[{}]", below.join(","))));
        }
        check_both_ways(written(&fields).as_bytes());
    }

    /// Anything at all gives an answer, and the same one.
    #[test]
    fn property_both_ways_agree_on_damaged_documents(
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..4),
        cut in any::<bool>(),
    ) {
        let mut raw = written(&USUAL).into_bytes();
        let place = at.index(raw.len());
        let end = if cut { raw.len() } else { place + 1 };
        raw.splice(place..end, bytes);
        check_both_ways(&raw);
    }
}

#[test]
fn each_field_of_each_odd_type_is_read_the_same_both_ways() {
    for key in KEYS {
        for value in ODD {
            let with = |at: &str| {
                let inner = format!("{{\"{key}\":{value}}}");
                let value = at.split('.').rev().filter(|part| !part.is_empty()).fold(inner, |inner, part| {
                    let inner = if part == "subsegments" { format!("[{inner}]") } else { inner };
                    format!("{{\"{part}\":{inner}}}")
                });
                let more = &value[1..value.len() - 1];
                let mut usual: Vec<_> = USUAL.into_iter().filter(|(other, _)| *other != key).collect();
                usual.extend(USUAL.into_iter().filter(|(other, _)| !at.is_empty() && *other == key));
                format!("{},{more}}}", written(&usual).strip_suffix('}').unwrap())
            };
            for at in [
                "",
                "http",
                "http.request",
                "http.response",
                "aws",
                "aws.ec2",
                "annotations",
                "metadata.x",
                "subsegments",
                "subsegments.aws",
                "subsegments.http.response",
            ] {
                check_both_ways(with(at).as_bytes());
            }
        }
    }
}

#[test]
fn of_a_field_that_stands_there_twice_the_last_counts() {
    let name = |fields: &[(&str, &str)]| {
        let raw = written(&[&USUAL[..], fields].concat());
        check_both_ways(raw.as_bytes());
        Record::read(raw.as_bytes(), 7, 13.0).unwrap().0
    };
    assert_eq!(&*name(&[("name", "\"other\"")]).name, "other");
    assert_eq!(
        &*name(&[("annotations", r#"{"a":1,"b":[],"a":2,"b":3,"c":4,"c":null}"#)]).annotations,
        r#"{"a":2,"b":3}"#
    );
    assert_eq!(name(&[("user", "\"u\""), ("user", "null")]).user, None);
    let request = r#"{"request":{"url":"u"}}"#;
    assert_eq!(name(&[("http", request), ("http", r#"{"response":{"status":200}}"#)]).url, None);
    let one = |id: u8| format!(r#"[{{"id":"{id:016}"}}]"#);
    assert_eq!(&*name(&[("subsegments", &one(1)), ("subsegments", &one(2))]).locals, "0000000000000002");
}

#[test]
fn the_deepest_document_json_allows_is_read_and_a_deeper_one_is_not() {
    let nested = |levels: usize| {
        let value = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        written(&[&USUAL[..], &[("metadata", value.as_str())]].concat())
    };
    for (levels, read) in [(120, true), (126, true), (127, false), (128, false), (30_000, false)] {
        let raw = nested(levels);
        check_both_ways(raw.as_bytes());
        assert_eq!(Record::read(raw.as_bytes(), 7, 13.0).is_ok(), read, "{levels}");
    }
    let mut subsegments = String::from("[]");
    for id in 0..62 {
        subsegments = format!(r#"[{{"id":"{id:016x}","subsegments":{subsegments}}}]"#);
    }
    let raw = written(&[&USUAL[..], &[("subsegments", subsegments.as_str())]].concat());
    check_both_ways(raw.as_bytes());
    assert_eq!(Record::read(raw.as_bytes(), 7, 13.0).unwrap().0.row().locals().count(), 62);
}

#[test]
fn hostile_documents_are_answered_at_once() {
    check_both_ways("[".repeat(65_536).as_bytes());
    check_both_ways("{\"a\":".repeat(10_000).as_bytes());
    check_both_ways("9".repeat(65_536).as_bytes());
    check_both_ways(written(&[&USUAL[..], &[("x", "9".repeat(65_536).as_str())]].concat()).as_bytes());
    let control: String = (0..0x20_u8).map(char::from).collect();
    let name = format!("\"{control}\"");
    let mut fields = USUAL;
    fields[0].1 = &name;
    check_both_ways(written(&fields).as_bytes());
    assert_eq!(&*Record::read(written(&fields).as_bytes(), 7, 13.0).unwrap().0.name, control);
}

/// Were any of these compared each with each, this would take minutes.
#[test]
fn a_great_many_annotations_and_subsegments_take_no_more_time_each_than_a_few() {
    const MANY: usize = 50_000;
    let list = |one: &dyn Fn(usize) -> String| (0..MANY).map(one).collect::<Vec<_>>().join(",");
    let with = |key: &str, value: String| {
        let raw =
            written(&[&USUAL.map(|(key, value)| (key, value.to_owned()))[..], &[(key, value)]].concat());
        Record::read(raw.as_bytes(), 7, 13.0).unwrap().0
    };
    let keys = with("annotations", format!("{{{}}}", list(&|n| format!("\"k{n}\":{n}"))));
    assert_eq!(keys.row().annotations().len(), MANY);
    let values = with("subsegments", format!("[{}]", list(&|n| format!(r#"{{"annotations":{{"k":{n}}}}}"#))));
    assert_eq!(
        values.row().annotation("k").len(),
        50,
        "and no more values of one are kept than X-Ray indexes"
    );
    let locals = with("subsegments", format!("[{}]", list(&|n| format!(r#"{{"id":"{:016x}"}}"#, n / 2))));
    assert_eq!(locals.locals.len(), MANY / 2 * 16);
    let call = |n: usize| format!(r#"{{"id":"{:016x}","namespace":"remote","end_time":1}}"#, n / 2);
    assert_eq!(with("subsegments", format!("[{}]", list(&call))).row().calls().len(), MANY / 2);
}

#[test]
fn names_are_cut_where_x_ray_cuts_them() {
    let long = "\u{e9}".repeat(300);
    let found = record(json!({ "name": long, "subsegments": [
        { "id": "000000000000000b", "name": long, "namespace": "remote" },
        { "id": "000000000000000c", "name": "SQS", "namespace": "aws",
          "aws": { "operation": "x", "queue_url": long } } ] }));
    let calls = found.row().calls();
    let names = [&*found.name, &*calls[0].name, calls[0].callee(), calls[1].callee()];
    assert_eq!(names.map(|name| name.chars().count()), [200; 4]);
}

#[test]
fn every_resource_that_names_a_node_is_read() {
    for service in AWS_SERVICES {
        let found = record(json!({ "subsegments": [
            { "id": "000000000000000b", "name": service.name, "namespace": "aws",
              "aws": { "operation": "x", service.resource_key: "r" } } ] }));
        let call = &found.row().calls()[0];
        assert_eq!((call.callee(), &*call.r#type), ("r", service.resource_type));
    }
}

#[test]
fn captured_documents_are_read_the_same_both_ways_and_nearly_all_the_quick_way() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures")];
    let (mut quick, mut all) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == "dgram") {
                let datagram = std::fs::read(&path).unwrap();
                let document = datagram.split(|&byte| byte == b'\n').next_back().unwrap();
                check_both_ways(document);
                if Document::parse(document).is_ok() {
                    all += 1;
                    quick += usize::from(Record::read_usual(document, 7, 13.0).is_some());
                }
            }
        }
    }
    assert!(all > 100 && quick * 10 > all * 9, "{quick} of {all}");
}
