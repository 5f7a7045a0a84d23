//! `AWS_XRAY_DAEMON_ADDRESS`: where the X-Ray SDKs look for the daemon.
//!
//! ```text
//! value    = OWS ( hostport / pair ) OWS     ; empty or all blanks = unset
//! pair     = tagged 1*WSP tagged             ; exactly one udp and one tcp, any order
//! tagged   = ("udp" / "tcp") ":" hostport    ; tags in any case
//! hostport = host ":" port
//! host     = IPv4 / "[" IPv6 "]" / name
//! port     = 1*5DIGIT                        ; 1..65535
//! ```
//!
//! The grammar is a superset of what the SDKs for Python, Node, Go, Java, Ruby and .NET take. Lower case, one
//! space and no IPv6 literal is what all of them understand. Anything else is an error that names the
//! variable, the value and the reason; there is no silent fall-back to the default.

mod lazy;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

pub use lazy::{LazyAddress, RESOLVE_TTL_MAX};

/// The environment variable all X-Ray SDKs read.
pub const VARIABLE: &str = "AWS_XRAY_DAEMON_ADDRESS";

/// Where SDKs send when the variable is not set.
pub const DEFAULT_PORT: u16 = 2000;

/// Longest host name DNS allows.
const NAME_MAX_BYTES: usize = 253;

/// A host as written and a port. The host is not resolved yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// Where the daemon receives segment documents (UDP) and sampling requests (TCP).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonAddress {
    /// Segment documents.
    pub udp: HostPort,
    /// Sampling rules and targets.
    pub tcp: HostPort,
}

/// Why a value of `AWS_XRAY_DAEMON_ADDRESS` was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}={value:?}: {reason}")]
pub struct AddressError {
    /// The value as found.
    pub value: String,
    /// What is wrong with it.
    pub reason: AddressReason,
}

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressReason {
    /// Only `udp:` was given.
    #[error("tcp is missing; write \"tcp:HOST:PORT udp:HOST:PORT\", or HOST:PORT for both")]
    TcpMissing,
    /// Only `tcp:` was given.
    #[error("udp is missing; write \"tcp:HOST:PORT udp:HOST:PORT\", or HOST:PORT for both")]
    UdpMissing,
    /// One of the two tags came twice.
    #[error("the same tag came twice; one udp and one tcp are needed")]
    TagTwice,
    /// A pair whose part begins with neither `udp:` nor `tcp:`.
    #[error("each of two parts must begin with udp: or tcp:")]
    UnknownTag,
    /// More than two parts.
    #[error("more than two parts")]
    TooManyParts,
    /// No port, or no colon before it.
    #[error("the port is missing; write HOST:PORT")]
    PortMissing,
    /// A port that is not 1 to 65535 in digits.
    #[error("the port must be a number from 1 to 65535, digits only")]
    PortInvalid,
    /// Nothing before the port.
    #[error("the host is missing; write HOST:PORT")]
    HostMissing,
    /// A URL.
    #[error("this is a URL; write HOST:PORT without a scheme")]
    Scheme,
    /// Several colons that are no IPv6 literal in brackets.
    #[error("too many colons; an IPv6 address needs brackets: [::1]:2000")]
    TooManyColons,
    /// Brackets around something that is not an IPv6 address.
    #[error("what stands in brackets is not an IPv6 address")]
    Ipv6Invalid,
    /// A character no host name has, or a name that is too long.
    #[error("the host has a character that no host name can have, or is too long")]
    HostInvalid,
}

impl DaemonAddress {
    /// The address the environment names, or the default when it names none.
    ///
    /// # Errors
    /// When the variable is set to something the grammar refuses.
    pub fn from_env() -> Result<Self, AddressError> {
        #[expect(clippy::disallowed_methods, reason = "this module reads this one variable")]
        let value = std::env::var(VARIABLE).or_else(|error| match error {
            std::env::VarError::NotPresent => Ok(String::new()),
            std::env::VarError::NotUnicode(value) => Err(AddressError {
                value: value.to_string_lossy().into_owned(),
                reason: AddressReason::HostInvalid,
            }),
        })?;
        Self::parse(&value)
    }

    /// Parses a value of the variable. Empty or blank is the default. Names are not resolved.
    ///
    /// # Errors
    /// When the grammar refuses the value.
    pub fn parse(value: &str) -> Result<Self, AddressError> {
        let parts: Vec<&str> = value.split_ascii_whitespace().collect();
        let address = match parts[..] {
            [] => Ok(Self::default()),
            [single] => parse_single(single),
            [first, second] => parse_pair(first, second),
            _ => Err(AddressReason::TooManyParts),
        };
        address.map_err(|reason| AddressError { value: value.to_owned(), reason })
    }
}

impl Default for DaemonAddress {
    fn default() -> Self {
        let here = HostPort { host: "127.0.0.1".to_owned(), port: DEFAULT_PORT };
        Self { udp: here.clone(), tcp: here }
    }
}

/// As the SDKs read it: `tcp:HOST:PORT udp:HOST:PORT`.
impl fmt::Display for DaemonAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp:{} udp:{}", self.tcp, self.udp)
    }
}

impl HostPort {
    /// Parses `HOST:PORT`; port 0 is refused.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, AddressReason> {
        if text.contains("://") {
            return Err(AddressReason::Scheme);
        }
        let (host, port) = text.rsplit_once(':').ok_or(AddressReason::PortMissing)?;
        check_host(host)?;
        Ok(Self { host: host.to_owned(), port: parse_port(port)? })
    }

    /// The host as written, IPv6 literals with their brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Looks the host up now. Blocks while DNS answers. IPv4 addresses come first, because most SDKs send
    /// only IPv4.
    ///
    /// # Errors
    /// What the resolver said, or that it knows no address.
    pub fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let mut found: Vec<SocketAddr> = (host, self.port).to_socket_addrs()?.collect();
        found.sort_by_key(|address| matches!(address.ip(), IpAddr::V6(_)));
        if found.is_empty() {
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, format!("{host} has no address")));
        }
        Ok(found)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn parse_single(text: &str) -> Result<DaemonAddress, AddressReason> {
    match tag_of(text) {
        // `udp:2000` is a host called "udp"; `udp:host:2000` is half of a pair.
        Some((Tag::Udp, rest)) if rest.contains(':') => Err(AddressReason::TcpMissing),
        Some((Tag::Tcp, rest)) if rest.contains(':') => Err(AddressReason::UdpMissing),
        _ => HostPort::parse(text).map(|both| DaemonAddress { udp: both.clone(), tcp: both }),
    }
}

fn parse_pair(first: &str, second: &str) -> Result<DaemonAddress, AddressReason> {
    let (Some((first_tag, first)), Some((second_tag, second))) = (tag_of(first), tag_of(second)) else {
        return Err(AddressReason::UnknownTag);
    };
    let (first, second) = (HostPort::parse(first)?, HostPort::parse(second)?);
    match (first_tag, second_tag) {
        (Tag::Udp, Tag::Tcp) => Ok(DaemonAddress { udp: first, tcp: second }),
        (Tag::Tcp, Tag::Udp) => Ok(DaemonAddress { udp: second, tcp: first }),
        _ => Err(AddressReason::TagTwice),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Udp,
    Tcp,
}

fn tag_of(text: &str) -> Option<(Tag, &str)> {
    let (tag, rest) = text.split_once(':')?;
    if tag.eq_ignore_ascii_case("udp") {
        Some((Tag::Udp, rest))
    } else if tag.eq_ignore_ascii_case("tcp") {
        Some((Tag::Tcp, rest))
    } else {
        None
    }
}

fn parse_port(text: &str) -> Result<u16, AddressReason> {
    if text.is_empty() {
        return Err(AddressReason::PortMissing);
    }
    if text.len() > 5 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AddressReason::PortInvalid);
    }
    text.parse().ok().filter(|&port| port != 0).ok_or(AddressReason::PortInvalid)
}

fn check_host(host: &str) -> Result<(), AddressReason> {
    if host.is_empty() {
        return Err(AddressReason::HostMissing);
    }
    if let Some(inside) = host.strip_prefix('[') {
        let literal = inside.strip_suffix(']').ok_or(AddressReason::Ipv6Invalid)?;
        return literal.parse::<Ipv6Addr>().map(|_| ()).map_err(|_| AddressReason::Ipv6Invalid);
    }
    if host.contains(',') {
        return Err(AddressReason::HostInvalid);
    }
    if host.contains(':') {
        return Err(AddressReason::TooManyColons);
    }
    let bad = |c: char| {
        matches!(c, '/' | '@' | ']' | '[' | '\\' | '?' | '#') || c.is_control() || c.is_whitespace()
    };
    if host.len() > NAME_MAX_BYTES || host.contains(bad) {
        return Err(AddressReason::HostInvalid);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use AddressReason as No;

    /// What a value means: UDP and TCP as written, or the reason it is refused.
    type Expected = Result<(&'static str, &'static str), AddressReason>;

    /// The values that were tried with the SDKs for Python, Node, Go, Java and Ruby.
    const VECTORS: &[(&str, Expected)] = &[
        ("127.0.0.1:2000", Ok(("127.0.0.1:2000", "127.0.0.1:2000"))),
        ("localhost:2000", Ok(("localhost:2000", "localhost:2000"))),
        ("xray-daemon:3000", Ok(("xray-daemon:3000", "xray-daemon:3000"))),
        ("tcp:127.0.0.1:2000 udp:127.0.0.2:2001", Ok(("127.0.0.2:2001", "127.0.0.1:2000"))),
        ("udp:127.0.0.2:2001 tcp:127.0.0.1:2000", Ok(("127.0.0.2:2001", "127.0.0.1:2000"))),
        ("TCP:127.0.0.1:2000 UDP:127.0.0.2:2001", Ok(("127.0.0.2:2001", "127.0.0.1:2000"))),
        ("udp:127.0.0.1:2000", Err(No::TcpMissing)),
        ("tcp:127.0.0.1:2000", Err(No::UdpMissing)),
        ("udp:127.0.0.1:2000 udp:127.0.0.1:2001", Err(No::TagTwice)),
        ("tcp:127.0.0.1:2000 xyz:127.0.0.1:2001", Err(No::UnknownTag)),
        ("tcp:127.0.0.1:2000  udp:127.0.0.2:2001", Ok(("127.0.0.2:2001", "127.0.0.1:2000"))),
        ("tcp:127.0.0.1:2000\tudp:127.0.0.2:2001", Ok(("127.0.0.2:2001", "127.0.0.1:2000"))),
        (" 127.0.0.1:2000", Ok(("127.0.0.1:2000", "127.0.0.1:2000"))),
        ("127.0.0.1:2000 ", Ok(("127.0.0.1:2000", "127.0.0.1:2000"))),
        ("", Ok(("127.0.0.1:2000", "127.0.0.1:2000"))),
        ("   ", Ok(("127.0.0.1:2000", "127.0.0.1:2000"))),
        ("127.0.0.1", Err(No::PortMissing)),
        ("127.0.0.1:", Err(No::PortMissing)),
        (":2000", Err(No::HostMissing)),
        ("2000", Err(No::PortMissing)),
        ("127.0.0.1:abc", Err(No::PortInvalid)),
        ("127.0.0.1:0", Err(No::PortInvalid)),
        ("127.0.0.1:65535", Ok(("127.0.0.1:65535", "127.0.0.1:65535"))),
        ("127.0.0.1:65536", Err(No::PortInvalid)),
        ("127.0.0.1:-1", Err(No::PortInvalid)),
        ("127.0.0.1:+2000", Err(No::PortInvalid)),
        ("127.0.0.1:02000", Ok(("127.0.0.1:2000", "127.0.0.1:2000"))),
        ("127.0.0.1:2_000", Err(No::PortInvalid)),
        ("127.0.0.1:2000:3000", Err(No::TooManyColons)),
        ("127.0.0.1:2000/", Err(No::PortInvalid)),
        ("http://127.0.0.1:2000", Err(No::Scheme)),
        ("[::1]:2000", Ok(("[::1]:2000", "[::1]:2000"))),
        ("::1:2000", Err(No::TooManyColons)),
        ("tcp:[::1]:2000 udp:[::1]:2000", Ok(("[::1]:2000", "[::1]:2000"))),
        ("999.1.1.1:2000", Ok(("999.1.1.1:2000", "999.1.1.1:2000"))),
        ("my-udp-host:2000", Ok(("my-udp-host:2000", "my-udp-host:2000"))),
        ("udp:127.0.0.1:2000 tcp:127.0.0.1", Err(No::PortMissing)),
        ("udp:127.0.0.1:2000 127.0.0.1:2000", Err(No::UnknownTag)),
        ("127.0.0.1:2000 127.0.0.1:2001", Err(No::UnknownTag)),
        ("udp:127.0.0.1:2000 tcp:127.0.0.1:2001 x", Err(No::TooManyParts)),
        ("udp:127.0.0.1:2000:9 tcp:127.0.0.1:2001", Err(No::TooManyColons)),
        ("udp:127.0.0.1:2000,tcp:127.0.0.1:2001", Err(No::TcpMissing)),
    ];

    #[test]
    fn every_value_that_was_tried_with_the_sdks() {
        for (value, expected) in VECTORS {
            let found =
                DaemonAddress::parse(value).map(|found| (found.udp.to_string(), found.tcp.to_string()));
            let expected = expected
                .map(|(udp, tcp)| (udp.to_owned(), tcp.to_owned()))
                .map_err(|reason| AddressError { value: (*value).to_owned(), reason });
            assert_eq!(found, expected, "{value:?}");
        }
    }

    #[test]
    fn further_values_that_no_host_can_be() {
        let long = format!("{}:2000", "a".repeat(NAME_MAX_BYTES + 1));
        for (value, reason) in [
            ("user@host:2000", No::HostInvalid),
            ("[::1:2000", No::Ipv6Invalid),
            ("[127.0.0.1]:2000", No::Ipv6Invalid),
            ("[]:2000", No::Ipv6Invalid),
            ("a,b:2000", No::HostInvalid),
            (long.as_str(), No::HostInvalid),
        ] {
            assert_eq!(DaemonAddress::parse(value).unwrap_err().reason, reason, "{value:?}");
        }
    }

    #[test]
    fn an_error_names_variable_value_and_reason() {
        let error = DaemonAddress::parse("127.0.0.1").unwrap_err().to_string();
        assert_eq!(error, "AWS_XRAY_DAEMON_ADDRESS=\"127.0.0.1\": the port is missing; write HOST:PORT");
    }

    #[test]
    fn displayed_in_the_form_every_sdk_takes() {
        let address = DaemonAddress::parse("UDP:a:1\tTCP:b:2").unwrap();
        assert_eq!(address.to_string(), "tcp:b:2 udp:a:1");
        assert_eq!(DaemonAddress::parse(&address.to_string()).unwrap(), address);
    }

    #[test]
    fn resolving_puts_ipv4_first_and_takes_the_brackets_off() {
        let here = HostPort::parse("[::1]:2000").unwrap();
        assert_eq!(here.resolve().unwrap(), ["[::1]:2000".parse().unwrap()]);
        let addresses = HostPort::parse("localhost:2000").unwrap().resolve().unwrap();
        assert!(addresses.is_sorted_by_key(SocketAddr::is_ipv6), "{addresses:?}");
    }
}
