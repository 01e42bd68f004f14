//! Names and certificates: what a customer's computer knows before he opens a browser.
//!
//! Programs that are started with [`Internet::command`] have an `/etc/hosts` of their own and may bind every port; servers
//! show certificates of one authority, which clients are told to trust.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};

use crate::net::Host;
use crate::process::{Scratch, run};

/// The names of one test, and the authority that everybody there trusts.
#[derive(Debug)]
pub struct Internet {
    folder: PathBuf,
    addresses: BTreeMap<String, IpAddr>,
    authority: Issuer<'static, KeyPair>,
    authority_pem: String,
    key_digest: [u8; 32],
    tls: Arc<ClientConfig>,
}

impl Internet {
    /// With these names and whose they are.
    ///
    /// # Panics
    /// When its files cannot be written.
    #[must_use]
    pub fn new(scratch: &Scratch, names: &[(&str, &Host)]) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Tollwire's tests");
        let certificate = params.self_signed(&key).expect("a certificate");
        let key_digest = Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&key)).into();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let internet = Self {
            folder: scratch.path().to_owned(),
            addresses: names
                .iter()
                .map(|(name, host)| ((*name).to_owned(), host.ip))
                .collect(),
            authority_pem: certificate.pem(),
            authority: Issuer::new(params, key),
            key_digest,
            tls: Arc::new(tls),
        };
        scratch.write("authority.pem", &internet.authority_pem);
        let lines = internet
            .addresses
            .iter()
            .map(|(name, ip)| format!("{ip} {name}\n"));
        let hosts = format!("127.0.0.1 localhost\n{}", lines.collect::<String>());
        scratch.write("hosts", &hosts);
        for (_, host) in names {
            // Port 443 without a privilege.
            run(host
                .command("sysctl")
                .args(["-qw", "net.ipv4.ip_unprivileged_port_start=0"]));
        }
        internet
    }

    /// Writes `<name>.pem` (with the authority's) and `<name>.key`, and says where.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn certificate(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.authority).expect("signed");
        let (pem, secret) = (
            self.file(&format!("{name}.pem")),
            self.file(&format!("{name}.key")),
        );
        let chain = format!("{}{}", certificate.pem(), self.authority_pem);
        fs::write(&pem, chain).expect("written");
        fs::write(&secret, key.serialize_pem()).expect("written");
        (pem, secret)
    }

    /// The authority's certificate.
    #[must_use]
    pub fn trust_file(&self) -> PathBuf {
        self.file("authority.pem")
    }

    /// Where a name leads.
    ///
    /// # Panics
    /// When it leads nowhere.
    #[must_use]
    pub fn address(&self, name: &str) -> IpAddr {
        *self
            .addresses
            .get(name)
            .unwrap_or_else(|| panic!("no such name: {name}"))
    }

    /// What clients of servers here go by.
    #[must_use]
    pub fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }

    /// SHA-256 of the authority's SubjectPublicKeyInfo: browsers can be told to trust it by that.
    #[must_use]
    pub fn authority_key_digest(&self) -> [u8; 32] {
        self.key_digest
    }

    /// `program` on `host`, to be given its arguments. It knows the names.
    #[must_use]
    pub fn command(&self, host: &Host, program: impl AsRef<Path>) -> Command {
        Self::command_with(&self.hosts_file(), host, program)
    }

    /// The same, by where the names stand.
    pub(crate) fn command_with(hosts: &Path, host: &Host, program: impl AsRef<Path>) -> Command {
        let mut command = host.command("unshare");
        command
            .args(["--mount", "--", "sh", "-c"])
            .arg("mount --bind \"$0\" /etc/hosts && exec \"$@\"")
            .arg(hosts)
            .arg(program.as_ref());
        command
    }

    /// What its programs have in the place of `/etc/hosts`.
    #[must_use]
    pub fn hosts_file(&self) -> PathBuf {
        self.file("hosts")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
