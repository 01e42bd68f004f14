//! Who reaches a directory agent from where, and what it takes in of whom.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use tollwire_harness::slp::agent::read_message;
use tollwire_harness::slp::stage::Stage;
use tollwire_harness::slp::wire::error::{AUTHENTICATION_ABSENT, INVALID_REGISTRATION, OK};
use tollwire_harness::slp::wire::{self, FRESH, OVERFLOW, REQUEST_MCAST, Reply, ask};
use tollwire_harness::wait::{PATIENCE, wait_until};

#[test]
fn nobody_off_the_link_gets_more_than_he_sent() {
    let mut stage = Stage::new("");
    for number in 0..100 {
        let url = format!("service:many://host-{number}");
        assert_eq!(stage.register(&url, ""), OK);
    }
    let to = stage.agent.address();
    let far = stage.lan.far.udp(0);
    let request = wire::service_request(0, 77, "", "service:many", "DEFAULT", "");
    let reply = ask(&far, to, &request);
    assert!(reply.octets.len() <= request.len());
    assert_eq!(reply.flags(), OVERFLOW);
    assert!(reply.urls().len() <= 2);
    // Every octet out is paid for with one in, however many are sent: spent, there is silence.
    let (mut sent, mut got) = (request.len(), reply.octets.len());
    for _ in 0..2_000 {
        far.send_to(&request, to).expect("sent");
        sent += request.len();
        while let Some(reply) = wire::receive(&far, Duration::ZERO) {
            got += reply.octets.len();
        }
    }
    while let Some(reply) = wire::receive(&far, Duration::from_millis(300)) {
        got += reply.octets.len();
    }
    assert!(got < sent / 2, "{got} octets for {sent}");
    // Registrations from there are refused.
    let message = wire::registration(1, FRESH, "en", "service:far://1", 60, "DEFAULT", "");
    wait_until("the tokens to be there again", PATIENCE, || {
        far.send_to(&message, to).expect("sent");
        wire::receive(&far, Duration::from_millis(200))
            .is_some_and(|reply| reply.xid() == 1 && reply.error() == AUTHENTICATION_ABSENT)
    });
    // By TCP he proves that he is who he says: he may ask for all of it.
    let mut stream = stage.lan.far.tcp(to).expect("connects");
    stream.write_all(&request).expect("sent");
    let octets = read_message(&mut stream).expect("an answer");
    assert_eq!(Reply { octets, from: to }.urls().len(), 100);
    stream.write_all(&message).expect("sent");
    let octets = read_message(&mut stream).expect("an answer");
    assert_eq!(Reply { octets, from: to }.error(), AUTHENTICATION_ABSENT);
    // Who is on the link is answered as ever.
    assert!(stage.find("service:many", "").urls().len() > 30);
}

#[test]
fn ipv6_by_unicast_and_by_its_groups() {
    let stage = Stage::new("");
    let host = stage.lan.host(1);
    let socket = host.udp_at(SocketAddr::new(host.ip6, 0));
    let to = stage.agent.address6();
    let message = wire::registration(
        1,
        FRESH,
        "en",
        "service:six://[fd4e::99]:80",
        600,
        "DEFAULT",
        "(a=1)",
    );
    assert_eq!(ask(&socket, to, &message).error(), OK);
    let request = wire::service_request(0, 2, "", "service:six", "DEFAULT", "(a=1)");
    assert_eq!(
        ask(&socket, to, &request).sorted_urls(),
        ["service:six://[fd4e::99]:80"]
    );
    // SVRLOC-DA in the site's scope (RFC 3111 4.1).
    let group: SocketAddr = "[ff05::123]:427".parse().expect("an address");
    let index = host.within(|| interface_index("eth0"));
    let scoped = match group {
        SocketAddr::V6(v6) => {
            SocketAddr::from(std::net::SocketAddrV6::new(*v6.ip(), 427, 0, index))
        }
        v4 @ SocketAddr::V4(_) => v4,
    };
    let request = wire::service_request(REQUEST_MCAST, 3, "", "service:directory-agent", "", "");
    let advert = ask(&socket, scoped, &request);
    let (_, url, ..) = advert.directory_agent();
    assert_eq!(url, format!("service:directory-agent://[{}]", to.ip()));
    assert_eq!(advert.from.ip(), to.ip());
    // A link-local service is for those on the link alone.
    let message = wire::registration(
        4,
        FRESH,
        "en",
        "service:near://[fe80::99]:80",
        600,
        "DEFAULT",
        "",
    );
    assert_eq!(ask(&socket, to, &message).error(), OK);
    let request = wire::service_request(0, 5, "", "service:near", "DEFAULT", "");
    assert_eq!(
        ask(&socket, to, &request).urls(),
        [],
        "from a wider address (RFC 3111 4.2.3)"
    );
    let message = wire::deregistration(6, "en", "service:six://[fd4e::99]:80", "DEFAULT", "");
    assert_eq!(ask(&socket, to, &message).error(), OK);
}

/// The index of an interface of the namespace that the thread is in.
fn interface_index(name: &str) -> u32 {
    std::fs::read_to_string("/proc/thread-self/net/if_inet6")
        .expect("IPv6 is there")
        .lines()
        .find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (fields.last() == Some(&name)).then(|| u32::from_str_radix(fields[1], 16).ok())?
        })
        .expect("the interface has an address")
}

#[test]
fn registrations_are_held_against_their_template() {
    let template = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../conf/slp-templates/billing.1.0.en"
    );
    let mut stage = Stage::new(&format!("[agent]\ntemplates = [{template:?}]\n"));
    let good = "(name=Bank),(protocol=https),(agreement-required=false),(fee-basis-points=10),(currency=EUR),\
                (invoice-form-type=page),(acknowledgement-key=abc)";
    let url = "service:billing:https://bank.example";
    assert_eq!(stage.register(url, good), OK);
    assert_eq!(
        stage.register(url, &good.replace("=10)", "=much)")),
        INVALID_REGISTRATION
    );
    let xid = stage.next_xid();
    let poor = wire::registration(
        xid,
        FRESH,
        "en",
        url,
        600,
        "DEFAULT",
        "(name=Bank),(protocol=https)",
    );
    let reply = ask(&stage.socket, stage.agent.address(), &poor);
    assert_eq!(reply.error(), INVALID_REGISTRATION);
    // The Required Attribute Missing extension behind the SrvAck (RFC 2608 D.1).
    let text = String::from_utf8_lossy(&reply.octets).into_owned();
    assert_eq!(reply.octets[18..23], [0, 1, 0, 0, 0]);
    assert!(
        text.contains("billing.1.0")
            && text.contains("agreement-required,fee-basis-points,currency"),
        "{text}"
    );
    // An update counts with what it updates.
    let xid = stage.next_xid();
    let update = wire::registration(xid, 0, "en", url, 600, "DEFAULT", "(fee-basis-points=20)");
    assert_eq!(stage.told(&update), OK);
    let xid = stage.next_xid();
    let update = wire::registration(xid, 0, "en", url, 600, "DEFAULT", "(settles=never)");
    assert_eq!(stage.told(&update), INVALID_REGISTRATION);
    assert_eq!(
        stage
            .find("service:billing", "(fee-basis-points=20)")
            .urls()
            .len(),
        1
    );
    // Other types are nobody's business.
    assert_eq!(
        stage.register("service:other://1", "(fee-basis-points=much)"),
        OK
    );
}

#[test]
fn an_interface_that_is_not_served_is_not_heard() {
    let stage = Stage::new("[network]\ninterfaces = [\"lo\"]\n");
    let request = wire::service_request(0, 1, "", "service:directory-agent", "", "");
    // By loopback it answers.
    let inside = stage
        .lan
        .host(0)
        .udp_at(SocketAddr::from(([127, 0, 0, 1], 0)));
    assert_eq!(
        ask(&inside, SocketAddr::from(([127, 0, 0, 1], 427)), &request).function(),
        8
    );
    // By the link nothing: a connection is closed without a word, and a datagram is not answered.
    let mut stream = stage
        .lan
        .host(1)
        .tcp(stage.agent.address())
        .expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let _ = stream.write_all(&request);
    let closed = read_message(&mut stream).expect_err("closed");
    assert_ne!(
        closed.kind(),
        std::io::ErrorKind::WouldBlock,
        "it was closed, not silent"
    );
    stage
        .socket
        .send_to(&request, stage.agent.address())
        .expect("sent");
    assert_eq!(
        wire::receive(&stage.socket, Duration::from_millis(300)),
        None
    );
}
