//! A user on the command line, against a manager and a provider that stand in for others.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tollwire_peer::Word;

use crate::daemons::{Daemons, Outcome, finish, tollctl};
use crate::parties::{MANAGER, World};

/// Alice with her files, and those she deals with.
struct Alice {
    folder: PathBuf,
    world: World,
    runtime: Runtime,
}

impl Drop for Alice {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Alice {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollctl-peer-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let runtime = Runtime::new().unwrap();
        let world = runtime.block_on(World::new());
        let (certificate, key) = world.authority.pem("urn:x:alice");
        std::fs::write(folder.join("alice.pem"), certificate).unwrap();
        std::fs::write(folder.join("alice.key"), key).unwrap();
        std::fs::write(folder.join("root.pem"), &world.authority.root).unwrap();
        Self {
            folder,
            world,
            runtime,
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = tollctl();
        let manager = format!("http://{}", self.world.manager_at);
        command.args(["peer", "--manager", &manager, "--manager-name", MANAGER]);
        command.args([
            "--certificate",
            &self.file("alice.pem"),
            "--roots",
            &self.file("root.pem"),
        ]);
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        finish(self.command(arguments), "")
    }

    fn prints(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!((outcome.code, &*outcome.err), (0, ""), "{outcome:?}");
        outcome.out
    }

    /// What serves until it is told to end; its first line.
    fn serves(&self, arguments: &[&str]) -> (Serving, Value) {
        let mut command = self.command(arguments);
        command.arg("--json").stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut serving = Serving { child, out };
        let mut text = String::new();
        while serde_json::from_str::<Value>(&text).is_err() {
            assert_ne!(serving.out.read_line(&mut text).unwrap(), 0, "{text}");
        }
        (serving, serde_json::from_str(&text).unwrap())
    }
}

struct Serving {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Serving {
    fn end(mut self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn services_are_listed() {
    let alice = Alice::new();
    let printed = alice.prints(&["services"]);
    assert!(
        printed.starts_with("NAME     TITLE      PROVIDER        PRICE           METERED\n"),
        "{printed}"
    );
    assert!(
        printed.contains("weather  A service  urn:x:provider  0.01 a request  requests octets\n"),
        "{printed}"
    );
    let rows: Value = serde_json::from_str(&alice.prints(&["services", "--json"])).unwrap();
    assert_eq!(rows[1]["name"], "echo");
}

#[test]
fn a_credential_is_kept_used_and_ended() {
    let alice = Alice::new();
    let file = alice.file("credential.json");
    let printed = alice.prints(&["request", "--service", "weather", "--out", &file]);
    assert!(printed.contains("provider  urn:x:provider\n"), "{printed}");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert!(
        !printed.contains(kept["session_key"].as_str().unwrap()),
        "{printed}"
    );

    // Whoever has the file needs neither certificate nor manager.
    let alone = |arguments: &[&str]| {
        let mut command = tollctl();
        command
            .arg("peer")
            .args(arguments)
            .args(["--credential", &file]);
        finish(command, "")
    };
    let outcome = alone(&["fetch", "/today?unit=c"]);
    assert_eq!(
        (outcome.code, &*outcome.out),
        (0, "sunny at /weather/today?unit=c"),
        "{outcome:?}"
    );
    let body = alice.file("body");
    std::fs::write(&body, "hello").unwrap();
    let answer = alice.file("answer");
    let outcome = alone(&[
        "fetch",
        "/say",
        "--data-file",
        &body,
        "-H",
        "X-Word: kept",
        "-o",
        &answer,
    ]);
    assert_eq!((outcome.code, &*outcome.out), (0, ""), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(answer).unwrap(), "hello");
    assert_eq!(alice.world.seen().served[1].2["x-word"], "kept");
    let outcome = alone(&["fetch", "http://other.example/today"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");

    let outcome = alone(&["close"]);
    assert!(
        outcome.code == 0 && outcome.out.ends_with(": ended\n"),
        "{outcome:?}"
    );
    let outcome = alone(&["close"]);
    assert!(
        outcome.code == 0 && outcome.out.ends_with(": was over\n"),
        "{outcome:?}"
    );
    let outcome = alone(&["fetch", "/today"]);
    assert!(
        outcome.code == 1 && outcome.err.contains("410"),
        "{outcome:?}"
    );
}

#[test]
fn one_request_leaves_no_session() {
    let alice = Alice::new();
    let printed = alice.prints(&["fetch", "--service", "weather", "/today"]);
    assert_eq!(printed, "sunny at /weather/today");
    let seen = alice.world.seen();
    assert_eq!(seen.open(), 0);
    assert!(seen.sessions.values().all(|session| session.ends == 1));
}

#[test]
fn what_goes_wrong_is_said_and_has_a_code() {
    let alice = Alice::new();
    let out = alice.file("credential.json");
    let request = ["request", "--service", "weather", "--out", &out];
    alice.world.seen().refusals = vec![(402, Some(Word::NoCredit))];
    let outcome = alice.run(&request);
    assert!(
        outcome.code == 1 && outcome.err.contains("the manager refuses with 402"),
        "{outcome:?}"
    );
    let outcome = alice.run(&["request", "--service", "nothing", "--out", &out]);
    assert!(
        outcome.code == 1 && outcome.err.contains("no service \"nothing\""),
        "{outcome:?}"
    );
    assert!(!std::path::Path::new(&out).exists());

    let run = |arguments: &[&str]| {
        let mut command = tollctl();
        command.arg("peer").args(arguments);
        finish(command, "")
    };
    let outcome = run(&["services"]);
    assert!(
        outcome.code == 2 && outcome.err.contains("--manager is missing"),
        "{outcome:?}"
    );
    let (certificate, root) = (alice.file("alice.pem"), alice.file("root.pem"));
    let manager = format!("http://{}", alice.world.manager_at);
    let party = [
        "services",
        "--certificate",
        &certificate,
        "--roots",
        &root,
        "--manager",
    ];
    let outcome = run(&[&party[..], &[&manager]].concat());
    assert!(
        outcome.code == 1 && outcome.err.contains("the manager is \"127.0.0.1\""),
        "{outcome:?}"
    );
    let key = alice.file("missing.key");
    let outcome = run(&[&party[..], &[&manager, "--key", &key]].concat());
    assert_eq!(outcome.code, 74, "{outcome:?}");
    let outcome = run(&["proxy", "--service", "weather", "--listen", "0.0.0.0:0"]);
    assert!(
        outcome.code == 2 && outcome.err.contains("--allow-remote"),
        "{outcome:?}"
    );
    let outcome = run(&["proxy"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
}

#[test]
fn programs_use_the_proxy_until_it_is_interrupted() {
    let alice = Alice::new();
    let (serving, said) = alice.serves(&[
        "proxy",
        "--service",
        "weather",
        "--listen",
        "127.0.0.1:0",
        "--renew",
    ]);
    assert_eq!(said["service"], "weather");
    let mut stream = TcpStream::connect(said["listen"].as_str().unwrap()).unwrap();
    let provider = alice.world.provider_at;
    write!(stream, "GET http://{provider}/weather/today HTTP/1.1\r\nHost: {provider}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("sunny at /weather/today"),
        "{answer}"
    );
    assert_eq!(alice.world.seen().open(), 1);
    serving.end(Signal::SIGTERM);
    assert_eq!(alice.world.seen().open(), 0);
}

#[test]
fn a_proxy_takes_another_certificate_while_it_runs() {
    let alice = Alice::new();
    // Each request has a session of its own: the one before was over.
    let ask = |said: &Value| {
        for session in alice.world.seen().sessions.values_mut() {
            session.is_open = false;
        }
        let mut stream = TcpStream::connect(said["listen"].as_str().unwrap()).unwrap();
        write!(
            stream,
            "GET /today HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let users = alice.world.seen().users.clone();
        users.last().unwrap().clone()
    };
    let arguments = [
        "proxy",
        "--service",
        "weather",
        "--listen",
        "127.0.0.1:0",
        "--renew",
    ];
    let (serving, said) = alice.serves(&arguments);
    assert_eq!(ask(&said), "urn:x:alice");
    let (certificate, key) = alice.world.authority.pem("urn:x:alice:renewed");
    std::fs::write(alice.file("alice.pem"), certificate).unwrap();
    std::fs::write(alice.file("alice.key"), key).unwrap();
    kill(Pid::from_raw(serving.child.id() as i32), Signal::SIGHUP).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while ask(&said) != "urn:x:alice:renewed" {
        assert!(Instant::now() < end, "the certificate is not read again");
    }
    serving.end(Signal::SIGTERM);
}

#[test]
fn datagrams_are_passed_on_until_it_is_interrupted() {
    let alice = Alice::new();
    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    *alice.world.udp_at.lock().unwrap() = Some(echo.local_addr().unwrap());
    alice.runtime.spawn_blocking(move || {
        let mut octets = [0; 2048];
        while let Ok((length, user)) = echo.recv_from(&mut octets) {
            let _ = echo.send_to(&octets[..length], user);
            if &octets[..length] == b"last" {
                return;
            }
        }
    });
    let (serving, said) = alice.serves(&[
        "udp",
        "--service",
        "echo",
        "--listen",
        "127.0.0.1:0",
        "--from",
        "127.0.0.1:0",
    ]);
    let program = UdpSocket::bind("127.0.0.1:0").unwrap();
    program.connect(said["listen"].as_str().unwrap()).unwrap();
    program
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    for word in ["first", "last"] {
        let mut octets = [0; 2048];
        loop {
            program.send(word.as_bytes()).unwrap();
            match program.recv(&mut octets) {
                Ok(length) if &octets[..length] == word.as_bytes() => break,
                _ => assert!(Instant::now() < end, "{word} does not come back"),
            }
        }
    }
    let from: std::net::SocketAddr = said["from"].as_str().unwrap().parse().unwrap();
    assert_eq!(alice.world.seen().ports, [Some(from.port())]);
    serving.end(Signal::SIGINT);
    assert_eq!(alice.world.seen().open(), 0);
}

fn cells(line: &str) -> Vec<&str> {
    let cells = line.split("  ").filter(|cell| !cell.is_empty());
    cells.map(str::trim).collect()
}

#[test]
fn operators_see_and_end_sessions() {
    // As one of 64 begins.
    let id = "-mYqkR2vVbXw0PzQ3nTg1A";
    let mut session = json!({
        "accounting_session_id": id, "state": "closed", "user": "urn:x:alice", "ip": "10.0.0.1", "service": "weather",
        "provider": "urn:x:provider", "began_unix_ms": 0, "not_after": 1_795_273_200,
        "heard_unix_ms": 0, "cause": "user", "sequence": 2, "used": {"octets": 120, "requests": 2},
        "charged": {"octets": 100, "requests": 2}, "granted": {"octets": 100, "requests": 10}, "last": false,
        "cost_micro": 20_000, "currency": "EUR", "flags": {"over_granted": true},
    });
    let list = json!([session]);
    let message = |sequence: i64, data: Value| json!({ "id": "m", "sequence": sequence, "data": data, "taken_unix_ms": 0, "state": "acknowledged" });
    session["messages"] = json!([
        message(2, json!({"octets": 120, "requests": 2, "time": null})),
        message(1, json!({"octets": 20, "requests": 1, "time": 2500})),
    ]);
    let daemons = Daemons::answering(&[
        ("GET /peers/sessions?limit=100", list.clone()),
        ("GET /peers/sessions?state=closed&limit=5", list),
        (&format!("GET /peers/sessions/{id}"), session),
        (
            &format!("POST /peers/sessions/{id}/close"),
            json!({"status": "ok"}),
        ),
    ]);
    let printed = daemons.prints(&["peer", "sessions"]);
    assert_eq!(
        cells(printed.lines().nth(1).unwrap()),
        [
            id,
            "urn:x:alice",
            "weather",
            "urn:x:provider",
            "closed",
            "user",
            "100 octets, 2 requests",
            "100 octets, 10 requests",
            "0.02 EUR",
            "2026-11-21 15:00:00+00:00",
            "over-granted",
        ]
    );
    daemons.prints(&["peer", "sessions", "--state", "closed", "--limit", "5"]);
    let printed = daemons.prints(&["peer", "session", id]);
    for line in [
        "user            urn:x:alice",
        "used            120 octets, 2 requests",
        "cost            0.02 EUR",
        "flags           over-granted",
        "not after       2026-11-21 15:00:00+00:00",
    ] {
        assert!(printed.lines().any(|it| it == line), "{line}: {printed}");
    }
    let message = printed.lines().last().unwrap();
    assert_eq!(
        cells(message),
        [
            "1",
            "1970-01-01 00:00:00+00:00",
            "acknowledged",
            "-",
            "2.500 s, 20 octets, 1 requests",
            "m"
        ]
    );
    let printed = daemons.prints(&["peer", "end", id]);
    assert_eq!(printed, format!("{id}: ended\n"));

    let providers = json!([{
        "accounting_session_id": id, "service": "weather", "manager": "urn:x:manager",
        "state": "done", "cause": "user", "address": "10.0.0.1", "used": {"time_ms": 1500}, "granted": {},
        "last": false, "messages": 3, "unacknowledged": 0, "created_unix_ms": 0, "not_after": 1_795_273_200,
    }]);
    let daemons = Daemons::answering(&[("GET /peers/sessions?limit=100", providers)]);
    let printed = daemons.prints(&["peer", "sessions", "--provider"]);
    assert!(
        printed.contains("10.0.0.1  done   user   1.500 s"),
        "{printed}"
    );
}
