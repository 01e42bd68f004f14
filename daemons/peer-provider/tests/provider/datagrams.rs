//! A service by datagrams.

use std::net::SocketAddr;

use axum::http::StatusCode;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use tollwire_peer::{Cause, Data};

use crate::world::{Mode, PATIENCE, World, until};

/// Something that says what it hears, after a word of its own.
async fn game() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut datagram = [0; 2_000];
        while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
            let answer = [b"so ".as_slice(), &datagram[..length]].concat();
            let _ = socket.send_to(&answer, from).await;
        }
    });
    address
}

async fn heard(socket: &UdpSocket) -> Vec<u8> {
    let mut datagram = vec![0; 2_000];
    let length = timeout(PATIENCE, socket.recv(&mut datagram)).await;
    let length = length.expect("nothing comes").unwrap();
    datagram.truncate(length);
    datagram
}

#[tokio::test]
async fn datagrams_pass_while_the_session_is_open_and_are_counted_both_ways() {
    let world = World::new(game().await).await;
    let user = world.user(world.policies("game")).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(world.udp).await.unwrap();
    // Before it is open nothing passes: what is heard first is the answer to the second.
    socket.send(b"early").await.unwrap();
    let dropped = async || world.list().await[0]["used"]["octets"].as_u64();
    assert_eq!(dropped().await, Some(0));
    let opened = world.ask(&user, "POST", "/peers/sessions").await;
    assert_eq!(opened.text(), r#"{"state":"open"}"#);
    socket.send(b"hello").await.unwrap();
    assert_eq!(heard(&socket).await, b"so hello");
    socket.send(b"again").await.unwrap();
    assert_eq!(heard(&socket).await, b"so again");
    // Another port of the same host is not his.
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    other.send_to(b"mine", world.udp).await.unwrap();
    socket.send(b"last").await.unwrap();
    assert_eq!(heard(&socket).await, b"so last");
    let ended = world.ask(&user, "DELETE", "/peers/sessions").await;
    assert_eq!(ended.status, StatusCode::OK);
    let told = world.final_message().await;
    // With the headers of IP and UDP.
    let octets = [5, 8, 5, 8, 4, 7].iter().map(|it| it + 28).sum::<u64>();
    assert_eq!(
        (told.cause, told.data.octets),
        (Some(Cause::User), Some(octets))
    );
    assert_eq!(told.data.requests, Some(0));
    socket.send(b"late").await.unwrap();
    let mut datagram = [0; 100];
    assert!(other.try_recv(&mut datagram).is_err());
    assert!(socket.try_recv(&mut datagram).is_err());
}

#[tokio::test]
async fn datagrams_end_with_the_last_grant() {
    let world = World::new(game().await).await;
    let granted = Data {
        octets: Some(200),
        ..Data::default()
    };
    world.set(Mode::Grants(granted, true));
    let mut policies = world.policies("game");
    policies.granted = granted;
    let user = world.user(policies).await;
    world.ask(&user, "POST", "/peers/sessions").await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(world.udp).await.unwrap();
    socket.send(b"hello").await.unwrap();
    assert_eq!(heard(&socket).await, b"so hello");
    // 69 so far. 28 + 72 are 169, and their answer would be beyond.
    socket.send(&[b'x'; 72]).await.unwrap();
    until("nothing more is asked for", || !world.heard().is_empty()).await;
    assert_eq!(world.heard()[0].data.octets, Some(169));
    // What fits goes on, to the last octet.
    socket.send(&[b'y'; 3]).await.unwrap();
    let told = world.final_message().await;
    assert_eq!(
        (told.cause, told.data.octets),
        (Some(Cause::Credit), Some(200))
    );
}
