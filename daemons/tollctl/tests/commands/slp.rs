//! `tollctl slp` against an agent on loopback, and a registration socket, that the test plays.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tollwire_slp::message::{AttrRply, DaAdvert, NamingAuthority, SrvAck, SrvRply, SrvTypeRply};
use tollwire_slp::{
    Body, ErrorCode, Extension, Header, Message, UrlEntry, announced_length, decode, encode,
};

use crate::daemons::{Daemons, Outcome, finish, tollctl};

type Answer = dyn Fn(&Message<'_>) -> Option<Vec<u8>> + Send;

/// A directory agent at 127.0.0.1.
struct Agent {
    port: u16,
    /// What it was asked, in words.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Agent {
    fn new(answer: impl Fn(&Message<'_>) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let group = UdpSocket::bind((tollwire_slp::multicast::IPV4, port)).unwrap();
        let all = tollwire_slp::multicast::IPV4;
        group.join_multicast_v4(&all, &Ipv4Addr::LOCALHOST).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer: Arc<Mutex<Box<Answer>>> = Arc::new(Mutex::new(Box::new(answer)));
        for heard in [socket.try_clone().unwrap(), group] {
            let (socket, answer, asked) =
                (socket.try_clone().unwrap(), answer.clone(), asked.clone());
            std::thread::spawn(move || {
                let mut buffer = [0; 65_535];
                loop {
                    let Ok((length, from)) = heard.recv_from(&mut buffer) else {
                        continue;
                    };
                    let request = decode(&buffer[..length]).unwrap();
                    asked.lock().unwrap().push(words(&request));
                    if let Some(reply) = answer.lock().unwrap()(&request) {
                        let _ = socket.send_to(&reply, from);
                    }
                }
            });
        }
        Self { port, asked }
    }

    /// Runs `tollctl slp`, which asks this agent alone.
    fn ask(&self, arguments: &[&str]) -> Outcome {
        let mut all = vec!["--unicast", "127.0.0.1"];
        all.extend(arguments);
        self.run(&all)
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        finish(slp(self.port, arguments), "")
    }

    fn prints(&self, arguments: &[&str]) -> String {
        let outcome = self.ask(arguments);
        assert_eq!((outcome.code, &*outcome.err), (0, ""), "{outcome:?}");
        outcome.out
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn slp(port: u16, arguments: &[&str]) -> std::process::Command {
    let mut command = tollctl();
    command
        .args(["slp", "--interface", "lo", "--registration-socket", "/none"])
        .args(["--port", &port.to_string()])
        .args(arguments);
    command
}

/// A registration socket that acknowledges so, and what it was told.
fn registration_socket(error: ErrorCode) -> (PathBuf, Arc<Mutex<Vec<String>>>) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let path = std::env::temp_dir().join(format!(
        "tollctl-slp-{}-{}.sock",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ));
    let listener = UnixListener::bind(&path).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut octets = vec![0; 5];
            stream.read_exact(&mut octets).unwrap();
            octets.resize(announced_length(&octets).unwrap(), 0);
            stream.read_exact(&mut octets[5..]).unwrap();
            let request = decode(&octets).unwrap();
            heard.lock().unwrap().push(words(&request));
            let ack = reply(&request, Body::SrvAck(SrvAck { error })).unwrap();
            stream.write_all(&ack).unwrap();
        }
    });
    (path, told)
}

fn reply(request: &Message<'_>, body: Body<'_>) -> Option<Vec<u8>> {
    reply_with(request, body, Vec::new())
}

fn reply_with(
    request: &Message<'_>,
    body: Body<'_>,
    extensions: Vec<Extension<'_>>,
) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let message = Message {
        header: Header {
            xid: request.header.xid,
            language: request.header.language,
            ..Header::default()
        },
        body,
        extensions,
    };
    encode(&message, &mut octets).unwrap();
    Some(octets)
}

fn words(request: &Message<'_>) -> String {
    let language = request.header.language;
    let fresh = request.header.flags.fresh;
    match &request.body {
        Body::SrvRqst(body) => format!(
            "{language} {}: {} {}",
            body.scopes, body.service_type, body.predicate
        ),
        Body::AttrRqst(body) => format!("{language} {}: {} {}", body.scopes, body.url, body.tags),
        Body::SrvTypeRqst(body) => match body.naming_authority {
            NamingAuthority::All => "types of all".into(),
            NamingAuthority::Iana => "types of IANA".into(),
            NamingAuthority::Named(name) => format!("types of {name}"),
        },
        Body::SrvReg(body) => format!(
            "{language} {}: {} {} for {}{} as {}",
            body.scopes,
            body.url.url,
            body.attributes,
            body.url.lifetime,
            if fresh { "" } else { " updated" },
            body.service_type
        ),
        Body::SrvDeReg(body) => format!("{}: {} {} out", body.scopes, body.url.url, body.tags),
        other => format!("{other:?}"),
    }
}

fn two_services(request: &Message<'_>) -> Option<Vec<u8>> {
    let entry = |url, lifetime| UrlEntry {
        lifetime,
        url,
        authentication: Vec::new(),
    };
    let reply = SrvRply {
        error: ErrorCode::OK,
        urls: vec![entry("service:x://a", 60), entry("service:x://b", 7)],
    };
    let told = |url, attributes| Extension::AttributeList {
        url,
        attributes,
        authentication: Vec::new(),
    };
    let extensions = match request.extensions.is_empty() {
        true => Vec::new(),
        false => vec![
            told("service:x://a", "(fee=2),(name=Big Bank)"),
            told("service:x://b", ""),
        ],
    };
    reply_with(request, Body::SrvRply(reply), extensions)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn services_are_printed_with_their_lifetimes() {
    let agent = Agent::new(two_services);
    assert_eq!(
        agent.prints(&["findsrvs", "service:x"]),
        "service:x://a,60\nservice:x://b,7\n"
    );
    assert_eq!(agent.asked(), ["en DEFAULT: service:x "]);
    assert_eq!(
        agent.prints(&[
            "findsrvs",
            "service:x",
            "(fee<=3)",
            "--scopes",
            "a,b",
            "--language",
            "de"
        ]),
        "service:x://a,60\nservice:x://b,7\n"
    );
    assert_eq!(agent.asked(), ["de a,b: service:x (fee<=3)"]);
    assert_eq!(
        agent.prints(&["findsrvs", "service:x", "--attributes"]),
        "service:x://a,60 (fee=2),(name=Big Bank)\nservice:x://b,7\n"
    );
    assert_eq!(
        json(&agent.prints(&["findsrvs", "service:x", "--attributes", "--json"])),
        json!([
            { "url": "service:x://a", "lifetime": 60,
              "attributes": { "fee": [2], "name": ["Big Bank"] } },
            { "url": "service:x://b", "lifetime": 7, "attributes": {} },
        ])
    );
}

#[test]
fn attributes_and_types_are_printed() {
    let agent = Agent::new(|request| match &request.body {
        Body::AttrRqst(_) => reply(
            request,
            Body::AttrRply(AttrRply {
                attributes: "(fee=2),invoice",
                ..AttrRply::default()
            }),
        ),
        _ => reply(
            request,
            Body::SrvTypeRply(SrvTypeRply {
                service_types: "service:x,service:a.acme",
                ..SrvTypeRply::default()
            }),
        ),
    });
    assert_eq!(
        agent.prints(&["findattrs", "service:x://a"]),
        "(fee=2),invoice\n"
    );
    assert_eq!(
        json(&agent.prints(&["findattrs", "service:x", "fee,inv*", "--json"])),
        json!({ "fee": [2], "invoice": [] })
    );
    assert_eq!(
        agent.asked(),
        [
            "en DEFAULT: service:x://a ",
            "en DEFAULT: service:x fee,inv*"
        ]
    );
    assert_eq!(
        agent.prints(&["findsrvtypes"]),
        "service:a.acme\nservice:x\n"
    );
    agent.prints(&["findsrvtypes", "IANA"]);
    assert_eq!(
        json(&agent.prints(&["findsrvtypes", "acme", "--json"])),
        json!(["service:a.acme", "service:x"])
    );
    assert_eq!(
        agent.asked(),
        ["types of all", "types of IANA", "types of acme"]
    );
}

#[test]
fn scopes_are_those_of_directory_agents() {
    let agent = Agent::new(|request| {
        reply(
            request,
            Body::DaAdvert(DaAdvert {
                boot_timestamp: 7,
                url: "service:directory-agent://127.0.0.1",
                scopes: "DEFAULT,West Coast",
                ..DaAdvert::default()
            }),
        )
    });
    let found = agent.run(&["findscopes", "--timeout", "1"]);
    assert_eq!(
        (found.code, &*found.out),
        (0, "DEFAULT,West Coast\n"),
        "{found:?}"
    );
    let found = agent.run(&["findscopes", "--timeout", "1", "--json"]);
    assert_eq!(json(&found.out), json!(["DEFAULT", "West Coast"]));
    assert_eq!(agent.prints(&["findscopes"]), "DEFAULT,West Coast\n");
    assert_eq!(
        agent.prints(&["findsrvs", "service:directory-agent"]),
        "service:directory-agent://127.0.0.1,65535\n"
    );
    let found = agent.run(&["findsrvs", "service:directory-agent", "--timeout", "1"]);
    assert_eq!(
        found.out, "service:directory-agent://127.0.0.1,65535\n",
        "{found:?}"
    );
}

#[test]
fn services_are_registered_with_the_local_slpd() {
    let (socket, told) = registration_socket(ErrorCode::OK);
    let run = |arguments: &[&str]| {
        let mut command = tollctl();
        command
            .args(["slp", "--registration-socket"])
            .arg(&socket)
            .args(arguments);
        let outcome = finish(command, "");
        assert_eq!((outcome.code, &*outcome.err), (0, ""), "{outcome:?}");
        outcome.out
    };
    assert_eq!(
        run(&["register", "service:x://h", "(a=1),(b=2)"]),
        "service:x://h: registered with the local slpd\n"
    );
    run(&[
        "register",
        "http://h",
        "--service-type",
        "service:y",
        "--lifetime",
        "60",
        "--update",
        "--scopes",
        "west",
    ]);
    assert_eq!(
        json(&run(&["deregister", "service:x://h", "--json"])),
        json!({ "url": "service:x://h", "agents": ["the local slpd"] })
    );
    run(&["deregister", "service:x://h", "--tags", "a,b"]);
    assert_eq!(
        *told.lock().unwrap(),
        [
            "en DEFAULT: service:x://h (a=1),(b=2) for 10800 as service:x",
            "en west: http://h  for 60 updated as service:y",
            "DEFAULT: service:x://h  out",
            "DEFAULT: service:x://h a,b out",
        ]
    );
}

#[test]
fn a_registration_can_go_to_one_agent() {
    let agent = Agent::new(|request| reply(request, Body::SrvAck(SrvAck::default())));
    assert_eq!(
        agent.prints(&["register", "service:x://h"]),
        "service:x://h: registered with 127.0.0.1\n"
    );
}

#[test]
fn refusals_and_silence_have_their_exit_codes() {
    let (socket, _) = registration_socket(ErrorCode::INVALID_UPDATE);
    let mut command = tollctl();
    command
        .args(["slp", "--registration-socket"])
        .arg(&socket)
        .args(["register", "--update", "service:x://h"]);
    let outcome = finish(command, "");
    assert_eq!(outcome.code, 1);
    assert_eq!(
        outcome.err,
        "tollctl: the local slpd answers INVALID_UPDATE: no such registration, or one of another service type\n"
    );

    let silent = Agent::new(|_| None);
    let outcome = silent.ask(&["findsrvs", "service:x", "--timeout", "0.2"]);
    assert_eq!(outcome.code, 69);
    assert_eq!(outcome.err, "tollctl: no answer from 127.0.0.1\n");

    // Nobody listens there.
    let outcome = silent.run(&["--unicast", "127.0.0.9", "findsrvs", "service:x"]);
    assert_eq!(
        (outcome.code, &*outcome.err),
        (69, "tollctl: no answer from 127.0.0.9\n")
    );

    for (arguments, code) in [
        (&["findsrvs", "service:x", "(a="][..], 1),
        (&["findsrvs", "a b"], 1),
        (&["--scopes", "a(b", "findsrvs", "service:x"], 1),
        (&["--language", "e n", "findsrvs", "service:x"], 1),
        (&["register", "no-url"], 1),
        (&["register", "service:x://h", "(a"], 1),
        (&["register", "service:x://h", "--lifetime", "0"], 2),
        (&["findsrvs", "service:x", "--timeout", "0"], 2),
        (&["findsrvs", "--unicast", "fe80::1", "service:x"], 2),
        (&["findsrvs"], 2),
    ] {
        let outcome = silent.run(arguments);
        assert_eq!(outcome.code, code, "{arguments:?}: {outcome:?}");
        assert!(!outcome.err.is_empty() && outcome.out.is_empty());
    }
    assert_eq!(silent.asked().len(), 1, "what is wrong is not sent");
}

#[test]
fn a_watch_tells_what_comes() {
    let agent = Agent::new(two_services);
    for (json, lines) in [
        (false, ["+ service:x://a,60", "+ service:x://b,7"]),
        (
            true,
            [
                "{\"attributes\":{\"fee\":[2],\"name\":[\"Big Bank\"]},\"change\":\"added\",\"lifetime\":60,\"url\":\"service:x://a\"}",
                "{\"attributes\":{},\"change\":\"added\",\"lifetime\":7,\"url\":\"service:x://b\"}",
            ],
        ),
    ] {
        let mut arguments = vec!["--unicast", "127.0.0.1", "watch", "service:x"];
        if json {
            arguments.push("--json");
        }
        let mut child = slp(agent.port, &arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let told: Vec<String> = out.lines().take(2).map(Result::unwrap).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(told, lines);
    }
}

#[test]
fn what_slpd_holds_is_listed() {
    let daemons = Daemons::answering(&[
        (
            "GET /registrations?limit=1000",
            json!([{
                "url": "service:x://h", "language": "en", "service_type": "service:x",
                "scopes": "DEFAULT", "attributes": "(a=1)", "lifetime_seconds": null,
                "source": "file",
            }]),
        ),
        ("GET /registrations?after=service%3Ax&limit=2", json!([])),
        (
            "GET /directory-agents",
            json!([{
                "url": "service:directory-agent://192.0.2.1", "address": "192.0.2.1:427",
                "scopes": "DEFAULT", "boot_timestamp": 1, "found": "active",
                "registered": 3, "waiting": 0,
            }]),
        ),
        ("POST /discover", json!({ "status": "ok" })),
        ("POST /reload", json!({ "status": "ok" })),
    ]);
    assert_eq!(
        daemons.prints(&["slp", "registrations"]),
        "URL            TYPE       LANGUAGE  SCOPES   LIFETIME  SOURCE  ATTRIBUTES\n\
         service:x://h  service:x  en        DEFAULT         -  file    (a=1)\n"
    );
    assert_eq!(
        json(&daemons.prints(&[
            "slp",
            "registrations",
            "--after",
            "service:x",
            "--limit",
            "2",
            "--json"
        ])),
        json!([])
    );
    assert_eq!(
        daemons.prints(&["slp", "directory-agents"]),
        "URL                                  ADDRESS        SCOPES   FOUND   REGISTERED  WAITING\n\
         service:directory-agent://192.0.2.1  192.0.2.1:427  DEFAULT  active           3        0\n"
    );
    assert_eq!(
        daemons.prints(&["slp", "discover"]),
        "looking for directory agents\n"
    );
    assert_eq!(daemons.prints(&["slp", "reload"]), "read again\n");
}
