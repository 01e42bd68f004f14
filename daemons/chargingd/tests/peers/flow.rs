//! Credentials, messages, money.

use serde_json::{Value, json};
use tollwire_peer::{Cause, Data, Measure, Reason, Signed, State, open_key};

use super::world::*;

#[tokio::test]
async fn a_service_is_found_granted_metered_and_paid() {
    let world = World::start("flow", "").await;
    let list = world.services().await;
    let weather = &list.services[0];
    assert_eq!((&*weather.name, &*weather.provider), ("weather", PROVIDER));
    assert_eq!(weather.collect, [Measure::Requests]);

    let credential = world.credential("weather").await;
    assert_eq!(credential.provider.name, PROVIDER);
    assert_eq!(
        credential.provider.address,
        "https://provider.example/weather"
    );
    assert!(credential.provider.sessions.ends_with("/p/sessions"));
    let id = credential.accounting_session_id.clone();
    let known = world.provider.credentials.lock().unwrap()[id.as_str()].clone();
    // Both have the same key, and each read it with his own: one of P-256, one of Ed25519.
    let users = open_key(&world.alice, &credential.session_key).unwrap();
    let providers = open_key(&world.provider.identity, &known.session_key).unwrap();
    assert_eq!(users.octets(), providers.octets());
    assert_eq!(known.policies.service, "weather");
    assert_eq!(known.policies.not_after, credential.validity.not_after);
    assert_eq!(known.policies.granted.requests, Some(10));
    assert_eq!(known.user_address.ip.to_string(), "127.0.0.1");
    assert_eq!(world.held().await, 10 * REQUEST);

    let first = World::requests(&id, 1, None, 4);
    let said = world.acknowledged(&first).await;
    assert_eq!(
        (said.state, said.granted.requests, said.last),
        (State::Open, Some(14), false)
    );
    assert_eq!(world.balance().await, EURO - 4 * REQUEST);
    let last = World::requests(&id, 2, Some(Cause::User), 9);
    let said = world.acknowledged(&last).await;
    assert_eq!(
        (said.state, said.granted.requests, said.last),
        (State::Closed, Some(9), true)
    );
    assert_eq!(
        (world.balance().await, world.held().await),
        (EURO - 9 * REQUEST, 0)
    );
    // Repeated, and signed again with another nonce, they are answered as before.
    assert_eq!(world.acknowledged(&last).await, said);
    let again = tollwire_peer::AccountingMessage {
        nonce: tollwire_peer::Nonce::new(now()).unwrap(),
        ..last.clone()
    };
    assert_eq!(world.acknowledged(&again).await, said);

    let session = world.session(id.as_str()).await;
    assert_eq!(session["state"], "closed");
    assert_eq!(session["cost_micro"], 9 * REQUEST);
    assert_eq!(session["currency"], "EUR");
    assert_eq!(session["messages"].as_array().unwrap().len(), 2);
    assert_eq!(session["flags"], json!({}));
    let all = world.daemon.ask("/peers/sessions?state=closed").await;
    assert_eq!(all.as_array().unwrap().len(), 1);
    // The record's provider gets his part by the tariff.
    let ledger: Value = world.daemon.ask("/ledger?account=alice").await;
    let debits: Vec<&Value> = (ledger.as_array().unwrap().iter())
        .filter(|entry| {
            entry["key"]
                .as_str()
                .is_some_and(|key| key.contains(";peer;"))
        })
        .collect();
    assert_eq!(debits.len(), 2, "{ledger}");
    wait_until("the record", async || !world.daemon.records().is_empty()).await;
    let records = world.daemon.records();
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].amount_micro, &*records[0].service),
        (9 * REQUEST, "weather")
    );
    assert_eq!((&*records[0].from, &*records[0].to), (ALICE, PROVIDER));
    assert_eq!(&*records[0].call_id, id.as_str());
    assert_eq!(world.daemon.ask("/trial-balance").await["balanced"], true);
    let metrics = tollwire_runtime::admin::client::get_text(&world.daemon.admin(), "/metrics")
        .await
        .unwrap_or_default();
    assert!(metrics.contains("chargingd_peers_issued"), "{metrics}");
}

#[tokio::test]
async fn a_request_is_answered_again_by_the_same_octets_and_others_are_refused() {
    let world = World::start("again", "").await;
    let request = World::request("weather");
    let token = request.sign(&world.alice).unwrap();
    let (first, second) = tokio::join!(
        world.post("/credentials", &token),
        world.post("/credentials", &token)
    );
    let third = world.post("/credentials", &token).await;
    assert_eq!(first.status.as_u16(), 200, "{}", first.text());
    assert_eq!(first.body, second.body);
    assert_eq!(first.body, third.body);
    assert_eq!(world.held().await, 10 * REQUEST);
    // ECDSA: the same claims signed again are other octets.
    let other = world
        .post("/credentials", &request.sign(&world.alice).unwrap())
        .await;
    assert_eq!(refusal(&other), (409, "replayed".into()));
    let mut renamed = World::request("weather");
    renamed.nonce = request.nonce.clone();
    let other = world
        .post("/credentials", &renamed.sign(&world.alice).unwrap())
        .await;
    assert_eq!(refusal(&other), (409, "replayed".into()));
}

#[tokio::test]
async fn who_cannot_pay_and_what_is_not_sold() {
    let world = World::start("poor", "").await;
    let nobody = world.authority.party("urn:tollwire:nobody");
    let ask = async |service: &str, who| {
        let token = World::request(service).sign(who).unwrap();
        refusal(&world.post("/credentials", &token).await)
    };
    assert_eq!(ask("weather", &nobody).await, (403, "unknown-user".into()));
    assert_eq!(
        ask("nothing", &world.alice).await,
        (404, "unknown-service".into())
    );
    // An account of the name in the certificate.
    world
        .daemon
        .operate(json!({"create-account": {
            "name": "bob.example", "payment": "prepaid", "currency": "EUR", "credit_limit_micro": 0, "identities": []
        }}))
        .await;
    let bob = world.authority.party("bob.example");
    assert_eq!(ask("weather", &bob).await, (402, "no-credit".into()));
    world
        .daemon
        .operate(
            json!({"top-up": {"account": "bob.example", "amount_micro": EURO, "reference": "b"}}),
        )
        .await;
    let token = World::request("weather").sign(&bob).unwrap();
    assert_eq!(
        world.post("/credentials", &token).await.status.as_u16(),
        200
    );
}

#[tokio::test]
async fn a_provider_that_does_not_acknowledge_costs_nothing() {
    let world = World::start("away", "").await;
    for mood in [Mood::Away, Mood::Refuses, Mood::Forges] {
        *world.provider.mood.lock().unwrap() = mood;
        let held = world.held().await;
        let token = World::request("weather").sign(&world.alice).unwrap();
        let answer = world.post("/credentials", &token).await;
        assert_eq!(
            refusal(&answer),
            (502, "provider-unreachable".into()),
            "{mood:?}"
        );
        assert_eq!((world.balance().await, world.held().await), (EURO, held));
        *world.provider.mood.lock().unwrap() = Mood::Takes;
        // The same octets begin anew.
        let answer = world.post("/credentials", &token).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    }
    // It may have heard of the one that it forged an acknowledgement for.
    wait_until("a revocation", async || {
        !world.provider.revocations.lock().unwrap().is_empty()
    })
    .await;
}

#[tokio::test]
async fn an_account_that_runs_dry_is_revoked_and_never_overdrawn() {
    let world = World::start("dry", "").await;
    // Worth 100 requests in all.
    let credential = world.credential("weather").await;
    let id = credential.accounting_session_id.clone();
    let mut used = 0;
    let mut sequence = 0;
    let said = loop {
        sequence += 1;
        used += 10;
        let said = world
            .acknowledged(&World::requests(&id, sequence, None, used))
            .await;
        if said.last {
            break said;
        }
    };
    assert_eq!(said.granted.requests, Some(100));
    if used < 100 {
        sequence += 1;
        world
            .acknowledged(&World::requests(&id, sequence, None, 100))
            .await;
    }
    wait_until("a revocation", async || {
        world.provider.revocations.lock().unwrap().get(id.as_str()) == Some(&Reason::Credit)
    })
    .await;
    // What it reports beyond is not paid.
    let said = world
        .acknowledged(&World::requests(
            &id,
            sequence + 1,
            Some(Cause::Credit),
            130,
        ))
        .await;
    assert_eq!(
        (said.state, said.granted.requests),
        (State::Closed, Some(100))
    );
    assert_eq!((world.balance().await, world.held().await), (0, 0));
    let session = world.session(id.as_str()).await;
    assert_eq!(session["flags"], json!({"over_granted": true}));
}

#[tokio::test]
async fn an_operator_and_a_block_end_sessions_at_once() {
    let world = World::start("close", "").await;
    let one = world.credential("weather").await.accounting_session_id;
    let other = world.credential("weather").await.accounting_session_id;
    assert_eq!(world.close(one.as_str()).await["status"], "ok");
    wait_until("a revocation", async || {
        world.provider.revocations.lock().unwrap().get(one.as_str()) == Some(&Reason::Operator)
    })
    .await;
    world
        .daemon
        .operate(json!({"block": {"account": "alice"}}))
        .await;
    wait_until("a revocation", async || {
        let known = world.provider.revocations.lock().unwrap();
        known.get(other.as_str()) == Some(&Reason::Operator)
    })
    .await;
    for id in [&one, &other] {
        let said = world
            .acknowledged(&World::requests(id, 1, Some(Cause::Revoked), 3))
            .await;
        assert_eq!((said.state, said.last), (State::Closed, true));
    }
    assert_eq!(
        (world.balance().await, world.held().await),
        (EURO - 6 * REQUEST, 0)
    );
}

#[tokio::test]
async fn a_silent_provider_is_closed_with_a_record_and_revoked() {
    let more = "grace_seconds = 1\n";
    let world = World::start("silent", more).await;
    // Seconds, so that nobody waits for long.
    let path = world.daemon.folder.join("chargingd.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace(
        "lifetime_seconds = 600",
        "lifetime_seconds = 600\nmax_seconds_between_messages = 1",
    );
    std::fs::write(&path, text).unwrap();
    world.daemon.reload();
    let id = loop {
        let id = world.credential("weather").await.accounting_session_id;
        let known = world.provider.credentials.lock().unwrap()[id.as_str()].clone();
        if known.policies.max_seconds_between_messages == 1 {
            break id;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    world.acknowledged(&World::requests(&id, 1, None, 2)).await;
    wait_until("its end", async || {
        world.session(id.as_str()).await["state"] == "closed"
    })
    .await;
    let session = world.session(id.as_str()).await;
    assert_eq!(
        (&session["cause"], &session["flags"]),
        (&json!("lost"), &json!({"silent": true}))
    );
    assert_eq!(world.balance().await, EURO - 2 * REQUEST);
    wait_until("a revocation", async || {
        world
            .provider
            .revocations
            .lock()
            .unwrap()
            .contains_key(id.as_str())
    })
    .await;
    let late = world
        .acknowledged(&World::requests(&id, 2, Some(Cause::Lost), 5))
        .await;
    assert_eq!(late.state, State::Closed);
    let session = world.session(id.as_str()).await;
    assert_eq!(
        session["flags"],
        json!({"silent": true, "late": true, "uncharged": true})
    );
    assert_eq!(world.balance().await, EURO - 2 * REQUEST);
}

#[tokio::test]
async fn several_measures_are_charged_beside_each_other() {
    let world = World::start("measures", "").await;
    let id = world.credential("archive").await.accounting_session_id;
    let data = Data {
        octets: Some(20_000),
        requests: Some(2),
        ..Data::default()
    };
    let said = world
        .acknowledged(&World::message(&id, 1, None, data))
        .await;
    assert_eq!(
        (said.granted.octets, said.granted.requests),
        (Some(70_000), Some(12))
    );
    let other = World::requests(&id, 2, None, 3);
    assert_eq!(
        refusal(&world.send(&other).await),
        (400, "malformed".into())
    );
    let shrinks = Data {
        octets: Some(19_999),
        ..data
    };
    let other = World::message(&id, 3, None, shrinks);
    assert_eq!(
        refusal(&world.send(&other).await),
        (400, "malformed".into())
    );
    let said = world
        .acknowledged(&World::message(&id, 4, Some(Cause::Provider), data))
        .await;
    assert_eq!(said.state, State::Closed);
    assert_eq!(world.balance().await, EURO - 20 * KILOBYTE);
    assert_eq!(
        world.session(id.as_str()).await["flags"],
        json!({"shrinking": true})
    );
}
