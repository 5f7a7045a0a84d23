//! The form of spool files.
//!
//! A file is a header of 16 bytes and records behind each other. Numbers are little-endian.
//!
//! ```text
//!  0  3  "xsr"
//!  3  1  state: 'W' waiting, 'D' dealt with; the only byte that ever changes
//!  4  4  length of the body in bytes
//!  8  4  number of documents
//! 12  8  when it was written, milliseconds since 1970
//! 20  4  CRC-32 of the rest of the record
//! 24  4  CRC-32 of the bytes 0 to 2 and 4 to 23
//! 28  4  for each document: where it ends in the body
//!     …  the body: a PutTraceSegments request, ready to be sent
//! ```

use crate::pipeline::{BATCH_DOCUMENTS_MAX, BODY_MAX_BYTES};

/// What every file begins with.
pub(super) const FILE_HEADER: [u8; 16] = *b"xrayd spool v1\n\0";

/// Where the first record begins.
pub(super) const FIRST_RECORD: u64 = FILE_HEADER.len() as u64;

/// Bytes of a record's header.
pub(super) const HEADER_BYTES: usize = 28;

/// Where in a record its state is.
pub(super) const STATE_AT: u64 = 3;

/// The state of a record whose documents are dealt with.
pub(super) const DONE: u8 = b'D';

const MAGIC: [u8; 3] = *b"xsr";
const WAITING: u8 = b'W';
const END_BYTES: usize = 4;

/// What the header of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) done: bool,
    pub(super) body_bytes: u32,
    pub(super) documents: u32,
    pub(super) written_ms: u64,
    payload_crc: u32,
}

impl Header {
    /// Bytes of the whole record.
    pub(super) fn record_bytes(&self) -> u64 {
        record_bytes(self.documents as usize, self.body_bytes as usize)
    }

    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[..3] != MAGIC || number(24) != header_crc(bytes) {
            return None;
        }
        let header = Self {
            done: bytes[3] == DONE,
            body_bytes: number(4),
            documents: number(8),
            written_ms: u64::from(number(12)) | u64::from(number(16)) << 32,
            payload_crc: number(20),
        };
        // Nobody writes more; what does is not to be believed, whatever its checksum.
        let sane = (1..=BATCH_DOCUMENTS_MAX).contains(&(header.documents as usize))
            && header.body_bytes as usize <= BODY_MAX_BYTES;
        sane.then_some(header)
    }

    /// Splits what follows the header into ends and body.
    pub(super) fn payload(&self, mut bytes: Vec<u8>) -> Option<(Vec<u8>, Vec<u32>)> {
        if crc32fast::hash(&bytes) != self.payload_crc {
            return None;
        }
        let split = self.documents as usize * END_BYTES;
        let (ends, _) = bytes.split_at_checked(split)?;
        let (ends, _) = ends.as_chunks::<END_BYTES>();
        let ends = ends.iter().map(|end| u32::from_le_bytes(*end)).collect();
        bytes.drain(..split);
        Some((bytes, ends))
    }

    /// Bytes that follow the header.
    pub(super) fn payload_bytes(&self) -> usize {
        self.documents as usize * END_BYTES + self.body_bytes as usize
    }
}

pub(super) fn record_bytes(documents: usize, body_bytes: usize) -> u64 {
    (HEADER_BYTES + documents * END_BYTES + body_bytes) as u64
}

/// All of a record but its body.
pub(super) fn begin_record(ends: &[u32], body: &[u8], written_ms: u64) -> Vec<u8> {
    let ends_bytes: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
    let mut payload_crc = crc32fast::Hasher::new();
    payload_crc.update(&ends_bytes);
    payload_crc.update(body);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + ends_bytes.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.push(WAITING);
    bytes.extend_from_slice(&narrow(body.len()).to_le_bytes());
    bytes.extend_from_slice(&narrow(ends.len()).to_le_bytes());
    bytes.extend_from_slice(&written_ms.to_le_bytes());
    bytes.extend_from_slice(&payload_crc.finalize().to_le_bytes());
    bytes.extend_from_slice(&header_crc(&bytes).to_le_bytes());
    bytes.extend_from_slice(&ends_bytes);
    bytes
}

fn header_crc(header: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header[..3]);
    crc.update(&header[4..24]);
    crc.finalize()
}

fn narrow(length: usize) -> u32 {
    u32::try_from(length).expect("bodies are at most BODY_MAX_BYTES long")
}

/// Where in these bytes a record may begin next, at `from` or later.
pub(super) fn find_magic(bytes: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(bytes.get(from..)?, &MAGIC).map(|at| from + at)
}

/// Writes the checksums of a record whose header is at the beginning of these bytes, if it lies within them.
#[cfg(fuzzing)]
pub(super) fn seal(bytes: &mut [u8]) {
    for _ in 0..2 {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return };
        let crc = header_crc(header);
        bytes[24..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>().and_then(Header::parse) else { return };
        let Some(payload) = bytes.get(HEADER_BYTES..HEADER_BYTES + header.payload_bytes()) else { return };
        let crc = crc32fast::hash(payload);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    }
}
