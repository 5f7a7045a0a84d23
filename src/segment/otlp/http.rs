//! The `http` block of a span, from the stable semantic conventions (`url.full`) and the old ones (`http.url`).

use super::attributes::Attributes;
use super::object::Object;

/// Status of the response.
pub(super) fn status(span: &Attributes<'_>) -> Option<i64> {
    span.number(&["http.response.status_code", "http.status_code"])
}

/// `http`; empty for spans that are not of HTTP. `serves` tells who is asked from who asks.
pub(super) fn block(span: &Attributes<'_>, serves: bool) -> Object {
    const OF_HTTP: [&str; 6] = [
        "http.request.method",
        "http.method",
        "http.response.status_code",
        "http.status_code",
        "url.full",
        "http.url",
    ];
    if !span.has(&OF_HTTP) {
        return Object::default();
    }
    let mut request = Object::default()
        .with("method", span.text(&["http.request.method", "http.method"]))
        .with("url", url(span, serves))
        .with("user_agent", span.text(&["user_agent.original", "http.user_agent"]));
    if serves {
        let forwarded = span.text(&["client.address", "http.client_ip"]);
        let peer = span.text(&["network.peer.address", "net.sock.peer.addr", "net.peer.ip"]);
        let is_forwarded = forwarded.is_some() && forwarded != peer;
        request = request
            .with("client_ip", forwarded.or(peer))
            .with("x_forwarded_for", is_forwarded.then_some(true));
    }
    let length = span.number(&[
        "http.response.body.size",
        "http.response_content_length",
        "http.response.header.content-length",
    ]);
    let response = Object::default().with("status", status(span)).with("content_length", length);
    Object::default().with_object("request", request).with_object("response", response)
}

/// As it was written, or put together.
fn url(span: &Attributes<'_>, serves: bool) -> Option<String> {
    if let Some(url) = span.text(&["url.full", "http.url"]) {
        return Some(url.to_owned());
    }
    let scheme = span.text(&["url.scheme", "http.scheme"]).unwrap_or("http");
    // `http.host` has the port in it.
    let authority = match span.text(&["http.host"]) {
        Some(host) => host.to_owned(),
        None => with_port(host(span, serves)?, scheme, port(span, serves)),
    };
    if let Some(target) = span.text(&["http.target"]) {
        return Some(format!("{scheme}://{authority}{target}"));
    }
    let path = span.text(&["url.path"]).unwrap_or("/");
    let query = span.text(&["url.query"]).map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{scheme}://{authority}{path}{query}"))
}

fn host<'a>(span: &Attributes<'a>, serves: bool) -> Option<&'a str> {
    if serves {
        return span.text(&["server.address", "http.server_name", "net.host.name", "host.name"]);
    }
    span.text(&[
        "server.address",
        "net.peer.name",
        "network.peer.address",
        "net.sock.peer.addr",
        "net.peer.ip",
    ])
}

fn port(span: &Attributes<'_>, serves: bool) -> Option<i64> {
    span.number(if serves { &["server.port", "net.host.port"] } else { &["server.port", "net.peer.port"] })
}

fn with_port(host: &str, scheme: &str, port: Option<i64>) -> String {
    match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => host.to_owned(),
        (_, Some(port)) => format!("{host}:{port}"),
    }
}
