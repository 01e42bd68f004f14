//! TLS towards webhooks, by rustls.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// What trusts the authorities in `file`, PEM.
pub(super) fn connector(file: &Path) -> Result<TlsConnector, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| named(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| named(&error))?;
        // Of a distribution's bundle a few may be of a kind that is not known.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(named(&"no certificate in it"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
