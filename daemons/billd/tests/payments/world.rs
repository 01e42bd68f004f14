//! `chargingd`, `billd`, a shop.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use iso_currency::Currency;
use serde_json::{Value, json};
use tollwire_invoice::{Awaited, Invoice, Received};
use tollwire_jose::{Jwk, JwkSet, SigningKey};
use tollwire_runtime::admin::client;
use tollwire_web::client::{Answer, Client, ClientError, Config};
use tollwire_web::{Server, server};

/// Generous: machines stall.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Of what is bought.
pub const PRICE: i64 = 1_990_000;
/// What `ada` has.
pub const BALANCE: i64 = 1_000_000_000;
/// Her password.
pub const SECRET: &str = "correct horse";

/// How the shop answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    AlreadyPaid,
    Away,
}

/// What the shop has.
pub struct Shop {
    pub key: SigningKey,
    pub url: String,
    bank_key: Mutex<Option<Jwk>>,
    orders: Mutex<Vec<Received>>,
    /// Acknowledgements taken, by reference.
    pub taken: Mutex<HashMap<String, u32>>,
    /// What was refused, and why.
    pub refused: Mutex<Vec<String>>,
    pub mood: Mutex<Mood>,
    next: AtomicU32,
}

/// What sends forms.
#[derive(Clone)]
pub struct Browser {
    client: Client,
    url: String,
}

/// Everything. Processes end when it is dropped.
pub struct World {
    pub folder: PathBuf,
    pub url: String,
    pub shop: Arc<Shop>,
    pub browser: Browser,
    config: String,
    chargingd: Child,
    billd: Option<Child>,
    _server: Server,
}

impl Drop for World {
    fn drop(&mut self) {
        for child in [Some(&mut self.chargingd), self.billd.as_mut()]
            .into_iter()
            .flatten()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
        match std::thread::panicking() {
            true => eprintln!("kept for reading: {}", self.folder.display()),
            false => drop(std::fs::remove_dir_all(&self.folder)),
        }
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its number").port()
}

/// A program of this workspace that another package has: beside `billd`.
fn program(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_billd"))
        .parent()
        .expect("a folder");
    let folder =
        std::env::var_os("TOLLWIRE_PROGRAMS").map_or_else(|| folder.to_owned(), PathBuf::from);
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not built: cargo build --workspace --bins",
        path.display()
    );
    path
}

fn start(program: &Path, config: &Path, log: &Path) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .expect("a log");
    Command::new(program)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("another handle"))
        .stderr(log)
        .spawn()
        .expect("it starts")
}

/// Asks until it is so.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let end = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl World {
    /// With `more` tables and keys of `[billing]`, which stands last.
    pub async fn start(more: &str) -> Self {
        Self::start_with("", more).await
    }

    /// The same, with lines of `[grants]` of `chargingd`.
    pub async fn start_with(grants: &str, more: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("tollwire-billd-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let at = |name: &str| folder.join(name).display().to_string();
        let (shop, server) = Shop::start(&folder).await;
        let config = format!(
            "[diameter]\norigin_host = \"chargingd.example\"\norigin_realm = \"example\"\nlisten = [\"unix:{}\"]\n\
             [store]\npath = {:?}\n[records]\ndirectory = {:?}\n[grants]\n{grants}\
             [admin]\nsocket = {:?}\n[tariffs]\nfile = {:?}\n",
            at("ro"),
            at("chargingd.db"),
            at("records"),
            at("chargingd.admin"),
            at("tariffs.toml"),
        );
        let path = folder.join("chargingd.toml");
        std::fs::write(&path, config).expect("written");
        std::fs::write(folder.join("tariffs.toml"), "").expect("written");
        let chargingd = start(&program("chargingd"), &path, &folder.join("chargingd.log"));
        let port = free_port();
        let url = format!("https://localhost:{port}/pay");
        let config = format!(
            "[web]\nlisten = \"127.0.0.1:{port}\"\ntls_certificate_file = {:?}\ntls_key_file = {:?}\n\
             self_signed_names = [\"localhost\"]\nrequests_per_second = 100000\nburst = 100000\n\
             max_connections_per_source = 256\n\
             [client]\ntrust_file = {:?}\nallow_private = true\n\
             [store]\nfile = {:?}\nform_key_file = {:?}\n\
             [acknowledgement]\nkey_file = {:?}\nfirst_wait_ms = 50\nlongest_wait_seconds = 1\n\
             [secrets]\nmemory_kib = 64\npasses = 1\nwrong_per_customer = 3\nwrong_per_source = 1000\n\
             [diameter]\norigin_host = \"billd.example\"\norigin_realm = \"example\"\ncharging = \"unix:{}\"\n\
             charging_realm = \"example\"\nfirst_wait_ms = 50\nlongest_wait_seconds = 1\n\
             [slp]\nadvertise = false\n[admin]\nsocket = {:?}\n{more}\n",
            at("billd.pem"),
            at("billd.key"),
            at("shop.pem"),
            at("billd.db"),
            at("forms"),
            at("signing"),
            at("ro"),
            at("billd.admin"),
        );
        let config = match config.contains("[billing]") {
            true => config.replace("[billing]\n", &format!("[billing]\nurl = {url:?}\n")),
            false => format!("{config}[billing]\nurl = {url:?}\n"),
        };
        std::fs::write(folder.join("billd.toml"), &config).expect("written");
        let mut world = Self {
            // Made anew when the certificate is there.
            browser: Browser {
                client: Client::new(&Config::default()).expect("a client"),
                url: url.clone(),
            },
            folder,
            url,
            shop,
            config,
            chargingd,
            billd: None,
            _server: server,
        };
        world.wait_for_charging().await;
        world.restart().await;
        world.browser.client = Client::new(&Config {
            trust_file: Some(world.folder.join("billd.pem")),
            allow_private: true,
            timeout_seconds: 30,
            ..Config::default()
        })
        .expect("a client");
        let keys = world.get(&format!("{}/keys.json", world.url)).await;
        let keys: JwkSet = serde_json::from_slice(&keys.body).expect("keys");
        *world.shop.bank_key.lock().unwrap() = Some(keys.keys[0].clone());
        world.account("ada", BALANCE).await;
        world
            .customer(
                json!({"login": "ada", "kind": "prepaid", "account": "ada", "secret": SECRET}),
            )
            .await;
        world
    }

    async fn wait_for_charging(&self) {
        let socket = self.folder.join("chargingd.admin");
        wait_until("chargingd", || async {
            client::get::<Value>(&socket, "/health").await.is_ok()
        })
        .await;
    }

    /// Starts `billd` (again), and waits until it serves.
    pub async fn restart(&mut self) {
        assert!(self.config.contains("[billing]"));
        let config = self.folder.join("billd.toml");
        let log = self.folder.join("billd.log");
        self.billd = Some(start(Path::new(env!("CARGO_BIN_EXE_billd")), &config, &log));
        let port = self
            .url
            .rsplit(':')
            .next()
            .and_then(|rest| rest.split('/').next());
        let address = format!("127.0.0.1:{}", port.expect("a port"));
        wait_until("billd", || async {
            tokio::net::TcpStream::connect(&address).await.is_ok()
        })
        .await;
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.billd.take() {
            child.kill().expect("it is killed");
            child.wait().expect("it is gone");
        }
    }

    /// SIGTERM, and its exit.
    pub async fn stop(&mut self) {
        let mut child = self.billd.take().expect("it runs");
        let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("an id"));
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).expect("it is told");
        let ended = tokio::task::spawn_blocking(move || child.wait());
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        let status = ended.expect("it ends in time").expect("its end");
        assert!(status.expect("its status").success(), "{}", self.log());
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("billd.log")).unwrap_or_default()
    }

    pub async fn operate(&self, operation: Value) {
        let socket = self.folder.join("chargingd.admin");
        let done: Result<Value, _> = client::post(&socket, "/operations", &operation).await;
        done.expect("chargingd does it");
    }

    /// A prepaid account with a balance.
    pub async fn account(&self, name: &str, balance_micro: i64) {
        self.operate(json!({"create-account": {
            "name": name, "payment": "prepaid", "currency": "EUR", "credit_limit_micro": 0,
            "identities": [],
        }}))
        .await;
        self.operate(json!({"top-up": {
            "account": name, "amount_micro": balance_micro, "reference": format!("first-{name}"),
        }}))
        .await;
    }

    pub async fn balance(&self, name: &str) -> i64 {
        let socket = self.folder.join("chargingd.admin");
        let account: Value = client::get(&socket, &format!("/accounts/{name}"))
            .await
            .expect("an account");
        assert_eq!(account["held_micro"], 0);
        account["balance_micro"].as_i64().expect("a sum")
    }

    pub async fn customer(&self, customer: Value) {
        let socket = self.folder.join("billd.admin");
        let added: Result<Value, _> = client::post(&socket, "/customers", &customer).await;
        added.expect("billd adds him");
    }

    pub async fn payments(&self) -> Vec<Value> {
        let socket = self.folder.join("billd.admin");
        client::get(&socket, "/payments?limit=10000")
            .await
            .expect("payments")
    }

    /// Until nothing is under way.
    pub async fn settled(&self) {
        wait_until("payments to be over", || async {
            self.payments().await.iter().all(|payment| {
                !matches!(
                    payment["state"].as_str(),
                    Some("charging" | "paid" | "refunding")
                )
            })
        })
        .await;
    }

    pub async fn get(&self, url: &str) -> Answer {
        self.browser.client.get(url).await.expect("an answer")
    }

    /// A form, as a browser sends it.
    pub async fn try_post(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        cookie: Option<&str>,
    ) -> Result<Answer, ClientError> {
        self.browser.post(path, fields, cookie).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.try_post(path, fields, None).await.expect("an answer")
    }

    /// `ada` pays.
    pub async fn pay(&self, invoice: &str) -> Answer {
        let fields = [
            ("invoice", invoice),
            ("account", "ada"),
            ("password", SECRET),
        ];
        self.post("pay", &fields).await
    }

    /// Where an answer leads.
    pub fn location(&self, answer: &Answer) -> String {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        let location = answer.headers[LOCATION].to_str().expect("text");
        let origin = self.url.strip_suffix("/pay").expect("our URL");
        format!("{origin}{location}")
    }
}

impl Browser {
    /// A form, as a browser sends it.
    pub async fn post(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        cookie: Option<&str>,
    ) -> Result<Answer, ClientError> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let mut request = Request::post(format!("{}/{path}", self.url))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        self.client
            .send(request.body(Body::from(body)).expect("a request"))
            .await
    }
}

/// `name=value` of the cookie that an answer sets.
pub fn cookie(answer: &Answer) -> Option<String> {
    let line = answer.headers.get(SET_COOKIE)?.to_str().ok()?;
    line.split(';').next().map(str::to_owned)
}

/// The value of a hidden field.
pub fn hidden(page: &str, name: &str) -> String {
    let from = page
        .find(&format!("name=\"{name}\""))
        .unwrap_or_else(|| panic!("no {name} in {page}"));
    let value = page[from..].split("value=\"").nth(1).expect("a value");
    value.split('"').next().expect("its end").to_owned()
}

impl Shop {
    async fn start(folder: &Path) -> (Arc<Self>, Server) {
        let port = free_port();
        let shop = Arc::new(Self {
            key: SigningKey::generate_ed25519().expect("a key"),
            url: format!("https://localhost:{port}"),
            bank_key: Mutex::default(),
            orders: Mutex::default(),
            taken: Mutex::default(),
            refused: Mutex::default(),
            mood: Mutex::new(Mood::Takes),
            next: AtomicU32::new(1),
        });
        let config = server::Config {
            listen: Some(([127, 0, 0, 1], port).into()),
            tls_certificate_file: Some(folder.join("shop.pem")),
            tls_key_file: Some(folder.join("shop.key")),
            self_signed_names: vec!["localhost".into()],
            requests_per_second: 100_000,
            burst: 100_000,
            ..server::Config::default()
        };
        let router = Router::new()
            .route("/acknowledgements", post(acknowledged))
            .with_state(shop.clone());
        let server = Server::start(&config, router)
            .await
            .expect("the shop serves");
        (shop, server)
    }

    /// What the shop asks for, before it is signed.
    pub fn draft(&self) -> Invoice {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let bank = self
            .bank_key
            .lock()
            .unwrap()
            .clone()
            .expect("the bank's key");
        let now = seconds();
        Invoice {
            iss: self.url.clone(),
            aud: bank.thumbprint(),
            provider: "Shop of Example".into(),
            reference: format!("reference-of-22-characters-{number}"),
            provider_reference: format!("order {number}"),
            title: "A song <b>&</b>".into(),
            amount_micro: PRICE,
            currency: Currency::EUR,
            tax_basis_points: 1900,
            acknowledgement_url: format!("{}/acknowledgements", self.url),
            service_url: format!("{}/orders/{number}", self.url),
            iat: now,
            exp: now + 1800,
            via: Vec::new(),
        }
    }

    /// A signed invoice that the shop remembers, and its reference.
    pub fn invoice(&self, change: impl FnOnce(&mut Invoice)) -> (String, String) {
        let mut draft = self.draft();
        change(&mut draft);
        let token = draft.sign(&self.key).expect("an invoice");
        let received = Invoice::read_again(&token).expect("it reads");
        let reference = draft.reference.clone();
        self.orders.lock().unwrap().push(received);
        (token, reference)
    }

    pub fn has_taken(&self, reference: &str) -> bool {
        self.taken.lock().unwrap().contains_key(reference)
    }

    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn judge(&self, body: &str) -> Result<String, String> {
        let key = self.bank_key.lock().unwrap().clone().ok_or("no key yet")?;
        let orders = self.orders.lock().unwrap();
        let mut why = "no order".to_owned();
        for received in orders.iter() {
            let awaited = Awaited {
                invoice: &received.invoice,
                digest: &received.digest,
                key: &key,
            };
            match awaited.check(body, seconds()) {
                Ok(told) => return Ok(told.reference),
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }
}

async fn acknowledged(State(shop): State<Arc<Shop>>, body: Bytes) -> Response {
    match *shop.mood.lock().unwrap() {
        Mood::Away => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Mood::AlreadyPaid => {
            return (
                StatusCode::CONFLICT,
                axum::Json(json!({"error": "already-paid"})),
            )
                .into_response();
        }
        Mood::Takes => {}
    }
    match shop.judge(&String::from_utf8_lossy(&body)) {
        Ok(reference) => {
            *shop.taken.lock().unwrap().entry(reference).or_default() += 1;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(why) => {
            shop.refused.lock().unwrap().push(why);
            StatusCode::BAD_REQUEST.into_response()
        }
    }
}

pub fn seconds() -> i64 {
    tollwire_runtime::clock::Now::read().unix_ms / 1000
}
