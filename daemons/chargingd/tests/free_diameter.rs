//! freeDiameter, an independent implementation, as the peer of the real daemon over TCP.

#[path = "../../runtime/tests/support/authority.rs"]
mod authority;
#[path = "../../runtime/tests/support/free_diameter.rs"]
mod free_diameter;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use authority::Authority;
use free_diameter::{FREE_DIAMETER, FreeDiameter, exchanged, free_port, relay};
use tollwire_diameter::dictionary::command;

const PATIENCE: Duration = Duration::from_secs(30);

/// chargingd listening on a port of loopback, in a folder of its own; both gone at the end.
struct Chargingd {
    folder: PathBuf,
    child: Child,
}

impl Chargingd {
    fn start(port: u16) -> Self {
        Self::run("fd", &format!("127.0.0.1:{port}"), "")
    }

    /// Listens with TLS, with a certificate from `authority`.
    fn start_tls(name: &str, port: u16, authority: &Authority) -> Self {
        let folder = Self::folder(name);
        authority.issue(&folder, "own", &["chargingd.example"]);
        let keys = [("certificate", "pem"), ("key", "key"), ("ca", "ca")]
            .map(|(key, ending)| format!("tls_{key} = \"{}/own.{ending}\"\n", folder.display()))
            .concat();
        Self::run(name, &format!("tls:127.0.0.1:{port}"), &keys)
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("chargingd-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Whether its log tells of `text`.
    fn tells(&self, text: &str) -> bool {
        std::fs::read_to_string(self.folder.join("log")).is_ok_and(|log| log.contains(text))
    }

    fn run(name: &str, address: &str, keys: &str) -> Self {
        let folder = Self::folder(name);
        let at = |file: &str| folder.join(file).display().to_string();
        let config = format!(
            "[diameter]\norigin_host = \"chargingd.example\"\norigin_realm = \"example\"\n\
             listen = [\"{address}\"]\n{keys}[store]\npath = \"{}\"\n\
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

async fn until(folder: &Path, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        let log = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            begun.elapsed() < PATIENCE,
            "{}\n{}",
            log("log"),
            log("freeDiameter.log")
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The same over TLS, as two networks would: each side shows a certificate that one authority signed.
#[tokio::test]
async fn free_diameter_watches_chargingd_over_tls() {
    let authority = Authority::new();
    let port = free_port();
    let mut chargingd = Chargingd::start_tls("fd-tls", port, &authority);
    let folder = chargingd.folder.clone();
    // Who finds nobody there waits long before trying again.
    until(&folder, || chargingd.tells("serving")).await;
    let files = authority.issue(&folder, "fd", &[FREE_DIAMETER]);
    let _peer = FreeDiameter::start_tls(&folder, free_port(), "chargingd.example", port, &files);
    let tells = |text: &str| FreeDiameter::tells(&folder, text);
    until(&folder, || {
        tells("CONNECTED TO 'chargingd.example' (TCP,TLS")
    })
    .await;
    until(&folder, || {
        tells("'Device-Watchdog-Request'") && tells("'Device-Watchdog-Answer'")
    })
    .await;
    // Its folder stays until the log there was read.
    let _stopped = tokio::task::spawn_blocking(move || {
        chargingd.terminate();
        chargingd
    })
    .await
    .unwrap();
    until(&folder, || tells("'Disconnect-Peer-Request'")).await;
}

/// freeDiameter would take a Common Name for the host's, as it was done before there were dNSNames.
#[tokio::test]
async fn a_peer_whose_certificate_has_no_host_name_is_refused_with_a_word_in_the_log() {
    let authority = Authority::new();
    let port = free_port();
    let chargingd = Chargingd::start_tls("fd-other", port, &authority);
    until(&chargingd.folder, || chargingd.tells("serving")).await;
    let files = authority.issue_common_name(&chargingd.folder, "fd", FREE_DIAMETER);
    let _peer = FreeDiameter::start_tls(
        &chargingd.folder,
        free_port(),
        "chargingd.example",
        port,
        &files,
    );
    until(&chargingd.folder, || {
        chargingd.tells("does not name its Origin-Host")
    })
    .await;
    assert!(!chargingd.tells("Diameter peer open"));
}

#[test]
fn check_names_the_file_that_does_not_do() {
    let folder = Chargingd::folder("tls-check");
    let authority = Authority::new();
    authority.issue(&folder, "own", &["chargingd.example"]);
    authority.issue(&folder, "other", &["chargingd.example"]);
    let check = |key: &str| {
        let file = folder.join("chargingd.toml");
        let at = folder.display();
        let text = format!(
            "[diameter]\norigin_host = \"chargingd.example\"\nlisten = [\"tls:127.0.0.1:5658\"]\n\
             tls_certificate = \"{at}/own.pem\"\n{key}\ntls_ca = \"{at}/own.ca\"\n",
        );
        std::fs::write(&file, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_chargingd"))
            .arg("--check")
            .arg("--config")
            .arg(&file)
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let key = |name: &str| format!("tls_key = \"{}/{name}\"", folder.display());
    assert_eq!(check(&key("own.key")), (true, String::new()));
    for (key, what) in [
        (String::new(), "diameter.tls_key: missing"),
        (key("absent.key"), "absent.key: cannot be read"),
        (key("own.pem"), "own.pem: no private key"),
        (key("other.key"), "other.key: not the key of"),
    ] {
        let (fine, said) = check(&key);
        assert!(!fine && said.contains(what), "{key}: {said}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
