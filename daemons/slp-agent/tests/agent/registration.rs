//! Registrations: the local slpd, the loopback address, directory agents.

use std::net::SocketAddr;
use std::path::PathBuf;

use tollwire_slp::message::SrvAck;
use tollwire_slp::{Body, ErrorCode, Message};
use tollwire_slp_agent::{Error, Peer, Registration, Settings};

use crate::fake::{
    Way, advert, agent, free_port, is_discovery, quick, registration_socket, reply, settings,
    user_agent,
};

fn ack(request: &Message<'_>, error: ErrorCode) -> Option<Vec<u8>> {
    reply(request, Body::SrvAck(SrvAck { error }))
}

fn service() -> Registration {
    Registration::new("service:x://192.0.2.7", "(a=1)")
}

#[tokio::test]
async fn the_local_slpd_is_told_first() {
    let port = free_port().await;
    let (socket, asked) = registration_socket(|request, _| ack(request, ErrorCode::OK));
    let user = user_agent(Settings {
        registration_socket: socket,
        scopes: vec!["west".into(), "east".into()],
        ..settings(port)
    });
    assert_eq!(user.register(&service()).await.unwrap(), [Peer::Local]);
    assert_eq!(
        user.deregister("service:x://192.0.2.7", "a").await.unwrap(),
        [Peer::Local]
    );
    let asked = asked.lock().unwrap().clone();
    let message = tollwire_slp::decode(&asked[0].1).unwrap();
    assert!(message.header.flags.fresh);
    let Body::SrvReg(body) = message.body else {
        panic!("{message:?}");
    };
    assert_eq!(
        (body.url.url, body.url.lifetime, body.service_type),
        ("service:x://192.0.2.7", 10_800, "service:x")
    );
    assert_eq!((body.scopes, body.attributes), ("west,east", "(a=1)"));
    let message = tollwire_slp::decode(&asked[1].1).unwrap();
    let Body::SrvDeReg(body) = message.body else {
        panic!("{message:?}");
    };
    assert_eq!((body.tags, body.scopes), ("a", "west,east"));
}

#[tokio::test]
async fn its_refusal_is_final() {
    let port = free_port().await;
    let (socket, _) =
        registration_socket(|request, _| ack(request, ErrorCode::SCOPE_NOT_SUPPORTED));
    let user = user_agent(Settings {
        registration_socket: socket,
        ..settings(port)
    });
    let error = user.register(&service()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the local slpd answers SCOPE_NOT_SUPPORTED: it serves other scopes"
    );
}

#[tokio::test]
async fn without_its_socket_the_loopback_address_is_told() {
    let port = free_port().await;
    let here = agent(1, port, |request, way| match way {
        Way::Multicast => None,
        _ => ack(request, ErrorCode::OK),
    })
    .await;
    let user = user_agent(Settings {
        registration_socket: PathBuf::from("/nowhere/slpd-register.sock"),
        ..settings(port)
    });
    assert_eq!(
        user.register(&service()).await.unwrap(),
        [Peer::Agent(here.address)]
    );
    assert_eq!(here.asked(Way::Unicast, |_| ()).len(), 1);
}

#[tokio::test]
async fn without_either_every_directory_agent_with_the_scope_is_told() {
    let port = free_port().await;
    let play = |url: &'static str, scopes: &'static str| {
        move |request: &Message<'_>, way: Way| match way {
            _ if is_discovery(request) => reply(request, advert(url, scopes)),
            Way::Multicast => None,
            _ => ack(request, ErrorCode::OK),
        }
    };
    let one = agent(7, port, play("service:directory-agent://127.0.0.7", "A,B")).await;
    let two = agent(8, port, play("service:directory-agent://127.0.0.8", "B,C")).await;
    let other = agent(9, port, play("service:directory-agent://127.0.0.9", "C")).await;
    let user = user_agent(Settings {
        scopes: vec!["B".into(), "A".into()],
        ..settings(port)
    });
    let mut takers = user.register(&service()).await.unwrap();
    takers.sort_by_key(Peer::to_string);
    assert_eq!(takers, [Peer::Agent(one.address), Peer::Agent(two.address)]);
    let scopes = |message: Message<'_>| match message.body {
        Body::SrvReg(body) => body.scopes.to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(one.asked(Way::Unicast, scopes), ["B,A"]);
    assert_eq!(two.asked(Way::Unicast, scopes), ["b"]);
    assert!(other.asked(Way::Unicast, scopes).is_empty());
}

#[tokio::test]
async fn one_agent_can_be_chosen_and_what_is_long_goes_by_tcp() {
    let port = free_port().await;
    let directory = agent(7, port, |request, way| match way {
        Way::Multicast => None,
        _ => ack(request, ErrorCode::OK),
    })
    .await;
    let user = user_agent(settings(port)).only(directory.address);
    user.register(&service()).await.unwrap();
    let mut long = service();
    long.attributes = format!("(a={})", "x".repeat(2_000));
    assert_eq!(
        user.register(&long).await.unwrap(),
        [Peer::Agent(directory.address)]
    );
    assert_eq!(directory.asked(Way::Unicast, |_| ()).len(), 1);
    assert_eq!(directory.asked(Way::Tcp, |_| ()).len(), 1);
}

#[tokio::test]
async fn nobody_to_register_with_is_an_error() {
    let port = free_port().await;
    let user = user_agent(quick(port));
    let error = user.register(&service()).await.unwrap_err();
    assert!(matches!(error, Error::Nobody(_)), "{error:?}");

    let mut quick = settings(port);
    quick.timers.retry_max_ms = 300;
    let nowhere = SocketAddr::from(([127, 0, 0, 99], port));
    let user = user_agent(quick).only(nowhere);
    let error = user.register(&service()).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer(_)), "{error:?}");
}

#[tokio::test]
async fn an_advertisement_is_refreshed_and_withdrawn() {
    let port = free_port().await;
    let (socket, asked) = registration_socket(|request, _| ack(request, ErrorCode::OK));
    let user = user_agent(Settings {
        registration_socket: socket,
        ..settings(port)
    });
    let mut registration = service();
    registration.lifetime = 2;
    let advertisement = user.advertise(registration).await.unwrap();
    let count = || asked.lock().unwrap().len();
    while count() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(advertisement.withdraw().await.unwrap(), [Peer::Local]);
    let asked = asked.lock().unwrap();
    let (_, last) = asked.last().unwrap();
    let last = tollwire_slp::decode(last).unwrap();
    assert!(matches!(last.body, Body::SrvDeReg(_)));
}
