//! freeDiameter, an independent implementation, as the peer of our node, in both directions.

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use support::authority::Authority;
use support::free_diameter::{FREE_DIAMETER, FreeDiameter, exchanged, free_port, relay};
use support::{Directory, TestNode, client, credit_control_request, server, server_id, until};
use tollwire_diameter::ResultCode;
use tollwire_diameter::dictionary::command;
use tollwire_runtime::diameter::{Address, NodeConfig};

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[tokio::test]
async fn free_diameter_connects_watches_and_is_disconnected() {
    let directory = Directory::new("fd-connects");
    let mut node = TestNode::start(server("server.example", Address::Tcp(loopback(0))));
    let Address::Tcp(address) = node.handle.listening()[0] else {
        panic!("TCP is expected");
    };
    let (port, record) = relay(address).await;
    let _peer = FreeDiameter::start(&directory.0, free_port(), "server.example", port);
    let (peer, origin_host) = node.opened().await;
    assert_eq!(origin_host, FREE_DIAMETER);
    until(|| exchanged(&record, command::CAPABILITIES_EXCHANGE, true)).await;

    // As a relay without a route it answers a request with an error: with the E bit, and named.
    let request = credit_control_request(0);
    node.handle
        .send_request(&peer, 1, request.encode(0, 0))
        .unwrap();
    let (_, answer) = node.answer().await;
    assert!(answer.is_error());
    assert_eq!(answer.result_code(), Some(ResultCode::UNABLE_TO_DELIVER));

    // Its Tw is 6 s, ours 30 s: its watchdog comes first.
    until(|| exchanged(&record, command::DEVICE_WATCHDOG, true)).await;
    node.handle.shutdown().await;
    node.closed().await;
    until(|| exchanged(&record, command::DISCONNECT_PEER, false)).await;
}

#[tokio::test]
async fn our_node_connects_to_free_diameter_and_is_disconnected() {
    let directory = Directory::new("fd-listens");
    let listening = free_port();
    let (port, record) = relay(loopback(listening)).await;
    // It would connect to us too; nobody listens there.
    let peer = FreeDiameter::start(&directory.0, listening, "client.example", free_port());
    let mut node = TestNode::start(NodeConfig {
        watchdog: Duration::from_secs(1),
        ..client("client.example", Address::Tcp(loopback(port)))
    });
    let (_, origin_host) = node.opened().await;
    assert_eq!(origin_host, FREE_DIAMETER);
    until(|| exchanged(&record, command::CAPABILITIES_EXCHANGE, true)).await;
    until(|| exchanged(&record, command::DEVICE_WATCHDOG, true)).await;
    peer.terminate();
    node.closed().await;
    until(|| exchanged(&record, command::DISCONNECT_PEER, false)).await;
    assert!(!node.handle.is_open(&server_id()));
}

#[tokio::test]
async fn free_diameter_connects_over_tls_and_watches() {
    let directory = Directory::new("fd-tls");
    let authority = Authority::new();
    let mut node = TestNode::start(NodeConfig {
        tls: Some(authority.issue(&directory.0, "server", &["server.example"])),
        ..server("server.example", Address::Tls(loopback(0)))
    });
    let Address::Tls(address) = node.handle.listening()[0] else {
        panic!("TLS is expected");
    };
    let files = authority.issue(&directory.0, "fd", &[FREE_DIAMETER]);
    let _free_diameter = FreeDiameter::start_tls(
        &directory.0,
        free_port(),
        "server.example",
        address.port(),
        &files,
    );
    let (peer, origin_host) = node.opened().await;
    assert_eq!(origin_host, FREE_DIAMETER);
    let tells = |text: &str| FreeDiameter::tells(&directory.0, text);
    until(|| tells("CONNECTED TO 'server.example' (TCP,TLS")).await;
    // It asks after 6 s, and we answer.
    until(|| tells("'Device-Watchdog-Request'") && tells("'Device-Watchdog-Answer'")).await;
    assert!(node.handle.is_open(&peer));
    node.handle.shutdown().await;
    node.closed().await;
    until(|| tells("'Disconnect-Peer-Request'")).await;
}

#[tokio::test]
async fn our_node_connects_to_free_diameter_over_tls() {
    let directory = Directory::new("fd-tls-listens");
    let authority = Authority::new();
    let port = free_port();
    let files = authority.issue(&directory.0, "fd", &[FREE_DIAMETER]);
    let peer = FreeDiameter::start_tls(&directory.0, port, "client.example", free_port(), &files);
    let mut node = TestNode::start(NodeConfig {
        watchdog: Duration::from_secs(1),
        tls: Some(authority.issue(&directory.0, "client", &["client.example"])),
        ..client("client.example", Address::Tls(loopback(port)))
    });
    let (_, origin_host) = node.opened().await;
    assert_eq!(origin_host, FREE_DIAMETER);
    let tells = |text: &str| FreeDiameter::tells(&directory.0, text);
    until(|| tells("'Device-Watchdog-Request'") && tells("'Device-Watchdog-Answer'")).await;
    assert!(node.handle.is_open(&server_id()));
    peer.terminate();
    node.closed().await;
}
