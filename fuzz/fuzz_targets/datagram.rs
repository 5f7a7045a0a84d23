//! One datagram: through the header check and the batches, and back out of the request bodies.
//!
//! The document is offered whole and cut into pieces, so that batches fill, characters are cut apart and the
//! vector escaper sees every alignment. What comes out is compared with decoders and encoders that share no
//! code with the daemon's.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};
use xrayd::pipeline::{Batch, DropReason, Next, Offer, Outcome, Pipeline, RefusedReason, Settings};
use xrayd::segment::{
    Datagram, DatagramError, Escaped, append_escaped, append_escaped_portable, escaped_len_max,
};

/// Pieces a document is cut into, at most: more than a batch holds. A long one would take too much time so.
const PIECES: usize = 60;
const PIECES_OF_LONG: usize = 3;
const LONG_BYTES: usize = 4096;

/// From one that makes the pipeline give documents up to one that holds everything.
const BUDGETS: [usize; 4] = [60_000, 200_000, 2_000_000, 64_000_000];

/// Longer than any gate stays closed.
const LATER: Duration = Duration::from_secs(120);

/// Tries after which nothing is sent back any more.
const PATIENCE: usize = 30;

fuzz_target!(|datagram: &[u8]| {
    let parsed = Datagram::parse(datagram);
    assert_eq!(parsed, expected_of(datagram));
    match parsed {
        Ok(Datagram { document }) => {
            check_escaping(document);
            check_pipeline(&datagram[..datagram.len() - document.len()], document);
        }
        Err(error) => check_refusal(datagram, error),
    }
});

/// What the documentation of `Datagram` promises, step by step.
fn expected_of(datagram: &[u8]) -> Result<Datagram<'_>, DatagramError> {
    if datagram.is_empty() {
        return Err(DatagramError::Empty);
    }
    let line_feed = datagram.iter().position(|&byte| byte == b'\n').ok_or(DatagramError::MissingHeader)?;
    let (header, document) = (&datagram[..line_feed], &datagram[line_feed + 1..]);
    if document.is_empty() {
        return Err(DatagramError::EmptyDocument);
    }
    if header.len() > 1024 {
        return Err(DatagramError::InvalidHeader);
    }
    let Entries(entries) = serde_json::from_slice(header).map_err(|_| DatagramError::InvalidHeader)?;
    // As Go: keys in any case, the last value of the right type wins.
    let last = |name: &str, fits: fn(&Value) -> bool| {
        let named = entries.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value).rfind(|value| fits(value))
    };
    let format = last("format", Value::is_string).and_then(Value::as_str).unwrap_or_default();
    let version = last("version", Value::is_i64).and_then(Value::as_i64).unwrap_or_default();
    if format.eq_ignore_ascii_case("json") && version == 1 {
        Ok(Datagram { document })
    } else {
        Err(DatagramError::UnsupportedHeader)
    }
}

/// A JSON object as it is written: in order, with keys that come twice.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn check_refusal(datagram: &[u8], error: DatagramError) {
    let mut pipeline = pipeline(BUDGETS[0]);
    let reason = RefusedReason::Datagram(error);
    assert_eq!(pipeline.offer_datagram(Instant::now(), datagram), Offer::Refused(reason));
    let snapshot = pipeline.snapshot();
    assert!(snapshot.balances(), "{snapshot:?}");
    let counted = snapshot.totals.refused_by().find(|(_, count)| *count > 0);
    assert_eq!(counted, Some((reason, 1)));
    assert_eq!(snapshot.budget_used_bytes, 0);
}

/// The vector escaper, the plain one and `serde_json` write the same.
fn check_escaping(document: &[u8]) {
    let mut out = b"kept".to_vec();
    let how = append_escaped(document, &mut out);
    let written = out.strip_prefix(b"kept").expect("what was there stays there");
    let decoded = as_go_decodes(document);
    let mut expected = Vec::new();
    append_escaped_portable(&decoded, &mut expected);
    assert_eq!(written, expected);
    let quoted = serde_json::to_string(&decoded).expect("a string can be written");
    assert_eq!(written, &quoted.as_bytes()[1..quoted.len() - 1]);
    let is_utf8 = std::str::from_utf8(document).is_ok();
    assert_eq!(how, if is_utf8 { Escaped::Verbatim } else { Escaped::Repaired });
    if is_utf8 {
        assert!(written.len() <= escaped_len_max(document));
    }
}

/// Go's decoder takes one character, or replaces one byte and goes on behind it.
fn as_go_decodes(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let (mut text, mut rest) = (String::new(), bytes);
    while !rest.is_empty() {
        let width =
            (1..=rest.len().min(4)).find(|&width| std::str::from_utf8(&rest[..width]).is_ok_and(is_one));
        let (character, behind) = rest.split_at(width.unwrap_or(1));
        text.push_str(if width.is_some() {
            std::str::from_utf8(character).expect("tried before")
        } else {
            "\u{fffd}"
        });
        rest = behind;
    }
    text
}

fn is_one(text: &str) -> bool {
    text.chars().nth(1).is_none()
}

fn pipeline(budget_bytes: usize) -> Pipeline {
    Pipeline::new(&Settings { budget_bytes, concurrency: 4, in_flight_max: 16 })
}

fn check_pipeline(header: &[u8], document: &[u8]) {
    // The last byte says how X-Ray behaves and how much memory there is.
    let chosen = usize::from(document[document.len() - 1]);
    let (budget, xray) = (BUDGETS[chosen % BUDGETS.len()], XRay::new(chosen / BUDGETS.len()));
    let (now, mut pipeline) = (Instant::now(), pipeline(budget));
    let (mut accepted, mut offered) = (Vec::new(), 0);
    let count = if document.len() < LONG_BYTES { PIECES } else { PIECES_OF_LONG };
    let pieces = document.chunks(document.len().div_ceil(count));
    for part in std::iter::once(document).chain(pieces) {
        offered += 1;
        match pipeline.offer_datagram(now, &[header, part].concat()) {
            Offer::Accepted { repaired, .. } => {
                assert_eq!(repaired, std::str::from_utf8(part).is_err());
                accepted.push(as_go_decodes(part));
            }
            Offer::Dropped => assert_eq!(pipeline.snapshot().waiting.total(), 0, "older ones go first"),
            Offer::Refused(reason) => panic!("{reason:?}: no datagram is too large for a body"),
        }
        let snapshot = pipeline.snapshot();
        assert!(snapshot.balances(), "{snapshot:?}");
        assert!(snapshot.budget_used_bytes <= budget, "{snapshot:?}");
    }
    let snapshot = pipeline.snapshot();
    assert_eq!(snapshot.totals.received_total(), offered);
    assert_eq!(snapshot.totals.dropped_total(), offered - snapshot.waiting.total());
    // The oldest were given up.
    let waiting = usize::try_from(snapshot.waiting.total()).expect("as many as were offered");
    let waiting = accepted.split_off(accepted.len() - waiting);
    check_delivery(pipeline, now, &waiting, &xray);
}

/// Every document that waits ends where X-Ray says, once.
fn check_delivery(mut pipeline: Pipeline, mut now: Instant, waiting: &[String], xray: &XRay) {
    let mut missing: HashMap<&str, usize> = HashMap::new();
    for document in waiting {
        *missing.entry(document).or_default() += 1;
    }
    let (mut sent, mut refused, mut tries, mut in_order) = (0, 0, 0, waiting.iter());
    while pipeline.snapshot().waiting.total() > 0 {
        now += LATER;
        let Next::Send(id, batch) = pipeline.next(now) else {
            panic!("nothing to send, but something waits")
        };
        let documents = documents_of(&batch);
        tries += 1;
        if xray.takes_everything() {
            assert!(in_order.by_ref().take(documents.len()).eq(&documents), "not in the order they came");
        }
        let outcome = xray.answer(&documents, tries);
        let (taken, bad) = match &outcome {
            Outcome::Answered { again, .. } => {
                ((0..documents.len()).filter(|at| !again.contains(at)).collect(), 0)
            }
            Outcome::Rejected if documents.len() == 1 => (Vec::new(), 1),
            _ => (Vec::new(), 0),
        };
        let gone =
            taken.iter().map(|&at: &usize| &documents[at]).chain(documents.first().filter(|_| bad == 1));
        for document in gone {
            let left = missing.get_mut(document.as_str()).expect("only what was offered comes out");
            *left = left.checked_sub(1).expect("a document came out twice");
        }
        sent += taken.len() as u64;
        refused += bad;
        pipeline.complete(id, &outcome, now, now);
        let snapshot = pipeline.snapshot();
        assert!(snapshot.balances(), "{snapshot:?}");
        assert_eq!((snapshot.totals.sent, snapshot.totals.refused_total()), (sent, refused));
        let at_stop = snapshot.totals.dropped_by().find(|(reason, _)| *reason == DropReason::Shutdown);
        assert_eq!(at_stop, Some((DropReason::Shutdown, 0)));
    }
    assert!(missing.values().all(|&left| left == 0), "{missing:?} did not come out");
    assert_eq!(pipeline.budget().used(), 0, "all memory is given back");
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(rename = "TraceSegmentDocuments")]
    documents: Vec<String>,
}

/// The documents of a body, read once by us and once by the batch itself.
fn documents_of(batch: &Batch) -> Vec<String> {
    let Body { documents } = serde_json::from_slice(batch.body()).expect("a body is the JSON X-Ray expects");
    assert!(batch.documents().map(|document| document.unescape()).eq(documents.iter().cloned()));
    assert_eq!((batch.len(), batch.body_bytes()), (documents.len(), batch.body().len()));
    assert!((1..=50).contains(&documents.len()), "{} documents", documents.len());
    documents
}

/// An X-Ray with its moods.
struct XRay {
    /// Refuses a body that has a document it does not like.
    fussy: bool,
    /// Names every second document as unprocessed, to be sent again.
    forgetful: bool,
    /// Answers every other request not at all, or by throttling.
    shaky: bool,
}

impl XRay {
    fn new(moods: usize) -> Self {
        Self { fussy: moods & 1 == 1, forgetful: moods & 2 == 2, shaky: moods & 4 == 4 }
    }

    fn takes_everything(&self) -> bool {
        !(self.fussy || self.forgetful || self.shaky)
    }

    fn answer(&self, documents: &[String], tries: usize) -> Outcome {
        let patient = tries < PATIENCE;
        if self.shaky && patient && tries % 2 == 1 {
            return match tries % 3 {
                0 => Outcome::Throttled,
                1 => Outcome::Failed { delivered: true, timed_out: true },
                _ => Outcome::Misconfigured,
            };
        }
        if self.fussy && documents.iter().any(|document| is_bad(document)) {
            return Outcome::Rejected;
        }
        let again =
            if self.forgetful && patient { (1..documents.len()).step_by(2).collect() } else { Vec::new() };
        Outcome::Answered { again, refused: 0, throttled: false }
    }
}

/// One of sixteen, by what is in it.
fn is_bad(document: &str) -> bool {
    document.bytes().fold(0, u8::wrapping_add).is_multiple_of(16)
}
