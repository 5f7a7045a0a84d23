//! The daemon header in front of every document: the two spellings SDKs send, one that has to be parsed, and
//! datagrams that are refused. Bytes are those of the header; the document behind it is not looked at.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use xrayd::segment::Datagram;

const CASES: [(&str, &str); 4] = [
    ("common", support::HEADER),
    ("common, with blanks", "{\"format\": \"json\", \"version\": 1}\n"),
    ("unusual", "{\"version\":1,\"format\":\"JSON\",\"sdk\":\"own\"}\n"),
    ("refused", "{\"format\":\"protobuf\",\"version\":1}\n"),
];

fn parse(criterion: &mut Criterion) {
    let document = support::document(support::USUAL_BYTES, 0);
    let mut group = criterion.benchmark_group("header");
    for (name, header) in CASES {
        let datagram = [header, &document].concat();
        assert_eq!(Datagram::parse(datagram.as_bytes()).is_ok(), name != "refused", "{name}");
        group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes: header.len() as u64 });
        group.bench_function(BenchmarkId::new("parse", name), |bencher| {
            bencher.iter(|| Datagram::parse(black_box(datagram.as_bytes())));
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = parse }
criterion_main!(benches);
