//! A segment document as a record: what X-Ray demands of it, and what tells it from others.
//!
//! The error codes are those X-Ray gives in `UnprocessedTraceSegments` of PutTraceSegments (recorded: `ParseError`,
//! `MissingId`, `MissingStartTime`, `InvalidId`, `InvalidTraceId`; the others are named in its documentation).

use super::lenient::parse_and_repair;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// A document that X-Ray would take.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Segment or independent subsegment.
    pub kind: Kind,
    /// 16 hex digits, in lower case.
    pub id: String,
    /// `1-8hex-24hex`, in lower case.
    pub trace_id: String,
    /// The segment or subsegment it belongs below; 16 hex digits, in lower case.
    pub parent_id: Option<String>,
    /// Name of the service, or of the call.
    pub name: String,
    /// Seconds since 1970.
    pub start_time: f64,
    /// Seconds since 1970; none while it is in progress. May lie before the start: X-Ray takes that too.
    pub end_time: Option<f64>,
    /// All fields, as they were written but for what is no JSON.
    pub fields: Map<String, Value>,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The work of one service.
    Segment,
    /// A part of that, sent by itself.
    Subsegment,
}

/// What is wrong with a document, by X-Ray's own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are X-Ray's codes, and say it")]
pub enum InvalidCode {
    ParseError,
    MissingId,
    InvalidId,
    MissingName,
    MissingTraceId,
    InvalidTraceId,
    UnknownType,
    MissingStartTime,
    MissingEndTime,
    InProgressSegmentHasEndTime,
    MissingParentId,
    InvalidParentId,
}

impl fmt::Display for InvalidCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why a document is none, in the words of X-Ray.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid segment. ErrorCode: {code}")]
pub struct InvalidDocument {
    /// The id it gives itself, if it can be read.
    pub id: Option<String>,
    /// What is wrong first.
    pub code: InvalidCode,
}

impl Document {
    /// Reads and checks a document. What SDKs write that is not quite JSON is read all the same.
    ///
    /// # Errors
    /// What X-Ray would refuse it for.
    pub fn parse(document: &[u8]) -> Result<Self, InvalidDocument> {
        Self::parse_repaired(document).map(|(read, _)| read)
    }

    /// The same, with the document as JSON: as it is, or the repaired copy that was read.
    ///
    /// # Errors
    /// What X-Ray would refuse it for.
    pub fn parse_repaired(document: &[u8]) -> Result<(Self, Cow<'_, [u8]>), InvalidDocument> {
        let Ok((Value::Object(fields), json)) = parse_and_repair(document) else {
            return Err(InvalidDocument { id: None, code: InvalidCode::ParseError });
        };
        let id = text(&fields, "id").map(str::to_owned);
        let read = Self::check(fields).map_err(|code| InvalidDocument { id, code })?;
        Ok((read, json))
    }

    fn check(fields: Map<String, Value>) -> Result<Self, InvalidCode> {
        let id = text(&fields, "id").ok_or(InvalidCode::MissingId)?;
        let id = segment_id(id).ok_or(InvalidCode::InvalidId)?;
        let name = text(&fields, "name").filter(|name| !name.is_empty()).ok_or(InvalidCode::MissingName)?;
        let name = name.to_owned();
        let trace_id = text(&fields, "trace_id").ok_or(InvalidCode::MissingTraceId)?;
        let trace_id = normal_trace_id(trace_id).ok_or(InvalidCode::InvalidTraceId)?;
        let kind = match fields.get("type") {
            None | Some(Value::Null) => Kind::Segment,
            Some(Value::String(kind)) if kind == "subsegment" => Kind::Subsegment,
            Some(_) => return Err(InvalidCode::UnknownType),
        };
        let start_time =
            fields.get("start_time").and_then(Value::as_f64).ok_or(InvalidCode::MissingStartTime)?;
        let end_time = fields.get("end_time").and_then(Value::as_f64);
        let in_progress = fields.get("in_progress").and_then(Value::as_bool) == Some(true);
        match (end_time, in_progress) {
            (Some(_), true) => return Err(InvalidCode::InProgressSegmentHasEndTime),
            (None, false) => return Err(InvalidCode::MissingEndTime),
            _ => {}
        }
        let parent_id = match text(&fields, "parent_id") {
            Some(parent) => Some(segment_id(parent).ok_or(InvalidCode::InvalidParentId)?),
            None if kind == Kind::Subsegment => return Err(InvalidCode::MissingParentId),
            None => None,
        };
        Ok(Self { kind, id, trace_id, parent_id, name, start_time, end_time, fields })
    }

    /// It will come again when it is complete.
    pub fn is_in_progress(&self) -> bool {
        self.end_time.is_none()
    }
}

fn text<'a>(fields: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    fields.get(key)?.as_str()
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// 16 hex digits, in lower case.
pub fn segment_id(id: &str) -> Option<String> {
    is_hex(id, 16).then(|| id.to_ascii_lowercase())
}

/// A trace id in X-Ray's form, from that form in any case or from 32 hex digits as W3C writes them.
pub fn normal_trace_id(id: &str) -> Option<String> {
    let lower = id.to_ascii_lowercase();
    if is_hex(&lower, 32) {
        let (time, unique) = lower.split_at(8);
        return Some(format!("1-{time}-{unique}"));
    }
    let (time, unique) = lower.strip_prefix("1-")?.split_once('-')?;
    (is_hex(time, 8) && is_hex(unique, 24)).then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn segment() -> Value {
        json!({ "name": "n", "id": "70DE5b6f19ff9a0a", "trace_id": "1-581CF771-a006649127e371903a2de979",
                "start_time": 1.5e9, "end_time": 1_500_000_001.25 })
    }

    #[expect(clippy::needless_pass_by_value, reason = "what the macro makes is passed on")]
    fn changed(changes: Value) -> Result<Document, InvalidDocument> {
        let mut segment = segment();
        for (key, value) in changes.as_object().unwrap() {
            segment[key] = value.clone();
        }
        Document::parse(segment.to_string().as_bytes())
    }

    #[test]
    fn a_segment_is_read_with_its_ids_in_lower_case() {
        let read = changed(json!({ "parent_id": "ABCDEF0123456789" })).unwrap();
        assert_eq!((read.kind, read.name.as_str()), (Kind::Segment, "n"));
        assert_eq!(read.id, "70de5b6f19ff9a0a");
        assert_eq!(read.trace_id, "1-581cf771-a006649127e371903a2de979");
        assert_eq!(read.parent_id.as_deref(), Some("abcdef0123456789"));
        assert_eq!((read.start_time, read.end_time), (1.5e9, Some(1_500_000_001.25)));
        assert!(!read.is_in_progress());
        let w3c = changed(json!({ "trace_id": "581CF771a006649127e371903a2de979" })).unwrap();
        assert_eq!(w3c.trace_id, read.trace_id);
        assert!(changed(json!({ "in_progress": true, "end_time": null })).unwrap().is_in_progress());
        assert!(changed(json!({ "end_time": 1.0 })).is_ok(), "an end before the start is taken");
    }

    #[test]
    fn each_thing_x_ray_demands_has_its_code() {
        let code = |changes| changed(changes).unwrap_err().code;
        assert_eq!(code(json!({ "id": null })), InvalidCode::MissingId);
        assert_eq!(code(json!({ "id": "70de5b6f19ff9a0" })), InvalidCode::InvalidId);
        assert_eq!(code(json!({ "id": "70de5b6f19ff9a0g" })), InvalidCode::InvalidId);
        assert_eq!(code(json!({ "name": "" })), InvalidCode::MissingName);
        assert_eq!(code(json!({ "trace_id": null })), InvalidCode::MissingTraceId);
        for bad in
            ["", "1-581cf771", "2-581cf771-a006649127e371903a2de979", "1-581cf771-a006649127e371903a2de97"]
        {
            assert_eq!(code(json!({ "trace_id": bad })), InvalidCode::InvalidTraceId, "{bad}");
        }
        assert_eq!(code(json!({ "type": "segment" })), InvalidCode::UnknownType);
        assert_eq!(code(json!({ "start_time": "1" })), InvalidCode::MissingStartTime);
        assert_eq!(code(json!({ "end_time": null })), InvalidCode::MissingEndTime);
        assert_eq!(code(json!({ "in_progress": true })), InvalidCode::InProgressSegmentHasEndTime);
        assert_eq!(code(json!({ "type": "subsegment" })), InvalidCode::MissingParentId);
        assert_eq!(code(json!({ "parent_id": "x" })), InvalidCode::InvalidParentId);
        for document in ["", "[]", "3", "{\"id\":", "T1SCgYKBA=="] {
            let error = Document::parse(document.as_bytes()).unwrap_err();
            assert_eq!((error.id, error.code), (None, InvalidCode::ParseError), "{document}");
        }
    }

    #[test]
    fn the_error_reads_as_x_rays_and_names_the_document() {
        let error = changed(json!({ "start_time": null })).unwrap_err();
        assert_eq!(error.to_string(), "Invalid segment. ErrorCode: MissingStartTime");
        assert_eq!(error.id.as_deref(), Some("70DE5b6f19ff9a0a"), "as it was written");
    }
}
