//! The real daemon over its Unix sockets: grants, restarts, a full disk.

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};
use support::postgres;
use support::ro::*;
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::*;
use tollwire_runtime::admin::client;
use tollwire_runtime::diameter::NodeEvent;

use CcRequestType::{InitialRequest, TerminationRequest};

#[tokio::test]
async fn a_session_outlives_the_daemon_and_is_charged_once() {
    outlives(Daemon::new("outlives")).await;
}

#[tokio::test]
async fn and_so_it_does_with_postgresql() {
    let server = postgres::Server::start("outlives");
    let url = server.database("outlives");
    outlives(Daemon::sharing("outlives-shared", &url)).await;
}

async fn outlives(mut daemon: Daemon) {
    daemon.start_working().await;
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
    client.node.shutdown().await;
    daemon.start_working().await;
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
    client.node.shutdown().await;
    daemon.start_working().await;
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
