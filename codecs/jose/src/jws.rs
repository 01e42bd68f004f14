//! Tokens: `BASE64URL(header) . BASE64URL(payload) . BASE64URL(signature)` (RFC 7515 7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest as hash};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

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

fn decoded(text: &str, part: &'static str) -> Result<Vec<u8>, JoseError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| JoseError::Base64(part))
}

fn parsed<T: DeserializeOwned>(octets: &[u8], part: &'static str) -> Result<T, JoseError> {
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
    #[derive(Serialize)]
    struct Written<'a> {
        typ: &'a str,
        alg: &'static str,
        kid: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        jwk: Option<&'a Jwk>,
    }
    let json = |part, result: Result<Vec<u8>, serde_json::Error>| {
        result.map_err(|error| JoseError::Json {
            part,
            reason: error.to_string(),
        })
    };
    let header = Written {
        typ,
        alg: key.public().algorithm().name(),
        kid: key.public().thumbprint(),
        jwk: with_jwk.then(|| key.public()),
    };
    let header = json("header", serde_json::to_vec(&header))?;
    let payload = json("payload", serde_json::to_vec(claims))?;
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.signature(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    match token.len() > LARGEST {
        true => Err(JoseError::TooLarge(token.len())),
        false => Ok(token),
    }
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

fn verified<T: DeserializeOwned>(parts: &Parts<'_>, key: &Jwk, typ: &str) -> Result<T, JoseError> {
    if parts.header.alg != key.algorithm().name() {
        return Err(JoseError::Algorithm(parts.header.alg.clone()));
    }
    if !same_type(&parts.header.typ, typ) {
        return Err(JoseError::Type {
            found: parts.header.typ.clone(),
            awaited: typ.into(),
        });
    }
    if !key.verifies(parts.signed.as_bytes(), &parts.signature) {
        return Err(JoseError::Signature);
    }
    parsed(&decoded(parts.payload, "payload")?, "payload")
}

/// The payload of a token of type `typ` that `key` signed.
///
/// # Errors
/// It is not such a token.
pub fn verify<T: DeserializeOwned>(token: &str, key: &Jwk, typ: &str) -> Result<T, JoseError> {
    verified(&parts(token)?, key, typ)
}

/// The payload of a token of type `typ`, with the key in its header that signed it. Whose key that is remains to be seen.
///
/// # Errors
/// It is not such a token, or has no key.
pub fn verify_embedded<T: DeserializeOwned>(token: &str, typ: &str) -> Result<(T, Jwk), JoseError> {
    let parts = parts(token)?;
    let key = parts.header.jwk.clone().ok_or(JoseError::NoKey)?;
    Ok((verified(&parts, &key, typ)?, key))
}
