//! Vouchers and the audit log in the real daemon, over its Unix socket and over kill -9.

mod support;

use serde_json::{Value, json};
use support::postgres;
use support::ro::Daemon;
use tollwire_runtime::admin::client::{self, ClientError};

const EXPIRY: i64 = 4_000_000_000_000;

#[tokio::test]
async fn a_voucher_is_redeemed_once_over_restarts() {
    let mut daemon = Daemon::new("vouchers");
    let codes = redeemed_once(&mut daemon).await;
    daemon.stop();
    // Neither the database nor the log tells a code.
    for file in ["disk/chargingd.db", "log"] {
        let content = std::fs::read(daemon.folder.join(file)).unwrap();
        let content = String::from_utf8_lossy(&content);
        assert!(content.contains("spring") || file == "log");
        for code in &codes {
            assert!(!content.contains(code), "{file}");
            assert!(!content.contains(&code.replace('-', "")), "{file}");
        }
    }
}

#[tokio::test]
async fn and_so_it_is_with_postgresql() {
    let server = postgres::Server::start("vouchers");
    let url = server.database("vouchers");
    redeemed_once(&mut Daemon::sharing("vouchers-shared", &url)).await;
}

async fn post(daemon: &Daemon, path: &str, body: Value) -> Result<Value, (u16, String)> {
    let answer = client::post(&daemon.admin(), path, &body).await;
    answer.map_err(|error| match error {
        ClientError::Refused { status, error } => (status, error),
        other => panic!("{other}"),
    })
}

async fn redeem(
    daemon: &Daemon,
    account: &str,
    code: &str,
    reference: &str,
) -> Result<Value, (u16, String)> {
    let redeem =
        json!({"redeem-voucher": {"account": account, "code": code, "reference": reference}});
    let answer = post(daemon, "/operations", redeem).await;
    answer.map(|account| account["balance_micro"].clone())
}

async fn redeemed_once(daemon: &mut Daemon) -> Vec<String> {
    daemon.start_working().await;
    daemon.account("alice", 1).await;
    daemon.account("bob", 1).await;
    let issue = json!({
        "batch": "spring", "count": 3, "amount_micro": 5_000_000, "currency": "EUR", "expires_unix_ms": EXPIRY,
    });
    let issued = post(daemon, "/vouchers", issue.clone()).await.unwrap();
    let codes: Vec<String> = serde_json::from_value(issued["codes"].clone()).unwrap();
    assert_eq!(codes.len(), 3);
    assert_eq!(post(daemon, "/vouchers", issue).await.unwrap_err().0, 409);
    assert_eq!(
        redeem(daemon, "alice", &codes[0], "r1").await,
        Ok(json!(5_000_001))
    );
    daemon.kill();
    daemon.start_working().await;
    assert_eq!(
        redeem(daemon, "alice", &codes[0], "r1").await,
        Ok(json!(5_000_001))
    );
    assert_eq!(
        redeem(daemon, "bob", &codes[0], "r1").await.unwrap_err().0,
        409
    );
    let void = json!({"void-vouchers": {"batch": "spring"}});
    assert_eq!(
        post(daemon, "/operations", void).await.unwrap()["redeemed"],
        1
    );
    daemon.kill();
    daemon.start_working().await;
    assert_eq!(
        redeem(daemon, "alice", &codes[1], "r2")
            .await
            .unwrap_err()
            .0,
        409
    );
    let unknown = "0000-0000-0000-0000-0000";
    for _ in 0..5 {
        assert_eq!(
            redeem(daemon, "bob", unknown, "r").await.unwrap_err().0,
            404
        );
    }
    let (status, error) = redeem(daemon, "bob", unknown, "r").await.unwrap_err();
    assert_eq!(status, 429, "{error}");
    assert_eq!(daemon.ask("/trial-balance").await["balanced"], true);
    let batches = daemon.ask("/vouchers").await;
    assert_eq!(
        (&batches[0]["count"], &batches[0]["redeemed"]),
        (&json!(3), &json!(1))
    );
    audited(daemon, &codes).await;
    codes
}

async fn audited(daemon: &Daemon, codes: &[String]) {
    let log = daemon.ask("/audit?limit=1000").await;
    let text = log.to_string();
    assert!(!codes.iter().any(|code| text.contains(code)), "{text}");
    let who = format!("uid {}", nix::unistd::getuid());
    let lines: Vec<(&str, &str, bool)> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            assert_eq!(line["who"], who.as_str());
            let (operation, account) = (&line["operation"], &line["account"]);
            (
                operation.as_str().unwrap(),
                account.as_str().unwrap(),
                line["outcome"] == "done",
            )
        })
        .collect();
    let mut expected = Vec::new();
    for name in ["alice", "bob"] {
        expected.push(("create-account", name, true));
        expected.push(("top-up", name, true));
    }
    expected.push(("issue-vouchers", "", true));
    expected.push(("issue-vouchers", "", false));
    expected.push(("redeem-voucher", "alice", true));
    expected.push(("redeem-voucher", "alice", true));
    expected.push(("redeem-voucher", "bob", false));
    expected.push(("void-vouchers", "", true));
    expected.push(("redeem-voucher", "alice", false));
    expected.extend([("redeem-voucher", "bob", false); 6]);
    assert_eq!(lines, expected);
    let of_bob = daemon.ask("/audit?account=bob&limit=1").await;
    let last = &of_bob.as_array().unwrap()[..];
    assert_eq!(last.len(), 1);
    assert!(
        last[0]["outcome"]
            .as_str()
            .unwrap()
            .starts_with("too many wrong codes")
    );
}

/// What is asked of each route that changes something: a body that does, or is refused, for a reason of its own.
fn changes() -> Vec<(&'static str, Value)> {
    let issue = json!({
        "batch": "walk", "count": 1, "amount_micro": 1, "currency": "EUR", "expires_unix_ms": EXPIRY
    });
    vec![
        ("/v1/operations", json!({"block": {"account": "alice"}})),
        ("/v1/operations", json!({"block": {"account": "nobody"}})),
        ("/v1/vouchers", issue.clone()),
        // The name is taken.
        ("/v1/vouchers", issue),
        // This daemon is no accounting manager.
        ("/v1/peers/sessions/{id}/close", json!({})),
        ("/v1/invoices/close", json!({"period": "2020-01"})),
        ("/v1/invoices/close", json!({"period": "2020-01"})),
        // It is not over.
        ("/v1/invoices/close", json!({"period": "2999-01"})),
    ]
}

/// The description of the API is tested against its routes, so that none can be left out here.
#[tokio::test]
async fn whatever_a_route_changes_or_refuses_to_stands_in_the_audit_log() {
    let mut daemon = Daemon::new("audit");
    daemon.start_working().await;
    daemon.account("alice", 1).await;
    let description = include_str!("../src/api/openapi.json");
    let description: Value = serde_json::from_str(description).unwrap();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let is_here = changes().iter().any(|(known, _)| known == path);
            assert!(
                method == "get" || (method == "post" && is_here),
                "{method} {path}: say above what is asked of it"
            );
        }
    }
    let log = async || {
        let lines = daemon.ask("/audit?limit=1000").await;
        lines.as_array().unwrap().clone()
    };
    for (path, body) in changes() {
        let before = log().await.len();
        let answer = post(&daemon, path.strip_prefix("/v1").unwrap(), body.clone()).await;
        let lines = log().await;
        assert_eq!(lines.len(), before + 1, "{path} {body}: {answer:?}");
        let line = &lines[before];
        assert!(line["who"].as_str().unwrap().starts_with("uid "), "{line}");
        assert_eq!(
            line["outcome"] == "done",
            answer.is_ok() && line["outcome"] != "it was closed already",
            "{line}"
        );
        if let Err((_, error)) = answer {
            assert_eq!(line["outcome"], error);
        }
    }
    let outcomes: Vec<Value> = (log().await.iter().rev().take(3))
        .map(|line| line["outcome"].clone())
        .collect();
    assert_eq!(outcomes[1], "it was closed already");
    assert_eq!(outcomes[2], "done");
}
