//! Two parts of the subscribers, each with two instances of `chargingd` on one PostgreSQL database: whoever asks the
//! wrong one is sent to the right one.

#[allow(dead_code, reason = "each test uses its part")]
#[path = "../../../daemons/chargingd/tests/support/postgres.rs"]
mod postgres;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use tollwire_harness::capture::Capture;
use tollwire_harness::charging::{Charging, Place};
use tollwire_harness::net::Net;
use tollwire_harness::process::{Scratch, run};
use tollwire_harness::sms::scene::{PHONE, SOURCE, Setup, SmsScene, message, route};
use tollwire_harness::sms::tariff::price;
use tollwire_harness::wait::{PATIENCE, wait_until};

const TARIFFS: &str = "[[tariff]]\nname = \"t\"\nprefixes = [\"\"]\ncurrency = \"EUR\"\nprice_per_minute_micro = 600000\n";
/// Name, port and part of each instance.
const INSTANCES: [(&str, u16, u32); 4] = [
    ("a1", 3868, 1),
    ("a2", 3869, 1),
    ("b1", 3870, 2),
    ("b2", 3871, 2),
];
/// A customer of each part: docs/postgresql.md says how that is computed.
const OF_ONE: &str = "bob";
const OF_TWO: &str = "alice";
const CENTS_19: i64 = 190_000;

/// All instances; the first of each part works.
fn start(net: &Net, scratch: &Scratch, url: &str) -> Vec<Charging> {
    let all: Vec<Charging> = INSTANCES
        .into_iter()
        .map(|(name, port, part)| {
            let store = format!("url = \"{url}\"\npart = {part}\nparts = 2");
            let place = Place {
                name,
                port,
                store: &store,
            };
            let charging = Charging::start_as(net, scratch, place, TARIFFS, "");
            let role = if name.ends_with('1') {
                "active"
            } else {
                "standby"
            };
            wait_until(role, PATIENCE, || standing(&charging).contains(role));
            charging
        })
        .collect();
    // Each knows who works for the other part.
    for charging in &all {
        wait_until("the other part", PATIENCE, || {
            let said = standing(charging);
            said.contains("a1.tollwire.example") && said.contains("b1.tollwire.example")
        });
    }
    all
}

/// Who works for each part, as the operator sees it.
fn standing(charging: &Charging) -> String {
    run(charging.tollctl().arg("standing"))
}

fn make_account(charging: &Charging, name: &str) {
    let create = [
        "account",
        "create",
        name,
        "--currency",
        "EUR",
        "--identity",
        name,
    ];
    run(charging.tollctl().args(create));
    run(charging
        .tollctl()
        .args(["account", "top-up", name, "1.00", "--reference", "first"]));
}

fn balance(charging: &Charging, name: &str) -> String {
    run(charging.tollctl().args(["account", "show", name]))
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

#[test]
fn messages_of_both_parts_are_paid_for_and_one_instance_may_die() {
    let server = postgres::Server::start("harness-parts");
    let url = server.database("parts");
    let setup = Setup {
        routes: route(
            "phones",
            "4917",
            "receivers = [\"phone\"]",
            "charging = \"online\"\n",
        ) + &route("home", SOURCE, "receivers = [\"application\"]", ""),
        charging: INSTANCES.map(|(_, port, _)| address(port)).to_vec(),
        ..Setup::default()
    };
    let mut scene = SmsScene::prepare(setup);
    // Declared after it, and so gone before its network is.
    let scratch = Scratch::new();
    let mut charging = start(&scene.net, &scratch, &url);
    make_account(&charging[0], OF_ONE);
    make_account(&charging[2], OF_TWO);
    // An operator at the wrong one is told which is the right one.
    let mut wrong = charging[0].tollctl();
    let said = failure(wrong.args(["account", "show", OF_TWO]));
    assert!(said.contains("ask b1.tollwire.example"), "{said}");

    let capture = Capture::start(&scene.net.router, &scratch, "tcp portrange 3868-3871");
    scene.start();
    let here = scene.server();
    let application = (scene.application).must_bind(here, "transceiver", "application");
    let phone = scene.phone.must_bind(here, "transceiver", "phone");
    let mut sent = |text: &str, payer: &str| {
        let tariff = price(CENTS_19, "EUR", payer);
        let tlvs = [(SmsScene::TARIFF_TAG, tariff.as_str())];
        let answer =
            (scene.application).request(application, "submit_sm", &message(PHONE, text), &tlvs);
        assert_eq!(answer.status, 0, "{text}");
        let delivered = scene.phone.expect_pdu(phone, "deliver_sm");
        assert_eq!(delivered.short_message_text(), text);
    };
    sent("of part one", OF_ONE);
    sent("of part two", OF_TWO);
    for (at, name) in [(0, OF_ONE), (2, OF_TWO)] {
        wait_until("the debit", PATIENCE, || {
            balance(&charging[at], name).contains("0.81")
        });
    }
    // Its standby takes over, and smscd finds it whatever it knew before.
    charging[2].kill();
    sent("of part two again", OF_TWO);
    sent("of part one meanwhile", OF_ONE);
    wait_until("the second debit", PATIENCE, || {
        balance(&charging[3], OF_TWO).contains("0.62")
    });
    wait_until("the second debit", PATIENCE, || {
        balance(&charging[0], OF_ONE).contains("0.62")
    });
    let recording = capture.stop();
    assert_eq!(recording.malformed(), Vec::<String>::new());
    let sent_on =
        "diameter.Result-Code == 3006 && diameter.Redirect-Host == \"aaa://b1.tollwire.example\"";
    assert!(recording.count(sent_on) > 0);
}

#[test]
fn a_client_of_others_is_sent_on_in_words_that_it_understands() {
    let server = postgres::Server::start("harness-sent-on");
    let net = Net::new(1);
    let scratch = Scratch::new();
    let charging = start(&net, &scratch, &server.database("sent_on"));
    make_account(&charging[2], OF_TWO);
    let capture = Capture::start(&net.router, &scratch, "tcp portrange 3868-3871");
    let mut client = charging[0].client("parts_client.py");
    let said = run(client.args([OF_TWO, "b1=3870", "b2=3871"]));
    assert_eq!(
        said,
        "first 3006 error ['aaa://b1.tollwire.example'] 1 3600\nb1 2001 60\n"
    );
    let recording = capture.stop();
    assert_eq!(recording.malformed(), Vec::<String>::new());
    let rows = recording.fields(
        "diameter.Result-Code == 3006",
        &[
            "diameter.flags.error",
            "diameter.Redirect-Host",
            "diameter.Redirect-Host-Usage",
            "diameter.Redirect-Max-Cache-Time",
        ],
    );
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row: Vec<&str> = rows[0].iter().map(String::as_str).collect();
    assert!(["1", "True"].contains(&row[0]), "{row:?}");
    assert_eq!(row[1..], ["aaa://b1.tollwire.example", "1", "3600"]);
}

/// What a command that fails says.
fn failure(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
