//! Who may ask: not the pages of foreign sites in a browser on this host.

use super::Api;
use super::error::ApiError;
use super::server::Peer;
use crate::config::Http;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HOST, ORIGIN};
use std::net::IpAddr;
use std::sync::Arc;

/// Refuses what a browser sends for a foreign site. SDKs and tools send neither header.
pub(super) async fn check_origin(
    State(api): State<Arc<Api>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if is_foreign(&request) {
        api.events.request_refused(
            request.method().as_str(),
            request.uri().path(),
            "asked by a foreign site's page",
        );
        return Err(ApiError::forbidden("requests of other sites' pages are refused"));
    }
    Ok(next.run(request).await)
}

fn is_foreign(request: &Request) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if header("sec-fetch-site") == Some("cross-site") {
        return true;
    }
    let Some(origin) = request.headers().get(ORIGIN) else { return false };
    let origin =
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    origin.is_none() || origin != header(HOST.as_str())
}

/// Whether this request may read traces: not from another host, unless the user allowed it, and not for a page that
/// only pretends to be ours.
pub(super) fn check_reader(request: &Request, http: &Http) -> Result<(), ApiError> {
    let peer = request.extensions().get::<Peer>();
    let here = peer.is_some_and(|Peer(peer)| peer.ip().to_canonical().is_loopback());
    if !here && !http.allow_remote_query {
        return Err(ApiError::forbidden(
            "traces are shown to this host alone; start xrayd with --allow-remote-query to show them to others",
        ));
    }
    check_host(request, &http.allowed_hosts)
}

/// Against DNS rebinding: the Host must be an address, localhost, or a name the user allowed.
pub(super) fn check_host(request: &Request, allowed: &[String]) -> Result<(), ApiError> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.parse::<http::uri::Authority>().map(|authority| authority.host().to_ascii_lowercase());
    let name = name.unwrap_or_default();
    let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    if literal || name == "localhost" || allowed.contains(&name) {
        return Ok(());
    }
    Err(ApiError::forbidden(format!("Host {name:?} is not answered here; allow it with --allowed-host")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut request = http::Request::post("/GetSamplingRules");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn sdks_and_tools_are_never_foreign() {
        assert!(!is_foreign(&request(&[("host", "xray-daemon:2000")])));
        assert!(!is_foreign(&request(&[("host", "127.0.0.1:2000"), ("origin", "http://127.0.0.1:2000")])));
        assert!(!is_foreign(&request(&[("host", "a:1"), ("sec-fetch-site", "same-origin")])));
    }

    #[test]
    fn pages_of_other_sites_are_foreign() {
        assert!(is_foreign(&request(&[("host", "127.0.0.1:2000"), ("origin", "https://evil.example")])));
        assert!(is_foreign(&request(&[("host", "127.0.0.1:2000"), ("origin", "null")])));
        assert!(is_foreign(&request(&[("host", "127.0.0.1:2000"), ("sec-fetch-site", "cross-site")])));
    }

    #[test]
    fn other_hosts_read_nothing_unless_they_are_allowed_to() {
        let from = |peer: &str, host: &str| {
            let mut request = request(&[("host", host)]);
            request.extensions_mut().insert(Peer(peer.parse().unwrap()));
            request
        };
        let (closed, open) = (Http::default(), Http { allow_remote_query: true, ..Http::default() });
        for here in ["127.0.0.1:9", "127.8.8.8:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert!(check_reader(&from(here, "127.0.0.1:2000"), &closed).is_ok(), "{here}");
            assert!(check_reader(&from(here, "evil.example"), &closed).is_err(), "{here}");
        }
        for there in ["10.0.0.2:9", "[::ffff:10.0.0.2]:9", "[fe80::1]:9"] {
            assert!(check_reader(&from(there, "10.0.0.1:2000"), &closed).is_err(), "{there}");
            assert!(check_reader(&from(there, "10.0.0.1:2000"), &open).is_ok(), "{there}");
            assert!(check_reader(&from(there, "evil.example"), &open).is_err(), "{there}");
        }
        assert!(check_reader(&request(&[("host", "127.0.0.1")]), &closed).is_err(), "nobody knows who asks");
    }

    #[test]
    fn a_host_must_be_an_address_localhost_or_allowed() {
        let allowed = ["xray.internal".to_owned()];
        for (host, expected) in [
            ("127.0.0.1:2000", true),
            ("[::1]:2000", true),
            ("10.1.2.3", true),
            ("LOCALHOST:2000", true),
            ("xray.internal:2000", true),
            ("evil.example:2000", false),
            ("localhost.evil.example", false),
            ("", false),
        ] {
            assert_eq!(check_host(&request(&[("host", host)]), &allowed).is_ok(), expected, "{host}");
        }
        assert!(check_host(&request(&[]), &allowed).is_err());
    }
}
