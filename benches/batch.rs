//! Fifty documents become a request body: in a fresh body, and through the pipeline, whose bodies are used
//! again.

mod support;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Instant;
use support::SIZES;
use xrayd::pipeline::{BATCH_DOCUMENTS_MAX, Next, Offer, Outcome, Pipeline, Settings, build_body};

fn fresh_body(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch/build_body, 50 documents");
    for (size, bytes) in SIZES {
        let documents = support::documents(BATCH_DOCUMENTS_MAX, bytes);
        group.throughput(support::throughput(&documents));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| build_body(black_box(&documents).iter().map(String::as_bytes)));
        });
    }
    group.finish();
}

fn pooled_body(criterion: &mut Criterion) {
    let settings = Settings { budget_bytes: 64 * 1024 * 1024, concurrency: 8, in_flight_max: 128 };
    let answered = Outcome::Answered { again: Vec::new(), refused: 0, throttled: false };
    let mut group = criterion.benchmark_group("batch/offer, next and complete, 50 datagrams");
    for (size, bytes) in SIZES {
        let datagrams = support::datagrams(BATCH_DOCUMENTS_MAX, bytes);
        let mut pipeline = Pipeline::new(&settings);
        group.throughput(support::throughput(&datagrams));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                let now = Instant::now();
                for datagram in &datagrams {
                    let offer = pipeline.offer_datagram(now, black_box(datagram));
                    debug_assert!(matches!(offer, Offer::Accepted { .. }), "{offer:?}");
                }
                let Next::Send(id, batch) = pipeline.next(now) else { panic!("the batch is full") };
                black_box(batch.body());
                pipeline.complete(id, &answered, now, now);
            });
        });
        assert_eq!(pipeline.snapshot().waiting.total(), 0);
    }
    group.finish();
}

criterion_group! { name = benches; config = support::criterion(); targets = fresh_body, pooled_body }
criterion_main!(benches);
