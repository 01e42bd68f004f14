//! What somebody may try: at the manager, at the provider, with messages of every kind. Judged by what is charged, what is reserved and
//! what has arrived at the service.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollwire_harness::peer::authority::{Authority, Identity};
use tollwire_harness::peer::hand::{
    Credential, User, claims, identifier, nonce, nonce_at, now, target, with_header, with_part,
    word,
};
use tollwire_harness::peer::stage::{
    ALICE, MANAGER, OCTET, PROVIDER_BASE, REQUEST, Setup, Stage, USER_PORT,
};
use tollwire_harness::wait::{PATIENCE, wait_until};
use tollwire_harness::web::visitor::{Answer, Content};

/// What an attack must not have moved: balance, reservations, requests that were served.
fn moved(stage: &Stage) -> (i64, i64, usize) {
    let (balance, held) = stage.account();
    (balance, held, stage.http.arrived().len())
}

fn post(user: &mut User<'_>, url: &str, token: &str) -> Answer {
    user.visitor.ask("POST", url, &Content::token(token))
}

/// HMAC with SHA-256 (RFC 2104) of a key of less than 64 octets.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let padded = |with: u8| -> Vec<u8> {
        let filled = key.iter().copied().chain(std::iter::repeat(0));
        filled.take(64).map(|octet| octet ^ with).collect()
    };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(text)
        .finalize();
    Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize()
        .to_vec()
}

/// `claims` by HS256, with a header of one's own.
fn mac(key: &[u8], header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    format!(
        "{text}.{}",
        URL_SAFE_NO_PAD.encode(hmac(key, text.as_bytes()))
    )
}

#[test]
fn what_is_replayed_has_no_effect() {
    let mut stage = Stage::new(Setup::default());
    let mut user = stage.user();
    let request = user.request("weather");
    let first = user.post("/credentials", &request).expect(200);
    let held = moved(&stage);
    // Somebody who overheard it gets what was answered, encrypted to another's key, and nothing is reserved anew.
    let mut mallory = stage.at(&stage.alice, stage.other_host());
    let again = mallory.post("/credentials", &request).expect(200);
    assert_eq!(again.body, first.body);
    assert_eq!(moved(&stage), held);
    let id = claims(&request)["request_id"].clone();
    let id = id.as_str().expect("text");
    let service = json!({"name": "weather"});
    let renewed = user.request_with(&service, id, &nonce());
    assert_eq!(word(&user.post("/credentials", &renewed)), "409 replayed");
    for (seconds, name) in [(-120, "past"), (120, "future")] {
        let old = user.request_with(&service, &identifier(), &nonce_at(now() + seconds));
        assert_eq!(word(&user.post("/credentials", &old)), "403 skew", "{name}");
    }
    assert_eq!(moved(&stage), held);

    let credential = Credential::open(&stage.alice, &first.text());
    let url = credential.url("/once");
    let token = credential.sign("GET", &target(&url));
    user.use_with(&url, "GET", &token).expect(200);
    assert_eq!(word(&user.use_with(&url, "GET", &token)), "409 replayed");
    for seconds in [-120, 120] {
        let old = credential.sign_with("GET", &target(&url), &nonce_at(now() + seconds));
        assert_eq!(word(&user.use_with(&url, "GET", &old)), "403 skew");
    }
    // Whoever hopes that a restart forgets.
    drop(user);
    stage.shop.kill();
    stage.shop.start();
    let mut user = stage.user();
    assert_eq!(word(&user.use_with(&url, "GET", &token)), "409 replayed");
    user.sessions(&credential, "DELETE").expect(200);
    assert_eq!(stage.wait_for_spent(), REQUEST);
    assert_eq!(stage.http.arrived().len(), 1);
}

#[test]
fn certificates_have_to_lead_to_a_root_be_of_today_and_not_revoked() {
    let mut stage = Stage::new(Setup::default());
    let before = moved(&stage);
    let forger = Authority::new(&stage.scratch, "forged");
    // One that calls itself as the right one does.
    let twin = Authority::called(&stage.scratch, "twin", "authority");
    let refused = |stage: &Stage, identity: &Identity, expected: &str| {
        let mut user = stage.at(identity, stage.user_host());
        assert_eq!(word(&user.ask("weather")), expected, "{}", identity.name);
    };
    refused(&stage, &forger.issue(ALICE), "403 certificate");
    refused(&stage, &twin.issue(ALICE), "403 certificate");
    let expired = stage.authority.issue_expired("urn:tollwire:old");
    stage.make_account("urn:tollwire:old", 1_000_000);
    refused(&stage, &expired, "403 certificate");
    let revoked = stage.authority.issue("urn:tollwire:gone");
    stage.make_account("urn:tollwire:gone", 1_000_000);
    let mut user = stage.at(&revoked, stage.user_host());
    user.ask("weather").expect(200);
    stage.authority.revoke("urn:tollwire:gone");
    stage.charging.reload();
    wait_until("the new list", PATIENCE, || {
        let answer = user.ask("weather");
        answer.status != 200 && word(&answer) == "403 revoked"
    });
    drop(user);
    assert_eq!(moved(&stage), before, "of alice nothing moved");
    stage.user().ask("weather").expect(200);
    // No news is bad news.
    stage.authority.list_of(3);
    stage.charging.reload();
    wait_until("the old list", PATIENCE, || {
        let answer = stage.user().ask("weather");
        answer.status != 200 && word(&answer) == "403 certificate"
    });
}

#[test]
fn algorithms_are_never_taken_at_their_word() {
    let stage = Stage::new(Setup::default());
    let mut user = stage.user();
    let credential = user.credential("weather");
    let before = moved(&stage);
    let good = user.request("weather");
    let header = |member: &str, value: Value| with_header(&good, member, value);
    let none = with_part(&header("alg", json!("none")), 2, b"");
    let embedded = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([1; 32])});
    for (what, token) in [
        ("none", none),
        ("None", with_part(&header("alg", json!("NoNe")), 2, b"")),
        ("EdDSA by a key on P-256", header("alg", json!("EdDSA"))),
        ("another curve", header("alg", json!("ES384"))),
        ("a key in the header", header("jwk", embedded)),
        ("critical", header("crit", json!(["b64"]))),
        ("no certificate", header("x5c", json!([]))),
        ("no type", header("typ", json!("JWT"))),
    ] {
        let answer = user.post("/credentials", &token);
        assert!(
            matches!(answer.status, 400 | 403),
            "{what}: {} {}",
            answer.status,
            answer.text()
        );
    }
    // HS256 by what everybody knows: the public key, and the certificate.
    let certificate = std::fs::read_to_string(&stage.alice.certificate).expect("PEM");
    let first = certificate
        .split("-----")
        .nth(2)
        .expect("base64")
        .replace('\n', "");
    let claims =
        json!({"service": {"name": "weather"}, "request_id": identifier(), "nonce": nonce()});
    let head = json!({"alg": "HS256", "typ": "service-credential-request+jwt", "x5c": [first]});
    let x = serde_json::to_value(stage.alice.key.public()).expect("a key");
    let x = URL_SAFE_NO_PAD
        .decode(x["x"].as_str().expect("x"))
        .expect("x");
    let der = STANDARD.decode(&first).expect("DER");
    for key in [x, Sha256::digest(der).to_vec(), Vec::new()] {
        let answer = user.post("/credentials", &mac(&key, &head, &claims));
        assert_eq!(word(&answer), "403 signature");
    }
    // At the provider a session's key is the only one that counts.
    let url = credential.url("/free");
    let request = json!({
        "accounting_session_id": credential.session,
        "request": {"method": "GET", "target": target(&url), "nonce": nonce()},
    });
    let signed = stage.alice.sign("service-request+jwt", &request);
    let kid = with_header(&credential.sign("GET", &target(&url)), "alg", json!("none"));
    for (what, token) in [
        ("a certificate", signed),
        ("none", with_part(&kid, 2, b"")),
        (
            "no key",
            mac(
                &[],
                &json!({"alg": "HS256", "typ": "service-request+jwt", "kid": credential.session}),
                &request,
            ),
        ),
        ("nothing", String::new()),
    ] {
        let answer = user.use_with(&url, "GET", &token);
        assert!(
            matches!(answer.status, 400 | 403 | 404),
            "{what}: {} {}",
            answer.status,
            answer.text()
        );
    }
    assert_eq!(moved(&stage), before);
}

#[test]
fn what_is_cut_off_too_large_or_of_another_kind_is_refused() {
    let stage = Stage::new(Setup::default());
    let mut user = stage.user();
    let before = moved(&stage);
    let good = user.request("weather");
    let lengths = (0..good.len())
        .step_by(good.len() / 40)
        .chain([good.len() - 1]);
    for length in lengths {
        let answer = user.post("/credentials", &good[..length]);
        assert!(
            matches!(answer.status, 400 | 403 | 415),
            "{length}: {}",
            answer.status
        );
    }
    let large = json!({"service": {"name": "w".repeat(20_000)}, "request_id": identifier(), "nonce": nonce()});
    let large = with_part(&good, 1, large.to_string().as_bytes());
    let answer = user.post("/credentials", &large);
    assert!(matches!(answer.status, 400 | 413), "{}", answer.status);
    for (claims, what) in [
        (
            json!({"service": {"name": "weather"}, "request_id": "short", "nonce": nonce()}),
            "an identifier",
        ),
        (
            json!({"service": {"name": "weather"}, "request_id": identifier()}),
            "no nonce",
        ),
        (
            json!({"service": {"name": "weather"}, "request_id": identifier(), "nonce": "now"}),
            "a nonce",
        ),
        (
            json!({"service": {"name": "weather"}, "request_id": identifier(), "nonce": nonce(), "free": true}),
            "a member",
        ),
        (
            json!({"service": "weather", "request_id": identifier(), "nonce": nonce()}),
            "a service",
        ),
        (json!([1, 2]), "no object"),
    ] {
        let token = stage.alice.sign("service-credential-request+jwt", &claims);
        assert_eq!(
            word(&user.post("/credentials", &token)),
            "400 malformed",
            "{what}"
        );
    }
    // Each kind of message at each route that takes another.
    let session = identifier();
    let messages = [
        (
            "service-credential-request+jwt",
            json!({"service": {"name": "weather"}, "request_id": identifier(), "nonce": nonce()}),
        ),
        (
            "accounting-message+jwt",
            json!({
                "message_id": identifier(), "accounting_session_id": session, "sequence": 1, "kind": "interim",
                "data": {"requests": 1}, "nonce": nonce(),
            }),
        ),
        (
            "revocation+jwt",
            json!({"accounting_session_id": session, "reason": "operator", "nonce": nonce()}),
        ),
    ];
    let routes = [
        (format!("{MANAGER}/credentials"), 0),
        (format!("{MANAGER}/accounting"), 1),
        (format!("{PROVIDER_BASE}/revocations"), 2),
        (format!("{PROVIDER_BASE}/credentials"), 3),
    ];
    for (url, own) in &routes {
        for (kind, (typ, claims)) in messages.iter().enumerate() {
            if kind != *own {
                let token = stage.manager.sign(typ, claims);
                assert_eq!(
                    word(&post(&mut user, url, &token)),
                    "403 signature",
                    "{typ} at {url}"
                );
            }
        }
    }
    assert_eq!(moved(&stage), before);
}

#[test]
fn only_the_manager_may_tell_the_provider_and_only_the_provider_the_manager() {
    let stage = Stage::new(Setup::default());
    let mut user = stage.user();
    let credential = user.credential("weather");
    user.get(&credential, "/mine").expect(200);
    // Everybody has a good certificate here.
    let mallory = stage.authority.issue("mallory.example");
    let revocation = json!({"accounting_session_id": credential.session, "reason": "operator", "nonce": nonce()});
    for who in [&mallory, &stage.alice, &stage.provider] {
        let token = who.sign("revocation+jwt", &revocation);
        assert_eq!(
            word(&post(
                &mut user,
                &format!("{PROVIDER_BASE}/revocations"),
                &token
            )),
            "403 certificate"
        );
        let free = json!({
            "user_address": {"ip": stage.user_host().ip.to_string()}, "accounting_session_id": identifier(),
            "session_key": credential.claims["session_key"], "policies": {
                "service": "weather", "not_before": now() - 10, "not_after": now() + 1000, "times_of_day": [],
                "max_requests": null, "address_change": true, "collect": ["requests"],
                "max_seconds_between_messages": 100, "granted": {},
            },
        });
        let token = who.sign("user-credential+jwt", &free);
        assert_eq!(
            word(&post(
                &mut user,
                &format!("{PROVIDER_BASE}/credentials"),
                &token
            )),
            "403 certificate"
        );
    }
    let report = |who: &Identity| {
        who.sign("accounting-message+jwt", &json!({
            "message_id": identifier(), "accounting_session_id": credential.session, "sequence": 99, "kind": "final",
            "cause": "user", "data": {"requests": 50}, "nonce": nonce(),
        }))
    };
    for who in [&mallory, &stage.alice, &stage.manager] {
        assert_eq!(
            word(&user.post("/accounting", &report(who))),
            "403 certificate",
            "{}",
            who.name
        );
    }
    user.get(&credential, "/still").expect(200);
    // By the manager's own key it is one, and repeated it is no other.
    let token = stage.manager.sign("revocation+jwt", &revocation);
    for _ in 0..2 {
        post(&mut user, &format!("{PROVIDER_BASE}/revocations"), &token).expect(204);
    }
    let session = stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    assert_eq!(session["cause"], "revoked", "{session:#}");
    assert_eq!(stage.wait_for_spent(), 2 * REQUEST);
    assert_eq!(stage.wait_for_records_of(&credential, 1), 2 * REQUEST);
}

#[test]
fn what_is_signed_is_what_is_done() {
    let stage = Stage::new(Setup::default());
    let mut user = stage.user();
    let credential = user.credential("weather");
    let cheap = credential.url("/cheap");
    let token = |method: &str| credential.sign(method, &target(&cheap));
    let mut refused = |url: &url::Url, method: &str, signed: String| {
        let answer = user.use_with(url, method, &signed);
        assert_eq!(word(&answer), "403 signature", "{method} {url}");
    };
    refused(&credential.url("/dear"), "GET", token("GET"));
    refused(&credential.url("/cheap?all=1"), "GET", token("GET"));
    refused(&credential.url("/cheap/"), "GET", token("GET"));
    refused(&credential.url("/%63heap"), "GET", token("GET"));
    refused(&cheap, "POST", token("GET"));
    refused(&cheap, "DELETE", token("GET"));
    assert!(stage.http.arrived().is_empty());
    let other = user.credential("archive");
    // A session is of one service.
    let url = other.url("/octets/10");
    let answer = user.use_with(&url, "GET", &credential.sign("GET", &target(&url)));
    assert!(matches!(answer.status, 403 | 404), "{}", answer.text());
    assert!(stage.http.arrived().is_empty());
    for credential in [&credential, &other] {
        user.sessions(credential, "DELETE").expect(200);
    }
    assert_eq!(stage.wait_for_spent(), 0);
}

#[test]
fn a_clock_that_is_wrong_stops_trade_and_charges_nothing() {
    let mut stage = Stage::prepare(Setup::default());
    stage.shop.set_days_ahead(1);
    stage.start();
    let before = moved(&stage);
    let mut user = stage.user();
    let answer = user.ask("weather");
    // The provider acknowledges a credential whose lifetime is over for him, or refuses it; nobody is served either way.
    if answer.status == 200 {
        let credential = Credential::open(&stage.alice, &answer.text());
        let refused = user.get(&credential, "/yesterday");
        assert_eq!(refused.status, 403, "{}", refused.text());
    }
    assert_eq!(stage.wait_for_spent(), 0);
    assert_eq!(moved(&stage), before);
}

/// A message of the provider's own key, as if he had served so much.
fn report(stage: &Stage, credential: &Credential, sequence: i64, data: &Value) -> String {
    stage.provider.sign(
        "accounting-message+jwt",
        &json!({
            "message_id": identifier(), "accounting_session_id": credential.session, "sequence": sequence,
            "kind": "interim", "data": data, "nonce": nonce(),
        }),
    )
}

#[test]
fn a_provider_is_paid_for_no_more_than_was_granted() {
    let stage = Stage::new(Setup {
        manager: "grace_seconds = 1\n".to_owned(),
        ..Setup::default()
    });
    let mut user = stage.user();
    let credential = user.credential("archive");
    let (_, held) = stage.account();
    let claimed = json!({"octets": i64::MAX});
    let answer = user.post("/accounting", &report(&stage, &credential, 1000, &claimed));
    assert!(matches!(answer.status, 200 | 400), "{}", answer.text());
    let session = stage.session(&credential);
    assert_eq!(session["flags"]["over_granted"], true, "{session:#}");
    user.sessions(&credential, "DELETE");
    let spent = stage.wait_for_spent();
    assert!(spent <= held, "{spent} was charged, {held} was granted");
}

#[test]
fn a_provider_is_paid_for_no_more_than_passed_the_gate() {
    let stage = Stage::new(Setup {
        gate: true,
        manager: "grace_seconds = 1\n".to_owned(),
        ..Setup::default()
    });
    let mut user = stage.user();
    let credential = user.gated("echo", USER_PORT);
    user.sessions(&credential, "POST").expect(200);
    let mut datagrams = stage.datagrams();
    assert!((0..10).all(|_| datagrams.echo()), "it is open");
    let claimed = json!({"octets": 10 * datagrams.octets});
    let answer = user.post("/accounting", &report(&stage, &credential, 1000, &claimed));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let session = stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    assert_eq!(session["flags"]["over_gate"], true, "{session:#}");
    assert_eq!(session["revoked"], "report", "{session:#}");
    assert_eq!(stage.wait_for_spent(), datagrams.octets as i64 * OCTET);
    assert!(datagrams.is_lost(), "it is shut");
    assert_eq!(user.sessions(&credential, "DELETE").status, 410);
}

#[test]
fn a_provider_that_goes_on_after_a_revocation_is_paid_nothing_for_it() {
    let stage = Stage::new(Setup::default());
    let mut user = stage.user();
    let credential = user.credential("weather");
    user.get(&credential, "/once").expect(200);
    stage.operator(&["peer", "end", &credential.session]);
    stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    assert_eq!(stage.wait_for_spent(), REQUEST);
    let more = json!({"requests": 9});
    let answer = user
        .post("/accounting", &report(&stage, &credential, 1000, &more))
        .expect(200);
    assert_eq!(claims(&answer.text())["state"], "closed");
    let session = stage.session(&credential);
    assert_eq!(session["flags"]["late"], true, "{session:#}");
    assert_eq!(stage.wait_for_spent(), REQUEST);
    assert_eq!(stage.wait_for_records_of(&credential, 1), REQUEST);
}

#[test]
fn a_manager_whose_certificate_is_revoked_sends_nobody() {
    let mut stage = Stage::new(Setup::default());
    let mut user = stage.user();
    user.ask("weather").expect(200);
    drop(user);
    stage.authority.revoke("manager.example");
    stage.shop.reload();
    // He does not acknowledge what it says, and so the user gets nothing.
    wait_until("the new list", PATIENCE, || {
        stage.user().ask("weather").status == 502
    });
    let before = stage.account();
    assert_eq!(
        word(&stage.user().ask("weather")),
        "502 provider-unreachable"
    );
    wait_until("the reservation to be given back", PATIENCE, || {
        stage.account() == before
    });
}
