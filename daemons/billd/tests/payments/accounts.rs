//! What customers pay from, and several forms of one customer at once.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tollwire_runtime::admin::client;

use crate::world::{BALANCE, PRICE, SECRET, World};

#[tokio::test]
async fn a_service_account_pays_and_then_the_main_one_if_its_rule_says_so() {
    let world = World::start("").await;
    world
        .operate(json!({"set-service-account": {
            "account": "ada", "service_account": "pocket",
            "terms": {"rating_groups": [40], "unit": "EUR", "when_short": {"action": "main-account"}},
        }}))
        .await;
    world
        .operate(json!({"recharge": {
            "account": "ada", "service_account": "pocket", "amount": PRICE + PRICE / 2, "part": false,
            "reference": "first",
        }}))
        .await;
    world
        .customer(json!({
            "login": "ada-pocket", "kind": "service-account", "account": "ada", "rating_group": 40, "secret": SECRET,
        }))
        .await;
    let left = || async {
        let socket = world.folder.join("chargingd.admin");
        let account: Value = client::get(&socket, "/accounts/ada")
            .await
            .expect("an account");
        account["service_accounts"][0]["balance"]
            .as_i64()
            .expect("a sum")
    };
    let main = BALANCE - PRICE - PRICE / 2;
    for (pocket, main) in [(PRICE / 2, main), (0, main - PRICE / 2)] {
        let (invoice, reference) = world.shop.invoice(|_| ());
        let fields = [
            ("invoice", invoice.as_str()),
            ("account", "ada-pocket"),
            ("password", SECRET),
        ];
        world.location(&world.post("pay", &fields).await);
        world.settled().await;
        assert!(world.shop.has_taken(&reference));
        assert_eq!((left().await, world.balance("ada").await), (pocket, main));
    }
}

#[tokio::test]
async fn right_forms_at_once_take_turns_and_wrong_ones_are_no_more_than_may_be() {
    // Three wrong ones of one customer cost no wait.
    let world = World::start("").await;
    let invoices: Vec<String> = (0..8).map(|_| world.shop.invoice(|_| ()).0).collect();
    let pay = |index: usize| world.pay(&invoices[index]);
    let all = tokio::join!(
        pay(0),
        pay(1),
        pay(2),
        pay(3),
        pay(4),
        pay(5),
        pay(6),
        pay(7)
    );
    let all = [all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7];
    for answer in &all {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    }
    world.settled().await;
    assert_eq!(world.balance("ada").await, BALANCE - 8 * PRICE);

    let (invoice, _) = world.shop.invoice(|_| ());
    let fields = [
        ("invoice", invoice.as_str()),
        ("account", "ada"),
        ("password", "guessed"),
    ];
    let guess = || world.post("pay", &fields);
    let all = tokio::join!(
        guess(),
        guess(),
        guess(),
        guess(),
        guess(),
        guess(),
        guess(),
        guess()
    );
    let all = [all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7];
    let looked_at = all
        .iter()
        .filter(|answer| answer.status == StatusCode::FORBIDDEN);
    assert_eq!(looked_at.count(), 3);
    let waiting = all
        .iter()
        .filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(waiting.count(), 5);
}
