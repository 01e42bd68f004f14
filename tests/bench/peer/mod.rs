//! The accounting manager: credentials issued and accounting messages acknowledged a second, each durable before its answer.
//!
//! Each client has a connection of its own and one request under way. A credential takes a reservation, two signatures, two encrypted keys, and
//! a provider's acknowledgement, which the bench gives itself: its work, and that of the clients, is on the same processors. A message takes
//! a debit and another reservation.

mod provider;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollwire_harness::daemons::program;
use tollwire_harness::peer::authority::{Authority, Identity};
use tollwire_harness::peer::hand::{claims, identifier, nonce};
use tollwire_harness::process::{Process, Scratch};
use tollwire_harness::web::internet::Internet;
use tollwire_harness::web::visitor::{Content, Visitor};
use tollwire_runtime::admin::client;

use crate::meter;

const CLIENTS: [usize; 3] = [1, 10, 50];
/// How long each combination is measured.
const LENGTH: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(60);
/// Users, each with an account.
const USERS: usize = 10;
const PORT: u16 = 18_443;

type Outcome<T> = Result<T, String>;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

struct Stage {
    process: Process,
    internet: Arc<Internet>,
    users: Vec<Identity>,
    provider: Arc<Identity>,
    /// Sessions that stand, with the number of their next message.
    sessions: Mutex<Vec<(String, i64)>>,
    _folder: Scratch,
}

fn url(path: &str) -> String {
    format!("https://127.0.0.1:{PORT}{path}")
}

async fn prepare() -> Outcome<Stage> {
    let folder = Scratch::new();
    let path = folder.path().to_owned();
    let at = |file: &str| path.join(file).display().to_string();
    let internet = Internet::new(&folder, &[]);
    let authority = Authority::new(&folder, "authority");
    let users: Vec<Identity> = (0..USERS)
        .map(|number| authority.issue(&format!("urn:tollwire:user-{number}")))
        .collect();
    let provider = Arc::new(authority.issue("provider.example"));
    let manager = authority.issue("manager.example");
    let (certificate, key) = internet.certificate("127.0.0.1");
    let sold = provider::start(Arc::clone(&provider), &certificate, &key)?;
    let config = format!(
        "[diameter]\norigin_host = \"manager.example\"\norigin_realm = \"example\"\nlisten = [\"unix:{}\"]\n\
         [store]\npath = \"{}\"\n[records]\ndirectory = \"{}\"\n[tariffs]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n\
         [peers]\nenabled = true\ncertificate = {:?}\nkey = {:?}\nroots = {:?}\ncrls = [{:?}]\ndatabase = \"{}\"\n\
         max_sessions = 1000000\nmax_sessions_per_user = 1000000\n\
         user_requests_per_second = 1000000\nuser_burst = 1000000\nprovider_messages_per_second = 1000000\n\
         provider_burst = 1000000\n\
         [peers.web]\nlisten = \"127.0.0.1:{PORT}\"\ntls_certificate_file = {certificate:?}\n\
         tls_key_file = {key:?}\nrequests_per_second = 1000000\nburst = 1000000\nmax_connections = 1000\n\
         max_connections_per_source = 1000\n\
         [peers.client]\ntrust_file = {:?}\nallow_private = true\n\
         [[peers.service]]\nname = \"api\"\ntitle = \"An API\"\nprovider = \"provider.example\"\n\
         certificate = {:?}\naddress = \"https://{sold}/api\"\ncredentials_url = \"https://{sold}\"\nmeasures = {{ requests = 301 }}\n\
         price = \"a cent\"\nlifetime_seconds = 3600\nmax_seconds_between_messages = 600\n",
        at("ro.sock"),
        at("chargingd.db"),
        at("records"),
        at("tariffs.toml"),
        at("admin.sock"),
        manager.certificate,
        manager.key_file,
        authority.root(),
        authority.list(),
        at("peers.db"),
        internet.trust_file(),
        provider.certificate,
    );
    std::fs::write(path.join("chargingd.toml"), config).map_err(text)?;
    let tariffs = "[[tariff]]\nname = \"api\"\nrating_groups = [301]\ncurrency = \"EUR\"\nprice_per_event_micro = 10000\n";
    std::fs::write(path.join("tariffs.toml"), tariffs).map_err(text)?;
    let process = Process::start(
        "chargingd",
        std::process::Command::new(program("chargingd"))
            .arg("--config")
            .arg(path.join("chargingd.toml")),
        &path.join("chargingd.log"),
    );
    let socket = path.join("admin.sock");
    let began = Instant::now();
    while client::get::<Value>(&socket, "/health").await.is_err() {
        if began.elapsed() > PATIENCE {
            return Err(format!("chargingd does not start\n{}", process.log_tail()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (number, user) in users.iter().enumerate() {
        let name = format!("user-{number}");
        let account = json!({"create-account": {
            "name": name, "payment": "prepaid", "currency": "EUR", "credit_limit_micro": 0, "identities": [user.name],
        }});
        let money = json!({"top-up": {
            "account": name, "amount_micro": 1_000_000_000_000_i64, "reference": "first",
        }});
        for operation in [account, money] {
            let _: Value = client::post(&socket, "/operations", &operation)
                .await
                .map_err(text)?;
        }
    }
    Ok(Stage {
        process,
        internet: Arc::new(internet),
        users,
        provider,
        sessions: Mutex::default(),
        _folder: folder,
    })
}

/// One request after another until `end`: how long each took.
fn credentials(stage: &Stage, client: usize, end: Instant) -> Outcome<Vec<Duration>> {
    let mut visitor = Visitor::here(&stage.internet, &[]);
    let user = stage.users.get(client % USERS).ok_or("no user")?;
    let mut took = Vec::new();
    let mut issued = Vec::new();
    while Instant::now() < end {
        let request =
            json!({"service": {"name": "api"}, "request_id": identifier(), "nonce": nonce()});
        let token = user.sign("service-credential-request+jwt", &request);
        let began = Instant::now();
        let answer = visitor
            .attempt("POST", &url("/credentials"), &Content::token(&token))
            .map_err(text)?;
        took.push(began.elapsed());
        if answer.status != 200 {
            return Err(format!("{} {}", answer.status, answer.text()));
        }
        let session = claims(&answer.text())["accounting_session_id"].clone();
        issued.push((session.as_str().ok_or("no session")?.to_owned(), 1));
    }
    stage.sessions.lock().map_err(text)?.extend(issued);
    Ok(took)
}

/// The same for messages; each client takes its own sessions in turn.
fn messages(stage: &Stage, sessions: &mut [(String, i64)], end: Instant) -> Outcome<Vec<Duration>> {
    let mut visitor = Visitor::here(&stage.internet, &[]);
    let mut took = Vec::new();
    let mut next = 0;
    while Instant::now() < end {
        let count = sessions.len();
        let (session, sequence) = sessions.get_mut(next % count).ok_or("no session")?;
        next += 1;
        let message = json!({
            "message_id": identifier(), "accounting_session_id": session, "sequence": sequence, "kind": "interim",
            "data": {"requests": sequence}, "nonce": nonce(),
        });
        *sequence += 1;
        let token = stage.provider.sign("accounting-message+jwt", &message);
        let began = Instant::now();
        let answer = visitor
            .attempt("POST", &url("/accounting"), &Content::token(&token))
            .map_err(text)?;
        took.push(began.elapsed());
        if answer.status != 200 {
            return Err(format!("{} {}", answer.status, answer.text()));
        }
    }
    Ok(took)
}

/// Measures and prints.
pub fn measure() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(text)?;
    let stage = runtime.block_on(prepare())?;
    println!(
        "peers: credentials issued, each reserved, stored and acknowledged by the provider before its answer"
    );
    for clients in CLIENTS {
        run(&stage, clients, |end| {
            let next = AtomicUsize::new(0);
            in_threads(clients, || {
                credentials(&stage, next.fetch_add(1, Ordering::Relaxed), end)
            })
        })?;
    }
    println!(
        "peers: accounting messages acknowledged, each debited, reserved anew and stored before its answer"
    );
    for clients in CLIENTS {
        let mut all = stage.sessions.lock().map_err(text)?;
        let share = all.len() / clients;
        if share == 0 {
            return Err("too few sessions".into());
        }
        let parts = Mutex::new(all.chunks_mut(share).take(clients));
        run(&stage, clients, |end| {
            in_threads(clients, || {
                let part = parts.lock().map_err(text)?.next().ok_or("no sessions")?;
                messages(&stage, part, end)
            })
        })?;
    }
    Ok(())
}

/// The same work in so many threads: all that it gave.
fn in_threads(
    count: usize,
    work: impl Fn() -> Outcome<Vec<Duration>> + Sync,
) -> Outcome<Vec<Duration>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&work)).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| "a client panicked")??);
        }
        Ok(all)
    })
}

fn run(
    stage: &Stage,
    clients: usize,
    work: impl FnOnce(Instant) -> Outcome<Vec<Duration>>,
) -> Outcome<()> {
    let id = stage.process.id();
    let cpu = meter::cpu_seconds(&[id]);
    let began = Instant::now();
    let mut took = work(began + LENGTH)?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = meter::cpu_seconds(&[id]) - cpu;
    took.sort_unstable();
    let at = |part| meter::percentile_ms(&took, part);
    let count = took.len() as f64;
    println!(
        "    {clients:>4} clients {:>7.0}/s  p50 {:>6.2} ms  p99 {:>6.2} ms  {:>6.3} s CPU per 1,000",
        count / seconds,
        at(50),
        at(99),
        cpu * 1_000.0 / count.max(1.0)
    );
    Ok(())
}
