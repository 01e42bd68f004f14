//! Kannel from Debian: bearerbox with one SMPP connection, and smsbox with its HTTP interface.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::net::Host;
use crate::process::{Process, Scratch};
use crate::wait::{PATIENCE, wait_for, wait_until};

const ADMIN: u16 = 13_000;
const SMSBOX: u16 = 13_001;
const SENDSMS: u16 = 13_013;
const CALLBACKS: u16 = 13_080;

/// How Kannel binds.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// The SMSC.
    pub server: SocketAddr,
    /// Who it says it is.
    pub system_id: &'a str,
    /// Binds as a transceiver; else as a transmitter and a receiver, each on its own connection.
    pub transceiver: bool,
    /// TLVs it knows by a name: (name, tag, length).
    pub tlvs: &'a [(&'a str, u16, u16)],
}

/// Its connections: one of both ways, or one for each.
fn connections(settings: &Settings<'_>) -> String {
    let port = settings.server.port();
    let ways = if settings.transceiver {
        vec![format!("port = {port}\ntransceiver-mode = true\n")]
    } else {
        vec![
            format!("port = {port}\n"),
            format!("receive-port = {port}\n"),
        ]
    };
    ways.iter()
        .map(|way| {
            format!(
                "group = smsc\nsmsc = smpp\nsmsc-id = tollwire\nhost = {}\nsmsc-username = {}\n\
                 smsc-password = {}\nsystem-type = \"\"\nreconnect-delay = 1\n{way}\n",
                settings.server.ip(),
                settings.system_id,
                super::PASSWORD,
            )
        })
        .collect()
}

/// Kannel, running.
#[derive(Debug)]
pub struct Kannel<'a> {
    smsbox: Process,
    bearerbox: Process,
    callbacks: Arc<Mutex<Vec<Callback>>>,
    host: &'a Host,
}

/// A request that Kannel made of the application: a message that came in, or a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// `message` or `receipt`.
    pub path: String,
    /// The query, decoded.
    pub query: Vec<(String, Vec<u8>)>,
}

impl Callback {
    /// A value of the query, as text.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let value = self.query.iter().find(|(found, _)| found == name);
        let octets = value.map(|(_, value)| value.clone()).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    }
}

impl<'a> Kannel<'a> {
    /// Starts both boxes on `host` and waits until the SMSC has accepted the bind.
    ///
    /// # Panics
    /// When they do not come up.
    #[must_use]
    #[track_caller]
    pub fn start(host: &'a Host, scratch: &Scratch, settings: &Settings<'_>) -> Self {
        let mut config = format!(
            "group = core\nadmin-port = {ADMIN}\nadmin-password = kannel\nsmsbox-port = {SMSBOX}\n\
             box-allow-ip = \"127.0.0.1\"\nlog-level = 0\n\n\
             {}group = smsbox\nbearerbox-host = 127.0.0.1\nsendsms-port = {SENDSMS}\nlog-level = 0\n\n\
             group = sendsms-user\nusername = kannel\npassword = kannel\nmax-messages = 9\n\
             concatenation = true\n\n\
             group = sms-service\nkeyword = default\nmax-messages = 0\ncatch-all = true\n\
             get-url = \"http://127.0.0.1:{CALLBACKS}/message?from=%p&to=%P&text=%b&coding=%c&meta=%D\"\n\n",
            connections(settings),
        );
        for (name, tag, length) in settings.tlvs {
            let _ = write!(
                config,
                "group = smpp-tlv\nname = {name}\ntag = 0x{tag:04x}\ntype = octetstring\n\
                 length = {length}\nsmsc-id = tollwire\n\n",
            );
        }
        let config = scratch.write("kannel.conf", &config);
        let callbacks = listen_for_callbacks(host);
        let start = |program: &str| {
            let mut command = host.command(format!("/usr/sbin/{program}"));
            command.arg(&config);
            let log = scratch.path().join(format!("{program}.log"));
            Process::start(program, &mut command, &log)
        };
        let mut bearerbox = start("bearerbox");
        wait_until("bearerbox to listen", PATIENCE, || {
            assert!(bearerbox.ended().is_none(), "{}", bearerbox.log_tail());
            host.tcp(here(SMSBOX)).is_ok()
        });
        let mut smsbox = start("smsbox");
        wait_until("smsbox to listen", PATIENCE, || {
            assert!(smsbox.ended().is_none(), "{}", smsbox.log_tail());
            // It listens before it serves.
            get(host, SENDSMS, "/").contains("HTTP/1")
        });
        let kannel = Self {
            smsbox,
            bearerbox,
            callbacks,
            host,
        };
        kannel.wait_until_online();
        kannel
    }

    /// Waits until bearerbox says that its SMSC connection is up.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_until_online(&self) {
        wait_until("Kannel's bind", PATIENCE, || {
            let status = get(self.host, ADMIN, "/status.txt?password=kannel");
            status.contains("(online")
        });
    }

    /// Sends a text through smsbox; `more` are further parameters of `sendsms`, such as
    /// `("dlr-mask", "31")`.
    ///
    /// # Panics
    /// When smsbox does not take it.
    #[track_caller]
    pub fn send(&self, from: &str, to: &str, text: &[u8], more: &[(&str, &[u8])]) {
        let mut path = "/cgi-bin/sendsms?username=kannel&password=kannel".to_owned();
        let fixed = [
            ("from", from.as_bytes()),
            ("to", to.as_bytes()),
            ("text", text),
        ];
        for (name, value) in fixed.iter().chain(more) {
            let _ = write!(path, "&{name}={}", escape(value));
        }
        let answer = get(self.host, SENDSMS, &path);
        assert!(answer.contains(" 202 "), "{answer}");
    }

    /// Where Kannel is to send receipts of a message (`dlr-url`).
    #[must_use]
    pub fn receipt_url() -> String {
        format!("http://127.0.0.1:{CALLBACKS}/receipt?state=%d&id=%F&text=%A&meta=%D")
    }

    /// Waits for a callback that fits.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn expect(&self, what: &str, mut is_it: impl FnMut(&Callback) -> bool) -> Callback {
        wait_for(&format!("{what} at Kannel"), PATIENCE, || {
            let mut callbacks = self.callbacks.lock().expect("no panic there");
            let at = callbacks.iter().position(&mut is_it)?;
            Some(callbacks.remove(at))
        })
    }

    /// Ends both boxes in good order.
    pub fn stop(mut self) {
        self.smsbox.signal(Signal::SIGTERM);
        self.bearerbox.signal(Signal::SIGTERM);
        self.bearerbox.wait(PATIENCE);
    }
}

fn here(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

/// One HTTP request from `host` to itself; gives the whole answer.
fn get(host: &Host, port: u16, path: &str) -> String {
    let Ok(mut stream) = host.tcp(here(port)) else {
        return String::new();
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    if stream.write_all(request.as_bytes()).is_ok() {
        let _ = stream.read_to_end(&mut answer);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn listen_for_callbacks(host: &Host) -> Arc<Mutex<Vec<Callback>>> {
    let listener = host
        .within(|| TcpListener::bind(here(CALLBACKS)))
        .expect("the port is free in this namespace");
    let callbacks = Arc::new(Mutex::new(Vec::new()));
    let filled = Arc::clone(&callbacks);
    // Ends with the test's process; its socket holds nothing but a dead namespace.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(callback) = answer(stream) {
                filled.lock().expect("no panic there").push(callback);
            }
        }
    });
    callbacks
}

/// Reads one request, answers it with nothing, and gives what it said.
fn answer(mut stream: TcpStream) -> Option<Callback> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(buffer.get(..count)?);
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .ok()?;
    let request = String::from_utf8_lossy(&request).into_owned();
    let target = request.split(' ').nth(1)?;
    let (path, query) = target.split_once('?')?;
    let query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), unescape(value)))
        .collect();
    Some(Callback {
        path: path.trim_start_matches('/').to_owned(),
        query,
    })
}

/// RFC 3986 2.1, everything but letters and digits.
#[must_use]
pub fn escape(octets: &[u8]) -> String {
    let mut text = String::new();
    for octet in octets {
        if octet.is_ascii_alphanumeric() {
            text.push(char::from(*octet));
        } else {
            let _ = write!(text, "%{octet:02X}");
        }
    }
    text
}

/// The opposite of [`escape`], with `+` for a space as HTML forms write it.
#[must_use]
pub fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => octets.push(b' '),
            b'%' => {
                let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
                let value = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
                octets.push(value.unwrap_or(b'%'));
                rest = value.and_then(|_| tail.get(2..)).unwrap_or(tail);
            }
            other => octets.push(*other),
        }
    }
    octets
}
