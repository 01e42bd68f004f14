//! What managers are told.

use axum::http::StatusCode;
use tollwire_jose::Trust;
use tollwire_peer::{AccountingMessage, Cause, Data, Kind, Signed, Word};

use crate::world::{Mode, User, World, now, nowhere, until, word};

#[tokio::test]
async fn messages_come_at_the_pace_that_the_policies_say() {
    let world = World::new(nowhere()).await;
    let mut policies = world.policies("weather");
    policies.max_seconds_between_messages = 1;
    let user = world.user(policies).await;
    until("no three messages", || world.heard().len() >= 3).await;
    world.ask(&user, "GET", "/weather/echo").await;
    world.ask(&user, "DELETE", "/peers/sessions").await;
    world.final_message().await;
    let heard = world.heard();
    let sequences: Vec<u64> = heard.iter().map(|message| message.sequence).collect();
    let expected: Vec<u64> = (1..=heard.len() as u64).collect();
    assert_eq!(sequences, expected);
    let mut before = Data::default();
    for message in &heard {
        assert_eq!(message.data.shrinks_from(&before), None);
        before = message.data;
    }
    let (last, interim) = heard.split_last().unwrap();
    assert_eq!(last.kind, Kind::Final);
    assert!(
        interim
            .iter()
            .all(|it| it.kind == Kind::Interim && it.cause.is_none())
    );
}

#[tokio::test]
async fn what_is_not_acknowledged_is_sent_again_octet_for_octet() {
    let world = World::new(nowhere()).await;
    world.set(Mode::Fails);
    let user = world.user(world.policies("weather")).await;
    world.ask(&user, "GET", "/weather/echo").await;
    world.ask(&user, "DELETE", "/peers/sessions").await;
    let tokens = || world.books.lock().unwrap().tokens.clone();
    until("it is not sent again", || tokens().len() >= 2).await;
    // Nor does an answer count that is not the manager's.
    world.set(Mode::Garbage);
    let count = tokens().len();
    until("it is not sent again", || tokens().len() > count).await;
    assert!(world.heard().is_empty());
    world.set(Mode::Grants(Data::default(), true));
    assert_eq!(world.final_message().await.cause, Some(Cause::User));
    assert!(tokens().windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(world.heard().len(), 1);
}

#[tokio::test]
async fn a_restart_loses_nothing_and_forgets_no_nonce() {
    let mut world = World::new(nowhere()).await;
    world.set(Mode::Fails);
    let ended = world.user(world.policies("weather")).await;
    world.ask(&ended, "GET", "/weather/echo").await;
    world.ask(&ended, "DELETE", "/peers/sessions").await;
    let open = world.user(world.policies("weather")).await;
    let token = open.token("GET", "/weather/echo");
    let first = world.send("GET", "/weather/echo", Some(&token), "").await;
    assert_eq!(first.status, StatusCode::OK);
    world.restart().await;
    let replayed = world.send("GET", "/weather/echo", Some(&token), "").await;
    assert_eq!(word(&replayed), "409 replayed");
    assert_eq!(
        world.ask(&open, "GET", "/weather/echo").await.status,
        StatusCode::OK
    );
    assert_eq!(
        word(&world.ask(&ended, "GET", "/weather/echo").await),
        "410 closed"
    );
    world.set(Mode::Grants(Data::default(), false));
    assert_eq!(
        world.ask(&open, "DELETE", "/peers/sessions").await.status,
        StatusCode::OK
    );
    let finals = || {
        let heard = world.heard().into_iter();
        let finals = heard.filter(|message| message.cause.is_some());
        finals.collect::<Vec<AccountingMessage>>()
    };
    until("both are told", || finals().len() == 2).await;
    for (user, requests) in [(&ended, 1), (&open, 2)] {
        let of_user = |it: &&AccountingMessage| it.accounting_session_id == user.id;
        let finals = finals();
        let told = finals.iter().find(of_user).unwrap();
        assert_eq!(told.data.requests, Some(requests));
        assert!(told.data.octets.unwrap() > 0);
    }
}

#[tokio::test]
async fn the_operator_ends_a_session() {
    let world = World::new(nowhere()).await;
    let user = world.user(world.policies("weather")).await;
    world.ask(&user, "GET", "/weather/echo").await;
    let path = format!("/peers/sessions/{}/close", user.id);
    assert_eq!(
        world.send("POST", &path, None, "").await.status,
        StatusCode::OK
    );
    assert_eq!(world.final_message().await.cause, Some(Cause::Provider));
    let missing = world
        .send("POST", "/peers/sessions/nothing/close", None, "")
        .await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

/// A session with one request, of which nothing was told yet, and which is asked to tell each second.
async fn used(world: &World) -> User {
    let mut policies = world.policies("weather");
    policies.max_seconds_between_messages = 1;
    let user = world.user(policies).await;
    let answer = world.ask(&user, "GET", "/weather/echo").await;
    assert_eq!(answer.status, StatusCode::OK);
    user
}

/// What was sent, also what was not taken.
fn sent(world: &World) -> Vec<(String, AccountingMessage)> {
    let trust = Trust::new(&world.authority.pem(), []).unwrap();
    let tokens = world.books.lock().unwrap().tokens.clone();
    let read = |token: String| {
        let message = AccountingMessage::verify(&token, &trust, now()).unwrap().0;
        (token, message)
    };
    tokens.into_iter().map(read).collect()
}

#[tokio::test]
async fn an_old_nonce_is_replaced_and_the_message_stays_what_it_is() {
    let world = World::new(nowhere()).await;
    world.set(Mode::Refuses(Word::Skew));
    used(&world).await;
    until("it is not sent again", || sent(&world).len() >= 2).await;
    let sent = sent(&world);
    assert_ne!(sent[0].0, sent[1].0);
    let mut again = sent[1].1.clone();
    assert_ne!(again.nonce, sent[0].1.nonce);
    again.nonce = sent[0].1.nonce.clone();
    assert_eq!(again, sent[0].1);
    world.set(Mode::Grants(Data::default(), false));
    until("it is not taken", || !world.heard().is_empty()).await;
    assert_eq!(world.heard()[0].message_id, again.message_id);
}

#[tokio::test]
async fn what_the_manager_will_not_take_is_told_by_another_message() {
    let world = World::new(nowhere()).await;
    world.set(Mode::Refuses(Word::Replayed));
    let user = used(&world).await;
    until("there is no other", || sent(&world).len() >= 2).await;
    let sent = sent(&world);
    assert_ne!(sent[0].1.message_id, sent[1].1.message_id);
    assert!(sent[0].1.sequence < sent[1].1.sequence);
    assert_eq!(sent[0].1.data.octets, sent[1].1.data.octets);
    world.set(Mode::Grants(Data::default(), false));
    world.ask(&user, "DELETE", "/peers/sessions").await;
    assert_eq!(world.final_message().await.data.requests, Some(1));
}

#[tokio::test]
async fn a_manager_that_has_closed_a_session_hears_what_it_used() {
    let world = World::new(nowhere()).await;
    world.set(Mode::Refuses(Word::Closed));
    let user = used(&world).await;
    until("nothing is told", || !sent(&world).is_empty()).await;
    let is_final = |it: &(String, AccountingMessage)| it.1.cause == Some(Cause::Revoked);
    until("no final message", || sent(&world).iter().any(is_final)).await;
    let answer = world.ask(&user, "GET", "/weather/echo").await;
    assert_eq!(word(&answer), "410 closed");
}

#[tokio::test]
async fn a_session_that_the_manager_does_not_know_is_not_served() {
    let world = World::new(nowhere()).await;
    world.set(Mode::Refuses(Word::UnknownSession));
    let user = used(&world).await;
    let begun = std::time::Instant::now();
    while world.list().await[0]["state"] != "done" {
        assert!(begun.elapsed() < crate::world::PATIENCE, "it is not over");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let answer = world.ask(&user, "GET", "/weather/echo").await;
    assert_eq!(word(&answer), "410 closed");
    assert_eq!(sent(&world).len(), 1);
}
