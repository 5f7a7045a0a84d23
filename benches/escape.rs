//! Writing a document as the inside of a JSON string: our vector code, our safe code, and `serde_json`.
//! `append_escaped` also checks that the document is UTF-8; the two others get it as a `str`.

mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use support::SIZES;
use xrayd::segment::{append_escaped, append_escaped_portable};

/// Different documents in one iteration, so that the branch predictor learns none by heart.
const DOCUMENTS: usize = 64;

fn escape(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("escape");
    for (size, bytes) in SIZES {
        let documents = support::documents(DOCUMENTS, bytes);
        let mut out = Vec::with_capacity(2 * bytes);
        group.throughput(support::throughput(&documents));
        group.bench_function(BenchmarkId::new("append_escaped", size), |bencher| {
            bencher.iter(|| {
                for document in &documents {
                    out.clear();
                    let _ = black_box(append_escaped(document.as_bytes(), black_box(&mut out)));
                }
            });
        });
        group.bench_function(BenchmarkId::new("append_escaped_portable", size), |bencher| {
            bencher.iter(|| {
                for document in &documents {
                    out.clear();
                    append_escaped_portable(document, black_box(&mut out));
                }
            });
        });
        group.bench_function(BenchmarkId::new("serde_json", size), |bencher| {
            bencher.iter(|| {
                for document in &documents {
                    out.clear();
                    serde_json::to_writer(black_box(&mut out), document).expect("a Vec takes everything");
                }
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = escape }
criterion_main!(benches);
