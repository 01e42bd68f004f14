//! Killed with SIGKILL while messages come: nothing is lost, and nothing is charged twice.

use tollwire_peer::{Cause, Signed, State};

use super::world::*;

#[tokio::test]
async fn killed_over_and_over_every_message_counts_once() {
    let mut world = World::start("killed", "").await;
    let id = world.credential("weather").await.accounting_session_id;
    let mut messages = Vec::new();
    for round in 0..8u64 {
        let message = World::requests(&id, round + 1, None, round * 3);
        let token = message.sign(&world.provider.identity).unwrap();
        let (client, url) = (world.client.clone(), format!("{}/accounting", world.base));
        let asked = tokio::spawn(async move {
            let answer = client.post(&url, "application/jose", token).await;
            answer.is_ok_and(|answer| answer.status.is_success())
        });
        // Sooner or later than its answer, as it happens.
        tokio::time::sleep(std::time::Duration::from_millis(round * 2)).await;
        world.daemon.kill();
        let _ = asked.await;
        world.daemon.start_working().await;
        messages.push(message);
    }
    let mut last = 0;
    for message in &messages {
        let said = world.acknowledged(message).await;
        assert_eq!(said.state, State::Open);
        assert_eq!(world.acknowledged(message).await, said);
        last = message.sequence;
    }
    assert_eq!(world.balance().await, EURO - 21 * REQUEST);
    let message = World::requests(&id, last + 1, Some(Cause::User), 25);
    world.acknowledged(&message).await;
    world.daemon.kill();
    world.daemon.start_working().await;
    let said = world.acknowledged(&message).await;
    assert_eq!(
        (said.state, said.granted.requests),
        (State::Closed, Some(25))
    );
    assert_eq!(
        (world.balance().await, world.held().await),
        (EURO - 25 * REQUEST, 0)
    );
    wait_until("the record", async || world.daemon.records().len() == 1).await;
    assert_eq!(world.daemon.records()[0].amount_micro, 25 * REQUEST);
    assert_eq!(world.daemon.ask("/trial-balance").await["balanced"], true);
}

#[tokio::test]
async fn a_revocation_outlives_the_daemon() {
    let mut world = World::start("revocation", "").await;
    let id = world.credential("weather").await.accounting_session_id;
    *world.provider.mood.lock().unwrap() = Mood::Away;
    world.close(id.as_str()).await;
    world.daemon.kill();
    world.daemon.start_working().await;
    *world.provider.mood.lock().unwrap() = Mood::Takes;
    wait_until("the revocation", async || {
        world
            .provider
            .revocations
            .lock()
            .unwrap()
            .contains_key(id.as_str())
    })
    .await;
    wait_until("that it is known to be taken", async || {
        world.session(id.as_str()).await["revocation_owed"].is_null()
    })
    .await;
}

#[tokio::test]
async fn a_request_outlives_the_daemon() {
    let mut world = World::start("request", "").await;
    *world.provider.mood.lock().unwrap() = Mood::Away;
    let token = World::request("weather").sign(&world.alice).unwrap();
    let (client, url) = (world.client.clone(), format!("{}/credentials", world.base));
    let sent = token.clone();
    let asked = tokio::spawn(async move { client.post(&url, "application/jose", sent).await });
    wait_until("the hold", async || world.held().await > 0).await;
    world.daemon.kill();
    let _ = asked.await;
    *world.provider.mood.lock().unwrap() = Mood::Takes;
    world.daemon.start_working().await;
    let answer = world.post("/credentials", &token).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    assert_eq!(world.held().await, 10 * REQUEST);
    assert_eq!(world.provider.credentials.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_stop_answers_who_waits_and_keeps_what_was_begun() {
    let mut world = World::start("stop", "").await;
    let id = world.credential("weather").await.accounting_session_id;
    world.acknowledged(&World::requests(&id, 1, None, 2)).await;
    world.daemon.stop();
    world.daemon.start_working().await;
    let said = world
        .acknowledged(&World::requests(&id, 2, Some(Cause::User), 4))
        .await;
    assert_eq!(said.state, State::Closed);
    assert_eq!(world.balance().await, EURO - 4 * REQUEST);
}
