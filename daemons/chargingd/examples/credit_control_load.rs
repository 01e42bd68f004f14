//! What a call costs: CCR-Initial and CCR-Terminate of many calls at a running `chargingd`.
//!
//! `credit_control_load CHARGINGD [CALLS [WINDOW [URL]]]` starts that binary on a folder of its own, or on the empty
//! PostgreSQL database at `URL`, and prints calls per second and the daemon's CPU time per call, with `WINDOW` calls at
//! once.

use std::error::Error;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlRequest, MultipleServicesCreditControl, RequestedServiceUnit,
    SubscriptionId, SubscriptionIdType, UsedServiceUnit,
};
use tollwire_runtime::admin::client;
use tollwire_runtime::diameter::{Address, Node, NodeConfig, NodeEvent, PeerConfig, PeerId};

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Daemon(Child);

impl Daemon {
    fn start(binary: &str, folder: &Path, url: Option<&str>) -> Outcome<Self> {
        let at = |file: &str| folder.join(file).display().to_string();
        let store = url.map_or_else(
            || format!("path = \"{}\"", at("chargingd.db")),
            |url| format!("url = \"{url}\""),
        );
        let config = format!(
            "[diameter]\norigin_host = \"chargingd.test\"\norigin_realm = \"test\"\nlisten = [\"unix:{}\"]\n\
             [store]\n{store}\n[records]\ndirectory = \"{}\"\n[tariffs]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n",
            at("ro.sock"),
            at("records"),
            at("tariffs.toml"),
            at("admin.sock"),
        );
        std::fs::write(folder.join("chargingd.toml"), config)?;
        std::fs::write(
            folder.join("tariffs.toml"),
            "[[tariff]]\nname = \"t\"\nprefixes = [\"\"]\ncurrency = \"EUR\"\nprice_per_minute_micro = 600000\n",
        )?;
        let child = Command::new(binary)
            .arg("--config")
            .arg(folder.join("chargingd.toml"))
            .spawn()?;
        Ok(Self(child))
    }

    /// CPU time so far, user and system: fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms.
    fn cpu(&self) -> Outcome<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let fields = stat.rsplit_once(')').ok_or("no stat")?.1;
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().unwrap_or(0))
            .sum();
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn request(call: u64, kind: CcRequestType) -> CreditControlRequest {
    let initial = kind == CcRequestType::InitialRequest;
    CreditControlRequest {
        session_id: format!("load.test;{call}"),
        origin_host: "load.test".into(),
        origin_realm: "test".into(),
        destination_realm: "test".into(),
        auth_application_id: 4,
        service_context_id: "32260@3gpp.org".into(),
        cc_request_type: kind,
        cc_request_number: u32::from(!initial),
        subscription_ids: vec![SubscriptionId::new(
            SubscriptionIdType::EndUserSipUri,
            "sip:alice@test".to_owned(),
        )],
        multiple_services_credit_controls: vec![MultipleServicesCreditControl {
            rating_group: Some(100),
            requested_service_unit: initial.then(RequestedServiceUnit::default),
            used_service_units: (!initial)
                .then(|| UsedServiceUnit {
                    cc_time: Some(1),
                    ..UsedServiceUnit::default()
                })
                .into_iter()
                .collect(),
            ..MultipleServicesCreditControl::default()
        }],
        ..CreditControlRequest::default()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let binary = arguments.next().ok_or("which chargingd?")?;
    let calls: u64 = arguments.next().map_or(Ok(50_000), |text| text.parse())?;
    let window: u64 = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let url = arguments.next();
    let folder = std::env::temp_dir().join(format!("credit-control-load-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measure(&binary, &folder, calls, window, url.as_deref()).await;
    std::fs::remove_dir_all(&folder)?;
    measured
}

async fn measure(
    binary: &str,
    folder: &Path,
    calls: u64,
    window: u64,
    url: Option<&str>,
) -> Outcome<()> {
    let daemon = Daemon::start(binary, folder, url)?;
    let admin = folder.join("admin.sock");
    let begun = Instant::now();
    while client::get::<Value>(&admin, "/health").await.is_err() {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err("the daemon does not start".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for operation in [
        json!({"create-account": {"name": "alice", "payment": "prepaid", "currency": "EUR",
            "credit_limit_micro": 0, "identities": ["sip:alice@test"]}}),
        json!({"top-up": {"account": "alice", "amount_micro": 1_000_000_000_000_i64, "reference": "r"}}),
    ] {
        let _: Value = client::post(&admin, "/operations", &operation).await?;
    }
    let (sender, mut events) = mpsc::channel(4096);
    let peer = PeerId::new("chargingd");
    let node = Node::start(
        NodeConfig {
            origin_host: "load.test".into(),
            origin_realm: "test".into(),
            auth_application_ids: vec![4],
            connect: vec![PeerConfig {
                name: "chargingd".into(),
                address: Address::Unix(folder.join("ro.sock")),
                alternatives: Vec::new(),
                origin_host: None,
            }],
            ..NodeConfig::default()
        },
        sender,
    )?;
    let mut begun = Instant::now();
    let mut before = Duration::ZERO;
    let mut next = 0;
    let mut done = 0;
    // Tokens: twice the call for its CCR-Initial, one more for its CCR-Terminate.
    while done < calls {
        match events.recv().await.ok_or("the node ended")? {
            NodeEvent::PeerOpen { .. } => {
                begun = Instant::now();
                before = daemon.cpu()?;
                while next < window.min(calls) {
                    let initial = request(next, CcRequestType::InitialRequest);
                    node.send_request(&peer, next * 2, initial.encode(0, 0))?;
                    next += 1;
                }
            }
            NodeEvent::Answer { token, message } => {
                if message.result_code() != Some(tollwire_diameter::ResultCode::SUCCESS) {
                    return Err(format!("answered {:?}", message.result_code()).into());
                }
                if token % 2 == 0 {
                    let terminate = request(token / 2, CcRequestType::TerminationRequest);
                    node.send_request(&peer, token + 1, terminate.encode(0, 0))?;
                    continue;
                }
                done += 1;
                if next < calls {
                    let initial = request(next, CcRequestType::InitialRequest);
                    node.send_request(&peer, next * 2, initial.encode(0, 0))?;
                    next += 1;
                }
            }
            NodeEvent::Failed { why, .. } => return Err(format!("{why:?}").into()),
            _ => {}
        }
    }
    let wall = begun.elapsed();
    let cpu = daemon.cpu()?.saturating_sub(before);
    let each = |total: Duration| total.as_micros() / u128::from(calls);
    println!(
        "{calls} calls, {window} at once: {:.0} calls/s, {} us CPU of chargingd per call",
        f64::from(u32::try_from(calls)?) / wall.as_secs_f64(),
        each(cpu)
    );
    Ok(())
}
