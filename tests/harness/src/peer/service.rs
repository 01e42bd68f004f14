//! What a provider sells: a web server and a datagram server behind him, which count what arrives at them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::net::Host;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Method and target.
    pub line: String,
    /// Header fields, names in small letters.
    pub headers: Vec<(String, String)>,
}

/// HTTP/1.1 without any security, on the provider's loopback interface.
///
/// `/octets/N` has N octets, `/stream` goes on until somebody hangs up, everything else says its target.
#[derive(Debug)]
pub struct Http {
    /// Where it listens.
    pub address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    sent: Arc<AtomicU64>,
}

impl Http {
    /// On `host`, until this process ends.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start(host: &Host) -> Self {
        let listener = host.within(|| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let service = Self {
            address: listener.local_addr().expect("an address"),
            arrived: Arc::default(),
            sent: Arc::default(),
        };
        let (arrived, sent) = (Arc::clone(&service.arrived), Arc::clone(&service.sent));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (arrived, sent) = (Arc::clone(&arrived), Arc::clone(&sent));
                std::thread::spawn(move || {
                    let _ = converse(&stream, &arrived, &sent);
                });
            }
        });
        service
    }

    /// What has arrived so far.
    ///
    /// # Panics
    /// When a thread of it did.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("it is well").clone()
    }

    /// Octets of content that it has sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

fn converse(
    stream: &TcpStream,
    arrived: &Mutex<Vec<Arrived>>,
    sent: &AtomicU64,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut headers = Vec::new();
        loop {
            let mut field = String::new();
            reader.read_line(&mut field)?;
            match field.trim_end().split_once(':') {
                Some((name, value)) => {
                    headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                None => break,
            }
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length
            .and_then(|(_, value)| value.parse().ok())
            .unwrap_or(0);
        std::io::copy(
            &mut std::io::Read::take(&mut reader, length),
            &mut std::io::sink(),
        )?;
        let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        if let Ok(mut arrived) = arrived.lock() {
            arrived.push(Arrived { line, headers });
        }
        answer(stream, &target, sent)?;
    }
}

fn answer(mut stream: &TcpStream, target: &str, sent: &AtomicU64) -> std::io::Result<()> {
    if target.ends_with("/stream") {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let chunk = format!("400\r\n{}\r\n", "s".repeat(1024));
        loop {
            stream.write_all(chunk.as_bytes())?;
            sent.fetch_add(1024, Ordering::SeqCst);
        }
    }
    let octets = target
        .rsplit_once("/octets/")
        .and_then(|(_, number)| number.parse().ok());
    let body = match octets {
        Some(length) => vec![b'o'; length],
        None => format!("this is {target}").into_bytes(),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    sent.fetch_add(body.len() as u64, Ordering::SeqCst);
    Ok(())
}

/// Sends back what it gets, on the provider's loopback interface.
#[derive(Debug)]
pub struct Echo {
    /// Where it listens.
    pub address: SocketAddr,
    octets: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// On `host`.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start(host: &Host) -> Self {
        Self::start_at(host, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// At this address of it.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start_at(host: &Host, at: SocketAddr) -> Self {
        let socket: UdpSocket = host.udp_at(at);
        let step = Duration::from_millis(50);
        socket.set_read_timeout(Some(step)).expect("a timeout");
        let mut echo = Self {
            address: socket.local_addr().expect("an address"),
            octets: Arc::default(),
            ends: Arc::default(),
            thread: None,
        };
        let (octets, ends) = (Arc::clone(&echo.octets), Arc::clone(&echo.ends));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !ends.load(Ordering::SeqCst) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    octets.fetch_add(length as u64, Ordering::SeqCst);
                    let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), from);
                }
            }
        });
        echo.thread = Some(thread);
        echo
    }

    /// Octets that have arrived, without headers.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.octets.load(Ordering::SeqCst)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Its port is free from here on.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
