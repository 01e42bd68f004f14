//! With a directory agent: it is asked alone.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;
use tollwire_slp::message::{DaAdvert, SrvRply};
use tollwire_slp::{Body, ErrorCode, multicast};
use tollwire_slp_agent::{Error, Origin, Peer, Settings};

use crate::fake::{
    Way, advert, agent, free_port, is_discovery, reply, reply_with, services, settings, user_agent,
};

const URL: &str = "service:directory-agent://127.0.0.9";

fn found_by(
    urls: &'static [&'static str],
) -> impl Fn(&tollwire_slp::Message<'_>, Way) -> Option<Vec<u8>> {
    move |request, way| match way {
        Way::Multicast if is_discovery(request) => reply(request, advert(URL, "DEFAULT,west")),
        Way::Multicast => None,
        _ if is_discovery(request) => reply(request, advert(URL, "DEFAULT,west")),
        _ => reply(request, services(urls.iter().copied())),
    }
}

#[tokio::test]
async fn one_that_is_found_is_asked_by_unicast() {
    let port = free_port().await;
    let directory = agent(9, port, found_by(&["service:x://1"])).await;
    let bystander = agent(2, port, |request, _| {
        assert!(is_discovery(request), "{request:?}");
        None
    })
    .await;
    let user = user_agent(settings(port));
    let found = user.find_services("service:x", "").await.unwrap();
    assert_eq!(found.found.len(), 1);
    assert!(!found.multicast);
    assert_eq!(directory.asked(Way::Unicast, |_| ()).len(), 1);
    assert!(bystander.asked.lock().unwrap().is_empty());

    let known = user.directory_agents().await.unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].address, directory.address);
    assert_eq!(known[0].origin, Origin::Active);
    assert_eq!(user.find_scopes().await.unwrap().as_str(), "DEFAULT,west");
    let found = user
        .find_services("service:directory-agent", "")
        .await
        .unwrap();
    assert_eq!(found.found[0].url, URL);
}

#[tokio::test]
async fn overflow_is_followed_over_tcp_and_without_tcp_the_part_has_to_do() {
    let port = free_port().await;
    let directory = agent(9, port, |request, way| match way {
        _ if is_discovery(request) => reply(request, advert(URL, "DEFAULT")),
        Way::Multicast => None,
        Way::Unicast => reply_with(request, services(["service:x://1"]), true, Vec::new()),
        _ => reply(request, services(["service:x://1", "service:x://2"])),
    })
    .await;
    let user = user_agent(settings(port));
    let found = user.find_services("service:x", "").await.unwrap();
    assert_eq!(found.found.len(), 2);
    assert!(!found.truncated);
    let last = |way| directory.asked(way, |message| message.header.xid).pop();
    assert_eq!(last(Way::Unicast), last(Way::Tcp));

    let small = user_agent(Settings {
        max_octets: 50,
        ..settings(port)
    });
    let small = small.only(directory.address);
    let found = small.find_services("service:x", "").await.unwrap();
    assert_eq!(found.found.len(), 1);
    assert!(found.truncated);
}

#[tokio::test]
async fn a_configured_one_that_is_dead_is_passed_over_at_once() {
    let port = free_port().await;
    let alive = agent(9, port, found_by(&["service:x://1"])).await;
    // Nobody listens at the first: its host says so.
    let user = user_agent(Settings {
        directory_agents: vec![Ipv4Addr::new(127, 0, 0, 8).into(), alive.address.ip()],
        discover: false,
        multicast: false,
        ..settings(port)
    });
    let found = user.find_services("service:x", "").await.unwrap();
    assert_eq!(found.found.len(), 1);
}

#[tokio::test]
async fn silence_is_an_error_where_one_agent_is_asked_alone() {
    let port = free_port().await;
    let dead = SocketAddr::from(([127, 0, 0, 8], port));
    let silent = agent(7, port, |_, _| None).await;
    let mut quick = settings(port);
    quick.timers.retry_max_ms = 300;
    let user = user_agent(quick);
    for agent in [dead, silent.address] {
        let error = user.only(agent).find_services("service:x", "").await;
        let Err(Error::NoAnswer(peers)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(peers, [Peer::Agent(agent)]);
    }
}

#[tokio::test]
async fn its_refusal_is_told() {
    let port = free_port().await;
    let _directory = agent(9, port, |request, way| match way {
        _ if is_discovery(request) => reply(request, advert(URL, "DEFAULT")),
        Way::Multicast => None,
        _ => reply(
            request,
            Body::SrvRply(SrvRply {
                error: ErrorCode::LANGUAGE_NOT_SUPPORTED,
                ..SrvRply::default()
            }),
        ),
    })
    .await;
    let user = user_agent(settings(port)).in_language("de").unwrap();
    let error = user.find_services("service:x", "").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "127.0.0.9 answers LANGUAGE_NOT_SUPPORTED: there are such services, in another language"
    );
}

#[tokio::test]
async fn adverts_are_overheard() {
    let port = free_port().await;
    let directory = agent(9, port, |request, way| match way {
        Way::Multicast => None,
        _ => reply(request, services(["service:x://1"])),
    })
    .await;
    let user = user_agent(settings(port));
    // The first answer is proof that the agent has its sockets.
    assert!(user.directory_agents().await.unwrap().is_empty());
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 9], 0)))
        .await
        .unwrap();
    let mut octets = Vec::new();
    let message = tollwire_slp::Message {
        header: tollwire_slp::Header {
            language: "en",
            ..tollwire_slp::Header::default()
        },
        body: Body::DaAdvert(DaAdvert {
            boot_timestamp: 7,
            url: URL,
            scopes: "DEFAULT",
            ..DaAdvert::default()
        }),
        extensions: Vec::new(),
    };
    tollwire_slp::encode(&message, &mut octets).unwrap();
    socket2::SockRef::from(&socket)
        .set_multicast_if_v4(&Ipv4Addr::LOCALHOST)
        .unwrap();
    socket
        .send_to(&octets, (multicast::IPV4, port))
        .await
        .unwrap();
    let known = loop {
        let known = user.directory_agents().await.unwrap();
        if !known.is_empty() {
            break known;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(known[0].origin, Origin::Passive);
    let found = user.find_services("service:x", "").await.unwrap();
    assert_eq!(found.found.len(), 1);
    assert_eq!(directory.asked(Way::Multicast, |_| ()).len(), 0);
}
