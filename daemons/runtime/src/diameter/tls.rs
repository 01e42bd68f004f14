//! Diameter over TLS (RFC 6733 2.1, 13.1): the files, what is made of them, and whose name a certificate holds.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{self, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing::{error, info};

use crate::config::Invalid;
use crate::diameter::Address;
use crate::diameter::stream::TlsStream;

/// TLS 1.3 and 1.2; what is older is broken (RFC 8996).
const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
/// Names of a foreign certificate that a log line repeats.
const NAMES_TOLD: usize = 4;

/// Where a node's certificate, its key and the authorities that vouch for its peers are: files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate with what leads to the authority; names the node's Origin-Host (dNSName).
    pub certificate: PathBuf,
    /// Its key, not encrypted.
    pub key: PathBuf,
    /// The authorities that sign peers' certificates.
    pub ca: PathBuf,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct TlsError {
    /// The configuration's key that names the file, without its table.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong and what would do.
    pub what: String,
}

impl TlsFiles {
    /// The files of the keys `tls_certificate`, `tls_key` and `tls_ca`, if all three are given.
    pub fn of([certificate, key, ca]: [Option<&PathBuf>; 3]) -> Option<Self> {
        Some(Self {
            certificate: certificate?.clone(),
            key: key?.clone(),
            ca: ca?.clone(),
        })
    }

    /// Checks the keys `tls_certificate`, `tls_key` and `tls_ca` of `table`: all of them or none, what `addresses`
    /// need, and the files themselves, for a node named `origin_host`.
    ///
    /// # Errors
    /// The key that does not do, the file and what would do.
    pub fn validate<'a>(
        table: &str,
        files: [Option<&PathBuf>; 3],
        origin_host: &str,
        mut addresses: impl Iterator<Item = &'a Address>,
    ) -> Result<(), Invalid> {
        if let Some(files) = Self::of(files) {
            return files.load(origin_host).map(|_| ()).map_err(|error| {
                Invalid::new(format!("{table}.{}", error.key), error.to_string())
            });
        }
        let mut keys = ["tls_certificate", "tls_key", "tls_ca"]
            .into_iter()
            .zip(files);
        let Some((missing, _)) = keys.find(|(_, file)| file.is_none()) else {
            return Ok(());
        };
        let why = if files.iter().any(Option::is_some) {
            "TLS".to_owned()
        } else {
            match addresses.find(|address| matches!(address, Address::Tls(_))) {
                Some(address) => address.to_string(),
                None => return Ok(()),
            }
        };
        let what =
            format!("missing; {why} needs `tls_certificate`, `tls_key` and `tls_ca`, files in PEM");
        Err(Invalid::new(format!("{table}.{missing}"), what))
    }

    /// Reads the files, for a node named `origin_host`.
    ///
    /// # Errors
    /// The file that cannot be used.
    pub(super) fn load(&self, origin_host: &str) -> Result<Loaded, TlsError> {
        let chain = certificates("tls_certificate", &self.certificate)?;
        let secret = {
            let wrong = |what: String| wrong("tls_key", &self.key, what);
            PrivateKeyDer::from_pem_slice(&read("tls_key", &self.key)?).map_err(|_| {
                wrong(
                    "no private key in PEM in it; an encrypted one must be decrypted (openssl pkey)"
                        .into(),
                )
            })?
        };
        let mut roots = RootCertStore::empty();
        for authority in certificates("tls_ca", &self.ca)? {
            roots.add(authority).map_err(|error| {
                let what = format!("no authority's certificate: {error}");
                wrong("tls_ca", &self.ca, what)
            })?;
        }
        if !chain.first().is_some_and(|it| is_named(it, origin_host)) {
            let what = format!(
                "does not name {origin_host:?}, the node's Origin-Host, as a dNSName (subjectAltName); peers would \
                 refuse it. Have it issued with that name"
            );
            return Err(wrong("tls_certificate", &self.certificate, what));
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(crypto::ring::default_provider());
        let own = |error: rustls::Error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let what = format!("not the key of {}", self.certificate.display());
                wrong("tls_key", &self.key, what)
            }
            other => wrong("tls_key", &self.key, format!("cannot be used: {other}")),
        };
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| wrong("tls_ca", &self.ca, error.to_string()))?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(VERSIONS)
            .map_err(own)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), secret.clone_key())
            .map_err(own)?;
        // Connections stay for days; each one shows its certificate anew, so that none outlives what the files say.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(VERSIONS)
            .map_err(own)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName {
                roots,
                algorithms: provider.signature_verification_algorithms,
            }))
            .with_client_auth_cert(chain, secret)
            .map_err(own)?;
        client.resumption = Resumption::disabled();
        Ok(Loaded {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }
}

fn wrong(key: &'static str, path: &Path, what: String) -> TlsError {
    let path = path.to_owned();
    TlsError { key, path, what }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| {
        let what = format!("cannot be read: {error}; it must exist and the daemon's user read it");
        wrong(key, path, what)
    })
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(key, path)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => {
            let what =
                "no certificate in PEM in it; DER can be converted (openssl x509 -inform DER)";
            Err(wrong(key, path, what.into()))
        }
    }
}

/// Whether `certificate` holds `host` as a dNSName, letter by letter: a wildcard names no Diameter node.
pub(super) fn is_named(certificate: &CertificateDer<'_>, host: &str) -> bool {
    DnsName::try_from(host).is_ok()
        && webpki::EndEntityCert::try_from(certificate).is_ok_and(|certificate| {
            (certificate.valid_dns_names()).any(|name| name.eq_ignore_ascii_case(host))
        })
}

/// Some of the names it holds, for the log.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate);
    certificate.map_or_else(
        |_| Vec::new(),
        |it| (it.valid_dns_names().take(NAMES_TOLD).map(str::to_owned)).collect(),
    )
}

/// Trusts what the authorities signed, whoever it names: who the peer is, its CEA says, and that is compared then.
#[derive(Debug)]
struct AnyName {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What new connections take.
#[derive(Clone)]
pub(super) struct Loaded {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl Loaded {
    /// The handshake of a connection that came in.
    pub(super) async fn accept(
        &self,
        socket: TcpStream,
        timeout: Duration,
    ) -> io::Result<TlsStream> {
        let stream = within(timeout, self.acceptor.accept(socket)).await?;
        let (socket, session) = stream.into_inner();
        TlsStream::new(socket, session.into())
    }

    /// The handshake of a connection to `address`.
    pub(super) async fn connect(
        &self,
        socket: TcpStream,
        address: SocketAddr,
    ) -> io::Result<TlsStream> {
        let name = ServerName::from(address.ip());
        let stream = self.connector.connect(name, socket).await?;
        let (socket, session) = stream.into_inner();
        TlsStream::new(socket, session.into())
    }
}

async fn within<T>(timeout: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(timeout, step)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A node's files, and what was last made of them.
pub(super) struct Tls {
    files: TlsFiles,
    origin_host: String,
    loaded: Mutex<Loaded>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the key.
        self.files.fmt(formatter)
    }
}

impl Tls {
    pub(super) fn new(files: TlsFiles, origin_host: String) -> Result<Self, TlsError> {
        let loaded = Mutex::new(files.load(&origin_host)?);
        Ok(Self {
            files,
            origin_host,
            loaded,
        })
    }

    /// What the next connection takes.
    pub(super) fn loaded(&self) -> Loaded {
        let loaded = self.loaded.lock();
        loaded.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again; those that cannot be used change nothing.
    pub(super) fn reload(&self) {
        match self.files.load(&self.origin_host) {
            Ok(loaded) => {
                *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = loaded;
                info!("certificates read again; new Diameter connections have them");
            }
            Err(wrong) => error!(error = %wrong, "certificates stay as they were"),
        }
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
