//! Paying, and what else may come of it.

use serde_json::json;

use crate::world::{BALANCE, Mood, PRICE, SECRET, World, wait_until};

#[tokio::test]
async fn a_customer_pays_and_the_shop_hears_of_it() {
    let mut world = World::start("").await;
    let (invoice, reference) = world.shop.invoice(|_| ());
    let page = world
        .post("invoice", &[("invoice", &invoice), ("lang", "de")])
        .await;
    let text = page.text();
    assert!(
        text.contains("1,99\u{a0}€ bezahlen") && text.contains("name=\"account\""),
        "{text}"
    );
    assert!(text.contains("A song &lt;b&gt;&amp;&lt;/b&gt;"), "{text}");
    assert!(
        text.contains("so nennt sich der Laden unter localhost:"),
        "{text}"
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("frame-ancestors 'none'")
            && policy.contains("; script-src 'self'; connect-src 'self'")
            && !policy.contains("unsafe"),
        "{policy}"
    );

    let receipt = world.location(&world.pay(&invoice).await);
    // Sent again, it is the same receipt and the same charge.
    assert_eq!(world.location(&world.pay(&invoice).await), receipt);
    wait_until("the shop", || async { world.shop.has_taken(&reference) }).await;
    world.settled().await;
    assert_eq!(world.location(&world.pay(&invoice).await), receipt);
    let page = world.get(&receipt).await.text();
    assert!(page.contains("data-state=\"acknowledged\""), "{page}");
    assert!(
        page.contains(&format!("href=\"{}/orders/", world.shop.url)),
        "{page}"
    );
    assert_eq!(world.balance("ada").await, BALANCE - PRICE);
    let payments = world.payments().await;
    assert_eq!(payments.len(), 1);
    assert_eq!(payments[0]["fee_micro"], 49_750);
    assert_eq!(
        payments[0]["provider"],
        format!("key:{}", world.shop.key.public().thumbprint())
    );
    assert!(world.shop.refused.lock().unwrap().is_empty());

    world.stop().await;
    let log = world.log();
    assert!(log.contains("stopped") && !log.contains(SECRET), "{log}");
}

#[tokio::test]
async fn what_the_shop_does_not_deliver_is_paid_back() {
    let world = World::start("").await;
    world.shop.set_mood(Mood::AlreadyPaid);
    let (invoice, reference) = world.shop.invoice(|_| ());
    let receipt = world.location(&world.pay(&invoice).await);
    world.settled().await;
    let page = world.get(&receipt).await.text();
    assert!(page.contains("data-state=\"refunded\""), "{page}");
    assert_eq!(world.balance("ada").await, BALANCE);
    world.shop.set_mood(Mood::Takes);
    assert_eq!(world.location(&world.pay(&invoice).await), receipt);
    world.settled().await;
    assert!(!world.shop.has_taken(&reference));
    assert_eq!(world.balance("ada").await, BALANCE);
}

#[tokio::test]
async fn a_shop_that_is_away_is_told_when_it_is_back() {
    let mut world = World::start("").await;
    world.shop.set_mood(Mood::Away);
    let (invoice, reference) = world.shop.invoice(|_| ());
    let receipt = world.location(&world.pay(&invoice).await);
    let page = world.get(&receipt).await;
    assert!(page.text().contains("data-state=\"paid\""));
    assert!(page.headers.contains_key("refresh"));
    world.kill();
    world.restart().await;
    world.shop.set_mood(Mood::Takes);
    wait_until("the shop", || async { world.shop.has_taken(&reference) }).await;
    assert_eq!(world.balance("ada").await, BALANCE - PRICE);
}

#[tokio::test]
async fn who_has_not_enough_or_no_account_is_told_what_to_do() {
    let world = World::start("").await;
    world.account("bob", PRICE - 1).await;
    world
        .customer(json!({"login": "bob", "kind": "prepaid", "account": "bob", "secret": "1234"}))
        .await;
    world
        .customer(json!({"login": "eve", "kind": "prepaid", "account": "nobody", "secret": "1234"}))
        .await;
    let (invoice, reference) = world.shop.invoice(|_| ());
    let as_bob = [
        ("invoice", invoice.as_str()),
        ("account", "bob"),
        ("password", "1234"),
    ];
    let answer = world.post("pay", &as_bob).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("not enough") && answer.text().contains("value=\"bob\""));
    let as_eve = [
        ("invoice", invoice.as_str()),
        ("account", "eve"),
        ("password", "1234"),
    ];
    assert_eq!(world.post("pay", &as_eve).await.status, 422);
    world
        .operate(json!({"top-up": {"account": "bob", "amount_micro": 1, "reference": "more"}}))
        .await;
    world.location(&world.post("pay", &as_bob).await);
    world.settled().await;
    assert!(world.shop.has_taken(&reference));
    assert_eq!(world.balance("bob").await, 0);
    // Of somebody else's payment nobody sees the receipt.
    assert_eq!(world.pay(&invoice).await.status, 409);
}

#[tokio::test]
async fn the_blank_form_tells_what_to_fill_in() {
    let world = World::start("").await;
    let form = world.get(&format!("{}/form.json?lang=de", world.url)).await;
    let form: serde_json::Value = serde_json::from_slice(&form.body).unwrap();
    assert_eq!(form["action"], format!("{}/pay", world.url));
    assert_eq!(form["fields"][1]["label"], "Passwort");
    assert_eq!(form["fields"][1]["type"], "password");
    assert_eq!(world.get(&format!("{}/", world.url)).await.status, 200);
    assert_eq!(
        world
            .get(&format!("{}/receipts/unknown", world.url))
            .await
            .status,
        404
    );
}
