//! Those whom a provider deals with, played: a manager, users, and what is behind the services.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, SanType, SignatureAlgorithm,
};
use tollwire_jose::{Jwk, SessionKey, Trust};
use tollwire_peer::{
    AccountingAcknowledgement, AccountingMessage, Data, Identifier, Identity, MEDIA_TYPE, Measure,
    Nonce, Policies, Refusal, ServiceRequest, Signed, Target, UserAddress, UserCredential, Word,
    seal_key,
};
use tollwire_runtime::clock::Now;
use tollwire_web::client::{self, Answer, Client};
use tollwire_web::{Server, server};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn now() -> i64 {
    Now::read().unix_ms / 1_000
}

/// A folder of a test, removed at its end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("provider-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self(CertifiedIssuer::self_signed(parameters, key).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate of this name, and its key.
    pub fn issue(&self, name: &str, algorithm: &'static SignatureAlgorithm) -> (String, String) {
        let mut parameters = CertificateParams::default();
        let name = SanType::DnsName(name.try_into().unwrap());
        parameters.subject_alt_names.push(name);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let chain = parameters.signed_by(&key, &self.0).unwrap();
        (chain.pem(), key.serialize_pem())
    }

    pub fn identity(&self, name: &str) -> Identity {
        let (chain, key) = self.issue(name, &PKCS_ED25519);
        Identity::from_pem(&chain, &key).unwrap()
    }
}

/// What the manager answers.
#[derive(Debug, Clone, Copy)]
pub enum Mode {
    Grants(Data, bool),
    /// So much more than was told.
    More(u64),
    Fails,
    Garbage,
    Refuses(Word),
}

pub struct Ledger {
    identity: Identity,
    trust: Trust,
    pub mode: Mode,
    pub heard: Vec<AccountingMessage>,
    /// Tokens as they came.
    pub tokens: Vec<String>,
}

type Books = Arc<Mutex<Ledger>>;

async fn accounting(State(books): State<Books>, body: Bytes) -> Response {
    let mut books = books.lock().unwrap();
    let token = String::from_utf8(body.to_vec()).unwrap();
    books.tokens.push(token.clone());
    let (message, certified) =
        AccountingMessage::verify(&token, &books.trust, now()).expect("a message");
    assert_eq!(certified.name, "provider.example");
    let (granted, last) = match books.mode {
        Mode::Grants(granted, last) => (granted, last),
        Mode::More(octets) => {
            let octets = message.data.octets.unwrap_or(0) + octets;
            let granted = Data {
                octets: Some(octets),
                ..Data::default()
            };
            (granted, false)
        }
        Mode::Fails => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mode::Garbage => return "eyJ.eyJ.xxx".into_response(),
        Mode::Refuses(word) => {
            let status = StatusCode::from_u16(word.status()).unwrap();
            return (status, Json(Refusal::new(word, "no"))).into_response();
        }
    };
    let acknowledgement = AccountingAcknowledgement {
        message_id: message.message_id.clone(),
        accounting_session_id: message.accounting_session_id.clone(),
        sequence: message.sequence,
        state: match message.cause {
            Some(_) => tollwire_peer::State::Closed,
            None => tollwire_peer::State::Open,
        },
        granted,
        last,
        nonce: Nonce::new(now()).unwrap(),
    };
    books.heard.push(message);
    let token = acknowledgement.sign(&books.identity).unwrap();
    ([(CONTENT_TYPE, MEDIA_TYPE)], token).into_response()
}

async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let names: Vec<_> = head.headers.keys().map(|name| name.as_str()).collect();
    let told = format!(
        "{} {} {} [{}]",
        head.method,
        head.uri,
        String::from_utf8_lossy(&body),
        names.join(" ")
    );
    told.into_response()
}

async fn large() -> Response {
    Body::from(vec![7u8; LARGE]).into_response()
}

/// Octets of `large`.
pub const LARGE: usize = 300_000;

pub fn listening() -> server::Config {
    server::Config {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        requests_per_second: 10_000,
        burst: 10_000,
        drain_seconds: 1,
        ..server::Config::default()
    }
}

/// Manager, authority and upstream, with the provider's files in a folder.
pub struct Stage {
    pub books: Books,
    pub authority: Authority,
    pub folder: Folder,
    /// `http://address`
    pub manager: String,
    /// `http://address`, with `/app/echo` and `/app/large`.
    pub upstream: String,
    provider_key: Jwk,
    _servers: [Server; 2],
}

impl Stage {
    /// In the folder are `provider.pem`, `provider.key` and `root.pem`.
    pub async fn new() -> Self {
        let (folder, authority) = (Folder::new(), Authority::new());
        let write = |name: &str, text: &str| std::fs::write(folder.0.join(name), text).unwrap();
        let (chain, key) = authority.issue("provider.example", &PKCS_ECDSA_P256_SHA256);
        write("provider.pem", &chain);
        write("provider.key", &key);
        write("root.pem", &authority.pem());
        let provider = Identity::from_pem(&chain, &key).unwrap();
        let books = Arc::new(Mutex::new(Ledger {
            identity: authority.identity("manager.example"),
            trust: Trust::new(&authority.pem(), []).unwrap(),
            mode: Mode::Grants(Data::default(), false),
            heard: Vec::new(),
            tokens: Vec::new(),
        }));
        let routes = Router::new()
            .route("/accounting", post(accounting))
            .with_state(Arc::clone(&books));
        let manager = Server::start(&listening(), routes).await.unwrap();
        let routes = Router::new()
            .route("/app/echo", any(echo))
            .route("/app/large", any(large));
        let upstream = Server::start(&listening(), routes).await.unwrap();
        let url = |server: &Server| format!("http://{}", server.address().unwrap());
        Self {
            books,
            authority,
            folder,
            manager: url(&manager),
            upstream: url(&upstream),
            provider_key: provider.key().public().clone(),
            _servers: [manager, upstream],
        }
    }

    pub fn policies(&self, service: &str) -> Policies {
        Policies {
            service: service.into(),
            not_before: now() - 1,
            not_after: now() + 3_600,
            times_of_day: Vec::new(),
            max_requests: None,
            address_change: false,
            collect: Measure::ALL.to_vec(),
            max_seconds_between_messages: 3_600,
            granted: Data::default(),
        }
    }

    pub fn credential(&self, policies: Policies) -> (UserCredential, User) {
        let key = SessionKey::generate().unwrap();
        let id = Identifier::random().unwrap();
        let credential = UserCredential {
            user_address: UserAddress {
                ip: "127.0.0.1".parse().unwrap(),
                udp_port: None,
            },
            accounting_session_id: id.clone(),
            session_key: seal_key(&self.provider_key, &key).unwrap(),
            policies,
        };
        (credential, User { id, key })
    }

    pub fn signed(&self, message: &impl Signed) -> String {
        message.sign(&self.books.lock().unwrap().identity).unwrap()
    }

    pub fn set(&self, mode: Mode) {
        self.books.lock().unwrap().mode = mode;
    }

    pub fn heard(&self) -> Vec<AccountingMessage> {
        self.books.lock().unwrap().heard.clone()
    }

    /// The final message, once it is there.
    pub async fn final_message(&self) -> AccountingMessage {
        let is_final = |message: &AccountingMessage| message.cause.is_some();
        until("no final message", || self.heard().iter().any(is_final)).await;
        self.heard().into_iter().find(is_final).unwrap()
    }
}

/// A client that may call this host.
pub fn caller() -> Client {
    let config = client::Config {
        allow_private: true,
        allow_http: true,
        timeout_seconds: 60,
        max_body_octets: 1 << 24,
        ..client::Config::default()
    };
    Client::new(&config).unwrap()
}

pub struct User {
    pub id: Identifier,
    pub key: SessionKey,
}

impl User {
    pub fn request(&self, method: &str, target: &str) -> ServiceRequest {
        ServiceRequest {
            accounting_session_id: self.id.clone(),
            request: Target {
                method: method.into(),
                target: target.into(),
                nonce: Nonce::new(now()).unwrap(),
            },
        }
    }

    pub fn token(&self, method: &str, target: &str) -> String {
        self.request(method, target).sign(&self.key).unwrap()
    }
}

pub fn word(answer: &Answer) -> String {
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    format!(
        "{} {}",
        answer.status.as_u16(),
        told["error"].as_str().unwrap_or("?")
    )
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Where nobody listens.
pub fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}
