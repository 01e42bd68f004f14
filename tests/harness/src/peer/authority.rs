//! An authority by `tollctl ca`, and the parties that it vouches for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tollwire_jose::{Chain, SigningKey, sign_certified};

use crate::daemons::program;
use crate::process::{Scratch, run};

/// A directory that `tollctl ca` made.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
}

/// A certificate, its key, and the files they are in.
#[derive(Debug)]
pub struct Identity {
    /// As its certificate says.
    pub name: String,
    /// PEM, with the chain.
    pub certificate: PathBuf,
    /// PEM.
    pub key_file: PathBuf,
    /// The private key.
    pub key: SigningKey,
    chain: Chain,
}

impl Identity {
    /// What is in these files.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn read(name: &str, certificate: &Path, key_file: &Path) -> Self {
        let text = |path: &Path| {
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        Self {
            name: name.to_owned(),
            key: SigningKey::from_pem(&text(key_file)).expect("a key"),
            chain: Chain::from_pem(&text(certificate)).expect("a certificate"),
            certificate: certificate.to_owned(),
            key_file: key_file.to_owned(),
        }
    }

    /// A message of this type, with the chain in its header.
    ///
    /// # Panics
    /// When it is too large.
    #[must_use]
    pub fn sign(&self, typ: &str, claims: &Value) -> String {
        sign_certified(&self.key, &self.chain, typ, claims).expect("signed")
    }
}

impl Authority {
    /// A new one, called so. It was made ten days ago, so that something of it may have ended meanwhile.
    ///
    /// # Panics
    /// When `tollctl ca` refuses.
    #[must_use]
    pub fn new(scratch: &Scratch, name: &str) -> Self {
        Self::called(scratch, name, name)
    }

    /// A new one in this folder, whatever it calls itself.
    ///
    /// # Panics
    /// When `tollctl ca` refuses.
    #[must_use]
    pub fn called(scratch: &Scratch, folder: &str, name: &str) -> Self {
        let authority = Self {
            directory: scratch.path().join(folder),
        };
        // The list of ten days ago is good for twenty more.
        authority.tollctl(-10, &["init", "--name", name]);
        authority
    }

    /// The certificate that parties trust.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.directory.join("root.pem")
    }

    /// What is revoked.
    #[must_use]
    pub fn list(&self) -> PathBuf {
        self.directory.join("crl.pem")
    }

    /// A party of this name.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn issue(&self, name: &str) -> Identity {
        self.issued(0, name, &[])
    }

    /// One whose key is of Ed25519.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn issue_ed25519(&self, name: &str) -> Identity {
        self.issued(0, name, &["--ed25519"])
    }

    /// One whose certificate ended days ago.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn issue_expired(&self, name: &str) -> Identity {
        self.issued(-5, name, &["--days", "1"])
    }

    /// Takes back what a name has.
    ///
    /// # Panics
    /// When it is refused.
    pub fn revoke(&self, name: &str) {
        self.tollctl(0, &["revoke", name]);
    }

    /// The list as it was made so many days ago, good for one day.
    ///
    /// # Panics
    /// When it is refused.
    pub fn list_of(&self, days_ago: i32) {
        self.tollctl(-days_ago, &["crl", "--days", "1"]);
    }

    fn issued(&self, days: i32, name: &str, options: &[&str]) -> Identity {
        let made = self.tollctl(days, &[&["issue", name], options].concat());
        let made: Value = serde_json::from_str(&made).expect("JSON");
        let path = |field: &str| PathBuf::from(made[field].as_str().expect("a path"));
        Identity::read(name, &path("certificate"), &path("key_file"))
    }

    fn tollctl(&self, days: i32, arguments: &[&str]) -> String {
        let mut command = Command::new(program("tollctl"));
        command
            .args(["--json", "ca"])
            .args(arguments)
            .arg("--directory")
            .arg(&self.directory);
        if days != 0 {
            command
                .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1")
                .env("FAKETIME", format!("{days}d"));
        }
        run(&mut command)
    }
}
