//! An application that sends documents at a steady rate.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const HEADER: &[u8] = b"{\"format\":\"json\",\"version\":1}\n";

/// Sends until told to stop, and knows when it sent each document.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<Instant>>,
}

impl Load {
    /// Sends `rate` documents a second; `document` makes the one of each number, from 0.
    #[expect(clippy::disallowed_methods, reason = "a steady rate is a matter of time, not of events")]
    pub fn start(to: &str, rate: u32, document: impl Fn(usize) -> String + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (to, stopped) = (to.to_owned(), stop.clone());
        let thread = std::thread::spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            let (began, mut times) = (Instant::now(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                let document = document(times.len());
                times.push(Instant::now());
                // As SDKs do: that nobody is there is no reason to fail.
                let _ = socket.send_to(&[HEADER, document.as_bytes()].concat(), &to);
                let next = began + Duration::from_secs(1) * u32::try_from(times.len()).unwrap() / rate;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            times
        });
        Self { stop, thread }
    }

    /// When each document was sent.
    pub fn stop(self) -> Vec<Instant> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
