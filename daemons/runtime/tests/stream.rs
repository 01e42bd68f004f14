//! Charge records in a NATS JetStream: a real server, killed while it takes them, keeps each record once.
//!
//! What the server has is read by a client of NATS's own text protocol that is written here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tollwire_runtime::accounting::stream::{Stream, Streamer};

const PATIENCE: Duration = Duration::from_secs(60);
const RECORDS: u64 = 3_000;

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stream-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("records")).unwrap();
        Self(path)
    }

    fn records(&self) -> PathBuf {
        self.0.join("records")
    }

    /// Files of 500 records, as the daemons name them.
    fn write(&self) {
        for first in (1..=RECORDS).step_by(500) {
            let lines: String = (first..first + 500)
                .map(|number| format!("{}\n", json!({"sequence_number": number, "from": "alice"})))
                .collect();
            let path = self.records().join(format!("smscd-{first:020}.jsonl"));
            std::fs::write(path, lines).unwrap();
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(port: u16, folder: &Path) -> Self {
        let child = Command::new("nats-server")
            .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
            .arg(folder.join("jetstream"))
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server of Debian");
        let server = Self { child, port };
        wait_until("the server listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        server
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A request to JetStream's API, in NATS's own words.
    fn ask(&self, subject: &str, request: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = request.to_string();
        write!(
            stream,
            "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n{body}\r\n",
            body.len()
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = String::new();
            assert_ne!(
                reader.read_line(&mut line).unwrap(),
                0,
                "the server hung up"
            );
            if let Some(head) = line.strip_prefix("MSG ") {
                let size: usize = head.split_whitespace().last().unwrap().parse().unwrap();
                let mut body = vec![0; size];
                reader.read_exact(&mut body).unwrap();
                return serde_json::from_slice(&body).unwrap();
            }
            if line.starts_with("PING") {
                reader.get_mut().write_all(b"PONG\r\n").unwrap();
            }
        }
    }

    fn make_stream(&self) {
        let config = json!({
            "name": "RECORDS", "subjects": ["tollwire.records.>"], "storage": "file", "retention": "limits",
            "num_replicas": 1, "duplicate_window": 3_600_000_000_000_u64,
        });
        wait_until("JetStream works", || {
            let told = self.ask("$JS.API.STREAM.CREATE.RECORDS", &config);
            told["error"].is_null()
        });
    }

    fn count(&self) -> u64 {
        let told = self.ask("$JS.API.STREAM.INFO.RECORDS", &json!({}));
        told["state"]["messages"].as_u64().unwrap_or(0)
    }

    fn message(&self, sequence: u64) -> Value {
        self.ask("$JS.API.STREAM.MSG.GET.RECORDS", &json!({"seq": sequence}))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn settings(port: u16) -> Stream {
    Stream {
        servers: vec![format!("nats://127.0.0.1:{port}")],
        window: 64,
        timeout_ms: 500,
        retry_first_ms: 20,
        retry_most_ms: 200,
        ..Stream::default()
    }
}

fn streamer(port: u16, folder: &Folder, durable: &watch::Sender<u64>) -> Streamer {
    let feed = settings(port).feed("smscd", folder.records(), "smscd.test");
    Streamer::start(feed.unwrap(), durable.subscribe()).unwrap()
}

/// Standard base64, for what JetStream's API shows of a message.
fn plain(text: &str) -> Vec<u8> {
    let digit = |octet: u8| match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for octet in text.bytes().filter(|octet| *octet != b'=') {
        bits = bits << 6 | u32::from(digit(octet));
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    out
}

#[test]
fn each_record_is_in_the_stream_once_whoever_is_killed() {
    let folder = Folder::new("killed");
    folder.write();
    let port = free_port();
    let mut server = Server::start(port, &folder.0);
    let (durable, _) = watch::channel(0);
    let mut streaming = streamer(port, &folder, &durable);
    // There is no stream yet: records wait, and say why by the gauge.
    durable.send_replace(10);
    wait_until("it is refused", || streaming.figures().failed > 0);
    assert_eq!(streaming.figures().acknowledged, 0);
    server.make_stream();
    wait_until("ten are published", || {
        streaming.figures().acknowledged == 10
    });
    let mut old_cursor = None;
    for step in 1..=6u64 {
        durable.send_replace(step * RECORDS / 6);
        // While records are under way.
        wait_until("it goes on", || {
            server.count() > (step - 1) * RECORDS / 6 + 20
        });
        server.kill();
        server = Server::start(port, &folder.0);
        if step == 3 {
            // A crash of the daemon: its cursor is far behind.
            drop(streaming);
            let path = folder.records().join("smscd.streamed.json");
            if let Some(old) = &old_cursor {
                std::fs::write(&path, old).unwrap();
            }
            streaming = streamer(port, &folder, &durable);
        }
        if step == 1 {
            wait_until("a cursor is there", || {
                old_cursor = std::fs::read(folder.records().join("smscd.streamed.json")).ok();
                old_cursor.is_some()
            });
        }
    }
    wait_until("all are published", || {
        streaming.figures().acknowledged == RECORDS
    });
    assert!(streaming.figures().known > 0, "none was published twice");
    assert_eq!(streaming.figures().waiting, 0);
    drop(streaming);
    assert_eq!(server.count(), RECORDS);
    let mut numbers = BTreeSet::new();
    for sequence in 1..=RECORDS {
        let message = &server.message(sequence)["message"];
        assert_eq!(message["subject"], "tollwire.records.smscd");
        let record: Value =
            serde_json::from_slice(&plain(message["data"].as_str().unwrap())).unwrap();
        assert_eq!(record["from"], "alice");
        let number = record["sequence_number"].as_u64().unwrap();
        let headers = String::from_utf8(plain(message["hdrs"].as_str().unwrap())).unwrap();
        assert!(
            headers.contains(&format!("Nats-Msg-Id: smscd.test/{number}\r\n")),
            "{headers}"
        );
        assert!(numbers.insert(number), "{number} twice");
    }
    assert!(numbers.into_iter().eq(1..=RECORDS));
}
