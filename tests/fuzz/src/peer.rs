//! What parties of peer-to-peer accounting sign, their certificates, and keys that are sent to them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tollwire_jose::{Chain, SigningKey, Trust, decrypt, encrypt, verify_certified};
use tollwire_peer::{
    AccountingAcknowledgement, AccountingMessage, Revocation, ServiceCredential,
    ServiceCredentialRequest, ServiceList, ServiceRequest, Signed, UserCredential,
    UserCredentialAcknowledgement,
};

use crate::signed::KEY;

/// 2026-11-21.
const NOW: i64 = 1_795_269_600;

/// What is read is written as it was, and its checks end.
fn message<T: Signed + PartialEq + std::fmt::Debug>(claims: &Value) {
    if let Ok(message) = serde_json::from_value::<T>(claims.clone()) {
        let written = serde_json::to_value(&message).unwrap_or_default();
        assert_eq!(
            serde_json::from_value::<T>(written).ok().as_ref(),
            Some(&message)
        );
        let _ = message.validate();
    }
}

/// Claims of any message.
pub fn claims(data: &[u8]) {
    let Ok(claims) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    message::<ServiceCredentialRequest>(&claims);
    message::<ServiceCredential>(&claims);
    message::<UserCredentialAcknowledgement>(&claims);
    message::<AccountingMessage>(&claims);
    message::<AccountingAcknowledgement>(&claims);
    message::<Revocation>(&claims);
    message::<ServiceList>(&claims);
    message::<UserCredential>(&claims);
    if let Ok(credential) = serde_json::from_value::<UserCredential>(claims.clone())
        && credential.validate().is_ok()
    {
        let _ = credential.policies.timely(NOW);
    }
    let _ = serde_json::from_value::<ServiceRequest>(claims);
}

/// A chain in PEM, in a header, or a root: none leads to our root.
pub fn certificate(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Chain::from_pem(&text);
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(data)
    );
    let list = pem.replace("CERTIFICATE", "X509 CRL");
    let Ok(trust) = Trust::new(&pem, []).or_else(|_| Trust::new(&pem, [list.as_str()])) else {
        return;
    };
    let header = json!({"alg": "ES256", "typ": "x", "x5c": [STANDARD.encode(data)]});
    let token = format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header.to_string()));
    assert!(verify_certified::<Value>(&token, "x", &trust, NOW).is_err());
}

/// An encrypted key that nobody encrypted, and one that was.
pub fn encrypted(data: &[u8]) {
    let Ok(key) = SigningKey::from_pkcs8(&KEY) else {
        return;
    };
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = decrypt(&key, text);
        let header = json!({
            "alg": "ECDH-ES", "enc": "A256GCM", "epk": {"kty": "OKP", "crv": "X25519", "x": text}
        });
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let iv = "AAAAAAAAAAAAAAAA";
        assert!(
            decrypt(
                &key,
                &format!("{header}..{iv}.{text}.AAAAAAAAAAAAAAAAAAAAAA")
            )
            .is_err()
        );
    }
    if let Ok(token) = encrypt(key.public(), data) {
        assert_eq!(
            decrypt(&key, &token).ok().as_deref().map(Vec::as_slice),
            Some(data)
        );
    }
}
