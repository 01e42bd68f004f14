//! Certificates and keys of servers, and what clients trust.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn named(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates in a PEM file, one at least.
///
/// # Errors
/// The file, and what is wrong with it.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|error| named(path, error))?
        .collect::<Result<_, _>>()
        .map_err(|error| named(path, error))?;
    match all.is_empty() {
        true => Err(named(path, "no certificate in it")),
        false => Ok(all),
    }
}

/// What shows a certificate (with what it is signed by), and asks for the client's if there are authorities for that;
/// all PEM.
///
/// # Errors
/// The file, and what is wrong with it.
pub fn acceptor(
    certificate: &Path,
    key: &Path,
    client_authorities: Option<&Path>,
) -> Result<TlsAcceptor, String> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(|error| named(path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider())
                .build()
                .map_err(|error| named(path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| named(key, error))?;
    let mut tls = builder
        .with_single_cert(certificates(certificate)?, secret)
        .map_err(|error| named(certificate, error))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(tls)))
}

/// What trusts the authorities in `file`, PEM; those of the system without one.
///
/// # Errors
/// The file, and what is wrong with it.
pub fn connector(file: Option<&Path>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    // Of a distribution's bundle a few may be of a kind that is not known.
    match file {
        Some(file) => roots.add_parsable_certificates(certificates(file)?),
        None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    };
    if roots.is_empty() {
        return Err(match file {
            Some(file) => named(file, "no certificate in it that can be used"),
            None => "the system names no authorities: install ca-certificates".to_owned(),
        });
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Makes a key and a certificate that it signs itself, for `names` (hosts or addresses), if neither file is there:
/// for trials, where the certificate is what clients are told to trust. Whether they were made.
///
/// # Errors
/// Only one of the files is there, or they cannot be written.
pub fn make_self_signed(certificate: &Path, key: &Path, names: &[String]) -> Result<bool, String> {
    match (certificate.exists(), key.exists()) {
        (true, true) => return Ok(false),
        (true, false) => return Err(named(key, "is missing, and its certificate is there")),
        (false, true) => return Err(named(certificate, "is missing, and its key is there")),
        (false, false) => {}
    }
    let made = rcgen::generate_simple_self_signed(names.to_vec())
        .map_err(|error| format!("a certificate for {}: {error}", names.join(", ")))?;
    write_secret(key, made.signing_key.serialize_pem().as_bytes())?;
    write_secret(certificate, made.cert.pem().as_bytes())?;
    tracing::warn!(
        certificate = %certificate.display(),
        names = names.join(", "),
        "a certificate was made that it signs itself, for trials: clients have to be told to trust this file"
    );
    Ok(true)
}

/// Writes a new file of mode 0640 that is not changed if it is there.
pub fn write_secret(path: &Path, octets: &[u8]) -> Result<(), String> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(path)?;
        file.write_all(octets)?;
        file.sync_all()
    };
    write().map_err(|error: std::io::Error| named(path, error))
}
