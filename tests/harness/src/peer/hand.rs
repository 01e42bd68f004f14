//! Messages made and checked by hand, and sent by somebody who is not one of Tollwire's programs: members are JSON, so that they
//! can be wrong as well.

use std::fs::File;
use std::io::Read as _;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tollwire_jose::{SessionKey, decrypt, sign_hs256};
use url::Url;

use super::authority::Identity;
use crate::net::Host;
use crate::web::visitor::{Answer, Content, Visitor};

/// The header field of a ServiceRequest.
pub const FIELD: &str = "Tollwire-Service-Request";

/// Seconds since 1970.
///
/// # Panics
/// When the clock stands before that.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("a clock").as_secs()).expect("a date")
}

/// 128 random bits in base64url.
///
/// # Panics
/// When the system has none.
#[must_use]
pub fn identifier() -> String {
    let mut octets = [0; 16];
    let mut random = File::open("/dev/urandom").expect("random octets");
    random.read_exact(&mut octets).expect("random octets");
    URL_SAFE_NO_PAD.encode(octets)
}

/// A nonce that was made just now.
#[must_use]
pub fn nonce() -> String {
    nonce_at(now())
}

/// One that was made then.
#[must_use]
pub fn nonce_at(unix: i64) -> String {
    format!("{}.{}", utc(unix), identifier())
}

/// RFC 3339, whole seconds.
#[must_use]
pub fn utc(unix: i64) -> String {
    let (days, seconds) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    // Days of the proleptic Gregorian calendar, with years beginning in March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Claims of a token, unverified.
///
/// # Panics
/// When it is none.
#[must_use]
#[track_caller]
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a token");
    let octets = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&octets).expect("JSON")
}

/// A token with another part in the place of one of its three.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn with_part(token: &str, at: usize, octets: &[u8]) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    *parts.get_mut(at).expect("a part") = URL_SAFE_NO_PAD.encode(octets);
    parts.join(".")
}

/// A token whose header says something else of one member.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn with_header(token: &str, member: &str, value: Value) -> String {
    let head = token.split('.').next().expect("a header");
    let octets = URL_SAFE_NO_PAD.decode(head).expect("base64url");
    let mut header: Value = serde_json::from_slice(&octets).expect("JSON");
    header[member] = value;
    with_part(token, 0, header.to_string().as_bytes())
}

/// The word of a refusal, behind its status.
///
/// # Panics
/// When it has none.
#[must_use]
#[track_caller]
pub fn word(answer: &Answer) -> String {
    let said: Value = serde_json::from_slice(&answer.body)
        .unwrap_or_else(|_| panic!("{} {}: {}", answer.url, answer.status, answer.text()));
    let word = said["error"].as_str().unwrap_or_default();
    format!("{} {word}", answer.status)
}

/// What a user got for his request.
#[derive(Debug)]
pub struct Credential {
    /// All of it.
    pub claims: Value,
    /// The accounting session.
    pub session: String,
    /// The key.
    pub key: SessionKey,
}

impl Credential {
    /// Of a token, for its owner.
    ///
    /// # Panics
    /// When it is none, or for somebody else.
    #[must_use]
    #[track_caller]
    pub fn open(identity: &Identity, token: &str) -> Self {
        let claims = claims(token);
        let text = |member: &str| claims[member].as_str().expect("text").to_owned();
        let key = decrypt(&identity.key, &text("session_key")).expect("the session's key");
        Self {
            session: text("accounting_session_id"),
            key: SessionKey::from_octets(&key).expect("32 octets"),
            claims,
        }
    }

    /// Where `path` is at the provider's.
    ///
    /// # Panics
    /// When it has no address.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        let base = self.claims["provider"]["address"].as_str().expect("a URL");
        Url::parse(&format!("{}{path}", base.trim_end_matches('/'))).expect("a URL")
    }

    /// Where its session is opened and ended.
    ///
    /// # Panics
    /// When it does not say.
    #[must_use]
    #[track_caller]
    pub fn sessions(&self) -> Url {
        let url = self.claims["provider"]["sessions"].as_str();
        Url::parse(url.expect("where sessions are")).expect("a URL")
    }

    /// A ServiceRequest.
    #[must_use]
    pub fn sign(&self, method: &str, target: &str) -> String {
        self.sign_with(method, target, &nonce())
    }

    /// One with this nonce.
    ///
    /// # Panics
    /// When it is too large.
    #[must_use]
    pub fn sign_with(&self, method: &str, target: &str, nonce: &str) -> String {
        let request = json!({
            "accounting_session_id": self.session,
            "request": {"method": method, "target": target, "nonce": nonce},
        });
        sign_hs256(&self.key, &self.session, "service-request+jwt", &request).expect("signed")
    }
}

/// Datagrams to a service that sends them back.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    to: SocketAddr,
    number: u64,
    /// Octets of IP packets (IPv4) that were sent and that came back.
    pub octets: u64,
}

/// Octets of content of each.
const CONTENT: usize = 100;
/// Octets of its packet on IPv4.
const PACKET: u64 = 128;
/// How long one that shall come back is awaited. It takes less than a millisecond, where nobody stalls.
const ROUND: Duration = Duration::from_secs(3);
/// And one that shall not.
const SILENCE: Duration = Duration::from_millis(200);

impl Datagrams {
    /// From this port of `host`.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn new(host: &Host, port: u16, to: SocketAddr) -> Self {
        Self::at(host, SocketAddr::new(host.ip, port), to)
    }

    /// From this address of `host`.
    ///
    /// # Panics
    /// When it is taken.
    #[must_use]
    pub fn at(host: &Host, from: SocketAddr, to: SocketAddr) -> Self {
        Self {
            socket: host.udp_at(from),
            to,
            number: 0,
            octets: 0,
        }
    }

    /// Sends one; whether it comes back.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn echo(&mut self) -> bool {
        self.round(ROUND)
    }

    /// Sends one that shall not come back; whether it does not, as far as can be seen in a moment.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn is_lost(&mut self) -> bool {
        !self.round(SILENCE)
    }

    fn round(&mut self, patience: Duration) -> bool {
        self.number += 1;
        let mut content = [7; CONTENT];
        content[..8].copy_from_slice(&self.number.to_be_bytes());
        self.socket.send_to(&content, self.to).expect("sent");
        let end = Instant::now() + patience;
        let mut buffer = [0; 2048];
        let mut back = false;
        while !back
            && let left = end.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            self.socket.set_read_timeout(Some(left)).expect("a timeout");
            let came = self.socket.recv_from(&mut buffer);
            back = came.is_ok_and(|(length, _)| buffer.get(..length) == Some(&content[..]));
        }
        self.octets += PACKET * (1 + u64::from(back));
        back
    }
}

/// What of a URL goes into a request's first line.
#[must_use]
pub fn target(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// Somebody with a certificate, at some address.
#[derive(Debug)]
pub struct User<'a> {
    /// Who he is.
    pub identity: &'a Identity,
    /// His requests.
    pub visitor: Visitor,
    manager: String,
}

impl<'a> User<'a> {
    /// Who trades by this manager.
    #[must_use]
    pub fn new(identity: &'a Identity, visitor: Visitor, manager: &str) -> Self {
        Self {
            identity,
            visitor,
            manager: manager.to_owned(),
        }
    }

    /// A ServiceCredentialRequest that nothing is wrong with.
    #[must_use]
    pub fn request(&self, service: &str) -> String {
        self.request_with(&json!({"name": service}), &identifier(), &nonce())
    }

    /// One with these members.
    #[must_use]
    pub fn request_with(&self, service: &Value, request_id: &str, nonce: &str) -> String {
        let claims = json!({"service": service, "request_id": request_id, "nonce": nonce});
        self.identity
            .sign("service-credential-request+jwt", &claims)
    }

    /// Sends a message to the manager.
    #[track_caller]
    pub fn post(&mut self, path: &str, token: &str) -> Answer {
        let url = format!("{}{path}", self.manager);
        self.visitor.ask("POST", url, &Content::token(token))
    }

    /// Asks for a credential.
    #[track_caller]
    pub fn ask(&mut self, service: &str) -> Answer {
        let request = self.request(service);
        self.post("/credentials", &request)
    }

    /// Gets one.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn credential(&mut self, service: &str) -> Credential {
        let answer = self.ask(service).expect(200);
        Credential::open(self.identity, &answer.text())
    }

    /// Gets one for a gated service, whose datagrams will come from this port.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn gated(&mut self, service: &str, udp_port: u16) -> Credential {
        let service = json!({"name": service, "udp_port": udp_port});
        let request = self.request_with(&service, &identifier(), &nonce());
        let answer = self.post("/credentials", &request).expect(200);
        Credential::open(self.identity, &answer.text())
    }

    /// Uses a service by a ServiceRequest that was made before.
    #[track_caller]
    pub fn use_with(&mut self, url: &Url, method: &str, token: &str) -> Answer {
        self.visitor
            .ask(method, url, &Content::header(FIELD, token))
    }

    /// Uses a service.
    #[track_caller]
    pub fn get(&mut self, credential: &Credential, path: &str) -> Answer {
        let url = credential.url(path);
        let token = credential.sign("GET", &target(&url));
        self.use_with(&url, "GET", &token)
    }

    /// Opens a session that is not HTTP, or ends one.
    #[track_caller]
    pub fn sessions(&mut self, credential: &Credential, method: &str) -> Answer {
        let url = credential.sessions();
        let token = credential.sign(method, &target(&url));
        self.use_with(&url, method, &token)
    }
}
