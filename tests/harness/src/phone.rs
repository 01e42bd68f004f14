//! A SIP phone that a test moves step by step: what it sends is written out here, and it shares
//! no code with the daemons it talks to.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use md5::{Digest as _, Md5};
use sha2::Sha256;

use crate::net::Host;
use crate::wait::PATIENCE;

/// A SIP message as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipText(String);

impl SipText {
    /// The message `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The whole message.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first line.
    #[must_use]
    pub fn start_line(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    /// A response's status code.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        let rest = self.start_line().strip_prefix("SIP/2.0 ")?;
        rest.get(..3)?.parse().ok()
    }

    /// A request's method.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        let line = self.start_line();
        line.ends_with(" SIP/2.0")
            .then(|| line.split(' ').next())
            .flatten()
    }

    /// The CSeq's method: which request a response belongs to.
    #[must_use]
    pub fn cseq_method(&self) -> &str {
        self.header("CSeq")
            .and_then(|value| value.split_whitespace().nth(1))
            .unwrap_or_default()
    }

    /// All values of a header, in order; lines only, no commas split.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        head.lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(found, _)| found.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The tag parameter of a From or To value.
    fn tag(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.header(name)?.split_once(";tag=")?;
        rest.split(';').next()
    }
}

/// An offer or answer of one PCMU stream at `media`, with an optional direction attribute.
#[must_use]
pub fn sdp(media: SocketAddr, direction: Option<&str>) -> String {
    static VERSION: AtomicU32 = AtomicU32::new(1);
    let family = if media.is_ipv4() { "IP4" } else { "IP6" };
    let (ip, port) = (media.ip(), media.port());
    let version = VERSION.fetch_add(1, Ordering::Relaxed);
    let direction = direction.map_or(String::new(), |direction| format!("a={direction}\r\n"));
    format!(
        "v=0\r\no=- 1 {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n{direction}"
    )
}

/// One side of a call, as RFC 3261 section 12 keeps it.
#[derive(Clone, Debug)]
pub struct Dialog {
    call_id: String,
    local: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    sequence: u32,
}

impl Dialog {
    /// The Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.call_id
    }
}

/// A phone on UDP.
#[derive(Debug)]
pub struct Phone {
    socket: UdpSocket,
    address: SocketAddr,
    proxy: SocketAddr,
    user: String,
    password: String,
    domain: String,
    inbox: VecDeque<SipText>,
    serial: Cell<u32>,
}

impl Phone {
    /// A phone of `user`@`domain` on `host`, signalling from `port` through `proxy`.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn new(host: &Host, port: u16, proxy: SocketAddr, user: &str, domain: &str) -> Self {
        let ip = if proxy.is_ipv4() { host.ip } else { host.ip6 };
        let socket = host.udp_at(SocketAddr::new(ip, port));
        let address = socket.local_addr().expect("a bound address");
        Self {
            socket,
            address,
            proxy,
            user: user.to_owned(),
            password: format!("{user}-password"),
            domain: domain.to_owned(),
            inbox: VecDeque::new(),
            serial: Cell::new(0),
        }
    }

    /// Its signalling address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its user name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password it answers challenges with: `<user>-password` unless changed.
    pub fn set_password(&mut self, password: &str) {
        password.clone_into(&mut self.password);
    }

    fn uri(&self) -> String {
        format!("sip:{}@{}", self.user, self.domain)
    }

    fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.user, self.address)
    }

    fn unique(&self, what: &str) -> String {
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        format!(
            "{what}{}x{}x{serial}",
            std::process::id(),
            self.address.to_string().replace(['.', ':', '[', ']'], "-"),
        )
    }

    /// Sends text as it is.
    ///
    /// # Panics
    /// When the socket refuses.
    pub fn send(&self, text: &str) {
        self.socket
            .send_to(text.as_bytes(), self.proxy)
            .unwrap_or_else(|error| panic!("{} cannot send: {error}", self.user));
    }

    fn read(&self, until: Instant) -> Option<SipText> {
        let left = until.saturating_duration_since(Instant::now());
        let left = left.max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(left)).ok()?;
        let mut buffer = [0; 65_536];
        let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(buffer.get(..length)?);
        Some(SipText::new(&text))
    }

    /// The next message that `accept` takes, if one comes within `patience`. Others wait in line
    /// for a later call.
    pub fn receive(
        &mut self,
        patience: Duration,
        accept: impl Fn(&SipText) -> bool,
    ) -> Option<SipText> {
        if let Some(index) = self.inbox.iter().position(&accept) {
            return self.inbox.remove(index);
        }
        let until = Instant::now() + patience;
        while Instant::now() < until {
            let Some(message) = self.read(until) else {
                continue;
            };
            if accept(&message) {
                return Some(message);
            }
            self.inbox.push_back(message);
        }
        None
    }

    /// The next message that `accept` takes.
    ///
    /// # Panics
    /// When none comes; the message lists what came instead.
    #[track_caller]
    pub fn expect(&mut self, what: &str, accept: impl Fn(&SipText) -> bool) -> SipText {
        self.expect_within(PATIENCE, what, accept)
    }

    /// Like [`Phone::expect`] with another patience.
    ///
    /// # Panics
    /// When none comes; the message lists what came instead.
    #[track_caller]
    pub fn expect_within(
        &mut self,
        patience: Duration,
        what: &str,
        accept: impl Fn(&SipText) -> bool,
    ) -> SipText {
        match self.receive(patience, accept) {
            Some(message) => message,
            None => panic!(
                "{} waited in vain for {what}; it had:\n{}",
                self.user,
                self.inbox
                    .iter()
                    .map(SipText::as_str)
                    .collect::<Vec<_>>()
                    .join("\n")
            ),
        }
    }

    /// The next request of this method.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn expect_request(&mut self, method: &str) -> SipText {
        self.expect(method, |message| message.method() == Some(method))
    }

    /// The final response to the request with this branch.
    #[track_caller]
    fn final_response(&mut self, branch: &str) -> SipText {
        self.expect("a final response", |message| {
            // The answer to a CANCEL has the branch of the INVITE it cancels.
            message.status().is_some_and(|status| status >= 200)
                && message.cseq_method() != "CANCEL"
                && message
                    .header("Via")
                    .is_some_and(|via| via.contains(branch))
        })
    }

    /// Registers this phone for `expires` seconds (0 removes it), answering the challenge. Gives
    /// the final response.
    ///
    /// # Panics
    /// When no response comes.
    #[track_caller]
    pub fn register(&mut self, expires: u32) -> SipText {
        let call_id = self.unique("register");
        let uri = self.uri();
        let registrar = format!("sip:{}", self.domain);
        let tag = self.unique("tag");
        let contact = self.contact();
        let mut authorization = None;
        let mut sequence = 1;
        loop {
            let branch = self.unique("z9hG4bK");
            let credentials = authorization
                .take()
                .map_or(String::new(), |value| format!("Authorization: {value}\r\n"));
            self.send(&format!(
                "REGISTER {registrar} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch={branch};rport\r\n\
                 Max-Forwards: 70\r\nFrom: <{uri}>;tag={tag}\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\n\
                 CSeq: {sequence} REGISTER\r\nContact: {contact}\r\nExpires: {expires}\r\n\
                 {credentials}Content-Length: 0\r\n\r\n",
                self.address
            ));
            let response = self.final_response(&branch);
            if sequence == 1
                && let Some(challenge) = response.header("WWW-Authenticate")
            {
                authorization = Some(self.answer_challenge(challenge, "REGISTER", &registrar));
                sequence = 2;
                continue;
            }
            return response;
        }
    }

    /// Registers and requires success.
    ///
    /// # Panics
    /// When the registrar refuses.
    #[track_caller]
    pub fn must_register(&mut self) {
        let response = self.register(600);
        assert_eq!(response.status(), Some(200), "{}", response.as_str());
    }

    /// RFC 7616 3.4: the value of an Authorization header for a challenge with qop=auth.
    #[must_use]
    pub fn answer_challenge(&self, challenge: &str, method: &str, uri: &str) -> String {
        let parameter = |name: &str| -> Option<String> {
            challenge
                .trim_start_matches("Digest ")
                .split(',')
                .filter_map(|part| part.trim().split_once('='))
                .find(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim_matches('"').to_owned())
        };
        let realm = parameter("realm").unwrap_or_default();
        let nonce = parameter("nonce").unwrap_or_default();
        let algorithm = parameter("algorithm").unwrap_or_else(|| "MD5".to_owned());
        let hash = |text: String| match algorithm.as_str() {
            "SHA-256" => hex::encode(Sha256::digest(text)),
            _ => hex::encode(Md5::digest(text)),
        };
        let cnonce = self.unique("c");
        let secret = hash(format!("{}:{realm}:{}", self.user, self.password));
        let subject = hash(format!("{method}:{uri}"));
        let response = hash(format!("{secret}:{nonce}:00000001:{cnonce}:auth:{subject}"));
        let opaque =
            parameter("opaque").map_or(String::new(), |opaque| format!(", opaque=\"{opaque}\""));
        format!(
            "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm={algorithm}, cnonce=\"{cnonce}\", qop=auth, \
             nc=00000001{opaque}",
            self.user
        )
    }

    /// Sends an INVITE with `offer` to `user`, without waiting for anything.
    pub fn invite_unchallenged(&mut self, user: &str, offer: &str) -> Outgoing {
        let mut outgoing = Outgoing {
            uri: format!("sip:{user}@{}", self.domain),
            call_id: self.unique("call"),
            tag: self.unique("tag"),
            branch: String::new(),
            sequence: 0,
            offer: offer.to_owned(),
        };
        self.send_invite(&mut outgoing, None);
        outgoing
    }

    /// Sends an INVITE with `offer` to `user` and, when challenged, sends it again with
    /// credentials. Responses to the call are then to be received; see [`Phone::expect_answer`].
    ///
    /// # Panics
    /// When nothing but a 100 comes back.
    #[track_caller]
    pub fn invite(&mut self, user: &str, offer: &str) -> Outgoing {
        let mut outgoing = self.invite_unchallenged(user, offer);
        let first = self.expect("a response to INVITE", |message| {
            message.status().is_some_and(|status| status != 100)
                && message
                    .header("Via")
                    .is_some_and(|via| via.contains(&outgoing.branch))
        });
        match first.header("Proxy-Authenticate") {
            Some(challenge) if first.status() == Some(407) => {
                let value = self.answer_challenge(challenge, "INVITE", &outgoing.uri);
                self.acknowledge_failure(&outgoing, &first);
                self.send_invite(&mut outgoing, Some(&value));
            }
            _ => self.inbox.push_front(first),
        }
        outgoing
    }

    fn send_invite(&self, outgoing: &mut Outgoing, authorization: Option<&str>) {
        outgoing.branch = self.unique("z9hG4bK");
        outgoing.sequence += 1;
        let credentials = authorization.map_or(String::new(), |value| {
            format!("Proxy-Authorization: {value}\r\n")
        });
        self.send(&format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <{from}>;tag={tag}\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\n\
             CSeq: {sequence} INVITE\r\nContact: {contact}\r\n{credentials}\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{offer}",
            uri = outgoing.uri,
            address = self.address,
            branch = outgoing.branch,
            from = self.uri(),
            tag = outgoing.tag,
            call_id = outgoing.call_id,
            sequence = outgoing.sequence,
            contact = self.contact(),
            length = outgoing.offer.len(),
            offer = outgoing.offer,
        ));
    }

    /// RFC 3261 17.1.1.3: the ACK of a non-2xx response.
    fn acknowledge_failure(&self, outgoing: &Outgoing, response: &SipText) {
        self.send(&format!(
            "ACK {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <{from}>;tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {sequence} ACK\r\nContent-Length: 0\r\n\r\n",
            uri = outgoing.uri,
            address = self.address,
            branch = outgoing.branch,
            from = self.uri(),
            tag = outgoing.tag,
            to = response.header("To").unwrap_or_default(),
            call_id = outgoing.call_id,
            sequence = outgoing.sequence,
        ));
    }

    /// Sends the CANCEL of an INVITE that has no final response yet.
    pub fn cancel(&self, outgoing: &Outgoing) {
        self.send(&format!(
            "CANCEL {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch};rport\r\n\
             Max-Forwards: 70\r\nFrom: <{from}>;tag={tag}\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\n\
             CSeq: {sequence} CANCEL\r\nContent-Length: 0\r\n\r\n",
            uri = outgoing.uri,
            address = self.address,
            branch = outgoing.branch,
            from = self.uri(),
            tag = outgoing.tag,
            call_id = outgoing.call_id,
            sequence = outgoing.sequence,
        ));
    }

    /// The final response to an INVITE, acknowledged when it is a failure.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn expect_final(&mut self, outgoing: &Outgoing) -> SipText {
        let response = self.final_response(&outgoing.branch);
        if response.status().is_some_and(|status| status >= 300) {
            self.acknowledge_failure(outgoing, &response);
        }
        response
    }

    /// Waits for the 200 to an INVITE, sends the ACK, and gives the 200 and the caller's dialog.
    ///
    /// # Panics
    /// When the call fails.
    #[track_caller]
    pub fn expect_answer(&mut self, outgoing: &Outgoing) -> (SipText, Dialog) {
        let response = self.expect_final(outgoing);
        assert_eq!(response.status(), Some(200), "{}", response.as_str());
        let mut routes: Vec<String> = record_routes(&response);
        routes.reverse();
        let dialog = Dialog {
            call_id: outgoing.call_id.clone(),
            local: format!("<{}>;tag={}", self.uri(), outgoing.tag),
            remote: response.header("To").unwrap_or_default().to_owned(),
            target: contact_uri(&response),
            routes,
            sequence: outgoing.sequence,
        };
        self.acknowledge(&dialog);
        (response, dialog)
    }

    /// Sends the ACK of a 2xx in the dialog, for its latest INVITE.
    pub fn acknowledge(&self, dialog: &Dialog) {
        self.send_in(dialog, "ACK", dialog.sequence, "");
    }

    /// Sends a request in the dialog, with an SDP body unless it is empty, and gives its branch.
    pub fn request(&self, dialog: &mut Dialog, method: &str, body: &str) -> String {
        dialog.sequence += 1;
        self.send_in(dialog, method, dialog.sequence, body)
    }

    /// Waits for the 200 to the request with this branch.
    ///
    /// # Panics
    /// When the final response is another, or none comes.
    #[track_caller]
    pub fn expect_success(&mut self, branch: &str) -> SipText {
        let response = self.final_response(branch);
        assert_eq!(response.status(), Some(200), "{}", response.as_str());
        response
    }

    /// Ends the call: the BYE goes out, `other` answers it, and the 200 comes back.
    ///
    /// # Panics
    /// When one of them does not arrive.
    #[track_caller]
    pub fn hang_up(&mut self, dialog: &mut Dialog, other: &mut Self) {
        let branch = self.request(dialog, "BYE", "");
        // Not a repetition of an earlier call's.
        let bye = other.expect("the BYE of this call", |message| {
            message.method() == Some("BYE")
                && message.header("Call-ID") == Some(dialog.call_id.as_str())
        });
        other.respond(&bye, "200 OK", None, "");
        self.expect_success(&branch);
    }

    /// A re-INVITE with `offer`, which `other` accepts with `answer`, up to the ACK.
    ///
    /// # Panics
    /// When one of the messages does not arrive.
    #[track_caller]
    pub fn reinvite(&mut self, dialog: &mut Dialog, offer: &str, other: &mut Self, answer: &str) {
        let branch = self.request(dialog, "INVITE", offer);
        let invite = other.expect("a re-INVITE", |message| {
            message.method() == Some("INVITE") && message.tag("To").is_some()
        });
        other.respond(&invite, "200 OK", None, answer);
        self.expect_success(&branch);
        self.acknowledge(dialog);
        other.expect_request("ACK");
    }

    fn send_in(&self, dialog: &Dialog, method: &str, sequence: u32, body: &str) -> String {
        let branch = self.unique("z9hG4bK");
        let routes: String = dialog
            .routes
            .iter()
            .map(|route| format!("Route: {route}\r\n"))
            .collect();
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        self.send(&format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch};rport\r\n\
             {routes}Max-Forwards: 70\r\nFrom: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\n\
             CSeq: {sequence} {method}\r\nContact: {contact}\r\n{kind}Content-Length: {length}\r\n\
             \r\n{body}",
            target = dialog.target,
            address = self.address,
            local = dialog.local,
            remote = dialog.remote,
            call_id = dialog.call_id,
            contact = self.contact(),
            length = body.len(),
        ));
        branch
    }

    /// Answers a request. With a `tag` the response's To gets it, unless there is one already.
    pub fn respond(&self, request: &SipText, status: &str, tag: Option<&str>, body: &str) {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in request.headers(name) {
                text.push_str(&format!("{name}: {value}"));
                if name == "To"
                    && let Some(tag) = tag
                    && !value.contains(";tag=")
                {
                    text.push_str(&format!(";tag={tag}"));
                }
                text.push_str("\r\n");
            }
        }
        if request.method() == Some("INVITE") {
            text.push_str(&format!("Contact: {}\r\n", self.contact()));
        }
        if !body.is_empty() {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        self.send(&text);
    }

    /// Waits for an INVITE, answers 180, and gives it.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn expect_ringing(&mut self) -> Incoming {
        let invite = self.expect_request("INVITE");
        let tag = self.unique("tag");
        self.respond(&invite, "180 Ringing", Some(&tag), "");
        Incoming { invite, tag }
    }

    /// Answers a ringing call with 200 and `answer`, and gives the callee's dialog. The ACK is
    /// still to come.
    pub fn answer(&self, incoming: &Incoming, answer: &str) -> Dialog {
        self.respond(&incoming.invite, "200 OK", Some(&incoming.tag), answer);
        self.dialog_of(incoming)
    }

    /// The callee's side of the dialog that `incoming` makes once answered.
    #[must_use]
    pub fn dialog_of(&self, incoming: &Incoming) -> Dialog {
        let invite = &incoming.invite;
        Dialog {
            call_id: invite.header("Call-ID").unwrap_or_default().to_owned(),
            local: format!(
                "{};tag={}",
                invite.header("To").unwrap_or_default(),
                incoming.tag
            ),
            remote: invite.header("From").unwrap_or_default().to_owned(),
            target: contact_uri(invite),
            routes: record_routes(invite),
            sequence: 0,
        }
    }

    /// Waits for a BYE and answers it with 200.
    ///
    /// # Panics
    /// When none comes within `patience`.
    #[track_caller]
    pub fn expect_bye(&mut self, patience: Duration) -> SipText {
        let bye = self.expect_within(patience, "BYE", |message| message.method() == Some("BYE"));
        self.respond(&bye, "200 OK", None, "");
        bye
    }
}

/// An INVITE on its way.
#[derive(Clone, Debug)]
pub struct Outgoing {
    uri: String,
    call_id: String,
    tag: String,
    branch: String,
    sequence: u32,
    offer: String,
}

impl Outgoing {
    /// The Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.call_id
    }
}

/// An INVITE that rings here.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The INVITE.
    pub invite: SipText,
    /// The tag this phone gave the dialog.
    pub tag: String,
}

fn record_routes(message: &SipText) -> Vec<String> {
    message
        .headers("Record-Route")
        .iter()
        .flat_map(|value| value.split(','))
        .map(|value| value.trim().to_owned())
        .collect()
}

/// The URI inside the angle brackets of the Contact.
fn contact_uri(message: &SipText) -> String {
    let contact = message.header("Contact").unwrap_or_default();
    let inner = contact
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(contact, |(uri, _)| uri);
    inner.to_owned()
}
