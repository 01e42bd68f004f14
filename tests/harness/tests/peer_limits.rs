//! What a credential allows, and what it does not: hours, requests, addresses, lifetime, money.

use tollwire_harness::peer::hand::{Credential, identifier, nonce, now, utc, word};
use tollwire_harness::peer::stage::{ACCOUNT, OCTET, PACE, REQUEST, SECOND, Setup, Stage};
use tollwire_harness::wait::{PATIENCE, wait_until};

/// `[["times_of_day"]]` of an hour that begins so many hours from now, UTC.
fn hour(from: i64) -> String {
    let at = |hours: i64| utc(now() + hours * 3600)[11..16].to_owned();
    let (from, to) = (at(from), at(from + 1));
    format!("{PACE}times_of_day = [{{ from = {from:?}, to = {to:?}, time_zone = \"UTC\" }}]\n")
}

#[test]
fn hours_and_numbers_of_requests_are_kept() {
    let stage = Stage::new(Setup {
        services: vec![
            ("now", "requests = 301", hour(0)),
            ("later", "requests = 301", hour(2)),
            (
                "thrice",
                "requests = 301",
                format!("{PACE}max_requests = 3\n"),
            ),
        ],
        ..Setup::default()
    });
    let mut user = stage.user();
    let now = user.credential("now");
    user.get(&now, "/a").expect(200);
    let later = user.credential("later");
    assert_eq!(word(&user.get(&later, "/b")), "403 policy");
    let thrice = user.credential("thrice");
    for _ in 0..3 {
        user.get(&thrice, "/c").expect(200);
    }
    for _ in 0..2 {
        // The session ends with the last of them.
        let refused = word(&user.get(&thrice, "/d"));
        assert!(
            matches!(&*refused, "403 policy" | "410 closed"),
            "{refused}"
        );
    }
    for credential in [&now, &later] {
        user.sessions(credential, "DELETE").expect(200);
    }
    assert_eq!(word(&user.sessions(&thrice, "DELETE")), "410 closed");
    assert_eq!(stage.wait_for_spent(), 4 * REQUEST);
    assert_eq!(stage.http.arrived().len(), 4);
    assert_eq!(stage.wait_for_records(3).len(), 3);
}

#[test]
fn an_address_may_change_where_the_policy_says_so_and_not_elsewhere() {
    let stage = Stage::new(Setup {
        services: vec![(
            "roaming",
            "requests = 301",
            format!("{PACE}address_change = true\n"),
        )],
        ..Setup::default()
    });
    let mut user = stage.user();
    let mut elsewhere = stage.at(&stage.alice, stage.other_host());
    let fixed = user.credential("weather");
    let roaming = user.credential("roaming");
    // Who has stolen a credential has all of it, and another address.
    assert_eq!(word(&elsewhere.get(&fixed, "/stolen")), "403 policy");
    user.get(&fixed, "/own").expect(200);
    assert_eq!(word(&elsewhere.get(&fixed, "/stolen")), "403 policy");
    assert_eq!(word(&elsewhere.sessions(&fixed, "DELETE")), "403 policy");
    elsewhere.get(&roaming, "/away").expect(200);
    user.get(&roaming, "/home").expect(200);
    for credential in [&fixed, &roaming] {
        user.sessions(credential, "DELETE").expect(200);
    }
    assert_eq!(stage.wait_for_spent(), 3 * REQUEST);
    let lines: Vec<String> = stage.http.arrived().into_iter().map(|it| it.line).collect();
    assert_eq!(lines, ["GET /own", "GET /away", "GET /home"]);
}

#[test]
fn a_session_ends_with_its_lifetime() {
    let stage = Stage::new(Setup {
        services: vec![(
            "short",
            "requests = 301",
            format!("{PACE}lifetime_seconds = 3\n"),
        )],
        ..Setup::default()
    });
    let mut user = stage.user();
    let credential = user.credential("short");
    user.get(&credential, "/in-time").expect(200);
    let mut last = String::new();
    wait_until("the end of the lifetime", PATIENCE, || {
        let answer = user.get(&credential, "/late");
        last = answer.text();
        answer.status != 200
    });
    stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    let served = stage.http.arrived().len() as i64;
    // One that was let through just before it counts, whatever came of it.
    let spent = stage.wait_for_spent() / REQUEST;
    assert!(
        (served..=served + 1).contains(&spent),
        "{served} {spent} {last}"
    );
    assert_eq!(stage.wait_for_records(1).len(), 1);
    assert_eq!(word(&user.get(&credential, "/late")), "410 closed");
    assert_eq!(stage.http.arrived().len() as i64, served);
}

#[test]
fn credit_that_runs_out_ends_the_session() {
    let stage = Stage::new(Setup {
        balance_micro: 5 * REQUEST,
        ..Setup::default()
    });
    let mut user = stage.user();
    let credential = user.credential("weather");
    let mut served = 0;
    wait_until("the last of the money", PATIENCE, || {
        let answer = user.get(&credential, "/more");
        served += i64::from(answer.status == 200);
        answer.status != 200 && answer.status != 503
    });
    assert_eq!(served, 5);
    stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    assert_eq!(stage.wait_for_spent(), 5 * REQUEST);
    assert_eq!(stage.account().0, 0);
    // Nothing is issued without money, and the provider hears nothing of it.
    assert_eq!(word(&user.ask("weather")), "402 no-credit");
}

#[test]
fn a_stream_stops_where_the_money_does() {
    let balance = 3_000_000;
    let stage = Stage::new(Setup {
        balance_micro: balance,
        ..Setup::default()
    });
    let mut user = stage.user();
    let credential = user.credential("archive");
    let answer = user.get(&credential, "/stream");
    assert_eq!(answer.status, 200);
    assert!(answer.broken, "an endless stream ended well");
    stage.wait_for_session(&credential, "its end", |it| it["state"] == "closed");
    let spent = stage.wait_for_spent();
    assert!(spent <= balance, "{spent}");
    let got = answer.body.len() as i64;
    assert!(got * OCTET <= balance, "{got} octets came, for {balance}");
    // What stood in buffers when the money ended may not have arrived; nothing that arrived was free.
    assert!(
        got * OCTET <= spent,
        "{got} octets came, {spent} was charged"
    );
    assert!(spent > balance - 10_000, "{spent} of {balance}");
}

#[test]
fn an_operator_ends_a_session_at_once() {
    let stage = Stage::new(Setup::default());
    let mut user = stage.user();
    let credential = user.credential("weather");
    user.get(&credential, "/before").expect(200);
    let block = serde_json::json!({"block": {"account": ACCOUNT}});
    stage.charging.post("/operations", &block);
    let (mut served, mut last) = (1, 0);
    wait_until("the revocation", PATIENCE, || {
        let answer = user.get(&credential, "/after");
        served += i64::from(answer.status == 200);
        last = answer.status;
        answer.status != 200
    });
    assert_eq!(last, 410);
    // One that was let through just before it counts, whatever came of it.
    let spent = stage.wait_for_spent() / REQUEST;
    assert!((served..=served + 1).contains(&spent), "{served} {spent}");
    let refused = user.ask("weather");
    assert!(matches!(refused.status, 402 | 403), "{}", refused.text());
}

#[test]
fn time_is_charged_from_the_first_request_to_the_end() {
    let stage = Stage::new(Setup::default());
    let mut user = stage.user();
    let credential = user.credential("game");
    user.get(&credential, "/begin").expect(200);
    let seen = stage.wait_for_session(&credential, "two seconds", |it| {
        it["charged"]["time_ms"].as_i64().unwrap_or(0) >= 2000
    });
    user.sessions(&credential, "DELETE").expect(200);
    let spent = stage.wait_for_spent();
    assert!(
        spent >= 2 * SECOND && spent % SECOND == 0,
        "{spent}: {seen:#}"
    );
    let record = stage.wait_for_records(1).remove(0);
    assert_eq!(record["amount_micro"], spent, "{record:#}");
}

#[test]
fn nobody_without_an_account_gets_anything() {
    let stage = Stage::new(Setup::default());
    let stranger = stage.authority.issue("urn:tollwire:stranger");
    let mut user = stage.at(&stranger, stage.user_host());
    assert_eq!(word(&user.ask("weather")), "403 unknown-user");
    let request = user.request_with(
        &serde_json::json!({"name": "nothing"}),
        &identifier(),
        &nonce(),
    );
    assert_eq!(
        word(&user.post("/credentials", &request)),
        "404 unknown-service"
    );
    assert!(stage.http.arrived().is_empty());
}

#[test]
fn a_user_has_so_many_sessions_and_each_reserves_money() {
    let stage = Stage::new(Setup {
        manager: "max_sessions_per_user = 3\n".to_owned(),
        ..Setup::default()
    });
    let mut user = stage.user();
    let credentials: Vec<_> = (0..3).map(|_| user.credential("weather")).collect();
    let held = stage.account();
    assert_eq!(word(&user.ask("weather")), "429 too-many");
    assert_eq!(stage.account(), held);
    for credential in &credentials {
        user.sessions(credential, "DELETE").expect(200);
    }
    assert_eq!(stage.wait_for_spent(), 0);
    wait_until("a place", PATIENCE, || user.ask("weather").status == 200);
}

#[test]
fn requests_at_once_never_pass_what_is_granted() {
    let stage = Stage::new(Setup {
        balance_micro: 5 * REQUEST,
        services: vec![(
            "thrice",
            "requests = 301",
            format!("{PACE}max_requests = 3\n"),
        )],
        ..Setup::default()
    });
    // So many in a row, each from somebody else's connection.
    let at_once = |credential: &Credential| -> usize {
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..20)
                .map(|_| scope.spawn(|| stage.user().get(credential, "/rush").status == 200))
                .collect();
            let served = asked
                .into_iter()
                .map(|asked| asked.join().expect("an answer"));
            served.filter(|served| *served).count()
        })
    };
    let thrice = stage.user().credential("thrice");
    assert_eq!(at_once(&thrice), 3);
    stage.wait_for_session(&thrice, "its end", |it| it["state"] == "closed");
    assert_eq!(stage.wait_for_spent(), 3 * REQUEST);
    let all = stage.user().credential("weather");
    assert_eq!(at_once(&all), 2);
    stage.wait_for_session(&all, "its end", |it| it["state"] == "closed");
    assert_eq!(stage.wait_for_spent(), 5 * REQUEST);
    assert_eq!(stage.http.arrived().len(), 5);
}
