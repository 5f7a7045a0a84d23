//! Signature Version 4 from the side of the service, written from AWS's description of it ("Create a signed AWS
//! API request"), so that the daemon's signatures are not checked by the code that made them.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::fmt::Write;

pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "example-secret";
pub const REGION: &str = "eu-central-1";

/// Recomputes the signature of a request as it arrived.
pub fn verify(method: &str, target: &str, headers: &http::HeaderMap, body: &[u8]) -> Result<(), String> {
    let header = |name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).ok_or_else(|| format!("no {name} header"))
    };
    let authorization = header("authorization")?;
    let parts = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("not AWS4-HMAC-SHA256")?;
    let part = |name: &str| {
        let found = parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        found.ok_or_else(|| format!("no {name} in {authorization}"))
    };
    let (credential, signed_headers, signature) =
        (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
    let (access_key, scope) = credential.split_once('/').ok_or("no scope")?;
    if access_key != ACCESS_KEY {
        return Err(format!("unknown access key {access_key}"));
    }
    let date_time = header("x-amz-date")?;
    let date = date_time.get(..8).ok_or("x-amz-date is too short")?;
    let expected_scope = format!("{date}/{REGION}/xray/aws4_request");
    if scope != expected_scope {
        return Err(format!("scope is {scope}, not {expected_scope}"));
    }
    for needed in ["host", "x-amz-date", "content-type"] {
        if !signed_headers.split(';').any(|signed| signed == needed) {
            return Err(format!("{needed} is not signed: {signed_headers}"));
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut canonical = format!("{method}\n{path}\n{query}\n");
    for name in signed_headers.split(';') {
        writeln!(canonical, "{name}:{}", header(name)?.trim()).expect("writing to a String");
    }
    write!(canonical, "\n{signed_headers}\n{}", hex(&Sha256::digest(body))).expect("writing to a String");
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{date_time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mut key = mac(format!("AWS4{SECRET_KEY}").as_bytes(), date);
    for step in [REGION, "xray", "aws4_request"] {
        key = mac(&key, step);
    }
    let expected = hex(&mac(&key, &to_sign));
    if signature == expected { Ok(()) } else { Err(format!("signature {signature}, expected {expected}")) }
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length will do");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String");
        text
    })
}
