//! What every daemon under test has in common: it starts as systemd would start it, and is asked over its operator's socket.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::daemons::program;
use crate::process::Process;
use crate::wait::{PATIENCE, wait_until};

/// Starts `executable` with `<name>.toml` of `folder`, its log beside it, and waits until it says that it is ready.
/// `setpriv` is that program on the daemon's host; it leaves `capabilities` alone. Also gives where the daemon says how it is.
///
/// # Panics
/// When it ends, or does not get ready.
#[track_caller]
pub(crate) fn launch(
    mut setpriv: Command,
    folder: &Path,
    name: &str,
    executable: &str,
    capabilities: &str,
) -> (Process, UnixDatagram) {
    let file = |what: &str| folder.join(format!("{name}.{what}"));
    let path = file("notify");
    let _ = fs::remove_file(&path);
    let notify = UnixDatagram::bind(&path).expect("a socket for READY=1");
    let step = Duration::from_millis(20);
    notify.set_read_timeout(Some(step)).expect("a timeout");
    setpriv
        .args([
            &format!("--bounding-set={capabilities}"),
            &format!("--inh-caps={capabilities}"),
            "--no-new-privs",
            "--pdeathsig=KILL",
            "--",
        ])
        .arg(program(executable))
        .arg("--config")
        .arg(file("toml"))
        .env("NOTIFY_SOCKET", &path)
        .current_dir(folder);
    let mut process = Process::start(name, &mut setpriv, &file("log"));
    wait_until(&format!("{name} to be ready"), PATIENCE, || {
        assert!(process.ended().is_none(), "{}", process.log_tail());
        let mut buffer = [0; 4096];
        matches!(notify.recv(&mut buffer), Ok(length)
            if String::from_utf8_lossy(&buffer[..length]).contains("READY=1"))
    });
    (process, notify)
}

/// One HTTP exchange over an operator's socket: the content of the answer.
///
/// # Panics
/// When there is none, or not a good one.
#[track_caller]
pub(crate) fn exchange(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> String {
    let mut stream =
        UnixStream::connect(socket).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let body = body.map(Value::to_string).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream
        .write_all(request.as_bytes())
        .expect("it takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, content) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    assert!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
    match head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        true => unchunked(content),
        false => content.to_owned(),
    }
}

/// The same, of an answer that is JSON.
#[track_caller]
pub(crate) fn exchange_json(
    socket: &Path,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Value {
    let text = exchange(socket, method, path, body);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
}

/// A chunked body, put together.
fn unchunked(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        whole.push_str(after.get(..size).unwrap_or_default());
        rest = after.get(size + 2..).unwrap_or_default();
    }
    whole
}
