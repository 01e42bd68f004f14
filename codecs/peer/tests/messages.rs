//! Messages as they are on the wire, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, SanType, SignatureAlgorithm,
};
use serde_json::{Value, json};
use tollwire_jose::{SessionKey, Trust, sign_certified};
use tollwire_peer::{
    AccountingAcknowledgement, AccountingMessage, Data, Identifier, Identity, Measure, Nonce,
    Revocation, ServiceCredential, ServiceCredentialRequest, ServiceList, ServiceRequest, Signed,
    Skewed, UserCredential, UserCredentialAcknowledgement, Word, open_key, seal_key,
};

/// 2026-11-21T14:00:00Z.
const NOW: i64 = 1_795_269_600;
const NONCE: &str = "2026-11-21T14:00:00Z.pO9sQe1mXv4Jc2hLr7uYtA";
const ID: &str = "8mYqkR2vVbXw0PzQ3nTg1A";

fn party(algorithm: &'static SignatureAlgorithm) -> (Identity, Trust) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let root = CertifiedIssuer::self_signed(authority, key).unwrap();
    let mut parameters = CertificateParams::default();
    let name = SanType::URI("urn:tollwire:alice".try_into().unwrap());
    parameters.subject_alt_names.push(name);
    let key = KeyPair::generate_for(algorithm).unwrap();
    let chain = parameters.signed_by(&key, &root).unwrap();
    let identity = Identity::from_pem(&chain.pem(), &key.serialize_pem()).unwrap();
    (identity, Trust::new(&root.pem(), []).unwrap())
}

fn policies() -> Value {
    json!({
        "service": "weather", "not_before": NOW, "not_after": NOW + 3600, "times_of_day": [],
        "max_requests": null, "address_change": false, "collect": ["time", "requests"],
        "max_seconds_between_messages": 60, "granted": {"requests": 10}
    })
}

/// A message is read, written again as it was, and neither unknown members nor other types are taken.
fn example<T: Signed + std::fmt::Debug + PartialEq>(example: Value) {
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
        let (identity, trust) = party(algorithm);
        let signed = |claims: &Value| {
            sign_certified(identity.key(), identity.chain(), T::TYPE, claims).unwrap()
        };
        let (message, certified) = T::verify(&signed(&example), &trust, NOW).unwrap();
        assert_eq!(certified.name, identity.name());
        assert_eq!(serde_json::to_value(&message).unwrap(), example);
        let again = message.sign(&identity).unwrap();
        assert_eq!(T::verify(&again, &trust, NOW).unwrap().0, message);
        let word = |token: &str| T::verify(token, &trust, NOW).unwrap_err().error;
        let mut unknown = example.clone();
        unknown["more"] = json!(1);
        assert_eq!(word(&signed(&unknown)), Word::Malformed);
        for member in example.as_object().unwrap().keys() {
            let mut without = example.clone();
            without.as_object_mut().unwrap().remove(member);
            assert_eq!(word(&signed(&without)), Word::Malformed, "{member}");
        }
        let other =
            sign_certified(identity.key(), identity.chain(), "other+jwt", &example).unwrap();
        assert_eq!(word(&other), Word::Signature);
        let (_, stranger) = party(algorithm);
        assert_eq!(
            T::verify(&again, &stranger, NOW).unwrap_err().error,
            Word::Certificate
        );
    }
}

fn refused<T: Signed + std::fmt::Debug>(message: &Value) -> String {
    let (identity, trust) = party(&PKCS_ECDSA_P256_SHA256);
    let token = sign_certified(identity.key(), identity.chain(), T::TYPE, message).unwrap();
    let refusal = T::verify(&token, &trust, NOW).unwrap_err();
    assert_eq!(refusal.error, Word::Malformed);
    refusal.detail
}

#[test]
fn each_message_is_as_it_is_documented() {
    example::<ServiceCredentialRequest>(json!({
        "service": {"name": "weather", "udp_port": 40000}, "request_id": ID, "nonce": NONCE
    }));
    example::<ServiceCredential>(json!({
        "request_id": ID,
        "provider": {"name": "provider.example", "address": "udp://192.0.2.1:5000", "sessions": "https://provider.example/sessions"},
        "validity": {"not_before": NOW, "not_after": NOW + 3600},
        "session_key": "a.b.c.d.e", "accounting_session_id": ID
    }));
    example::<UserCredential>(json!({
        "user_address": {"ip": "2001:db8::1", "udp_port": 40000}, "accounting_session_id": ID,
        "session_key": "a.b.c.d.e", "policies": policies()
    }));
    example::<UserCredentialAcknowledgement>(json!({"accounting_session_id": ID, "nonce": NONCE}));
    example::<AccountingMessage>(json!({
        "message_id": ID, "accounting_session_id": ID, "sequence": 7, "kind": "final", "cause": "user",
        "data": {"time_ms": 1, "octets": 9_223_372_036_854_775_807_i64, "requests": 0}, "nonce": NONCE
    }));
    example::<AccountingAcknowledgement>(json!({
        "message_id": ID, "accounting_session_id": ID, "sequence": 7, "state": "closed",
        "granted": {}, "last": true, "nonce": NONCE
    }));
    example::<Revocation>(json!({"accounting_session_id": ID, "reason": "report", "nonce": NONCE}));
    example::<ServiceList>(json!({
        "services": [{
            "name": "weather", "title": "Weather", "provider": "provider.example", "price": "0.01 EUR a request",
            "collect": ["requests"]
        }],
        "nonce": NONCE
    }));
}

#[test]
fn members_are_bounded() {
    let request = |service: Value| json!({"service": service, "request_id": ID, "nonce": NONCE});
    for service in [
        json!({"name": ""}),
        json!({"name": "a".repeat(513)}),
        json!({"name": "a\n"}),
        json!({"name": "a", "udp_port": 0}),
        json!({"name": "a", "udp_port": 65536}),
    ] {
        refused::<ServiceCredentialRequest>(&request(service));
    }
    for id in ["", "short", &"a".repeat(65), "8mYqkR2vVbXw0PzQ3nTg1+"] {
        let mut message = request(json!({"name": "a"}));
        message["request_id"] = json!(id);
        assert!(refused::<ServiceCredentialRequest>(&message).contains("identifier"));
    }
    let message = |kind: Value, cause: Value, data: Value, sequence: Value| {
        json!({
            "message_id": ID, "accounting_session_id": ID, "sequence": sequence, "kind": kind, "cause": cause,
            "data": data, "nonce": NONCE
        })
    };
    for wrong in [
        message(json!("final"), Value::Null, json!({}), json!(1)),
        message(json!("interim"), json!("user"), json!({}), json!(1)),
        message(json!("final"), json!("bored"), json!({}), json!(1)),
        message(json!("final"), json!("user"), json!({}), json!(0)),
        message(json!("final"), json!("user"), json!({}), json!(-1)),
        message(
            json!("final"),
            json!("user"),
            json!({"octets": -1}),
            json!(1),
        ),
        message(
            json!("final"),
            json!("user"),
            json!({"octets": null}),
            json!(1),
        ),
        message(
            json!("final"),
            json!("user"),
            json!({"octets": 1.5}),
            json!(1),
        ),
        message(
            json!("final"),
            json!("user"),
            json!({"octets": u64::MAX}),
            json!(1),
        ),
        message(
            json!("final"),
            json!("user"),
            json!({"bananas": 1}),
            json!(1),
        ),
    ] {
        refused::<AccountingMessage>(&wrong);
    }
    for (member, value) in [
        ("not_after", json!(NOW)),
        (
            "times_of_day",
            json!([{"from": "8:00", "to": "18:00", "time_zone": "UTC"}]),
        ),
        (
            "times_of_day",
            json!([{"from": "08:00", "to": "24:01", "time_zone": "UTC"}]),
        ),
        (
            "times_of_day",
            json!([{"from": "24:00", "to": "08:00", "time_zone": "UTC"}]),
        ),
        (
            "times_of_day",
            json!([{"from": "08:00", "to": "18:00", "time_zone": "Mars/Olympus"}]),
        ),
        (
            "times_of_day",
            json!([{"days": [], "from": "08:00", "to": "18:00", "time_zone": "UTC"}]),
        ),
        ("collect", json!([])),
        ("collect", json!(["time", "time", "time", "time"])),
        ("granted", json!({"octets": 1})),
        ("max_seconds_between_messages", json!(0)),
    ] {
        let mut policies = policies();
        policies[member] = value;
        refused::<UserCredential>(&json!({
            "user_address": {"ip": "192.0.2.1"}, "accounting_session_id": ID, "session_key": "a", "policies": policies
        }));
    }
    for address in ["ftp://a/", "http://", "urn:x", ""] {
        refused::<ServiceCredential>(&json!({
            "request_id": ID, "provider": {"name": "p", "address": address, "sessions": "https://p/"},
            "validity": {"not_before": 0, "not_after": 1}, "session_key": "a", "accounting_session_id": ID
        }));
    }
}

#[test]
fn a_nonce_is_of_its_moment_in_one_spelling() {
    let nonce = Nonce::try_from(NONCE.to_owned()).unwrap();
    assert_eq!(nonce.unix(), NOW);
    assert_eq!(nonce.check(NOW + 60, 60), Ok(()));
    assert_eq!(nonce.check(NOW + 61, 60), Err(Skewed::Old(61)));
    assert_eq!(nonce.check(NOW - 60, 60), Ok(()));
    assert_eq!(nonce.check(NOW - 61, 60), Err(Skewed::Early(61)));
    let made = Nonce::new(NOW).unwrap();
    assert_eq!(Nonce::try_from(made.to_string()), Ok(made.clone()));
    assert_ne!(Nonce::new(NOW).unwrap(), made);
    for wrong in [
        "",
        "2026-11-21T14:00:00Z",
        "2026-11-21T14:00:00Z.short",
        "2026-11-21T14:00:00.5Z.pO9sQe1mXv4Jc2hLr7uYtA",
        "2026-11-21T14:00:00+00:00.pO9sQe1mXv4Jc2hLr7uYtA",
        "2026-11-21t14:00:00z.pO9sQe1mXv4Jc2hLr7uYtA",
        "2026-11-21 14:00:00Z.pO9sQe1mXv4Jc2hLr7uYtA",
        "2026-13-21T14:00:00Z.pO9sQe1mXv4Jc2hLr7uYtA",
        "2026-11-21T14:00:00Z.pO9sQe1mXv4Jc2hLr7uYt=",
    ] {
        assert!(Nonce::try_from(wrong.to_owned()).is_err(), "{wrong}");
    }
}

#[test]
fn a_service_request_is_for_one_request_of_one_session() {
    // docs/peer.md has the same.
    let key: Vec<u8> = (0..32).collect();
    let key = SessionKey::from_octets(&key).unwrap();
    let claims = json!({
        "accounting_session_id": ID,
        "request": {"method": "GET", "target": "/weather/today?unit=c", "nonce": NONCE}
    });
    let request: ServiceRequest = serde_json::from_value(claims.clone()).unwrap();
    let token = request.sign(&key).unwrap();
    let documented = "eyJhbGciOiJIUzI1NiIsInR5cCI6InNlcnZpY2UtcmVxdWVzdCtqd3QiLCJraWQiOiI4bVlxa1IydlZiWHcwUHpRM25UZzFBIn0.eyJhY2NvdW50aW5nX3Nlc3Npb25faWQiOiI4bVlxa1IydlZiWHcwUHpRM25UZzFBIiwicmVxdWVzdCI6eyJtZXRob2QiOiJHRVQiLCJ0YXJnZXQiOiIvd2VhdGhlci90b2RheT91bml0PWMiLCJub25jZSI6IjIwMjYtMTEtMjFUMTQ6MDA6MDBaLnBPOXNRZTFtWHY0SmMyaExyN3VZdEEifX0.i4nEjgsS7Sfznu_VN63-cQcI8Rac88igVZlUdhdg22k";
    assert_eq!(ServiceRequest::session_of(&token).unwrap().as_str(), ID);
    for token in [&token, documented] {
        assert_eq!(ServiceRequest::verify(token, &key).unwrap(), request);
    }
    assert_eq!(request.is_for("GET", "/weather/today?unit=c"), Ok(()));
    for (method, target) in [("POST", "/weather/today?unit=c"), ("GET", "/weather/today")] {
        assert_eq!(
            request.is_for(method, target).unwrap_err().error,
            Word::Signature
        );
    }
    let stranger = SessionKey::generate().unwrap();
    let refusal = ServiceRequest::verify(&token, &stranger).unwrap_err();
    assert_eq!(refusal.error, Word::Signature);
    // Another session's name in the header.
    let other = Identifier::random().unwrap();
    let mixed =
        tollwire_jose::sign_hs256(&key, other.as_str(), "service-request+jwt", &claims).unwrap();
    assert_eq!(
        ServiceRequest::verify(&mixed, &key).unwrap_err().error,
        Word::Malformed
    );
}

#[test]
fn a_key_reaches_its_party_alone() {
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
        let (identity, _) = party(algorithm);
        let key = SessionKey::generate().unwrap();
        let sealed = seal_key(identity.key().public(), &key).unwrap();
        assert!(sealed.len() <= 1024);
        assert_eq!(open_key(&identity, &sealed).unwrap().octets(), key.octets());
        let (stranger, _) = party(algorithm);
        assert!(open_key(&stranger, &sealed).is_err());
    }
    let (identity, _) = party(&PKCS_ED25519);
    let (other, _) = party(&PKCS_ED25519);
    let mixed = Identity::from_pem(&pem(&identity), &other.key().to_pem());
    assert!(mixed.is_err());
}

/// The certificate that an identity signs with.
fn pem(identity: &Identity) -> String {
    let token = sign_certified(identity.key(), identity.chain(), "x", &json!({})).unwrap();
    let header = token.split('.').next().unwrap();
    let header = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header);
    let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
    let der = header["x5c"][0].as_str().unwrap();
    format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n")
}

#[test]
fn policies_know_the_time_of_the_day() {
    let timely = |times: Value, now: &str| {
        let mut policies = policies();
        policies["not_before"] = json!(0);
        policies["not_after"] = json!(i64::MAX);
        policies["times_of_day"] = times;
        let policies: tollwire_peer::Policies = serde_json::from_value(policies).unwrap();
        policies.validate().unwrap();
        let now: jiff::Timestamp = now.parse().unwrap();
        policies.timely(now.as_second()).is_ok()
    };
    let office = json!([{"days": ["mon", "tue"], "from": "08:00", "to": "18:00", "time_zone": "Europe/Berlin"}]);
    let night = json!([{"days": ["mon"], "from": "22:00", "to": "06:00", "time_zone": "UTC"}]);
    let daily = json!([{"from": "00:00", "to": "24:00", "time_zone": "UTC"}]);
    for (times, now, good) in [
        // 2026-11-23 is a Monday, and Berlin is an hour ahead.
        (&office, "2026-11-23T06:59:59Z", false),
        (&office, "2026-11-23T07:00:00Z", true),
        (&office, "2026-11-23T16:59:59Z", true),
        (&office, "2026-11-23T17:00:00Z", false),
        (&office, "2026-11-25T12:00:00Z", false),
        // In summer it is two.
        (&office, "2026-07-06T06:00:00Z", true),
        (&night, "2026-11-23T21:59:59Z", false),
        (&night, "2026-11-23T22:00:00Z", true),
        (&night, "2026-11-24T05:59:59Z", true),
        (&night, "2026-11-24T06:00:00Z", false),
        (&night, "2026-11-24T22:00:00Z", false),
        (&daily, "2026-11-24T23:59:59Z", true),
    ] {
        assert_eq!(timely(times.clone(), now), good, "{times} {now}");
    }
    let policies: tollwire_peer::Policies = serde_json::from_value(policies()).unwrap();
    for (now, good) in [
        (NOW - 1, false),
        (NOW, true),
        (NOW + 3599, true),
        (NOW + 3600, false),
    ] {
        assert_eq!(policies.timely(now).is_ok(), good, "{now}");
    }
}

#[test]
fn totals_are_compared_each_by_each() {
    let data = |value: Value| serde_json::from_value::<Data>(value).unwrap();
    let used = data(json!({"octets": 10, "requests": 2}));
    assert!(used.is_of(&[Measure::Requests, Measure::Octets]));
    assert!(!used.is_of(&[Measure::Octets]) && !used.is_of(&Measure::ALL));
    assert_eq!(used.reaches(&data(json!({"octets": 11}))), None);
    assert_eq!(
        used.reaches(&data(json!({"octets": 10}))),
        Some(Measure::Octets)
    );
    assert_eq!(
        used.reaches(&data(json!({"time_ms": 0}))),
        Some(Measure::Time)
    );
    assert_eq!(
        used.within(&data(json!({"octets": 4}))),
        data(json!({"octets": 4, "requests": 2}))
    );
    assert_eq!(
        used.since(&data(json!({"octets": 4, "requests": 5}))),
        data(json!({"octets": 6, "requests": 0}))
    );
    assert_eq!(
        used.shrinks_from(&data(json!({"octets": 10, "requests": 3}))),
        Some(Measure::Requests)
    );
    assert_eq!(used.shrinks_from(&used), None);
    assert_eq!(Data::none_of(&[Measure::Time]), data(json!({"time_ms": 0})));
}

proptest! {
    #[test]
    fn whatever_comes_is_refused(token in "\\PC*") {
        let (_, trust) = party(&PKCS_ED25519);
        prop_assert!(AccountingMessage::verify(&token, &trust, NOW).is_err());
        prop_assert!(ServiceRequest::session_of(&token).is_err());
    }

    #[test]
    fn what_is_new_and_what_was_are_what_is(before in 0..i64::MAX as u64, new in 0..i64::MAX as u64) {
        let of = |octets| Data { octets: Some(octets), ..Data::default() };
        let now = before.saturating_add(new);
        prop_assert_eq!(of(now).since(&of(before)), of(new));
        prop_assert_eq!(of(now).shrinks_from(&of(before)), None);
    }
}
