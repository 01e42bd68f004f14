//! Encrypted messages: JWE in compact serialization (RFC 7516), `ECDH-ES` (RFC 7518 4.6) with `A256GCM`.
//!
//! To a key of P-256 as it is. To one of Ed25519 by X25519 (RFC 8037 3.2), with the same key in its Montgomery form (RFC 7748
//! 4.1): certificates of Ed25519 have no other key to encrypt to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use curve25519_dalek::MontgomeryPoint;
use p256::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::jws::{decoded, json, parsed};
use crate::{JoseError, Jwk, LARGEST, SigningKey};

const ALGORITHM: &str = "ECDH-ES";
const ENCRYPTION: &str = "A256GCM";
/// Octets of the tag (RFC 7518 5.3).
const TAG: usize = 16;

type Secret = Zeroizing<[u8; 32]>;

/// The sender's key of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EphemeralKey {
    kty: String,
    crv: String,
    x: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    enc: String,
    epk: EphemeralKey,
    #[serde(default, skip_serializing)]
    crit: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    zip: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    apu: Option<IgnoredAny>,
    #[serde(default, skip_serializing)]
    apv: Option<IgnoredAny>,
}

impl EphemeralKey {
    fn x25519(point: MontgomeryPoint) -> Self {
        Self {
            kty: "OKP".into(),
            crv: "X25519".into(),
            x: URL_SAFE_NO_PAD.encode(point.0),
            y: None,
        }
    }

    fn p256(key: &p256::PublicKey) -> Result<Self, JoseError> {
        let point = key.to_encoded_point(false);
        match (point.x(), point.y()) {
            (Some(x), Some(y)) => Ok(Self {
                kty: "EC".into(),
                crv: "P-256".into(),
                x: URL_SAFE_NO_PAD.encode(x),
                y: Some(URL_SAFE_NO_PAD.encode(y)),
            }),
            _ => Err(JoseError::Encryption),
        }
    }

    /// For whom has a key of X25519.
    fn as_x25519(&self) -> Result<MontgomeryPoint, JoseError> {
        match (self.kty.as_str(), self.crv.as_str(), &self.y) {
            ("OKP", "X25519", None) => Ok(MontgomeryPoint(coordinate(&self.x)?)),
            _ => Err(JoseError::Encryption),
        }
    }

    /// For whom has a key of P-256. Points that are not on the curve are refused.
    fn as_p256(&self) -> Result<p256::PublicKey, JoseError> {
        match (self.kty.as_str(), self.crv.as_str(), &self.y) {
            ("EC", "P-256", Some(y)) => p256_point(&coordinate(&self.x)?, &coordinate(y)?),
            _ => Err(JoseError::Encryption),
        }
    }
}

fn coordinate(text: &str) -> Result<[u8; 32], JoseError> {
    decoded(text, "epk")?
        .try_into()
        .map_err(|_| JoseError::Encryption)
}

fn p256_point(x: &[u8; 32], y: &[u8; 32]) -> Result<p256::PublicKey, JoseError> {
    let point = p256::EncodedPoint::from_affine_coordinates(x.into(), y.into(), false);
    p256::PublicKey::from_sec1_bytes(point.as_bytes()).map_err(|_| JoseError::Encryption)
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, JoseError> {
    let mut octets = Zeroizing::new([0; N]);
    SystemRandom::new()
        .fill(octets.as_mut_slice())
        .map_err(|_| JoseError::Key("no random octets for a key"))?;
    Ok(octets)
}

/// X25519. A point of small order gives a secret that everybody knows: refused (RFC 7748 6.1).
fn x25519(point: MontgomeryPoint, scalar: &[u8; 32]) -> Result<Secret, JoseError> {
    let shared = point.mul_clamped(*scalar);
    match shared.0.iter().fold(0, |all, octet| all | octet) {
        0 => Err(JoseError::Encryption),
        _ => Ok(Zeroizing::new(shared.0)),
    }
}

fn p256_shared(secret: &p256::SecretKey, public: &p256::PublicKey) -> Secret {
    let shared = diffie_hellman(secret.to_nonzero_scalar(), public.as_affine());
    Zeroizing::new((*shared.raw_secret_bytes()).into())
}

/// The content's key: one round of the Concat KDF with SHA-256 (RFC 7518 4.6.2). Nobody is named by apu or apv.
fn content_key(shared: &Secret) -> Result<LessSafeKey, JoseError> {
    let mut context = Context::new(&SHA256);
    context.update(&1u32.to_be_bytes());
    context.update(shared.as_slice());
    context.update(&(ENCRYPTION.len() as u32).to_be_bytes());
    context.update(ENCRYPTION.as_bytes());
    context.update(&0u32.to_be_bytes());
    context.update(&0u32.to_be_bytes());
    context.update(&256u32.to_be_bytes());
    let key = UnboundKey::new(&AES_256_GCM, context.finish().as_ref());
    key.map(LessSafeKey::new).map_err(|_| JoseError::Encryption)
}

/// A new key for one message, and the secret that it shares with `to`.
fn agree(to: &Jwk) -> Result<(EphemeralKey, Secret), JoseError> {
    if let Some(point) = to.as_ed25519() {
        let point = ed25519_dalek::VerifyingKey::from_bytes(point)
            .map_err(|_| JoseError::Key("not a point of Ed25519"))?;
        let scalar = random()?;
        let ephemeral = EphemeralKey::x25519(MontgomeryPoint::mul_base_clamped(*scalar));
        return Ok((ephemeral, x25519(point.to_montgomery(), &scalar)?));
    }
    let (x, y) = to.as_p256().ok_or(JoseError::Encryption)?;
    let public = p256_point(x, y)?;
    let secret = p256::SecretKey::from_slice(random::<32>()?.as_slice())
        .map_err(|_| JoseError::Key("no random octets for a key"))?;
    let ephemeral = EphemeralKey::p256(&secret.public_key())?;
    Ok((ephemeral, p256_shared(&secret, &public)))
}

/// `plaintext` for whom has the private key of `to`, as a compact JWE. A new ephemeral key each time.
///
/// # Errors
/// `to` is no point of its curve, the result is larger than [`LARGEST`], or the system gives no random octets.
pub fn encrypt(to: &Jwk, plaintext: &[u8]) -> Result<String, JoseError> {
    let (epk, shared) = agree(to)?;
    let header = json(
        "header",
        &Header {
            alg: ALGORITHM.into(),
            enc: ENCRYPTION.into(),
            epk,
            crit: None,
            zip: None,
            apu: None,
            apv: None,
        },
    )?;
    let mut token = URL_SAFE_NO_PAD.encode(header);
    let iv: Zeroizing<[u8; NONCE_LEN]> = random()?;
    let mut text = plaintext.to_vec();
    let tag = content_key(&shared)?
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(*iv),
            Aad::from(token.as_bytes()),
            &mut text,
        )
        .map_err(|_| JoseError::Encryption)?;
    // Agreed directly: there is no encrypted key (RFC 7518 4.6).
    token.push('.');
    for part in [iv.as_slice(), &text, tag.as_ref()] {
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(part, &mut token);
    }
    match token.len() > LARGEST {
        true => Err(JoseError::TooLarge(token.len())),
        false => Ok(token),
    }
}

/// What was encrypted for `key`.
///
/// # Errors
/// It is no compact JWE of this kind, not for this key, or was changed.
pub fn decrypt(key: &SigningKey, token: &str) -> Result<Zeroizing<Vec<u8>>, JoseError> {
    if token.len() > LARGEST {
        return Err(JoseError::TooLarge(token.len()));
    }
    let mut parts = token.split('.');
    let parts = [(); 5]
        .map(|()| parts.next())
        .into_iter()
        .chain([parts.next()]);
    let parts: Vec<&str> = parts.flatten().collect();
    let [head, "", iv, text, tag] = parts[..] else {
        return Err(JoseError::Encryption);
    };
    let header: Header = parsed(&decoded(head, "header")?, "header")?;
    if header.crit.is_some() || header.zip.is_some() || header.apu.is_some() || header.apv.is_some()
    {
        return Err(JoseError::Critical);
    }
    if header.alg != ALGORITHM || header.enc != ENCRYPTION {
        return Err(JoseError::Algorithm(format!(
            "{} {}",
            header.alg, header.enc
        )));
    }
    let shared = match key.x25519_scalar() {
        Some(scalar) => x25519(header.epk.as_x25519()?, &*scalar?)?,
        None => p256_shared(&key.p256_secret()?, &header.epk.as_p256()?),
    };
    let iv = Nonce::try_assume_unique_for_key(&decoded(iv, "iv")?);
    let iv = iv.map_err(|_| JoseError::Encryption)?;
    let tag = decoded(tag, "tag")?;
    if tag.len() != TAG {
        return Err(JoseError::Encryption);
    }
    let mut sealed = Zeroizing::new(decoded(text, "ciphertext")?);
    let length = sealed.len();
    sealed.extend_from_slice(&tag);
    content_key(&shared)?
        .open_in_place(iv, Aad::from(head.as_bytes()), &mut sealed)
        .map_err(|_| JoseError::Encryption)?;
    sealed.truncate(length);
    Ok(sealed)
}
