//! Two strangers trade an API by a manager whom both trust.

use serde_json::Value;
use tollwire_harness::peer::hand::{claims, word};
use tollwire_harness::peer::stage::{ACCOUNT, PROVIDER, REQUEST, Setup, Stage};
use tollwire_harness::wait::{PATIENCE, wait_until};

use super::{money, print_indented, say, stage};

/// What alice has: enough for three requests.
const REQUESTS: i64 = 3;

pub fn show() {
    stage("Peer-to-peer accounting: a user, a provider and a manager, each on a host of its own");
    let scene = Stage::new(Setup {
        balance_micro: REQUESTS * REQUEST,
        ..Setup::default()
    });
    say(
        "their certificates are of one authority (tollctl ca); they have no accounts at each other:",
    );
    for party in [&scene.alice, &scene.provider, &scene.manager] {
        say(&format!("    {}", party.name));
    }

    stage("What the manager has to offer, signed");
    let mut user = scene.user();
    let list = user
        .visitor
        .get("https://manager.example/services")
        .expect(200);
    for service in claims(&list.text())["services"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let text = |name: &str| service[name].as_str().unwrap_or_default().to_owned();
        say(&format!("{:10} of {}", text("name"), text("provider")));
    }

    stage(
        "Alice asks for a credential; the manager reserves her money and tells the provider, and answers then",
    );
    let credential = user.credential("weather");
    let mut shown = credential.claims.clone();
    shown["session_key"] = Value::from("(encrypted to her certificate)");
    print_indented(&serde_json::to_string_pretty(&shown).unwrap_or_default());
    let (balance, held) = scene.account();
    say(&format!(
        "she has {}, of which {} is reserved",
        money(balance),
        money(held)
    ));

    stage("She uses the service: each request is signed with the session's key");
    let mut served = 0;
    wait_until("the end of her money", PATIENCE, || {
        let answer = user.get(&credential, "/today?town=Lund");
        match answer.status {
            200 => {
                served += 1;
                say(&format!("{PROVIDER}/weather/today: {}", answer.text()));
                false
            }
            503 => false,
            _ => {
                say(&format!("{PROVIDER}/weather/today: {}", word(&answer)));
                true
            }
        }
    });
    let again = user.ask("weather");
    say(&format!("another credential: {}", word(&again)));

    stage("The books");
    scene.wait_for_session(&credential, "its end", |session| {
        session["state"] == "closed"
    });
    let spent = scene.wait_for_spent();
    let record = scene.wait_for_records(1).remove(0);
    print_indented(&serde_json::to_string_pretty(&record).unwrap_or_default());
    print_indented(&scene.operator(&["ledger", ACCOUNT]));
    assert_eq!(
        (served, spent),
        (REQUESTS, REQUESTS * REQUEST),
        "exactly what was paid for"
    );
}
