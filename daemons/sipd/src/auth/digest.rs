//! The digest arithmetic of RFC 7616 3.4, for the two algorithms of RFC 8760.

use md5::Md5;
use sha2::{Digest, Sha256};
use tollwire_sip::digest::Algorithm;

/// H(username ":" realm ":" password) under each algorithm: what is stored in place of a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secrets {
    /// Under MD5.
    pub md5: [u8; 16],
    /// Under SHA-256.
    pub sha256: [u8; 32],
}

/// Secrets are never logged.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Derives both from a password, which is not kept.
    pub fn derive(username: &str, realm: &str, password: &str) -> Self {
        let parts = [username, ":", realm, ":", password];
        Self {
            md5: hash::<Md5>(&parts).into(),
            sha256: hash::<Sha256>(&parts).into(),
        }
    }
}

/// What the client hashed together with its secret.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// SIP method of the request.
    pub method: &'a str,
    /// The `uri` parameter as written.
    pub uri: &'a str,
    /// The `nonce` parameter.
    pub nonce: &'a str,
    /// The `nc` parameter as written: 8 hexadecimal digits.
    pub nonce_count: &'a str,
    /// The `cnonce` parameter.
    pub cnonce: &'a str,
}

/// The `response` a client that knows the password would send with `qop=auth`
/// (RFC 7616 3.4.1): lower-case hexadecimal. `None` for an algorithm that is not served.
pub fn response(
    algorithm: Algorithm,
    secrets: &Secrets,
    answered: &Answered<'_>,
) -> Option<String> {
    match algorithm {
        Algorithm::Md5 => Some(keyed::<Md5>(&secrets.md5, answered)),
        Algorithm::Sha256 => Some(keyed::<Sha256>(&secrets.sha256, answered)),
        Algorithm::Other => None,
    }
}

fn keyed<D: Digest>(secret: &[u8], answered: &Answered<'_>) -> String {
    let request = hex::encode(hash::<D>(&[answered.method, ":", answered.uri]));
    hex::encode(hash::<D>(&[
        &hex::encode(secret),
        ":",
        answered.nonce,
        ":",
        answered.nonce_count,
        ":",
        answered.cnonce,
        ":auth:",
        &request,
    ]))
}

fn hash<D: Digest>(parts: &[&str]) -> sha2::digest::Output<D> {
    let mut hasher = D::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7616 3.9.1: the same request under both algorithms.
    const ANSWERED: Answered<'_> = Answered {
        method: "GET",
        uri: "/dir/index.html",
        nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        nonce_count: "00000001",
        cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    };

    fn mufasa() -> Secrets {
        Secrets::derive("Mufasa", "http-auth@example.org", "Circle of Life")
    }

    #[test]
    fn rfc_7616_3_9_1_md5() {
        assert_eq!(
            response(Algorithm::Md5, &mufasa(), &ANSWERED).as_deref(),
            Some("8ca523f5e9506fed4657c9700eebdbec")
        );
    }

    #[test]
    fn rfc_7616_3_9_1_sha_256() {
        assert_eq!(
            response(Algorithm::Sha256, &mufasa(), &ANSWERED).as_deref(),
            Some("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")
        );
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", mufasa()), "Secrets(..)");
    }
}
