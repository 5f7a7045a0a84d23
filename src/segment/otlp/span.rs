//! A span as a segment document.

use super::attributes::{Attributes, is_private};
use super::object::Object;
use super::proto::{Link, Span, SpanKind};
use super::{aws, cause, http};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// X-Ray cuts longer names.
const NAME_MAX_CHARACTERS: usize = 200;

/// Name of a span that has none in X-Ray's characters.
const NAMELESS: &str = "span";

/// Databases that are asked in SQL, by the names of the old and the stable semantic conventions.
const SQL_SYSTEMS: [&str; 18] = [
    "db2",
    "ibm.db2",
    "derby",
    "hive",
    "mariadb",
    "mssql",
    "microsoft.sql_server",
    "mysql",
    "oracle",
    "oracle.db",
    "postgresql",
    "sqlite",
    "teradata",
    "other_sql",
    "redshift",
    "aws.redshift",
    "cockroachdb",
    "h2",
];

/// Deepest nesting of metadata that are written as JSON. A document may be 127 levels deep.
const METADATA_DEPTH_MAX: usize = 100;

/// Prefix of attributes that hold a whole namespace of metadata as JSON.
const METADATA_PREFIX: &str = "aws.xray.metadata.";

/// The document, or the name of the field that makes it impossible.
pub(super) fn document(span: &Span, resource: &Attributes<'_>) -> Result<String, &'static str> {
    let attributes = Attributes::of(&span.attributes);
    let trace_id = trace_id(&span.trace_id).ok_or("trace_id")?;
    let id = segment_id(&span.id).ok_or("span_id")?;
    let has_parent = span.parent_id.iter().any(|byte| *byte != 0);
    let parent_id = segment_id(&span.parent_id);
    if has_parent && parent_id.is_none() {
        return Err("parent_span_id");
    }
    let is_segment = parent_id.is_none() || is_segment(span, &attributes);
    let calls = matches!(span.kind(), SpanKind::Client | SpanKind::Producer);
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    let mut document = cause::flags(span, &attributes)
        .with("trace_id", Some(trace_id))
        .with("id", Some(id))
        .with("parent_id", parent_id)
        .with("start_time", Some(seconds(start)))
        .with("end_time", (end != 0).then(|| seconds(end)))
        .with("in_progress", (end == 0).then_some(true))
        .with("name", Some(name(span, &attributes, is_segment.then_some(resource))))
        .with("user", attributes.text(&["enduser.id", "user.id"]))
        .with_object("http", http::block(&attributes, !calls))
        .with_object("sql", sql(span, &attributes))
        .with_object("cause", cause::block(span, &attributes, calls))
        .with("links", links(&span.links));
    let mut aws = aws::of_call(&attributes);
    if is_segment {
        aws.0.extend(aws::of_service(resource).0);
        let version = resource.text(&["service.version", "container.image.tag"]);
        document = document
            .with("origin", aws::origin(resource))
            .with_object("service", Object::default().with("version", version));
    } else {
        let namespace = if aws::is_sdk_call(&attributes) { Some("aws") } else { calls.then_some("remote") };
        document = document.with("type", Some("subsegment")).with("namespace", namespace);
    }
    let document = document.with_object("aws", aws.with_object("xray", aws::of_sdk(&attributes, resource)));
    let document = with_the_rest(document, span, &attributes, is_segment.then_some(resource));
    Ok(Value::Object(document.0).to_string())
}

/// The exporter makes a segment of a CONSUMER only where it has no parent. A message is taken by another service than
/// the one that sent it, though, and that is what a segment is.
fn is_segment(span: &Span, attributes: &Attributes<'_>) -> bool {
    matches!(span.kind(), SpanKind::Server | SpanKind::Consumer)
        || attributes.peek(&["aws.span.kind"]) == Some("LOCAL_ROOT") && span.kind() == SpanKind::Internal
}

/// A segment bears the name of its service, a subsegment that of what it calls. The exporter gives a segment that is
/// not of a SERVER the name of its span, which makes a node of each operation.
fn name(span: &Span, attributes: &Attributes<'_>, service: Option<&Attributes<'_>>) -> String {
    let own = service.and_then(|resource| {
        attributes
            .text(&["aws.local.service"])
            .or_else(|| resource.text(&["service.name"]))
            .map(str::to_owned)
    });
    let name = own.or_else(|| callee(attributes)).unwrap_or_else(|| span.name.clone());
    let allowed: String = name.chars().filter(|c| is_allowed(*c)).take(NAME_MAX_CHARACTERS).collect();
    if allowed.trim().is_empty() { NAMELESS.to_owned() } else { allowed }
}

/// X-Ray developer guide, "segment documents": "Unicode letters, numbers, and whitespace, and the following symbols".
fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || " _.:/%&#=+\\-@".contains(c)
}

fn callee(attributes: &Attributes<'_>) -> Option<String> {
    if let Some(remote) = attributes.text(&["aws.remote.service"]) {
        let bare = remote.strip_prefix("AWS.SDK.").or_else(|| remote.strip_prefix("AWS::"));
        return Some(bare.filter(|_| aws::is_sdk_call(attributes)).unwrap_or(remote).to_owned());
    }
    if let Some(peer) = attributes.text(&["peer.service", "service.peer.name", "aws.service"]) {
        return Some(peer.to_owned());
    }
    if let Some(database) = attributes.text(&["db.namespace", "db.name"]) {
        let url = attributes.text(&["db.connection_string"]).and_then(host_of);
        let host = url.or_else(|| attributes.text(&["server.address", "net.peer.name"]));
        return Some(host.map_or_else(|| database.to_owned(), |host| format!("{database}@{host}")));
    }
    let named = attributes.text(&["rpc.service", "http.host", "server.address", "net.peer.name"]);
    named.or_else(|| attributes.text(&["url.full", "http.url"]).and_then(host_of)).map(str::to_owned)
}

/// The host in `jdbc:mysql://user@host:3306/db`.
fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#', ';']).next()?;
    let host = authority.rsplit('@').next()?;
    // An address of version 6 has colons of its own.
    let end = host.find(']').map_or_else(|| host.find(':'), |end| Some(end + 1));
    host.get(..end.unwrap_or(host.len())).filter(|host| !host.is_empty())
}

fn sql(span: &Span, attributes: &Attributes<'_>) -> Object {
    let system = attributes.peek(&["db.system.name", "db.system"]);
    if !system.is_some_and(|system| SQL_SYSTEMS.contains(&system)) {
        return Object::default();
    }
    let system = attributes.text(&["db.system.name", "db.system"]);
    let server =
        attributes.text(&["db.connection_string", "server.address", "net.peer.name"]).unwrap_or("localhost");
    let database = attributes.text(&["db.namespace", "db.name"]).unwrap_or_default();
    Object::default()
        .with("url", Some(span.name.as_str()))
        .with("connection_string", Some(format!("{server}/{database}")))
        .with("database_type", system)
        .with("user", attributes.text(&["db.user"]))
        .with("sanitized_query", attributes.text(&["db.query.text", "db.statement"]))
}

fn links(links: &[Link]) -> Option<Vec<Value>> {
    let links: Vec<Value> = links
        .iter()
        .filter_map(|link| {
            let attributes = Attributes::of(&link.attributes);
            let attributes = attributes.all().map(|(key, value)| (key.to_owned(), value));
            let object = Object::default()
                .with("trace_id", Some(trace_id(&link.trace_id)?))
                .with("id", Some(segment_id(&link.span_id)?))
                .with_object("attributes", Object(attributes.collect()));
            Some(Value::Object(object.0))
        })
        .collect();
    (!links.is_empty()).then_some(links)
}

/// What has no field of its own: annotations where `aws.xray.annotations` names it, else metadata. As in AWS, where no
/// other attribute is indexed unless its collector is told so: what is found here is found there as well.
fn with_the_rest(
    document: Object,
    span: &Span,
    attributes: &Attributes<'_>,
    resource: Option<&Attributes<'_>>,
) -> Object {
    let listed: BTreeSet<&str> = attributes.texts("aws.xray.annotations").into_iter().collect();
    let (mut annotations, mut others, mut metadata) = (Map::new(), Map::new(), Map::new());
    let of_resource = resource.into_iter().flat_map(Attributes::all);
    let of_resource = of_resource.map(|(key, value)| (format!("otel.resource.{key}"), value, false));
    // What is listed becomes an annotation even where it has a field as well.
    let of_span = attributes.all().map(|(key, value)| (key.to_owned(), value, attributes.is_told(key)));
    for (key, value, told) in of_resource.chain(of_span) {
        if listed.contains(key.as_str()) && !matches!(value, Value::Null | Value::Array(_) | Value::Object(_))
        {
            annotations.insert(annotation_key(&key), value);
        } else if let Some((namespace, fields)) = metadata_of(&key, &value) {
            metadata.insert(namespace, fields);
        } else if !told && !value.is_null() {
            others.insert(key, value);
        }
    }
    if let Some(stacks) = cause::stacks(span) {
        others.insert("exception.stacktrace".to_owned(), stacks);
    }
    if let Some(Value::Object(fields)) = metadata.remove("default") {
        others.extend(fields);
    }
    document
        .with_object("annotations", Object(annotations))
        .with_object("metadata", Object(metadata).with_object("default", Object(others)))
}

fn metadata_of(key: &str, value: &Value) -> Option<(String, Value)> {
    let namespace = key.strip_prefix(METADATA_PREFIX).filter(|namespace| !is_private(namespace))?;
    let fields = Value::Object(serde_json::from_str(value.as_str()?).ok()?);
    is_plain(&fields, METADATA_DEPTH_MAX).then(|| (namespace.to_owned(), fields))
}

/// Whether it is still read when it stands inside of a document.
fn is_plain(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(values) => depth > 0 && values.iter().all(|value| is_plain(value, depth - 1)),
        Value::Object(fields) => {
            depth > 0 && fields.iter().all(|(key, value)| !is_private(key) && is_plain(value, depth - 1))
        }
        _ => true,
    }
}

/// X-Ray takes letters, digits, `_` and `.` in keys of annotations.
fn annotation_key(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect()
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// X-Ray's form of 16 bytes that are not all zero.
fn trace_id(id: &[u8]) -> Option<String> {
    let id = u128::from_be_bytes(id.try_into().ok()?);
    (id != 0).then(|| format!("1-{:08x}-{:024x}", id >> 96, id & (u128::MAX >> 32)))
}

/// X-Ray's form of 8 bytes that are not all zero.
fn segment_id(id: &[u8]) -> Option<String> {
    let id = u64::from_be_bytes(id.try_into().ok()?);
    (id != 0).then(|| format!("{id:016x}"))
}
