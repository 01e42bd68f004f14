//! Diameter over TLS: nodes with each other, and with peers that may not be let in.

mod support;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use support::authority::Authority;
use support::{
    Directory, PATIENCE, TestNode, client, credit_control_request, grant, server, server_id, until,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tollwire_diameter::base::{CapabilitiesExchangeAnswer, CapabilitiesExchangeRequest};
use tollwire_diameter::{Message, ResultCode, frame_length};
use tollwire_runtime::diameter::{Address, NodeConfig, NodeEvent, TlsFiles};

const BOTH: &[&SupportedProtocolVersion] = rustls::ALL_VERSIONS;

fn with(tls: TlsFiles, config: NodeConfig) -> NodeConfig {
    NodeConfig {
        tls: Some(tls),
        ..config
    }
}

fn listening(node: &TestNode) -> SocketAddr {
    match node.handle.listening() {
        [Address::Tls(address)] => *address,
        other => panic!("one address with TLS is expected, not {other:?}"),
    }
}

/// A server, named as it must be, and where it listens.
fn serve(authority: &Authority, directory: &Directory) -> (TestNode, SocketAddr) {
    let files = authority.issue(&directory.0, "server", &["server.example"]);
    let address = "tls:127.0.0.1:0".parse().unwrap();
    let node = TestNode::start(with(files, server("server.example", address)));
    let address = listening(&node);
    (node, address)
}

fn roots(ca: &TlsFiles) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&ca.ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}

fn own(files: &TlsFiles) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(&files.certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    (chain.collect::<Result<_, _>>().unwrap(), key)
}

/// rustls as any program sets it up: the server's name is checked, and `shown` is what it shows.
fn foreign_client(
    trusted: &TlsFiles,
    shown: Option<&TlsFiles>,
    versions: &[&'static SupportedProtocolVersion],
) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots(trusted));
    let config = match shown.map(own) {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        None => config.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

fn foreign_server(files: &TlsFiles) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(roots(files));
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .unwrap();
    let (chain, key) = own(files);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// The next message, or how the stream ended.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Message> {
    let mut buffer = BytesMut::new();
    tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(length) = frame_length(&buffer, 1 << 16).map_err(io::Error::other)?
                && buffer.len() >= length
            {
                let frame = buffer.split_to(length).freeze();
                return Message::decode(frame).map_err(|_| io::ErrorKind::InvalidData.into());
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    })
    .await
    .expect("a message or the end in time")
}

/// Says it is `origin_host`, and returns the Result-Code of the answer, or how the stream ended.
async fn introduce(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    origin_host: &str,
) -> io::Result<ResultCode> {
    let cer = CapabilitiesExchangeRequest {
        origin_host: origin_host.to_owned(),
        origin_realm: "example".to_owned(),
        auth_application_ids: vec![4],
        ..CapabilitiesExchangeRequest::default()
    };
    stream.write_all(&cer.encode(1, 1).encode()).await?;
    stream.flush().await?;
    Ok(read(stream).await?.result_code().expect("a Result-Code"))
}

async fn knock(
    address: SocketAddr,
    connector: TlsConnector,
    origin_host: &str,
) -> io::Result<ResultCode> {
    let socket = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("server.example").unwrap();
    let mut stream = connector.connect(name, socket).await?;
    introduce(&mut stream, origin_host).await
}

async fn round_trips(address: &str) {
    const COUNT: u64 = 300;
    let directory = Directory::new(&format!("tls-pair-{}", address.len()));
    let authority = Authority::new();
    let mut server_node = TestNode::start(with(
        authority.issue(&directory.0, "server", &["server.example"]),
        server("server.example", address.parse().unwrap()),
    ));
    // Names beside its own do no harm, nor do capitals.
    let names = ["other.example", "Client.Example"];
    let mut client_node = TestNode::start(with(
        authority.issue(&directory.0, "client", &names),
        client("client.example", Address::Tls(listening(&server_node))),
    ));
    assert_eq!(client_node.opened().await.1, "server.example");
    assert_eq!(server_node.opened().await.1, "client.example");

    // More than sockets and TLS hold at a time, in both directions at once.
    let mut request = credit_control_request(0);
    request.service_context_id = "32260@3gpp.org".repeat(2000);
    for token in 0..COUNT {
        let request = request.encode(0, 0);
        let sent = client_node
            .handle
            .send_request(&server_id(), token, request);
        sent.unwrap();
    }
    let peer = server_node.handle.find("client.example").unwrap();
    for token in 0..COUNT {
        let request = request.encode(0, 0);
        server_node
            .handle
            .send_request(&peer, token, request)
            .unwrap();
    }
    let serve = async |node: &mut TestNode| {
        let (mut asked, mut answered) = (0, 0);
        while asked < COUNT || answered < COUNT {
            match node.next().await {
                NodeEvent::Request {
                    reply_to, message, ..
                } => {
                    assert!(node.handle.answer(reply_to, &grant(&message)));
                    asked += 1;
                }
                NodeEvent::Answer { token, message } => {
                    assert_eq!(token, answered);
                    assert_eq!(message.result_code(), Some(ResultCode::SUCCESS));
                    answered += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::join!(serve(&mut client_node), serve(&mut server_node));
    client_node.handle.shutdown().await;
    client_node.closed().await;
    server_node.closed().await;
}

#[tokio::test]
async fn two_nodes_over_ipv4() {
    round_trips("tls:127.0.0.1:0").await;
}

#[tokio::test]
async fn two_nodes_over_ipv6() {
    round_trips("tls:[::1]:0").await;
}

#[tokio::test]
async fn tls_of_either_version_is_spoken_with_others() {
    let directory = Directory::new("tls-versions");
    let authority = Authority::new();
    let (_node, address) = serve(&authority, &directory);
    for (version, host) in [
        (&rustls::version::TLS12, "twelve.example"),
        (&rustls::version::TLS13, "thirteen.example"),
    ] {
        let files = authority.issue(&directory.0, host, &[host]);
        let connector = foreign_client(&files, Some(&files), &[version]);
        let result = knock(address, connector, host).await.unwrap();
        assert_eq!(result, ResultCode::SUCCESS);
    }
}

#[tokio::test]
async fn who_connects_must_be_vouched_for() {
    let directory = Directory::new("tls-clients");
    let (authority, other) = (Authority::new(), Authority::new());
    let (mut node, address) = serve(&authority, &directory);
    let at = &directory.0;
    let trusted = authority.issue(at, "a", &["a.example"]);
    let foreign = other.issue(at, "b", &["a.example"]);
    let expired = authority.issue_until(at, "c", &["a.example"], 2020);
    for shown in [None, Some(&foreign), Some(&expired)] {
        for version in BOTH {
            let connector = foreign_client(&trusted, shown, &[version]);
            let refused = knock(address, connector, "a.example").await;
            assert!(refused.is_err(), "{shown:?}: {refused:?}");
        }
    }
    // The same peer with the certificate it should have.
    let connector = foreign_client(&trusted, Some(&trusted), BOTH);
    let welcome = knock(address, connector, "a.example").await.unwrap();
    assert_eq!(welcome, ResultCode::SUCCESS);
    // Nobody before it was let in.
    assert_eq!(node.opened().await.1, "a.example");
}

#[tokio::test]
async fn a_certificate_speaks_for_the_names_it_holds() {
    let directory = Directory::new("tls-names");
    let authority = Authority::new();
    let (_node, address) = serve(&authority, &directory);
    for (stem, name, origin_host, expected) in [
        ("own", "a.example", "a.example", ResultCode::SUCCESS),
        ("other", "b.example", "c.example", ResultCode::UNKNOWN_PEER),
        ("wild", "*.example", "d.example", ResultCode::UNKNOWN_PEER),
        ("star", "*.example", "*.example", ResultCode::UNKNOWN_PEER),
        (
            "longer",
            "e.example",
            "x.e.example",
            ResultCode::UNKNOWN_PEER,
        ),
    ] {
        let files = authority.issue(&directory.0, stem, &[name]);
        let connector = foreign_client(&files, Some(&files), BOTH);
        let result = knock(address, connector, origin_host).await.unwrap();
        assert_eq!(result, expected, "{name} for {origin_host}");
    }
}

/// How the handshake of our node with a server that shows `shown` ends there.
async fn visited(shown: &TlsFiles, ours: TlsFiles) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tls(listener.local_addr().unwrap());
    let node = TestNode::start(with(ours, client("client.example", address)));
    let (socket, _) = listener.accept().await.unwrap();
    let accepted = foreign_server(shown).accept(socket).await;
    let mut stream = accepted?;
    // With TLS 1.3 the client may refuse after the server's part is done.
    let cer = read(&mut stream).await?;
    assert!(cer.is_request());
    let cea = CapabilitiesExchangeAnswer {
        result_code: ResultCode::SUCCESS,
        origin_host: "raw.example".to_owned(),
        origin_realm: "example".to_owned(),
        auth_application_ids: vec![4],
        ..CapabilitiesExchangeAnswer::default()
    };
    stream.write_all(&cea.answer(&cer).encode()).await?;
    stream.flush().await?;
    tokio::select! {
        end = read(&mut stream) => end.map(|_| ()),
        () = until(|| node.handle.is_open(&server_id())) => Ok(()),
    }
}

#[tokio::test]
async fn whom_we_connect_to_must_be_vouched_for() {
    let directory = Directory::new("tls-servers");
    let (authority, other) = (Authority::new(), Authority::new());
    let at = &directory.0;
    let ours = authority.issue(at, "client", &["client.example"]);
    let good = authority.issue(at, "good", &["raw.example"]);
    visited(&good, ours.clone()).await.unwrap();
    let mut foreign = other.issue(at, "foreign", &["raw.example"]);
    // It trusts us; we do not trust it.
    foreign.ca.clone_from(&ours.ca);
    let expired = authority.issue_until(at, "expired", &["raw.example"], 2020);
    let misnamed = authority.issue(at, "misnamed", &["other.example", "*.example"]);
    for shown in [foreign, expired, misnamed] {
        let refused = visited(&shown, ours.clone()).await;
        assert!(refused.is_err(), "{shown:?}");
    }
}

#[tokio::test]
async fn plain_octets_get_no_answer() {
    let directory = Directory::new("tls-plain");
    let (_node, address) = serve(&Authority::new(), &directory);
    let mut socket = TcpStream::connect(address).await.unwrap();
    let refused = introduce(&mut socket, "a.example").await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let directory = Directory::new("tls-slow");
    let authority = Authority::new();
    let files = authority.issue(&directory.0, "server", &["server.example"]);
    let address: Address = "tls:127.0.0.1:0".parse().unwrap();
    let node = TestNode::start(NodeConfig {
        connect_timeout: Duration::from_millis(50),
        ..with(files, server("server.example", address))
    });
    let mut socket = TcpStream::connect(listening(&node)).await.unwrap();
    // The beginning of a ClientHello.
    socket.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut rest)).await;
    end.expect("closed in time").unwrap();
}

#[tokio::test]
async fn handshakes_count_as_connections() {
    let directory = Directory::new("tls-crowd");
    let authority = Authority::new();
    let files = authority.issue(&directory.0, "server", &["server.example"]);
    let address: Address = "tls:127.0.0.1:0".parse().unwrap();
    let node = TestNode::start(NodeConfig {
        max_peers: 1,
        connect_timeout: PATIENCE * 2,
        ..with(files.clone(), server("server.example", address))
    });
    let address = listening(&node);
    let silent = TcpStream::connect(address).await.unwrap();
    let peer = authority.issue(&directory.0, "a", &["a.example"]);
    let knock = || {
        let connector = foreign_client(&peer, Some(&peer), BOTH);
        knock(address, connector, "a.example")
    };
    assert!(knock().await.is_err());
    drop(silent);
    while knock().await.is_err() {}
}

#[tokio::test]
async fn certificates_are_read_again_on_sighup() {
    let directory = Directory::new("tls-reload");
    let authority = Authority::new();
    let (mut node, address) = serve(&authority, &directory);
    let peer = authority.issue(&directory.0, "a", &["a.example"]);
    let connector = foreign_client(&peer, Some(&peer), BOTH);
    let shown = async || {
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("server.example").unwrap();
        let stream = connector.connect(name, socket).await.unwrap();
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        (chain.first().unwrap().clone(), stream)
    };
    let (before, mut stays) = shown().await;
    let opened = introduce(&mut stays, "a.example").await.unwrap();
    assert_eq!(opened, ResultCode::SUCCESS);
    node.opened().await;
    let renewed = authority.issue(&directory.0, "server", &["server.example"]);
    assert_eq!(shown().await.0, before);
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGHUP).unwrap();
    let expected = own(&renewed).0.remove(0);
    let begun = tokio::time::Instant::now();
    while shown().await.0 != expected {
        assert!(begun.elapsed() < PATIENCE);
    }
    // What stood, stands.
    let peer = node.handle.find("a.example").unwrap();
    assert!(node.handle.is_open(&peer));
}

#[tokio::test]
async fn remote_addresses_want_tls_or_leave() {
    let directory = Directory::new("tls-remote");
    let files = Authority::new().issue(&directory.0, "server", &["server.example"]);
    let start = |config: NodeConfig| {
        let (sender, _events) = tokio::sync::mpsc::channel(1);
        tollwire_runtime::diameter::Node::start(config, sender)
    };
    let tls: Address = "tls:0.0.0.0:0".parse().unwrap();
    let bare = server("server.example", tls);
    assert!(start(with(files.clone(), bare.clone())).is_ok());
    let error = start(bare).unwrap_err().to_string();
    assert!(error.contains("tls_certificate"), "{error}");
    let plain = server("server.example", "0.0.0.0:0".parse().unwrap());
    let error = start(with(files, plain)).unwrap_err().to_string();
    assert!(error.contains("not on this host"), "{error}");
}
