//! Service agents: heard by multicast, registering with directory agents that come and go.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use tollwire_harness::capture::Capture;
use tollwire_harness::process::Scratch;
use tollwire_harness::slp::agent::Agent;
use tollwire_harness::slp::lan::Lan;
use tollwire_harness::slp::wire::{self, FRESH, GROUP, REQUEST_MCAST, Reply, ask, receive};
use tollwire_harness::wait::{PATIENCE, wait_until};

const MSG_NOT_SUPPORTED: u16 = 14;

/// Answers to a multicast request, until nobody new has answered for a while.
fn round(socket: &UdpSocket, request: &[u8]) -> Vec<Reply> {
    socket.send_to(request, GROUP).expect("sent");
    let mut replies = Vec::new();
    while let Some(reply) = receive(socket, Duration::from_millis(500)) {
        replies.push(reply);
    }
    replies
}

fn service_agent(services: &Scratch, name: &str, urls: &[&str], more: &str) -> String {
    let list: String = urls
        .iter()
        .map(|url| format!("[[service]]\nurl = {url:?}\nattributes = \"(at={name}),(port=80)\"\n"))
        .collect();
    let path = services.write(&format!("{name}-services.toml"), &list);
    format!("[agent]\nrole = \"service-agent\"\nservices = {path:?}\n{more}")
}

#[test]
fn ten_service_agents_are_all_found_without_a_directory_agent() {
    let lan = Lan::new(11);
    let scratch = Scratch::new();
    let capture = Capture::start(lan.host(10), &scratch, "port 427");
    let mut agents: Vec<Agent> = (0..10)
        .map(|number| {
            let name = format!("sa{number}");
            let url = format!("service:billing:https://{name}");
            let config = service_agent(&scratch, &name, &[&url], "");
            Agent::start(lan.host(number), &scratch, &name, &config)
        })
        .collect();
    let socket = lan.host(10).udp(0);
    let mut found: BTreeSet<String> = BTreeSet::new();
    let mut previous: Vec<String> = Vec::new();
    let mut rounds = 0;
    // The convergence of RFC 2608 6.3: the same XID, and a list that grows, until it brings nobody new.
    loop {
        let request = wire::service_request(
            REQUEST_MCAST,
            42,
            &previous.join(","),
            "service:billing",
            "DEFAULT",
            "(port=80)",
        );
        let replies = round(&socket, &request);
        rounds += 1;
        for reply in &replies {
            let from = reply.from.ip().to_string();
            assert!(!previous.contains(&from), "{from} has answered before");
            assert_eq!((reply.xid(), reply.error()), (42, 0));
            found.extend(reply.sorted_urls());
        }
        if replies.is_empty() {
            break;
        }
        previous.extend(replies.iter().map(|reply| reply.from.ip().to_string()));
        assert!(rounds < 10);
    }
    assert_eq!(found.len(), 10, "{found:?}");
    // Agents that are asked for themselves, with their types.
    let request = wire::service_request(
        REQUEST_MCAST,
        43,
        "",
        "service:service-agent",
        "",
        "(service-type=service:billing:https)",
    );
    let adverts = round(&socket, &request);
    assert_eq!(adverts.len(), 10);
    let (url, scopes, attributes) = adverts[0].service_agent();
    assert_eq!(
        url,
        format!("service:service-agent://{}", adverts[0].from.ip())
    );
    assert_eq!(
        (scopes.as_str(), attributes.as_str()),
        ("DEFAULT", "(service-type=service:billing:https)")
    );
    let other = wire::service_request(
        REQUEST_MCAST,
        44,
        "",
        "service:service-agent",
        "",
        "(service-type=service:printer)",
    );
    assert_eq!(round(&socket, &other), []);
    // By unicast one answers for himself, and takes nothing in from others.
    let to = agents[3].address();
    let request = wire::service_request(0, 45, "", "service:billing:https", "DEFAULT", "(at=SA3)");
    assert_eq!(
        ask(&socket, to, &request).sorted_urls(),
        ["service:billing:https://sa3"]
    );
    let foreign = wire::registration(46, FRESH, "en", "service:x://1", 60, "DEFAULT", "");
    assert_eq!(ask(&socket, to, &foreign).error(), MSG_NOT_SUPPORTED);
    for agent in &mut agents {
        agent.stop();
    }
    let recording = capture.stop();
    // Errors that are answered count as errors with tshark: malformed is another thing.
    assert_eq!(recording.count("_ws.malformed || _ws.unreassembled"), 0);
    // Each asked once for a directory agent at its start, and again while nobody answered: no faster than CONFIG_RETRY
    // doubles.
    assert!(
        recording.count(
            "srvloc.function == 1 && srvloc.srvreq.srvtypelist == \"service:directory-agent\""
        ) >= 10
    );
}

#[test]
fn a_directory_agent_that_dies_and_comes_back_gets_everything_again() {
    let lan = Lan::new(3);
    let scratch = Scratch::new();
    let config = service_agent(&scratch, "sa", &["service:a://file"], "");
    let service = Agent::start(lan.host(1), &scratch, "sa", &config);
    // Its program registers itself before there is any directory agent.
    let local = wire::registration(1, FRESH, "en", "service:b://local", 600, "DEFAULT", "(x=1)");
    assert_eq!(service.register_locally(&local).error(), 0);
    let mut directory = Agent::start(lan.host(0), &scratch, "da", "");
    let both = ["service:a://file", "service:b://local"];
    directory.wait_for_registered(&both, PATIENCE);

    // What changes here changes there.
    let socket = lan.host(2).udp(0);
    let changed = wire::registration(2, FRESH, "en", "service:b://local", 600, "DEFAULT", "(x=2)");
    assert_eq!(service.register_locally(&changed).error(), 0);
    let to = directory.address();
    wait_until("the change to arrive", PATIENCE, || {
        let request = wire::service_request(0, 9, "", "service:b", "DEFAULT", "(x=2)");
        ask(&socket, to, &request).urls().len() == 1
    });
    let gone = wire::deregistration(3, "en", "service:b://local", "DEFAULT", "");
    assert_eq!(service.register_locally(&gone).error(), 0);
    directory.wait_for_registered(&["service:a://file"], PATIENCE);
    assert_eq!(service.register_locally(&changed).error(), 0);
    directory.wait_for_registered(&both, PATIENCE);

    // Killed, with all that it knew: its new boot timestamp tells.
    let request = wire::service_request(0, 10, "", "service:directory-agent", "", "");
    let (before, ..) = ask(&socket, to, &request).directory_agent();
    directory.kill();
    directory.start_again();
    let (after, ..) = ask(&socket, to, &request).directory_agent();
    assert!(after > before, "{after} after {before}");
    directory.wait_for_registered(&both, PATIENCE);
    // Stopped in order, it says so, and is not spoken to until it is there again.
    directory.stop();
    wait_until("the service agent to hear that it stops", PATIENCE, || {
        !service
            .get("/directory-agents")
            .contains("\"registered\":2")
    });
    directory.start_again();
    directory.wait_for_registered(&both, PATIENCE);
    assert!(service.get("/directory-agents").contains("passive"));
}

#[test]
fn each_directory_agent_is_told_what_is_of_its_scopes() {
    let lan = Lan::new(4);
    let scratch = Scratch::new();
    let mut one = Agent::start(
        lan.host(0),
        &scratch,
        "one",
        "[agent]\nscopes = [\"North\"]\n",
    );
    let two = Agent::start(
        lan.host(1),
        &scratch,
        "two",
        "[agent]\nscopes = [\"south\", \"NORTH\"]\n",
    );
    let services = scratch.write(
        "services.toml",
        "[[service]]\nurl = \"service:a://n\"\nscopes = [\"north\"]\n\
         [[service]]\nurl = \"service:a://s\"\nscopes = [\"South\"]\n\
         [[service]]\nurl = \"service:a://ns\"\nattributes = \"(x=1)\"\n\
         [[service]]\nurl = \"service:a://long\"\nattributes = \"ATTRIBUTES\"\n"
            .replace("ATTRIBUTES", &format!("(long={})", "y".repeat(3_000)))
            .as_str(),
    );
    let config = format!(
        "[agent]\nrole = \"service-agent\"\nscopes = [\"north\", \"south\"]\nservices = {services:?}\n\
         [directory_agents]\nlifetime_seconds = 10\n"
    );
    let capture = Capture::start(lan.host(2), &scratch, "port 427");
    let mut service = Agent::start(lan.host(2), &scratch, "sa", &config);
    one.wait_for_registered(
        &["service:a://long", "service:a://n", "service:a://ns"],
        PATIENCE,
    );
    two.wait_for_registered(
        &[
            "service:a://long",
            "service:a://n",
            "service:a://ns",
            "service:a://s",
        ],
        PATIENCE,
    );
    // A user agent that knows the scopes finds each.
    let socket = lan.host(3).udp(0);
    let ask_for = |to: SocketAddr, scopes: &str| {
        let request = wire::service_request(0, 7, "", "service:a", scopes, "");
        ask(&socket, to, &request)
    };
    assert_eq!(ask_for(one.address(), "north").urls().len(), 3);
    assert_eq!(ask_for(one.address(), "south").error(), 4);
    assert_eq!(ask_for(two.address(), "SOUTH").urls().len(), 3);
    // Refreshed before they end: they are there for longer than their ten seconds.
    let started = std::time::Instant::now();
    wait_until("more than a lifetime to pass", PATIENCE, || {
        assert_eq!(one.registered().len(), 3, "{}", service.log());
        assert_eq!(two.registered().len(), 4, "{}", service.log());
        started.elapsed() > Duration::from_secs(13)
    });
    // Nobody refreshes any more: they end by themselves.
    service.kill();
    one.wait_for_registered(&[], PATIENCE);
    two.wait_for_registered(&[], PATIENCE);
    one.stop();
    let recording = capture.stop();
    // Errors that are answered count as errors with tshark: malformed is another thing.
    assert_eq!(recording.count("_ws.malformed || _ws.unreassembled"), 0);
    // What is longer than a datagram went by TCP (RFC 2608 6.2); everything else by UDP, and no piece was cut.
    assert!(recording.count("tcp && srvloc.function == 3") >= 2);
    assert!(recording.count("udp && srvloc.function == 3") >= 5);
    assert_eq!(recording.count("ip.flags.mf == 1"), 0);
}

#[test]
fn a_configured_directory_agent_beyond_the_router() {
    let lan = Lan::new(1);
    let scratch = Scratch::new();
    let directory = Agent::start(
        &lan.far,
        &scratch,
        "da",
        "[registrations]\nallowed_networks = [\"10.78.0.0/24\"]\n",
    );
    let more = format!(
        "[directory_agents]\nconfigured = [\"{}\"]\ndiscover = false\n",
        lan.far.ip
    );
    let config = service_agent(&scratch, "sa", &["service:a://1", "service:a://2"], &more);
    let service = Agent::start(lan.host(0), &scratch, "sa", &config);
    directory.wait_for_registered(&["service:a://1", "service:a://2"], PATIENCE);
    assert!(service.get("/directory-agents").contains("configured"));
}

#[test]
fn services_of_the_file_follow_a_reload() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let directory = Agent::start(lan.host(0), &scratch, "da", "");
    let config = service_agent(&scratch, "sa", &["service:a://1", "service:a://2"], "");
    let mut service = Agent::start(lan.host(1), &scratch, "sa", &config);
    directory.wait_for_registered(&["service:a://1", "service:a://2"], PATIENCE);
    scratch.write(
        "sa-services.toml",
        "[[service]]\nurl = \"service:a://2\"\n[[service]]\nurl = \"service:a://3\"\n",
    );
    service.reload();
    service.wait_for_registered(&["service:a://2", "service:a://3"], PATIENCE);
    directory.wait_for_registered(&["service:a://2", "service:a://3"], PATIENCE);
    // A file with a fault changes nothing.
    scratch.write(
        "sa-services.toml",
        "[[service]]\nurl = \"service:a://4\"\nattributes = \"(a=\"\n",
    );
    service.reload();
    wait_until("the fault to be told", PATIENCE, || {
        service
            .log()
            .contains("sa-services.toml: service:a://4: attr-list at octet")
    });
    assert_eq!(service.registered(), ["service:a://2", "service:a://3"]);
}

#[test]
fn what_is_kept_survives_kill_9() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let mut directory = Agent::start(
        lan.host(0),
        &scratch,
        "da",
        "[store]\nregistrations = true\n",
    );
    let socket = lan.host(1).udp(0);
    let to = directory.address();
    let request = wire::service_request(0, 1, "", "service:directory-agent", "", "");
    let (boot, ..) = ask(&socket, to, &request).directory_agent();
    let mut told: BTreeSet<String> = BTreeSet::new();
    let mut xid = 100;
    for round in 0..5_u32 {
        // Killed in the middle of a stream of registrations: what was acknowledged is there again.
        for number in 0..200_u32 {
            xid += 1;
            let url = format!("service:a://{round:02}-{number:03}");
            let message = wire::registration(xid, FRESH, "en", &url, 600, "DEFAULT", "(x=1)");
            if number < 150 {
                assert_eq!(ask(&socket, to, &message).error(), 0);
                told.insert(url);
            } else {
                socket.send_to(&message, to).expect("sent");
            }
        }
        directory.kill();
        while receive(&socket, Duration::from_millis(20)).is_some() {}
        directory.start_again();
        let there: BTreeSet<String> = directory.registered().into_iter().collect();
        assert!(
            told.is_subset(&there),
            "{:?}",
            told.difference(&there).next()
        );
        let (again, ..) = ask(&socket, to, &request).directory_agent();
        assert_eq!(again, boot, "nothing was lost: the same timestamp");
        told = there;
    }
    let short = wire::registration(1, FRESH, "en", "service:short://1", 1, "DEFAULT", "");
    assert_eq!(ask(&socket, to, &short).error(), 0);
    let gone = wire::deregistration(2, "en", told.first().expect("some"), "DEFAULT", "");
    assert_eq!(ask(&socket, to, &gone).error(), 0);
    told.pop_first();
    wait_until("it to end", PATIENCE, || {
        !directory
            .registered()
            .iter()
            .any(|url| url == "service:short://1")
    });
    directory.kill();
    directory.start_again();
    assert_eq!(
        directory.registered().into_iter().collect::<BTreeSet<_>>(),
        told
    );
}

/// RFC 8032 7.1, test 1.
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[test]
fn signed_registrations_and_no_others() {
    const AUTHENTICATION_UNKNOWN: u16 = 5;
    const AUTHENTICATION_ABSENT: u16 = 6;
    const AUTHENTICATION_FAILED: u16 = 7;
    let lan = Lan::new(4);
    let scratch = Scratch::new();
    let seed = scratch.write("seed", SEED);
    let directory = Agent::start(
        lan.host(0),
        &scratch,
        "da",
        &format!(
            "[registrations]\nrequire_authentication = true\n\
             [[authentication.verify]]\nspi = \"bank\"\npublic_key = \"{PUBLIC}\"\n"
        ),
    );
    let to = directory.address();
    let signing = format!("[authentication.sign]\nspi = \"Bank\"\nseed_file = {seed:?}\n");
    let config = service_agent(&scratch, "signed", &["service:a://signed"], &signing);
    let capture = Capture::start(lan.host(1), &scratch, "port 427");
    let mut service = Agent::start(lan.host(1), &scratch, "signed", &config);
    let config = service_agent(&scratch, "plain", &["service:a://plain"], "");
    let plain = Agent::start(lan.host(2), &scratch, "plain", &config);
    directory.wait_for_registered(&["service:a://signed"], PATIENCE);
    wait_until("the other to be told", PATIENCE, || {
        plain.log().contains("AUTHENTICATION_ABSENT")
    });
    let socket = lan.host(3).udp(0);
    let request = |xid: u16, spi: &str| {
        let parts = ["", "service:a", "DEFAULT", "", spi];
        let body: Vec<u8> = parts.iter().flat_map(|part| wire::string(part)).collect();
        wire::message(1, 0, xid, "en", &body)
    };
    assert_eq!(
        ask(&socket, to, &request(1, "")).sorted_urls(),
        ["service:a://signed"]
    );
    assert_eq!(
        ask(&socket, to, &request(2, "other")).error(),
        AUTHENTICATION_UNKNOWN
    );
    let reply = ask(&socket, to, &request(3, "BANK"));
    // The block is handed out with the URL: BSD 0x8001, 78 octets, SPI of four.
    let block = [&[0x80, 0x01, 0, 78][..]].concat();
    assert!(
        reply.octets.windows(4).any(|window| window == block),
        "{reply:?}"
    );

    // The very octets of the registration, changed in what RFC 2608 leaves unsigned: the lifetime.
    service.kill();
    let recording = capture.stop();
    // tshark 4.0 knows no private descriptor, and does not pass over the block by its length.
    assert_eq!(
        recording.count("_ws.malformed && !(srvloc.authblkv2_bsd == 0x8001)"),
        0
    );
    let payloads = recording.fields("srvloc.function == 3", &["udp.payload"]);
    let captured = payloads
        .iter()
        .flatten()
        .find(|hex| !hex.is_empty())
        .expect("a registration");
    let mut octets: Vec<u8> = (0..captured.len() / 2)
        .map(|at| u8::from_str_radix(&captured[2 * at..2 * at + 2], 16).expect("hex"))
        .collect();
    octets[10..12].copy_from_slice(&[0x11, 0x11]);
    assert_eq!(
        ask(&socket, to, &octets).error(),
        0,
        "as it was, from anywhere"
    );
    octets[10..12].copy_from_slice(&[0x11, 0x12]);
    octets[18] ^= 1;
    assert_eq!(ask(&socket, to, &octets).error(), AUTHENTICATION_FAILED);
    // Without the signature nobody changes or removes it.
    for message in [
        wire::registration(
            4,
            FRESH,
            "en",
            "service:a://signed",
            60,
            "DEFAULT",
            "(evil=1)",
        ),
        wire::deregistration(5, "en", "service:a://signed", "DEFAULT", ""),
    ] {
        assert_eq!(ask(&socket, to, &message).error(), AUTHENTICATION_ABSENT);
    }
}

#[test]
fn broadcasts_in_the_place_of_multicast() {
    let lan = Lan::new(3);
    let scratch = Scratch::new();
    let directory = Agent::start(lan.host(0), &scratch, "da", "[network]\nbroadcast = true\n");
    let config = service_agent(
        &scratch,
        "sa",
        &["service:a://1"],
        "[network]\nbroadcast = true\n",
    );
    let service = Agent::start(lan.host(1), &scratch, "sa", &config);
    // They find each other.
    directory.wait_for_registered(&["service:a://1"], PATIENCE);
    // And are found, by both kinds of broadcast.
    let socket = lan.host(2).udp(0);
    socket.set_broadcast(true).expect("allowed");
    for to in ["10.78.0.255:427", "255.255.255.255:427"] {
        let to: SocketAddr = to.parse().expect("an address");
        let request = wire::service_request(REQUEST_MCAST, 5, "", "service:a", "DEFAULT", "");
        lan.host(2)
            .within(|| socket.send_to(&request, to))
            .expect("sent");
        let reply = receive(&socket, PATIENCE).expect("an answer");
        assert_eq!(
            reply.from,
            service.address(),
            "the directory agent has no service of its own"
        );
        assert_eq!(reply.sorted_urls(), ["service:a://1"]);
    }
}
