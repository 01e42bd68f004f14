use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tollwire_peer::Word;
use tollwire_peer_user::{Bounds, Leases, Proxy, User};

use crate::parties::{World, until};

async fn start_with(world: &World, user: User, renews: bool, bounds: Bounds) -> Proxy {
    let service = world.user().service("weather").await.unwrap();
    let leases = Leases::of(Arc::new(user), service, renews);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Proxy::start(listener, leases, bounds).unwrap()
}

async fn start(world: &World, renews: bool) -> Proxy {
    start_with(world, world.user(), renews, Bounds::default()).await
}

/// One request of a program, as it writes it; the whole answer.
async fn ask(at: SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let length = body.len();
    let text = format!(
        "{head}\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn is(answer: &str, status: u16) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} "))
}

#[tokio::test]
async fn any_program_can_use_the_service() {
    let world = World::new().await;
    let proxy = start(&world, false).await;
    let at = proxy.address();
    let service = world.provider_at;
    for head in [
        format!("GET http://{service}/weather/today?unit=c HTTP/1.1"),
        "GET /today?unit=c HTTP/1.1".to_owned(),
    ] {
        let answer = ask(at, &head, "").await;
        assert!(is(&answer, 200), "{answer}");
        assert!(
            answer.ends_with("sunny at /weather/today?unit=c"),
            "{answer}"
        );
    }
    let answer = ask(at, &format!("POST http://{service}/weather/say HTTP/1.1\r\nTollwire-Service-Request: forged\r\nProxy-Authorization: mine\r\nAuthorization: kept"), "hello").await;
    assert!(is(&answer, 200) && answer.ends_with("hello"), "{answer}");
    {
        let seen = world.seen();
        let (_, _, headers) = seen.served.last().unwrap();
        assert_eq!(
            headers.get_all("tollwire-service-request").iter().count(),
            1
        );
        assert_ne!(headers["tollwire-service-request"], "forged");
        assert!(!headers.contains_key("proxy-authorization"));
        assert_eq!(
            (&headers["authorization"], &headers["host"]),
            (
                &"kept".parse().unwrap(),
                &service.to_string().parse().unwrap()
            )
        );
        // One credential for all.
        assert_eq!((seen.requests.len(), seen.served.len()), (1, 3));
    }
    let answer = ask(
        at,
        &format!("GET http://{service}/weather/moved HTTP/1.1"),
        "",
    )
    .await;
    assert!(
        answer.contains(&format!("location: http://{service}/weather/today\r\n")),
        "{answer}"
    );
    let answer = ask(at, "GET /moved HTTP/1.1", "").await;
    assert!(answer.contains("location: /today\r\n"), "{answer}");
    // What it ends is what it asked for.
    assert_eq!(world.seen().open(), 1);
    let used = proxy.stop().await;
    assert_eq!(world.seen().open(), 0);
    // Five requests; "sunny ..." twice, and "hello" both ways.
    let octets = 2 * "sunny at /weather/today?unit=c".len() + 2 * "hello".len();
    assert_eq!((used.requests, used.octets), (5, octets as u64));
}

#[tokio::test]
async fn it_leads_to_the_service_alone() {
    let world = World::new().await;
    let proxy = start(&world, false).await;
    let at = proxy.address();
    for head in [
        "GET http://other.example/weather HTTP/1.1".to_owned(),
        format!("GET http://{}/other HTTP/1.1", world.provider_at),
    ] {
        let answer = ask(at, &head, "").await;
        assert!(is(&answer, 403) && answer.contains("alone"), "{answer}");
    }
    let answer = ask(at, "CONNECT other.example:443 HTTP/1.1", "").await;
    assert!(is(&answer, 501) && answer.contains("http://"), "{answer}");
    // Nor for a page in the user's browser that is of another host.
    let answer = ask(at, "GET /today HTTP/1.1\r\nSec-Fetch-Site: cross-site", "").await;
    assert!(is(&answer, 403), "{answer}");
    assert!(world.seen().served.is_empty());
    proxy.stop().await;
}

#[tokio::test]
async fn bodies_pass_as_they_come() {
    let world = World::new().await;
    let proxy = start(&world, false).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream
        .write_all(b"POST /say HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let mut heard = Vec::new();
    for word in ["one", "two", "three"] {
        stream
            .write_all(format!("{:x}\r\n{word}\r\n", word.len()).as_bytes())
            .await
            .unwrap();
        // It comes back before the next is sent: nothing of it is collected anywhere.
        let end = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        while !String::from_utf8_lossy(&heard).contains(&format!("\r\n{word}\r\n")) {
            let read = tokio::time::timeout_at(end, stream.read_buf(&mut heard)).await;
            assert_ne!(read.expect("the word comes back").unwrap(), 0);
        }
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(heard.ends_with(b"0\r\n\r\n"));
    proxy.stop().await;
}

#[tokio::test]
async fn connections_are_bounded() {
    let world = World::new().await;
    let bounds = Bounds {
        connections: 1,
        ..Bounds::default()
    };
    let proxy = start_with(&world, world.user(), false, bounds).await;
    let at = proxy.address();
    let mut first = TcpStream::connect(at).await.unwrap();
    let get = b"GET /first HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    first.write_all(get).await.unwrap();
    let mut octets = [0; 1024];
    assert_ne!(first.read(&mut octets).await.unwrap(), 0);
    let second = tokio::spawn(async move { ask(at, "GET /second HTTP/1.1", "").await });
    for _ in 0..20 {
        first.write_all(get).await.unwrap();
        assert_ne!(first.read(&mut octets).await.unwrap(), 0);
    }
    assert!(
        world
            .seen()
            .served
            .iter()
            .all(|(_, target, _)| target == "/weather/first")
    );
    drop(first);
    let answer = second.await.unwrap();
    assert!(is(&answer, 200), "{answer}");
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_that_is_over_is_followed_by_another() {
    let world = World::new().await;
    let over = || {
        for session in world.seen().sessions.values_mut() {
            session.is_open = false;
        }
    };
    let proxy = start(&world, true).await;
    let at = proxy.address();
    assert!(is(&ask(at, "GET /a HTTP/1.1", "").await, 200));
    over();
    // It can be asked again, and is.
    assert!(is(&ask(at, "GET /b HTTP/1.1", "").await, 200));
    over();
    // What has a body has been sent away; the next has a session again.
    assert!(is(&ask(at, "POST /c HTTP/1.1", "body").await, 410));
    assert!(is(&ask(at, "POST /c HTTP/1.1", "body").await, 200));
    assert_eq!(world.seen().requests.len(), 3);
    proxy.stop().await;
    assert_eq!(world.seen().open(), 0);
}

#[tokio::test]
async fn without_renewal_the_end_is_the_end() {
    let world = World::new().await;
    let proxy = start(&world, false).await;
    let at = proxy.address();
    assert!(is(&ask(at, "GET /a HTTP/1.1", "").await, 200));
    for session in world.seen().sessions.values_mut() {
        session.is_open = false;
    }
    for _ in 0..2 {
        let answer = ask(at, "GET /b HTTP/1.1", "").await;
        assert!(is(&answer, 410), "{answer}");
    }
    assert_eq!(world.seen().requests.len(), 1);
    proxy.stop().await;
}

#[tokio::test]
async fn the_next_credential_is_there_before_the_end_of_this() {
    let world = World::new().await;
    // Its last two seconds are its end.
    world.seen().lifetime = 6;
    let proxy = start(&world, true).await;
    let at = proxy.address();
    assert!(is(&ask(at, "GET /a HTTP/1.1", "").await, 200));
    world.seen().lifetime = 600;
    // It is asked for beside a request, which is served under the old one.
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while world.seen().requests.len() < 2 {
        assert!(tokio::time::Instant::now() < end, "no second credential");
        assert!(is(&ask(at, "GET /b HTTP/1.1", "").await, 200));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // And the old session ends when nobody uses it any more.
    until("one session", || {
        let seen = world.seen();
        seen.sessions.len() == 2 && seen.open() == 1
    })
    .await;
    assert!(is(&ask(at, "GET /c HTTP/1.1", "").await, 200));
    assert_eq!(world.seen().requests.len(), 2);
    proxy.stop().await;
    let seen = world.seen();
    assert!(seen.sessions.values().all(|session| session.ends == 1));
}

#[tokio::test]
async fn a_manager_who_refuses_is_not_asked_by_each_request() {
    let world = World::new().await;
    world.seen().refusals = vec![(402, Some(Word::NoCredit)); 100];
    let proxy = start(&world, true).await;
    let at = proxy.address();
    for _ in 0..10 {
        let answer = ask(at, "GET /a HTTP/1.1", "").await;
        assert!(is(&answer, 402), "{answer}");
        assert!(
            answer.contains("the manager refuses with 402: for a test"),
            "{answer}"
        );
    }
    assert!(world.seen().requests.len() < 10);
    proxy.stop().await;
}

#[tokio::test]
async fn a_credential_that_allows_no_more_is_followed_by_another() {
    let world = World::new().await;
    world.seen().most = 2;
    let proxy = start(&world, true).await;
    let at = proxy.address();
    for _ in 0..5 {
        assert!(is(&ask(at, "GET /a HTTP/1.1", "").await, 200));
    }
    assert_eq!(world.seen().requests.len(), 3);
    // One that allows nothing at all is not replaced for each request.
    world.seen().most = 0;
    for _ in 0..5 {
        assert!(is(&ask(at, "GET /a HTTP/1.1", "").await, 403));
    }
    assert_eq!(world.seen().requests.len(), 4);
    proxy.stop().await;
}

#[tokio::test]
async fn what_the_session_before_held_is_waited_for() {
    let world = World::new().await;
    let proxy = start(&world, true).await;
    let at = proxy.address();
    assert!(is(&ask(at, "GET /a HTTP/1.1", "").await, 200));
    for session in world.seen().sessions.values_mut() {
        session.is_open = false;
    }
    world.seen().refusals = vec![(402, Some(Word::NoCredit)); 2];
    assert!(is(&ask(at, "GET /b HTTP/1.1", "").await, 200));
    assert_eq!(world.seen().requests.len(), 4);
    proxy.stop().await;
}
