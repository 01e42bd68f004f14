//! freeDiameter, an independent implementation, as the peer of the real daemon over TCP.

#[path = "../../runtime/tests/support/free_diameter.rs"]
mod free_diameter;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use free_diameter::{FreeDiameter, exchanged, free_port, relay};
use tollwire_diameter::dictionary::command;

const PATIENCE: Duration = Duration::from_secs(30);

/// chargingd listening on a port of loopback, in a folder of its own; both gone at the end.
struct Chargingd {
    folder: PathBuf,
    child: Child,
}

impl Chargingd {
    fn start(port: u16) -> Self {
        let folder = std::env::temp_dir().join(format!("chargingd-{}-fd", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let at = |file: &str| folder.join(file).display().to_string();
        let config = format!(
            "[diameter]\norigin_host = \"chargingd.example\"\norigin_realm = \"example\"\n\
             listen = [\"127.0.0.1:{port}\"]\n[store]\npath = \"{}\"\n\
             [records]\ndirectory = \"{}\"\n[tariffs]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n\
             [accounting_storage]\nenabled = true\npath = \"{}\"\n",
            at("chargingd.db"),
            at("records"),
            at("tariffs.toml"),
            at("admin.sock"),
            at("accounting.db"),
        );
        let tariffs = "[[tariff]]\nname = \"t\"\nprefixes = [\"\"]\ncurrency = \"EUR\"\n\
                       price_per_minute_micro = 600000\n";
        std::fs::write(at("chargingd.toml"), config).unwrap();
        std::fs::write(at("tariffs.toml"), tariffs).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_chargingd"))
            .arg("--config")
            .arg(at("chargingd.toml"))
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        Self { folder, child }
    }

    fn terminate(&mut self) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Chargingd {
    fn drop(&mut self) {
        let _dead = self.child.kill();
        let _reaped = self.child.wait();
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

/// Capabilities exchange, watchdogs until freeDiameter's own came, and our disconnect at the end.
#[tokio::test]
async fn free_diameter_exchanges_capabilities_and_watchdogs_with_chargingd() {
    let port = free_port();
    let mut chargingd = Chargingd::start(port);
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (near_port, record) = relay(target).await;
    let _peer = FreeDiameter::start(
        &chargingd.folder,
        free_port(),
        "chargingd.example",
        near_port,
    );
    let begun = Instant::now();
    for command_code in [command::CAPABILITIES_EXCHANGE, command::DEVICE_WATCHDOG] {
        while !exchanged(&record, command_code, true) {
            assert!(begun.elapsed() < PATIENCE, "{:?}", record.lock());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    tokio::task::spawn_blocking(move || chargingd.terminate())
        .await
        .unwrap();
    while !exchanged(&record, command::DISCONNECT_PEER, false) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", record.lock());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
