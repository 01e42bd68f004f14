//! Public keys as JSON (RFC 7517, RFC 7518 6.2, RFC 8037 2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::{Algorithm, JoseError};

/// Keys that a set may have: more are not looked at.
const MOST_KEYS: usize = 32;

/// A public key, of Ed25519 or P-256. Two are equal if they are the same key, whatever else was said of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Jwk {
    point: Point,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Point {
    Ed25519([u8; 32]),
    P256 { x: [u8; 32], y: [u8; 32] },
}

/// As on the wire. Private parts are not read: a key that says `d` is refused, so that nobody publishes one unnoticed.
#[derive(Serialize, Deserialize)]
struct Raw {
    crv: String,
    kty: String,
    x: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(default, skip_serializing)]
    d: Option<serde::de::IgnoredAny>,
    #[serde(default, skip_serializing, rename = "use")]
    usage: Option<String>,
    #[serde(default, skip_serializing)]
    alg: Option<String>,
}

fn coordinate(text: &str) -> Result<[u8; 32], JoseError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|octets| octets.try_into().ok())
        .ok_or(JoseError::Key(
            "a coordinate of a key is not 32 octets in base64url",
        ))
}

impl TryFrom<Raw> for Jwk {
    type Error = JoseError;

    fn try_from(raw: Raw) -> Result<Self, JoseError> {
        if raw.d.is_some() {
            return Err(JoseError::Key("a private key where a public one belongs"));
        }
        if raw.usage.is_some_and(|usage| usage != "sig") {
            return Err(JoseError::Key("a key that is not for signatures"));
        }
        let point = match (raw.kty.as_str(), raw.crv.as_str(), &raw.y) {
            ("OKP", "Ed25519", None) => Point::Ed25519(coordinate(&raw.x)?),
            ("EC", "P-256", Some(y)) => Point::P256 {
                x: coordinate(&raw.x)?,
                y: coordinate(y)?,
            },
            _ => return Err(JoseError::Key("keys are Ed25519 or P-256")),
        };
        let key = Self { point };
        match raw.alg {
            Some(alg) if alg != key.algorithm().name() => {
                Err(JoseError::Key("a key's alg is not that of its kind"))
            }
            _ => Ok(key),
        }
    }
}

impl From<Jwk> for Raw {
    fn from(key: Jwk) -> Self {
        let (kty, crv, x, y) = match &key.point {
            Point::Ed25519(x) => ("OKP", "Ed25519", x, None),
            Point::P256 { x, y } => ("EC", "P-256", x, Some(URL_SAFE_NO_PAD.encode(y))),
        };
        Self {
            crv: crv.into(),
            kty: kty.into(),
            x: URL_SAFE_NO_PAD.encode(x),
            y,
            d: None,
            usage: None,
            alg: None,
        }
    }
}

impl Jwk {
    /// Of the 32 octets of a public key of Ed25519.
    pub fn ed25519(public: [u8; 32]) -> Self {
        Self {
            point: Point::Ed25519(public),
        }
    }

    /// Of an uncompressed point of P-256: 4, x, y (SEC 1 2.3.3). The point is looked at when it verifies.
    ///
    /// # Errors
    /// Not 65 octets that begin with 4.
    pub fn p256(point: &[u8]) -> Result<Self, JoseError> {
        let broken = JoseError::Key("not an uncompressed point of P-256");
        let (x, y) = match point.split_first() {
            Some((4, rest)) => rest.split_at_checked(32).ok_or(broken.clone())?,
            _ => return Err(broken),
        };
        match (x.try_into(), y.try_into()) {
            (Ok(x), Ok(y)) => Ok(Self {
                point: Point::P256 { x, y },
            }),
            _ => Err(broken),
        }
    }

    pub(crate) fn as_ed25519(&self) -> Option<&[u8; 32]> {
        match &self.point {
            Point::Ed25519(x) => Some(x),
            Point::P256 { .. } => None,
        }
    }

    pub(crate) fn as_p256(&self) -> Option<(&[u8; 32], &[u8; 32])> {
        match &self.point {
            Point::Ed25519(_) => None,
            Point::P256 { x, y } => Some((x, y)),
        }
    }

    /// What this key signs with.
    pub fn algorithm(&self) -> Algorithm {
        match self.point {
            Point::Ed25519(_) => Algorithm::EdDsa,
            Point::P256 { .. } => Algorithm::Es256,
        }
    }

    /// SHA-256 of the key's required members in their order, base64url: 43 characters (RFC 7638 3, RFC 8037 2).
    pub fn thumbprint(&self) -> String {
        let canonical = match &self.point {
            Point::Ed25519(x) => format!(
                r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
                URL_SAFE_NO_PAD.encode(x)
            ),
            Point::P256 { x, y } => format!(
                r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                URL_SAFE_NO_PAD.encode(x),
                URL_SAFE_NO_PAD.encode(y)
            ),
        };
        URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
    }

    /// Whether `signature` is this key's of `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.point {
            Point::Ed25519(x) => UnparsedPublicKey::new(&ED25519, x)
                .verify(message, signature)
                .is_ok(),
            Point::P256 { x, y } => {
                let mut point = [4; 65];
                for (to, from) in point.iter_mut().skip(1).zip(x.iter().chain(y)) {
                    *to = *from;
                }
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .is_ok()
            }
        }
    }
}

/// Several public keys (RFC 7517 5). Those of a kind that is not known here are passed over when it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl<'de> Deserialize<'de> for JwkSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<serde_json::Value>,
        }
        let read = Keys::deserialize(deserializer)?;
        let known = |value| serde_json::from_value(value).ok();
        Ok(Self {
            keys: read
                .keys
                .into_iter()
                .take(MOST_KEYS)
                .filter_map(known)
                .collect(),
        })
    }
}

impl JwkSet {
    /// The key that has this thumbprint.
    pub fn of_thumbprint(&self, thumbprint: &str) -> Option<&Jwk> {
        self.keys.iter().find(|key| key.thumbprint() == thumbprint)
    }
}
