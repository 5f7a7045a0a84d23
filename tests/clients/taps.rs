//! What stands between a client and the daemon, and looks.

use crate::support::fake_xray::PATIENCE;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Writes down every datagram on its way to the daemon.
pub struct UdpTap {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl UdpTap {
    pub fn before(to: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        // Java sends a hundred subsegments at once; no SDK is to lose one here.
        socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20).unwrap();
        let (address, seen) = (socket.local_addr().unwrap(), Arc::<Mutex<Vec<_>>>::default());
        let tap = Self { address, seen: seen.clone() };
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(length) = socket.recv(&mut buffer) {
                seen.lock().unwrap().push(buffer[..length].to_vec());
                socket.send_to(&buffer[..length], to).unwrap();
            }
        });
        tap
    }

    pub fn documents(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let document = |datagram: &Vec<u8>| {
            let line_feed = datagram.iter().position(|&byte| byte == b'\n').unwrap();
            String::from_utf8(datagram[line_feed + 1..].to_vec()).unwrap()
        };
        seen.iter().map(document).collect()
    }
}

/// Measures how long each question on the TCP port waits for its answer.
pub struct TcpTap {
    pub address: SocketAddr,
    pub longest: Arc<Mutex<Duration>>,
    pub questions: Arc<Mutex<usize>>,
}

impl TcpTap {
    pub async fn before(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tap = Self {
            address: listener.local_addr().unwrap(),
            longest: Arc::default(),
            questions: Arc::default(),
        };
        let (longest, questions) = (tap.longest.clone(), tap.questions.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Self::carry(client, to, longest.clone(), questions.clone()));
            }
        });
        tap
    }

    /// Until the client has asked something.
    pub async fn until_asked(&self) {
        let deadline = Instant::now() + PATIENCE;
        while *self.questions.lock().unwrap() == 0 {
            assert!(Instant::now() < deadline, "nothing is asked");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn carry(
        mut client: TcpStream,
        to: SocketAddr,
        longest: Arc<Mutex<Duration>>,
        questions: Arc<Mutex<usize>>,
    ) {
        let mut daemon = TcpStream::connect(to).await.unwrap();
        let (mut question, mut answer) = (vec![0; 65_536], vec![0; 65_536]);
        let mut asked = None;
        loop {
            tokio::select! {
                count = client.read(&mut question) => {
                    let Ok(count @ 1..) = count else { return };
                    // Head and body may come apart: the first part counts.
                    asked.get_or_insert_with(|| {
                        *questions.lock().unwrap() += 1;
                        Instant::now()
                    });
                    if daemon.write_all(&question[..count]).await.is_err() { return }
                }
                count = daemon.read(&mut answer) => {
                    let Ok(count @ 1..) = count else { return };
                    if let Some(asked) = asked.take() {
                        let mut longest = longest.lock().unwrap();
                        *longest = (*longest).max(asked.elapsed());
                    }
                    if client.write_all(&answer[..count]).await.is_err() { return }
                }
            }
        }
    }
}
