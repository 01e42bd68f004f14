//! What is forged, stolen, old, too large, or by somebody else.

use rcgen::{PKCS_ECDSA_P256_SHA256, SerialNumber, date_time_ymd};
use serde_json::json;
use tollwire_jose::{SessionKey, sign_certified, sign_hs256};
use tollwire_peer::{Cause, Identity, Nonce, Reason, ServiceCredential, Signed};

use super::world::*;

#[tokio::test]
async fn requests_that_are_not_good_are_refused_with_the_protocols_words() {
    let world = World::start("attacks", "").await;
    let ask = async |token: &str| refusal(&world.post("/credentials", token).await);
    let request = || World::request("weather");
    let good = request().sign(&world.alice).unwrap();

    for bytes in [
        "",
        "a.b",
        "a.b.c",
        &good[..good.len() - 20],
        &"x".repeat(20_000),
    ] {
        let (status, word) = ask(bytes).await;
        assert!((400..=403).contains(&status), "{word}");
    }
    let mut forged = good.clone().into_bytes();
    let last = forged.len() - 10;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    assert_eq!(ask(&forged).await, (403, "signature".into()));

    // The key that everybody knows, with an algorithm for secret ones (RFC 8725 2.1), and none at all.
    let key = SessionKey::from_octets(&[7; 32]).unwrap();
    let confused = sign_hs256(&key, "k", "service-credential-request+jwt", &json!({})).unwrap();
    assert_eq!(ask(&confused).await.0, 403);
    let (_, rest) = good.split_once('.').unwrap();
    let none = format!("eyJhbGciOiJub25lIn0.{rest}");
    assert_eq!(ask(&none).await.0, 403);

    // Another kind of message, and unknown members.
    let claims = serde_json::to_value(request()).unwrap();
    let typed = |kind, claims| {
        sign_certified(world.alice.key(), world.alice.chain(), kind, claims).unwrap()
    };
    let other = typed("accounting-message+jwt", &claims);
    assert_eq!(ask(&other).await, (403, "signature".into()));
    let mut more = claims.clone();
    more["admin"] = json!(true);
    let other = typed("service-credential-request+jwt", &more);
    assert_eq!(ask(&other).await, (400, "malformed".into()));

    // Other roots, and certificates that are not good now.
    let others = Authority::new();
    let stranger = others.party(ALICE);
    let token = request().sign(&stranger).unwrap();
    assert_eq!(ask(&token).await, (403, "certificate".into()));
    for (from, until) in [((2020, 1, 1), (2021, 1, 1)), ((2090, 1, 1), (2091, 1, 1))] {
        let (certificate, key) = world.authority.issue(ALICE, &PKCS_ECDSA_P256_SHA256, |it| {
            it.not_before = date_time_ymd(from.0, from.1, from.2);
            it.not_after = date_time_ymd(until.0, until.1, until.2);
        });
        let party = Identity::from_pem(&certificate, &key).unwrap();
        let token = request().sign(&party).unwrap();
        assert_eq!(ask(&token).await, (403, "certificate".into()));
    }
    // Old, and early.
    for seconds in [-100, 100] {
        let mut skewed = request();
        skewed.nonce = Nonce::new(now() + seconds).unwrap();
        let token = skewed.sign(&world.alice).unwrap();
        assert_eq!(ask(&token).await, (403, "skew".into()));
    }
    // Another media type: no page's form can send ours.
    let url = format!("{}/credentials", world.base);
    let answer = world
        .client
        .post(&url, "text/plain", good.clone())
        .await
        .unwrap();
    assert_eq!(refusal(&answer), (400, "malformed".into()));
    assert_eq!((world.balance().await, world.held().await), (EURO, 0));
    assert_eq!(ask_ok(&world, &good).await, 200);
}

async fn ask_ok(world: &World, token: &str) -> u16 {
    world.post("/credentials", token).await.status.as_u16()
}

#[tokio::test]
async fn a_certificate_that_was_revoked_is_refused_from_the_next_reload_on() {
    let world = World::start("revoked", "").await;
    let (certificate, key) = world.authority.issue(ALICE, &PKCS_ECDSA_P256_SHA256, |it| {
        it.serial_number = Some(SerialNumber::from(4711u64));
    });
    let alice = Identity::from_pem(&certificate, &key).unwrap();
    let token = World::request("weather").sign(&alice).unwrap();
    let answer = world.post("/credentials", &token).await;
    let (credential, _) = ServiceCredential::verify(&answer.text(), &world.trust, now()).unwrap();
    let running = credential.accounting_session_id;
    let other = world.credential("weather").await.accounting_session_id;
    let list = world.authority.list(&[4711]);
    std::fs::write(world.daemon.folder.join("crl.pem"), list).unwrap();
    world.daemon.reload();
    wait_until("the list", async || {
        let token = World::request("weather").sign(&alice).unwrap();
        ask_ok(&world, &token).await == 403
    })
    .await;
    let token = World::request("weather").sign(&alice).unwrap();
    let answer = world.post("/credentials", &token).await;
    assert_eq!(refusal(&answer), (403, "revoked".into()));
    let token = World::request("weather").sign(&world.alice).unwrap();
    assert_eq!(ask_ok(&world, &token).await, 200);
    // What runs under it ends, and nobody else's.
    wait_until("a revocation", async || {
        let known = world.provider.revocations.lock().unwrap();
        known.get(running.as_str()) == Some(&Reason::Certificate)
    })
    .await;
    let said = world
        .acknowledged(&World::requests(&running, 1, Some(Cause::Revoked), 2))
        .await;
    assert!(said.last);
    assert_eq!(world.session(other.as_str()).await["state"], "open");
    assert!(world.session(other.as_str()).await["revoked"].is_null());
}

#[tokio::test]
async fn accounting_messages_of_others_and_twisted_ones_move_nothing() {
    let world = World::start("messages", "").await;
    let id = world.credential("weather").await.accounting_session_id;
    let message = World::requests(&id, 1, None, 3);
    // By the user, by another provider.
    let another = world.authority.party("another.example");
    for party in [&world.alice, &another] {
        let token = message.sign(party).unwrap();
        let answer = world.post("/accounting", &token).await;
        assert_eq!(refusal(&answer), (403, "certificate".into()));
    }
    let mut old = message.clone();
    old.nonce = Nonce::new(now() - 100).unwrap();
    assert_eq!(refusal(&world.send(&old).await), (403, "skew".into()));
    let unknown = World::requests(&tollwire_peer::Identifier::random().unwrap(), 1, None, 3);
    assert_eq!(
        refusal(&world.send(&unknown).await),
        (404, "unknown-session".into())
    );
    world.acknowledged(&message).await;
    let mut other = message.clone();
    other.data.requests = Some(4);
    assert_eq!(refusal(&world.send(&other).await), (409, "replayed".into()));
    let mut other = World::requests(&id, 2, None, 4);
    other.nonce = message.nonce.clone();
    assert_eq!(refusal(&world.send(&other).await), (409, "replayed".into()));
    assert_eq!(world.balance().await, EURO - 3 * REQUEST);
}

#[tokio::test]
async fn one_user_cannot_ask_without_end() {
    let more = "user_requests_per_second = 1\nuser_burst = 3\nmax_sessions_per_user = 2\n";
    let world = World::start("rate", more).await;
    let mut said = Vec::new();
    for _ in 0..5 {
        let token = World::request("weather").sign(&world.alice).unwrap();
        said.push(ask_ok(&world, &token).await);
    }
    assert_eq!(said[..2], [200, 200]);
    assert!(said[2..].iter().all(|status| *status == 429), "{said:?}");
}
