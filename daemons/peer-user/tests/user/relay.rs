use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tollwire_peer_user::relay;

use crate::parties::{World, until};

/// Gives datagrams back; from where they came.
async fn echo(world: &World) -> Arc<Mutex<Vec<SocketAddr>>> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    *world.udp_at.lock().unwrap() = Some(socket.local_addr().unwrap());
    let from = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&from);
    tokio::spawn(async move {
        let mut octets = [0; 2048];
        loop {
            let (length, user) = socket.recv_from(&mut octets).await.unwrap();
            heard.lock().unwrap().push(user);
            socket.send_to(&octets[..length], user).await.unwrap();
        }
    });
    from
}

/// Says a word until it comes back: datagrams get lost.
async fn says(program: &UdpSocket, word: &str) {
    let mut octets = [0; 2048];
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let _ = program.send(word.as_bytes()).await;
        let patience = std::time::Duration::from_millis(200);
        if let Ok(Ok(length)) = tokio::time::timeout(patience, program.recv(&mut octets)).await
            && &octets[..length] == word.as_bytes()
        {
            return;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "{word} does not come back"
        );
    }
}

async fn start(
    world: &World,
    renews: bool,
) -> (
    UdpSocket,
    SocketAddr,
    oneshot::Sender<()>,
    tokio::task::JoinHandle<relay::Passed>,
) {
    let user = world.user();
    let service = user.service("echo").await.unwrap();
    let local = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let remote = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = remote.local_addr().unwrap();
    let program = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    program.connect(local.local_addr().unwrap()).await.unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let credential = relay::open(&user, &service, &remote).await.unwrap();
    let task = tokio::spawn(async move {
        let ended = async { drop(ended.await) };
        relay::run(&user, &service, credential, (local, remote), renews, ended)
            .await
            .unwrap()
    });
    (program, port, end, task)
}

#[tokio::test]
async fn datagrams_pass_from_the_port_that_was_named() {
    let world = World::new().await;
    let from = echo(&world).await;
    let (program, port, end, task) = start(&world, false).await;
    says(&program, "one").await;
    says(&program, "three").await;
    assert_eq!(world.seen().ports, [Some(port.port())]);
    assert!(from.lock().unwrap().iter().all(|user| *user == port));
    assert_eq!(world.seen().open(), 1);
    end.send(()).unwrap();
    let passed = task.await.unwrap();
    assert!(passed.datagrams >= 4 && passed.octets >= 16, "{passed:?}");
    assert_eq!(world.seen().open(), 0);
}

#[tokio::test]
async fn one_session_follows_the_other() {
    let world = World::new().await;
    world.seen().lifetime = 6;
    let _from = echo(&world).await;
    let (program, port, end, task) = start(&world, true).await;
    says(&program, "one").await;
    world.seen().refusals = vec![(402, Some(tollwire_peer::Word::NoCredit))];
    until("a second credential", || world.seen().requests.len() >= 3).await;
    says(&program, "two").await;
    assert!(world.seen().ports.iter().all(|it| *it == Some(port.port())));
    end.send(()).unwrap();
    task.await.unwrap();
    assert_eq!(world.seen().open(), 0);
}

#[tokio::test]
async fn without_renewal_it_ends_with_its_credential() {
    let world = World::new().await;
    world.seen().lifetime = 5;
    let _from = echo(&world).await;
    let (_program, _port, _end, task) = start(&world, false).await;
    task.await.unwrap();
    assert_eq!(world.seen().requests.len(), 1);
    assert_eq!(world.seen().open(), 0);
}

#[tokio::test]
async fn a_session_that_is_revoked_is_noticed() {
    let world = World::new().await;
    let _from = echo(&world).await;
    let (program, _port, _end, task) = start(&world, false).await;
    says(&program, "one").await;
    for session in world.seen().sessions.values_mut() {
        session.is_open = false;
    }
    tokio::time::timeout(std::time::Duration::from_secs(60), task)
        .await
        .expect("the relay asks whether its session is open")
        .unwrap();
}
