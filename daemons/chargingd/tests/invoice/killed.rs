//! The real daemon, killed while it closes a period.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chargingd::account::Payment;
use chargingd::ledger::Commodity;
use chargingd::store::Place;
use iso_currency::Currency;
use serde_json::{Value, json};
use tollwire_runtime::admin::client;

use crate::books::{Books, Folder, customer};
use crate::made::{about, at};

const DEADLINE: Duration = Duration::from_secs(60);
const CUSTOMERS: usize = 4000;

struct Daemon(Child, std::path::PathBuf);

impl Daemon {
    async fn start(folder: &Folder) -> Self {
        let file = |name: &str| folder.0.join(name).display().to_string();
        let config = format!(
            "[diameter]\nlisten = [\"unix:{}\"]\n[store]\npath = \"{}\"\n[records]\ndirectory = \"{}\"\n\
             [tariffs]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n[invoices]\naddress = \"A\\nB\"\n",
            file("ro.sock"),
            file("chargingd.db"),
            file("records"),
            file("tariffs.toml"),
            file("admin.sock"),
        );
        std::fs::write(folder.0.join("chargingd.toml"), config).unwrap();
        std::fs::write(folder.0.join("tariffs.toml"), "").unwrap();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.0.join("log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_chargingd"))
            .arg("--config")
            .arg(folder.0.join("chargingd.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let daemon = Self(child, folder.0.join("admin.sock"));
        let begun = Instant::now();
        while client::get::<Value>(&daemon.1, "/health").await.is_err() {
            let log = std::fs::read_to_string(folder.0.join("log")).unwrap();
            assert!(begun.elapsed() < DEADLINE, "{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        daemon
    }

    async fn get(&self, path: &str) -> Value {
        client::get(&self.1, path).await.unwrap()
    }

    async fn close(&self) -> Value {
        let begun = Instant::now();
        loop {
            let state: Value =
                client::post(&self.1, "/invoices/close", &json!({ "period": "2026-08" }))
                    .await
                    .unwrap();
            if state["state"] == "closed" {
                return state;
            }
            assert!(begun.elapsed() < DEADLINE, "{state}");
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Rows of `table`, also those that do not count.
fn rows(place: &Place, table: &str) -> i64 {
    let mut count = 0;
    let asked = place.ask(|store| {
        store.query(&format!("SELECT count(*) FROM {table}"), &[], &mut |row| {
            count = row.integer(0)?;
            Ok(())
        })
    });
    asked.map(|()| count).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_a_closing_leaves_all_or_nothing() {
    let folder = Folder::new("killed");
    let place = folder.place();
    let mut books = Books::open(&place);
    for from in (0..CUSTOMERS).step_by(1000) {
        let mut group = Vec::new();
        for number in from..from + 1000 {
            let name = format!("c{number:05}");
            group.push(customer(
                &name,
                Payment::Postpaid,
                Currency::EUR,
                "Europe/Berlin",
            ));
            let (micro, when) = (1_000_001 + number as i64, at("2026-08-10T00:00:00Z"));
            group.push(books.entry(
                &name,
                "@revenue:EUR",
                micro,
                Commodity::Money(Currency::EUR),
                when,
                about("Calls", "", 1900),
            ));
        }
        books.write(group);
    }
    drop(books);
    let mut unfinished = 0;
    for stage in [1, 1500, 3999] {
        let mut daemon = Daemon::start(&folder).await;
        if rows(&place, "period") > 0 {
            break;
        }
        let socket = daemon.1.clone();
        let asked = tokio::spawn(async move {
            client::post::<_, Value>(&socket, "/invoices/close", &json!({ "period": "2026-08" }))
                .await
        });
        let begun = Instant::now();
        // The rows of an earlier attempt are written over in their order, so the first stage alone is seen by count.
        while rows(&place, "invoice") < stage && rows(&place, "period") == 0 {
            assert!(begun.elapsed() < DEADLINE);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        daemon.0.kill().unwrap();
        daemon.0.wait().unwrap();
        let _ = asked.await;
        let daemon = Daemon::start(&folder).await;
        let visible = daemon.get("/invoices?limit=10000").await;
        let periods = daemon.get("/invoices/periods").await;
        match rows(&place, "period") {
            0 => {
                unfinished += 1;
                assert_eq!((visible, periods), (json!([]), json!([])));
            }
            _ => assert_eq!(visible.as_array().unwrap().len(), CUSTOMERS),
        }
    }
    assert!(unfinished > 0, "no closing was killed before its end");
    let daemon = Daemon::start(&folder).await;
    let closed = daemon.close().await;
    assert_eq!(closed["invoices"], CUSTOMERS);
    assert_eq!(daemon.close().await, closed);
    let all = daemon.get("/invoices?period=2026-08&limit=10000").await;
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), CUSTOMERS);
    for (number, invoice) in (1..=CUSTOMERS).rev().zip(all) {
        assert_eq!(invoice["number"], format!("2026-{number:06}"));
    }
    let octets = || async {
        let mut forms = Vec::new();
        for form in ["json", "html", "pdf"] {
            let path = format!("/invoices/2026-000007.{form}");
            forms.push(client::get_octets(&daemon.1, &path).await.unwrap());
        }
        forms
    };
    let first = octets().await;
    assert_eq!(first, octets().await);
    assert!(first[2].starts_with(b"%PDF-1."));
    let json: Value = serde_json::from_slice(&first[0]).unwrap();
    assert_eq!(
        (&json["account"], &json["statement"]["due_minor"]),
        (&json!("c00006"), &json!(100))
    );
    let one = daemon.get("/invoices?account=c00006").await;
    assert_eq!(one[0]["number"], "2026-000007");
    let refused = client::get::<Value>(&daemon.1, "/invoices/2026-004001.json").await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("no invoice 2026-004001")
    );
    for (path, why) in [
        ("/invoices/2026-000001", "the form is missing"),
        ("/invoices/2026-000001.csv", "json, html or pdf"),
        ("/invoices/2026-000001.doc", "a form is"),
        ("/invoices/preview?account=nobody", "no post-paid account"),
        ("/settlements/2026-07.json", "not closed"),
        ("/settlements/2026.json", "no month"),
    ] {
        let refused = client::get::<Value>(&daemon.1, path)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains(why), "{path}: {refused}");
    }
    assert_eq!(daemon.get("/settlements/2026-08.json").await, json!([]));
    let preview = daemon.get("/invoices/preview?account=c00000").await;
    assert_eq!(
        (
            &preview["number"],
            &preview["statement"]["opening"]["micro"]
        ),
        (&Value::Null, &json!(1_000_001))
    );
    let early: Result<Value, _> = client::post(
        &daemon.1,
        "/invoices/close",
        &json!({ "period": "2999-01" }),
    )
    .await;
    assert!(early.unwrap_err().to_string().contains("close it then"));
}
