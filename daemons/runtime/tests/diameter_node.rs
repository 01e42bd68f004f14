//! Nodes that talk to each other over Unix sockets and TCP.

mod support;

use std::time::Duration;

use support::raw::RawPeer;
use support::{
    Directory, PATIENCE, TestNode, client, credit_control_request, grant, server, server_id, until,
};
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::CreditControlAnswer;
use tollwire_runtime::diameter::{Address, AllowedPeer, Failure, NodeConfig, NodeEvent, Refused};

async fn pair(address: Address) -> (TestNode, TestNode) {
    let mut server_node = TestNode::start(server("server.example", address));
    let address = server_node.handle.listening()[0].clone();
    let mut client_node = TestNode::start(client("client.example", address));
    let (_, origin_host) = client_node.opened().await;
    assert_eq!(origin_host, "server.example");
    let (peer, origin_host) = server_node.opened().await;
    assert_eq!(peer.as_str(), "client.example");
    assert_eq!(origin_host, "client.example");
    (client_node, server_node)
}

async fn round_trip(address: Address) {
    let (mut client_node, mut server_node) = pair(address).await;
    let request = credit_control_request(0);
    client_node
        .handle
        .send_request(&server_id(), 7, request.encode(0, 0))
        .unwrap();
    let (_, reply_to, message) = server_node.request().await;
    assert!(!message.is_retransmitted());
    assert!(server_node.handle.answer(reply_to, &grant(&message)));
    let (token, answer) = client_node.answer().await;
    assert_eq!(token, 7);
    let answer = CreditControlAnswer::decode(&answer).unwrap();
    assert_eq!(answer.result_code, Some(ResultCode::SUCCESS));

    // The server asks too, on the same connection.
    let peer = server_node.handle.find("client.example").unwrap();
    let request = credit_control_request(1);
    server_node
        .handle
        .send_request(&peer, 8, request.encode(0, 0))
        .unwrap();
    let (_, reply_to, message) = client_node.request().await;
    assert!(client_node.handle.answer(reply_to, &grant(&message)));
    assert_eq!(server_node.answer().await.0, 8);

    client_node.handle.shutdown().await;
    client_node.closed().await;
    server_node.closed().await;
    assert_eq!(
        client_node
            .handle
            .send_request(&server_id(), 9, request.encode(0, 0)),
        Err(Refused::Unreachable)
    );
    server_node.handle.shutdown().await;
}

#[tokio::test]
async fn requests_and_answers_over_a_unix_socket() {
    let directory = Directory::new("unix");
    round_trip(directory.socket("server.sock")).await;
}

#[tokio::test]
async fn requests_and_answers_over_tcp() {
    round_trip("127.0.0.1:0".parse().unwrap()).await;
}

#[tokio::test]
async fn many_requests_at_once_are_all_answered() {
    const COUNT: u64 = 5_000;
    let directory = Directory::new("many");
    let (mut client_node, mut server_node) = pair(directory.socket("server.sock")).await;
    for token in 0..COUNT {
        client_node
            .handle
            .send_request(&server_id(), token, credit_control_request(0).encode(0, 0))
            .unwrap();
    }
    let served = tokio::spawn(async move {
        for _ in 0..COUNT {
            let (_, reply_to, message) = server_node.request().await;
            assert!(server_node.handle.answer(reply_to, &grant(&message)));
        }
        server_node
    });
    let mut tokens: Vec<u64> = Vec::new();
    for _ in 0..COUNT {
        tokens.push(client_node.answer().await.0);
    }
    assert_eq!(tokens, (0..COUNT).collect::<Vec<_>>());
    drop(served.await.unwrap());
}

#[tokio::test]
async fn a_full_daemon_is_not_read_and_loses_nothing() {
    const COUNT: u64 = 2_000;
    let directory = Directory::new("full");
    let config = server("server.example", directory.socket("server.sock"));
    let mut server_node = TestNode::with_room(config, 4);
    let mut client_node =
        TestNode::start(client("client.example", directory.socket("server.sock")));
    client_node.opened().await;
    server_node.opened().await;
    for token in 0..COUNT {
        client_node
            .handle
            .send_request(&server_id(), token, credit_control_request(0).encode(0, 0))
            .unwrap();
    }
    for _ in 0..COUNT {
        let (_, reply_to, message) = server_node.request().await;
        assert!(server_node.handle.answer(reply_to, &grant(&message)));
    }
    for token in 0..COUNT {
        assert_eq!(client_node.answer().await.0, token);
    }
}

#[tokio::test]
async fn a_request_is_sent_again_with_the_t_bit_when_the_peer_comes_back() {
    let directory = Directory::new("again");
    let address = directory.socket("server.sock");
    let (mut client_node, mut server_node) = pair(address.clone()).await;
    client_node
        .handle
        .send_request(&server_id(), 1, credit_control_request(0).encode(0, 0))
        .unwrap();
    let (_, _, first) = server_node.request().await;
    server_node.handle.shutdown().await;
    client_node.closed().await;
    drop(server_node);

    let mut server_node = TestNode::start(server("server.example", address));
    server_node.opened().await;
    let (_, reply_to, second) = server_node.request().await;
    assert!(second.is_retransmitted());
    assert_eq!(second.end_to_end_id, first.end_to_end_id);
    assert!(server_node.handle.answer(reply_to, &grant(&second)));
    client_node.opened().await;
    assert_eq!(client_node.answer().await.0, 1);
}

#[tokio::test]
async fn an_answer_to_a_lost_connection_goes_nowhere() {
    let directory = Directory::new("lost");
    let (client_node, mut server_node) = pair(directory.socket("server.sock")).await;
    client_node
        .handle
        .send_request(&server_id(), 1, credit_control_request(0).encode(0, 0))
        .unwrap();
    let (_, reply_to, message) = server_node.request().await;
    client_node.handle.shutdown().await;
    server_node.closed().await;
    // Until the client hangs up, an answer still goes out.
    until(|| !server_node.handle.answer(reply_to, &grant(&message))).await;
}

#[tokio::test]
async fn a_request_without_an_answer_fails_in_time() {
    let directory = Directory::new("timeout");
    let address = directory.socket("server.sock");
    let mut server_node = TestNode::start(server("server.example", address.clone()));
    let mut client_node = TestNode::start(NodeConfig {
        request_timeout: Duration::from_millis(50),
        ..client("client.example", address)
    });
    client_node.opened().await;
    server_node.opened().await;
    client_node
        .handle
        .send_request(&server_id(), 3, credit_control_request(0).encode(0, 0))
        .unwrap();
    match client_node.next().await {
        NodeEvent::Failed { token: 3, why } => assert_eq!(why, Failure::Timeout),
        other => panic!("Failed expected, not {other:?}"),
    }
}

#[tokio::test]
async fn unknown_peers_are_refused() {
    let directory = Directory::new("allowed");
    let address = directory.socket("server.sock");
    let server_node = TestNode::start(NodeConfig {
        allowed_peers: vec![AllowedPeer {
            origin_host: Some("client.example".to_owned()),
            origin_realm: None,
        }],
        ..server("server.example", address.clone())
    });
    let stranger = TestNode::start(client("stranger.example", address.clone()));
    let mut client_node = TestNode::start(client("client.example", address));
    client_node.opened().await;
    assert!(!stranger.handle.is_open(&server_id()));
    assert_eq!(server_node.handle.find("stranger.example"), None);
}

#[tokio::test]
async fn requests_of_another_application_or_realm_are_refused_by_the_node() {
    let directory = Directory::new("refused");
    let (mut client_node, _server_node) = pair(directory.socket("server.sock")).await;
    let mut request = credit_control_request(0);
    request.destination_realm = "elsewhere".to_owned();
    let mut unknown = credit_control_request(0).encode(0, 0);
    unknown.command_code = 9_999;
    for (message, expected) in [
        (request.encode(0, 0), ResultCode::REALM_NOT_SERVED),
        (unknown, ResultCode::COMMAND_UNSUPPORTED),
    ] {
        client_node
            .handle
            .send_request(&server_id(), 1, message)
            .unwrap();
        let (_, answer) = client_node.answer().await;
        assert!(answer.is_error());
        assert_eq!(answer.result_code(), Some(expected));
    }
}

#[tokio::test]
async fn a_silent_peer_is_closed_by_the_watchdog() {
    let directory = Directory::new("silent");
    let path = directory.0.join("server.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let mut client_node = TestNode::start(NodeConfig {
        watchdog: Duration::from_millis(40),
        ..client("client.example", Address::Unix(path))
    });
    let (stream, _) = listener.accept().await.unwrap();
    let mut peer = RawPeer::new(stream);
    peer.open().await;
    client_node.opened().await;
    let dwr = peer.read().await.expect("a watchdog");
    assert_eq!(dwr.command_code, 280);
    assert!(dwr.is_request());
    // No DWA: the connection is closed and tried again.
    client_node.closed().await;
    assert_eq!(peer.read().await, None);
    let (stream, _) = tokio::time::timeout(PATIENCE, listener.accept())
        .await
        .expect("a new connection")
        .unwrap();
    RawPeer::new(stream).open().await;
    client_node.opened().await;
}

#[tokio::test]
async fn a_bad_length_is_answered_and_ends_the_connection() {
    let directory = Directory::new("framing");
    let address = directory.socket("server.sock");
    let mut server_node = TestNode::start(server("server.example", address.clone()));
    for (first_octets, expected) in [
        // The version is 2.
        ([2, 0, 0, 20], ResultCode::UNSUPPORTED_VERSION),
        // The length is no multiple of 4.
        ([1, 0, 0, 21], ResultCode::INVALID_MESSAGE_LENGTH),
        // The length is above every limit.
        ([1, 255, 255, 252], ResultCode::INVALID_MESSAGE_LENGTH),
    ] {
        let mut peer = RawPeer::connect(&address).await;
        peer.introduce().await;
        server_node.opened().await;
        let mut header = first_octets.to_vec();
        header.extend([0x80, 0, 1, 16, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2]);
        peer.write(&header).await;
        let answer = peer.read().await.expect("an answer");
        assert_eq!(answer.result_code(), Some(expected));
        assert_eq!(peer.read().await, None);
        server_node.closed().await;
    }
}

#[tokio::test]
async fn what_is_no_cer_ends_a_new_connection() {
    let directory = Directory::new("no-cer");
    let address = directory.socket("server.sock");
    let _server_node = TestNode::start(server("server.example", address.clone()));
    let mut peer = RawPeer::connect(&address).await;
    peer.write(&credit_control_request(0).encode(1, 1).encode())
        .await;
    assert_eq!(peer.read().await, None);

    // A peer that says nothing is not waited for for ever.
    let _silent = RawPeer::connect(&address).await;
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    let directory = Directory::new("stale");
    let path = directory.0.join("server.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let config = server("server.example", Address::Unix(path));
    let node = TestNode::start(config.clone());
    let (sender, _events) = tokio::sync::mpsc::channel(1);
    let error = tollwire_runtime::diameter::Node::start(config, sender).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    drop(node);
}

#[tokio::test]
async fn remote_addresses_are_refused_unless_allowed() {
    let (sender, _events) = tokio::sync::mpsc::channel(1);
    let config = server("server.example", "0.0.0.0:0".parse().unwrap());
    let error =
        tollwire_runtime::diameter::Node::start(config.clone(), sender.clone()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let config = NodeConfig {
        allow_remote: true,
        ..config
    };
    tollwire_runtime::diameter::Node::start(config, sender).unwrap();
}
