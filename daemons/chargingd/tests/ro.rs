//! The real daemon over its Unix sockets: grants, restarts, `kill -9` under load.

use std::collections::HashMap;
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

const DEADLINE: Duration = Duration::from_secs(30);

/// A folder, a configuration in it, and the daemon; all gone at the end.
struct Daemon {
    folder: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("chargingd-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("disk")).unwrap();
        let at = |file: &str| folder.join(file).display().to_string();
        let config = format!(
            "[diameter]\norigin_host = \"chargingd.test\"\norigin_realm = \"test\"\nlisten = [\"unix:{}\"]\n\
             [store]\npath = \"{}\"\n[records]\ndirectory = \"{}\"\n[tariffs]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n",
            at("ro.sock"),
            at("disk/chargingd.db"),
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

    async fn start(&mut self) {
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

    fn kill(&mut self) {
        self.signal(nix::sys::signal::Signal::SIGKILL);
    }

    fn stop(&mut self) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
    }

    fn admin(&self) -> PathBuf {
        self.folder.join("admin.sock")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    async fn ask(&self, path: &str) -> Value {
        client::get(&self.admin(), path).await.unwrap()
    }

    async fn operate(&self, operation: Value) -> Value {
        client::post(&self.admin(), "/operations", &operation)
            .await
            .unwrap()
    }

    async fn account(&self, name: &str, credit_micro: i64) {
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
    fn records(&self) -> Vec<ChargeRecord> {
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
struct Client {
    node: NodeHandle,
    events: mpsc::Receiver<NodeEvent>,
    peer: PeerId,
    token: u64,
}

impl Client {
    async fn connect(folder: &Path) -> Self {
        let (sender, events) = mpsc::channel(1000);
        let config = NodeConfig {
            origin_host: "sipd.test".into(),
            origin_realm: "test".into(),
            auth_application_ids: vec![4],
            connect: vec![PeerConfig {
                name: "chargingd".into(),
                address: Address::Unix(folder.join("ro.sock")),
                alternatives: Vec::new(),
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

    async fn event(&mut self) -> NodeEvent {
        tokio::time::timeout(DEADLINE, self.events.recv())
            .await
            .unwrap()
            .unwrap()
    }

    fn send(&mut self, request: &CreditControlRequest) -> u64 {
        self.token += 1;
        self.node
            .send_request(&self.peer, self.token, request.encode(0, 0))
            .unwrap();
        self.token
    }

    async fn ask(&mut self, request: &CreditControlRequest) -> CreditControlAnswer {
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

fn request(
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

fn template() -> Message {
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

use CcRequestType::{InitialRequest, TerminationRequest, UpdateRequest};

#[tokio::test]
async fn a_session_outlives_the_daemon_and_is_charged_once() {
    let mut daemon = Daemon::new("outlives");
    daemon.start().await;
    daemon.account("alice", 1_000_000).await;
    let mut client = Client::connect(&daemon.folder).await;
    let grant = client
        .ask(&request("alice", "s", InitialRequest, 0, 0))
        .await;
    assert_eq!(grant.result_code, Some(ResultCode::SUCCESS));
    let service = &grant.multiple_services_credit_controls[0];
    assert_eq!(
        service.granted_service_unit.as_ref().unwrap().cc_time,
        Some(60)
    );
    assert_eq!(daemon.ask("/accounts/alice").await["held_micro"], 600_000);

    daemon.kill();
    // Two clients of one name would contend for the connection (RFC 6733 5.6.4).
    drop(client);
    daemon.start().await;
    assert_eq!(daemon.ask("/accounts/alice").await["held_micro"], 600_000);
    assert_eq!(daemon.ask("/sessions").await[0]["remaining_seconds"], 100);
    let last = request("alice", "s", TerminationRequest, 1, 1);
    let mut client = Client::connect(&daemon.folder).await;
    let first = client.ask(&last).await;
    assert_eq!(
        first.cost_information.as_ref().unwrap().unit_value.micro(),
        Some(10_000)
    );

    daemon.kill();
    drop(client);
    daemon.start().await;
    let mut client = Client::connect(&daemon.folder).await;
    assert_eq!(client.ask(&last).await, first);
    let account = daemon.ask("/accounts/alice").await;
    assert_eq!(
        (&account["balance_micro"], &account["held_micro"]),
        (&json!(990_000), &json!(0))
    );
    assert_eq!(daemon.ask("/trial-balance").await["balanced"], true);
    daemon.stop();
    let records = daemon.records();
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].amount_micro, &*records[0].record_id),
        (10_000, "s")
    );
}

#[tokio::test]
async fn killed_at_any_moment_under_load_it_forgets_no_answer_and_charges_nothing_twice() {
    const SESSIONS: u32 = 400;
    let mut daemon = Daemon::new("killed");
    daemon.start().await;
    daemon.account("alice", 1_000_000_000).await;
    let mut client = Client::connect(&daemon.folder).await;
    // The CC-Request-Number that each session waits for an answer to. What the daemon had not answered when it was
    // killed, the client's node sends again with the T flag.
    let mut waiting: HashMap<u64, (String, u32)> = HashMap::new();
    let mut ready: Vec<(String, u32)> = (0..SESSIONS).map(|n| (format!("s{n}"), 0)).collect();
    let mut kills = 0u32;
    let mut answers = 0;
    while !waiting.is_empty() || !ready.is_empty() {
        while let Some((session, number)) = ready.pop() {
            client.token += 1;
            let request = step(&session, number).encode(0, 0);
            if client
                .node
                .send_request(&client.peer, client.token, request)
                .is_err()
            {
                ready.push((session, number));
                break;
            }
            waiting.insert(client.token, (session, number));
        }
        match client.event().await {
            NodeEvent::Answer { token, message } => {
                let (session, number) = waiting.remove(&token).unwrap();
                let answer = CreditControlAnswer::decode(&message).unwrap();
                assert_eq!(
                    answer.result_code,
                    Some(ResultCode::SUCCESS),
                    "{session} {number}"
                );
                answers += 1;
                if number < 2 {
                    ready.push((session, number + 1));
                }
                // Another moment each time.
                if kills < 5 && answers >= (kills + 1) * 211 {
                    daemon.kill();
                    daemon.start().await;
                    kills += 1;
                }
            }
            NodeEvent::Failed { why, .. } => panic!("{why:?}"),
            _ => {}
        }
    }
    assert_eq!(kills, 5);
    let account = daemon.ask("/accounts/alice").await;
    assert_eq!(
        account["balance_micro"],
        1_000_000_000 - i64::from(SESSIONS) * 20_000
    );
    assert_eq!(
        (&account["held_micro"], &account["sessions"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(daemon.ask("/trial-balance").await["balanced"], true);
    daemon.stop();
    let records = daemon.records();
    assert!(
        records
            .iter()
            .map(|record| record.sequence_number)
            .eq(1..=u64::from(SESSIONS))
    );
    let mut ids: Vec<&str> = records.iter().map(|record| &*record.record_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), SESSIONS as usize);
}

fn step(session: &str, number: u32) -> CreditControlRequest {
    match number {
        0 => request("alice", session, InitialRequest, 0, 0),
        1 => request("alice", session, UpdateRequest, 1, 1),
        _ => request("alice", session, TerminationRequest, 2, 1),
    }
}

#[tokio::test]
async fn requests_it_does_not_serve_get_the_protocols_own_answers() {
    let mut daemon = Daemon::new("refusals");
    daemon.start().await;
    daemon.account("alice", 1_000_000).await;
    let mut client = Client::connect(&daemon.folder).await;
    let unknown = client
        .ask(&request("mallory", "s", InitialRequest, 0, 0))
        .await;
    assert_eq!(unknown.result_code, Some(ResultCode::USER_UNKNOWN));
    for (change, code) in [("missing", 5005u32), ("command", 3001)] {
        let mut message = request("alice", "s", InitialRequest, 0, 0).encode(0, 0);
        if change == "missing" {
            message
                .avps
                .retain(|avp| !avp.is(&tollwire_diameter::dictionary::CC_REQUEST_NUMBER));
        } else {
            message.command_code = 265;
        }
        client.token += 1;
        client
            .node
            .send_request(&client.peer, client.token, message)
            .unwrap();
        let answer = loop {
            if let NodeEvent::Answer { token, message } = client.event().await
                && token == client.token
            {
                break message;
            }
        };
        assert_eq!(answer.result_code(), Some(ResultCode(code)), "{change}");
    }
    let missing: Result<Value, _> = client::get(&daemon.admin(), "/accounts/nobody").await;
    assert_eq!(missing.unwrap_err().to_string(), "no account nobody");
}

#[tokio::test]
async fn a_blocked_account_ends_its_calls_at_once() {
    let mut daemon = Daemon::new("block");
    daemon.start().await;
    daemon.account("alice", 1_000_000).await;
    let mut client = Client::connect(&daemon.folder).await;
    client
        .ask(&request("alice", "s", InitialRequest, 0, 0))
        .await;
    daemon.operate(json!({"block": {"account": "alice"}})).await;
    let abort = loop {
        if let NodeEvent::Request { message, .. } = client.event().await {
            break message;
        }
    };
    assert_eq!((abort.command_code, abort.session_id()), (274, Some("s")));
}

/// A file system of its own for a daemon's store and records; unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn under(daemon: &Daemon, octets: usize) -> Self {
        let folder = daemon.folder.join("disk");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={octets}"), "tmpfs"])
            .arg(&folder)
            .status()
            .unwrap();
        assert!(
            mounted.success(),
            "this test mounts a tmpfs: run it as root"
        );
        Self(folder)
    }

    fn fill(&self) {
        use std::io::Write;
        let mut ballast = std::fs::File::create(self.0.join("ballast")).unwrap();
        let full = loop {
            if let Err(error) = ballast.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

impl Client {
    /// The Result-Code of the answer: a refusal is an error message, not a whole CCA (RFC 6733 7.2).
    async fn result(&mut self, request: &CreditControlRequest) -> ResultCode {
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

#[tokio::test]
async fn on_a_full_disk_it_refuses_for_now_and_has_stored_all_that_it_acknowledged() {
    let mut daemon = Daemon::new("full");
    let disk = SmallDisk::under(&daemon, 8 << 20);
    daemon.start().await;
    daemon.account("alice", 10_000_000_000).await;
    let mut client = Client::connect(&daemon.folder).await;
    for n in 0..20 {
        let begin = request("alice", &format!("early{n}"), InitialRequest, 0, 0);
        assert_eq!(client.result(&begin).await, ResultCode::SUCCESS);
    }
    disk.fill();

    // What the store has room for already is still served; soon nothing is.
    let mut open: Vec<String> = (0..20).map(|n| format!("early{n}")).collect();
    let mut refused = Vec::new();
    for n in 0..20_000 {
        let session = format!("late{n}");
        let begin = request("alice", &session, InitialRequest, 0, 0);
        match client.result(&begin).await {
            ResultCode::SUCCESS => open.push(session),
            ResultCode::TOO_BUSY => refused.push(session),
            other => panic!("{other:?}"),
        }
        if refused.len() == 5 {
            break;
        }
    }
    assert_eq!(refused.len(), 5, "the disk was never full");
    let end = request("alice", "early0", TerminationRequest, 1, 1);
    assert_eq!(client.result(&end).await, ResultCode::TOO_BUSY);
    let top_up: Result<Value, _> = client::post(
        &daemon.admin(),
        "/operations",
        &json!({"top-up": {"account": "alice", "amount_micro": 1, "reference": "full"}}),
    )
    .await;
    assert!(top_up.unwrap_err().to_string().starts_with("not stored"));
    let sessions = |value: Value| value.as_array().unwrap().len();
    assert_eq!(sessions(daemon.ask("/sessions").await), open.len());

    // Killed while full: what was acknowledged is there when space has returned.
    daemon.kill();
    disk.free();
    daemon.start().await;
    assert_eq!(sessions(daemon.ask("/sessions").await), open.len());
    let mut client = Client::connect(&daemon.folder).await;
    disk.fill();
    let mut ended = 0;
    for session in &open {
        let end = request("alice", session, TerminationRequest, 1, 1);
        // Refused once at least; the same daemon goes on as soon as there is space.
        let mut code = client.result(&end).await;
        if code == ResultCode::TOO_BUSY {
            disk.free();
            let begun = Instant::now();
            while code == ResultCode::TOO_BUSY && begun.elapsed() < DEADLINE {
                code = client.result(&end).await;
            }
            ended += 1;
            assert_eq!(code, ResultCode::SUCCESS);
            break;
        }
        assert_eq!(code, ResultCode::SUCCESS);
        ended += 1;
    }
    assert!(ended < open.len(), "the disk was not full again");
    for session in &open[ended..] {
        let end = request("alice", session, TerminationRequest, 1, 1);
        assert_eq!(client.result(&end).await, ResultCode::SUCCESS);
    }
    let account = daemon.ask("/accounts/alice").await;
    let charged = i64::try_from(open.len()).unwrap() * 10_000;
    assert_eq!(
        (&account["balance_micro"], &account["held_micro"]),
        (&json!(10_000_000_000 - charged), &json!(0))
    );
    assert_eq!(daemon.ask("/trial-balance").await["balanced"], true);
    daemon.stop();
    let records = daemon.records();
    assert!(
        records
            .iter()
            .map(|record| record.sequence_number)
            .eq(1..=open.len() as u64)
    );
}
