//! Signers with certificates (RFC 5280), and keys that two share.
#![allow(clippy::unwrap_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use serde_json::{Value, json};
use tollwire_jose::{
    Chain, JoseError, SessionKey, SigningKey, Trust, sign, sign_certified, sign_hs256, verify,
    verify_certified, verify_hs256,
};

/// 2026-06-01.
const NOW: i64 = 1_780_272_000;
const TYPE: &str = "greeting+jwt";

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn names(uri: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "not the name");
    parameters
        .subject_alt_names
        .push(SanType::URI(uri.try_into().unwrap()));
    parameters.not_before = date_time_ymd(2026, 1, 1);
    parameters.not_after = date_time_ymd(2027, 1, 1);
    parameters.serial_number = Some(SerialNumber::from(4711));
    parameters
}

fn root() -> Issuer {
    let mut parameters = CertificateParams::default();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "root");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.not_before = date_time_ymd(2026, 1, 1);
    parameters.not_after = date_time_ymd(2030, 1, 1);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    CertifiedIssuer::self_signed(parameters, key).unwrap()
}

struct Party {
    key: SigningKey,
    chain: Chain,
}

impl Party {
    fn of_key(parameters: CertificateParams, issuer: &Issuer, key: &KeyPair) -> Self {
        let certificate = parameters.signed_by(key, issuer).unwrap();
        Self {
            key: SigningKey::from_pkcs8(&key.serialize_der()).unwrap(),
            chain: Chain::from_pem(&certificate.pem()).unwrap(),
        }
    }

    fn new(parameters: CertificateParams, issuer: &Issuer) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        Self::of_key(parameters, issuer, &key)
    }

    /// With the issuer's certificate behind its own.
    fn below(parameters: CertificateParams, issuer: &Issuer) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let leaf = parameters.signed_by(&key, issuer).unwrap();
        Self {
            key: SigningKey::from_pkcs8(&key.serialize_der()).unwrap(),
            chain: Chain::from_pem(&format!("{}{}", leaf.pem(), issuer.pem())).unwrap(),
        }
    }

    fn greet(&self) -> String {
        sign_certified(&self.key, &self.chain, TYPE, &json!({"text": "hello"})).unwrap()
    }
}

fn trust(root: &Issuer) -> Trust {
    Trust::new(&root.pem(), []).unwrap()
}

fn refused(token: &str, trust: &Trust) -> JoseError {
    verify_certified::<Value>(token, TYPE, trust, NOW).unwrap_err()
}

#[test]
fn both_kinds_of_keys_sign_under_a_root() {
    let root = root();
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let party = Party::of_key(names("urn:tollwire:alice"), &root, &key);
        let (claims, whose): (Value, _) =
            verify_certified(&party.greet(), TYPE, &trust(&root), NOW).unwrap();
        assert_eq!(claims["text"], "hello");
        assert_eq!(whose.name, "urn:tollwire:alice");
        assert_eq!(whose.key, *party.key.public());
        assert_eq!(whose.serial, "1267");
        assert_eq!(whose.not_after, 1_798_761_600);
        // It is for something else.
        let other = verify_certified::<Value>(&party.greet(), "farewell+jwt", &trust(&root), NOW);
        assert!(matches!(other, Err(JoseError::Type { .. })), "{other:?}");
    }
}

#[test]
fn a_certificate_has_to_lead_to_a_root_and_be_of_its_time() {
    let [root, stranger] = [(); 2].map(|()| root());
    let party = Party::new(names("urn:tollwire:alice"), &root);
    let error = refused(&party.greet(), &trust(&stranger));
    assert!(matches!(error, JoseError::Certificate(_)), "{error:?}");
    for (now, good) in [
        (1_767_225_599, false),
        (1_767_225_600, true),
        (1_798_761_600, true),
        (1_798_761_601, false),
        (-1, false),
    ] {
        let found = verify_certified::<Value>(&party.greet(), TYPE, &trust(&root), now);
        assert_eq!(found.is_ok(), good, "{now}: {found:?}");
    }
    // A party is no authority.
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let issuer = CertifiedIssuer::signed_by(names("urn:tollwire:mallory"), key, &root).unwrap();
    let victim = Party::below(names("urn:tollwire:alice"), &issuer);
    let error = refused(&victim.greet(), &trust(&root));
    assert!(matches!(error, JoseError::Certificate(_)), "{error:?}");
}

#[test]
fn intermediates_lead_to_a_root() {
    let root = root();
    let mut parameters = CertificateParams::default();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "intermediate");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.not_before = date_time_ymd(2026, 1, 1);
    parameters.not_after = date_time_ymd(2030, 1, 1);
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let between = CertifiedIssuer::signed_by(parameters, key, &root).unwrap();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let leaf = names("urn:tollwire:alice")
        .signed_by(&key, &between)
        .unwrap();
    let party = Party {
        key: SigningKey::from_pkcs8(&key.serialize_der()).unwrap(),
        chain: Chain::from_pem(&format!("{}{}", leaf.pem(), between.pem())).unwrap(),
    };
    assert!(verify_certified::<Value>(&party.greet(), TYPE, &trust(&root), NOW).is_ok());
    let alone = Party {
        chain: Chain::from_pem(&leaf.pem()).unwrap(),
        ..party
    };
    assert!(matches!(
        refused(&alone.greet(), &trust(&root)),
        JoseError::Certificate(_)
    ));
    let long = leaf.pem().repeat(5);
    assert!(Chain::from_pem(&long).is_err());
}

fn list(root: &Issuer, serials: &[u64], next: (i32, u8, u8)) -> String {
    CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(next.0, next.1, next.2),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: (serials.iter())
            .map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: date_time_ymd(2026, 2, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
    .signed_by(root)
    .unwrap()
    .pem()
    .unwrap()
}

#[test]
fn what_was_revoked_is_refused_and_so_is_an_old_list() {
    let root = root();
    let party = Party::new(names("urn:tollwire:alice"), &root);
    let with = |list: &str| Trust::new(&root.pem(), [list]).unwrap();
    let current = list(&root, &[1], (2026, 7, 1));
    assert!(verify_certified::<Value>(&party.greet(), TYPE, &with(&current), NOW).is_ok());
    let revoking = list(&root, &[1, 4711], (2026, 7, 1));
    assert_eq!(
        refused(&party.greet(), &with(&revoking)),
        JoseError::Revoked
    );
    let old = list(&root, &[], (2026, 5, 1));
    assert!(matches!(
        refused(&party.greet(), &with(&old)),
        JoseError::Certificate(_)
    ));
    // A list of somebody else says nothing of this root's certificates.
    let foreign = list(&self::root(), &[], (2026, 7, 1));
    assert!(matches!(
        refused(&party.greet(), &with(&foreign)),
        JoseError::Certificate(_)
    ));
    assert!(Trust::new("", []).is_err());
    assert!(
        Trust::new(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            []
        )
        .is_err()
    );
}

#[test]
fn certificates_for_something_else_are_refused() {
    let root = root();
    let trust = trust(&root);
    let mut usage = names("urn:tollwire:alice");
    usage.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert!(matches!(
        refused(&Party::new(usage, &root).greet(), &trust),
        JoseError::Certificate(_)
    ));
    let chain = |parameters: CertificateParams, algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        Chain::from_pem(&parameters.signed_by(&key, &root).unwrap().pem())
    };
    let mut usage = names("urn:tollwire:alice");
    usage.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    assert!(chain(usage, &PKCS_ECDSA_P256_SHA256).is_err());
    assert!(chain(names("urn:tollwire:alice"), &PKCS_ECDSA_P384_SHA384).is_err());
    let nameless = CertificateParams::default();
    assert!(chain(nameless, &PKCS_ECDSA_P256_SHA256).is_err());
    let mut host = CertificateParams::new(vec!["provider.example".to_owned()]).unwrap();
    host.not_before = date_time_ymd(2026, 1, 1);
    let host = chain(host, &PKCS_ECDSA_P256_SHA256).unwrap();
    assert_eq!(host.certified().name, "provider.example");
}

/// A token with parts of it replaced.
fn forged(token: &str, header: impl FnOnce(&mut Value), payload: Option<Value>) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let mut head: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    header(&mut head);
    let payload = payload.map_or(parts[1].to_owned(), |it| {
        URL_SAFE_NO_PAD.encode(it.to_string())
    });
    format!(
        "{}.{payload}.{}",
        URL_SAFE_NO_PAD.encode(head.to_string()),
        parts[2]
    )
}

#[test]
fn nothing_in_a_header_is_taken_on_trust() {
    let root = root();
    let trust = trust(&root);
    let party = Party::new(names("urn:tollwire:alice"), &root);
    let other = Party::new(names("urn:tollwire:mallory"), &root);
    let token = party.greet();
    let error = |token: &str| refused(token, &trust);
    assert_eq!(
        error(&forged(&token, |_| (), Some(json!({"text": "bye"})))),
        JoseError::Signature
    );
    // Somebody else's certificate beside this signature.
    let x5c = {
        let other = other.greet();
        let head = URL_SAFE_NO_PAD
            .decode(other.split('.').next().unwrap())
            .unwrap();
        serde_json::from_slice::<Value>(&head).unwrap()["x5c"].clone()
    };
    assert_eq!(
        error(&forged(&token, |head| head["x5c"] = x5c, None)),
        JoseError::Signature
    );
    for alg in ["none", "HS256", "EdDSA", "RS256", "es256"] {
        let forged = forged(&token, |head| head["alg"] = json!(alg), None);
        assert_eq!(error(&forged), JoseError::Algorithm(alg.into()));
    }
    let crit = forged(&token, |head| head["crit"] = json!(["b64"]), None);
    assert_eq!(error(&crit), JoseError::Critical);
    let none = forged(
        &token,
        |head| drop(head.as_object_mut().unwrap().remove("x5c")),
        None,
    );
    assert!(matches!(error(&none), JoseError::Certificate(_)));
    let broken = forged(
        &token,
        |head| head["x5c"] = json!([STANDARD.encode("no certificate")]),
        None,
    );
    assert!(matches!(error(&broken), JoseError::Certificate(_)));
    for length in 0..token.len() {
        assert!(
            verify_certified::<Value>(&token[..length], TYPE, &trust, NOW).is_err(),
            "{length}"
        );
    }
    // Whose certificate it is has to have the key.
    let mixed = sign_certified(&party.key, &other.chain, TYPE, &json!({}));
    assert!(matches!(mixed, Err(JoseError::Key(_))));
}

#[test]
fn a_shared_key_is_no_public_key() {
    let key = SessionKey::generate().unwrap();
    let token = sign_hs256(&key, "session", TYPE, &json!({"text": "hello"})).unwrap();
    assert_eq!(
        tollwire_jose::header(&token).unwrap().kid.as_deref(),
        Some("session")
    );
    let claims: Value = verify_hs256(&token, &key, TYPE).unwrap();
    assert_eq!(claims["text"], "hello");
    let stranger = SessionKey::generate().unwrap();
    assert_eq!(
        verify_hs256::<Value>(&token, &stranger, TYPE),
        Err(JoseError::Signature)
    );
    assert!(matches!(
        verify_hs256::<Value>(&token, &key, "farewell+jwt"),
        Err(JoseError::Type { .. })
    ));
    // Neither passes for the other, and a public key is not taken for a secret.
    let signer = SigningKey::generate_p256().unwrap();
    assert!(verify::<Value>(&token, signer.public(), TYPE).is_err());
    let signed = sign(&signer, TYPE, &json!({}), false).unwrap();
    assert_eq!(
        verify_hs256::<Value>(&signed, &key, TYPE),
        Err(JoseError::Algorithm("ES256".into()))
    );
    assert!(SessionKey::from_octets(&[0; 31]).is_err());
}
