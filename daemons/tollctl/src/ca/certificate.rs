//! What an authority signs: certificates and revocation lists (RFC 5280), without files and without the clock.

use std::net::IpAddr;
use std::time::Duration;

use clap::ValueEnum;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevocationReason, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use serde::{Deserialize, Serialize};

/// Octets of a name: the protocol's parties take no longer one.
const LONGEST_NAME: usize = 255;
/// Characters of a common name (RFC 5280 appendix A.1, ub-common-name).
const LONGEST_COMMON_NAME: usize = 64;
/// Octets of a serial number: 127 random bits, which no two certificates share (RFC 5280 4.1.2.2 allows 20).
const SERIAL_OCTETS: usize = 16;

/// What a key is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Algorithm {
    /// ECDSA on P-256: `ES256`.
    P256,
    /// Ed25519: `EdDSA`.
    Ed25519,
}

impl Algorithm {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// A new key. Of Ed25519 in the first version of PKCS #8, without its public part: OpenSSL 3.0 reads no other.
    pub(super) fn generate(self) -> Result<(KeyPair, String), rcgen::Error> {
        match self {
            Self::P256 => {
                let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
                let pem = key.serialize_pem();
                Ok((key, pem))
            }
            Self::Ed25519 => {
                let mut der = Vec::from(ED25519_HEAD);
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(|_| rcgen::Error::RingUnspecified)?;
                der.extend_from_slice(&seed);
                let key = KeyPair::try_from(der)?;
                let pem = key.serialize_pem();
                Ok((key, pem))
            }
        }
    }
}

/// PKCS #8 of Ed25519 (RFC 8410 7) as far as its seed.
const ED25519_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Usage {
    /// Signatures of a party: a user, a provider, a manager.
    Party,
    /// A TLS server.
    Server,
}

impl Usage {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Party => "party",
            Self::Server => "server",
        }
    }
}

/// Why a certificate is good no more (RFC 5280 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reason {
    /// None is told.
    Unspecified,
    /// Somebody else may have the key.
    KeyCompromise,
    /// The name is another's.
    AffiliationChanged,
    /// Another certificate takes its place.
    Superseded,
    /// The party is no more.
    CessationOfOperation,
    /// The party may no more.
    PrivilegeWithdrawn,
}

impl Reason {
    /// Its code; none rather than "unspecified" (RFC 5280 5.3.1).
    fn code(self) -> Option<RevocationReason> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some(RevocationReason::KeyCompromise),
            Self::AffiliationChanged => Some(RevocationReason::AffiliationChanged),
            Self::Superseded => Some(RevocationReason::Superseded),
            Self::CessationOfOperation => Some(RevocationReason::CessationOfOperation),
            Self::PrivilegeWithdrawn => Some(RevocationReason::PrivilegeWithdrawn),
        }
    }
}

/// Seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    pub(super) from: i64,
    pub(super) until: i64,
}

/// One entry of a revocation list.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) serial: &'a str,
    pub(super) at: i64,
    pub(super) reason: Reason,
}

/// A new serial number, in hexadecimal: positive, and its first octet is not zero, so that everybody writes it alike.
pub(super) fn serial() -> Result<String, getrandom::Error> {
    let mut octets = [0; SERIAL_OCTETS];
    getrandom::fill(&mut octets)?;
    if let Some(first) = octets.first_mut() {
        *first = (*first & 0x7f).max(1);
    }
    Ok(hex::encode(octets))
}

fn number(serial: &str) -> Result<SerialNumber, String> {
    let octets = hex::decode(serial).map_err(|_| format!("{serial:?} is no serial number"))?;
    Ok(SerialNumber::from(octets))
}

/// What is added to 1970.
fn since_1970(unix: i64) -> Result<Duration, String> {
    // The year 9999 ends then.
    let seconds = u64::try_from(unix).ok().filter(|at| *at < 253_402_300_800);
    let seconds = seconds.ok_or_else(|| format!("{unix} is no time of a certificate"))?;
    Ok(Duration::from_secs(seconds))
}

fn said(error: rcgen::Error) -> String {
    error.to_string()
}

/// The subject of an authority or a party. A name that is too long stands in subjectAltName alone.
fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    if name.chars().count() <= LONGEST_COMMON_NAME {
        subject.push(DnType::CommonName, name);
    }
    subject
}

/// Of the root; what it issues has the same issuer and key identifier.
fn root(name: &str) -> CertificateParams {
    let mut root = CertificateParams::default();
    root.distinguished_name = subject(name);
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root.key_identifier_method = KeyIdMethod::Sha256;
    root
}

fn date(params: &mut CertificateParams, serial: &str, validity: Validity) -> Result<(), String> {
    params.serial_number = Some(number(serial)?);
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(validity.from)?;
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(validity.until)?;
    Ok(())
}

/// The certificate of an authority, PEM.
pub(super) fn authority(
    name: &str,
    key: &KeyPair,
    serial: &str,
    validity: Validity,
) -> Result<String, String> {
    let mut params = root(name);
    date(&mut params, serial, validity)?;
    Ok(params.self_signed(key).map_err(said)?.pem())
}

/// What signs in the name of an authority.
pub(super) struct Signer(Issuer<'static, KeyPair>);

impl Signer {
    /// Of an authority's name, and its key in PEM.
    pub(super) fn new(name: &str, key_pem: &str) -> Result<Self, String> {
        let key = KeyPair::from_pem(key_pem).map_err(said)?;
        Ok(Self(Issuer::new(root(name), key)))
    }

    /// A certificate for the first of `names`, and the others; PEM.
    pub(super) fn certificate(
        &self,
        usage: Usage,
        names: &[String],
        key: &KeyPair,
        serial: &str,
        validity: Validity,
    ) -> Result<String, String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(names.first().map_or("", String::as_str));
        params.subject_alt_names = (names.iter())
            .map(|name| alternative(name, usage))
            .collect::<Result<_, _>>()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        match usage {
            // Keys are encrypted to it; one of Ed25519 must not say so (RFC 8410 5).
            Usage::Party if key.algorithm() == &rcgen::PKCS_ECDSA_P256_SHA256 => {
                params.key_usages.push(KeyUsagePurpose::KeyAgreement);
            }
            Usage::Party => {}
            Usage::Server => params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth),
        }
        date(&mut params, serial, validity)?;
        Ok(params.signed_by(key, &self.0).map_err(said)?.pem())
    }

    /// The list of what is revoked, PEM.
    pub(super) fn revocations(
        &self,
        list_number: u64,
        validity: Validity,
        entries: &[Entry<'_>],
    ) -> Result<String, String> {
        let entries = entries.iter().map(|entry| {
            Ok(RevokedCertParams {
                serial_number: number(entry.serial)?,
                revocation_time: date_time_ymd(1970, 1, 1) + since_1970(entry.at)?,
                reason_code: entry.reason.code(),
                invalidity_date: None,
            })
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(1970, 1, 1) + since_1970(validity.from)?,
            next_update: date_time_ymd(1970, 1, 1) + since_1970(validity.until)?,
            crl_number: SerialNumber::from(list_number),
            issuing_distribution_point: None,
            revoked_certs: entries.collect::<Result<_, String>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.0).map_err(said)?;
        list.pem().map_err(said)
    }
}

/// `name` as it is compared: of a host in lower case.
///
/// # Errors
/// What is no name of such a certificate.
pub(super) fn normal(name: &str, usage: Usage) -> Result<String, String> {
    let name = match name.contains(':') {
        true => name.to_owned(),
        false => name.to_ascii_lowercase(),
    };
    alternative(&name, usage).map(|_| name)
}

fn alternative(name: &str, usage: Usage) -> Result<SanType, String> {
    let wrong = |what: &str| Err(format!("{name:?}: {what}"));
    if name.len() > LONGEST_NAME {
        return wrong("a name has at most 255 octets");
    }
    let text = || Ia5String::try_from(name).map_err(said);
    match (usage, name.parse::<IpAddr>(), name.split_once(':')) {
        (Usage::Server, Ok(address), _) => Ok(SanType::IpAddress(address)),
        (Usage::Party, Ok(_), _) => {
            wrong("a party is named by a URI or a host name, not by an address")
        }
        (Usage::Party, Err(_), Some((scheme, rest))) if is_uri(scheme, rest) => {
            Ok(SanType::URI(text()?))
        }
        (Usage::Party, Err(_), Some(_)) => wrong("no URI (RFC 3986): urn:example:alice"),
        (_, Err(_), None) if is_host(name) => Ok(SanType::DnsName(text()?)),
        (Usage::Party, ..) => {
            wrong("neither a URI (urn:example:alice) nor a host name (provider.example)")
        }
        (Usage::Server, ..) => wrong("neither a host name nor an address"),
    }
}

/// Whether it is one by its characters (RFC 3986 2, 3.1).
fn is_uri(scheme: &str, rest: &str) -> bool {
    let of_scheme = |octet: u8| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet);
    let of_rest =
        |octet: u8| octet.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&octet);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(of_scheme)
        && !rest.is_empty()
        && rest.bytes().all(of_rest)
}

/// Whether it is a host name (RFC 1123 2.1).
fn is_host(name: &str) -> bool {
    let of_label = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(of_label)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parties_and_servers() {
        for name in [
            "urn:tollwire:alice",
            "https://alice.example/me",
            "provider.example",
            "localhost",
        ] {
            assert_eq!(normal(name, Usage::Party), Ok(name.into()));
        }
        assert_eq!(
            normal("Provider.EXAMPLE", Usage::Party),
            Ok("provider.example".into())
        );
        for name in [
            "", "a b", ":x", "urn:", "1urn:x", "urn:ä", "10.0.0.1", "::1", "a..b", "-a.b",
        ] {
            assert!(normal(name, Usage::Party).is_err(), "{name:?}");
        }
        assert!(normal(&format!("urn:{}", "x".repeat(600)), Usage::Party).is_err());
        for name in ["10.0.0.1", "::1", "manager.example"] {
            assert_eq!(normal(name, Usage::Server), Ok(name.into()));
        }
        assert!(normal("urn:tollwire:alice", Usage::Server).is_err());
    }

    #[test]
    fn serial_numbers_are_written_alike_by_all() {
        for _ in 0..64 {
            let serial = serial().unwrap();
            assert_eq!(serial.len(), 32);
            let first = u8::from_str_radix(&serial[..2], 16).unwrap();
            assert!((1..0x80).contains(&first), "{serial}");
        }
    }
}
