use std::time::Instant;

use super::*;
use bytes::Bytes;

const REALM: &str = "example.org";
const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn at(seconds: i64) -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: seconds * 1000,
    }
}

fn authenticator() -> Authenticator {
    let mut counter = 0u64;
    Authenticator::new(
        Settings {
            realm: REALM.into(),
            failures_per_minute: 3,
            ..Settings::default()
        },
        [3; 32],
        move || {
            counter += 1;
            counter.to_be_bytes()
        },
    )
}

fn subscribers() -> Subscribers {
    ["alice", "disabled"]
        .into_iter()
        .map(|name| {
            let subscriber = Subscriber {
                username: name.into(),
                secrets: Secrets::derive(name, REALM, "secret"),
                identity: format!("sip:{name}@example.org").into(),
                enabled: name == "alice",
            };
            (subscriber.username.clone(), subscriber)
        })
        .collect()
}

fn request(method: &str, credentials: &[String]) -> Message {
    let name = if method == "REGISTER" {
        "Authorization"
    } else {
        "Proxy-Authorization"
    };
    let lines: String = credentials
        .iter()
        .map(|value| format!("{name}: {value}\r\n"))
        .collect();
    let text = format!(
        "{method} sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
         From: <sip:alice@example.org>;tag=1\r\nTo: <sip:alice@example.org>\r\nCall-ID: 1\r\n\
         CSeq: 1 {method}\r\nMax-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

fn nonce_of(challenge: &Message, header: HeaderName) -> String {
    challenge.challenges(header).next().unwrap().nonce.into()
}

fn answer(
    algorithm: Algorithm,
    user: &str,
    password: &str,
    method: &str,
    nonce: &str,
    nc: u32,
) -> String {
    let secrets = Secrets::derive(user, REALM, password);
    let count = format!("{nc:08x}");
    let answered = Answered {
        method,
        uri: "sip:example.org",
        nonce,
        nonce_count: &count,
        cnonce: "c",
    };
    format!(
        "Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"sip:example.org\", \
         response=\"{}\", algorithm={}, cnonce=\"c\", qop=auth, nc={count}",
        response(algorithm, &secrets, &answered).unwrap(),
        algorithm.as_str(),
    )
}

fn challenged(verdict: Verdict) -> Message {
    match verdict {
        Verdict::Challenge(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_challenge_names_both_algorithms_the_stronger_first() {
    let mut authenticator = authenticator();
    let verdict = authenticator.check(
        at(1000),
        &request("REGISTER", &[]),
        SOURCE,
        Role::Server,
        &subscribers(),
    );
    let response = challenged(verdict);
    assert_eq!(response.status(), Some(401));
    assert!(response.to().unwrap().tag().is_some());
    let algorithms: Vec<Algorithm> = response
        .challenges(HeaderName::WwwAuthenticate)
        .map(|challenge| {
            assert!(challenge.qop_auth && !challenge.stale);
            challenge.algorithm
        })
        .collect();
    assert_eq!(algorithms, [Algorithm::Sha256, Algorithm::Md5]);
}

#[test]
fn each_algorithm_is_answered_and_each_count_is_good_once() {
    for algorithm in [Algorithm::Sha256, Algorithm::Md5] {
        let mut authenticator = authenticator();
        let subscribers = subscribers();
        let first = challenged(authenticator.check(
            at(1000),
            &request("INVITE", &[]),
            SOURCE,
            Role::Proxy,
            &subscribers,
        ));
        assert_eq!(first.status(), Some(407));
        let nonce = nonce_of(&first, HeaderName::ProxyAuthenticate);
        for (count, good) in [(1, true), (1, false), (2, true)] {
            let request = request(
                "INVITE",
                &[answer(
                    algorithm, "alice", "secret", "INVITE", &nonce, count,
                )],
            );
            let verdict =
                authenticator.check(at(1001), &request, SOURCE, Role::Proxy, &subscribers);
            if good {
                assert_eq!(
                    verdict,
                    Verdict::Authenticated {
                        username: "alice".into(),
                        identity: "sip:alice@example.org".into()
                    }
                );
            } else {
                let again = challenged(verdict);
                assert!(
                    again
                        .challenges(HeaderName::ProxyAuthenticate)
                        .all(|challenge| challenge.stale)
                );
            }
        }
    }
}

#[test]
fn an_aged_nonce_is_stale_only_if_the_password_was_right() {
    let mut authenticator = authenticator();
    let subscribers = subscribers();
    let first = challenged(authenticator.check(
        at(1000),
        &request("REGISTER", &[]),
        SOURCE,
        Role::Server,
        &subscribers,
    ));
    let nonce = nonce_of(&first, HeaderName::WwwAuthenticate);
    for (password, stale) in [("secret", true), ("wrong", false)] {
        let request = request(
            "REGISTER",
            &[answer(
                Algorithm::Sha256,
                "alice",
                password,
                "REGISTER",
                &nonce,
                1,
            )],
        );
        let again =
            challenged(authenticator.check(at(1300), &request, SOURCE, Role::Server, &subscribers));
        assert!(
            again
                .challenges(HeaderName::WwwAuthenticate)
                .all(|challenge| challenge.stale == stale),
            "{password}"
        );
    }
}

#[test]
fn wrong_unknown_and_disabled_get_the_same_answer() {
    let mut answers = Vec::new();
    for (user, password) in [
        ("alice", "wrong"),
        ("nobody", "secret"),
        ("disabled", "secret"),
    ] {
        let mut authenticator = authenticator();
        let subscribers = subscribers();
        let first = challenged(authenticator.check(
            at(1000),
            &request("REGISTER", &[]),
            SOURCE,
            Role::Server,
            &subscribers,
        ));
        let nonce = nonce_of(&first, HeaderName::WwwAuthenticate);
        let request = request(
            "REGISTER",
            &[answer(
                Algorithm::Md5,
                user,
                password,
                "REGISTER",
                &nonce,
                1,
            )],
        );
        answers.push(
            challenged(authenticator.check(at(1001), &request, SOURCE, Role::Server, &subscribers))
                .to_bytes(),
        );
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[test]
fn a_source_that_keeps_guessing_is_refused() {
    let mut authenticator = authenticator();
    let subscribers = subscribers();
    let now = at(1000);
    let first = challenged(authenticator.check(
        now,
        &request("REGISTER", &[]),
        SOURCE,
        Role::Server,
        &subscribers,
    ));
    let nonce = nonce_of(&first, HeaderName::WwwAuthenticate);
    for _ in 0..3 {
        let wrong = request(
            "REGISTER",
            &[answer(
                Algorithm::Md5,
                "alice",
                "wrong",
                "REGISTER",
                &nonce,
                1,
            )],
        );
        challenged(authenticator.check(now, &wrong, SOURCE, Role::Server, &subscribers));
    }
    let right = request(
        "REGISTER",
        &[answer(
            Algorithm::Md5,
            "alice",
            "secret",
            "REGISTER",
            &nonce,
            1,
        )],
    );
    match authenticator.check(now, &right, SOURCE, Role::Server, &subscribers) {
        Verdict::Refuse(response) => assert_eq!(response.status(), Some(403)),
        other => panic!("{other:?}"),
    }
    let elsewhere = "198.51.100.7".parse().unwrap();
    assert!(matches!(
        authenticator.check(now, &right, elsewhere, Role::Server, &subscribers),
        Verdict::Authenticated { .. }
    ));
}

#[test]
fn another_realm_or_algorithm_is_as_good_as_nothing_and_garbage_is_refused() {
    let mut authenticator = authenticator();
    let subscribers = subscribers();
    for value in [
        "Digest username=\"alice\", realm=\"elsewhere\", nonce=\"n\", uri=\"sip:x\", response=\"0\"",
        "Digest username=\"alice\", realm=\"example.org\", nonce=\"n\", uri=\"sip:x\", response=\"0\", algorithm=SHA-512-256",
        "Basic YWxpY2U6c2VjcmV0",
    ] {
        let verdict = authenticator.check(
            at(1000),
            &request("REGISTER", &[value.into()]),
            SOURCE,
            Role::Server,
            &subscribers,
        );
        assert_eq!(challenged(verdict).status(), Some(401), "{value}");
    }
    let verdict = authenticator.check(
        at(1000),
        &request("REGISTER", &["Digest username".into()]),
        SOURCE,
        Role::Server,
        &subscribers,
    );
    assert!(matches!(verdict, Verdict::Refuse(response) if response.status() == Some(400)));
}

#[test]
fn credentials_without_qop_are_not_enough() {
    let mut authenticator = authenticator();
    let subscribers = subscribers();
    let first = challenged(authenticator.check(
        at(1000),
        &request("REGISTER", &[]),
        SOURCE,
        Role::Server,
        &subscribers,
    ));
    let nonce = nonce_of(&first, HeaderName::WwwAuthenticate);
    let whole = answer(Algorithm::Md5, "alice", "secret", "REGISTER", &nonce, 1);
    let without = whole.split(", cnonce").next().unwrap().to_owned();
    let verdict = authenticator.check(
        at(1001),
        &request("REGISTER", &[without]),
        SOURCE,
        Role::Server,
        &subscribers,
    );
    assert_eq!(challenged(verdict).status(), Some(401));
}

#[test]
fn only_our_credentials_are_taken_out() {
    let authenticator = authenticator();
    let theirs =
        "Digest username=\"a\", realm=\"elsewhere\", nonce=\"n\", uri=\"sip:x\", response=\"0\"";
    let ours = answer(Algorithm::Md5, "alice", "secret", "INVITE", "n", 1);
    let mut message = request("INVITE", &[ours, theirs.into()]);
    authenticator.strip(&mut message);
    let left: Vec<&str> = message
        .header_fields(HeaderName::ProxyAuthorization)
        .collect();
    assert_eq!(left, [theirs]);
}
