//! The form of the log: documents that are in the head and in no block yet.
//!
//! A file is a header of 16 bytes and frames behind each other. Numbers are little-endian.
//!
//! ```text
//!  0  4  "xwf1"
//!  4  4  bytes of the payload as it lies here, compressed with zstd
//!  8  4  bytes of the payload when it is unpacked
//! 12  4  number of documents
//! 16  8  sequence of the first; the others follow without a gap
//! 24  4  CRC-32 of the payload as it lies here
//! 28  4  CRC-32 of the bytes 0 to 27
//!     …  the payload: for each document its length (4) and when it was received (8, microseconds since 1970), and
//!        then the documents as they were received
//! ```

use bytes::Bytes;
use std::io;
use zstd::bulk::{Compressor, Decompressor};

/// What every file begins with.
pub(super) const FILE_HEADER: [u8; 16] = *b"xrayd wal v1\n\0\0\0";

/// A frame is closed when this much is in it: enough for documents to be compressed by what they have in common.
pub(super) const FRAME_BYTES: usize = 64 * 1024;

const MAGIC: [u8; 4] = *b"xwf1";
const FRAME_HEADER_BYTES: usize = 32;
const PART_BYTES: usize = 12;

/// One of the quick levels of zstd: the log is read once, if ever, and gone with the next block.
const LEVEL: i32 = -3;

/// Nobody writes larger frames; what says so is not to be believed, whatever its checksum.
const FRAME_MAX_BYTES: usize = 256 * 1024 * 1024;

/// Makes frames.
pub(super) struct Packer {
    compressor: Compressor<'static>,
    table: Vec<u8>,
    plain: Vec<u8>,
    packed: Vec<u8>,
    documents: u32,
    first_sequence: u64,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").field("documents", &self.documents).finish_non_exhaustive()
    }
}

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            compressor: Compressor::new(LEVEL)?,
            table: Vec::new(),
            plain: Vec::new(),
            packed: Vec::new(),
            documents: 0,
            first_sequence: 0,
        })
    }

    /// Adds a document to the frame, and the frame to `out` when it is full. Sequences come without a gap until the next
    /// [`Packer::finish`].
    pub(super) fn push(
        &mut self,
        sequence: u64,
        received: u64,
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        if self.documents == 0 {
            self.first_sequence = sequence;
        }
        let length = u32::try_from(raw.len()).map_err(io::Error::other)?;
        self.table.extend_from_slice(&length.to_le_bytes());
        self.table.extend_from_slice(&received.to_le_bytes());
        self.plain.extend_from_slice(raw);
        self.documents += 1;
        if self.plain.len() >= FRAME_BYTES { self.finish(out) } else { Ok(()) }
    }

    /// Adds what is left to `out`.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if self.documents == 0 {
            return Ok(());
        }
        self.table.extend_from_slice(&self.plain);
        let packed = self.pack(out);
        self.table.clear();
        self.plain.clear();
        self.documents = 0;
        packed
    }

    fn pack(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.table.len()));
        self.compressor.compress_to_buffer(&self.table, &mut self.packed)?;
        let narrow = |length: usize| u32::try_from(length).map_err(io::Error::other);
        let begin = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&narrow(self.packed.len())?.to_le_bytes());
        out.extend_from_slice(&narrow(self.table.len())?.to_le_bytes());
        out.extend_from_slice(&self.documents.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(&self.packed).to_le_bytes());
        let crc = crc32fast::hash(&out[begin..]);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&self.packed);
        Ok(())
    }
}

/// A document of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) sequence: u64,
    /// Microseconds since 1970.
    pub(super) received: u64,
    pub(super) raw: Bytes,
}

/// Whether a file of this version begins like this. The write of the header too may have been cut short.
pub(super) fn is_ours(file: &[u8]) -> bool {
    file.starts_with(&FILE_HEADER) || FILE_HEADER.starts_with(file)
}

/// What was wrong with a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Bytes with whole frames behind them: something has changed what was written.
    pub(super) skipped_bytes: u64,
    /// Bytes at the end: the last write was cut short.
    pub(super) torn_bytes: u64,
}

/// Reads all documents of a file that can be read, and says what could not.
pub(super) fn read(file: &[u8], mut each: impl FnMut(Logged)) -> io::Result<Damage> {
    let mut unpacker = Decompressor::new()?;
    let mut damage = Damage::default();
    let mut at = if file.starts_with(&FILE_HEADER) { FILE_HEADER.len() } else { 0 };
    // End of the last good frame.
    let mut good = at;
    while let Some(found) = next_magic(file, at) {
        let frame = Frame::parse(&file[found..]);
        let documents = frame.and_then(|frame| frame.unpack(&mut unpacker));
        let (Some(frame), Some(documents)) = (frame, documents) else {
            at = found + 1;
            continue;
        };
        documents.for_each(&mut each);
        damage.skipped_bytes += (found - good) as u64;
        at = found + FRAME_HEADER_BYTES + frame.payload.len();
        good = at;
    }
    damage.torn_bytes = (file.len() - good) as u64;
    Ok(damage)
}

fn next_magic(file: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(file.get(from..)?, &MAGIC).map(|at| from + at)
}

/// A frame whose checksums are right.
#[derive(Debug, Clone, Copy)]
struct Frame<'a> {
    payload: &'a [u8],
    plain_bytes: usize,
    documents: usize,
    first_sequence: u64,
}

impl<'a> Frame<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>()?;
        let number =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if number(28) != crc32fast::hash(&header[..28]) {
            return None;
        }
        let payload = rest.get(..number(4) as usize)?;
        let frame = Self {
            payload,
            plain_bytes: number(8) as usize,
            documents: number(12) as usize,
            first_sequence: u64::from(number(16)) | u64::from(number(20)) << 32,
        };
        let sane = frame.plain_bytes <= FRAME_MAX_BYTES && frame.documents <= frame.plain_bytes / PART_BYTES;
        (sane && crc32fast::hash(payload) == number(24)).then_some(frame)
    }

    fn unpack(self, unpacker: &mut Decompressor<'_>) -> Option<impl Iterator<Item = Logged> + use<>> {
        let plain = unpacker.decompress(self.payload, self.plain_bytes).ok()?;
        let plain = Bytes::from(plain);
        let mut at = self.documents * PART_BYTES;
        let mut parts = Vec::with_capacity(self.documents);
        for part in plain.get(..at)?.as_chunks::<PART_BYTES>().0 {
            let [l0, l1, l2, l3, received @ ..] = *part;
            let end = at.checked_add(u32::from_le_bytes([l0, l1, l2, l3]) as usize)?;
            parts.push((at..end, u64::from_le_bytes(received)));
            at = end;
        }
        if at != plain.len() {
            return None;
        }
        let sequences = self.first_sequence..;
        Some(sequences.zip(parts).map(move |(sequence, (place, received))| Logged {
            sequence,
            received,
            raw: plain.slice(place),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn logged(sequence: u64, bytes: usize) -> Logged {
        let raw: Vec<u8> =
            (0..bytes).map(|at| ((at as u64 * 31 + sequence * 17) % 251).try_into().unwrap()).collect();
        Logged { sequence, received: 1_000 + sequence, raw: raw.into() }
    }

    /// One frame each.
    fn file_of(frames: &[Vec<Logged>]) -> (Vec<u8>, Vec<usize>) {
        let mut packer = Packer::new().unwrap();
        let mut file = FILE_HEADER.to_vec();
        let mut ends = Vec::new();
        for frame in frames {
            for one in frame {
                packer.push(one.sequence, one.received, &one.raw, &mut file).unwrap();
            }
            packer.finish(&mut file).unwrap();
            ends.push(file.len());
        }
        (file, ends)
    }

    fn read_all(file: &[u8]) -> (Vec<Logged>, Damage) {
        let mut all = Vec::new();
        let damage = read(file, |one| all.push(one)).unwrap();
        (all, damage)
    }

    fn three_frames() -> Vec<Vec<Logged>> {
        vec![vec![logged(7, 300), logged(8, 0)], vec![logged(9, 1_000)], vec![logged(10, 50), logged(11, 70)]]
    }

    #[test]
    fn what_is_written_is_read() {
        let (file, _) = file_of(&three_frames());
        assert_eq!(read_all(&file), (three_frames().concat(), Damage::default()));
        assert_eq!(read_all(&FILE_HEADER), (vec![], Damage::default()));
    }

    #[test]
    fn a_full_frame_closes_itself() {
        let mut packer = Packer::new().unwrap();
        let mut file = Vec::new();
        packer.push(1, 1, &vec![0; FRAME_BYTES - 1], &mut file).unwrap();
        assert!(file.is_empty());
        packer.push(2, 1, &[0], &mut file).unwrap();
        let frame = Frame::parse(&file).unwrap();
        assert_eq!((frame.documents, frame.first_sequence), (2, 1));
    }

    #[test]
    fn a_file_cut_anywhere_gives_all_whole_frames_and_says_what_was_cut() {
        let frames = three_frames();
        let (file, ends) = file_of(&frames);
        for length in 0..file.len() {
            let whole = ends.iter().filter(|&&end| end <= length).count();
            let good = if length < FILE_HEADER.len() {
                0
            } else {
                whole.checked_sub(1).map_or(FILE_HEADER.len(), |last| ends[last])
            };
            let (all, damage) = read_all(&file[..length]);
            assert_eq!(all, frames[..whole].concat(), "{length}");
            let torn_bytes = (length - good) as u64;
            assert_eq!(damage, Damage { torn_bytes, ..Damage::default() }, "{length}");
        }
    }

    #[test]
    fn a_frame_that_was_changed_anywhere_is_left_out_and_the_others_are_read() {
        let frames = three_frames();
        let (file, ends) = file_of(&frames);
        for at in ends[0]..ends[1] {
            let mut changed = file.clone();
            changed[at] ^= 0x10;
            let (all, damage) = read_all(&changed);
            assert_eq!(all, [frames[0].clone(), frames[2].clone()].concat(), "{at}");
            let skipped_bytes = (ends[1] - ends[0]) as u64;
            assert_eq!(damage, Damage { skipped_bytes, ..Damage::default() }, "{at}");
        }
    }

    proptest! {
        #[test]
        fn property_whatever_stands_there_is_read_or_called_damaged(
            noise in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0_usize..2_000,
        ) {
            let frames = three_frames();
            let (mut file, _) = file_of(&frames);
            let at = FILE_HEADER.len() + at % (file.len() - FILE_HEADER.len());
            file.splice(at..at, noise.iter().copied());
            let (all, damage) = read_all(&file);
            prop_assert!(all.iter().all(|one| frames.concat().contains(one)));
            prop_assert_eq!(damage == Damage::default(), noise.is_empty());
        }
    }
}
