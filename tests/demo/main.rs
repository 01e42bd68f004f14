//! `make demo`: a prepaid call through a real gate, stage by stage; then a short message that a third
//! party pays for; then a customer's service accounts; then billing servers that are found on the network, and a shop whose
//! customers pay with them; then two strangers who trade an API. `demo call`, `demo sms`, `demo service`, `demo slp`, `demo shop` and
//! `demo peer` show one of them.

mod peer;
mod service;
mod shop;
mod slp;
mod sms;

use std::time::Duration;

use tollwire_harness::media::unix_ms;
use tollwire_harness::scene::{DOMAIN, Scene, Setup};
use tollwire_harness::sipp::{Logged, RunningSipp};
use tollwire_harness::wait::{PATIENCE, poll, wait_until};

/// What alice has paid for.
const SECONDS: i64 = 6;
/// 0.60 per minute.
const MICRO_PER_SECOND: i64 = 10_000;
const PORT: u16 = 5062;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    if wants("call") {
        call();
    }
    if wants("sms") {
        sms::show();
    }
    if wants("service") {
        service::show();
    }
    if wants("slp") {
        slp::show();
    }
    if wants("shop") {
        shop::show();
    }
    if wants("peer") {
        peer::show();
    }
}

fn call() {
    stage("Two phones, a router between them, and the daemons on the router");
    let scene = Scene::new(Setup {
        balance_micro: SECONDS * MICRO_PER_SECOND,
        price_per_minute_micro: 60 * MICRO_PER_SECOND,
        algorithms: &["MD5"],
        phones_register: false,
        ..Setup::default()
    });
    say(&format!("phone A {}   (alice)", scene.net.a().ip));
    say(&format!("phone B {}   (bob)", scene.net.b().ip));
    say(&format!(
        "router  {}   sipd, pinholed, chargingd; no media passes that is not paid for",
        scene.daemons.sip()
    ));

    stage("The phones register (sipp, digest authentication)");
    scene.sipp_register(scene.net.a(), "alice", PORT);
    scene.sipp_register(scene.net.b(), "bob", PORT);
    say("alice and bob are registered");

    stage(&format!(
        "Alice has prepaid {}, a minute costs {}: that is {SECONDS} seconds",
        money(SECONDS * MICRO_PER_SECOND),
        money(60 * MICRO_PER_SECOND)
    ));
    print_indented(&scene.daemons.show_account("alice"));

    stage("Both phones already send media, 50 packets a second; the kernel lets none through");
    let _from_a = scene.media_a.send_to(scene.media_b.address());
    let from_b = scene.media_b.send_to(scene.media_a.address());
    from_b.wait_for_more(25);
    say(&format!(
        "phone B sent {} packets, phone A received {}",
        from_b.sent(),
        scene.media_a.count()
    ));

    stage("Alice calls bob; bob rings for a second and answers");
    let callee = scene
        .sipp(scene.net.b(), "callee", "bob", PORT)
        .option("-d", "1000")
        .start(scene.net.b(), &scene.scratch, "callee");
    let caller = scene
        .sipp(scene.net.a(), "caller-waits", "alice", PORT)
        .service("bob")
        .start(scene.net.a(), &scene.scratch, "caller");
    let answered = caller.wait_for("the answer", PATIENCE, |logged| {
        !logged.sent && logged.message.status() == Some(200)
    });
    for logged in caller.messages() {
        narrate("alice", &logged);
    }
    say(&format!(
        "before the answer phone A received {} packets",
        scene.media_a.count_between(0, answered.unix_ms - 20)
    ));

    stage("The gate, as nft shows it: each element closes by itself when its time is over");
    print_indented(&scene.daemons.pinhole_listing(&scene.net.router));

    stage("Media, counted at the receivers, second by second");
    let mut ended = None;
    for second in 1..=SECONDS + 3 {
        let until = answered.unix_ms + second * 1000;
        wait_until("the next second", PATIENCE, || unix_ms() >= until);
        let from = until - 1000;
        say(&format!(
            "second {second}:  {:3} packets at phone A, {:3} at phone B{}",
            scene.media_a.count_between(from, until),
            scene.media_b.count_between(from, until),
            if second == SECONDS + 1 {
                "   <- the credit is gone"
            } else {
                ""
            },
        ));
        ended = ended.or_else(|| bye(&caller));
    }

    stage("Both phones were told");
    for (name, phone) in [("alice", &caller), ("bob", &callee)] {
        let told = poll(PATIENCE, || bye(phone));
        let after = told.map(|logged| logged.unix_ms - answered.unix_ms);
        match after {
            Some(after) => say(&format!(
                "{name} got BYE {:.2} s after the answer",
                seconds(after)
            )),
            None => say(&format!("{name} got no BYE")),
        }
    }

    stage("The charge record");
    let record = scene.wait_for_records(1).remove(0);
    print_indented(&serde_json::to_string_pretty(&record.0).unwrap_or_default());

    stage("Nothing is left");
    let account = scene.account("alice");
    say(&format!(
        "alice's balance {}, reserved {}; gates open: {}",
        money(account.balance_micro),
        money(account.held_micro),
        scene.open_pinholes()
    ));
    let charged = record.number("charged_seconds");
    assert_eq!(
        (account.balance_micro, charged),
        (0, SECONDS),
        "exactly what was paid for"
    );
    println!();
    println!("{SECONDS} seconds paid, {charged} seconds carried and charged ({DOMAIN}).");
}

fn stage(text: &str) {
    println!();
    println!("== {text}");
}

fn say(text: &str) {
    println!("   {text}");
}

fn print_indented(text: &str) {
    for line in text.trim_end().lines() {
        say(line);
    }
}

fn narrate(name: &str, logged: &Logged) {
    let line = logged.message.start_line();
    let arrow = if logged.sent { "->" } else { "<-" };
    say(&format!("{name} {arrow} {line}"));
}

fn bye(phone: &RunningSipp) -> Option<Logged> {
    phone.find(|logged| !logged.sent && logged.message.method() == Some("BYE"))
}

fn seconds(milliseconds: i64) -> f64 {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default()).as_secs_f64()
}

fn money(micro: i64) -> String {
    format!(
        "{}.{:02} EUR",
        micro / 1_000_000,
        micro % 1_000_000 / 10_000
    )
}
