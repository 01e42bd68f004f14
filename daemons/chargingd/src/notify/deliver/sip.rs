//! MESSAGE (RFC 3428) through an outbound proxy, over UDP or TCP. The socket is opened when there is something to
//! say, and closed when there was nothing for a while.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tollwire_sip::digest::Algorithm;
use tollwire_sip::message::RequestBuilder;
use tollwire_sip::transaction::{
    ClientTransactionId, Flow, Limits, Output, Timers, TransactionLayer, Transport,
};
use tollwire_sip::via::MAGIC_COOKIE;
use tollwire_sip::{
    Challenge, DigestCredentials, Framed, HeaderName, Message, Method, StreamFramer, Uri,
};

use super::{JOBS, Job, Letter, cut};
use crate::notify::settings::{self, SipTransport};
use crate::notify::{Contact, Outcome};

/// RFC 3428 8: what may go where congestion is not controlled is 1300 octets in all.
const MAX_TEXT: usize = 800;
const MAX_MESSAGE: usize = 65_535;
/// Time for a connection to open, and for a message to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// A socket that nothing is said over is closed.
const IDLE: Duration = Duration::from_secs(60);

struct Sender {
    proxy: SocketAddr,
    transport: SipTransport,
    from: Box<str>,
    /// The host of `from`, for Call-ID.
    domain: String,
    username: String,
    password: Option<String>,
}

/// Starts the task that owns the socket.
pub(super) fn start(settings: &settings::Sip) -> Result<mpsc::Sender<Job>, String> {
    let uri = Uri::parse(&settings.from).map_err(|_| "notifications.sip.from: a SIP URI")?;
    let uri = uri.sip().ok_or("notifications.sip.from: a SIP URI")?;
    let sender = Sender {
        proxy: settings.proxy,
        transport: settings.transport,
        from: settings.from.clone(),
        domain: uri.host.to_string(),
        username: (settings.username.as_deref())
            .or(uri.user)
            .unwrap_or_default()
            .to_owned(),
        password: (settings.password_file.as_deref())
            .map(settings::secret)
            .transpose()?,
    };
    let (jobs, queue) = mpsc::channel(JOBS);
    tokio::spawn(sender.run(queue));
    Ok(jobs)
}

impl Sender {
    async fn run(self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.recv().await {
            let opened = tokio::time::timeout(PATIENCE, Wire::open(self.transport, self.proxy));
            let error = match opened.await {
                Ok(Ok(wire)) => {
                    let mut talk = Talk::new(&self, wire);
                    let error = talk.converse(job, &mut queue).await;
                    talk.fail(&error);
                    continue;
                }
                Ok(Err(error)) => format!("{}: {error}", self.proxy),
                Err(_) => format!("{}: no connection in time", self.proxy),
            };
            let _ = job.reply.send(Outcome::Unreachable(error));
        }
    }
}

/// The socket.
enum Wire {
    Udp(UdpSocket, BytesMut),
    Tcp(TcpStream, Box<StreamFramer>, BytesMut),
}

impl Wire {
    async fn open(transport: SipTransport, proxy: SocketAddr) -> io::Result<Self> {
        let any: IpAddr = match proxy {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Ok(match transport {
            SipTransport::Udp => {
                let socket = UdpSocket::bind((any, 0)).await?;
                // Of other senders nothing is heard.
                socket.connect(proxy).await?;
                Self::Udp(socket, BytesMut::new())
            }
            SipTransport::Tcp => Self::Tcp(
                TcpStream::connect(proxy).await?,
                Box::new(StreamFramer::new(MAX_MESSAGE)),
                BytesMut::new(),
            ),
        })
    }

    fn flow(&self, remote: SocketAddr) -> io::Result<Flow> {
        let (transport, local) = match self {
            Self::Udp(socket, _) => (Transport::Udp, socket.local_addr()?),
            Self::Tcp(stream, ..) => (Transport::Tcp, stream.local_addr()?),
        };
        Ok(Flow {
            transport,
            local,
            remote,
        })
    }

    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket, _) => match socket.send(message).await {
                Ok(_) => Ok(()),
                // An ICMP error of an earlier datagram: this one was not sent.
                Err(_) => socket.send(message).await.map(|_| ()),
            },
            Self::Tcp(stream, ..) => {
                tokio::time::timeout(PATIENCE, stream.write_all(message)).await?
            }
        }
    }

    /// Waits for something to arrive. Nothing is lost if the wait is given up.
    async fn receive(&mut self) -> io::Result<Vec<Message>> {
        match self {
            Self::Udp(socket, buffer) => {
                buffer.clear();
                buffer.reserve(MAX_MESSAGE);
                socket.recv_buf(buffer).await?;
                let datagram = buffer.split().freeze();
                Ok(Message::parse(datagram).into_iter().collect())
            }
            Self::Tcp(stream, framer, buffer) => {
                buffer.clear();
                if stream.read_buf(buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                framer.push(buffer);
                let mut messages = Vec::new();
                while let Some(next) = framer.next() {
                    match next {
                        Ok(Framed::Message(message)) => messages.push(message),
                        Ok(Framed::Ping | Framed::Pong) => {}
                        Err(error) => {
                            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                        }
                    }
                }
                Ok(messages)
            }
        }
    }
}

struct Pending {
    job: Job,
    cseq: u32,
    /// Whether the request had credentials.
    authorized: bool,
}

struct Talk<'a> {
    sender: &'a Sender,
    wire: Wire,
    layer: TransactionLayer,
    pending: HashMap<ClientTransactionId, Pending>,
}

impl<'a> Talk<'a> {
    fn new(sender: &'a Sender, wire: Wire) -> Self {
        Self {
            sender,
            wire,
            layer: TransactionLayer::new(Timers::default(), Limits::default()),
            pending: HashMap::new(),
        }
    }

    /// Sends until the socket fails or nothing is left to say; why it ended.
    async fn converse(&mut self, first: Job, queue: &mut mpsc::Receiver<Job>) -> String {
        let flow = match self.wire.flow(self.sender.proxy) {
            Ok(flow) => flow,
            Err(error) => {
                let _ = first.reply.send(Outcome::Unreachable(error.to_string()));
                return error.to_string();
            }
        };
        let mut out = Vec::new();
        self.take(flow, first, &mut out);
        loop {
            if let Err(error) = self.carry_out(flow, &mut out).await {
                return error.to_string();
            }
            let idle = tokio::time::Instant::now() + IDLE;
            let deadline = self.layer.next_deadline().map_or(idle, Into::into);
            tokio::select! {
                job = queue.recv() => match job {
                    Some(job) => self.take(flow, job, &mut out),
                    None => return "stopping".into(),
                },
                received = self.wire.receive() => match received {
                    Ok(messages) => for message in messages {
                        // Nobody has a request for us.
                        if message.is_response() {
                            self.layer.receive(Instant::now(), flow, message, &mut out);
                        }
                    },
                    // An ICMP error: a timer sends again.
                    Err(_) if flow.transport == Transport::Udp => {}
                    Err(error) => return error.to_string(),
                },
                () = tokio::time::sleep_until(deadline) => {
                    self.layer.tick(Instant::now(), &mut out);
                    if self.pending.is_empty() && self.layer.next_deadline().is_none() {
                        return "idle".into();
                    }
                }
            }
        }
    }

    fn fail(&mut self, error: &str) {
        for (_, pending) in self.pending.drain() {
            let _ = pending.job.reply.send(Outcome::Unreachable(error.into()));
        }
    }

    fn take(&mut self, flow: Flow, job: Job, out: &mut Vec<Output>) {
        let Contact::Sip(uri) = &job.letter.task.contact else {
            return;
        };
        if uri.to_ascii_lowercase().starts_with("sips:") {
            let error = "sips: needs TLS, which is not spoken here".into();
            let _ = job.reply.send(Outcome::Refused(error));
            return;
        }
        // Another number for each attempt: a server may still hold the last one's transaction, and take
        // this one for a loop (RFC 3261 8.2.2.2).
        let cseq = job.letter.task.attempts.saturating_mul(2) & 0x7FFF_FFFE;
        let pending = Pending {
            job,
            cseq: cseq + 1,
            authorized: false,
        };
        self.send(flow, pending, None, out);
    }

    fn send(
        &mut self,
        flow: Flow,
        pending: Pending,
        authorization: Option<(HeaderName, String)>,
        out: &mut Vec<Output>,
    ) {
        let letter = &pending.job.letter;
        let request = self.request(flow, letter, pending.cseq, authorization);
        let id = self.layer.send_request(Instant::now(), flow, request, out);
        self.pending.insert(id, pending);
    }

    fn request(
        &self,
        flow: Flow,
        letter: &Letter,
        cseq: u32,
        authorization: Option<(HeaderName, String)>,
    ) -> Message {
        let to = letter.task.contact.to_string();
        let name = letter.name();
        let via = format!(
            "SIP/2.0/{} {};branch={MAGIC_COOKIE}{};rport",
            flow.transport.as_str(),
            flow.local,
            token()
        );
        let request = RequestBuilder::new(Method::Message, &to)
            .header(HeaderName::Via, &via)
            .header(HeaderName::MaxForwards, "70")
            .header(
                HeaderName::From,
                &format!("<{}>;tag={name}", self.sender.from),
            )
            .header(HeaderName::To, &format!("<{to}>"))
            .header(
                HeaderName::CallId,
                &format!("{name}@{}", self.sender.domain),
            )
            .header(HeaderName::CSeq, &format!("{cseq} MESSAGE"));
        let request = match authorization {
            Some((header, value)) => request.header(header, &value),
            None => request,
        };
        let text = cut(&letter.rendered.text, MAX_TEXT).to_owned();
        request
            .body("text/plain;charset=UTF-8", Bytes::from(text))
            .build()
    }

    async fn carry_out(&mut self, flow: Flow, out: &mut Vec<Output>) -> io::Result<()> {
        while !out.is_empty() {
            for output in std::mem::take(out) {
                match output {
                    Output::Send { bytes, .. } => {
                        if let Err(error) = self.wire.send(&bytes).await {
                            self.layer.transport_failed(Instant::now(), flow, out);
                            if flow.transport == Transport::Tcp {
                                return Err(error);
                            }
                        }
                    }
                    Output::Response { id, message } => self.response(flow, id, &message, out),
                    Output::TimedOut { id } => self.finish(id, unreachable("no answer in time")),
                    Output::TransportFailed { id } => {
                        self.finish(id, unreachable("the proxy cannot be reached"));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, id: ClientTransactionId, outcome: Outcome) {
        if let Some(pending) = self.pending.remove(&id) {
            let _ = pending.job.reply.send(outcome);
        }
    }

    fn response(
        &mut self,
        flow: Flow,
        id: ClientTransactionId,
        message: &Message,
        out: &mut Vec<Output>,
    ) {
        let status = message.status().unwrap_or_default();
        let outcome = match status {
            0..200 => return,
            401 | 407 => match self.authorize(id, message) {
                Ok((pending, authorization)) => {
                    return self.send(flow, pending, Some(authorization), out);
                }
                Err(error) => unreachable(error),
            },
            status => judge(status, message.reason()),
        };
        self.finish(id, outcome);
    }

    /// Answers a challenge (RFC 3261 22), once.
    fn authorize(
        &mut self,
        id: ClientTransactionId,
        response: &Message,
    ) -> Result<(Pending, (HeaderName, String)), &'static str> {
        let password = (self.sender.password.as_ref())
            .ok_or("the proxy asks for a password: see notifications.sip.password_file")?;
        let (asks, answers) = match response.status() {
            Some(401) => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            _ => (
                HeaderName::ProxyAuthenticate,
                HeaderName::ProxyAuthorization,
            ),
        };
        let known = |challenge: &Challenge<'_>| challenge.algorithm != Algorithm::Other;
        // The first that is understood is the server's choice (RFC 8760 2.3).
        let challenge = (response.challenges(asks).find(known))
            .ok_or("the proxy asks for a password in a way that is not known")?;
        let pending = self.pending.get(&id).ok_or("a challenge to nothing")?;
        if pending.authorized {
            return Err("the proxy does not accept the password");
        }
        let uri = pending.job.letter.task.contact.to_string();
        let credentials = credentials(&challenge, &self.sender.username, password, &uri);
        let mut pending = self.pending.remove(&id).ok_or("a challenge to nothing")?;
        pending.authorized = true;
        pending.cseq += 1;
        Ok((pending, (answers, credentials)))
    }
}

fn unreachable(error: &str) -> Outcome {
    Outcome::Unreachable(error.into())
}

fn judge(status: u16, reason: &str) -> Outcome {
    let what = format!("{status} {reason}");
    match status {
        200..300 => Outcome::Told,
        // Not there now, busy, merged with an earlier attempt, too much at once; and what the server could not.
        408 | 480 | 482 | 486 | 491 | 500..600 => Outcome::Failed(what),
        _ => Outcome::Refused(what),
    }
}

/// Digest credentials (RFC 7616 3.4.1, RFC 8760).
fn credentials(challenge: &Challenge<'_>, username: &str, password: &str, uri: &str) -> String {
    let hash = |text: String| match challenge.algorithm {
        Algorithm::Sha256 => hex::encode(Sha256::digest(text)),
        _ => hex::encode(Md5::digest(text)),
    };
    let (realm, nonce) = (&challenge.realm, &challenge.nonce);
    let secret = hash(format!("{username}:{realm}:{password}"));
    let request = hash(format!("MESSAGE:{uri}"));
    let cnonce = token();
    let response = hash(match challenge.qop_auth {
        true => format!("{secret}:{nonce}:00000001:{cnonce}:auth:{request}"),
        false => format!("{secret}:{nonce}:{request}"),
    });
    DigestCredentials {
        username: username.into(),
        realm: realm.clone(),
        nonce: nonce.clone(),
        uri: uri.into(),
        response: response.into(),
        algorithm: challenge.algorithm,
        cnonce: challenge.qop_auth.then(|| cnonce.clone().into()),
        opaque: challenge.opaque.clone(),
        qop: challenge.qop_auth.then_some("auth".into()),
        nonce_count: challenge.qop_auth.then_some(1),
        nc: None,
    }
    .to_string()
}

/// Something new each time.
fn token() -> String {
    let mut octets = [0; 12];
    // Without randomness the kernel would not have come so far.
    let _ = getrandom::fill(&mut octets);
    hex::encode(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_final_is_refused() {
        for status in [200, 202] {
            assert_eq!(judge(status, ""), Outcome::Told);
        }
        for status in [408, 480, 486, 500, 503] {
            assert!(matches!(judge(status, ""), Outcome::Failed(_)), "{status}");
        }
        for status in [302, 400, 403, 404, 415, 603] {
            assert!(matches!(judge(status, ""), Outcome::Refused(_)), "{status}");
        }
    }

    #[test]
    fn a_password_is_proved_as_in_rfc_2617() {
        // RFC 2617 3.5 without qop, of RFC 2069's form: computed with openssl md5.
        let challenge = Challenge::parse("Digest realm=\"a\", nonce=\"n\"").unwrap();
        let text = credentials(&challenge, "alice", "secret", "sip:b@c");
        let secret = hex::encode(Md5::digest("alice:a:secret"));
        let request = hex::encode(Md5::digest("MESSAGE:sip:b@c"));
        let response = hex::encode(Md5::digest(format!("{secret}:n:{request}")));
        assert!(text.contains(&response), "{text}");
        assert!(!text.contains("cnonce"), "{text}");
    }
}
