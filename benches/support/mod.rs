//! Documents for the benches, shaped like those X-Ray SDKs send: one request of a web service with the calls it
//! made, its annotations, its metadata, and now and then an exception with its stack.

#![allow(dead_code, reason = "every bench takes the parts it needs")]

use criterion::{Criterion, Throughput};
use serde_json::{Value, json};
use std::time::Duration;

/// What SDKs put in front of a document, as most of them write it.
pub(crate) const HEADER: &str = "{\"format\":\"json\",\"version\":1}\n";

/// Sizes of documents, in bytes: a bare request, the usual one, one with many calls, one with a long story.
pub(crate) const SIZES: [(&str, usize); 4] =
    [("0.6 KB", 600), ("1.3 KB", 1_300), ("4 KB", 4_000), ("30 KB", 30_000)];

/// The size nearly all figures are given for.
pub(crate) const USUAL_BYTES: usize = 1_300;

/// Begins the number each document carries, [`MARK_DIGITS`] long. Stands nowhere else in a document.
pub(crate) const MARK: &str = "Q~";

/// Digits behind [`MARK`].
pub(crate) const MARK_DIGITS: usize = 12;

/// Fills a document up to its size.
const WORDS: &str = "order accepted by shard seven, stock reserved until the payment settles; ";

/// Long enough to tell two per cent apart, short enough to be run often.
pub(crate) fn criterion() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2))
}

/// Documents and bytes of one iteration.
pub(crate) fn throughput<T: AsRef<[u8]>>(inputs: &[T]) -> Throughput {
    let bytes = inputs.iter().map(|input| input.as_ref().len() as u64).sum();
    Throughput::ElementsAndBytes { elements: inputs.len() as u64, bytes }
}

/// `count` different documents of exactly `bytes` bytes.
pub(crate) fn documents(count: usize, bytes: usize) -> Vec<String> {
    (0..count as u64).map(|seed| document(bytes, seed)).collect()
}

/// The same as datagrams; each is a header longer.
pub(crate) fn datagrams(count: usize, bytes: usize) -> Vec<Vec<u8>> {
    documents(count, bytes).iter().map(|document| datagram(document)).collect()
}

/// One document behind a daemon header.
pub(crate) fn datagram(document: &str) -> Vec<u8> {
    [HEADER, document].concat().into_bytes()
}

/// One document of exactly `bytes` bytes; another one for every seed.
pub(crate) fn document(bytes: usize, seed: u64) -> String {
    let mut draw = Draw(fastrand::Rng::with_seed(seed));
    let mut segment = segment(&mut draw);
    let mut length = segment.to_string().len();
    let mut subsegments = Vec::new();
    for turn in 0.. {
        let next = subsegment(&mut draw, turn);
        length += next.to_string().len() + ",".len();
        if length > bytes {
            break;
        }
        subsegments.push(next);
    }
    segment["subsegments"] = subsegments.into();
    let missing = bytes.checked_sub(segment.to_string().len()).expect("no document is as small as that");
    segment["metadata"]["default"]["note"] = WORDS.chars().cycle().take(missing).collect::<String>().into();
    segment.to_string()
}

/// Chance, the same for the same seed.
struct Draw(fastrand::Rng);

impl Draw {
    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| self.0.digit(16)).collect()
    }

    /// Start and end, a few milliseconds apart.
    fn times(&mut self) -> (f64, f64) {
        let start = 1_795_000_000.0 + f64::from(self.0.u32(0..1_000_000_000)) / 1_000.0;
        (start, start + f64::from(self.0.u32(500..90_000)) / 1_000_000.0)
    }

    fn number(&mut self, below: u32) -> u32 {
        self.0.u32(0..below)
    }
}

fn segment(draw: &mut Draw) -> Value {
    let (start, end) = draw.times();
    let mark = format!("{MARK}{:0MARK_DIGITS$}", 0);
    json!({
        "name": "checkout",
        "id": draw.hex(16),
        "trace_id": format!("1-{}-{}", draw.hex(8), draw.hex(24)),
        "start_time": start,
        "end_time": end,
        "http": {
            "request": {
                "method": "POST",
                "url": format!("https://shop.example.com/orders/{}", draw.number(1_000_000)),
                "client_ip": "198.51.100.7",
            },
            "response": { "status": 200, "content_length": draw.number(9_000) },
        },
        "aws": { "xray": { "sdk": "X-Ray for Java", "sdk_version": "2.18.2" } },
        "service": { "runtime": "OpenJDK 64-Bit Server VM", "runtime_version": "21.0.4" },
        "annotations": { "tenant": format!("t-{}", draw.number(400)), "paid": true },
        "metadata": { "default": { "mark": mark, "note": "" } },
        "subsegments": [],
    })
}

/// The calls of a service in turn: another service, a table, a database, and one that failed.
fn subsegment(draw: &mut Draw, turn: usize) -> Value {
    let (start, end) = draw.times();
    let mut call = json!({ "id": draw.hex(16), "start_time": start, "end_time": end });
    let details = match turn % 4 {
        0 => json!({
            "name": "DynamoDB", "namespace": "aws",
            "aws": { "operation": "GetItem", "table_name": "orders", "request_id": draw.hex(52), "retries": 0 },
            "http": { "response": { "status": 200, "content_length": draw.number(4_000) } },
        }),
        1 => json!({
            "name": "stock.example.com", "namespace": "remote",
            "http": {
                "request": { "method": "GET", "url": format!("https://stock.example.com/items/{}", draw.number(90_000)) },
                "response": { "status": 200 },
            },
        }),
        2 => json!({
            "name": "orders@db.example.com", "namespace": "remote",
            "sql": {
                "database_type": "PostgreSQL", "user": "shop", "url": "jdbc:postgresql://db.example.com:5432/orders",
                "sanitized_query": "SELECT \"id\", \"state\" FROM \"orders\" WHERE \"customer\" = ? AND \"state\" <> 'done'",
            },
        }),
        _ => json!({ "name": "reserve", "fault": true, "cause": cause(draw) }),
    };
    for (key, value) in details.as_object().into_iter().flatten() {
        call[key] = value.clone();
    }
    call
}

fn cause(draw: &mut Draw) -> Value {
    let stack: Vec<_> = ["reserve", "handle", "invoke", "lambda$dispatch$0", "run"]
        .iter()
        .map(|label| json!({ "path": "com/example/shop/Stock.java", "line": draw.number(400), "label": label }))
        .collect();
    json!({
        "working_directory": "/srv/shop",
        "exceptions": [{
            "id": draw.hex(16),
            "type": "com.example.shop.OutOfStock",
            "message": format!("item \"{}\" is out of stock\n\tin Zürich", draw.number(90_000)),
            "stack": stack,
        }],
    })
}
