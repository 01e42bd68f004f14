//! Tariffs of the running daemon: read again on SIGHUP, all of them or none.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollwire_runtime::admin::client;

const DEADLINE: Duration = Duration::from_secs(30);

/// The daemon in a folder of its own; both gone at the end.
struct Daemon {
    folder: PathBuf,
    child: Child,
}

impl Daemon {
    async fn start(tariffs: &str, sheet: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("chargingd-tariffs-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let at = |file: &str| folder.join(file).display().to_string();
        let config = format!(
            "[diameter]\nlisten = [\"unix:{}\"]\n[store]\npath = \"{}\"\n[records]\ndirectory = \"{}\"\n\
             [tariffs]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n",
            at("ro.sock"),
            at("chargingd.db"),
            at("records"),
            at("tariffs.toml"),
            at("admin.sock"),
        );
        std::fs::write(folder.join("chargingd.toml"), config).unwrap();
        std::fs::write(folder.join("tariffs.toml"), tariffs).unwrap();
        std::fs::write(folder.join("rates.csv"), sheet).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_chargingd"))
            .arg("--config")
            .arg(folder.join("chargingd.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let daemon = Self { folder, child };
        daemon
            .until("it answers", async || {
                client::get::<Value>(&daemon.folder.join("admin.sock"), "/health")
                    .await
                    .is_ok()
            })
            .await;
        daemon
    }

    async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !condition().await {
            assert!(begun.elapsed() < DEADLINE, "{what}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    async fn tariffs(&self) -> Value {
        client::get(&self.folder.join("admin.sock"), "/tariffs")
            .await
            .unwrap()
    }

    /// Names in force.
    async fn names(&self) -> Vec<String> {
        let tariffs = self.tariffs().await;
        let all = tariffs.as_array().unwrap().iter();
        all.map(|tariff| tariff["name"].as_str().unwrap().to_owned())
            .collect()
    }

    fn change(&self, file: &str, text: &str) {
        std::fs::write(self.folder.join(file), text).unwrap();
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGHUP).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn an_error_in_what_is_read_again_changes_nothing() {
    let book = "[calling_groups]\nstaff = [\"4930\"]\n\
        [[tariff]]\nname = \"calls\"\ncurrency = \"EUR\"\nprice_per_minute_micro = 600000\n\
        [[csv]]\nfile = \"rates.csv\"\ntariff = { currency = \"EUR\" }\n";
    let sheet = "prefix,name,price_per_minute\n49,germany,0.02\n";
    let daemon = Daemon::start(book, sheet).await;
    assert_eq!(daemon.names().await, ["calls", "germany"]);
    let groups: Value = client::get(&daemon.folder.join("admin.sock"), "/calling-groups")
        .await
        .unwrap();
    assert_eq!(groups, json!({ "staff": ["4930"] }));
    let before = daemon.tariffs().await;

    // The first tariff of the file is a new one, the last is wrong.
    let wrong = book
        .replace("calls", "changed")
        .replace("rates.csv", "missing.csv");
    for (file, text, error) in [
        ("tariffs.toml", wrong.as_str(), "missing.csv: "),
        (
            "tariffs.toml",
            "[[tariff]]\nname = 5\n",
            "tariffs.toml:2: tariff.name",
        ),
    ] {
        daemon.change(file, text);
        daemon
            .until(error, async || daemon.log().contains(error))
            .await;
        assert_eq!(daemon.tariffs().await, before);
    }
    std::fs::write(
        daemon.folder.join("tariffs.toml"),
        book.replace("calls", "changed"),
    )
    .unwrap();
    daemon.change(
        "rates.csv",
        "prefix,name,price_per_minute\n49,germany,0.02\n49,other,0.02\n",
    );
    let error = "rates.csv:3: tariff";
    daemon
        .until(error, async || daemon.log().contains(error))
        .await;
    assert_eq!(daemon.tariffs().await, before);

    daemon.change(
        "rates.csv",
        "prefix,name,price_per_minute\n43,austria,0.02\n",
    );
    daemon
        .until("the new tariffs", async || {
            daemon.names().await == ["changed", "austria"]
        })
        .await;
}
