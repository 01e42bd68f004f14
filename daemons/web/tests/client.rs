//! The client against the server.

mod support;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Redirect;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use support::{DEADLINE, Folder, client, plain, secure, until};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tollwire_web::client::{Client, ClientError, Config};
use tollwire_web::server::Server;

fn router() -> Router {
    let echo = |headers: HeaderMap, body: Bytes| async move {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        let told = [header("content-type"), header("host"), header("user-agent")];
        format!("{} {}", told.join(" "), String::from_utf8_lossy(&body))
    };
    Router::new()
        .route("/", get(|| async { "root" }))
        .route("/echo", post(echo))
        .route("/moved", get(|| async { Redirect::to("/") }))
        .route("/large", get(|| async { "x".repeat(2000) }))
        .route("/stuck", get(std::future::pending::<()>))
}

#[tokio::test]
async fn it_asks_and_follows_nothing() {
    let folder = Folder::new("asks");
    let server = Server::start(&secure(&folder), router()).await.unwrap();
    let url = format!("https://localhost:{}", server.address().unwrap().port());
    let bounded = Config {
        max_body_octets: 1024,
        timeout_seconds: 1,
        ..client(&folder)
    };
    let client = Client::new(&bounded).unwrap();
    assert_eq!(client.get(&url).await.unwrap().text(), "root");
    let echo = format!("{url}/echo?a=b");
    let answer = client.post(&echo, "application/jose", "abc");
    let host = url.strip_prefix("https://").unwrap();
    assert_eq!(
        answer.await.unwrap().text(),
        format!("application/jose {host} Tollwire abc")
    );
    let moved = client.get(&format!("{url}/moved")).await.unwrap();
    assert_eq!(
        (moved.status, &moved.headers["location"]),
        (StatusCode::SEE_OTHER, &"/".parse().unwrap())
    );
    let large = client.get(&format!("{url}/large")).await;
    assert_eq!(large, Err(ClientError::TooLarge));
    let stuck = client.get(&format!("{url}/stuck")).await;
    assert_eq!(stuck, Err(ClientError::TooSlow));
    let request = Request::get(format!("{url}/large"))
        .body(Body::empty())
        .unwrap();
    let streamed = client.open(request).await.unwrap().into_body();
    let all = streamed.collect().await.unwrap().to_bytes();
    assert_eq!(all.len(), 2000, "what is streamed is the caller's to bound");
}

#[tokio::test]
async fn what_others_name_leads_to_the_internet_alone() {
    let folder = Folder::new("refuses");
    let server = Server::start(&secure(&folder), router()).await.unwrap();
    let port = server.address().unwrap().port();
    let careful = Config {
        allow_private: false,
        ..client(&folder)
    };
    let careful = Client::new(&careful).unwrap();
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0x7f.1",
        "2130706433",
        "0",
    ] {
        let error = careful
            .get(&format!("https://{host}:{port}/"))
            .await
            .unwrap_err();
        // What is no address to the resolver is not called either.
        let is_name = host.starts_with("0x") || host.starts_with('2') || host == "0";
        let refused = matches!(&error, ClientError::Refused(why) if why.contains("allow_networks"));
        assert!(
            refused || is_name && matches!(error, ClientError::Unreachable(_)),
            "{host}: {error:?}"
        );
    }
    assert_eq!(server.connections(), 0);
    let network = Config {
        allow_private: false,
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..client(&folder)
    };
    let network = Client::new(&network).unwrap();
    let answer = network.get(&format!("https://127.0.0.1:{port}/")).await;
    assert_eq!(answer.unwrap().status, 200);
    for (url, why) in [
        ("http://localhost/", "only https"),
        ("ftp://localhost/", "only https"),
        ("/path", "only https"),
        ("https://user@localhost/", "a user"),
        ("not a url", "no URL"),
        ("", "no URL"),
    ] {
        let error = network.get(url).await.unwrap_err();
        let refused = matches!(&error, ClientError::Refused(text) if text.contains(why));
        assert!(refused, "{url}: {error:?}");
    }
    let long = format!("https://localhost/{}", "x".repeat(9000));
    assert!(matches!(
        network.get(&long).await,
        Err(ClientError::Refused(_))
    ));
}

#[tokio::test]
async fn connections_are_used_again_and_one_that_was_closed_is_replaced() {
    let folder = Folder::new("again");
    let mut config = secure(&folder);
    let server = Server::start(&config, router()).await.unwrap();
    config.listen = server.address();
    let url = format!("https://{}/", server.address().unwrap());
    let client = Client::new(&client(&folder)).unwrap();
    for _ in 0..5 {
        assert_eq!(client.get(&url).await.unwrap().status, 200);
        assert_eq!(server.connections(), 1);
    }
    server.stop().await;
    let server = Server::start(&config, router()).await.unwrap();
    for _ in 0..5 {
        assert_eq!(client.get(&url).await.unwrap().status, 200);
    }
    let one = || {
        let (client, url) = (client.clone(), url.clone());
        tokio::spawn(async move { client.get(&url).await.unwrap().status })
    };
    let all: Vec<_> = (0..8).map(|_| one()).collect();
    for one in all {
        assert_eq!(one.await.unwrap(), 200);
    }
    until("at most four are kept", || server.connections() <= 4).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_or_nonsense_is_left() {
    let folder = Folder::new("nonsense");
    let _server = Server::start(&secure(&folder), router()).await.unwrap();
    let careless = Config {
        allow_http: true,
        timeout_seconds: 1,
        ..client(&folder)
    };
    let client = Client::new(&careless).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = client.get(&format!("https://{address}/")).await;
    assert_eq!(silent, Err(ClientError::TooSlow));
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let gone = client.get(&format!("https://{closed}/")).await;
    assert!(matches!(gone, Err(ClientError::Unreachable(_))), "{gone:?}");
    let nonsense = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"SSH-2.0-OpenSSH\r\n").await;
        }
    });
    let url = format!("http://{address}/");
    let answer = client.get(&url);
    let answer = timeout(DEADLINE, answer).await.unwrap();
    assert!(
        matches!(answer, Err(ClientError::Unreachable(_))),
        "{answer:?}"
    );
    nonsense.abort();
    let plain = Server::start(&plain(), router()).await.unwrap();
    let url = format!("http://{}/", plain.address().unwrap());
    assert_eq!(client.get(&url).await.unwrap().text(), "root");
}
