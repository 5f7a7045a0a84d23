//! From bytes as they were received to what is kept of them.

use super::clock::seconds;
use super::kept::Kept;
use crate::query::Record;
use crate::segment::InvalidDocument;
use bytes::Bytes;
use std::borrow::Cow;

/// Reads a document. What is kept shares the bytes that were received, as long as those are JSON.
pub(super) fn judge(raw: &Bytes, sequence: u64, received: u64) -> Result<Kept, InvalidDocument> {
    let (record, document) = Record::read(raw, sequence, seconds(received))?;
    Ok(match document {
        Cow::Borrowed(_) => Kept { record, document: raw.clone(), raw: None },
        Cow::Owned(repaired) => Kept { record, document: repaired.into(), raw: Some(raw.clone()) },
    })
}

impl Kept {
    /// The document as it was received.
    pub fn received(&self) -> &Bytes {
        self.raw.as_ref().unwrap_or(&self.document)
    }

    /// How many bytes of this memory it holds.
    pub(super) fn bytes_of(&self, memory: &Bytes) -> usize {
        let received = self.received();
        let shares = memory.as_ptr_range().contains(&received.as_ptr());
        if shares { received.len() } else { 0 }
    }

    /// Takes memory of its own, should it share this.
    pub(super) fn leave(&mut self, memory: &Bytes) {
        if self.bytes_of(memory) > 0 {
            let received = self.raw.as_mut().unwrap_or(&mut self.document);
            *received = Bytes::copy_from_slice(received);
        }
    }
}
