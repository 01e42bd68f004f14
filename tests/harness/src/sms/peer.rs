//! smpplib (Python) as an SMPP peer, through `tests/netns/smpp/peer.py`: ESME, or the SMSC at the
//! other end of a daemon's own bind. It says what it sent and saw, octet for octet.

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ChildStdin;

use serde_json::{Value, json};

use crate::net::Host;
use crate::process::{Process, Scratch};
use crate::wait::{PATIENCE, wait_for};

/// `tests/` of this repository.
pub(crate) fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A connection of a [`Peer`], by the peer's own count.
pub type LinkNumber = u64;

/// How a [`Peer`] binds.
#[derive(Clone, Debug)]
pub struct Bind<'a> {
    /// `transmitter`, `receiver` or `transceiver`.
    pub mode: &'a str,
    /// Who it says it is.
    pub system_id: &'a str,
    /// Its password.
    pub password: &'a str,
    /// `address_range` of the bind; a receiver's addresses.
    pub address_range: &'a str,
    /// A file with the certificate of the authority, for TLS.
    pub authority: Option<&'a Path>,
}

impl<'a> Bind<'a> {
    /// A bind of `system_id` with the password that the scene gave it.
    #[must_use]
    pub fn new(mode: &'a str, system_id: &'a str) -> Self {
        Self {
            mode,
            system_id,
            password: super::PASSWORD,
            address_range: "",
            authority: None,
        }
    }
}

/// A PDU that a [`Peer`] received.
#[derive(Clone, Debug)]
pub struct Pdu {
    /// The connection it came on.
    pub link: LinkNumber,
    /// `submit_sm_resp`, or the command_id in hexadecimal if smpplib does not know it.
    pub command: String,
    /// `command_status`.
    pub status: u32,
    /// `sequence_number`.
    pub sequence: u64,
    /// The fields by the names of the specification; octets as hexadecimal.
    pub fields: Value,
    /// The TLVs in order, values as hexadecimal.
    pub tlvs: Vec<(u16, String)>,
    /// All of it, as hexadecimal.
    pub hex: String,
}

impl Pdu {
    fn of(event: &Value) -> Self {
        let number = |name: &str| event[name].as_u64().unwrap_or_default();
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let tlvs = event["tlvs"].as_array().into_iter().flatten();
        Self {
            link: number("link"),
            command: text("command"),
            status: u32::try_from(number("status")).expect("four octets"),
            sequence: number("sequence"),
            fields: event["fields"].clone(),
            tlvs: tlvs
                .map(|tlv| {
                    let tag = tlv[0].as_str().unwrap_or_default();
                    let tag = u16::from_str_radix(tag, 16).expect("a tag");
                    (tag, tlv[1].as_str().unwrap_or_default().to_owned())
                })
                .collect(),
            hex: text("hex"),
        }
    }

    /// A field that is text.
    ///
    /// # Panics
    /// When there is none of this name.
    #[must_use]
    #[track_caller]
    pub fn text(&self, field: &str) -> &str {
        self.fields[field]
            .as_str()
            .unwrap_or_else(|| panic!("no text {field} in {self:?}"))
    }

    /// A field that is a number.
    ///
    /// # Panics
    /// When there is none of this name.
    #[must_use]
    #[track_caller]
    pub fn number(&self, field: &str) -> u64 {
        self.fields[field]
            .as_u64()
            .unwrap_or_else(|| panic!("no number {field} in {self:?}"))
    }

    /// The octets of `short_message`.
    ///
    /// # Panics
    /// When the PDU has none.
    #[must_use]
    #[track_caller]
    pub fn short_message(&self) -> Vec<u8> {
        hex::decode(self.text("short_message")).expect("hexadecimal")
    }

    /// `short_message` as text, for those that are ASCII.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    #[track_caller]
    pub fn short_message_text(&self) -> String {
        String::from_utf8(self.short_message()).expect("ASCII")
    }

    /// The value of the first TLV with this tag, in hexadecimal.
    #[must_use]
    pub fn tlv(&self, tag: u16) -> Option<&str> {
        let found = self.tlvs.iter().find(|(found, _)| *found == tag);
        found.map(|(_, value)| value.as_str())
    }

    /// The value of a TLV whose octets are text with a NUL at the end.
    #[must_use]
    pub fn text_tlv(&self, tag: u16) -> Option<String> {
        let octets = hex::decode(self.tlv(tag)?).ok()?;
        let text = octets.strip_suffix(&[0]).unwrap_or(&octets);
        String::from_utf8(text.to_vec()).ok()
    }
}

/// A running peer.
#[derive(Debug)]
pub struct Peer {
    process: Process,
    input: ChildStdin,
    output: File,
    unfinished: Vec<u8>,
    events: Vec<Value>,
}

impl Peer {
    /// Starts it on `host`.
    ///
    /// # Panics
    /// When smpplib is not installed (`make packages` does it).
    #[must_use]
    #[track_caller]
    pub fn start(host: &Host, scratch: &Scratch, name: &str) -> Self {
        let python = tests_folder().join("../target/python/bin/python");
        assert!(
            python.exists(),
            "no smpplib in {}: make packages",
            python.display()
        );
        let log = scratch.path().join(format!("{name}.peer"));
        let mut command = host.command(python);
        command
            .arg("-B")
            .arg(tests_folder().join("netns/smpp/peer.py"));
        let (process, input) = Process::start_with_input(name, &mut command, &log);
        Self {
            process,
            input,
            output: File::open(log).expect("its output"),
            unfinished: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Connects and binds; gives the connection and the answer.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn bind(&mut self, to: SocketAddr, bind: &Bind<'_>) -> (LinkNumber, Pdu) {
        let mut order = json!({
            "do": "bind", "host": to.ip().to_string(), "port": to.port(), "mode": bind.mode,
            "system_id": bind.system_id, "password": bind.password,
            "address_range": bind.address_range,
        });
        if let Some(file) = bind.authority {
            order["authority"] = json!(file.display().to_string());
        }
        let sent = self.order_and_take(&order, "sent");
        let link = sent["link"].as_u64().expect("a link");
        let sequence = sent["sequence"].as_u64().expect("a number");
        (link, self.answer(link, sequence))
    }

    /// Like [`Peer::bind`], for a bind that succeeds.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn must_bind(&mut self, to: SocketAddr, mode: &str, system_id: &str) -> LinkNumber {
        let (link, answer) = self.bind(to, &Bind::new(mode, system_id));
        assert_eq!(answer.status, 0, "{answer:?}");
        assert_eq!(answer.command, format!("bind_{mode}_resp"));
        link
    }

    /// Connects without bind.
    ///
    /// # Panics
    /// When nobody listens.
    #[track_caller]
    pub fn connect(&mut self, to: SocketAddr) -> LinkNumber {
        let order = json!({"do": "bind", "host": to.ip().to_string(), "port": to.port()});
        let event = self.order_and_take(&order, "connected");
        event["link"].as_u64().expect("a link")
    }

    /// Listens for binds, as an SMSC does.
    ///
    /// # Panics
    /// When the port is taken.
    #[track_caller]
    pub fn listen(&mut self, at: SocketAddr) {
        let order = json!({"do": "listen", "host": at.ip().to_string(), "port": at.port()});
        self.order_and_take(&order, "listening");
    }

    /// How it answers requests called `command` from now on: a status, a list of them (then 0), or
    /// null for no answer.
    #[track_caller]
    pub fn answer_with(&mut self, command: &str, status: impl Into<Value>) {
        let status: Value = status.into();
        let order = json!({"do": "answer", "command": command, "status": status});
        self.order_and_take(&order, "obeyed");
    }

    /// Sends a request and gives its sequence number.
    #[track_caller]
    pub fn send(
        &mut self,
        link: LinkNumber,
        command: &str,
        fields: &Value,
        tlvs: &[(u16, &str)],
    ) -> u64 {
        let tlvs: Vec<Value> = tlvs
            .iter()
            .map(|(tag, value)| json!([format!("{tag:04x}"), value]))
            .collect();
        let order = json!({
            "do": "send", "link": link, "command": command, "fields": fields, "tlvs": tlvs,
        });
        let sent = self.order_and_take(&order, "sent");
        sent["sequence"].as_u64().expect("a number")
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn request(
        &mut self,
        link: LinkNumber,
        command: &str,
        fields: &Value,
        tlvs: &[(u16, &str)],
    ) -> Pdu {
        let sequence = self.send(link, command, fields, tlvs);
        self.answer(link, sequence)
    }

    /// Submits a message that must be accepted, and gives its id.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn submit(&mut self, link: LinkNumber, fields: &Value, tlvs: &[(u16, &str)]) -> String {
        let answer = self.request(link, "submit_sm", fields, tlvs);
        assert_eq!(answer.command, "submit_sm_resp");
        assert_eq!(answer.status, 0, "{answer:?}");
        answer.text("message_id").to_owned()
    }

    /// Submits `text` in as many parts as smpplib makes of it; gives the answers.
    ///
    /// # Panics
    /// When there are not as many answers as parts.
    #[track_caller]
    pub fn submit_long(&mut self, link: LinkNumber, text: &str, fields: &Value) -> Vec<Pdu> {
        let order = json!({"do": "long", "link": link, "text": text, "fields": fields});
        let parts = self.order_and_take(&order, "parts");
        let count = parts["count"].as_u64().expect("a count");
        self.events.retain(|event| event["event"] != "sent");
        (0..count)
            .map(|_| self.expect_pdu(link, "submit_sm_resp"))
            .collect()
    }

    /// Answers a request that was kept waiting.
    #[track_caller]
    pub fn respond(&mut self, request: &Pdu, status: u32, fields: &Value) {
        let order = json!({
            "do": "respond", "link": request.link, "command": format!("{}_resp", request.command),
            "sequence": request.sequence, "status": status, "fields": fields,
        });
        self.order_and_take(&order, "obeyed");
    }

    /// Writes octets, given in hexadecimal, as they are.
    #[track_caller]
    pub fn raw(&mut self, link: LinkNumber, hex: &str) {
        self.order_and_take(&json!({"do": "raw", "link": link, "hex": hex}), "obeyed");
    }

    /// Stops reading, until [`Peer::resume`].
    #[track_caller]
    pub fn pause(&mut self, link: LinkNumber) {
        self.order_and_take(&json!({"do": "pause", "link": link}), "obeyed");
    }

    /// Goes on reading.
    #[track_caller]
    pub fn resume(&mut self, link: LinkNumber) {
        self.order_and_take(&json!({"do": "resume", "link": link}), "obeyed");
    }

    /// Closes the connection without a word.
    #[track_caller]
    pub fn close(&mut self, link: LinkNumber) {
        self.order_and_take(&json!({"do": "close", "link": link}), "closed");
    }

    /// Unbinds, and waits for the answer.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn unbind(&mut self, link: LinkNumber) {
        let sent = self.order_and_take(&json!({"do": "unbind", "link": link}), "sent");
        let answer = self.answer(link, sent["sequence"].as_u64().expect("a number"));
        assert_eq!((answer.command.as_str(), answer.status), ("unbind_resp", 0));
    }

    /// The answer to the request with this sequence number.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn answer(&mut self, link: LinkNumber, sequence: u64) -> Pdu {
        let event = self.take(&format!("the answer to {sequence}"), |event| {
            let command = event["command"].as_str().unwrap_or_default();
            is_pdu_of(event, link)
                && event["sequence"] == sequence
                && (command.ends_with("_resp") || command == "generic_nack")
        });
        Pdu::of(&event)
    }

    /// The next PDU called `command` on `link`.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn expect_pdu(&mut self, link: LinkNumber, command: &str) -> Pdu {
        let event = self.take(command, |event| {
            is_pdu_of(event, link) && event["command"] == command
        });
        Pdu::of(&event)
    }

    /// The next PDU called `command` on any connection.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn expect_pdu_anywhere(&mut self, command: &str) -> Pdu {
        let event = self.take(command, |event| {
            event["event"] == "pdu" && event["command"] == command
        });
        Pdu::of(&event)
    }

    /// Waits until somebody has connected to where it listens.
    ///
    /// # Panics
    /// When nobody does.
    #[track_caller]
    pub fn expect_connection(&mut self) -> LinkNumber {
        let event = self.take("a connection", |event| event["event"] == "accepted");
        event["link"].as_u64().expect("a link")
    }

    /// Waits until the other side has closed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn expect_close(&mut self, link: LinkNumber) {
        self.take("the end of the connection", |event| {
            event["event"] == "closed" && event["link"] == link
        });
    }

    /// Everything called `command` that came and was not taken yet.
    #[must_use]
    pub fn unread(&mut self, command: &str) -> Vec<Pdu> {
        self.read();
        self.events
            .iter()
            .filter(|event| event["event"] == "pdu" && event["command"] == command)
            .map(Pdu::of)
            .collect()
    }

    #[track_caller]
    fn order_and_take(&mut self, order: &Value, answer: &str) -> Value {
        writeln!(self.input, "{order}").expect("the peer reads");
        let event = self.take(&format!("{answer} after {order}"), |event| {
            event["event"] == answer || event["event"] == "no such link"
        });
        assert_eq!(event["event"], answer, "{order}");
        event
    }

    #[track_caller]
    fn take(&mut self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        let what = format!("{what} at {}", self.process.name());
        wait_for(&what, PATIENCE, || {
            self.read();
            let at = self.events.iter().position(&mut is_it);
            if at.is_none() {
                assert!(
                    self.process.ended().is_none(),
                    "{}",
                    self.process.log_tail()
                );
            }
            at.map(|at| self.events.remove(at))
        })
    }

    /// Takes in what it has written since.
    fn read(&mut self) {
        self.output
            .read_to_end(&mut self.unfinished)
            .expect("a file");
        let Some(end) = self.unfinished.iter().rposition(|octet| *octet == b'\n') else {
            return;
        };
        let rest = self.unfinished.split_off(end + 1);
        let lines = std::mem::replace(&mut self.unfinished, rest);
        // Warnings of Python are between the lines.
        let events = lines
            .split(|octet| *octet == b'\n')
            .filter(|line| line.starts_with(b"{"))
            .map(|line| serde_json::from_slice::<Value>(line).expect("JSON"));
        self.events.extend(events);
    }
}

fn is_pdu_of(event: &Value, link: LinkNumber) -> bool {
    event["event"] == "pdu" && event["link"] == link
}
