//! Bodies as they were captured, and spans made for each rule.

use super::super::{Document, Kind};
use super::proto::{
    Any, AnyValue, Event, KeyValue, Link, List, Pairs, Resource, ResourceSpans, ScopeSpans, Span, SpanKind,
    Status, StatusCode, TracesData,
};
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn body_of(datagram: &[u8]) -> &[u8] {
    let at = datagram.iter().position(|&byte| byte == b'\n').unwrap();
    &datagram[at + 1..]
}

fn body(prefix: &str, request: &TracesData) -> Vec<u8> {
    [prefix.as_bytes(), BASE64.encode(request.encode_to_vec()).as_bytes()].concat()
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn wire(value: &Value) -> Any {
    let wrap = |value: &Value| AnyValue { value: Some(wire(value)) };
    match value {
        Value::String(text) => Any::Text(text.clone()),
        Value::Bool(flag) => Any::Bool(*flag),
        Value::Number(number) => number.as_i64().map_or(Any::Double(number.as_f64().unwrap()), Any::Int),
        Value::Array(values) => Any::List(List { values: values.iter().map(wrap).collect() }),
        Value::Object(_) => Any::Map(Pairs { values: pairs(value) }),
        Value::Null => Any::Bytes(Vec::new()),
    }
}

fn pairs(attributes: &Value) -> Vec<KeyValue> {
    attributes.as_object().unwrap().iter().map(|(key, value)| pair(key, wire(value))).collect()
}

fn span(kind: SpanKind, attributes: &Value) -> Span {
    Span {
        trace_id: (1..=16).collect(),
        id: (1..=8).collect(),
        parent_id: (2..=9).collect(),
        name: "GET /x".to_owned(),
        kind: kind.into(),
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 2_500_000_000,
        attributes: pairs(attributes),
        ..Span::default()
    }
}

fn request(spans: Vec<Span>, resource: &Value) -> TracesData {
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: pairs(resource) }),
            scope_spans: vec![ScopeSpans { spans }],
        }],
    }
}

fn made(span: Span, resource: &Value) -> Value {
    let documents = documents(&body("T1S", &request(vec![span], resource))).unwrap();
    Document::parse(documents[0].as_bytes()).unwrap();
    serde_json::from_str(&documents[0]).unwrap()
}

/// Everything in `expected` is in the document of a span with these attributes; null means it is not there.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "what the macro makes is passed on")]
fn check(kind: SpanKind, attributes: Value, expected: Value) {
    let document = made(span(kind, &attributes), &json!({ "service.name": "shop" }));
    contains(&document, &expected, &document);
}

#[track_caller]
fn contains(found: &Value, expected: &Value, document: &Value) {
    match expected {
        Value::Object(fields) => {
            for (key, value) in fields {
                contains(found.get(key).unwrap_or(&Value::Null), value, document);
            }
        }
        _ => assert_eq!(found, expected, "{document:#}"),
    }
}

#[test]
fn what_was_captured_becomes_the_documents_it_should() {
    let sdk = json!({ "sdk": "opentelemetry for python", "sdk_version": "1.44.0", "auto_instrumentation": false,
                      "sampling_rule_name": "rule-cap" });
    let one = |datagram: &[u8]| {
        let documents = documents(body_of(datagram)).unwrap();
        assert_eq!(documents.len(), 1);
        let read = Document::parse(documents[0].as_bytes()).unwrap();
        (read.kind, serde_json::from_str::<Value>(&documents[0]).unwrap())
    };
    let captured = include_bytes!("../../../tests/fixtures/captures/otel-python/002-otlp-T1S.dgram");
    let (kind, parent) = one(captured);
    assert_eq!(kind, Kind::Segment);
    assert_eq!(
        parent,
        json!({ "name": "cap-otel-py", "id": "0e31f3ed9f3f3266", "trace_id": "1-6b02cc3d-9bd3b3e6d3dc141ccb5b30e7",
            "start_time": 1_795_345_469.557_699_7, "end_time": 1_795_345_469.559_16,
            "http": { "request": { "method": "GET", "url": "http://x/é" } }, "aws": { "xray": sdk },
            "metadata": { "default": { "aws.xray.adaptive_sampling_configured": false,
                "otel.resource.service.instance.id": "7d6e9f96-f8c1-49a0-8cd5-ab1686cd7d78",
                "otel.resource.service.name": "cap-otel-py", "otel.resource.telemetry.sdk.language": "python",
                "otel.resource.telemetry.sdk.name": "opentelemetry", "otel.resource.telemetry.sdk.version": "1.44.0" } } })
    );
    let (kind, child) =
        one(include_bytes!("../../../tests/fixtures/captures/otel-python/001-otlp-T1S.dgram"));
    assert_eq!(kind, Kind::Subsegment);
    let expected = json!({ "name": "child", "type": "subsegment", "parent_id": "0e31f3ed9f3f3266", "namespace": null,
        "trace_id": "1-6b02cc3d-9bd3b3e6d3dc141ccb5b30e7", "aws": { "xray": sdk }, "fault": null, "http": null });
    contains(&child, &expected, &child);
    let exception = &child["cause"]["exceptions"][0];
    assert_eq!((&exception["type"], &exception["message"]), (&json!("ValueError"), &json!("boom")));
    let stack = child["metadata"]["default"]["exception.stacktrace"][0].as_str().unwrap();
    assert!(stack.contains("line 18, in <module>"), "{stack}");
    let (_, js) = one(include_bytes!("../../../tests/fixtures/captures/otel-js/001-otlp-T1S.dgram"));
    let expected = json!({ "name": "cap-otel-js", "id": "d654ee21f9092a71",
        "trace_id": "1-53b350f9-f6f074b809f05759b1c7b49d", "aws": { "xray": { "sdk": "opentelemetry for nodejs" } },
        "http": { "request": { "method": "GET" } } });
    contains(&js, &expected, &js);
    // Reading JSON may change the last bit of a number, a quarter of a microsecond.
    let near = |key: &str, time: f64| (js[key].as_f64().unwrap() - time).abs() < 1e-6;
    assert!(near("start_time", 1_795_346_379.21) && near("end_time", 1_795_346_379.210_492_7), "{js:#}");
}

#[test]
fn unsampled_spans_are_told_by_their_prefix_and_become_documents_all_the_same() {
    let captured = body_of(include_bytes!("../../../tests/fixtures/captures/otel-python/003-otlp-T1U.dgram"));
    assert_eq!(kind(captured), Ok(Sampled::No));
    assert!(is_otlp(captured) && documents(captured).unwrap()[0].contains("eca32f125dbc0f4f"));
    assert_eq!(kind(b"T1S"), Ok(Sampled::Yes));
    assert_eq!(kind(b"M1CgA="), Err(OtlpError::Metrics));
    assert!(is_otlp(b"M1CgA="));
    for other in [&b"{\"id\":1}"[..], b"", b"T1", b"T1X", b"t1S", b" T1S"] {
        assert_eq!(kind(other), Err(OtlpError::NotOtlp), "{}", other.escape_ascii());
        assert!(!is_otlp(other) && documents(other).is_err());
    }
}

#[test]
fn the_kind_and_the_parent_of_a_span_decide_what_it_becomes() {
    let segment = json!({ "type": null, "namespace": null, "name": "shop", "parent_id": "0203040506070809" });
    check(SpanKind::Server, json!({}), segment.clone());
    check(SpanKind::Consumer, json!({}), segment.clone());
    check(SpanKind::Internal, json!({ "aws.span.kind": "LOCAL_ROOT" }), segment);
    let below = |namespace: Value| json!({ "type": "subsegment", "namespace": namespace, "name": "GET /x", "origin": null });
    check(SpanKind::Internal, json!({}), below(Value::Null));
    check(SpanKind::Unspecified, json!({}), below(Value::Null));
    check(SpanKind::Client, json!({}), below(json!("remote")));
    check(SpanKind::Producer, json!({}), below(json!("remote")));
    for kind in [SpanKind::Client, SpanKind::Internal] {
        let root = Span { parent_id: vec![0; 8], ..span(kind, &json!({})) };
        let document = made(root, &json!({}));
        contains(&document, &json!({ "type": null, "parent_id": null, "name": "GET /x" }), &document);
    }
    let open = made(Span { end_time_unix_nano: 0, ..span(SpanKind::Server, &json!({})) }, &json!({}));
    contains(&open, &json!({ "end_time": null, "in_progress": true, "start_time": 1.0 }), &open);
}

#[test]
fn a_call_is_named_by_what_it_calls() {
    let name = |attributes, name: &str| check(SpanKind::Client, attributes, json!({ "name": name }));
    name(json!({ "peer.service": "stock", "http.host": "h" }), "stock");
    name(json!({ "aws.remote.service": "pay", "peer.service": "stock" }), "pay");
    name(json!({ "aws.remote.service": "AWS::S3", "rpc.system": "aws-api" }), "S3");
    name(json!({ "rpc.system": "aws-api", "rpc.service": "DynamoDB" }), "DynamoDB");
    name(
        json!({ "db.name": "orders", "db.connection_string": "jdbc:mysql://u@db.example:3306/x" }),
        "orders@db.example",
    );
    name(json!({ "db.namespace": "orders", "server.address": "db.example" }), "orders@db.example");
    name(json!({ "server.address": "api.example", "server.port": 443 }), "api.example");
    name(json!({ "url.full": "https://u:p@[::1]:8080/a?b" }), "::1");
    name(json!({ "peer.service": "a?b*\u{7}é" }), "abé");
    name(json!({ "peer.service": "?".repeat(10) }), "span");
    name(json!({ "peer.service": "é".repeat(300) }), &"é".repeat(200));
}

#[test]
fn both_semantic_conventions_of_http_are_known() {
    let new = json!({ "http.request.method": "GET", "url.full": "https://h/x?y", "http.response.status_code": 200,
        "user_agent.original": "curl", "http.response.body.size": 12 });
    let old = json!({ "http.method": "GET", "http.url": "https://h/x?y", "http.status_code": "200",
        "http.user_agent": "curl", "http.response_content_length": 12 });
    for attributes in [new, old] {
        let http = json!({ "request": { "method": "GET", "url": "https://h/x?y", "user_agent": "curl" },
            "response": { "status": 200, "content_length": 12 } });
        check(
            SpanKind::Client,
            attributes,
            json!({ "http": http, "metadata": null, "error": null, "fault": null }),
        );
    }
    let url = |kind, attributes: Value, url: &str| {
        let mut attributes = attributes;
        attributes["http.method"] = json!("GET");
        check(kind, attributes, json!({ "http": { "request": { "url": url } } }));
    };
    let parts = json!({ "url.scheme": "https", "server.address": "h", "server.port": 8443, "url.path": "/x", "url.query": "y=1" });
    url(SpanKind::Server, parts, "https://h:8443/x?y=1");
    url(
        SpanKind::Server,
        json!({ "http.scheme": "https", "http.host": "h:1", "http.target": "/t" }),
        "https://h:1/t",
    );
    url(SpanKind::Server, json!({ "net.host.name": "h", "net.host.port": 80 }), "http://h/");
    url(SpanKind::Client, json!({ "net.peer.name": "p", "net.peer.port": "8080" }), "http://p:8080/");
    let client =
        json!({ "http.method": "GET", "client.address": "203.0.113.7", "network.peer.address": "10.0.0.1" });
    let forwarded = json!({ "client_ip": "203.0.113.7", "x_forwarded_for": true });
    check(SpanKind::Server, client, json!({ "http": { "request": forwarded } }));
    let peer = json!({ "http.method": "GET", "net.peer.ip": "10.0.0.1" });
    let direct = json!({ "client_ip": "10.0.0.1", "x_forwarded_for": null });
    check(SpanKind::Server, peer, json!({ "http": { "request": direct } }));
    check(SpanKind::Server, json!({ "server.address": "h" }), json!({ "http": null }));
}

#[test]
fn the_status_of_the_response_says_more_than_that_of_the_span() {
    let flags = |code: i64, failed: bool, expected: Value| {
        let mut failing = span(SpanKind::Client, &json!({ "http.response.status_code": code }));
        failing.status = failed.then(|| Status { message: String::new(), code: StatusCode::Error.into() });
        let document = made(failing, &json!({}));
        contains(&document, &expected, &document);
    };
    flags(404, true, json!({ "error": true, "fault": null, "throttle": null }));
    flags(429, false, json!({ "error": true, "fault": null, "throttle": true }));
    flags(503, false, json!({ "error": null, "fault": true, "throttle": null }));
    flags(200, true, json!({ "error": null, "fault": true, "throttle": null }));
    flags(200, false, json!({ "error": null, "fault": null, "throttle": null, "cause": null }));
}

#[test]
fn a_cause_comes_from_events_or_else_from_the_status() {
    let event = |kind: &str| Event {
        name: "exception".to_owned(),
        attributes: pairs(&json!({ "exception.type": kind, "exception.message": "m" })),
    };
    let mut failing = span(SpanKind::Client, &json!({ "error.type": "E" }));
    failing.status = Some(Status { message: "broke".to_owned(), code: StatusCode::Error.into() });
    let said = made(failing.clone(), &json!({}));
    let exception = json!([{ "id": "0102030405060709", "type": "E", "message": "broke" }]);
    assert_eq!(said["cause"]["exceptions"], exception);
    failing.events = vec![event("A"), Event { name: "log".to_owned(), attributes: Vec::new() }, event("B")];
    let thrown = made(failing, &json!({}));
    let exceptions = json!([{ "id": "0102030405060709", "type": "A", "message": "m", "remote": true },
        { "id": "010203040506070a", "type": "B", "message": "m", "remote": true }]);
    assert_eq!(thrown["cause"]["exceptions"], exceptions);
}

#[test]
fn calls_of_databases_and_of_aws_have_their_blocks() {
    let sql = json!({ "db.system": "postgresql", "db.name": "orders", "server.address": "db", "db.user": "u",
        "db.statement": "SELECT ?" });
    let block = json!({ "url": "GET /x", "connection_string": "db/orders", "database_type": "postgresql", "user": "u",
        "sanitized_query": "SELECT ?" });
    check(SpanKind::Client, sql, json!({ "sql": block, "metadata": null }));
    let redis = json!({ "db.system": "redis", "db.statement": "GET x" });
    check(SpanKind::Client, redis.clone(), json!({ "sql": null, "metadata": { "default": redis } }));
    let aws = json!({ "rpc.system": "aws-api", "rpc.service": "DynamoDB", "rpc.method": "GetItem", "cloud.region": "eu-west-1",
        "aws.request_id": "R", "aws.dynamodb.table_names": ["users"] });
    let block = json!({ "operation": "GetItem", "region": "eu-west-1", "request_id": "R", "table_name": "users",
        "table_names": null });
    check(SpanKind::Client, aws, json!({ "namespace": "aws", "name": "DynamoDB", "aws": block }));
    let field = |attributes, block| check(SpanKind::Client, attributes, json!({ "aws": block }));
    field(
        json!({ "aws.dynamodb.table_names": ["a", "b"] }),
        json!({ "table_names": ["a", "b"], "table_name": null }),
    );
    field(json!({ "aws.table_name": "t" }), json!({ "table_name": "t" }));
    field(json!({ "messaging.url": "https://q" }), json!({ "queue_url": "https://q" }));
    field(json!({ "aws.s3.bucket": "b" }), json!({ "bucket_name": "b" }));
    field(json!({ "aws.sns.topic.arn": "arn" }), json!({ "topic_arn": "arn" }));
    field(json!({ "aws.account_id": "1" }), json!({ "account_id": "1" }));
    check(SpanKind::Client, json!({ "rpc.method": "Say" }), json!({ "aws": null }));
}

#[test]
fn a_segment_says_where_its_service_runs() {
    let of = |resource: Value, expected: Value| {
        let document = made(span(SpanKind::Server, &json!({})), &resource);
        contains(&document, &expected, &document);
    };
    of(
        json!({ "cloud.provider": "aws", "cloud.platform": "aws_ec2", "host.id": "i-1", "host.type": "m5",
            "cloud.availability_zone": "eu-west-1a", "cloud.account.id": "123", "service.version": "7" }),
        json!({ "origin": "AWS::EC2::Instance", "service": { "version": "7" }, "aws": { "account_id": "123",
            "ec2": { "instance_id": "i-1", "availability_zone": "eu-west-1a", "instance_size": "m5" } } }),
    );
    of(
        json!({ "cloud.platform": "aws_ecs", "aws.ecs.launchtype": "FARGATE", "container.name": "c" }),
        json!({ "origin": "AWS::ECS::Fargate", "aws": { "ecs": { "container": "c" } } }),
    );
    of(
        json!({ "cloud.platform": "aws_eks", "k8s.cluster.name": "k" }),
        json!({ "origin": "AWS::EKS::Container", "aws": { "eks": { "cluster_name": "k" } } }),
    );
    of(
        json!({ "cloud.platform": "aws_elastic_beanstalk", "service.instance.id": "32", "service.namespace": "e" }),
        json!({ "origin": "AWS::ElasticBeanstalk::Environment",
            "aws": { "elastic_beanstalk": { "deployment_id": 32, "environment_name": "e" } } }),
    );
    of(json!({ "cloud.platform": "aws_lambda" }), json!({ "origin": "AWS::Lambda::Function" }));
    of(
        json!({ "cloud.provider": "gcp", "host.id": "x", "cloud.account.id": "1" }),
        json!({ "origin": null, "aws": null }),
    );
    let arn = "arn:aws:logs:r:1:log-group:g:*";
    of(
        json!({ "aws.log.group.arns": [arn] }),
        json!({ "aws": { "cloudwatch_logs": [{ "log_group": "g", "arn": arn }] } }),
    );
    of(
        json!({ "aws.log.group.names": "g" }),
        json!({ "aws": { "cloudwatch_logs": [{ "log_group": "g" }] } }),
    );
}

#[test]
fn attributes_become_annotations_where_they_are_listed_and_metadata_otherwise() {
    check(
        SpanKind::Internal,
        json!({ "tenant id": "t", "n": 1.5, "list": [1, "a", { "k": true }], "http.method": "GET", "enduser.id": "u",
            "aws.xray.annotations": ["tenant id", "http.method", "list", "absent"],
            "aws.xray.metadata.cart": "{\"items\":[1]}", "aws.xray.metadata.default": "{\"d\":1}",
            "aws.xray.metadata.bad": "{" }),
        json!({ "user": "u", "annotations": { "tenant_id": "t", "http.method": "GET", "n": null },
            "metadata": { "cart": { "items": [1] }, "default": { "n": 1.5, "list": [1, "a", { "k": true }], "d": 1,
                "aws.xray.metadata.bad": "{", "http.method": null, "aws.xray.annotations": null } } }),
    );
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(120), "]".repeat(120));
    let private = "$serde_json::private::RawValue";
    for attributes in [
        json!({ "aws.xray.metadata.deep": deep }),
        json!({ "aws.xray.metadata.p": format!("{{\"{private}\":\"x\"}}") }),
        json!({ private: "x", "map": { private: "x" }, format!("aws.xray.metadata.{private}"): "{}" }),
    ] {
        check(SpanKind::Internal, attributes, json!({ "name": "GET /x" }));
    }
}

#[test]
fn links_are_kept() {
    let link = Link { trace_id: vec![1; 16], span_id: vec![2; 8], attributes: pairs(&json!({ "a": 1 })) };
    let broken = Link { trace_id: vec![1; 3], ..link.clone() };
    let document =
        made(Span { links: vec![broken, link], ..span(SpanKind::Consumer, &json!({})) }, &json!({}));
    let expected = json!([{ "trace_id": "1-01010101-010101010101010101010101", "id": "0202020202020202",
        "attributes": { "a": 1 } }]);
    assert_eq!(document["links"], expected);
}

#[test]
fn what_cannot_be_read_says_why() {
    let good = body("T1S", &request(vec![span(SpanKind::Server, &json!({}))], &json!({})));
    assert_eq!(documents(&good).unwrap().len(), 1);
    assert_eq!(documents(b"T1S"), Ok(Vec::new()), "a request without spans");
    assert!(documents(&[&good[..], b"\n"].concat()).is_ok(), "an end of line is no part of it");
    let unpadded = good.strip_suffix(b"=").unwrap_or(&good);
    assert!(documents(unpadded).is_ok());
    assert!(matches!(documents(b"T1S????"), Err(OtlpError::Base64 { .. })));
    assert!(matches!(documents(&good[..good.len() - 8]), Err(OtlpError::Protobuf { .. })));
    let huge = [&b"T1S"[..], &vec![b'A'; BODY_MAX_BYTES]].concat();
    assert_eq!(documents(&huge), Err(OtlpError::TooLarge { bytes: huge.len() }));
    let with = |change: &dyn Fn(&mut Span)| {
        let mut bad = span(SpanKind::Server, &json!({}));
        change(&mut bad);
        documents(&body("T1S", &request(vec![span(SpanKind::Server, &json!({})), bad], &json!({}))))
    };
    let invalid = |field| Err(OtlpError::InvalidSpan { place: 1, field });
    assert_eq!(with(&|span| span.trace_id = vec![0; 16]), invalid("trace_id"));
    assert_eq!(with(&|span| span.trace_id = vec![1; 8]), invalid("trace_id"));
    assert_eq!(with(&|span| span.id = Vec::new()), invalid("span_id"));
    assert_eq!(with(&|span| span.parent_id = vec![1; 9]), invalid("parent_span_id"));
}

#[test]
fn a_small_body_does_not_become_a_great_many_bytes() {
    let spans =
        (0..400).map(|_| Span { attributes: Vec::new(), ..span(SpanKind::Server, &json!({})) }).collect();
    let large = body("T1S", &request(spans, &json!({ "x": "y".repeat(20_000) })));
    assert!(large.len() < BODY_MAX_BYTES);
    assert_eq!(documents(&large), Err(OtlpError::TooLarge { bytes: large.len() }));
}

#[test]
fn values_inside_of_values_without_end_are_refused() {
    let mut value = Any::Bool(true);
    for _ in 0..200 {
        value = Any::List(List { values: vec![AnyValue { value: Some(value) }] });
    }
    let deep = Span { attributes: vec![pair("deep", value)], ..span(SpanKind::Server, &json!({})) };
    let refused = documents(&body("T1S", &request(vec![deep], &json!({}))));
    assert!(matches!(refused, Err(OtlpError::Protobuf { .. })), "{refused:?}");
}

proptest! {
    /// Whatever the attributes are, the documents are ones X-Ray takes.
    #[test]
    fn property_every_document_is_one_x_ray_takes(
        kind in 0..7_i32,
        name in any::<String>(),
        keys in prop::collection::vec(prop::sample::select(&KEYS[..]), 0..8),
        values in prop::collection::vec(any_value(), 8),
        times in any::<(u64, u64)>(),
    ) {
        let attributes: Vec<_> = keys.iter().zip(values).map(|(key, value)| pair(key, value)).collect();
        let odd = Span {
            kind,
            name,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            attributes: attributes.clone(),
            events: vec![Event { name: "exception".to_owned(), attributes: attributes.clone() }],
            ..span(SpanKind::Server, &json!({}))
        };
        let request = TracesData { resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes }), scope_spans: vec![ScopeSpans { spans: vec![odd] }] }] };
        for document in documents(&body("T1S", &request)).unwrap() {
            prop_assert!(Document::parse(document.as_bytes()).is_ok(), "{}", document);
        }
    }

    /// Anything at all gives an answer.
    #[test]
    fn property_any_bytes_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
    ) {
        let _ = documents(&bytes);
        let _ = documents(&[b"T1S", BASE64.encode(&bytes).as_bytes()].concat());
        let mut damaged = request(vec![span(SpanKind::Client, &json!({ "a": [1, "b"] }))], &json!({})).encode_to_vec();
        let place = at.index(damaged.len());
        damaged.splice(place..=place, bytes.into_iter().take(3));
        if let Ok(documents) = documents(&[b"T1S", BASE64.encode(&damaged).as_bytes()].concat()) {
            prop_assert!(documents.iter().all(|document| Document::parse(document.as_bytes()).is_ok()));
        }
    }
}

const KEYS: [&str; 24] = [
    "service.name",
    "http.method",
    "http.status_code",
    "url.full",
    "url.path",
    "server.address",
    "server.port",
    "client.address",
    "db.system",
    "db.name",
    "db.connection_string",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "aws.xray.annotations",
    "aws.dynamodb.table_names",
    "aws.log.group.arns",
    "cloud.platform",
    "enduser.id",
    "exception.type",
    "exception.stacktrace",
    "aws.xray.metadata.x",
    "$serde_json::private::RawValue",
    "other",
];

fn any_value() -> impl Strategy<Value = Any> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Any::Text),
        prop::sample::select(vec!["aws-api", "postgresql", "://", "http://[", "{\"a\":[]}", "other"])
            .prop_map(|text| Any::Text(text.to_owned())),
        any::<i64>().prop_map(Any::Int),
        any::<f64>().prop_map(Any::Double),
        any::<bool>().prop_map(Any::Bool),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(Any::Bytes),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let wrapped = inner.prop_map(|value| AnyValue { value: Some(value) });
        prop_oneof![
            prop::collection::vec(wrapped.clone(), 0..3).prop_map(|values| Any::List(List { values })),
            prop::collection::vec((any::<String>(), wrapped), 0..3).prop_map(|all| {
                let values = all.into_iter().map(|(key, value)| KeyValue { key, value: Some(value) });
                Any::Map(Pairs { values: values.collect() })
            }),
        ]
    })
}
