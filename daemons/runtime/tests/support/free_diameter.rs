//! freeDiameter from Debian as a peer of whatever speaks Diameter here, and a relay that writes down what passes between two nodes.
#![allow(dead_code, reason = "each test that borrows this file uses its part")]

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tollwire_diameter::{Message, ResultCode, frame_length};
use tollwire_runtime::diameter::TlsFiles;

/// The name freeDiameter has.
pub const FREE_DIAMETER: &str = "fd.example";

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> u16 {
    StdListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// A running freeDiameterd; killed when dropped.
pub struct FreeDiameter(Child);

impl FreeDiameter {
    /// Starts it listening on `port` and connecting to `peer` at `peer_port`, both on loopback,
    /// with its log in `directory`.
    pub fn start(directory: &Path, port: u16, peer: &str, peer_port: u16) -> Self {
        let path = |name: &str| directory.join(name);
        // It wants a certificate of its own name even for peers that have no TLS.
        let status = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args(["-subj", &format!("/CN={FREE_DIAMETER}")])
            .arg("-keyout")
            .arg(path("key.pem"))
            .arg("-out")
            .arg(path("cert.pem"))
            .stderr(Stdio::null())
            .status()
            .expect("openssl is installed (apt-get install openssl)");
        assert!(status.success());
        let files = TlsFiles {
            certificate: path("cert.pem"),
            key: path("key.pem"),
            ca: path("cert.pem"),
        };
        let connect = format!(
            "{peer}\" {{ ConnectTo = \"127.0.0.1\"; No_TLS; No_SCTP; Port = {peer_port}; }}"
        );
        Self::run(directory, (port, 0), &connect, &files)
    }

    /// As [`Self::start`], with TLS from the first octet (RFC 6733 2.1), by GnuTLS.
    pub fn start_tls(
        directory: &Path,
        port: u16,
        peer: &str,
        peer_port: u16,
        files: &TlsFiles,
    ) -> Self {
        let connect =
            format!("{peer}\" {{ ConnectTo = \"127.0.0.1\"; No_SCTP; Port = {peer_port}; }}");
        Self::run(directory, (0, port), &connect, files)
    }

    /// Listens on the first port without TLS and on the second one with it; 0 is neither.
    fn run(
        directory: &Path,
        (port, tls_port): (u16, u16),
        connect: &str,
        files: &TlsFiles,
    ) -> Self {
        let path = |name: &str| directory.join(name);
        let (key, certificate) = (files.key.display(), files.certificate.display());
        let ca = files.ca.display();
        let configuration = format!(
            r#"
Identity = "{FREE_DIAMETER}";
Realm = "example";
Port = {port};
SecPort = {tls_port};
No_SCTP;
No_IPv6;
ListenOn = "127.0.0.1";
TcTimer = 1;
TwTimer = 6;
TLS_Cred = "{certificate}", "{key}";
TLS_CA = "{ca}";
LoadExtension = "dict_nasreq.fdx";
LoadExtension = "dict_dcca.fdx";
LoadExtension = "dbg_msg_dumps.fdx" : "0x8888";
ConnectPeer = "{connect};
"#
        );
        std::fs::write(path("freeDiameter.conf"), configuration).unwrap();
        let log = File::create(path("freeDiameter.log")).unwrap();
        let child = Command::new("freeDiameterd")
            .args(["-dd", "-c"])
            .arg(path("freeDiameter.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("freeDiameterd is installed (apt-get install freediameter)");
        Self(child)
    }

    /// Whether its log in `directory` tells of `text`; it writes down every message and how it is connected.
    pub fn tells(directory: &Path, text: &str) -> bool {
        std::fs::read_to_string(directory.join("freeDiameter.log"))
            .is_ok_and(|log| log.contains(text))
    }

    /// Asks it to stop, with a DPR to its peers.
    pub fn terminate(&self) {
        let id = i32::try_from(self.0.id()).unwrap();
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(id),
            nix::sys::signal::Signal::SIGTERM,
        )
        .unwrap();
    }
}

impl Drop for FreeDiameter {
    fn drop(&mut self) {
        let _dead = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// What passed through a [`relay`]: whether the side that connected sent it, and the message.
pub type Record = Arc<Mutex<Vec<(bool, Message)>>>;

/// Passes connections to `target` on, and writes down every message.
pub async fn relay(target: SocketAddr) -> (u16, Record) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let record = Record::default();
    let written = record.clone();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(target).await else {
                continue;
            };
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(pump(near_read, far_write, true, written.clone()));
            tokio::spawn(pump(far_read, near_write, false, written.clone()));
        }
    });
    (port, record)
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, from_near: bool, record: Record) {
    let mut buffer = BytesMut::new();
    while from
        .read_buf(&mut buffer)
        .await
        .is_ok_and(|count| count > 0)
    {
        while let Ok(Some(length)) = frame_length(&buffer, 1 << 16) {
            if buffer.len() < length {
                break;
            }
            let frame = buffer.split_to(length).freeze();
            let message = Message::decode(frame.clone()).expect("a message that reads");
            record.lock().unwrap().push((from_near, message));
            if to.write_all(&frame).await.is_err() {
                return;
            }
        }
    }
    let _closed = to.shutdown().await;
}

/// Whether a request of `command_code` from one side passed, and its successful answer.
pub fn exchanged(record: &Record, command_code: u32, asked_by_near: bool) -> bool {
    let record = record.lock().unwrap();
    let mut requests = record
        .iter()
        .filter(|(near, message)| *near == asked_by_near && message.is_request())
        .filter(|(_, message)| message.command_code == command_code);
    requests.any(|(_, request)| {
        record.iter().any(|(near, message)| {
            *near != asked_by_near
                && !message.is_request()
                && message.command_code == command_code
                && message.hop_by_hop_id == request.hop_by_hop_id
                && message.result_code() == Some(ResultCode::SUCCESS)
        })
    })
}
