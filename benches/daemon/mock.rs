//! The stand-in for X-Ray: takes `PutTraceSegments` over plain HTTP or TLS and knows which documents came.
//!
//! A thread for each connection, blocking reads, and two searches through each body: little enough to share a
//! core with the load generator.

use crate::pace::poll_again;
use crate::support::{MARK, MARK_DIGITS};
use anyhow::Context;
use memchr::memmem::{self, Finder};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Most bytes one read asks for, and the first size of a connection's buffer.
const READ_BYTES: usize = 128 * 1024;

/// Documents wait a second for their batch; after twice that nothing more is coming.
const QUIET: Duration = Duration::from_millis(2_200);

/// Longest wait for documents to come in.
const SETTLE_MAX: Duration = Duration::from_mins(1);

const ACCEPTED: &[u8] = b"{\"UnprocessedTraceSegments\":[]}";

/// A certificate for `localhost` that is its own authority.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Certificate {
    pub(crate) fn for_localhost() -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let (pem, der) = (made.cert.pem(), made.cert.der().clone());
        Ok(Self { pem, der, key: made.signing_key.serialize_der() })
    }

    fn server(&self) -> anyhow::Result<ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        Ok(builder.with_single_cert(vec![self.der.clone()], key)?)
    }
}

/// A running stand-in. It ends, as its connections do, when it is dropped and its clients have gone.
pub(crate) struct Mock {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    tls: Option<Arc<ServerConfig>>,
    /// Whether requests are answered; the floor does not wait for answers.
    answers: bool,
    ended: AtomicBool,
    /// One bit for each mark that came.
    seen: Box<[AtomicU64]>,
    arrived: AtomicU64,
    twice: AtomicU64,
    /// Requests and bodies that are not as they should be.
    odd: AtomicU64,
    mark: Finder<'static>,
    between: Finder<'static>,
}

impl Mock {
    /// Listens on a free port. `marks` is how many documents there will be at most.
    pub(crate) fn start(
        certificate: Option<&Certificate>,
        answers: bool,
        marks: u64,
    ) -> anyhow::Result<Self> {
        let words = usize::try_from(marks / 64 + 1)?;
        let state = Arc::new(State {
            tls: certificate.map(Certificate::server).transpose()?.map(Arc::new),
            answers,
            ended: AtomicBool::new(false),
            seen: (0..words).map(|_| AtomicU64::new(0)).collect(),
            arrived: AtomicU64::new(0),
            twice: AtomicU64::new(0),
            odd: AtomicU64::new(0),
            mark: Finder::new(MARK),
            between: Finder::new("\",\""),
        });
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let accepting = state.clone();
        std::thread::Builder::new().name("accept".to_owned()).spawn(move || accept(&listener, &accepting))?;
        Ok(Self { address, state })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a daemon is to send: a name, because certificates are for names.
    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.state.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}", self.address.port())
    }

    /// Different documents that have come.
    pub(crate) fn arrived(&self) -> u64 {
        self.state.arrived.load(Relaxed)
    }

    /// Waits until this many have come, or until none has come for a while; how many have.
    pub(crate) fn settled(&self, expected: u64) -> anyhow::Result<u64> {
        let began = Instant::now();
        let (mut arrived, mut since) = (self.arrived(), began);
        while arrived < expected && since.elapsed() < QUIET {
            anyhow::ensure!(began.elapsed() < SETTLE_MAX, "documents still come after {SETTLE_MAX:?}");
            poll_again();
            let now = self.arrived();
            if now != arrived {
                (arrived, since) = (now, Instant::now());
            }
        }
        let odd = self.state.odd.load(Relaxed);
        anyhow::ensure!(odd == 0, "{odd} requests were not what X-Ray takes");
        Ok(arrived)
    }

    /// Documents that came again.
    pub(crate) fn twice(&self) -> u64 {
        self.state.twice.load(Relaxed)
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.state.ended.store(true, Relaxed);
        // Wakes the thread that accepts, so that it sees the end; if it is gone, so much the better.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming() {
        if state.ended.load(Relaxed) {
            return;
        }
        let (Ok(stream), state) = (stream, state.clone()) else { continue };
        let serving = std::thread::Builder::new().name("connection".to_owned()).spawn(move || {
            // A connection ends when the daemon closes it or is killed.
            let _ = serve(stream, &state);
        });
        if serving.is_err() {
            return;
        }
    }
}

fn serve(stream: TcpStream, state: &State) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    match &state.tls {
        None => answer_requests(stream, state),
        Some(config) => {
            let tls = ServerConnection::new(config.clone())?;
            answer_requests(StreamOwned::new(tls, stream), state)
        }
    }
}

fn answer_requests(mut stream: impl Read + Write, state: &State) -> anyhow::Result<()> {
    let mut input = Input { bytes: vec![0; READ_BYTES], filled: 0 };
    let end_of_head = Finder::new("\r\n\r\n");
    loop {
        let head = loop {
            match end_of_head.find(input.filled()) {
                Some(at) => break at + 4,
                None => input.read_more(&mut stream)?,
            }
        };
        let request = Head::parse(&input.filled()[..head]).inspect_err(|_| state.note_odd())?;
        let end = head + request.body_bytes;
        while input.filled < end {
            input.read_more(&mut stream)?;
        }
        let answer = if request.has_segments { ACCEPTED } else { b"{}" };
        if request.has_segments {
            state.count(&input.filled()[head..end]);
        }
        input.consume(end);
        if state.answers {
            let mut response = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            )
            .into_bytes();
            response.extend_from_slice(answer);
            stream.write_all(&response)?;
        }
    }
}

/// What was read and not used yet.
struct Input {
    bytes: Vec<u8>,
    filled: usize,
}

impl Input {
    fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    fn read_more(&mut self, stream: &mut impl Read) -> io::Result<()> {
        if self.bytes.len() - self.filled < READ_BYTES {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        let end = self.bytes.len().min(self.filled + READ_BYTES);
        match stream.read(&mut self.bytes[self.filled..end])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.filled += count;
                Ok(())
            }
        }
    }

    fn consume(&mut self, count: usize) {
        self.bytes.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}

struct Head {
    /// `PutTraceSegments`; anything else is telemetry.
    has_segments: bool,
    body_bytes: usize,
}

impl Head {
    fn parse(head: &[u8]) -> anyhow::Result<Self> {
        let head = std::str::from_utf8(head)?;
        let mut lines = head.lines();
        let request = lines.next().context("an empty head")?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let mut body_bytes = 0;
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("content-length") {
                body_bytes = value.trim().parse()?;
            }
            anyhow::ensure!(!name.eq_ignore_ascii_case("transfer-encoding"), "chunked");
        }
        Ok(Self { has_segments: request.starts_with("POST /TraceSegments "), body_bytes })
    }
}

impl State {
    fn note_odd(&self) {
        self.odd.fetch_add(1, Relaxed);
    }

    /// Counts the documents of one body. Two documents are a quote, a comma and a quote apart; inside a
    /// document every quote has a backslash before it. Each has one mark.
    fn count(&self, body: &[u8]) {
        let documents = self.between.find_iter(body).count() + 1;
        let mut marks = 0;
        for at in self.mark.find_iter(body) {
            let digits = &body[at + MARK.len()..][..MARK_DIGITS];
            let mark = digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit & 15));
            self.see(mark);
            marks += 1;
        }
        if marks != documents || memmem::find(body, b"\"TraceSegmentDocuments\"").is_none() {
            self.note_odd();
        }
    }

    fn see(&self, mark: u64) {
        let word = usize::try_from(mark / 64).ok().and_then(|at| self.seen.get(at));
        let Some(word) = word else { return self.note_odd() };
        let bit = 1 << (mark % 64);
        let counter = if word.fetch_or(bit, Relaxed) & bit == 0 { &self.arrived } else { &self.twice };
        counter.fetch_add(1, Relaxed);
    }
}
