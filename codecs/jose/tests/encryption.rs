//! Encrypted messages: those of another implementation (jwcrypto), our own, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;
use tollwire_jose::{JoseError, LARGEST, SessionKey, SigningKey, decrypt, encrypt};

const P256: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgYbY+XJ6VGydLCgBj
yDW584+dBmuM8xQOOtkLiEkU7zGhRANCAAQbJBUdm1bOYCRWdmUYGyAUnsRsJCu1
9zHuOyV+tQg2bynzGi1L4KQknofioiz3hHyDfm/2EjuKCZFnQwAdadzH
-----END PRIVATE KEY-----
";
const TO_P256: &str = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImVwayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6IndsaWVBTkFOLWxpSUdrWS1YWVdVTXNYTUU2VU1MSVdGTG9hanhoVjc5RU0iLCJ5IjoiSDZzX3Y4NXlXR3c0X28xbTN5UDRPNENUSGkzOUtFTHNlSHVMQ2R1WDNOMCJ9fQ..5gdKe-LtbUjI3ITb.Yggg2gf3if6hxbnhgCu3xFAwjgF2wN63Y5SUHD9orKs._zJP2m85VBkR33DzpmTPzA";

const ED25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
";
const TO_ED25519: &str = "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImVwayI6eyJjcnYiOiJYMjU1MTkiLCJrdHkiOiJPS1AiLCJ4IjoiYldOMGxlenFkbXlCOVk1T0wyazJzSVNpbFR5ci1LTDBhVXRieVNvbDNocyJ9fQ..x8DTtSxlUERFb-BE.GIx-bVorIL4z4rM2MRl8UVBzjB9k7-LjfDf2quIGomw.KXUz1PERSw2pLEmvkDTgYw";

const PLAIN: &[u8] = b"0123456789abcdef0123456789abcdef";

fn keys() -> [SigningKey; 2] {
    [P256, ED25519].map(|pem| SigningKey::from_pem(pem).unwrap())
}

#[test]
fn what_another_implementation_encrypted_is_read() {
    let [p256, ed25519] = keys();
    assert_eq!(*decrypt(&p256, TO_P256).unwrap(), PLAIN);
    assert_eq!(*decrypt(&ed25519, TO_ED25519).unwrap(), PLAIN);
    assert!(decrypt(&p256, TO_ED25519).is_err());
    assert!(decrypt(&ed25519, TO_P256).is_err());
}

#[test]
fn new_keys_of_both_kinds_decrypt_what_is_for_them() {
    let keys = [
        SigningKey::generate_p256().unwrap(),
        SigningKey::generate_ed25519().unwrap(),
    ];
    for key in &keys {
        let session = SessionKey::generate().unwrap();
        let [one, other] = [(), ()].map(|()| encrypt(key.public(), session.octets()).unwrap());
        assert_ne!(one, other);
        assert_eq!(*decrypt(key, &one).unwrap(), session.octets());
        let stranger = SigningKey::generate_p256().unwrap();
        assert!(decrypt(&stranger, &one).is_err());
        assert!(!format!("{session:?}").contains(&format!("{}", session.octets()[0])));
    }
}

/// The message to the key of P-256 with another header.
fn with_header(header: &serde_json::Value) -> String {
    let (_, rest) = TO_P256.split_once('.').unwrap();
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[test]
fn what_the_header_says_is_not_taken_on_trust() {
    let [p256, ed25519] = keys();
    let epk = json!({
        "crv": "P-256", "kty": "EC", "x": "wlieANAN-liIGkY-XYWUMsXME6UMLIWFLoajxhV79EM",
        "y": "H6s_v85yWGw4_o1m3yP4O4CTHi39KELseHuLCduX3N0"
    });
    // A header is authenticated as it was sent.
    let same = json!({"alg": "ECDH-ES", "enc": "A256GCM", "epk": epk});
    assert!(decrypt(&p256, TO_P256).is_ok());
    assert!(decrypt(&p256, &with_header(&same)).is_ok());
    let spaced = json!({"alg": "ECDH-ES", "enc": "A256GCM", "epk": epk, "kid": "x"});
    assert_eq!(
        decrypt(&p256, &with_header(&spaced)),
        Err(JoseError::Encryption)
    );
    for (header, error) in [
        (
            json!({"alg": "dir", "enc": "A256GCM", "epk": epk}),
            JoseError::Algorithm("dir A256GCM".into()),
        ),
        (
            json!({"alg": "ECDH-ES", "enc": "A128GCM", "epk": epk}),
            JoseError::Algorithm("ECDH-ES A128GCM".into()),
        ),
        (
            json!({"alg": "ECDH-ES", "enc": "A256GCM", "epk": epk, "zip": "DEF"}),
            JoseError::Critical,
        ),
        (
            json!({"alg": "ECDH-ES", "enc": "A256GCM", "epk": epk, "crit": ["exp"]}),
            JoseError::Critical,
        ),
        (
            json!({"alg": "ECDH-ES", "enc": "A256GCM", "epk": epk, "apu": "QQ"}),
            JoseError::Critical,
        ),
    ] {
        assert_eq!(
            decrypt(&p256, &with_header(&header)),
            Err(error),
            "{header}"
        );
    }
    // A point that is not on the curve would give the key away bit by bit.
    let mut off = epk.clone();
    off["x"] = off["y"].clone();
    let off = with_header(&json!({"alg": "ECDH-ES", "enc": "A256GCM", "epk": off}));
    assert_eq!(decrypt(&p256, &off), Err(JoseError::Encryption));
    // A point of small order gives a secret that everybody knows.
    let zero = URL_SAFE_NO_PAD.encode([0; 32]);
    let small = json!({"crv": "X25519", "kty": "OKP", "x": zero});
    let small = with_header(&json!({"alg": "ECDH-ES", "enc": "A256GCM", "epk": small}));
    assert_eq!(decrypt(&ed25519, &small), Err(JoseError::Encryption));
}

#[test]
fn the_parts_are_five_and_the_second_is_empty() {
    let [p256, _] = keys();
    let with_key = TO_P256.replace("..", ".QQ.");
    let long = "a".repeat(LARGEST + 1);
    for token in ["", "....", &with_key, &format!("{TO_P256}.")] {
        assert!(decrypt(&p256, token).is_err(), "{token}");
    }
    assert_eq!(decrypt(&p256, &long), Err(JoseError::TooLarge(LARGEST + 1)));
    assert!(matches!(
        encrypt(p256.public(), long.as_bytes()),
        Err(JoseError::TooLarge(_))
    ));
}

proptest! {
    #[test]
    fn whatever_is_changed_is_noticed(at in 0..TO_P256.len(), octet in b'!'..=b'~') {
        let [p256, _] = keys();
        let mut changed = TO_P256.as_bytes().to_vec();
        prop_assume!(changed[at] != octet);
        changed[at] = octet;
        prop_assert!(decrypt(&p256, std::str::from_utf8(&changed).unwrap()).is_err());
    }

    #[test]
    fn anything_may_come(token in "\\PC*") {
        let [p256, ed25519] = keys();
        prop_assert!(decrypt(&p256, &token).is_err());
        prop_assert!(decrypt(&ed25519, &token).is_err());
    }
}
