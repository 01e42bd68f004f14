//! Services for users of accounting managers, with the shop beside them.

use axum::http::StatusCode;
use tollwire_peer::{Cause, Data, MEDIA_TYPE, SERVICE_REQUEST_FIELD};
use tollwire_web::client::Answer;

use crate::bank::Bank;
use crate::shop::{Folder, Shop};
use crate::stage::{Mode, Stage, User, until};

async fn start(stage: &Stage) -> Shop {
    let files = stage.folder.0.display();
    let more = format!(
        "[peers]\nenabled = true\ncertificate = \"{files}/provider.pem\"\nkey = \"{files}/provider.key\"\n\
         roots = \"{files}/root.pem\"\ndatabase = \"{files}/peers.db\"\ncheckpoint_octets = 100000\n\
         [[peers.manager]]\nname = \"manager.example\"\nurl = \"{}\"\n\
         [[peers.service]]\nname = \"weather\"\npath = \"/weather/\"\nupstream = \"{}/app/\"\n",
        stage.manager, stage.upstream
    );
    let folder = Folder::new();
    let bank = Bank::start(&folder.0, "Bank", false).await;
    Shop::start(folder, &[&bank], "", &more).await
}

async fn user(stage: &Stage, shop: &Shop) -> User {
    let (credential, user) = stage.credential(stage.policies("weather"));
    let url = format!("{}/peers/credentials", shop.url);
    let token = stage.signed(&credential);
    let answer = shop.client.post(&url, MEDIA_TYPE, token).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    user
}

async fn ask(shop: &Shop, token: &str, method: &str, path: &str) -> Answer {
    let headers = [(SERVICE_REQUEST_FIELD, token)];
    shop.send(method, path, &headers, String::new()).await
}

#[tokio::test]
async fn what_was_used_is_told_once_whenever_the_daemon_is_killed() {
    let stage = Stage::new().await;
    stage.set(Mode::Fails);
    let mut shop = start(&stage).await;
    let (large, echo) = ("/weather/large", "/weather/echo");
    let first = user(&stage, &shop).await;
    shop.kill().await;
    let mut octets = 0;
    for _ in 0..3 {
        let token = first.token("GET", large);
        let answer = ask(&shop, &token, "GET", large).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        octets += answer.body.len() as u64;
        shop.kill().await;
        // No request is forgotten, and none is taken again.
        let again = ask(&shop, &token, "GET", large).await;
        assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.text());
    }
    let second = user(&stage, &shop).await;
    let answer = ask(&shop, &second.token("GET", echo), "GET", echo).await;
    let echoed = answer.body.len() as u64;
    let sessions = "/peers/sessions";
    let ended = ask(&shop, &second.token("DELETE", sessions), "DELETE", sessions).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.text());
    shop.kill().await;
    let ended = ask(&shop, &first.token("DELETE", sessions), "DELETE", sessions).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.text());
    shop.kill().await;
    assert!(stage.heard().is_empty());
    assert_eq!(shop.admin(sessions).await[0]["unacknowledged"], 1);
    stage.set(Mode::Grants(Data::default(), true));
    until("both are told", || stage.heard().len() >= 2).await;
    for (user, requests) in [(&first, 3), (&second, 1)] {
        let heard = stage.heard();
        let mut of_user = heard
            .iter()
            .filter(|it| it.accounting_session_id == user.id);
        let told = of_user.next().unwrap();
        assert_eq!((told.cause, told.sequence), (Some(Cause::User), 1));
        assert_eq!(told.data.requests, Some(requests));
        let told_octets = told.data.octets.unwrap();
        match requests {
            1 => assert_eq!(told_octets, echoed),
            // Of each of three transfers a crash may have forgotten what was not stored yet, and no more.
            _ => assert!(
                (octets - 3 * 100_000..=octets).contains(&told_octets),
                "{told_octets}"
            ),
        }
        assert!(of_user.next().is_none(), "it is told twice");
    }
    let end = tokio::time::Instant::now() + crate::shop::PATIENCE;
    while shop.admin(sessions).await[0]["state"] != "done" {
        assert!(tokio::time::Instant::now() < end, "it is not over");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    shop.kill().await;
    let over = ask(&shop, &first.token("GET", echo), "GET", echo).await;
    assert_eq!(over.status, StatusCode::GONE);
    let metric = shop.metric("shopd_peers_unacknowledged").await;
    assert_eq!(metric.as_deref(), Some("shopd_peers_unacknowledged 0"));
}

#[tokio::test]
async fn a_shop_sells_beside_it_and_stops_in_order() {
    let stage = Stage::new().await;
    let mut shop = start(&stage).await;
    let user = user(&stage, &shop).await;
    assert_eq!(shop.get("/").await.status, StatusCode::OK);
    let nowhere = shop.get("/weather").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
    let path = "/weather/large";
    let answer = ask(&shop, &user.token("GET", path), "GET", path).await;
    let octets = answer.body.len();
    assert!(shop.stop().success());
    // What was used is on disk when the daemon has ended as it should.
    shop.restart().await;
    assert_eq!(
        shop.admin("/peers/sessions").await[0]["used"]["octets"],
        octets
    );
}
