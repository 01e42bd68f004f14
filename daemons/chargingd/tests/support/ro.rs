//! `chargingd` and a credit-control client of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tollwire_cdr::{ChargeRecord, from_json_line};
use tollwire_diameter::credit_control::*;
use tollwire_diameter::{Message, ResultCode};
use tollwire_runtime::admin::client;
use tollwire_runtime::diameter::{
    Address, Node, NodeConfig, NodeEvent, NodeHandle, PeerConfig, PeerId,
};

pub const DEADLINE: Duration = Duration::from_secs(30);

/// A folder, a configuration in it, and the daemon; all gone at the end.
pub struct Daemon {
    pub folder: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// One with a store of its own.
    pub fn new(name: &str) -> Self {
        Self::with(name, |folder| {
            format!("path = \"{}\"", folder.join("disk/chargingd.db").display())
        })
    }

    /// One of those that share a database.
    pub fn sharing(name: &str, url: &str) -> Self {
        Self::with(name, |_| format!("url = \"{url}\""))
    }

    /// One of those that share a divided database, for this part of it.
    pub fn of_part(name: &str, url: &str, (part, parts): (u32, u32)) -> Self {
        Self::with(name, |_| {
            format!("url = \"{url}\"\npart = {part}\nparts = {parts}")
        })
    }

    /// One with a store of its own that keeps accounting records in a database that others use too.
    pub fn keeping_records(name: &str, url: &str) -> Self {
        Self::with(name, |folder| {
            format!(
                "path = \"{}\"\n[accounting_storage]\nenabled = true\nurl = \"{url}\"",
                folder.join("disk/chargingd.db").display()
            )
        })
    }

    fn with(name: &str, store: impl Fn(&Path) -> String) -> Self {
        let folder = std::env::temp_dir().join(format!("chargingd-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("disk")).unwrap();
        let at = |file: &str| folder.join(file).display().to_string();
        let config = format!(
            "[diameter]\norigin_host = \"{name}.test\"\norigin_realm = \"test\"\nlisten = [\"unix:{}\"]\n\
             [store]\n{}\n[records]\ndirectory = \"{}\"\n[tariffs]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n",
            at("ro.sock"),
            store(&folder),
            at("disk/records"),
            at("tariffs.toml"),
            at("admin.sock"),
        );
        std::fs::write(folder.join("chargingd.toml"), config).unwrap();
        let tariffs = "[[tariff]]\nname = \"t\"\nprefixes = [\"\"]\ncurrency = \"EUR\"\nprice_per_minute_micro = 600000\n";
        std::fs::write(folder.join("tariffs.toml"), tariffs).unwrap();
        Self {
            folder,
            child: None,
        }
    }

    /// Starts it, and waits until it says what it is.
    pub async fn start(&mut self) {
        self.launch().await;
    }

    /// Starts it, and waits until it works.
    pub async fn start_working(&mut self) {
        self.launch().await;
        self.works().await;
    }

    /// Waits until it is the one that works.
    pub async fn works(&self) {
        self.until(|health| health["role"] == "active").await;
    }

    /// Waits until another one works, which it knows.
    pub async fn stands_by(&self) {
        self.until(|health| health["role"] == "standby" && health["active"].is_string())
            .await;
    }

    async fn until(&self, well: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        while !well(&self.ask("/health").await) {
            assert!(begun.elapsed() < DEADLINE, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn launch(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_chargingd"))
            .arg("--config")
            .arg(self.folder.join("chargingd.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let begun = Instant::now();
        while client::get::<Value>(&self.admin(), "/health")
            .await
            .is_err()
        {
            assert!(begun.elapsed() < DEADLINE, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn signal(&mut self, signal: nix::sys::signal::Signal) {
        if let Some(mut child) = self.child.take() {
            let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
            let _ = nix::sys::signal::kill(id, signal);
            child.wait().unwrap();
        }
    }

    /// Has the configuration read again.
    pub fn reload(&self) {
        let child = self.child.as_ref().unwrap();
        let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGHUP).unwrap();
    }

    pub fn kill(&mut self) {
        self.signal(nix::sys::signal::Signal::SIGKILL);
    }

    pub fn stop(&mut self) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
    }

    pub fn admin(&self) -> PathBuf {
        self.folder.join("admin.sock")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub async fn ask(&self, path: &str) -> Value {
        client::get(&self.admin(), path).await.unwrap()
    }

    pub async fn operate(&self, operation: Value) -> Value {
        client::post(&self.admin(), "/operations", &operation)
            .await
            .unwrap()
    }

    pub async fn account(&self, name: &str, credit_micro: i64) {
        self.operate(json!({"create-account": {
            "name": name, "payment": "prepaid", "currency": "EUR", "credit_limit_micro": 0,
            "identities": [format!("sip:{name}@test")]
        }}))
        .await;
        self.operate(
            json!({"top-up": {"account": name, "amount_micro": credit_micro, "reference": "r"}}),
        )
        .await;
    }

    /// Every record in the files, in order.
    pub fn records(&self) -> Vec<ChargeRecord> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.join("disk/records"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().contains(".jsonl"))
            .collect();
        files.sort();
        let text: String = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect();
        text.lines()
            .map(|line| from_json_line(line).unwrap())
            .collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A credit-control client.
pub struct Client {
    pub node: NodeHandle,
    events: mpsc::Receiver<NodeEvent>,
    pub peer: PeerId,
    pub token: u64,
}

impl Client {
    pub async fn connect(folder: &Path) -> Self {
        Self::connect_to(&[folder]).await
    }

    /// Of whichever of these works.
    pub async fn connect_to(folders: &[&Path]) -> Self {
        Self::named("sipd.test", folders).await
    }

    /// With this Origin-Host.
    pub async fn named(origin_host: &str, folders: &[&Path]) -> Self {
        let (sender, events) = mpsc::channel(1000);
        let mut addresses = (folders.iter()).map(|folder| Address::Unix(folder.join("ro.sock")));
        let config = NodeConfig {
            origin_host: origin_host.into(),
            origin_realm: "test".into(),
            auth_application_ids: vec![4],
            connect: vec![PeerConfig {
                name: "chargingd".into(),
                address: addresses.next().unwrap(),
                alternatives: addresses.collect(),
                origin_host: None,
            }],
            request_timeout: DEADLINE,
            ..NodeConfig::default()
        };
        let node = Node::start(config, sender).unwrap();
        let mut client = Self {
            node,
            events,
            peer: PeerId::new("chargingd"),
            token: 0,
        };
        while !matches!(client.event().await, NodeEvent::PeerOpen { .. }) {}
        client
    }

    pub async fn event(&mut self) -> NodeEvent {
        tokio::time::timeout(DEADLINE, self.events.recv())
            .await
            .unwrap()
            .unwrap()
    }

    pub fn send(&mut self, request: &CreditControlRequest) -> u64 {
        self.token += 1;
        self.node
            .send_request(&self.peer, self.token, request.encode(0, 0))
            .unwrap();
        self.token
    }

    pub async fn ask(&mut self, request: &CreditControlRequest) -> CreditControlAnswer {
        let wanted = self.send(request);
        loop {
            match self.event().await {
                NodeEvent::Answer { token, message } if token == wanted => {
                    return CreditControlAnswer::decode(&message).unwrap();
                }
                NodeEvent::Failed { token, why } if token == wanted => panic!("{why:?}"),
                _ => {}
            }
        }
    }
}

pub fn request(
    user: &str,
    session: &str,
    kind: CcRequestType,
    number: u32,
    used: u32,
) -> CreditControlRequest {
    // The shortest way to a whole request: its own wire form with what differs put in.
    let mut request = CreditControlRequest::decode(&template()).unwrap();
    request.session_id = session.into();
    request.cc_request_type = kind;
    request.cc_request_number = number;
    request.subscription_ids = vec![SubscriptionId::new(
        SubscriptionIdType::EndUserSipUri,
        format!("sip:{user}@test"),
    )];
    request.multiple_services_credit_controls = vec![MultipleServicesCreditControl {
        rating_group: Some(100),
        requested_service_unit: (kind != TerminationRequest).then(RequestedServiceUnit::default),
        used_service_units: (kind != InitialRequest)
            .then(|| UsedServiceUnit {
                cc_time: Some(used),
                ..UsedServiceUnit::default()
            })
            .into_iter()
            .collect(),
        ..MultipleServicesCreditControl::default()
    }];
    request
}

pub fn template() -> Message {
    use tollwire_diameter::{Avp, CommandFlags, dictionary};
    let text = |definition, text: &str| Avp::new(definition, &text.to_owned());
    Message {
        flags: CommandFlags(CommandFlags::REQUEST.0 | CommandFlags::PROXIABLE.0),
        command_code: 272,
        application_id: 4,
        hop_by_hop_id: 0,
        end_to_end_id: 0,
        avps: vec![
            text(&dictionary::SESSION_ID, "s"),
            text(&dictionary::ORIGIN_HOST, "sipd.test"),
            text(&dictionary::ORIGIN_REALM, "test"),
            text(&dictionary::DESTINATION_REALM, "test"),
            Avp::new(&dictionary::AUTH_APPLICATION_ID, &4u32),
            text(&dictionary::SERVICE_CONTEXT_ID, "32260@3gpp.org"),
            Avp::new(&dictionary::CC_REQUEST_TYPE, &1u32),
            Avp::new(&dictionary::CC_REQUEST_NUMBER, &0u32),
        ],
    }
}

impl Client {
    /// The Result-Code of the answer: a refusal is an error message, not a whole CCA (RFC 6733 7.2).
    pub async fn result(&mut self, request: &CreditControlRequest) -> ResultCode {
        let wanted = self.send(request);
        loop {
            match self.event().await {
                NodeEvent::Answer { token, message } if token == wanted => {
                    return message.result_code().unwrap();
                }
                NodeEvent::Failed { token, why } if token == wanted => panic!("{why:?}"),
                _ => {}
            }
        }
    }
}

use CcRequestType::{InitialRequest, TerminationRequest, UpdateRequest};

/// The requests of a session of alice's, which costs 20000 in all.
pub fn step(session: &str, number: u32) -> CreditControlRequest {
    step_of("alice", session, number)
}

/// Of anybody's.
pub fn step_of(user: &str, session: &str, number: u32) -> CreditControlRequest {
    match number {
        0 => request(user, session, InitialRequest, 0, 0),
        1 => request(user, session, UpdateRequest, 1, 1),
        _ => request(user, session, TerminationRequest, 2, 1),
    }
}
