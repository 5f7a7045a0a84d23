//! Traces out of the store, one after the other.

use super::Inner;
use crate::api::stream::{Cut, Parts};
use crate::query::filter::Expression;
use crate::query::search::{Match, NEVER, Search, search};
use crate::query::trace::Trace;
use crate::query::{Source, Stored, Window};
use bytes::Bytes;
use tokio::runtime::Handle;

/// Traces read at once.
const CHUNK: usize = 50;

/// Writes until all is written or the reader has gone.
pub(super) fn run(inner: &Inner, window: Window, filter: Option<&Expression>, raw: bool, parts: &Parts) {
    let mut export = Export { parts, raw, first: true };
    let ended = export.write(inner, window, filter);
    if let Err(End::Failed(error)) = ended {
        let _ = parts.blocking_send(Err(Cut(error)));
    }
}

enum End {
    /// Nobody reads any more.
    Unread,
    Failed(String),
}

struct Export<'a> {
    parts: &'a Parts,
    raw: bool,
    first: bool,
}

impl Export<'_> {
    fn write(&mut self, inner: &Inner, window: Window, filter: Option<&Expression>) -> Result<(), End> {
        let failed = |error: &dyn std::error::Error| End::Failed(error.to_string());
        let groups = inner.groups();
        if !self.raw {
            self.send("{\"Traces\":[\n".to_owned())?;
        }
        let mut after = None;
        loop {
            let wanted =
                Search { window, expression: filter, groups: &groups, sample: 1.0, after, cancelled: &NEVER };
            // Not held while a slow reader is waited for.
            let permit = Handle::current().block_on(inner.queries.acquire());
            let found = search(&inner.store, &wanted).map_err(|error| failed(&error))?;
            drop(permit);
            for chunk in found.matches.chunks(CHUNK) {
                let ids: Vec<_> = chunk.iter().map(|found| found.id).collect();
                let documents = inner.store.documents(&ids).map_err(|error| failed(&error))?;
                self.chunk(chunk, documents)?;
            }
            // More than one search can hold: the older ones follow.
            match found.matches.last() {
                Some(last) if found.cut => after = Some((last.start, last.id)),
                _ => break,
            }
        }
        if self.raw { Ok(()) } else { self.send("],\"UnprocessedTraceIds\":[]}\n".to_owned()) }
    }

    fn chunk(&mut self, chunk: &[Match], documents: Vec<Vec<Stored>>) -> Result<(), End> {
        let mut text = String::new();
        for (found, documents) in chunk.iter().zip(documents) {
            if self.raw {
                for stored in &documents {
                    line(&stored.document, &mut text);
                }
                continue;
            }
            let Ok(answer) = serde_json::to_string(&Trace::assemble(found.id, documents).export()) else {
                continue;
            };
            text.push_str(if self.first { "" } else { "," });
            text.push_str(&answer);
            text.push('\n');
            self.first = false;
        }
        self.send(text)
    }

    fn send(&self, text: String) -> Result<(), End> {
        self.parts.blocking_send(Ok(Bytes::from(text))).map_err(|_| End::Unread)
    }
}

/// A document in one line. Line feeds between the tokens of JSON may be blanks as well; inside of texts they are escaped.
fn line(document: &[u8], text: &mut String) {
    text.push_str(&String::from_utf8_lossy(document).replace(['\n', '\r'], " "));
    text.push('\n');
}
