//! The two ids of a document, read only when a person or X-Ray asks for them: to say which trace a refused
//! document belongs to, and to find the document an unprocessed entry names.

use super::lenient::parse_lenient;

/// Ids of one segment document, as written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Segment id, 16 hex digits as a rule.
    pub id: Option<String>,
    /// Trace id, `1-8hex-24hex` as a rule.
    pub trace_id: Option<String>,
}

/// Reads the ids of a document. What cannot be read at all is searched for the first `"id"` and `"trace_id"` instead, as
/// the official daemon does (`aws/aws-xray-daemon`, `pkg/processor/batchprocessor.go`, `segIdRegexp`).
pub fn identify(document: &str) -> Identity {
    match parse_lenient(document.as_bytes()) {
        Ok(read) => {
            let text = |key: &str| read.get(key)?.as_str().map(str::to_owned);
            Identity { id: text("id"), trace_id: text("trace_id") }
        }
        Err(_) => Identity {
            id: first_string(document, "\"id\""),
            trace_id: first_string(document, "\"trace_id\""),
        },
    }
}

fn first_string(document: &str, key: &str) -> Option<String> {
    let rest = document.get(document.find(key)? + key.len()..)?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    Some(value.split('"').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &str, id: Option<&str>, trace_id: Option<&str>) {
        let expected = Identity { id: id.map(str::to_owned), trace_id: trace_id.map(str::to_owned) };
        assert_eq!(identify(document), expected, "{document}");
    }

    #[test]
    fn reads_the_segments_own_id_and_not_a_childs() {
        check(
            r#"{"subsegments":[{"id":"child"}],"id":"own","trace_id":"1-a-b"}"#,
            Some("own"),
            Some("1-a-b"),
        );
    }

    #[test]
    fn searches_documents_that_are_not_strict_json() {
        check(r#"{"id": "a", "trace_id" : "t", "metadata": {"x": NaN}}"#, Some("a"), Some("t"));
        check(r#"{"subsegments":[{"id":"child"}],"x":NaN,"id":"own"}"#, Some("own"), None);
        check(r#"{"id": "a", "trace_id" : "t", "metadata": {"x": cut"#, Some("a"), Some("t"));
    }

    #[test]
    fn finds_nothing_in_a_body_that_is_no_segment() {
        check("T1SCgYKBA==", None, None);
        check(r#"{"id": NaN}"#, None, None);
        check("\"id\"", None, None);
        check(r#"["a", "t"]"#, None, None);
    }
}
