//! Two instances on one database: the active one tells customers, and when it is killed the other goes on.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use support::postgres;
use tokio::net::TcpListener;
use tollwire_runtime::admin::client;

const DEADLINE: Duration = Duration::from_secs(60);
const NOTIFICATIONS: u64 = 200;
const IN_FLIGHT: usize = 4;

/// One `chargingd`; gone at the end.
struct Instance {
    folder: PathBuf,
    child: Child,
}

impl Instance {
    fn start(folder: &Path, name: &str, database: &str) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let at = |file: &str| folder.join(file).display().to_string();
        std::fs::write(folder.join("tariffs.toml"), "").unwrap();
        std::fs::write(folder.join("secret"), "a secret of sixteen characters\n").unwrap();
        let config = format!(
            "[diameter]\norigin_host = \"{name}.test\"\norigin_realm = \"test\"\nlisten = [\"unix:{}\"]\n\
             [store]\nurl = \"{database}\"\ntakeover_seconds = 2\n[records]\ndirectory = \"{}\"\n\
             [tariffs]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n\
             [notifications]\nretry_first_seconds = 1\nretry_most_seconds = 1\nper_account_hour = 0\n\
             [notifications.webhook]\nenabled = true\nsecret_file = \"{}\"\nallow_http = true\n\
             allow_networks = [\"127.0.0.0/8\"]\nin_flight = {IN_FLIGHT}\n",
            at("ro.sock"),
            at("records"),
            at("tariffs.toml"),
            at("admin.sock"),
            at("secret"),
        );
        std::fs::write(folder.join("chargingd.toml"), config).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_chargingd"))
            .arg("--config")
            .arg(folder.join("chargingd.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { folder, child }
    }

    fn admin(&self) -> PathBuf {
        self.folder.join("admin.sock")
    }

    async fn wait_for_role(&self, role: &str) {
        let begun = Instant::now();
        loop {
            let health = client::get::<Value>(&self.admin(), "/health").await;
            if health.is_ok_and(|health| health["role"] == role) {
                return;
            }
            let log = || std::fs::read_to_string(self.folder.join("log"));
            assert!(begun.elapsed() < DEADLINE, "not {role}: {:?}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn operate(&self, operation: &Value) {
        client::post::<_, Value>(&self.admin(), "/operations", operation)
            .await
            .unwrap();
    }

    async fn waiting(&self) -> usize {
        let state: Value = client::get(&self.admin(), "/notifications?limit=10000")
            .await
            .unwrap();
        state["waiting"].as_array().unwrap().len()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often each notification was told.
type Told = Arc<Mutex<BTreeMap<u64, usize>>>;

/// A webhook that is down until it is let.
async fn webhook(told: Told, is_up: Arc<Mutex<bool>>) -> String {
    let answer = async |State((told, is_up)): State<(Told, Arc<Mutex<bool>>)>,
                        Json(body): Json<Value>| {
        if !*is_up.lock().unwrap() {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let id = body["id"].as_u64().unwrap();
        *told.lock().unwrap().entry(id).or_default() += 1;
        StatusCode::NO_CONTENT
    };
    let router = Router::new()
        .route("/", post(answer))
        .with_state((told, is_up));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_active_instance_tells_and_the_other_goes_on_when_it_is_killed() {
    let server = postgres::Server::start("notify");
    let database = server.database("notify");
    let folder = std::env::temp_dir().join(format!("notify-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let told = Told::default();
    let is_up = Arc::new(Mutex::new(false));
    let url = webhook(told.clone(), is_up.clone()).await;

    let first = Instance::start(&folder, "first", &database);
    first.wait_for_role("active").await;
    let second = Instance::start(&folder, "second", &database);
    second.wait_for_role("standby").await;
    let account = json!({"create-account": {
        "name": "alice", "payment": "prepaid", "currency": "EUR", "credit_limit_micro": 0,
        "identities": [],
    }});
    first.operate(&account).await;
    for _ in 0..NOTIFICATIONS {
        let test = json!({"test-notification": {"account": "alice", "contact": url}});
        first.operate(&test).await;
    }
    // Both see them; one of them tells.
    assert_eq!(
        second.waiting().await,
        usize::try_from(NOTIFICATIONS).unwrap()
    );
    *is_up.lock().unwrap() = true;
    let count = || told.lock().unwrap().len();
    wait_until("some to be told", async || count() >= 20).await;
    let state: Value = client::get(&second.admin(), "/notifications")
        .await
        .unwrap();
    assert!(
        (state["channels"].as_array().unwrap().iter()).all(|channel| channel["told"] == 0),
        "{state}"
    );
    drop(first);
    second.wait_for_role("active").await;
    wait_until("all to be told", async || second.waiting().await == 0).await;
    let told = told.lock().unwrap().clone();
    assert!(told.keys().copied().eq(1..=NOTIFICATIONS), "{told:?}");
    let again: usize = told.values().map(|times| times - 1).sum();
    assert!(again <= IN_FLIGHT, "{again} were told again");
    drop(second);
    let _ = std::fs::remove_dir_all(&folder);
}
