//! `chargingd`, the parties' certificates, and a provider.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, RevokedCertParams,
    SanType, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use serde_json::{Value, json};
use tollwire_jose::Trust;
use tollwire_peer::{
    AccountingAcknowledgement, AccountingMessage, Cause, Data, Identifier, Identity, Kind,
    MEDIA_TYPE, Nonce, Reason, Revocation, Service, ServiceCredential, ServiceCredentialRequest,
    ServiceList, Signed, UserCredential, UserCredentialAcknowledgement,
};
use tollwire_runtime::admin::client as operator;
use tollwire_web::client::{Answer, Client, Config};
use tollwire_web::{Server, server};

use super::support::ro::{DEADLINE, Daemon};

pub const ALICE: &str = "urn:tollwire:alice";
pub const PROVIDER: &str = "provider.example";
/// Micro-units of a request, and of a thousand octets.
pub const REQUEST: i64 = 10_000;
pub const KILOBYTE: i64 = 100;
pub const EURO: i64 = 1_000_000;

/// Who vouches.
pub struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
    next: Mutex<u64>,
}

impl Authority {
    pub fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self {
            root: CertifiedIssuer::self_signed(parameters, key).unwrap(),
            next: Mutex::new(1),
        }
    }

    pub fn pem(&self) -> String {
        self.root.pem()
    }

    /// Certificate and key of a party, PEM.
    pub fn issue(
        &self,
        name: &str,
        algorithm: &'static SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names.push(match name.contains(':') {
            true => SanType::URI(name.try_into().unwrap()),
            false => SanType::DnsName(name.try_into().unwrap()),
        });
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let mut next = self.next.lock().unwrap();
        *next += 1;
        parameters.serial_number = Some(SerialNumber::from(*next));
        change(&mut parameters);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = parameters.signed_by(&key, &self.root).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub fn party(&self, name: &str) -> Identity {
        let (certificate, key) = self.issue(name, &PKCS_ECDSA_P256_SHA256, |_| ());
        Identity::from_pem(&certificate, &key).unwrap()
    }

    /// The list of what was revoked.
    pub fn list(&self, serials: &[u64]) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let parameters = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2096, 1, 1),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        parameters.signed_by(&self.root).unwrap().pem().unwrap()
    }
}

/// How a provider takes what the manager sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// 503.
    Away,
    /// 403.
    Refuses,
    /// An acknowledgement by somebody else.
    Forges,
}

/// The provider, as far as the manager sees it.
pub struct Provider {
    pub identity: Identity,
    pub trust: Trust,
    pub mood: Mutex<Mood>,
    pub credentials: Mutex<HashMap<String, UserCredential>>,
    pub revocations: Mutex<HashMap<String, Reason>>,
    forger: Identity,
}

impl Provider {
    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }
}

async fn take_credential(State(provider): State<Arc<Provider>>, token: String) -> Response {
    match provider.mood() {
        Mood::Away => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mood::Refuses => return StatusCode::FORBIDDEN.into_response(),
        Mood::Takes | Mood::Forges => {}
    }
    let (credential, by) = UserCredential::verify(&token, &provider.trust, now()).unwrap();
    assert_eq!(by.name, "manager.example");
    let id = credential.accounting_session_id.clone();
    let acknowledgement = UserCredentialAcknowledgement {
        accounting_session_id: id.clone(),
        nonce: Nonce::new(now()).unwrap(),
    };
    let signer = match provider.mood() {
        Mood::Forges => &provider.forger,
        _ => &provider.identity,
    };
    let mut known = provider.credentials.lock().unwrap();
    let before = known.insert(id.to_string(), credential.clone());
    assert!(before.is_none_or(|before| before == credential));
    acknowledgement.sign(signer).unwrap().into_response()
}

async fn take_revocation(State(provider): State<Arc<Provider>>, token: String) -> StatusCode {
    if provider.mood() == Mood::Away {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let (revocation, by) = Revocation::verify(&token, &provider.trust, now()).unwrap();
    assert_eq!(by.name, "manager.example");
    let id = revocation.accounting_session_id.to_string();
    if !provider.credentials.lock().unwrap().contains_key(&id) {
        return StatusCode::NOT_FOUND;
    }
    let mut known = provider.revocations.lock().unwrap();
    known.insert(id, revocation.reason);
    StatusCode::NO_CONTENT
}

pub fn now() -> i64 {
    tollwire_runtime::clock::Now::read().unix_ms / 1000
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Asks until it is so.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let end = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

pub struct World {
    pub daemon: Daemon,
    pub authority: Authority,
    pub trust: Trust,
    pub alice: Identity,
    pub provider: Arc<Provider>,
    pub client: Client,
    pub base: String,
    _server: Server,
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

impl World {
    /// Running, with alice's account. `more`: lines of `[peers]`.
    pub async fn start(name: &str, more: &str) -> Self {
        let mut world = Self::prepare(name, more).await;
        world.daemon.start_working().await;
        world
            .daemon
            .operate(json!({"create-account": {
                "name": "alice", "payment": "prepaid", "currency": "EUR", "credit_limit_micro": 0,
                "identities": [ALICE]
            }}))
            .await;
        world.top_up(EURO, "first").await;
        world
    }

    async fn prepare(name: &str, more: &str) -> Self {
        let daemon = Daemon::new(&format!("peers-{name}"));
        let folder = daemon.folder.clone();
        let authority = Authority::new();
        let (manager, manager_key) =
            authority.issue("manager.example", &PKCS_ECDSA_P256_SHA256, |_| ());
        let (certificate, key) = authority.issue(PROVIDER, &PKCS_ED25519, |_| ());
        let trust = || Trust::new(&authority.pem(), []).unwrap();
        let provider = Arc::new(Provider {
            identity: Identity::from_pem(&certificate, &key).unwrap(),
            trust: trust(),
            mood: Mutex::new(Mood::Takes),
            credentials: Mutex::default(),
            revocations: Mutex::default(),
            forger: authority.party("another.example"),
        });
        let router = Router::new()
            .route("/p/credentials", post(take_credential))
            .route("/p/revocations", post(take_revocation))
            .with_state(provider.clone());
        let config = server::Config {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            requests_per_second: 100_000,
            burst: 100_000,
            ..server::Config::default()
        };
        let server = Server::start(&config, router).await.unwrap();
        let of_provider = format!("http://{}/p/", server.address().unwrap());
        let port = free_port();
        let at = |name: &str, text: &str| write(&folder, name, text).display().to_string();
        let paths = [
            at("manager.pem", &manager),
            at("manager.key", &manager_key),
            at("root.pem", &authority.pem()),
            at("provider.pem", &certificate),
            at("crl.pem", &authority.list(&[])),
        ];
        let [manager, key, root, certificate, list] = paths;
        let service = |name: &str, measures: &str| {
            format!(
                "[[peers.service]]\nname = {name:?}\ntitle = {name:?}\nprovider = {PROVIDER:?}\ncertificate = {certificate:?}\n\
                 address = \"https://provider.example/{name}\"\ncredentials_url = {of_provider:?}\nmeasures = {{ {measures} }}\n\
                 price = \"a cent\"\nlifetime_seconds = 600\n"
            )
        };
        let config = format!(
            "[peers]\nenabled = true\ncertificate = {manager:?}\nkey = {key:?}\nroots = {root:?}\ncrls = [{list:?}]\n\
             database = {:?}\nretry_first_ms = 20\nretry_most_ms = 200\n{more}\n\
             [peers.web]\nlisten = \"127.0.0.1:{port}\"\nrequests_per_second = 100000\nburst = 100000\ndrain_seconds = 1\n\
             [peers.client]\nallow_private = true\ntimeout_seconds = 5\n{}{}",
            folder.join("disk/peers.db"),
            service("weather", "requests = 700"),
            service("archive", "octets = 701, requests = 702"),
        );
        let path = folder.join("chargingd.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let grants = "[grants]\nquantum_events = 10\nquantum_octets = 50000\n";
        write(
            &folder,
            "chargingd.toml",
            &format!("{text}{grants}{config}"),
        );
        let tariff = |name: &str, group: u32, price: &str| {
            format!(
                "[[tariff]]\nname = {name:?}\nservice = \"peers\"\nprovider = {PROVIDER:?}\ncommission_basis_points = 1000\n\
                 rating_groups = [{group}]\ncurrency = \"EUR\"\n{price}\n"
            )
        };
        let tariffs = [
            tariff(
                "requests",
                700,
                &format!("price_per_event_micro = {REQUEST}"),
            ),
            tariff(
                "octets",
                701,
                &format!("price_per_kilobyte_micro = {KILOBYTE}"),
            ),
            tariff("free", 702, "price_per_event_micro = 0"),
        ];
        write(&folder, "tariffs.toml", &tariffs.concat());
        let client = Client::new(&Config {
            allow_private: true,
            allow_http: true,
            timeout_seconds: 30,
            ..Config::default()
        });
        Self {
            daemon,
            trust: trust(),
            alice: authority.party(ALICE),
            authority,
            provider,
            client: client.unwrap(),
            base: format!("http://127.0.0.1:{port}"),
            _server: server,
        }
    }

    pub async fn top_up(&self, amount_micro: i64, reference: &str) {
        self.daemon
            .operate(json!({"top-up": {"account": "alice", "amount_micro": amount_micro, "reference": reference}}))
            .await;
    }

    pub async fn balance(&self) -> i64 {
        let account = self.daemon.ask("/accounts/alice").await;
        account["balance_micro"].as_i64().unwrap()
    }

    pub async fn held(&self) -> i64 {
        let account = self.daemon.ask("/accounts/alice").await;
        account["held_micro"].as_i64().unwrap()
    }

    pub async fn session(&self, id: &str) -> Value {
        self.daemon.ask(&format!("/peers/sessions/{id}")).await
    }

    pub async fn close(&self, id: &str) -> Value {
        let path = format!("/peers/sessions/{id}/close");
        operator::post(&self.daemon.admin(), &path, &json!({}))
            .await
            .unwrap()
    }

    pub async fn services(&self) -> ServiceList {
        let answer = self
            .client
            .get(&format!("{}/services", self.base))
            .await
            .unwrap();
        let (list, by) = ServiceList::verify(&answer.text(), &self.trust, now()).unwrap();
        assert_eq!(by.name, "manager.example");
        list.nonce.check(now(), 60).unwrap();
        list
    }

    pub fn request(service: &str) -> ServiceCredentialRequest {
        ServiceCredentialRequest {
            service: Service {
                name: service.to_owned(),
                udp_port: None,
            },
            request_id: Identifier::random().unwrap(),
            nonce: Nonce::new(now()).unwrap(),
        }
    }

    pub async fn post(&self, path: &str, token: &str) -> Answer {
        let url = format!("{}{path}", self.base);
        self.client
            .post(&url, MEDIA_TYPE, token.to_owned())
            .await
            .unwrap()
    }

    /// A credential for alice.
    pub async fn credential(&self, service: &str) -> ServiceCredential {
        let request = Self::request(service);
        let answer = self
            .post("/credentials", &request.sign(&self.alice).unwrap())
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let (credential, by) =
            ServiceCredential::verify(&answer.text(), &self.trust, now()).unwrap();
        assert_eq!(by.name, "manager.example");
        assert_eq!(credential.request_id, request.request_id);
        credential
    }

    pub fn message(
        session: &Identifier,
        sequence: u64,
        cause: Option<Cause>,
        data: Data,
    ) -> AccountingMessage {
        AccountingMessage {
            message_id: Identifier::random().unwrap(),
            accounting_session_id: session.clone(),
            sequence,
            kind: match cause {
                Some(_) => Kind::Final,
                None => Kind::Interim,
            },
            cause,
            data,
            nonce: Nonce::new(now()).unwrap(),
        }
    }

    /// Of requests alone.
    pub fn requests(
        session: &Identifier,
        sequence: u64,
        cause: Option<Cause>,
        requests: u64,
    ) -> AccountingMessage {
        let data = Data {
            requests: Some(requests),
            ..Data::default()
        };
        Self::message(session, sequence, cause, data)
    }

    pub async fn send(&self, message: &AccountingMessage) -> Answer {
        let token = message.sign(&self.provider.identity).unwrap();
        self.post("/accounting", &token).await
    }

    pub async fn acknowledged(&self, message: &AccountingMessage) -> AccountingAcknowledgement {
        let answer = self.send(message).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        self.read(message, &answer)
    }

    pub fn read(&self, message: &AccountingMessage, answer: &Answer) -> AccountingAcknowledgement {
        let (said, by) =
            AccountingAcknowledgement::verify(&answer.text(), &self.trust, now()).unwrap();
        assert_eq!(by.name, "manager.example");
        assert_eq!(said.message_id, message.message_id);
        assert_eq!(said.sequence, message.sequence);
        said
    }
}

/// Status and word of a refusal.
pub fn refusal(answer: &Answer) -> (u16, String) {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let word = body["error"].as_str().unwrap().to_owned();
    (answer.status.as_u16(), word)
}
