//! Streams and services, which are somewhere behind the shop.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper::body::Frame;
use tollwire_web::{Server, server};

use crate::bank::Bank;
use crate::shop::{Folder, Shop, header};

/// How often the stream breaks off before it comes to its end.
#[derive(Clone)]
struct Breaks(Arc<AtomicU32>);

async fn start(breaks: u32) -> (Server, String) {
    let config = server::Config {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        ..server::Config::default()
    };
    let router = Router::new()
        .route("/live", get(live))
        .route("/app/echo", any(echo))
        .route("/app/away", get(away))
        .route("/secret", get(|| async { "secret" }))
        .with_state(Breaks(Arc::new(AtomicU32::new(breaks))));
    let server = Server::start(&config, router).await.unwrap();
    let url = format!("http://{}", server.address().unwrap());
    (server, url)
}

async fn live(State(Breaks(breaks)): State<Breaks>, request: Request) -> Response {
    assert!(!request.headers().contains_key("range"));
    let left = breaks.load(Ordering::Relaxed);
    let mut response = Body::from("one two three").into_response();
    if left > 0 {
        breaks.store(left - 1, Ordering::Relaxed);
        // It says more than it sends.
        response.headers_mut().insert("content-length", 100.into());
        *response.body_mut() = Body::new(Short(0));
    }
    response
        .headers_mut()
        .insert("set-cookie", "a=b".parse().unwrap());
    response
}

/// A few octets, and then a fault.
struct Short(u32);

impl HttpBody for Short {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0 += 1;
        if self.0 == 2 {
            // What there is goes out before the fault.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let frame = match self.0 {
            1 => Ok(Frame::data(Bytes::from_static(b"one"))),
            _ => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        Poll::Ready(Some(frame))
    }
}

async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 16).await.unwrap();
    let names: Vec<_> = head.headers.keys().map(|name| name.as_str()).collect();
    let told = format!(
        "{} {} {} [{}]",
        head.method,
        head.uri,
        String::from_utf8_lossy(&body),
        names.join(" ")
    );
    ([("set-cookie", "a=b"), ("x-app", "1")], told).into_response()
}

async fn away() -> Response {
    (StatusCode::FOUND, [("location", "https://evil.example/")]).into_response()
}

fn goods(upstream: &str) -> String {
    format!(
        "[[good]]\nid = \"live\"\nkind = \"stream\"\nupstream = \"{upstream}/live\"\nprice = \"1\"\ncurrency = \"EUR\"\n\
         title = {{ en = \"Live\" }}\n[[good]]\nid = \"app\"\nkind = \"service\"\nupstream = \"{upstream}/app/\"\n\
         seconds = 3600\nprice = \"1\"\ncurrency = \"EUR\"\ntitle = {{ en = \"App\" }}\n[[good]]\nid = \"gone\"\n\
         kind = \"stream\"\nupstream = \"{upstream}/nothing\"\nprice = \"1\"\ncurrency = \"EUR\"\ntitle = {{ en = \"Gone\" }}\n"
    )
}

async fn shop(breaks: u32) -> (Server, Shop, Bank) {
    let (server, url) = start(breaks).await;
    let folder = Folder::new();
    let bank = Bank::start(&folder.0, "Bank", false).await;
    let shop = Shop::start(folder, &[&bank], &goods(&url), "").await;
    (server, shop, bank)
}

#[tokio::test]
async fn a_stream_is_passed_on_once() {
    let (_server, shop, bank) = shop(0).await;
    let order = shop.paid("live", &bank).await;
    let path = format!("{order}/goods");
    let headers = [("range", "bytes=0-1"), ("cookie", "x=y")];
    let heard = shop.get_with(&path, &headers).await;
    assert_eq!(heard.status, StatusCode::OK);
    assert_eq!(heard.text(), "one two three");
    assert!(!heard.headers.contains_key("set-cookie"));
    assert_eq!(shop.get(&path).await.status, StatusCode::GONE);
    assert_eq!(shop.state(&order).await, "delivered");
}

#[tokio::test]
async fn a_stream_that_broke_is_begun_again_and_one_that_is_not_there_costs_nothing() {
    let (_server, shop, bank) = shop(1).await;
    let order = shop.paid("live", &bank).await;
    let path = format!("{order}/goods");
    let url = format!("{}{path}", shop.url);
    assert!(shop.client.get(&url).await.is_err(), "it breaks off");
    shop.wait_for(&order, "delivering").await;
    assert_eq!(shop.get(&path).await.text(), "one two three");
    shop.wait_for(&order, "delivered").await;

    let order = shop.paid("gone", &bank).await;
    for _ in 0..5 {
        let missing = shop.get(&format!("{order}/goods")).await;
        assert_eq!(missing.status, StatusCode::BAD_GATEWAY);
    }
    assert_eq!(shop.state(&order).await, "paid");
}

#[tokio::test]
async fn a_service_is_what_is_configured_and_nothing_beside() {
    let (_server, shop, bank) = shop(0).await;
    let order = shop.paid("app", &bank).await;
    let base = format!("{order}/goods/");
    for path in ["..%2fsecret", "%2e%2e/secret", "x/..%5c..%5csecret"] {
        let answer = shop.get(&format!("{base}{path}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(shop.state(&order).await, "paid");
    }
    let headers = [
        ("cookie", "x=y"),
        ("authorization", "Basic x"),
        ("x-forwarded-for", "192.0.2.1"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("x-end", "1"),
    ];
    let told = shop
        .send("PUT", &format!("{base}echo?a=b"), &headers, "hello".into())
        .await;
    assert_eq!(told.status, StatusCode::OK);
    let text = told.text();
    assert!(text.starts_with("PUT /app/echo?a=b hello ["), "{text}");
    assert!(text.contains("x-end") && !text.contains("x-hop"), "{text}");
    for name in ["cookie", "authorization", "forwarded"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
    assert!(told.headers.contains_key("x-app") && !told.headers.contains_key("set-cookie"));
    assert_eq!(shop.state(&order).await, "delivering");
    let policy = header(&told, "content-security-policy");
    assert!(policy.starts_with("sandbox allow-"), "{policy}");
    let away = shop.get(&format!("{base}away")).await;
    assert!(!away.headers.contains_key("location"));
    assert_eq!(
        header(&shop.get(&format!("{base}echo")).await, "x-app"),
        "1"
    );
    // Somebody who has not paid gets none of it.
    let unpaid = shop.order("app").await;
    let answer = shop.get(&format!("{unpaid}/goods/echo")).await;
    assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED);
}
