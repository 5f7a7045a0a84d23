//! The column of calls, in the form it is written in as a rule: JSON without blanks, the members in their order.
//!
//! A graph reads millions of calls. Where each member is expected they are read and written in a fraction of the time
//! JSON of any form takes. What is in another form is left to `serde_json`.

use super::super::id::SegmentId;
use super::Call;
use serde::Serialize;
use std::borrow::Cow;

/// Reads a list of calls; none when it is in another form, or has a text with an escape in it.
pub(super) fn read(text: &str) -> Option<Vec<Call<'_>>> {
    let mut rest = Rest(text.strip_prefix('[')?);
    let mut calls = Vec::with_capacity(4);
    loop {
        calls.push(rest.call()?);
        if !rest.skip(",") {
            break;
        }
    }
    (rest.0 == "]").then_some(calls)
}

/// Writes a list of calls, as `serde_json` does.
pub(crate) fn write(calls: &[Call<'_>], into: &mut Vec<u8>) {
    into.push(b'[');
    for (at, call) in calls.iter().enumerate() {
        into.extend_from_slice(if at == 0 { b"{\"id\":\"" } else { b",{\"id\":\"" });
        into.extend_from_slice(&call.id.digits());
        value(b"\",\"name\":", Some(&call.name), into);
        value(b",\"type\":", Some(&call.r#type), into);
        value(b",\"resource\":", call.resource.as_ref(), into);
        flag(b",\"aws\":true", call.aws, into);
        value(b",\"start\":", Some(&call.start), into);
        value(b",\"end\":", call.end.as_ref(), into);
        value(b",\"status\":", call.status.as_ref(), into);
        flag(b",\"error\":true", call.error, into);
        flag(b",\"fault\":true", call.fault, into);
        flag(b",\"throttle\":true", call.throttle, into);
        into.push(b'}');
    }
    into.push(b']');
}

/// A member with its key, if it is there.
fn value(key: &[u8], value: Option<&impl Serialize>, into: &mut Vec<u8>) {
    if let Some(value) = value {
        into.extend_from_slice(key);
        serde_json::to_writer(into, value).expect("texts and numbers become JSON");
    }
}

fn flag(text: &[u8], is_set: bool, into: &mut Vec<u8>) {
    if is_set {
        into.extend_from_slice(text);
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Goes behind a text, if that comes next.
    fn skip(&mut self, text: &str) -> bool {
        self.0.strip_prefix(text).map(|rest| self.0 = rest).is_some()
    }

    fn call(&mut self) -> Option<Call<'a>> {
        self.skip("{\"id\":").then_some(())?;
        let id = SegmentId::parse(self.text()?)?;
        self.skip(",\"name\":").then_some(())?;
        let name = Cow::Borrowed(self.text()?);
        self.skip(",\"type\":").then_some(())?;
        let r#type = Cow::Borrowed(self.text()?);
        let resource = if self.skip(",\"resource\":") { Some(Cow::Borrowed(self.text()?)) } else { None };
        let aws = self.skip(",\"aws\":true");
        self.skip(",\"start\":").then_some(())?;
        let start = self.number()?;
        let end = if self.skip(",\"end\":") { Some(self.number()?) } else { None };
        let status = if self.skip(",\"status\":") { Some(self.digits().parse().ok()?) } else { None };
        let error = self.skip(",\"error\":true");
        let fault = self.skip(",\"fault\":true");
        let throttle = self.skip(",\"throttle\":true");
        self.skip("}").then_some(Call {
            id,
            name,
            r#type,
            resource,
            aws,
            start,
            end,
            status,
            error,
            fault,
            throttle,
        })
    }

    fn text(&mut self) -> Option<&'a str> {
        let rest = self.0.strip_prefix('"')?;
        let (text, rest) = rest.split_at_checked(memchr::memchr2(b'"', b'\\', rest.as_bytes())?)?;
        self.0 = rest.strip_prefix('"')?;
        Some(text)
    }

    /// Both this and `serde_json` give the number that is closest to what stands there.
    fn number(&mut self) -> Option<f64> {
        self.digits().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Up to where a member, or the call, ends.
    fn digits(&mut self) -> &'a str {
        let end = self.0.bytes().position(|byte| matches!(byte, b',' | b'}')).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(id: u64) -> Call<'static> {
        Call {
            id: SegmentId(id),
            name: "orders".into(),
            r#type: "remote".into(),
            resource: None,
            aws: false,
            start: 1.5,
            end: None,
            status: None,
            error: false,
            fault: false,
            throttle: false,
        }
    }

    fn any_call() -> impl Strategy<Value = Call<'static>> {
        let text = || "[a-z./ é]{0,8}|[\"\\\\\n]{1,2}";
        let first = (any::<u64>(), text(), text(), proptest::option::of(text()), any::<[bool; 4]>());
        let times = (0.0..4e9, proptest::option::of(-1e300..1e300), proptest::option::of(any::<i32>()));
        (first, times).prop_map(
            |((id, name, r#type, resource, [aws, error, fault, throttle]), (start, end, status))| Call {
                name: name.into(),
                r#type: r#type.into(),
                resource: resource.map(Cow::from),
                aws,
                start,
                end,
                status,
                error,
                fault,
                throttle,
                ..call(id)
            },
        )
    }

    proptest! {
        #[test]
        fn property_calls_are_written_and_read_as_by_others(calls in proptest::collection::vec(any_call(), 1..4)) {
            let text = serde_json::to_string(&calls).unwrap();
            let mut written = Vec::new();
            write(&calls, &mut written);
            prop_assert_eq!(std::str::from_utf8(&written).unwrap(), &text);
            match read(&text) {
                Some(read) => prop_assert_eq!(read, calls),
                None => prop_assert!(text.contains('\\'), "{}", text),
            }
        }
    }

    #[test]
    fn another_form_is_left_to_others() {
        let usual = serde_json::to_string(&[call(1), call(2)]).unwrap();
        assert_eq!(read(&usual), Some(vec![call(1), call(2)]));
        for other in [
            "",
            "[]",
            &usual[1..],
            &usual[..usual.len() - 1],
            &usual.replace(':', ": "),
            &usual.replace("orders", "or\\ners"),
            &usual.replace("1.5", "inf"),
            &usual.replace("\"start\"", "\"begin\""),
            &usual.replace("0000000000000001", "000000000000000g"),
            &format!("{usual} "),
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
