//! What several tests need.
#![allow(dead_code)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tollwire_web::{client, server};

/// How long a condition may take.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A folder for one test, empty at first and gone at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let name = format!("tollwire-web-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server on a free port of the loopback interface, without TLS.
pub fn plain() -> server::Config {
    server::Config {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        ..server::Config::default()
    }
}

/// The same with a certificate that it makes.
pub fn secure(folder: &Folder) -> server::Config {
    server::Config {
        tls_certificate_file: Some(folder.path("certificate.pem")),
        tls_key_file: Some(folder.path("key.pem")),
        self_signed_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        ..plain()
    }
}

/// A client that trusts it and may call this host.
pub fn client(folder: &Folder) -> client::Config {
    client::Config {
        trust_file: Some(folder.path("certificate.pem")),
        allow_private: true,
        ..client::Config::default()
    }
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
