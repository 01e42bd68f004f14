//! A manager and a provider on this host, as simple as they can be, and what they saw. Tests of tollctl have them too.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use tokio::net::TcpListener;
use tollwire_jose::{SessionKey, Trust};
use tollwire_peer::{
    Identifier, Identity, Listed, Measure, Nonce, Provider, Refusal, SERVICE_REQUEST_FIELD,
    ServiceCredential, ServiceCredentialRequest, ServiceList, ServiceRequest, Signed, Validity,
    Word, seal_key,
};
use tollwire_peer_user::{Manager, User};
use tollwire_web::client::{Client, Config};

pub const MANAGER: &str = "urn:x:manager";

pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs() as i64
}

/// Waits until it is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(std::time::Instant::now() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An authority and what it signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub root: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            root,
        }
    }

    pub fn identity(&self, name: &str) -> Identity {
        let (chain, key) = self.pem(name);
        Identity::from_pem(&chain, &key).unwrap()
    }

    pub fn pem(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// How the manager is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    AnotherRequest,
    AnotherProvider,
    AnotherSigner,
    UnknownRoot,
    KeyOfAnother,
    Over,
    NotYet,
    Type,
    NoToken,
}

pub struct Session {
    pub key: SessionKey,
    pub is_open: bool,
    pub ends: u32,
    /// Requests that it served.
    pub served: u32,
}

pub struct Seen {
    pub fault: Fault,
    pub lifetime: i64,
    /// Requests of one session.
    pub most: u32,
    /// Answered so, so many times, before anything else.
    pub refusals: Vec<(u16, Option<Word>)>,
    /// The credentials that were asked for, as they came.
    pub requests: Vec<String>,
    /// By whom.
    pub users: Vec<String>,
    /// Of which port.
    pub ports: Vec<Option<u16>>,
    pub sessions: HashMap<Identifier, Session>,
    pub nonces: HashSet<String>,
    /// Requests that the provider served: method, target, and their headers.
    pub served: Vec<(String, String, HeaderMap)>,
}

impl Seen {
    pub fn open(&self) -> usize {
        self.sessions
            .values()
            .filter(|session| session.is_open)
            .count()
    }
}

#[derive(Clone)]
pub struct World {
    pub seen: Arc<Mutex<Seen>>,
    pub authority: Arc<Authority>,
    manager: Arc<Identity>,
    pub manager_at: SocketAddr,
    pub provider_at: SocketAddr,
    /// Of the service of datagrams.
    pub udp_at: Arc<Mutex<Option<SocketAddr>>>,
}

async fn served(router: impl FnOnce(SocketAddr) -> Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = router(address);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

impl World {
    pub async fn new() -> Self {
        let authority = Arc::new(Authority::new());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut world = Self {
            seen: Arc::new(Mutex::new(Seen {
                fault: Fault::None,
                lifetime: 600,
                most: 1_000,
                refusals: Vec::new(),
                requests: Vec::new(),
                users: Vec::new(),
                ports: Vec::new(),
                sessions: HashMap::new(),
                nonces: HashSet::new(),
                served: Vec::new(),
            })),
            manager: Arc::new(authority.identity(MANAGER)),
            authority,
            manager_at: nowhere,
            provider_at: nowhere,
            udp_at: Arc::default(),
        };
        let made = world.clone();
        world.provider_at = served(|_| {
            Router::new()
                .route("/sessions", post(session).delete(session))
                .fallback(serve)
                .with_state(made)
        })
        .await;
        let made = world.clone();
        world.manager_at = served(|_| {
            Router::new()
                .route("/services", get(services))
                .route("/credentials", post(credentials))
                .with_state(made)
        })
        .await;
        world
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    pub fn user(&self) -> User {
        self.user_of(&self.manager_at.to_string())
    }

    pub fn user_of(&self, manager: &str) -> User {
        let manager = Manager::new(&format!("http://{manager}"), Some(MANAGER)).unwrap();
        let client = Client::new(&Config {
            allow_private: true,
            allow_http: true,
            ..Config::default()
        });
        let trust = Trust::new(&self.authority.root, []).unwrap();
        let alice = self.authority.identity("urn:x:alice");
        User::new(alice, trust, manager, client.unwrap())
    }

    fn listed(&self) -> Vec<Listed> {
        let service = |name: &str, collect: &[Measure]| Listed {
            name: name.into(),
            title: "A service".into(),
            provider: "urn:x:provider".into(),
            price: "0.01 a request".into(),
            collect: collect.to_vec(),
        };
        vec![
            service("weather", &[Measure::Requests, Measure::Octets]),
            service("echo", &[Measure::Octets]),
        ]
    }
}

fn refuse(word: Word, detail: &str) -> Response {
    let status = StatusCode::from_u16(word.status()).unwrap();
    (status, Json(Refusal::new(word, detail))).into_response()
}

async fn services(State(world): State<World>) -> Response {
    let list = ServiceList {
        services: world.listed(),
        nonce: Nonce::new(now()).unwrap(),
    };
    list.sign(&world.manager).unwrap().into_response()
}

async fn credentials(State(world): State<World>, token: String) -> Response {
    let trust = Trust::new(&world.authority.root, []).unwrap();
    let (request, user) = ServiceCredentialRequest::verify(&token, &trust, now()).unwrap();
    request.nonce.check(now(), 60).unwrap();
    let mut seen = world.seen.lock().unwrap();
    seen.requests.push(token);
    seen.users.push(user.name.clone());
    seen.ports.push(request.service.udp_port);
    if !seen.refusals.is_empty() {
        let (status, word) = seen.refusals.remove(0);
        return match word {
            Some(word) => refuse(word, "for a test"),
            None => (StatusCode::from_u16(status).unwrap(), "no").into_response(),
        };
    }
    let key = SessionKey::generate().unwrap();
    let id = Identifier::random().unwrap();
    let address = match request.service.name.as_str() {
        "echo" => format!("udp://{}", world.udp_at.lock().unwrap().unwrap()),
        _ => format!("http://{}/weather", world.provider_at),
    };
    let mut credential = ServiceCredential {
        request_id: request.request_id,
        provider: Provider {
            name: "urn:x:provider".into(),
            address,
            sessions: format!("http://{}/sessions", world.provider_at),
        },
        validity: Validity {
            not_before: now(),
            not_after: now() + seen.lifetime,
        },
        session_key: seal_key(&user.key, &key).unwrap(),
        accounting_session_id: id.clone(),
    };
    let mut signer = Arc::clone(&world.manager);
    match seen.fault {
        Fault::None => {}
        Fault::AnotherRequest => credential.request_id = Identifier::random().unwrap(),
        Fault::AnotherProvider => credential.provider.name = "urn:x:other".into(),
        Fault::AnotherSigner => signer = Arc::new(world.authority.identity("urn:x:mallory")),
        Fault::UnknownRoot => signer = Arc::new(Authority::new().identity(MANAGER)),
        Fault::KeyOfAnother => {
            let other = world.authority.identity("urn:x:bob");
            credential.session_key = seal_key(other.key().public(), &key).unwrap();
        }
        Fault::Over => {
            credential.validity = Validity {
                not_before: now() - 600,
                not_after: now() - 300,
            };
        }
        Fault::NotYet => {
            credential.validity = Validity {
                not_before: now() + 300,
                not_after: now() + 600,
            };
        }
        Fault::Type => {
            let list = ServiceList {
                services: Vec::new(),
                nonce: Nonce::new(now()).unwrap(),
            };
            return list.sign(&signer).unwrap().into_response();
        }
        Fault::NoToken => return "hello".into_response(),
    }
    let session = Session {
        key,
        is_open: true,
        ends: 0,
        served: 0,
    };
    seen.sessions.insert(id, session);
    credential.sign(&signer).unwrap().into_response()
}

/// Whose request it is, if it is signed well.
fn signed(seen: &mut Seen, request: &Request) -> Result<Identifier, Box<Response>> {
    let token = request.headers().get(SERVICE_REQUEST_FIELD);
    let token = token.and_then(|token| token.to_str().ok()).unwrap_or("");
    let told = |refusal: Refusal| Box::new(refuse(refusal.error, &refusal.detail));
    let id = ServiceRequest::session_of(token).map_err(told)?;
    let Some(session) = seen.sessions.get(&id) else {
        return Err(Box::new(refuse(Word::UnknownSession, "none")));
    };
    let message = ServiceRequest::verify(token, &session.key).map_err(told)?;
    let target = request.uri().path_and_query().unwrap().as_str();
    message
        .is_for(request.method().as_str(), target)
        .map_err(told)?;
    if !session.is_open {
        return Err(Box::new(refuse(Word::Closed, "over")));
    }
    match seen.nonces.insert(message.request.nonce.to_string()) {
        true => Ok(id),
        false => Err(Box::new(refuse(Word::Replayed, "again"))),
    }
}

async fn session(State(world): State<World>, request: Request) -> Response {
    let mut seen = world.seen.lock().unwrap();
    match signed(&mut seen, &request) {
        Ok(id) => {
            let session = seen.sessions.get_mut(&id).unwrap();
            if request.method() == "DELETE" {
                session.is_open = false;
                session.ends += 1;
            }
            Json(serde_json::json!({ "state": "open" })).into_response()
        }
        Err(refusal) => *refusal,
    }
}

/// Gives back what comes, as it comes.
async fn serve(State(world): State<World>, request: Request) -> Response {
    let mut seen = world.seen.lock().unwrap();
    let id = match signed(&mut seen, &request) {
        Ok(id) => id,
        Err(refusal) => return *refusal,
    };
    let most = seen.most;
    let session = seen.sessions.get_mut(&id).unwrap();
    if session.served >= most {
        return refuse(Word::Policy, "not so many requests");
    }
    session.served += 1;
    let target = request.uri().path_and_query().unwrap().to_string();
    let method = request.method().to_string();
    seen.served
        .push((method, target.clone(), request.headers().clone()));
    if target.ends_with("/moved") {
        let host = request.headers()["host"].to_str().unwrap();
        let to = format!("http://{host}/weather/today");
        return (StatusCode::FOUND, [("location", to)]).into_response();
    }
    match request.method().as_str() {
        "POST" => Body::new(request.into_body()).into_response(),
        _ => format!("sunny at {target}").into_response(),
    }
}
