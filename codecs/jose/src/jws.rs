//! Tokens: `BASE64URL(header) . BASE64URL(payload) . BASE64URL(signature)` (RFC 7515 7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest as hash};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::certificate::{Certified, Chain, Trust};
use crate::session_key::SessionKey;
use crate::{JoseError, Jwk, SigningKey};

/// Octets of a token at the most.
pub const LARGEST: usize = 16 * 1024;

/// What a header says, before anything of it is believed.
#[derive(Debug, Clone, Deserialize)]
pub struct Header {
    /// How it claims to be signed.
    pub alg: String,
    /// What kind of message it claims to be.
    #[serde(default)]
    pub typ: String,
    /// Whose key it is signed with, in words of the signer's.
    #[serde(default)]
    pub kid: Option<String>,
    /// The key that it is signed with. It proves that the signer has it, not who that is.
    #[serde(default)]
    pub jwk: Option<Jwk>,
    /// Certificates of that key, the signer's first, in base64 (RFC 7515 4.1.6).
    #[serde(default)]
    pub(crate) x5c: Vec<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
    #[serde(default)]
    b64: Option<IgnoredAny>,
}

struct Parts<'a> {
    header: Header,
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

pub(crate) fn decoded(text: &str, part: &'static str) -> Result<Vec<u8>, JoseError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| JoseError::Base64(part))
}

pub(crate) fn parsed<T: DeserializeOwned>(
    octets: &[u8],
    part: &'static str,
) -> Result<T, JoseError> {
    serde_json::from_slice(octets).map_err(|error| JoseError::Json {
        part,
        reason: error.to_string(),
    })
}

fn parts(token: &str) -> Result<Parts<'_>, JoseError> {
    if token.len() > LARGEST {
        return Err(JoseError::TooLarge(token.len()));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(JoseError::Parts)?;
    let (header, payload) = signed.split_once('.').ok_or(JoseError::Parts)?;
    if payload.contains('.') {
        return Err(JoseError::Parts);
    }
    let header: Header = parsed(&decoded(header, "header")?, "header")?;
    if header.crit.is_some() || header.b64.is_some() {
        return Err(JoseError::Critical);
    }
    Ok(Parts {
        header,
        signed,
        payload,
        signature: decoded(signature, "signature")?,
    })
}

/// The header of a token, nothing of which is proven: for finding the key by `kid`.
///
/// # Errors
/// It is no compact JWS.
pub fn header(token: &str) -> Result<Header, JoseError> {
    parts(token).map(|parts| parts.header)
}

/// SHA-256 of a token as it is on the wire, base64url: what another message names it by.
pub fn digest(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(hash(&SHA256, token.as_bytes()))
}

#[derive(Serialize)]
struct Written<'a> {
    typ: &'a str,
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'a Jwk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5c: Option<&'a [String]>,
}

pub(crate) fn json(part: &'static str, value: &impl Serialize) -> Result<Vec<u8>, JoseError> {
    serde_json::to_vec(value).map_err(|error| JoseError::Json {
        part,
        reason: error.to_string(),
    })
}

fn signed(
    header: &Written<'_>,
    claims: &impl Serialize,
    signature: impl FnOnce(&[u8]) -> Result<Vec<u8>, JoseError>,
) -> Result<String, JoseError> {
    let header = json("header", header)?;
    let payload = json("payload", claims)?;
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = signature(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    match token.len() > LARGEST {
        true => Err(JoseError::TooLarge(token.len())),
        false => Ok(token),
    }
}

/// `claims` as a token of type `typ`; `kid` is the key's thumbprint, and with `with_jwk` the key itself is there too.
///
/// # Errors
/// The claims are no JSON, too large, or the system gives no random octets.
pub fn sign(
    key: &SigningKey,
    typ: &str,
    claims: &impl Serialize,
    with_jwk: bool,
) -> Result<String, JoseError> {
    let header = Written {
        typ,
        alg: key.public().algorithm().name(),
        kid: Some(&key.public().thumbprint()),
        jwk: with_jwk.then(|| key.public()),
        x5c: None,
    };
    signed(&header, claims, |message| key.signature(message))
}

/// `claims` as a token of type `typ`, with the signer's certificates (`x5c`).
///
/// # Errors
/// The first certificate is not the key's; [`sign`]'s.
pub fn sign_certified(
    key: &SigningKey,
    chain: &Chain,
    typ: &str,
    claims: &impl Serialize,
) -> Result<String, JoseError> {
    if chain.certified().key != *key.public() {
        return Err(JoseError::Key("the certificate is not the key's"));
    }
    let header = Written {
        typ,
        alg: key.public().algorithm().name(),
        kid: None,
        jwk: None,
        x5c: Some(chain.written()),
    };
    signed(&header, claims, |message| key.signature(message))
}

/// `claims` as a token of type `typ` under a key that signer and receiver share: HS256 (RFC 7518 3.2). `kid` names it.
///
/// # Errors
/// The claims are no JSON, or too large.
pub fn sign_hs256(
    key: &SessionKey,
    kid: &str,
    typ: &str,
    claims: &impl Serialize,
) -> Result<String, JoseError> {
    let header = Written {
        typ,
        alg: SessionKey::ALGORITHM,
        kid: Some(kid),
        jwk: None,
        x5c: None,
    };
    signed(&header, claims, |message| Ok(key.tag(message)))
}

/// `application/` may be left out, and case does not count (RFC 7515 4.1.9).
fn same_type(found: &str, awaited: &str) -> bool {
    let short = |typ: &str| {
        let typ = typ.to_ascii_lowercase();
        typ.strip_prefix("application/")
            .map(str::to_owned)
            .unwrap_or(typ)
    };
    short(found) == short(awaited)
}

/// The payload, if it says that it is of `typ` and signed by `algorithm`, and `verifies` what is signed and the signature.
fn verified<T: DeserializeOwned>(
    parts: &Parts<'_>,
    algorithm: &str,
    typ: &str,
    verifies: impl FnOnce(&[u8], &[u8]) -> bool,
) -> Result<T, JoseError> {
    if parts.header.alg != algorithm {
        return Err(JoseError::Algorithm(parts.header.alg.clone()));
    }
    if !same_type(&parts.header.typ, typ) {
        return Err(JoseError::Type {
            found: parts.header.typ.clone(),
            awaited: typ.into(),
        });
    }
    if !verifies(parts.signed.as_bytes(), &parts.signature) {
        return Err(JoseError::Signature);
    }
    parsed(&decoded(parts.payload, "payload")?, "payload")
}

fn verified_by<T: DeserializeOwned>(
    parts: &Parts<'_>,
    key: &Jwk,
    typ: &str,
) -> Result<T, JoseError> {
    verified(parts, key.algorithm().name(), typ, |message, signature| {
        key.verifies(message, signature)
    })
}

/// The payload of a token of type `typ` that `key` signed.
///
/// # Errors
/// It is not such a token.
pub fn verify<T: DeserializeOwned>(token: &str, key: &Jwk, typ: &str) -> Result<T, JoseError> {
    verified_by(&parts(token)?, key, typ)
}

/// The payload of a token of type `typ`, with the key in its header that signed it. Whose key that is remains to be seen.
///
/// # Errors
/// It is not such a token, or has no key.
pub fn verify_embedded<T: DeserializeOwned>(token: &str, typ: &str) -> Result<(T, Jwk), JoseError> {
    let parts = parts(token)?;
    let key = parts.header.jwk.clone().ok_or(JoseError::NoKey)?;
    Ok((verified_by(&parts, &key, typ)?, key))
}

/// The payload of a token of type `typ`, with whose certificate in its header signed it, at `now_unix` seconds.
///
/// # Errors
/// It is not such a token, or the certificate is not one that `trust` leads to.
pub fn verify_certified<T: DeserializeOwned>(
    token: &str,
    typ: &str,
    trust: &Trust,
    now_unix: i64,
) -> Result<(T, Certified), JoseError> {
    let parts = parts(token)?;
    let certified = trust.verify(&Chain::of_header(&parts.header.x5c)?, now_unix)?;
    Ok((verified_by(&parts, &certified.key, typ)?, certified))
}

/// The payload of a token of type `typ` under a shared key (HS256). Which key, [`header`]'s `kid` tells.
///
/// # Errors
/// It is not such a token.
pub fn verify_hs256<T: DeserializeOwned>(
    token: &str,
    key: &SessionKey,
    typ: &str,
) -> Result<T, JoseError> {
    verified(
        &parts(token)?,
        SessionKey::ALGORITHM,
        typ,
        |message, tag| key.verifies(message, tag),
    )
}
