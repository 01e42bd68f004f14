//! Whose adverts are believed (RFC 2608 8.5, 8.6; docs/slp-authentication.md).

use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use tollwire_slp::signature::{ED25519_OVER_ALL, of_directory_agent, of_service_agent};
use tollwire_slp::text::{self, Context};
use tollwire_slp::{AuthenticationBlock, Body, Function, Unencodable, decode};

use crate::error::Error;

/// A key that adverts are verified with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyingKey {
    /// SLP SPI: its name.
    pub spi: String,
    /// Ed25519 public key, 32 octets in hex.
    pub public_key: String,
}

/// The keys. Without any all adverts are believed.
#[derive(Debug, Default)]
pub(crate) struct Trust(Vec<(String, [u8; 32])>);

impl Trust {
    pub(crate) fn of(keys: &[VerifyingKey]) -> Result<Self, Error> {
        let keys = keys.iter().map(|key| {
            let octets = hex::decode(&key.public_key).ok();
            let octets = octets.and_then(|octets| octets.try_into().ok());
            match (spi_of(key), octets) {
                (spi, Some(octets)) if !spi.is_empty() => Ok((spi, octets)),
                _ => Err(Error::Unfit(
                    "a key to verify with has an SPI, and a public_key of 64 hex digits",
                )),
            }
        });
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// Whether `octets` may be acted upon at `unix_seconds`: they are no advert, or one that a key of ours has signed.
    pub(crate) fn admits(&self, octets: &[u8], unix_seconds: u64) -> bool {
        let is_advert = matches!(
            tollwire_slp::agent::peek(octets),
            Some((_, Function::DaAdvert | Function::SaAdvert))
        );
        if self.0.is_empty() || !is_advert {
            return true;
        }
        let Ok(message) = decode(octets) else {
            return false;
        };
        match &message.body {
            Body::DaAdvert(advert) => {
                self.is_signed(&advert.authentication, unix_seconds, |block| {
                    of_directory_agent(block.spi, block.timestamp, advert)
                })
            }
            Body::SaAdvert(advert) => {
                self.is_signed(&advert.authentication, unix_seconds, |block| {
                    of_service_agent(block.spi, block.timestamp, advert)
                })
            }
            _ => true,
        }
    }

    fn is_signed(
        &self,
        blocks: &[AuthenticationBlock<'_>],
        unix_seconds: u64,
        signed: impl Fn(&AuthenticationBlock<'_>) -> Result<Vec<u8>, Unencodable>,
    ) -> bool {
        blocks.iter().any(|block| {
            let ours = |(spi, _): &&(String, [u8; 32])| text::equal(spi, block.spi);
            let Some((_, key)) = self.0.iter().find(ours) else {
                return false;
            };
            block.block_structure_descriptor == ED25519_OVER_ALL
                && u64::from(block.timestamp) > unix_seconds
                && signed(block).is_ok_and(|octets| {
                    UnparsedPublicKey::new(&ED25519, key)
                        .verify(&octets, block.body)
                        .is_ok()
                })
        })
    }
}

/// The name of a key, as messages say it.
pub(crate) fn spi_of(key: &VerifyingKey) -> String {
    text::escape(key.spi.trim(), Context::Scope)
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use tollwire_slp::message::{DaAdvert, SrvRply};
    use tollwire_slp::signature::block;
    use tollwire_slp::{Header, Message, encode};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn encoded(body: Body<'_>) -> Vec<u8> {
        let mut octets = Vec::new();
        let message = Message {
            header: Header {
                language: "en",
                ..Header::default()
            },
            body,
            extensions: Vec::new(),
        };
        encode(&message, &mut octets).unwrap();
        octets
    }

    fn advert(scopes: &str, signed_scopes: &str, timestamp: u64, pair: &Ed25519KeyPair) -> Vec<u8> {
        let timestamp = u32::try_from(timestamp).unwrap();
        let mut advert = DaAdvert {
            boot_timestamp: 7,
            url: "service:directory-agent://192.0.2.1",
            scopes: signed_scopes,
            ..DaAdvert::default()
        };
        let octets = of_directory_agent("Bank", timestamp, &advert).unwrap();
        let signature = pair.sign(&octets);
        advert.scopes = scopes;
        advert.authentication = vec![block("Bank", timestamp, signature.as_ref())];
        encoded(Body::DaAdvert(advert))
    }

    #[test]
    fn adverts_need_a_signature_that_is_right_and_holds() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        let key = VerifyingKey {
            spi: "bank".into(),
            public_key: hex::encode(pair.public_key().as_ref()),
        };
        let trust = Trust::of(std::slice::from_ref(&key)).unwrap();
        let admits = |octets: &[u8]| trust.admits(octets, NOW);
        assert!(admits(&advert("A", "A", NOW + 1, &pair)));
        assert!(!admits(&advert("A", "A", NOW, &pair)), "over");
        assert!(!admits(&advert("B", "A", NOW + 1, &pair)), "changed");
        assert!(!admits(&advert("A", "A", NOW + 1, &other)), "another key");
        let plain = encoded(Body::DaAdvert(DaAdvert::default()));
        assert!(!admits(&plain), "none");
        assert!(Trust::default().admits(&plain, NOW));
        let reply = encoded(Body::SrvRply(SrvRply::default()));
        assert!(admits(&reply), "no advert");
        assert!(!admits(&plain[..plain.len() - 1]), "broken");

        for broken in ["", "00", "zz"] {
            let key = VerifyingKey {
                public_key: broken.into(),
                ..key.clone()
            };
            assert!(Trust::of(&[key]).is_err());
        }
    }
}
