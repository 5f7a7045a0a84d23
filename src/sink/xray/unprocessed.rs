//! A 200 is no success before its list of unprocessed segments has been read.

use crate::aws::{ErrorKind, kind_of_code};
use crate::events::Events;
use crate::pipeline::{Batch, Outcome};
use crate::segment::{Identity, identify};
use serde::Deserialize;

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "UnprocessedTraceSegments", default)]
    unprocessed: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: Option<String>,
    error_code: Option<String>,
    message: Option<String>,
}

/// Sorts the documents of a batch that X-Ray answered with 200.
///
/// Documents with a throttling or internal code go again; the others are refused. An entry without an id, or
/// with one no document has, cannot be sent again: it counts as refused.
pub(super) fn judge(body: &[u8], batch: &Batch, events: &Events) -> Outcome {
    let entries = match serde_json::from_slice::<Answer>(body) {
        Ok(answer) => answer.unprocessed.unwrap_or_default(),
        Err(error) => {
            events.answer_unreadable(&error);
            Vec::new()
        }
    };
    if entries.is_empty() {
        return Outcome::Answered { again: Vec::new(), refused: 0, throttled: false };
    }
    let mut identities: Vec<Option<Identity>> =
        batch.documents().map(|document| Some(identify(&document.unescape()))).collect();
    let (mut again, mut refused, mut throttled) = (Vec::new(), 0, false);
    for entry in entries.iter().take(batch.len()) {
        let found = take_position(&mut identities, entry.id.as_deref());
        let kind = entry.error_code.as_deref().and_then(kind_of_code);
        throttled |= kind == Some(ErrorKind::Throttled);
        match found {
            Some((position, _)) if matches!(kind, Some(ErrorKind::Throttled | ErrorKind::Transient)) => {
                again.push(position);
            }
            found => {
                refused += 1;
                events.document_refused(
                    entry.id.as_deref(),
                    found.and_then(|(_, identity)| identity.trace_id).as_deref(),
                    entry.error_code.as_deref(),
                    entry.message.as_deref(),
                );
            }
        }
    }
    again.sort_unstable();
    Outcome::Answered { again, refused, throttled }
}

/// Finds the document with this id and takes it out, so that two documents with one id are told apart.
fn take_position(identities: &mut [Option<Identity>], id: Option<&str>) -> Option<(usize, Identity)> {
    let id = id?;
    let has_id =
        |identity: &Option<Identity>| identity.as_ref().is_some_and(|known| known.id.as_deref() == Some(id));
    let position = identities.iter().position(has_id)?;
    identities[position].take().map(|identity| (position, identity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::build_body;

    #[track_caller]
    fn check(answer: &str, again: &[usize], refused: usize, throttled: bool) {
        let documents = [
            r#"{"id":"a","trace_id":"1"}"#,
            r#"{"id":"b","trace_id":"2"}"#,
            "T1Sx",
            r#"{"id":"b","trace_id":"3"}"#,
        ];
        let batch = build_body(documents.map(str::as_bytes)).unwrap();
        let expected = Outcome::Answered { again: again.to_vec(), refused, throttled };
        assert_eq!(judge(answer.as_bytes(), &batch, &Events::for_tests()), expected, "{answer}");
    }

    fn entries(entries: &[(&str, &str)]) -> String {
        let entries: Vec<_> = entries
            .iter()
            .map(|(id, code)| serde_json::json!({"Id": id, "ErrorCode": code, "Message": "m"}))
            .collect();
        serde_json::json!({ "UnprocessedTraceSegments": entries }).to_string()
    }

    #[test]
    fn nothing_unprocessed_means_all_sent() {
        check("{}", &[], 0, false);
        check(r#"{"UnprocessedTraceSegments":null}"#, &[], 0, false);
        check(r#"{"UnprocessedTraceSegments":[]}"#, &[], 0, false);
        check("no json at all", &[], 0, false);
    }

    #[test]
    fn throttling_and_internal_codes_go_again_and_the_rest_is_refused() {
        check(&entries(&[("a", "ThrottledException"), ("b", "InvalidSegment")]), &[0], 1, true);
        check(&entries(&[("b", "InternalFailure"), ("b", "InternalFailure")]), &[1, 3], 0, false);
    }

    #[test]
    fn an_entry_that_names_no_document_is_refused_once() {
        check(&entries(&[("unknown", "ThrottledException")]), &[], 1, true);
        check(r#"{"UnprocessedTraceSegments":[{"ErrorCode":"ParseError"}]}"#, &[], 1, false);
        check(&entries(&[("a", "ParseError"), ("a", "ParseError")]), &[], 2, false);
    }

    #[test]
    fn an_answer_cannot_name_more_documents_than_were_sent() {
        check(&entries(&[("x", "ParseError"); 9]), &[], 4, false);
    }
}
