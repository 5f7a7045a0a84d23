//! The Linux receiver and the portable one do the same.

use crate::support::{PATIENCE, numbered};
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use xrayd::app::ToXRay;
use xrayd::events::Events;
use xrayd::pipeline::{Settings, Shared, Snapshot};
use xrayd::udp::{self, Listener, Portable};

const SETTINGS: Settings = Settings { budget_bytes: 64 * 1024 * 1024, concurrency: 8, in_flight_max: 8 };

fn socket() -> UdpSocket {
    udp::bind("127.0.0.1:0".parse().unwrap()).unwrap()
}

/// Sends through a listener; returns what the pipeline counted and the bodies it would send.
async fn through(start: impl FnOnce(UdpSocket, Shared) -> Listener) -> (Snapshot, Vec<String>) {
    let pipeline = Shared::new(&SETTINGS);
    let mut listener = start(socket(), pipeline.clone());
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..200 {
        let document = numbered(number).repeat(1 + number % 40);
        let datagram = [crate::support::HEADER, document.as_bytes()].concat();
        sender.send_to(&datagram, listener.local_addr()).unwrap();
        if number % 10 == 9 {
            sender.send_to(b"nothing", listener.local_addr()).unwrap();
            let wanted = (number as u64 + 1) * 11 / 10;
            let deadline = Instant::now() + PATIENCE;
            while pipeline.snapshot().totals.received_total() < wanted {
                assert!(Instant::now() < deadline, "waited in vain for datagram {wanted}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
    assert!(listener.is_alive());
    listener.stop();
    pipeline.close_intake(Instant::now());
    let snapshot = pipeline.snapshot();
    let mut bodies = Vec::new();
    while let Ok(outgoing) = pipeline.next(Instant::now()) {
        bodies.push(String::from_utf8(outgoing.batch().body().to_vec()).unwrap());
        let all = xrayd::pipeline::Outcome::Answered { again: Vec::new(), refused: 0, throttled: false };
        outgoing.complete(&all, Instant::now());
    }
    (snapshot, bodies)
}

fn intake(pipeline: &Shared) -> ToXRay {
    ToXRay::new(pipeline.clone(), Events::default())
}

#[tokio::test]
async fn both_receivers_give_the_same_bodies_and_counts() {
    let events = Events::default;
    let quick = through(|socket, pipeline| {
        Listener::start(socket, &udp::Settings::default(), intake(&pipeline), events()).unwrap()
    });
    let portable = through(|socket, pipeline| {
        Listener::start_with(Portable::new(socket).unwrap(), Duration::ZERO, intake(&pipeline), events())
            .unwrap()
    });
    let (quick, portable) = (quick.await, portable.await);
    assert_eq!(quick.0.totals, portable.0.totals);
    assert_eq!(quick.0.totals.received_total(), 220);
    assert_eq!(quick.0.totals.refused_total(), 20);
    assert!(quick.1 == portable.1, "the bodies differ");
}

#[tokio::test]
async fn a_stopped_listener_has_taken_everything_the_socket_held() {
    let pipeline = Shared::new(&SETTINGS);
    let socket = socket();
    let (to, sender) = (socket.local_addr().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    for number in 0..50 {
        sender.send_to(&[crate::support::HEADER, numbered(number).as_bytes()].concat(), to).unwrap();
    }
    let mut listener =
        Listener::start(socket, &udp::Settings::default(), intake(&pipeline), Events::default()).unwrap();
    listener.stop();
    assert_eq!(pipeline.snapshot().totals.received_total(), 50);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn datagrams_the_kernel_had_no_room_for_are_counted() {
    let socket = socket();
    let (to, sender) = (socket.local_addr().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    socket2::SockRef::from(&socket).set_recv_buffer_size(4096).unwrap();
    for number in 0..100 {
        sender.send_to(&[crate::support::HEADER, numbered(number).as_bytes()].concat(), to).unwrap();
    }
    let (pipeline, events) = (Shared::new(&SETTINGS), Events::default());
    let settings = udp::Settings { receive_buffer_bytes: 4096, nap: true };
    let mut listener = Listener::start(socket, &settings, intake(&pipeline), events.clone()).unwrap();
    listener.stop();
    let received = pipeline.snapshot().totals.received_total();
    assert!(received < 100);
    assert_eq!(events.kernel_dropped_total(), 100 - received);
}
