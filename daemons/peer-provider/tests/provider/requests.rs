//! What users ask for.

use axum::http::StatusCode;
use tollwire_jose::{SessionKey, sign_hs256};
use tollwire_peer::{Cause, Data, Nonce};

use crate::world::{LARGE, Mode, World, now, nowhere, until, word};

#[tokio::test]
async fn a_service_is_opened_used_and_ended() {
    let world = World::new(nowhere()).await;
    let user = world.user(world.policies("weather")).await;
    let token = user.token("POST", "/weather/echo?unit=c");
    let answer = world
        .send("POST", "/weather/echo?unit=c", Some(&token), "hello")
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let text = answer.text();
    assert!(text.starts_with("POST /app/echo?unit=c hello ["), "{text}");
    assert!(!text.contains("tollwire"), "{text}");
    let listed = world.list().await;
    assert_eq!(listed[0]["state"], "open");
    assert_eq!(listed[0]["used"]["requests"], 1);
    let octets = (text.len() + 5) as u64;
    assert_eq!(listed[0]["used"]["octets"], octets);
    let ended = world.ask(&user, "DELETE", "/peers/sessions").await;
    assert_eq!(ended.text(), r#"{"state":"closed"}"#);
    let told = world.final_message().await;
    assert_eq!((told.cause, told.sequence), (Some(Cause::User), 1));
    assert_eq!(
        (told.data.octets, told.data.requests),
        (Some(octets), Some(1))
    );
    assert!(told.data.time_ms.is_some());
    let over = world.ask(&user, "GET", "/weather/echo").await;
    assert_eq!(word(&over), "410 closed");
    let listed = world.list().await;
    until("it is not acknowledged", || !world.heard().is_empty()).await;
    assert_eq!(listed[0]["cause"], "user");
}

#[tokio::test]
async fn requests_that_are_not_the_users_are_refused_by_what_is_wrong() {
    let world = World::new(nowhere()).await;
    let user = world.user(world.policies("weather")).await;
    let target = "/weather/echo";
    let get = async |token: Option<&str>| word(&world.send("GET", target, token, "").await);
    assert_eq!(get(None).await, "400 malformed");
    assert_eq!(get(Some("x.y.z")).await, "400 malformed");
    let (_, stranger) = world.credential(world.policies("weather"));
    assert_eq!(
        get(Some(&stranger.token("GET", target))).await,
        "404 unknown-session"
    );
    // Of another key, for another request, of another time, with another kid, of another kind.
    let request = user.request("GET", target);
    let forged = request.sign(&SessionKey::generate().unwrap()).unwrap();
    assert_eq!(get(Some(&forged)).await, "403 signature");
    assert_eq!(get(Some(&user.token("PUT", target))).await, "403 signature");
    assert_eq!(
        get(Some(&user.token("GET", "/weather/other"))).await,
        "403 signature"
    );
    for seconds in [-70, 70] {
        let mut request = user.request("GET", target);
        request.request.nonce = Nonce::new(now() + seconds).unwrap();
        assert_eq!(
            get(Some(&request.sign(&user.key).unwrap())).await,
            "403 skew"
        );
    }
    let second = world.user(world.policies("weather")).await;
    let crossed = sign_hs256(
        &user.key,
        user.id.as_str(),
        "service-request+jwt",
        &second.request("GET", target),
    );
    assert_eq!(get(Some(&crossed.unwrap())).await, "400 malformed");
    let other = sign_hs256(&user.key, user.id.as_str(), "other+jwt", &request).unwrap();
    assert_eq!(get(Some(&other)).await, "403 signature");
    // Nothing of this opened the session; the good one does, once.
    assert_eq!(world.list().await[0]["state"], "granted");
    let token = user.token("GET", target);
    assert_eq!(
        world.send("GET", target, Some(&token), "").await.status,
        StatusCode::OK
    );
    assert_eq!(get(Some(&token)).await, "409 replayed");
}

#[tokio::test]
async fn policies_bound_requests() {
    let world = World::new(nowhere()).await;
    let mut elsewhere = world.credential(world.policies("weather"));
    elsewhere.0.user_address.ip = "192.0.2.1".parse().unwrap();
    let answer = world.post("credentials", world.signed(&elsewhere.0)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let refused = world.ask(&elsewhere.1, "GET", "/weather/echo").await;
    assert_eq!(word(&refused), "403 policy");
    assert!(refused.text().contains("address_change"));
    // Neither may somebody who is not there end it.
    let refused = world.ask(&elsewhere.1, "DELETE", "/peers/sessions").await;
    assert_eq!(word(&refused), "403 policy");
    let mut policies = world.policies("weather");
    policies.max_requests = Some(1);
    let once = world.user(policies).await;
    assert_eq!(
        world.ask(&once, "POST", "/peers/sessions").await.text(),
        r#"{"state":"open"}"#
    );
    assert_eq!(
        world.ask(&once, "GET", "/weather/echo").await.status,
        StatusCode::OK
    );
    let told = world.final_message().await;
    assert_eq!(
        (told.cause, told.data.requests),
        (Some(Cause::Policy), Some(1))
    );
    let game = world.user(world.policies("game")).await;
    assert_eq!(
        word(&world.ask(&game, "GET", "/weather/echo").await),
        "403 policy"
    );
    let mut policies = world.policies("weather");
    policies.not_before = now() + 100;
    let early = world.user(policies).await;
    assert_eq!(
        word(&world.ask(&early, "GET", "/weather/echo").await),
        "403 policy"
    );
}

#[tokio::test]
async fn an_answer_waits_where_a_grant_is_used_up_and_goes_on_with_the_next() {
    let world = World::new(nowhere()).await;
    world.set(Mode::More(100_000));
    let mut policies = world.policies("weather");
    policies.granted = Data {
        octets: Some(10_000),
        ..Data::default()
    };
    let user = world.user(policies).await;
    let answer = world.ask(&user, "GET", "/weather/large").await;
    assert_eq!(answer.body.len(), LARGE);
    world.ask(&user, "DELETE", "/peers/sessions").await;
    assert_eq!(world.final_message().await.data.octets, Some(LARGE as u64));
    let mut limit = 10_000;
    for message in world.heard() {
        let octets = message.data.octets.unwrap();
        assert!(octets <= limit, "{octets} of {limit}");
        limit = octets + 100_000;
    }
}

#[tokio::test]
async fn an_answer_breaks_off_where_the_last_grant_ends() {
    let world = World::new(nowhere()).await;
    let granted = Data {
        octets: Some(100_000),
        ..Data::default()
    };
    world.set(Mode::Grants(granted, true));
    let mut policies = world.policies("weather");
    policies.granted = granted;
    let user = world.user(policies).await;
    let token = user.token("GET", "/weather/large");
    let url = format!("{}/weather/large", world.url);
    let request = axum::http::Request::get(url)
        .header(tollwire_peer::SERVICE_REQUEST_FIELD, token)
        .body(axum::body::Body::empty())
        .unwrap();
    assert!(world.client.send(request).await.is_err());
    let told = world.final_message().await;
    assert_eq!(
        (told.cause, told.data.octets),
        (Some(Cause::Credit), Some(100_000))
    );
    assert_eq!(
        word(&world.ask(&user, "GET", "/weather/echo").await),
        "410 closed"
    );
}

#[tokio::test]
async fn a_request_that_finds_nothing_left_waits_for_the_manager() {
    let world = World::new(nowhere()).await;
    world.set(Mode::Fails);
    let mut policies = world.policies("weather");
    policies.granted = Data {
        requests: Some(1),
        ..Data::default()
    };
    let user = world.user(policies).await;
    assert_eq!(
        world.ask(&user, "GET", "/weather/echo").await.status,
        StatusCode::OK
    );
    let waited = world.ask(&user, "GET", "/weather/echo").await;
    assert_eq!(word(&waited), "503 unavailable");
    let granted = Data {
        requests: Some(2),
        ..Data::default()
    };
    world.set(Mode::Grants(granted, true));
    until("nothing is told", || !world.heard().is_empty()).await;
    let mut last = world.ask(&user, "GET", "/weather/echo").await;
    if last.status == StatusCode::SERVICE_UNAVAILABLE {
        last = world.ask(&user, "GET", "/weather/echo").await;
    }
    assert_eq!(last.status, StatusCode::OK, "{}", last.text());
    let told = world.final_message().await;
    assert_eq!(
        (told.cause, told.data.requests),
        (Some(Cause::Credit), Some(2))
    );
}

#[tokio::test]
async fn paths_lead_nowhere_else() {
    let world = World::new(nowhere()).await;
    let user = world.user(world.policies("weather")).await;
    let answer = world.ask(&user, "GET", "/weather/..%2fsecret").await;
    assert_eq!(word(&answer), "400 malformed");
    assert_eq!(world.list().await[0]["used"]["requests"], 0);
}
