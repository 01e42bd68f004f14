use std::time::Duration;

use tollwire_peer::{Identity, Word};
use tollwire_peer_user::{Credential, Ended, Manager, Party, UserError};

use crate::parties::{Authority, Fault, World, now};

#[tokio::test]
async fn a_credential_is_asked_for_used_and_ended() {
    let world = World::new().await;
    let user = world.user();
    let names: Vec<_> = user
        .services()
        .await
        .unwrap()
        .into_iter()
        .map(|service| service.name)
        .collect();
    assert_eq!(names, ["weather", "echo"]);
    let service = user.service("weather").await.unwrap();
    let credential = user.request(&service, None).await.unwrap();
    assert_eq!(
        (credential.service.as_str(), credential.provider.as_str()),
        ("weather", "urn:x:provider")
    );
    assert!(credential.is_good(now()) && !credential.is_good(credential.not_after));
    assert_eq!(credential.not_after - credential.renew_at(), 60);

    let get = || {
        let url = format!("{}/today?unit=c", credential.address);
        axum::http::Request::get(url)
            .body(axum::body::Body::empty())
            .unwrap()
    };
    // Each request has another nonce, so that none is taken for a repetition.
    for _ in 0..2 {
        let response = user.send(&credential, get()).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(world.seen().served[1].1, "/weather/today?unit=c");

    // What is signed for one request is not for another.
    let stolen = credential.sign("GET", "/weather/tomorrow").unwrap();
    let client = tollwire_web::Client::new(&tollwire_web::client::Config {
        allow_private: true,
        allow_http: true,
        ..Default::default()
    })
    .unwrap();
    let mut request = get();
    request
        .headers_mut()
        .insert("tollwire-service-request", stolen.parse().unwrap());
    assert_eq!(client.send(request).await.unwrap().status, 403);

    user.open(&credential).await.unwrap();
    assert_eq!(user.close(&credential).await, Ok(Ended::Now));
    assert_eq!(user.close(&credential).await, Ok(Ended::Before));
    assert_eq!(user.send(&credential, get()).await.unwrap().status(), 410);
    let why = user.service("nothing").await.unwrap_err();
    assert_eq!(why, UserError::UnknownService("nothing".into()));
}

#[tokio::test]
async fn what_is_not_the_managers_answer_is_not_believed() {
    let world = World::new().await;
    let user = world.user();
    let service = user.service("weather").await.unwrap();
    for (fault, part) in [
        (Fault::AnotherRequest, "to another request"),
        (Fault::AnotherProvider, "another provider"),
        (Fault::AnotherSigner, "urn:x:mallory"),
        (Fault::UnknownRoot, "the certificate is not good"),
        (Fault::KeyOfAnother, ""),
        (Fault::Over, "not valid now"),
        (Fault::NotYet, "not valid now"),
        (Fault::Type, "service-list+jwt"),
        (Fault::NoToken, ""),
    ] {
        world.seen().fault = fault;
        match user.request(&service, None).await {
            Err(UserError::Answer {
                party: Party::Manager,
                why,
            }) => assert!(why.contains(part), "{fault:?}: {why}"),
            other => panic!("{fault:?}: {other:?}"),
        }
    }
    world.seen().fault = Fault::None;
    user.request(&service, None).await.unwrap();
}

#[tokio::test]
async fn the_same_octets_are_repeated_until_they_are_answered() {
    let world = World::new().await;
    let user = world.user();
    let service = user.service("weather").await.unwrap();
    world.seen().refusals = vec![
        (503, Some(Word::Unavailable)),
        (502, None),
        (429, Some(Word::TooMany)),
    ];
    user.request(&service, None).await.unwrap();
    {
        let seen = world.seen();
        assert_eq!(seen.requests.len(), 4);
        assert!(
            seen.requests
                .iter()
                .all(|request| *request == seen.requests[0])
        );
    }
    // A refusal that is one is the end of it.
    world.seen().refusals = vec![(402, Some(Word::NoCredit))];
    let why = user.request(&service, None).await.unwrap_err();
    assert_eq!(world.seen().requests.len(), 5);
    let expected = UserError::Refused {
        party: Party::Manager,
        status: 402,
        word: Some(Word::NoCredit),
        detail: "for a test".into(),
    };
    assert_eq!(why, expected);
    assert_eq!(why.to_string(), "the manager refuses with 402: for a test");
    // And patience ends.
    let user = world.user().with_patience(Duration::ZERO);
    world.seen().refusals = vec![(503, None)];
    assert!(user.request(&service, None).await.unwrap_err().may_pass());
    assert_eq!(world.seen().requests.len(), 6);
}

#[tokio::test]
async fn nobody_answers() {
    let world = World::new().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let user = world
        .user_of(&closed.to_string())
        .with_patience(Duration::ZERO);
    let why = user.services().await.unwrap_err();
    assert!(
        matches!(
            why,
            UserError::Unreachable {
                party: Party::Manager,
                ..
            }
        ),
        "{why:?}"
    );
}

#[tokio::test]
async fn a_credential_is_kept_as_json_and_does_not_show_its_key() {
    let world = World::new().await;
    let user = world.user();
    let service = user.service("weather").await.unwrap();
    let credential = user.request(&service, None).await.unwrap();
    let text = serde_json::to_string(&credential).unwrap();
    let read: Credential = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let key = value["session_key"].as_str().unwrap();
    assert_eq!(key.len(), 43);
    assert!(!format!("{credential:?}").contains(key));
    assert_eq!(user.close(&read).await, Ok(Ended::Now));
}

#[test]
fn parties_that_cannot_be_are_refused() {
    let authority = Authority::new();
    let (alice, _) = authority.pem("urn:x:alice");
    let (_, bobs_key) = authority.pem("urn:x:bob");
    assert!(Identity::from_pem(&alice, &bobs_key).is_err());
    assert!(Manager::new("manager.example", None).is_err());
}
