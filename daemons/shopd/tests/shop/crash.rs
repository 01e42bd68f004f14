//! `kill -9` at each state of an order.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

use crate::shop::{PATIENCE, Shop, attribute, song, value};

#[tokio::test]
async fn what_was_answered_is_there_after_a_crash() {
    let (mut shop, bank) = Shop::with_song(200_000, "").await;
    let order = shop.order("song").await;
    shop.kill().await;
    assert_eq!(shop.state(&order).await, "methods");
    let form = shop.choose(&order, &bank.thumbprint()).await;
    shop.kill().await;
    assert_eq!(shop.state(&order).await, "waiting");
    // The invoice that the customer has is the one that is known.
    let invoice = value(&form, "invoice");
    let again = shop.choose(&order, &bank.thumbprint()).await;
    assert_eq!(value(&again, "invoice"), invoice);
    let acknowledgement = bank.acknowledge(&invoice);
    let answer = shop.acknowledge(&acknowledgement).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    // Between the acknowledgement and the delivery.
    shop.kill().await;
    assert_eq!(shop.state(&order).await, "paid");
    let replayed = shop.acknowledge(&acknowledgement).await;
    assert_eq!(replayed.status, StatusCode::NO_CONTENT);
    let goods = format!("{order}/goods");
    let first = shop.get_with(&goods, &[("range", "bytes=0-99999")]).await;
    assert_eq!(first.status, StatusCode::PARTIAL_CONTENT);
    // What went out is stored a moment later: what a crash loses of that may be fetched again.
    let end = Instant::now() + PATIENCE;
    while shop.admin("/orders").await[0]["sent_octets"] != 100_000 {
        assert!(Instant::now() < end, "it is not stored");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shop.kill().await;
    assert_eq!(shop.state(&order).await, "delivering");
    let rest = shop.get_with(&goods, &[("range", "bytes=100000-")]).await;
    assert_eq!(rest.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!([first.body, rest.body].concat(), song(200_000));
    shop.wait_for(&order, "delivered").await;
    shop.kill().await;
    let spent = shop.get(&goods).await;
    assert_eq!(spent.status, StatusCode::GONE);
    assert_eq!(attribute(&spent.text(), "data-state="), "delivered");
}

#[tokio::test]
async fn a_transfer_that_is_cut_off_by_the_end_of_the_daemon_is_known_after_it() {
    let (mut shop, bank) = Shop::with_song(50_000_000, "").await;
    let order = shop.paid("song", &bank).await;
    let mut stream = std::net::TcpStream::connect(shop.address()).unwrap();
    write!(stream, "GET {order}/goods HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut buffer = [0; 100_000];
    stream.read_exact(&mut buffer).unwrap();
    assert!(shop.stop().success());
    drop(stream);
    shop.restart().await;
    let sent = shop.admin("/orders").await[0]["sent_octets"]
        .as_u64()
        .unwrap();
    assert!((90_000..50_000_000).contains(&sent), "{sent}");
    assert_eq!(shop.state(&order).await, "delivering");
}
