//! The pipeline as the daemon's threads share it: passes of 64 datagrams in, batches out; once from memory, and
//! once from the receive thread and a socket on loopback.

mod support;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use support::SIZES;
use xrayd::app::ToXRay;
use xrayd::events::Events;
use xrayd::pipeline::{Outcome, Settings, Shared};
use xrayd::udp::{self, Listener};

/// Datagrams the receive thread takes in one pass. They come again in the next one, as the thread's buffers do.
const PASS: usize = 64;

/// Passes of one iteration: 32 full batches.
const PASSES: usize = 25;

/// Datagrams the socket may hold unread: fewer than fit the smallest buffer a system grants.
const UNREAD_MAX: usize = 32;

/// A datagram that takes longer from one socket to the other is lost.
const LOST_AFTER: Duration = Duration::from_secs(10);

fn shared() -> Shared {
    Shared::new(&Settings { budget_bytes: 64 * 1024 * 1024, concurrency: 8, in_flight_max: 128 })
}

/// Takes every batch that is ready, as a sink does whose endpoint answers at once.
fn take_all(pipeline: &Shared, answered: &Outcome, now: Instant) {
    while let Ok(outgoing) = pipeline.next(now) {
        black_box(outgoing.batch().body());
        outgoing.complete(answered, now);
    }
}

/// Documents and bytes of one iteration.
fn throughput(pass: &[Vec<u8>]) -> Throughput {
    let bytes: usize = pass.iter().map(Vec::len).sum();
    Throughput::ElementsAndBytes { elements: (PASSES * pass.len()) as u64, bytes: (PASSES * bytes) as u64 }
}

fn answered() -> Outcome {
    Outcome::Answered { again: Vec::new(), refused: 0, throttled: false }
}

fn from_memory(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline/shared, 64 datagrams a pass");
    for (size, bytes) in SIZES {
        let pass = support::datagrams(PASS, bytes);
        let (pipeline, answered) = (shared(), answered());
        group.throughput(throughput(&pass));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                for _ in 0..PASSES {
                    let now = Instant::now();
                    let given_up =
                        pipeline.offer_datagrams(now, pass.iter().map(Vec::as_slice), |offer, _| {
                            let _ = black_box(offer);
                        });
                    assert_eq!(given_up, 0);
                    take_all(&pipeline, &answered, now);
                }
            });
        });
        assert_eq!(pipeline.snapshot().waiting.total(), 0);
    }
    group.finish();
}

/// Time of sender and receiver together; on two cores, of the slower one.
fn from_loopback(criterion: &mut Criterion) {
    let (pipeline, answered) = (shared(), answered());
    let settings = udp::Settings { nap: false, ..udp::Settings::default() };
    let socket = udp::bind(([127, 0, 0, 1], 0).into()).expect("loopback has a free port");
    let mut listener = Listener::start(
        socket,
        &settings,
        ToXRay::new(pipeline.clone(), Events::default()),
        Events::default(),
    )
    .expect("the system gives a thread");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    sender.connect(listener.local_addr()).expect("loopback is there");
    let received = || pipeline.snapshot().totals.received_total();

    let mut group = criterion.benchmark_group("pipeline/loopback, receive thread without nap");
    let pass = support::datagrams(PASS, support::USUAL_BYTES);
    group.throughput(throughput(&pass));
    group.bench_function(BenchmarkId::from_parameter("1.3 KB"), |bencher| {
        bencher.iter(|| {
            let mut sent = received();
            for _ in 0..PASSES {
                for part in pass.chunks(UNREAD_MAX / 2) {
                    for datagram in part {
                        sender.send(datagram).expect("loopback takes every datagram");
                    }
                    sent += part.len() as u64;
                    wait_until(|| received() + (UNREAD_MAX / 2) as u64 >= sent);
                    take_all(&pipeline, &answered, Instant::now());
                }
            }
            wait_until(|| received() == sent);
            take_all(&pipeline, &answered, Instant::now());
        });
    });
    group.finish();
    listener.stop();
    assert_eq!(pipeline.snapshot().waiting.total(), 0);
}

fn wait_until(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LOST_AFTER, "a datagram was lost on loopback");
        std::thread::yield_now();
    }
}

criterion_group! { name = benches; config = support::criterion(); targets = from_memory, from_loopback }
criterion_main!(benches);
