//! The Diameter node and peers that misbehave, fail over, or connect to each other.

mod support;

use std::time::Duration;

use support::raw::RawPeer;
use support::{
    Directory, TestNode, config, credit_control_request, grant, server, server_id, until,
};
use tollwire_diameter::ResultCode;
use tollwire_runtime::diameter::{NodeConfig, NodeEvent, PeerConfig, PeerId};

#[tokio::test]
async fn a_connection_that_does_not_say_who_it_is_is_closed() {
    let directory = Directory::new("dumb");
    let address = directory.socket("server.sock");
    let _node = TestNode::start(NodeConfig {
        connect_timeout: Duration::from_millis(50),
        ..server("server.example", address.clone())
    });
    let mut dumb = RawPeer::connect(&address).await;
    assert_eq!(dumb.read().await, None);
}

#[tokio::test]
async fn a_first_message_that_is_too_long_is_refused() {
    let directory = Directory::new("long");
    let address = directory.socket("server.sock");
    let _node = TestNode::start(server("server.example", address.clone()));
    let mut peer = RawPeer::connect(&address).await;
    // A header that announces 60,000 octets: fine later on, but not for a CER.
    let mut header = vec![1, 0, 0xea, 0x60, 0x80, 0, 1, 1];
    header.extend([0; 12]);
    peer.write(&header).await;
    let answer = peer.read().await.expect("an answer");
    assert_eq!(
        answer.result_code(),
        Some(ResultCode::INVALID_MESSAGE_LENGTH)
    );
    assert_eq!(peer.read().await, None);
}

#[tokio::test]
async fn connections_are_limited() {
    let directory = Directory::new("crowd");
    let address = directory.socket("server.sock");
    let mut node = TestNode::start(NodeConfig {
        max_peers: 2,
        ..server("server.example", address.clone())
    });
    let mut first = RawPeer::connect(&address).await;
    first.introduce().await;
    node.opened().await;
    let second = RawPeer::connect(&address).await;
    let mut third = RawPeer::connect(&address).await;
    assert_eq!(third.read().await, None);
    // Room again when one goes.
    drop(second);
    first.write(&dpr()).await;
    node.closed().await;
    drop(first);
    loop {
        let mut fourth = RawPeer::connect(&address).await;
        fourth.write_cer().await;
        if let Some(cea) = fourth.read().await {
            assert_eq!(cea.result_code(), Some(ResultCode::SUCCESS));
            break;
        }
    }
}

fn dpr() -> Vec<u8> {
    tollwire_diameter::base::DisconnectPeerRequest {
        origin_host: "raw.example".to_owned(),
        origin_realm: "example".to_owned(),
        ..Default::default()
    }
    .encode(5, 5)
    .encode()
    .to_vec()
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_answers_is_not_read_either() {
    const COUNT: u32 = 20_000;
    let directory = Directory::new("deaf");
    let address = directory.socket("server.sock");
    let mut node = TestNode::start(server("server.example", address.clone()));
    let mut peer = RawPeer::connect(&address).await;
    peer.introduce().await;
    node.opened().await;
    let (mut reader, mut writer) = peer.split();
    let writing = tokio::spawn(async move {
        for number in 0..COUNT {
            let request = credit_control_request(0).encode(number, number);
            writer.write(&request.encode()).await;
        }
        writer
    });
    let handle = node.handle.clone();
    let (count_sender, count) = tokio::sync::watch::channel(0_u32);
    let serving = tokio::spawn(async move {
        while let NodeEvent::Request {
            reply_to, message, ..
        } = node.next().await
        {
            assert!(handle.answer(reply_to, &grant(&message)));
            count_sender.send_modify(|count| *count += 1);
            if *count_sender.borrow() == COUNT {
                break;
            }
        }
        node
    });
    // Nothing is read until the answers fill the socket and the queue: then requests stay out.
    let mut seen = 0;
    let mut unchanged = 0;
    until(|| {
        let now = *count.borrow();
        unchanged = if now == seen && now > 0 {
            unchanged + 1
        } else {
            0
        };
        seen = now;
        unchanged > 50
    })
    .await;
    assert!(seen < COUNT / 2, "{seen} requests were taken in");
    assert!(!writing.is_finished());
    for number in 0..COUNT {
        let answer = reader.read().await.expect("an answer");
        assert_eq!(answer.hop_by_hop_id, number);
    }
    writing.await.unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn requests_move_to_the_alternative_when_the_first_server_dies() {
    let directory = Directory::new("failover");
    let (first, second) = (directory.socket("first"), directory.socket("second"));
    let mut first_node = TestNode::start(server("first.example", first.clone()));
    let mut second_node = TestNode::start(server("second.example", second.clone()));
    let mut client_node = TestNode::start(NodeConfig {
        connect: vec![PeerConfig {
            name: "server".to_owned(),
            address: first,
            alternatives: vec![second],
            origin_host: None,
        }],
        ..config("client.example")
    });
    // All are connected, and the daemon hears of the service once.
    client_node.opened().await;
    first_node.opened().await;
    second_node.opened().await;
    let peers = || client_node.handle.peers();
    until(|| peers().iter().filter(|(_, open, _)| *open).count() == 2).await;
    client_node
        .handle
        .send_request(&server_id(), 1, credit_control_request(0).encode(0, 0))
        .unwrap();
    let (_, _, asked_first) = first_node.request().await;
    first_node.handle.shutdown().await;
    let (_, reply_to, asked_again) = second_node.request().await;
    assert!(asked_again.is_retransmitted());
    assert_eq!(asked_again.end_to_end_id, asked_first.end_to_end_id);
    assert!(second_node.handle.answer(reply_to, &grant(&asked_again)));
    // The next event: that one of two servers closed is none.
    assert_eq!(client_node.answer().await.0, 1);
    assert!(client_node.handle.is_open(&server_id()));
    second_node.handle.shutdown().await;
    client_node.closed().await;
    assert!(!client_node.handle.is_open(&server_id()));
}

#[tokio::test]
async fn two_nodes_that_connect_to_each_other_keep_one_connection() {
    let directory = Directory::new("mutual");
    let node = |name: &str, other: &str| NodeConfig {
        listen: vec![directory.socket(name)],
        connect: vec![PeerConfig {
            name: other.to_owned(),
            address: directory.socket(other),
            alternatives: Vec::new(),
            origin_host: None,
        }],
        ..config(name)
    };
    for _ in 0..5 {
        let mut a = TestNode::start(node("a.example", "b.example"));
        let mut b = TestNode::start(node("b.example", "a.example"));
        let (a_id, b_id) = (PeerId::new("a.example"), PeerId::new("b.example"));
        until(|| a.handle.is_open(&b_id) && b.handle.is_open(&a_id)).await;
        let request = credit_control_request(0);
        a.handle
            .send_request(&b_id, 1, request.encode(0, 0))
            .unwrap();
        let (reply_to, message) = loop {
            if let NodeEvent::Request {
                reply_to, message, ..
            } = b.next().await
            {
                break (reply_to, message);
            }
        };
        assert!(b.handle.answer(reply_to, &grant(&message)));
        while !matches!(a.next().await, NodeEvent::Answer { token: 1, .. }) {}
        a.handle.shutdown().await;
        b.handle.shutdown().await;
    }
}

#[tokio::test]
async fn a_peer_of_the_same_name_does_not_take_over_a_connection() {
    let directory = Directory::new("same-name");
    let address = directory.socket("server.sock");
    let mut node = TestNode::start(server("server.example", address.clone()));
    let mut first = RawPeer::connect(&address).await;
    first.introduce().await;
    node.opened().await;
    let mut second = RawPeer::connect(&address).await;
    second.write_cer().await;
    assert_eq!(second.read().await, None);
    let peer = node.handle.find("raw.example").unwrap();
    assert!(node.handle.is_open(&peer));
}
