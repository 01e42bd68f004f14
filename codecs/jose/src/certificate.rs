//! X.509 certificates of signers (RFC 5280), and the roots that they are held against.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, SignatureVerificationAlgorithm, TrustAnchor,
    UnixTime,
};
use webpki::ring::{ECDSA_P256_SHA256, ED25519};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::{JoseError, Jwk};

/// Certificates that a chain may have.
const LONGEST: usize = 4;
/// Octets of a party's name at the most.
const LONGEST_NAME: usize = 255;
/// Signatures of certificates and lists that are taken.
const ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 2] = [ECDSA_P256_SHA256, ED25519];

fn bad(what: impl std::fmt::Display) -> JoseError {
    JoseError::Certificate(what.to_string())
}

/// Whom a certificate is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// The first URI of its subjectAltName; without one, the first DNS name (RFC 5280 4.2.1.6). Visible ASCII, at most 255.
    pub name: String,
    /// Its public key.
    pub key: Jwk,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Until when it is valid, seconds since 1970.
    pub not_after: i64,
}

impl Certified {
    fn of(der: &[u8]) -> Result<Self, JoseError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(bad)?;
        if !rest.is_empty() {
            return Err(bad("there is more behind it"));
        }
        // RFC 5280 4.2.1.3: where key usages are named, signatures are one of them.
        if let Some(usage) = certificate.key_usage().map_err(bad)?
            && !usage.value.digital_signature()
        {
            return Err(bad("its key is not for signatures"));
        }
        let names = certificate.subject_alternative_name().map_err(bad)?;
        let names = names.map(|names| names.value.general_names.as_slice());
        let names = names.unwrap_or_default().iter();
        let uri = names.clone().find_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        let dns = names.clone().find_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        });
        let name = uri
            .or(dns)
            .ok_or_else(|| bad("its subjectAltName has no URI and no DNS name"))?;
        if name.is_empty()
            || name.len() > LONGEST_NAME
            || !name.bytes().all(|c| c.is_ascii_graphic())
        {
            return Err(bad("its name is not 1 to 255 visible ASCII characters"));
        }
        let key = &certificate.public_key().subject_public_key.data;
        let key = match <[u8; 32]>::try_from(key.as_ref()) {
            Ok(ed25519) if is_ed25519(&certificate) => Jwk::ed25519(ed25519),
            _ if is_p256(&certificate) => Jwk::p256(key)?,
            _ => return Err(bad("its key is neither of P-256 nor of Ed25519")),
        };
        Ok(Self {
            name: name.to_owned(),
            key,
            serial: certificate
                .raw_serial()
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }
}

/// id-Ed25519 (RFC 8410 3).
fn is_ed25519(certificate: &X509Certificate<'_>) -> bool {
    certificate.public_key().algorithm.algorithm.to_id_string() == "1.3.101.112"
}

/// id-ecPublicKey with secp256r1 (RFC 5480 2.1.1).
fn is_p256(certificate: &X509Certificate<'_>) -> bool {
    let algorithm = &certificate.public_key().algorithm;
    let curve = algorithm.parameters.as_ref();
    let curve = curve.and_then(|parameters| parameters.as_oid().ok());
    algorithm.algorithm.to_id_string() == "1.2.840.10045.2.1"
        && curve.is_some_and(|curve| curve.to_id_string() == "1.2.840.10045.3.1.7")
}

/// A certificate with those that lead to a root, the signer's first. Nothing of it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    /// In base64, as `x5c` has them.
    written: Vec<String>,
    certified: Certified,
}

impl Chain {
    fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, JoseError> {
        let first = certificates.first().ok_or_else(|| bad("there is none"))?;
        if certificates.len() > LONGEST {
            return Err(bad(format_args!("more than {LONGEST} in a chain")));
        }
        Ok(Self {
            certified: Certified::of(first)?,
            written: certificates
                .iter()
                .map(|der| STANDARD.encode(der))
                .collect(),
            certificates,
        })
    }

    /// Of PEM, `BEGIN CERTIFICATE`, the signer's first.
    ///
    /// # Errors
    /// None, too many, or one that is none.
    pub fn from_pem(text: &str) -> Result<Self, JoseError> {
        let certificates =
            CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>();
        Self::new(certificates.map_err(bad)?)
    }

    /// As `x5c` has it: base64, not base64url (RFC 7515 4.1.6).
    pub(crate) fn of_header(x5c: &[String]) -> Result<Self, JoseError> {
        let decoded = |text: &String| {
            let der = STANDARD.decode(text).map_err(|_| JoseError::Base64("x5c"));
            der.map(CertificateDer::from)
        };
        Self::new(
            x5c.iter()
                .take(LONGEST + 1)
                .map(decoded)
                .collect::<Result<_, _>>()?,
        )
    }

    /// The chain in a token's header. Nothing of the token is looked at but that.
    ///
    /// # Errors
    /// No token, or no chain in it.
    pub fn of_token(token: &str) -> Result<Self, JoseError> {
        Self::of_header(&crate::header(token)?.x5c)
    }

    /// As PEM, the signer's first.
    pub fn to_pem(&self) -> String {
        let mut pem = String::new();
        for written in &self.written {
            pem.push_str("-----BEGIN CERTIFICATE-----\n");
            for (index, character) in written.chars().enumerate() {
                if index > 0 && index % 64 == 0 {
                    pem.push('\n');
                }
                pem.push(character);
            }
            pem.push_str("\n-----END CERTIFICATE-----\n");
        }
        pem
    }

    pub(crate) fn written(&self) -> &[String] {
        &self.written
    }

    /// Whose it says it is.
    pub fn certified(&self) -> &Certified {
        &self.certified
    }
}

/// Roots, and lists of what was revoked.
pub struct Trust {
    roots: Vec<TrustAnchor<'static>>,
    revoked: Vec<CertRevocationList<'static>>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "Trust({} roots, {} lists)",
            self.roots.len(),
            self.revoked.len()
        )
    }
}

impl Trust {
    /// Of PEM: root certificates (`BEGIN CERTIFICATE`), and lists (`BEGIN X509 CRL`). Without a list nothing is looked up
    /// in one; with any, each issuer below a root needs one that is not out of date.
    ///
    /// # Errors
    /// No root, or something that is none.
    pub fn new<'a>(
        roots: &str,
        revoked: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, JoseError> {
        let roots = CertificateDer::pem_slice_iter(roots.as_bytes())
            .map(|der| {
                let der = der.map_err(bad)?;
                let root = anchor_from_trusted_cert(&der).map_err(bad)?;
                Ok(root.to_owned())
            })
            .collect::<Result<Vec<_>, JoseError>>()?;
        if roots.is_empty() {
            return Err(bad("there is no root"));
        }
        let revoked = (revoked.into_iter())
            .flat_map(|text| CertificateRevocationListDer::pem_slice_iter(text.as_bytes()))
            .map(|der| {
                let list = OwnedCertRevocationList::from_der(&der.map_err(bad)?).map_err(bad)?;
                Ok(CertRevocationList::Owned(list))
            })
            .collect::<Result<Vec<_>, JoseError>>()?;
        Ok(Self { roots, revoked })
    }

    /// Whose `chain` is, if it leads to a root and nothing of it is revoked, at `now_unix` seconds (RFC 5280 6.1, 6.3).
    /// Extended key usages, if there are, must include clientAuth.
    ///
    /// # Errors
    /// [`JoseError::Certificate`] or [`JoseError::Revoked`].
    pub fn verify(&self, chain: &Chain, now_unix: i64) -> Result<Certified, JoseError> {
        let now = u64::try_from(now_unix).map_err(|_| bad("the clock stands before 1970"))?;
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        let (first, above) =
            (chain.certificates.split_first()).ok_or_else(|| bad("there is none"))?;
        let first = EndEntityCert::try_from(first).map_err(bad)?;
        let lists: Vec<_> = self.revoked.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        first
            .verify_for_usage(
                &ALGORITHMS,
                &self.roots,
                above,
                now,
                KeyUsage::client_auth(),
                revocation,
                None,
            )
            .map_err(|error| match error {
                webpki::Error::CertRevoked => JoseError::Revoked,
                error => bad(error),
            })?;
        Ok(chain.certified.clone())
    }
}
