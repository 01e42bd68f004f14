//! Tokens, keys, invoices, and what billing servers say of themselves.

use tollwire_invoice::{Acknowledgement, BillingServer, Form, Invoice};
use tollwire_jose::{Jwk, JwkSet, SigningKey, header, sign, verify, verify_embedded};

/// Ed25519, the private key of RFC 8037 A.1 in PKCS #8.
pub(crate) const KEY: [u8; 48] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20, 0x9d, 0x61, 0xb1, 0x9d,
    0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69,
    0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];

/// A token that nobody signed: it is never taken; a key or a set that is read is written as it is.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(key) = SigningKey::from_pkcs8(&KEY) else {
        return;
    };
    let _ = header(text);
    let _ = SigningKey::from_pkcs8(data);
    let _ = SigningKey::from_pem(text);
    let _ = verify::<serde_json::Value>(text, key.public(), "invoice+jwt");
    let _ = verify_embedded::<serde_json::Value>(text, "invoice+jwt");
    let _ = serde_json::from_slice::<JwkSet>(data);
    if let Ok(read) = serde_json::from_slice::<Jwk>(data) {
        let written = serde_json::to_vec(&read).unwrap_or_default();
        assert_eq!(serde_json::from_slice::<Jwk>(&written).ok(), Some(read));
    }
}

/// Claims that a shop or a billing server did sign: whatever they are, they are checked.
pub fn claims(data: &[u8]) {
    let Ok(claims) = serde_json::from_slice::<serde_json::Value>(data) else {
        return;
    };
    let Ok(key) = SigningKey::from_pkcs8(&KEY) else {
        return;
    };
    let own = key.public().thumbprint();
    if let Ok(token) = sign(&key, "invoice+jwt", &claims, true)
        && let Ok(received) = Invoice::read(&token, &own, 1_790_000_000)
    {
        assert!(received.invoice.amount_micro > 0);
        // What may be read may be signed again.
        assert!(received.invoice.sign(&key).is_ok());
    }
    if let Ok(token) = sign(&key, "acknowledgement+jwt", &claims, false) {
        let _ = Acknowledgement::read(&token, key.public());
    }
}

/// `URL \n attributes`, or a blank form.
pub fn advertisement(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (url, attributes) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(server) = BillingServer::read(url, attributes) {
        let again = BillingServer::read(&server.service_url(), &server.to_attributes());
        assert_eq!(again.as_ref(), Ok(&server));
        assert!(server.is_origin_of(&server.url));
        if let Ok(form) = Form::read(attributes.as_bytes(), &server) {
            assert!(server.is_origin_of(&form.action));
        }
    }
}

/// A line of a record file.
pub fn record(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(record) = tollwire_cdr::from_json_line::<tollwire_cdr::ChargeRecord>(text)
        && let Ok(line) = tollwire_cdr::to_json_line(&record)
    {
        assert_eq!(tollwire_cdr::from_json_line(&line).ok(), Some(record));
    }
    let _ = tollwire_cdr::from_json_line::<tollwire_cdr::MessageRecord>(text);
    let _ = tollwire_cdr::from_json_line::<tollwire_cdr::CallRecord>(text);
}
