//! `chargingd` with 1,000 and 1,000,000 accounts: durable CCRs a second, how long each takes, and what it costs.
//!
//! Each client has a connection of its own and one request under way: CCR-Initial, CCR-Update and CCR-Terminate of one call
//! after another, each answered after its commit. Every call is another account's.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlRequest, MultipleServicesCreditControl, RequestedServiceUnit,
    SubscriptionId, SubscriptionIdType, UsedServiceUnit,
};
use tollwire_harness::daemons::program;
use tollwire_harness::process::{Process, Scratch};
use tollwire_runtime::admin::client;
use tollwire_runtime::diameter::{Address, Node, NodeConfig, NodeEvent, PeerConfig, PeerId};

use crate::meter;

const ACCOUNTS: [u64; 2] = [1_000, 1_000_000];
const CLIENTS: [u64; 3] = [1, 10, 100];
/// How long each combination is measured.
const LENGTH: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(120);

type Outcome<T> = Result<T, String>;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

struct Daemon {
    process: Process,
    folder: Scratch,
}

fn configuration(folder: &Path) -> String {
    let at = |file: &str| folder.join(file).display().to_string();
    format!(
        "[diameter]\norigin_host = \"chargingd.test\"\norigin_realm = \"test\"\nlisten = [\"unix:{}\"]\n\
         [store]\npath = \"{}\"\n[records]\ndirectory = \"{}\"\n[tariffs]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n",
        at("ro.sock"),
        at("chargingd.db"),
        at("records"),
        at("tariffs.toml"),
        at("admin.sock"),
    )
}

async fn start(folder: &Path) -> Outcome<Process> {
    let process = Process::start(
        "chargingd",
        std::process::Command::new(program("chargingd"))
            .arg("--config")
            .arg(folder.join("chargingd.toml")),
        &folder.join("chargingd.log"),
    );
    let began = Instant::now();
    while client::get::<Value>(&folder.join("admin.sock"), "/health")
        .await
        .is_err()
    {
        if began.elapsed() > PATIENCE {
            return Err("chargingd does not start".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(process)
}

/// Accounts that are there before chargingd starts, as if each had paid in once.
fn seed(database: &Path, accounts: u64) -> rusqlite::Result<()> {
    let mut connection = rusqlite::Connection::open(database)?;
    let transaction = connection.transaction()?;
    {
        let mut account = transaction.prepare(
            "INSERT INTO account (name, payment, currency, balance_micro, credit_limit_micro, blocked)
             VALUES (?1, 'prepaid', 'EUR', ?2, 0, 0)",
        )?;
        let mut identity =
            transaction.prepare("INSERT INTO identity (identity, account) VALUES (?1, ?2)")?;
        let mut entry = transaction.prepare(
            "INSERT INTO entry (key, debit, credit, amount, commodity, unix_ms)
             VALUES (?1, '@cash:EUR', ?2, ?3, 'EUR', 0)",
        )?;
        let credit = 1_000_000_000_i64;
        for number in 0..accounts {
            let name = format!("customer-{number}");
            account.execute(rusqlite::params![name, credit])?;
            identity.execute(rusqlite::params![format!("sip:{number}@test"), name])?;
            entry.execute(rusqlite::params![
                format!("top-up {name} first"),
                name,
                credit
            ])?;
        }
    }
    transaction.commit()
}

fn request(client: u64, call: u64, account: u64, number: u32) -> CreditControlRequest {
    let (kind, used) = match number {
        0 => (CcRequestType::InitialRequest, None),
        1 => (CcRequestType::UpdateRequest, Some(1)),
        _ => (CcRequestType::TerminationRequest, Some(1)),
    };
    CreditControlRequest {
        session_id: format!("client-{client}.test;{call}"),
        origin_host: format!("client-{client}.test"),
        origin_realm: "test".into(),
        destination_realm: "test".into(),
        auth_application_id: 4,
        service_context_id: "32260@3gpp.org".into(),
        cc_request_type: kind,
        cc_request_number: number,
        subscription_ids: vec![SubscriptionId::new(
            SubscriptionIdType::EndUserSipUri,
            format!("sip:{account}@test"),
        )],
        multiple_services_credit_controls: vec![MultipleServicesCreditControl {
            rating_group: Some(100),
            requested_service_unit: (number < 2).then(RequestedServiceUnit::default),
            used_service_units: used
                .map(|seconds| UsedServiceUnit {
                    cc_time: Some(seconds),
                    ..UsedServiceUnit::default()
                })
                .into_iter()
                .collect(),
            ..MultipleServicesCreditControl::default()
        }],
        ..CreditControlRequest::default()
    }
}

/// One client's calls until `end`: how long each request took.
async fn calls(
    socket: std::path::PathBuf,
    client: u64,
    accounts: u64,
    end: Instant,
    calls: &'static AtomicU64,
) -> Outcome<Vec<Duration>> {
    let (sender, mut events) = mpsc::channel(64);
    let peer = PeerId::new("chargingd");
    let node = Node::start(
        NodeConfig {
            origin_host: format!("client-{client}.test"),
            origin_realm: "test".into(),
            auth_application_ids: vec![4],
            connect: vec![PeerConfig {
                name: "chargingd".into(),
                address: Address::Unix(socket),
                alternatives: Vec::new(),
                origin_host: None,
            }],
            ..NodeConfig::default()
        },
        sender,
    )
    .map_err(text)?;
    while !matches!(events.recv().await, Some(NodeEvent::PeerOpen { .. })) {}
    let mut took = Vec::new();
    while Instant::now() < end {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        // Spread over all accounts, and not in their order.
        let account = call.wrapping_mul(0x9E37_79B9_7F4A_7C15) % accounts;
        for number in 0..3 {
            let began = Instant::now();
            let asked = request(client, call, account, number);
            node.send_request(&peer, number.into(), asked.encode(0, 0))
                .map_err(text)?;
            loop {
                match events.recv().await {
                    Some(NodeEvent::Answer { message, .. }) => {
                        if message.result_code() != Some(ResultCode::SUCCESS) {
                            return Err(format!("answered {:?}", message.result_code()));
                        }
                        break;
                    }
                    Some(NodeEvent::Failed { why, .. }) => return Err(format!("{why:?}")),
                    Some(_) => {}
                    None => return Err("the node ended".into()),
                }
            }
            took.push(began.elapsed());
        }
    }
    node.shutdown().await;
    Ok(took)
}

/// Measures and prints.
pub fn measure() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(text)?;
    runtime.block_on(async {
        println!("chargingd: CCR-Initial, -Update and -Terminate, each durable before its answer");
        for accounts in ACCOUNTS {
            let folder = Scratch::new();
            let path = folder.path().to_owned();
            std::fs::write(path.join("chargingd.toml"), configuration(&path)).map_err(text)?;
            std::fs::write(
                path.join("tariffs.toml"),
                "[[tariff]]\nname = \"t\"\nprefixes = [\"\"]\ncurrency = \"EUR\"\nprice_per_minute_micro = 600000\n",
            )
            .map_err(text)?;
            // Once to make the tables, and again with the accounts in them.
            let mut first = start(&path).await?;
            first.signal(nix::sys::signal::Signal::SIGTERM);
            first.wait_success(PATIENCE);
            seed(&path.join("chargingd.db"), accounts).map_err(text)?;
            let began = Instant::now();
            let daemon = Daemon {
                process: start(&path).await?,
                folder,
            };
            println!(
                "  {accounts} accounts: started in {:.1} s, {:.0} MB",
                began.elapsed().as_secs_f64(),
                meter::kilobytes(&[daemon.process.id()]) / 1000.0
            );
            for clients in CLIENTS {
                run(&daemon, accounts, clients).await?;
            }
        }
        Ok(())
    })
}

async fn run(daemon: &Daemon, accounts: u64, clients: u64) -> Outcome<()> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let id = daemon.process.id();
    let cpu = meter::cpu_seconds(&[id]);
    let began = Instant::now();
    let end = began + LENGTH;
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let socket = daemon.folder.path().join("ro.sock");
            tokio::spawn(calls(socket, client, accounts, end, &CALLS))
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.map_err(text)??);
    }
    let seconds = began.elapsed().as_secs_f64();
    let cpu = meter::cpu_seconds(&[id]) - cpu;
    took.sort_unstable();
    let at = |part| meter::percentile_ms(&took, part);
    let count = took.len() as f64;
    println!(
        "    {clients:>4} clients {:>8.0} CCR/s  p50 {:>6.2} ms  p99 {:>6.2} ms  {:>6.3} s CPU per 10,000",
        count / seconds,
        at(50),
        at(99),
        cpu * 10_000.0 / count.max(1.0)
    );
    Ok(())
}
