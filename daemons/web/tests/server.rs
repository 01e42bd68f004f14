//! The server over sockets: its bounds, its headers, its end.

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use hyper::body::Frame;
use support::{DEADLINE, Folder, client, plain, secure, until};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tollwire_web::maud::html;
use tollwire_web::server::{Config, Refusal, Server};
use tollwire_web::{Client, Messages, Peer, page};

async fn start(config: &Config, router: Router) -> (Server, SocketAddr) {
    let server = Server::start(config, router).await.unwrap();
    let address = server.address().unwrap();
    (server, address)
}

/// Sends these octets, and reads until the connection is closed.
async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, octets: &str) -> String {
    stream.write_all(octets.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses a body may reset the connection.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut answer))
        .await
        .expect("the connection stays open");
    String::from_utf8(answer).unwrap()
}

fn head(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n")
}

async fn ask(address: SocketAddr, path: &str, more: &str) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    talk(stream, &head(path, more)).await
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

fn who() -> Router {
    let tell = |peer: Peer| async move { format!("{} {}", peer.address, peer.secure) };
    Router::new().route("/", get(tell))
}

#[tokio::test]
async fn every_answer_has_its_headers_and_pages_may_ask_for_more() {
    let messages = Messages::load(&[("en", "")], None, "en").unwrap();
    let frame = page::Frame::new("Shop", "/", &messages);
    let words = messages.default_language();
    let page = {
        let frame = frame.clone();
        move || async move {
            (frame.page(&words, "Pay", html! { p { "a" } }))
                .form_action("https://bank.example:8443/pay")
                .refresh(5, "/pay", "/pay?refresh=off")
                .status(StatusCode::PAYMENT_REQUIRED)
        }
    };
    let router = Router::new().route("/pay", get(page)).merge(frame.routes());
    let (_server, address) = start(&plain(), router).await;
    let answer = ask(address, "/pay", "").await;
    assert_eq!(status(&answer), "402");
    for header in [
        "content-security-policy: default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'self'; \
         img-src 'self'; form-action 'self' https://bank.example:8443\r\n",
        "x-content-type-options: nosniff\r\n",
        "referrer-policy: no-referrer\r\n",
        "cache-control: no-store\r\n",
        "content-type: text/html; charset=utf-8\r\n",
        "content-language: en\r\n",
        "refresh: 5; url=/pay\r\n",
    ] {
        assert!(answer.contains(header), "{header}: {answer}");
    }
    assert!(
        !answer.contains("strict-transport-security"),
        "not over TLS"
    );
    let style = answer.split("stylesheet\" href=\"").nth(1).unwrap();
    let style = ask(address, style.split('"').next().unwrap(), "").await;
    assert_eq!(status(&style), "200");
    assert!(style.contains("content-type: text/css"), "{style}");
    assert!(style.contains("cache-control: public, max-age=31536000, immutable"));
    let missing = ask(address, "/nothing", "").await;
    assert_eq!(status(&missing), "404");
    assert!(missing.contains("frame-ancestors 'none'"), "{missing}");
}

#[tokio::test]
async fn a_source_that_asks_too_much_waits_and_whoever_guesses_is_slow() {
    let guess = |peer: Peer| async move {
        peer.penalty(100);
        StatusCode::FORBIDDEN
    };
    let config = Config {
        requests_per_second: 1,
        burst: 3,
        ..plain()
    };
    let router = who().route("/guess", get(guess));
    let refuse = |refusal: Refusal, headers: &axum::http::HeaderMap| {
        assert!(headers.contains_key("host"));
        format!("instead: {refusal}").into_response()
    };
    let server = Server::start_with(&config, router, Some(Arc::new(refuse))).await;
    let server = server.unwrap();
    let address = server.address().unwrap();
    assert_eq!(status(&ask(address, "/", "").await), "200");
    assert_eq!(status(&ask(address, "/guess", "").await), "403");
    let refused = ask(address, "/", "").await;
    assert_eq!(status(&refused), "429");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(refused.contains("instead: too many requests: try again in 1 s"));
    assert!(refused.contains("cache-control: no-store"), "{refused}");
    let more = Config {
        burst: 100,
        ..config
    };
    server.reload(&more).unwrap();
    assert_eq!(status(&ask(address, "/", "").await), "200");
}

#[tokio::test]
async fn bodies_and_times_are_bounded() {
    let length = |body: Bytes| async move { body.len().to_string() };
    let stuck = || async { std::future::pending::<()>().await };
    let router = Router::new()
        .route("/length", post(length))
        .route("/stuck", get(stuck));
    let config = Config {
        max_body_octets: 1024,
        timeout_seconds: 1,
        ..plain()
    };
    let (_server, address) = start(&config, router).await;
    let send = async |header: String, body: String| {
        let stream = TcpStream::connect(address).await.unwrap();
        let head = "POST /length HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        talk(stream, &format!("{head}{header}\r\n\r\n{body}")).await
    };
    let fits = send("Content-Length: 1024".into(), "x".repeat(1024)).await;
    assert!(fits.ends_with("\r\n\r\n1024"), "{fits}");
    let told = send(
        "Content-Length: 1025\r\nExpect: 100-continue".into(),
        String::new(),
    )
    .await;
    assert_eq!(status(&told), "413", "before anything is sent");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head =
        "POST /length HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 9000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // Time for a fault alone: an answer and an end that come too early would be seen here.
    let _ = timeout(Duration::from_millis(200), stream.readable()).await;
    stream.write_all(&[b'x'; 4500]).await.unwrap();
    let _ = timeout(Duration::from_millis(200), stream.readable()).await;
    let sent = talk(stream, &"x".repeat(4500)).await;
    assert_eq!(status(&sent), "413", "a client that sends all is told");
    let chunk = format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025));
    let streamed = send("Transfer-Encoding: chunked".into(), chunk).await;
    assert_eq!(status(&streamed), "413", "{streamed}");
    let late = send("Content-Length: 9".into(), String::new()).await;
    assert_eq!(status(&late), "503", "a body that never comes: {late}");
    assert_eq!(status(&ask(address, "/stuck", "").await), "503");
    let large = ask(address, "/", &format!("X: {}\r\n", "x".repeat(100_000))).await;
    assert_eq!(status(&large), "431");
}

#[tokio::test]
async fn a_source_has_so_many_connections() {
    let config = Config {
        max_connections_per_source: 2,
        ..plain()
    };
    let (server, address) = start(&config, who()).await;
    let first = TcpStream::connect(address).await.unwrap();
    let _second = TcpStream::connect(address).await.unwrap();
    until("two connections", || server.connections() == 2).await;
    let mut third = TcpStream::connect(address).await.unwrap();
    let end = timeout(DEADLINE, third.read(&mut [0])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "it is closed at once");
    drop(first);
    until("one connection", || server.connections() == 1).await;
    assert_eq!(status(&ask(address, "/", "").await), "200");
}

#[tokio::test]
async fn only_a_known_proxy_tells_who_asks() {
    let told = "X-Forwarded-For: 192.0.2.9, 198.51.100.7\r\nX-Forwarded-Proto: https\r\n";
    let folder = Folder::new("proxy");
    let config = Config {
        socket: Some(folder.path("web.sock")),
        ..plain()
    };
    let (server, address) = start(&config, who()).await;
    let answer = ask(address, "/", told).await;
    assert!(answer.ends_with("127.0.0.1 false"), "{answer}");
    let stream = UnixStream::connect(folder.path("web.sock")).await.unwrap();
    let answer = talk(stream, &head("/", told)).await;
    assert!(answer.ends_with("198.51.100.7 true"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age="));
    let proxy = Config {
        proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..config
    };
    server.reload(&proxy).unwrap();
    let answer = ask(address, "/", told).await;
    assert!(answer.ends_with("198.51.100.7 true"), "{answer}");
    drop(server);
    assert!(!folder.path("web.sock").exists());
}

#[tokio::test]
async fn a_certificate_is_made_once_and_another_is_taken_at_a_reload() {
    let folder = Folder::new("certificate");
    let config = secure(&folder);
    let (server, address) = start(&config, who()).await;
    let url = format!("https://localhost:{}/", address.port());
    let first = Client::new(&client(&folder)).unwrap();
    let answer = first.get(&url).await.unwrap();
    assert_eq!(answer.text(), "127.0.0.1 true");
    assert!(answer.headers.contains_key("strict-transport-security"));
    let by_address = format!("https://{address}/");
    assert_eq!(first.get(&by_address).await.unwrap().status, 200);
    let read = || std::fs::read(folder.path("certificate.pem")).unwrap();
    for name in ["certificate.pem", "key.pem"] {
        let mode = std::fs::metadata(folder.path(name)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o640, "{name}");
    }
    let made = read();
    server.reload(&config).unwrap();
    assert_eq!(read(), made, "it stays");

    std::fs::remove_file(folder.path("certificate.pem")).unwrap();
    let error = server.reload(&config).unwrap_err();
    assert!(error.contains("certificate.pem: is missing"), "{error}");
    assert_eq!(first.get(&url).await.unwrap().status, 200, "as it was");
    std::fs::remove_file(folder.path("key.pem")).unwrap();
    server.reload(&config).unwrap();
    assert_ne!(read(), made);
    let second = Client::new(&client(&folder)).unwrap();
    assert_eq!(second.get(&url).await.unwrap().status, 200);
    assert_eq!(first.get(&url).await.unwrap().status, 200, "kept open");
    std::fs::write(folder.path("certificate.pem"), &made).unwrap();
    let old = Client::new(&client(&folder)).unwrap();
    let error = old.get(&url).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn an_answer_under_way_goes_out_before_the_end() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        move || async move {
            begun.notify_one();
            go_on.notified().await;
            "done"
        }
    };
    let router = who().route("/slow", get(slow));
    let (server, address) = start(&plain(), router).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    idle.write_all(request.as_bytes()).await.unwrap();
    idle.read_exact(&mut [0; 12]).await.unwrap();
    let asked = tokio::spawn(async move { ask(address, "/slow", "").await });
    begun.notified().await;
    let stopping = tokio::spawn(server.stop());
    // Those that wait for nothing are closed, and nobody new is heard.
    let mut rest = Vec::new();
    timeout(DEADLINE, idle.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!stopping.is_finished());
    go_on.notify_one();
    assert!(asked.await.unwrap().ends_with("done"));
    timeout(DEADLINE, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let begun = Arc::new(Notify::new());
    let stuck = {
        let begun = Arc::clone(&begun);
        move || async move {
            begun.notify_one();
            std::future::pending::<()>().await
        }
    };
    let config = Config {
        drain_seconds: 0,
        ..plain()
    };
    let (server, address) = start(&config, Router::new().route("/", get(stuck))).await;
    let asked = tokio::spawn(async move { ask(address, "/", "").await });
    begun.notified().await;
    timeout(DEADLINE, server.stop()).await.unwrap();
    assert_eq!(asked.await.unwrap(), "", "cut off");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_left() {
    let much = || async { Body::new(Endless) };
    let config = Config {
        stall_seconds: 1,
        ..plain()
    };
    let (server, address) = start(&config, Router::new().route("/", get(much))).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head("/", "").as_bytes()).await.unwrap();
    until("it is heard", || server.connections() == 1).await;
    until("it is left", || server.connections() == 0).await;
}

/// The same again and again.
struct Endless;

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let octets = Bytes::from_static(&[0; 65536]);
        Poll::Ready(Some(Ok(Frame::data(octets))))
    }
}

#[tokio::test]
async fn without_tls_it_stays_on_this_host() {
    let config = Config {
        listen: Some("0.0.0.0:0".parse().unwrap()),
        ..Config::default()
    };
    let key = config.validate("web").unwrap_err().key;
    assert_eq!(key, "web.tls_certificate_file");
    assert!(Server::start(&config, who()).await.is_err());
    let nowhere = Config::default();
    assert_eq!(nowhere.validate("web").unwrap_err().key, "web.listen");
    assert_eq!(
        Server::start(&nowhere, who()).await.unwrap().address(),
        None
    );
}
