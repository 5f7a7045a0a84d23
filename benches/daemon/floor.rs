//! The least a daemon can spend on a document: receive it, escape it into a body, hash the body as the signature asks,
//! encrypt and write it. No headers that change, no answers, no batches in flight, one thread.

use crate::mock::{Certificate, Mock};
use crate::process::running_time;
use crate::sys;
use anyhow::Context;
use sha2::{Digest, Sha256};
use socket2::SockRef;
use std::hint::black_box;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use xrayd::pipeline::BATCH_DOCUMENTS_MAX;
use xrayd::segment::{Datagram, append_escaped};
use xrayd::udp::{self, DATAGRAM_MAX_BYTES, RECEIVE_BUFFER_BYTES};

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// The running floor.
pub(crate) struct Floor {
    udp: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Duration>>,
}

impl Floor {
    /// Starts it on `core`; it sends to `mock`, which is not to answer.
    pub(crate) fn start(core: Option<usize>, mock: &Mock, certificate: &Certificate) -> anyhow::Result<Self> {
        let (ready, is_ready) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (told, to, config) = (stop.clone(), mock.address(), client(certificate)?);
        let thread = std::thread::Builder::new().name("floor".to_owned()).spawn(move || {
            core.map_or(Ok(()), sys::pin)?;
            let mut work = Work::new(to, config)?;
            ready.send(work.socket.local_addr()?)?;
            let before = own_cpu()?;
            work.run(&told)?;
            Ok(own_cpu()?.saturating_sub(before))
        })?;
        let udp = is_ready.recv().context("the floor did not start")?;
        Ok(Self { udp, stop, thread })
    }

    /// Where it receives.
    pub(crate) fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Ends it; the CPU time it took.
    pub(crate) fn finish(self) -> anyhow::Result<Duration> {
        self.stop.store(true, Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the floor panicked"))?
    }
}

fn client(certificate: &Certificate) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der.clone())?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn own_cpu() -> anyhow::Result<Duration> {
    running_time(&std::fs::read_to_string("/proc/thread-self/schedstat")?)
}

struct Work {
    socket: UdpSocket,
    /// Sleep after the socket was emptied, as long as the daemon's with the same receive buffer.
    nap: Duration,
    tls: Tls,
    body: Vec<u8>,
    documents: usize,
}

impl Work {
    fn new(to: SocketAddr, config: Arc<ClientConfig>) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        if !sys::force_receive_buffer(&socket, RECEIVE_BUFFER_BYTES) {
            SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        }
        let nap = udp::nap_for(SockRef::from(&socket).recv_buffer_size()?);
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        let mut tls = Tls::new(ClientConnection::new(config, ServerName::try_from("localhost")?)?, stream);
        tls.conn.complete_io(&mut tls.sock)?;
        Ok(Self { socket, nap, tls, body: Vec::new(), documents: 0 })
    }

    fn run(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let mut buffer = vec![0; DATAGRAM_MAX_BYTES];
        loop {
            let stopping = stop.load(Relaxed);
            match self.socket.recv(&mut buffer) {
                Ok(length) => self.take(&buffer[..length])?,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
                Err(_) if stopping => return self.flush(),
                Err(_) => nap(self.nap),
            }
        }
    }

    fn take(&mut self, datagram: &[u8]) -> anyhow::Result<()> {
        let document = Datagram::parse(datagram)?.document;
        let separator: &[u8] = if self.documents == 0 { b"{\"TraceSegmentDocuments\":[\"" } else { b"\",\"" };
        self.body.extend_from_slice(separator);
        let _ = append_escaped(document, &mut self.body);
        self.documents += 1;
        if self.documents == BATCH_DOCUMENTS_MAX { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.documents == 0 {
            return Ok(());
        }
        self.body.extend_from_slice(b"\"]}");
        black_box(Sha256::digest(&self.body));
        write!(
            self.tls,
            "POST /TraceSegments HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
            self.body.len()
        )?;
        self.tls.write_all(&self.body)?;
        self.body.clear();
        self.documents = 0;
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the floor naps as the daemon's receive thread does")]
fn nap(time: Duration) {
    std::thread::sleep(time);
}
