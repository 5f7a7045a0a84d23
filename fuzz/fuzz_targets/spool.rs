//! Spool files: whatever the disk gives back, what was written well is read as it was written, everything else is
//! counted, and nothing is left over.
//!
//! The first byte of the input says what the rest is: a whole file; the same with its checksums put right, so that
//! what they guard is reached; or documents, and damage to the file they make.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;
use xrayd::pipeline::{Next, Pipeline, Record, Settings};
use xrayd::spool::fuzzing::{Reading, read, seal, write};

/// Every file: the numbers add up, and nothing stays behind but what is set aside.
fn check(reading: &Reading) {
    assert_eq!(reading.recovered, reading.read + reading.lost, "{reading:?}");
    assert_eq!(reading.left, 0, "{reading:?}");
    assert!(reading.names.iter().all(|name| name.ends_with(".damaged")), "{reading:?}");
    let settings = Settings { budget_bytes: 64 << 20, concurrency: 1, in_flight_max: 1 };
    for (body, ends) in &reading.bodies {
        // The pipeline either takes a body and finds its documents, or says that it is none.
        let mut pipeline = Pipeline::new(&settings);
        let documents = u32::try_from(ends.len()).expect("at most 50");
        pipeline.spool_opened(u64::from(documents));
        let record = Record { file: 1, offset: 0, documents };
        let now = std::time::Instant::now();
        if pipeline.offer_spooled(now, body.clone(), ends.clone(), record).is_ok() {
            let Next::Send(_, batch) = pipeline.next(now) else { panic!("nothing stands in its way") };
            assert_eq!(batch.documents().map(|document| document.unescape()).count(), ends.len());
            assert_eq!(batch.body(), body);
        }
        assert!(pipeline.snapshot().balances());
    }
}

/// Documents one behind the other, a NUL between two of them and two NULs between batches; after the last ESC, pairs
/// of a place and what to change there.
fn damaged(input: &[u8]) {
    let (documents, damage) = match input.iter().rposition(|&byte| byte == 0x1b) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &[][..]),
    };
    let mut batches = vec![vec![]];
    for document in documents.split(|&byte| byte == 0) {
        if document.is_empty() {
            batches.push(vec![]);
        } else if let Some(last) = batches.last_mut().filter(|last| last.len() < 50) {
            last.push(document.to_vec());
        }
    }
    let whole = write(&batches);
    let mut bytes = whole.clone();
    for change in damage.chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]]));
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= change[2];
        } else if change[2] == 0 {
            bytes.truncate(place % (bytes.len() + 1));
        }
    }
    let (before, after) = (read(&whole), read(&bytes));
    assert_eq!(before.recovered, before.read, "nothing of a whole file is lost");
    check(&before);
    check(&after);
    // What is read was written, and not read more often than that. Damage that hits a checksum's blind spot would be
    // a find as well.
    let mut written: HashMap<&[u8], usize> = HashMap::new();
    for (body, _) in &before.bodies {
        *written.entry(body).or_default() += 1;
    }
    for (body, _) in &after.bodies {
        let left = written.get_mut(body.as_slice()).expect("a body that was never written");
        *left = left.checked_sub(1).expect("a body that was written once less");
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&kind, rest)) = input.split_first() else { return };
    match kind % 3 {
        0 => check(&read(rest)),
        1 => {
            let mut sealed = rest.to_vec();
            seal(&mut sealed);
            check(&read(&sealed));
        }
        _ => damaged(rest),
    }
});
