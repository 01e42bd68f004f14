//! The HTTP API of the real daemon, asked by Python (`tests/netns/api/client.py`) with certificates that openssl made.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sha2::{Digest, Sha256};
use support::ro::{DEADLINE, Daemon};

fn finish(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{command:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let arguments = arguments.split(' ');
    let mut command = Command::new("openssl");
    finish(command.current_dir(folder).args(arguments)).unwrap();
}

/// An authority: NAME.pem and NAME.key.
fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem \
             -addext basicConstraints=critical,CA:TRUE"
        ),
    );
}

/// A certificate for `names` that `by` has signed.
fn certificate(folder: &Path, name: &str, names: &str, by: &str) {
    let leaf = format!(
        "-subj /CN={name} -addext subjectAltName={names} -addext basicConstraints=critical,CA:FALSE"
    );
    openssl(
        folder,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {name}.key -out {name}.pem -CA {by}.pem -CAkey {by}.key {leaf}"
        ),
    );
}

fn secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
}

fn tokens(of: &[(&str, &str, &str)]) -> String {
    of.iter()
        .map(|(name, role, token)| {
            let hash = hex::encode(Sha256::digest(token.as_bytes()));
            format!("{name} {role} {hash}\n")
        })
        .collect()
}

struct Api {
    daemon: Daemon,
    url: String,
}

impl Api {
    /// With these lines in `[api]`, in which `@/` is the folder.
    async fn start(name: &str, lines: &str, prepare: impl FnOnce(&Path)) -> Self {
        let mut daemon = Daemon::new(name);
        let folder = daemon.folder.clone();
        authority(&folder, "ca");
        certificate(&folder, "server", "IP:127.0.0.1", "ca");
        prepare(&folder);
        // Free a moment ago; a bind that fails ends the daemon, and the test.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let path = folder.join("chargingd.toml");
        let lines = lines.replace("@/", &format!("{}/", folder.display()));
        let before = fs::read_to_string(&path).unwrap();
        let config = format!("{before}[api]\nlisten = \"{address}\"\n{lines}\n");
        fs::write(&path, config).unwrap();
        daemon.start_working().await;
        let scheme = match lines.contains("tls_key_file") {
            true => "https",
            false => "http",
        };
        Self {
            url: format!("{scheme}://{address}"),
            daemon,
        }
    }

    fn at(&self, file: &str) -> PathBuf {
        self.daemon.folder.join(file)
    }

    fn python(&self, what: &str, arguments: &[&str]) -> Result<(), String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut command = Command::new(root.join("target/python/bin/python"));
        command
            .arg("-B")
            .arg(root.join("tests/netns/api/client.py"))
            .args([what, &self.url])
            .arg(self.at("ca.pem"))
            .args(arguments);
        finish(&mut command)
    }
}

const TLS: &str = "tls_certificate_file = \"@/server.pem\"\ntls_key_file = \"@/server.key\"\n";
const PLENTY: &str = "requests_per_second = 100000\nburst = 100000\n";

#[tokio::test]
async fn a_token_may_what_its_role_says() {
    let api = Api::start(
        "api-tokens",
        &format!("tokens_file = \"@/tokens\"\n{TLS}{PLENTY}"),
        |folder| {
            let known = tokens(&[
                ("operator", "operate", "operators-secret"),
                ("reports", "read", "readers-secret"),
                ("alice", "customer:alice", "alices-secret"),
            ]);
            secret(&folder.join("tokens"), &known);
        },
    )
    .await;
    let arguments = ["operators-secret", "readers-secret", "alices-secret"];
    api.python("tokens", &arguments).unwrap();

    // A file that is wrong changes nothing; one that is right does, without a restart.
    secret(&api.at("tokens"), "operator operate 1234\n");
    api.daemon.reload();
    let begun = Instant::now();
    while !api.daemon.log().contains("tokens:1: SHA-256 has 64") {
        assert!(begun.elapsed() < DEADLINE, "{}", api.daemon.log());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    api.python("reloaded", &["unknown", "operators-secret"])
        .unwrap();
    secret(
        &api.at("tokens"),
        &tokens(&[("operator", "operate", "another")]),
    );
    api.daemon.reload();
    let begun = Instant::now();
    while let Err(error) = api.python("reloaded", &["operators-secret", "another"]) {
        assert!(begun.elapsed() < DEADLINE, "{error}");
    }
    let log = api.daemon.log();
    for token in arguments {
        assert!(!log.contains(token), "{log}");
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_gets_no_word() {
    let lines =
        format!("{TLS}client_ca_file = \"@/clients.pem\"\ncertificates_file = \"@/certificates\"");
    let api = Api::start("api-certificates", &lines, |folder| {
        authority(folder, "clients");
        authority(folder, "foreign");
        certificate(folder, "portal", "DNS:portal.example", "clients");
        certificate(folder, "stranger", "DNS:stranger.example", "clients");
        // The right name from the wrong authority.
        certificate(folder, "forged", "DNS:portal.example", "foreign");
        secret(&folder.join("certificates"), "dns:portal.example operate\n");
    })
    .await;
    let files: Vec<String> = ["portal", "stranger", "forged"]
        .iter()
        .flat_map(|name| [format!("{name}.pem"), format!("{name}.key")])
        .map(|file| api.at(&file).display().to_string())
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    api.python("certificates", &files).unwrap();
}

#[tokio::test]
async fn a_source_that_asks_too_often_waits() {
    // On the loopback interface, behind a proxy perhaps, it does without TLS.
    let lines = "tokens_file = \"@/tokens\"\nrequests_per_second = 1\nburst = 3";
    let prepare = |folder: &Path| secret(&folder.join("tokens"), "");
    let api = Api::start("api-limit", lines, prepare).await;
    api.python("limited", &[]).unwrap();
}
