//! Keys: whose signatures are believed, and what this agent signs with (docs/slp-authentication.md).

use std::path::Path;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use tollwire_slp::signature::ED25519_OVER_ALL;
use tollwire_slp::text::{self, Context};
use tollwire_slp::{AuthenticationBlock, ErrorCode};

use crate::config::Authentication;

/// The keys of this agent.
#[derive(Debug, Default)]
pub struct Keys {
    verify: Vec<(String, [u8; 32])>,
    sign: Option<Signer>,
}

/// A key to sign with.
#[derive(Debug)]
pub struct Signer {
    /// SLP SPI, as messages say it.
    pub spi: String,
    pair: Ed25519KeyPair,
    validity_seconds: u32,
}

impl Signer {
    /// When a signature made now ends to hold, in seconds since 1970.
    pub fn timestamp(&self, unix_ms: i64) -> u32 {
        let now = u32::try_from(unix_ms / 1_000).unwrap_or(u32::MAX);
        now.saturating_add(self.validity_seconds)
    }

    /// The signature of what is to be signed.
    pub fn sign(&self, octets: &[u8]) -> Vec<u8> {
        self.pair.sign(octets).as_ref().to_vec()
    }
}

impl Keys {
    /// Reads the keys that are configured. The key to sign with is one to verify with too.
    ///
    /// # Errors
    /// The key of the configuration, or the file, and what is wrong with it. Never the secret itself.
    pub fn read(config: &Authentication) -> Result<Self, String> {
        let mut keys = Self::default();
        for key in &config.verify {
            let named = |why: &str| format!("authentication.verify: {}: {why}", key.spi);
            let octets = hex::decode(&key.public_key)
                .ok()
                .and_then(|octets| octets.try_into().ok())
                .ok_or_else(|| named("public_key has to be 64 hex digits"))?;
            keys.add(&key.spi, octets).map_err(|why| named(&why))?;
        }
        if let Some(sign) = &config.sign {
            let pair = read_seed(&sign.seed_file)?;
            let public: [u8; 32] = pair
                .public_key()
                .as_ref()
                .try_into()
                .map_err(|_| "authentication.sign: not an Ed25519 key".to_owned())?;
            let spi = text::escape(&sign.spi, Context::Scope);
            if !keys.knows(&spi) {
                keys.add(&sign.spi, public)
                    .map_err(|why| format!("authentication.sign: {why}"))?;
            }
            keys.sign = Some(Signer {
                spi,
                pair,
                validity_seconds: sign.validity_seconds,
            });
        }
        Ok(keys)
    }

    fn add(&mut self, spi: &str, key: [u8; 32]) -> Result<(), String> {
        let folded = text::fold(spi).into_owned();
        if folded.is_empty() {
            return Err("an SPI has a name".into());
        }
        if self.verify.iter().any(|(known, _)| *known == folded) {
            return Err("two keys of one SPI".into());
        }
        self.verify.push((folded, key));
        Ok(())
    }

    /// Whether signatures of this SPI can be verified.
    pub fn knows(&self, spi: &str) -> bool {
        self.key_of(spi).is_some()
    }

    fn key_of(&self, spi: &str) -> Option<&[u8; 32]> {
        let folded = text::fold(spi);
        self.verify
            .iter()
            .find(|(known, _)| text::escape(known, Context::Scope) == folded)
            .map(|(_, key)| key)
    }

    /// The key to sign with, for an answer that needs this SPI; any will do for what nobody asked for.
    pub fn signer(&self, spi: Option<&str>) -> Option<&Signer> {
        self.sign
            .as_ref()
            .filter(|signer| spi.is_none_or(|spi| text::equal(&signer.spi, spi)))
    }

    /// Comma list of the SPIs that can be verified (RFC 2608 8.5).
    pub fn spis(&self) -> String {
        let names: Vec<String> = self
            .verify
            .iter()
            .map(|(spi, _)| text::escape(spi, Context::Scope))
            .collect();
        names.join(",")
    }

    /// Verifies a block over the octets that it signs.
    ///
    /// # Errors
    /// AUTHENTICATION_UNKNOWN for an SPI or a descriptor that is not ours, DSA among them; AUTHENTICATION_FAILED for a
    /// signature that is wrong, or over.
    pub fn verify(
        &self,
        unix_ms: i64,
        block: &AuthenticationBlock<'_>,
        octets: &[u8],
    ) -> Result<(), ErrorCode> {
        let key = self
            .key_of(block.spi)
            .filter(|_| block.block_structure_descriptor == ED25519_OVER_ALL)
            .ok_or(ErrorCode::AUTHENTICATION_UNKNOWN)?;
        if i64::from(block.timestamp) * 1_000 <= unix_ms {
            return Err(ErrorCode::AUTHENTICATION_FAILED);
        }
        UnparsedPublicKey::new(&ED25519, key)
            .verify(octets, block.body)
            .map_err(|_| ErrorCode::AUTHENTICATION_FAILED)
    }
}

fn read_seed(path: &Path) -> Result<Ed25519KeyPair, String> {
    let named = |why: &str| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| named(&error.to_string()))?;
    let seed = hex::decode(text.trim()).map_err(|_| named("not hex digits"))?;
    Ed25519KeyPair::from_seed_unchecked(&seed)
        .map_err(|_| named("an Ed25519 seed is 64 hex digits"))
}

#[cfg(test)]
mod tests {
    use tollwire_slp::UrlEntry;
    use tollwire_slp::message::SrvReg;
    use tollwire_slp::signature::{block, of_registration};

    use super::*;
    use crate::config::{SigningKey, VerifyingKey};

    /// RFC 8032 7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn keys(name: &str) -> Keys {
        let name = format!("slpd-seed-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, format!("{SEED}\n")).expect("written");
        let keys = Keys::read(&Authentication {
            verify: vec![VerifyingKey {
                spi: "Bank, one".into(),
                public_key: PUBLIC.into(),
            }],
            sign: Some(SigningKey {
                spi: "bank,  ONE".into(),
                seed_file: path.clone(),
                validity_seconds: 60,
            }),
        });
        std::fs::remove_file(path).expect("removed");
        keys.expect("they are right")
    }

    /// The vector of docs/slp-authentication.md.
    #[test]
    fn what_is_signed_octet_by_octet() {
        let registration = SrvReg {
            url: UrlEntry {
                lifetime: 600,
                url: "service:billing:https://b",
                authentication: Vec::new(),
            },
            service_type: "service:billing:https",
            scopes: "DEFAULT",
            attributes: "(fee=12)",
            authentication: Vec::new(),
        };
        let octets =
            of_registration("bank", 1_800_000_000, "en", true, &registration).expect("short");
        let expected = b"Tollwire SLP 1\0\x03\0\x04bank\x6b\x49\xd2\x00\x01\0\x02en\x02\x58\
            \0\x19service:billing:https://b\0\x15service:billing:https\0\x07DEFAULT\0\x08(fee=12)";
        assert_eq!(octets, expected);
        let keys = keys("octets");
        let signature = keys.signer(None).expect("a key").sign(&octets);
        let document = include_str!("../../../docs/slp-authentication.md");
        assert!(
            document.contains(&hex::encode(&signature)),
            "{}",
            hex::encode(&signature)
        );
        assert!(
            document
                .replace(char::is_whitespace, "")
                .contains(&hex::encode(&octets))
        );
    }

    #[test]
    fn only_what_was_signed_by_who_says_so_and_holds() {
        let keys = keys("verify");
        assert!(keys.knows(r"bank\2c ONE") && !keys.knows("bank") && !keys.knows(""));
        assert_eq!(keys.spis(), r"bank\2c one");
        let signer = keys.signer(Some(r"BANK\2c one")).expect("a key");
        assert!(keys.signer(Some("other")).is_none());
        assert_eq!(signer.timestamp(5_000), 65);
        let signature = signer.sign(b"this");
        let good = block(&signer.spi, 65, &signature);
        assert_eq!(keys.verify(64_999, &good, b"this"), Ok(()));
        assert_eq!(
            keys.verify(65_000, &good, b"this"),
            Err(ErrorCode::AUTHENTICATION_FAILED)
        );
        assert_eq!(
            keys.verify(0, &good, b"that"),
            Err(ErrorCode::AUTHENTICATION_FAILED)
        );
        let mut wrong = signature.clone();
        wrong[0] ^= 1;
        assert_eq!(
            keys.verify(0, &block(&signer.spi, 65, &wrong), b"this"),
            Err(ErrorCode::AUTHENTICATION_FAILED)
        );
        assert_eq!(
            keys.verify(0, &block(&signer.spi, 65, b"short"), b"this"),
            Err(ErrorCode::AUTHENTICATION_FAILED)
        );
        let stranger = block("stranger", 65, &signature);
        assert_eq!(
            keys.verify(0, &stranger, b"this"),
            Err(ErrorCode::AUTHENTICATION_UNKNOWN)
        );
        // RFC 2608's own DSA: known for what it is, and not verified.
        let dsa = AuthenticationBlock {
            block_structure_descriptor: tollwire_slp::authentication::DSA_WITH_SHA1,
            ..good
        };
        assert_eq!(
            keys.verify(0, &dsa, b"this"),
            Err(ErrorCode::AUTHENTICATION_UNKNOWN)
        );
    }
}
