//! The examples of RFC 7515, RFC 7638 and RFC 8037, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollwire_jose::{
    JoseError, Jwk, JwkSet, LARGEST, SigningKey, header, sign, verify, verify_embedded,
};

/// RFC 7515 A.3.
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
    cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA\
    pmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 8037 A.4.
const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn key(value: Value) -> Jwk {
    serde_json::from_value(value).unwrap()
}

fn p256() -> Jwk {
    key(json!({
        "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    }))
}

fn ed25519() -> Jwk {
    key(json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}))
}

#[test]
fn the_examples_of_the_rfcs_verify() {
    // They have no typ.
    let claims: Value = verify(ES256, &p256(), "").unwrap();
    assert_eq!(claims["iss"], "joe");
    // Its payload is text: everything up to there is right, the signature included.
    let error = verify::<Value>(EDDSA, &ed25519(), "").unwrap_err();
    assert!(
        matches!(
            error,
            JoseError::Json {
                part: "payload",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        ed25519().thumbprint(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn the_example_of_rfc_8037_is_signed_to_the_same_octets() {
    let mut pkcs8 = vec![
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    pkcs8.extend(
        URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap(),
    );
    let signing = SigningKey::from_pkcs8(&pkcs8).unwrap();
    assert_eq!(signing.public(), &ed25519());
    // Ed25519 is deterministic: our own token twice is one token.
    let one = sign(&signing, "a+jwt", &json!({"a": 1}), true).unwrap();
    assert_eq!(
        one,
        sign(&signing, "a+jwt", &json!({"a": 1}), true).unwrap()
    );
    let (claims, by): (Value, Jwk) = verify_embedded(&one, "A+JWT").unwrap();
    assert_eq!((claims, by), (json!({"a": 1}), ed25519()));
}

#[test]
fn keys_survive_pem_and_json() {
    for signing in [
        SigningKey::generate_ed25519().unwrap(),
        SigningKey::generate_p256().unwrap(),
    ] {
        let again = SigningKey::from_pem(&signing.to_pem()).unwrap();
        let token = sign(&again, "t", &json!({"n": 7}), false).unwrap();
        let text = serde_json::to_string(signing.public()).unwrap();
        let public: Jwk = serde_json::from_str(&text).unwrap();
        assert_eq!(
            verify::<Value>(&token, &public, "application/t").unwrap()["n"],
            7
        );
        assert_eq!(header(&token).unwrap().kid.unwrap(), public.thumbprint());
        assert_eq!(public.thumbprint().len(), 43);
        assert!(!format!("{signing:?}").contains("PRIVATE"));
    }
}

#[test]
fn a_set_passes_over_what_it_does_not_know() {
    let set: JwkSet = serde_json::from_value(json!({"keys": [
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"kty": "oct", "k": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "x", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    ]})).unwrap();
    assert_eq!(set.keys, [ed25519()]);
    assert!(set.of_thumbprint(&ed25519().thumbprint()).is_some());
    assert!(set.of_thumbprint(&p256().thumbprint()).is_none());
}

#[test]
fn broken_and_private_keys_are_refused() {
    for broken in [
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": "AA"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "use": "enc"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "alg": "HS256"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
        json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUQ"}),
    ] {
        assert!(
            serde_json::from_value::<Jwk>(broken.clone()).is_err(),
            "{broken}"
        );
    }
    // On no curve: it is read, and verifies nothing.
    let off = key(json!({
        "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
    }));
    assert_eq!(verify::<Value>(ES256, &off, ""), Err(JoseError::Signature));
}

fn with_header(token: &str, header: &Value) -> String {
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[test]
fn a_header_decides_nothing() {
    let signing = SigningKey::generate_ed25519().unwrap();
    let public = signing.public();
    let token = sign(&signing, "t", &json!({}), false).unwrap();
    for alg in ["none", "None", "HS256", "ES256", "RS256", "eddsa", ""] {
        let forged = with_header(&token, &json!({"alg": alg, "typ": "t"}));
        assert_eq!(
            verify::<Value>(&forged, public, "t"),
            Err(JoseError::Algorithm(alg.into()))
        );
    }
    for extra in [
        json!({"alg": "EdDSA", "typ": "t", "crit": ["exp"]}),
        json!({"alg": "EdDSA", "typ": "t", "b64": false}),
    ] {
        assert_eq!(
            verify::<Value>(&with_header(&token, &extra), public, "t"),
            Err(JoseError::Critical)
        );
    }
    // A header that was changed in any way is not the one that was signed.
    let other = with_header(
        &token,
        &json!({"alg": "EdDSA", "typ": "t", "kid": "another"}),
    );
    assert_eq!(
        verify::<Value>(&other, public, "t"),
        Err(JoseError::Signature)
    );
    let twice = token.replacen(
        token.split('.').next().unwrap(),
        &URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","alg":"none","typ":"t"}"#),
        1,
    );
    assert!(matches!(
        verify::<Value>(&twice, public, "t"),
        Err(JoseError::Json { part: "header", .. })
    ));
    assert!(matches!(
        verify::<Value>(&token, public, "u"),
        Err(JoseError::Type { .. })
    ));
    assert_eq!(verify_embedded::<Value>(&token, "t"), Err(JoseError::NoKey));
    // A key of the attacker's own in the header is believed by nobody who knows the right one.
    let attacker = SigningKey::generate_ed25519().unwrap();
    let own = sign(&attacker, "t", &json!({}), true).unwrap();
    assert_eq!(
        verify::<Value>(&own, public, "t"),
        Err(JoseError::Signature)
    );
}

#[test]
fn shapes_that_are_no_token() {
    let public = ed25519();
    for (token, error) in [
        ("", JoseError::Parts),
        ("a.b", JoseError::Parts),
        ("a.b.c.d", JoseError::Parts),
        ("e30=.e30.AA", JoseError::Base64("header")),
    ] {
        assert_eq!(verify::<Value>(token, &public, "t"), Err(error), "{token}");
    }
    let large = "a".repeat(LARGEST + 1);
    assert_eq!(
        verify::<Value>(&large, &public, "t"),
        Err(JoseError::TooLarge(large.len()))
    );
    let signing = SigningKey::generate_p256().unwrap();
    let claims = json!({"text": "a".repeat(LARGEST)});
    assert!(matches!(
        sign(&signing, "t", &claims, false),
        Err(JoseError::TooLarge(_))
    ));
}

proptest! {
    #[test]
    fn no_octet_of_a_token_may_change(at in any::<prop::sample::Index>(), flip in 1u8..128, p256 in any::<bool>()) {
        let signing = if p256 { SigningKey::generate_p256() } else { SigningKey::generate_ed25519() }.unwrap();
        let token = sign(&signing, "t", &json!({"amount": 100}), true).unwrap();
        let mut octets = token.clone().into_bytes();
        let at = at.index(octets.len());
        octets[at] = (octets[at] ^ flip) & 0x7f;
        let changed = String::from_utf8(octets).unwrap();
        prop_assume!(changed != token);
        prop_assert!(verify::<Value>(&changed, signing.public(), "t").is_err());
        prop_assert!(verify::<Value>(&token, signing.public(), "t").is_ok());
    }

    #[test]
    fn whatever_comes_is_answered(text in ".{0,200}", length in 0usize..200) {
        let _ = header(&text);
        let cut: String = ES256.chars().take(length).collect();
        prop_assert!(verify::<Value>(&cut, &p256(), "").is_err());
    }
}
