//! What managers send.

use axum::http::StatusCode;
use tollwire_jose::Trust;
use tollwire_peer::{
    Cause, MEDIA_TYPE, Nonce, Reason, Revocation, Signed, UserCredentialAcknowledgement,
};

use crate::world::{Authority, World, now, nowhere, word};

#[tokio::test]
async fn a_credential_is_acknowledged_again_as_it_was_and_another_of_its_session_is_refused() {
    let world = World::new(nowhere()).await;
    let (credential, user) = world.credential(world.policies("weather"));
    let token = world.signed(&credential);
    let first = world.post("credentials", token.clone()).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    let trust = Trust::new(&world.authority.pem(), []).unwrap();
    let (told, certified) =
        UserCredentialAcknowledgement::verify(&first.text(), &trust, now()).unwrap();
    assert_eq!(certified.name, "provider.example");
    assert_eq!(told.accounting_session_id, user.id);
    let again = world.post("credentials", token).await;
    assert_eq!(again.body, first.body);
    let mut other = credential.clone();
    other.policies.max_requests = Some(1_000);
    let refused = world.post("credentials", world.signed(&other)).await;
    assert_eq!(word(&refused), "409 replayed");
    assert_eq!(world.list().await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn credentials_that_are_not_good_are_refused_by_what_is_wrong() {
    let world = World::new(nowhere()).await;
    let (good, _) = world.credential(world.policies("weather"));
    let refused = async |token: String| word(&world.post("credentials", token).await);
    // Signed by somebody whom the authority knows, who is no manager; and by one of another authority.
    let stranger = world.authority.identity("stranger.example");
    assert_eq!(
        refused(good.sign(&stranger).unwrap()).await,
        "403 certificate"
    );
    let forged = Authority::new().identity("manager.example");
    assert_eq!(
        refused(good.sign(&forged).unwrap()).await,
        "403 certificate"
    );
    // Changed, cut off, of another kind, not for us, too late, for nothing that we have.
    let token = world.signed(&good);
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let claims = world.signed(&world.credential(world.policies("game")).0);
    parts[1] = claims.split('.').nth(1).unwrap().to_owned();
    assert_eq!(refused(parts.join(".")).await, "403 signature");
    let cut_off = refused(token[..token.len() - 40].to_owned()).await;
    assert!(
        ["400 malformed", "403 signature"].contains(&&*cut_off),
        "{cut_off}"
    );
    assert_eq!(refused(token[..100].to_owned()).await, "400 malformed");
    assert_eq!(refused("x".repeat(20_000)).await, "400 malformed");
    let revocation = Revocation {
        accounting_session_id: good.accounting_session_id.clone(),
        reason: Reason::Credit,
        nonce: Nonce::new(now()).unwrap(),
    };
    assert_eq!(refused(world.signed(&revocation)).await, "403 signature");
    let mut sealed = good.clone();
    sealed.session_key = tollwire_peer::seal_key(
        stranger.key().public(),
        &tollwire_jose::SessionKey::generate().unwrap(),
    )
    .unwrap();
    assert_eq!(refused(world.signed(&sealed)).await, "403 signature");
    let mut late = good.clone();
    (late.policies.not_before, late.policies.not_after) = (now() - 20, now() - 10);
    assert_eq!(refused(world.signed(&late)).await, "403 policy");
    let mut endless = good.clone();
    endless.policies.not_after = i64::MAX;
    assert_eq!(refused(world.signed(&endless)).await, "403 policy");
    let (unknown, _) = world.credential(world.policies("nothing"));
    assert_eq!(refused(world.signed(&unknown)).await, "404 unknown-service");
    assert_eq!(world.list().await.as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_revocation_ends_a_session_before_it_is_answered() {
    let world = World::new(nowhere()).await;
    let user = world.user(world.policies("weather")).await;
    let other = world.user(world.policies("weather")).await;
    let answer = world.ask(&user, "GET", "/weather/echo").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let revocation = Revocation {
        accounting_session_id: user.id.clone(),
        reason: Reason::Operator,
        nonce: Nonce::new(now()).unwrap(),
    };
    let stranger = world.authority.identity("stranger.example");
    let refused = world
        .post("revocations", revocation.sign(&stranger).unwrap())
        .await;
    assert_eq!(word(&refused), "403 certificate");
    let old = Revocation {
        nonce: Nonce::new(now() - 100).unwrap(),
        ..revocation
    };
    assert_eq!(
        word(&world.post("revocations", world.signed(&old)).await),
        "403 skew"
    );
    assert_eq!(world.revoke(&user).await.status, StatusCode::NO_CONTENT);
    let answer = world.ask(&user, "GET", "/weather/echo").await;
    assert_eq!(word(&answer), "410 closed");
    let told = world.final_message().await;
    assert_eq!(
        (told.cause, told.data.requests),
        (Some(Cause::Revoked), Some(1))
    );
    // Again, also when it is long over; and others go on.
    assert_eq!(world.revoke(&user).await.status, StatusCode::NO_CONTENT);
    let answer = world.ask(&other, "GET", "/weather/echo").await;
    assert_eq!(answer.status, StatusCode::OK);
    let (_, unknown) = world.credential(world.policies("weather"));
    assert_eq!(word(&world.revoke(&unknown).await), "404 unknown-session");
}

#[tokio::test]
async fn a_manager_that_is_not_ours_any_more_sends_nobody() {
    let world = World::new(nowhere()).await;
    let mut config = world.config.clone();
    config.manager[0].name = "other.example".into();
    world.provider.reload(config, "peers").unwrap();
    let (credential, _) = world.credential(world.policies("weather"));
    let answer = world.post("credentials", world.signed(&credential)).await;
    assert_eq!(word(&answer), "403 certificate");
    let mut broken = world.config.clone();
    broken.roots = world.folder.0.join("nothing");
    let error = world.provider.reload(broken, "peers").unwrap_err();
    assert!(error.contains("peers.roots"), "{error}");
}

#[tokio::test]
async fn there_are_no_more_sessions_than_there_may_be() {
    let world = World::new(nowhere()).await;
    let mut config = world.config.clone();
    config.max_sessions = 1;
    world.provider.reload(config, "peers").unwrap();
    world.user(world.policies("weather")).await;
    let (credential, _) = world.credential(world.policies("weather"));
    let answer = world.post("credentials", world.signed(&credential)).await;
    assert_eq!(word(&answer), "429 too-many");
}

#[tokio::test]
async fn a_manager_that_goes_away_while_its_credential_is_stored_can_send_it_again() {
    let world = World::new(nowhere()).await;
    let url = format!("{}/peers/credentials", world.url);
    for round in 0..40 {
        let (credential, user) = world.credential(world.policies("weather"));
        let token = world.signed(&credential);
        {
            // Dropped at another moment each time, its connection with it.
            let sent = world.client.post(&url, MEDIA_TYPE, token.clone());
            let moment = std::time::Duration::from_micros(round * 250);
            let _ = tokio::time::timeout(moment, sent).await;
        }
        let mut answer = world.post("credentials", token.clone()).await;
        while answer.status == StatusCode::SERVICE_UNAVAILABLE {
            answer = world.post("credentials", token.clone()).await;
        }
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let answer = world.ask(&user, "GET", "/weather/echo").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
}
