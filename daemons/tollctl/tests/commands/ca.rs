//! An authority for trials. What it makes is judged by OpenSSL, and by a command that fails if it is not there.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tollwire_jose::{JoseError, Trust};
use tollwire_peer::Identity;

use crate::daemons::{Outcome, finish, tollctl};

struct Authority(PathBuf);

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Authority {
    /// A directory of its own, with nothing in it yet.
    fn nowhere() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollctl-ca-{}-{count}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn made(options: &[&str]) -> Self {
        let authority = Self::nowhere();
        authority.does(&[&["init"], options].concat());
        authority
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = tollctl();
        command.arg("--json").arg("ca").args(arguments);
        command.arg("--directory").arg(&self.0);
        finish(command, "")
    }

    /// Runs what must succeed.
    fn does(&self, arguments: &[&str]) -> Value {
        let outcome = self.run(arguments);
        assert_eq!((outcome.code, &*outcome.err), (0, ""), "{outcome:?}");
        serde_json::from_str(&outcome.out).unwrap()
    }

    /// What fails with this code; why.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, code, "{outcome:?}");
        outcome.err
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap()
    }

    /// `openssl verify` of a certificate, with the root and its list.
    fn verify(&self, file: &Path, options: &[&str]) -> (bool, String) {
        openssl(
            &[
                &["verify", "-x509_strict", "-crl_check", "-CAfile"],
                &[text(&self.path("root.pem"))][..],
                &["-CRLfile", text(&self.path("crl.pem"))],
                options,
                &[text(file)],
            ]
            .concat(),
        )
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn openssl(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(arguments).output();
    let output = output.expect("openssl has to be installed for this test");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn path(made: &Value, name: &str) -> PathBuf {
    PathBuf::from(made[name].as_str().unwrap())
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// The public key of a certificate and that of a private key.
fn public_keys(made: &Value) -> (String, String) {
    let certificate = path(made, "certificate");
    let key = path(made, "key_file");
    let (good, of_certificate) = openssl(&["x509", "-noout", "-pubkey", "-in", text(&certificate)]);
    assert!(good, "{of_certificate}");
    let (good, of_key) = openssl(&["pkey", "-pubout", "-in", text(&key)]);
    assert!(good, "{of_key}");
    (of_certificate, of_key)
}

#[test]
fn openssl_takes_what_is_issued_and_refuses_what_is_revoked() {
    for (root, party) in [
        (&[][..], &[][..]),
        (&["--ed25519"], &["--ed25519"]),
        (&[], &["--ed25519"]),
    ] {
        let authority = Authority::made(root);
        let issue = |name: &str| authority.does(&[&["issue", name], party].concat());
        let (alice, provider) = (issue("urn:tollwire:alice"), issue("Provider.example"));
        for made in [&alice, &provider] {
            let (good, said) = authority.verify(&path(made, "certificate"), &[]);
            assert!(good, "{said}");
            let (of_certificate, of_key) = public_keys(made);
            assert_eq!(of_certificate, of_key);
        }
        let (good, said) = openssl(&[
            "x509",
            "-noout",
            "-serial",
            "-ext",
            "subjectAltName,keyUsage,basicConstraints",
            "-in",
            text(&path(&alice, "certificate")),
        ]);
        assert!(good, "{said}");
        assert!(said.contains("URI:urn:tollwire:alice\n"), "{said}");
        assert!(said.contains("CA:FALSE"), "{said}");
        assert!(said.contains("Digital Signature"), "{said}");
        assert_eq!(said.contains("Key Agreement"), party.is_empty(), "{said}");
        let serial = alice["serial"].as_str().unwrap();
        assert!(
            said.contains(&serial.to_ascii_uppercase()),
            "{said} {serial}"
        );
        let (_, said) = openssl(&[
            "x509",
            "-noout",
            "-ext",
            "subjectAltName",
            "-in",
            text(&path(&provider, "certificate")),
        ]);
        assert!(said.contains("DNS:provider.example\n"), "{said}");

        let revoked =
            authority.does(&["revoke", "urn:tollwire:alice", "--reason", "key-compromise"]);
        assert_eq!(revoked["revoked"], serde_json::json!([serial]));
        let (good, said) = authority.verify(&path(&alice, "certificate"), &[]);
        assert!(!good && said.contains("certificate revoked"), "{said}");
        let (good, said) = authority.verify(&path(&provider, "certificate"), &[]);
        assert!(good, "{said}");

        // A list that is out of date is none.
        let (good, said) =
            authority.verify(&path(&provider, "certificate"), &["-attime", "2000000000"]);
        assert!(!good && said.contains("CRL has expired"), "{said}");
        // And another root is another.
        let other = Authority::made(root);
        let (good, said) = other.verify(&path(&provider, "certificate"), &[]);
        assert!(!good, "{said}");
    }
}

#[test]
fn parties_are_what_peers_take_and_servers_are_not() {
    let authority = Authority::made(&[]);
    let now = jiff::Timestamp::now().as_second();
    let verify = |made: &Value| {
        let (root, list) = (authority.read("root.pem"), authority.read("crl.pem"));
        let trust = Trust::new(&root, [list.as_str()]).unwrap();
        let read = |name| std::fs::read_to_string(path(made, name)).unwrap();
        let identity = Identity::from_pem(&read("certificate"), &read("key_file")).unwrap();
        trust.verify(identity.chain(), now)
    };
    let one = authority.does(&["issue", "urn:x:one"]);
    let other = authority.does(&["issue", "other.example", "--ed25519"]);
    let server = authority.does(&["issue", "other.example", "--server"]);
    let certified = verify(&one).unwrap();
    assert_eq!(
        (certified.name.as_str(), Some(certified.serial.as_str())),
        ("urn:x:one", one["serial"].as_str())
    );
    assert_eq!(verify(&other).unwrap().name, "other.example");
    assert!(matches!(verify(&server), Err(JoseError::Certificate(_))));
    authority.does(&["revoke", "urn:x:one"]);
    assert_eq!(verify(&one), Err(JoseError::Revoked));
    assert!(verify(&other).is_ok());
}

#[test]
fn lists_have_numbers_ends_and_reasons() {
    let authority = Authority::made(&["--crl-days", "3"]);
    let show = || {
        let list = authority.path("crl.pem");
        let (good, said) = openssl(&[
            "crl",
            "-noout",
            "-text",
            "-in",
            text(&list),
            "-CAfile",
            text(&authority.path("root.pem")),
        ]);
        assert!(good && said.contains("verify OK"), "{said}");
        said
    };
    let first = show();
    assert!(first.contains("No Revoked Certificates"), "{first}");
    assert!(
        first.contains("X509v3 CRL Number: \n                1\n"),
        "{first}"
    );
    assert!(first.contains("Next Update"), "{first}");
    let one = authority.does(&["issue", "urn:x:one"]);
    let renewed = authority.does(&["renew", "urn:x:one"]);
    let serials = [&one, &renewed].map(|made| made["serial"].as_str().unwrap().to_owned());
    // The old one alone, as others write its number.
    authority.does(&[
        "revoke",
        "--serial",
        &serials[0].to_ascii_uppercase(),
        "--reason",
        "superseded",
    ]);
    let second = show();
    assert!(
        second.contains("X509v3 CRL Number: \n                2\n"),
        "{second}"
    );
    assert!(
        second.contains(&serials[0].to_ascii_uppercase()),
        "{second}"
    );
    assert!(second.contains("Superseded"), "{second}");
    assert!(
        !second.contains(&serials[1].to_ascii_uppercase()),
        "{second}"
    );
    let list = authority.does(&["crl", "--days", "7"]);
    assert_eq!(
        (list["crl_number"].as_u64(), list["entries"].as_u64()),
        (Some(3), Some(1))
    );
    assert!(show().contains(&serials[0].to_ascii_uppercase()));
    let states: Vec<_> = authority
        .does(&["list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["state"].clone())
        .collect();
    assert_eq!(states, ["revoked", "valid"]);
    let why = authority.fails(1, &["revoke", "--serial", &serials[0]]);
    assert!(why.contains("no certificate of it is good"), "{why}");
}

#[test]
fn renewal_keeps_the_name_and_the_key_unless_told() {
    let authority = Authority::made(&[]);
    let first = authority.does(&["issue", "urn:x:bob"]);
    let (key, _) = public_keys(&first);
    let second = authority.does(&["renew", "urn:x:bob", "--days", "10"]);
    assert_eq!(first["certificate"], second["certificate"]);
    assert_ne!(first["serial"], second["serial"]);
    assert_eq!(public_keys(&second), (key.clone(), key.clone()));
    let third = authority.does(&["renew", "urn:x:bob", "--new-key", "--ed25519"]);
    let (other, of_key) = public_keys(&third);
    assert_eq!(other, of_key);
    assert_ne!(key, other);
    assert_eq!(
        (third["key"].as_str(), third["names"][0].as_str()),
        (Some("ed25519"), Some("urn:x:bob"))
    );
    let (good, said) = authority.verify(&path(&third, "certificate"), &[]);
    assert!(good, "{said}");
    assert_eq!(mode(&path(&third, "key_file")), 0o600);

    // A key that others know is not certified again.
    authority.does(&["revoke", "urn:x:bob", "--reason", "key-compromise"]);
    let why = authority.fails(1, &["renew", "urn:x:bob"]);
    assert!(why.contains("--new-key"), "{why}");
    authority.does(&["renew", "urn:x:bob", "--new-key"]);
}

#[test]
fn servers_have_hosts_and_addresses_and_are_no_parties() {
    let authority = Authority::made(&[]);
    let server = [
        "issue",
        "manager.example",
        "--server",
        "--also",
        "10.0.0.1",
        "--also",
        "::1",
    ];
    let server = authority.does(&server);
    let certificate = path(&server, "certificate");
    for options in [
        ["-verify_hostname", "manager.example"],
        ["-verify_ip", "10.0.0.1"],
        ["-verify_ip", "::1"],
    ] {
        let (good, said) = authority.verify(
            &certificate,
            &[&["-purpose", "sslserver"], &options[..]].concat(),
        );
        assert!(good, "{said}");
    }
    let (good, said) = authority.verify(&certificate, &["-purpose", "sslclient"]);
    assert!(!good, "{said}");
    // The same name as a party is another certificate.
    let party = authority.does(&["issue", "manager.example"]);
    assert_ne!(party["certificate"], server["certificate"]);
    // Unless it is said whose, a name's are revoked all.
    let revoked = authority.does(&["revoke", "manager.example"]);
    assert_eq!(revoked["revoked"].as_array().unwrap().len(), 2);
}

#[test]
fn https_works_with_what_is_issued() {
    use tollwire_web::{Client, Server, client, server};
    for kind in [&[][..], &["--ed25519"]] {
        let authority = Authority::made(kind);
        let issue = ["issue", "localhost", "--server", "--also", "127.0.0.1"];
        let made = authority.does(&[&issue, kind].concat());
        let config = server::Config {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            tls_certificate_file: Some(path(&made, "certificate")),
            tls_key_file: Some(path(&made, "key_file")),
            ..server::Config::default()
        };
        let trusting = client::Config {
            trust_file: Some(authority.path("root.pem")),
            allow_private: true,
            ..client::Config::default()
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let router = axum::Router::new().fallback(async || "hello");
            let server = Server::start(&config, router).await.unwrap();
            let port = server.address().unwrap().port();
            let client = Client::new(&trusting).unwrap();
            for host in ["localhost", "127.0.0.1"] {
                let answer = client
                    .get(&format!("https://{host}:{port}/"))
                    .await
                    .unwrap();
                assert_eq!(answer.text(), "hello");
            }
            let another = Authority::made(&[]);
            let trust_file = Some(another.path("root.pem"));
            let client = Client::new(&client::Config {
                trust_file,
                ..trusting
            })
            .unwrap();
            assert!(
                client
                    .get(&format!("https://localhost:{port}/"))
                    .await
                    .is_err()
            );
        });
    }
}

#[test]
fn keys_are_nobody_elses_to_read() {
    let authority = Authority::made(&[]);
    let made = authority.does(&["issue", "urn:x:alice"]);
    for key in [
        authority.path("root.key"),
        path(&made, "key_file"),
        authority.path("index.json"),
    ] {
        assert_eq!(mode(&key), 0o600, "{}", key.display());
    }
    for public in [
        authority.path("root.pem"),
        authority.path("crl.pem"),
        path(&made, "certificate"),
    ] {
        assert_eq!(mode(&public), 0o644, "{}", public.display());
    }
}

#[test]
fn nothing_is_overwritten() {
    let authority = Authority::made(&["--name", "One"]);
    let root = authority.read("root.pem");
    let why = authority.fails(1, &["init"]);
    assert!(why.contains("not touched"), "{why}");
    assert_eq!(authority.read("root.pem"), root);
    authority.does(&["issue", "urn:x:alice"]);
    let why = authority.fails(1, &["issue", "urn:x:alice"]);
    assert!(why.contains("ca renew"), "{why}");
    // Names that would be one file are two.
    let files = ["urn:x-alice", "urn-x-alice"]
        .map(|name| path(&authority.does(&["issue", name]), "certificate"));
    assert_ne!(files[0], files[1]);
    std::fs::write(authority.path("parties/urn-x-carol.key"), "mine").unwrap();
    let why = authority.fails(1, &["issue", "urn:x:carol"]);
    assert!(why.contains("not of this authority"), "{why}");
    assert_eq!(authority.read("parties/urn-x-carol.key"), "mine");
}

#[test]
fn what_cannot_be_is_refused() {
    let nowhere = Authority::nowhere();
    let why = nowhere.fails(1, &["issue", "urn:x:alice"]);
    assert!(why.contains("tollctl ca init"), "{why}");
    let authority = Authority::made(&["--days", "20"]);
    for name in ["", "a b", "10.0.0.1", "urn:", "../../etc/passwd"] {
        authority.fails(2, &["issue", name]);
    }
    authority.fails(2, &["issue", "urn:x:alice", "--days", "0"]);
    authority.fails(2, &["issue", "urn:x:alice", "--also", "b.example"]);
    authority.fails(1, &["renew", "urn:x:alice"]);
    authority.fails(1, &["revoke", "urn:x:alice"]);
    // Nothing outlives its root.
    let made = authority.does(&["issue", "urn:x:alice", "--days", "400"]);
    let days = (made["until_unix_ms"].as_i64().unwrap() - made["from_unix_ms"].as_i64().unwrap())
        / 86_400_000;
    assert_eq!(days, 20);
}

#[test]
fn two_at_once_take_turns() {
    let authority = Authority::made(&[]);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let authority = &authority;
            scope.spawn(move || authority.does(&["issue", &format!("urn:x:{number}")]));
        }
    });
    assert_eq!(authority.does(&["list"]).as_array().unwrap().len(), 8);
}
