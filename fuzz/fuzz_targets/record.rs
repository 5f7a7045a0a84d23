//! Segment documents for the store: the quick way to read one and the plain one agree, and what is kept is JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xrayd::query::Record;
use xrayd::segment::Document;
use xrayd::segment::otlp;

fuzz_target!(|input: &[u8]| {
    if otlp::is_otlp(input) {
        for document in otlp::documents(input).unwrap_or_default() {
            assert!(Document::parse(document.as_bytes()).is_ok(), "{document}");
        }
        return;
    }
    let quick = Record::read(input, 1, 2.0);
    let plain = Document::parse_repaired(input);
    match (quick, plain) {
        (Ok((record, kept)), Ok((document, repaired))) => {
            assert_eq!(record, Record::of(&document, 1, 2.0));
            assert_eq!(kept, repaired);
            let again: serde_json::Value = serde_json::from_slice(&kept).expect("what is kept is JSON");
            assert!(again.is_object());
        }
        (Err(quick), Err(plain)) => assert_eq!(quick, plain),
        (quick, plain) => panic!("{quick:?} is not {plain:?}"),
    }
});
