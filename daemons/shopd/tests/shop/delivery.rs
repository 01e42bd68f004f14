//! Files over connections that break.

use std::io::{Read, Write};
use std::net::TcpStream;

use axum::http::StatusCode;

use crate::shop::{Shop, header, location, song, value};

/// Fetches over a connection of its own, and breaks it after so many octets of the body.
fn fetch_and_break(shop: &Shop, path: &str, after: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(shop.address()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut octets = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the shop ended it");
        octets.extend_from_slice(&buffer[..count]);
        let head = octets.windows(4).position(|at| at == b"\r\n\r\n");
        if let Some(head) = head
            && octets.len() >= head + 4 + after
        {
            return octets[head + 4..].to_vec();
        }
    }
}

#[tokio::test]
async fn a_transfer_that_broke_goes_on_by_range_until_all_of_it_went_out() {
    let length = 30_000_000;
    let (shop, bank) = Shop::with_song(length, "").await;
    let order = shop.paid("song", &bank).await;
    let goods = format!("{order}/goods");
    let path = goods.clone();
    let (shop, first) = tokio::task::spawn_blocking(move || {
        let first = fetch_and_break(&shop, &path, 1_000_000);
        (shop, first)
    })
    .await
    .unwrap();
    shop.wait_for(&order, "delivering").await;
    let head = shop.send("HEAD", &goods, &[], String::new()).await;
    let etag = header(&head, "etag");
    let range = format!("bytes={}-", first.len());
    let headers = [("range", range.as_str()), ("if-range", &etag)];
    let rest = shop.get_with(&goods, &headers).await;
    assert_eq!(rest.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        header(&rest, "content-range"),
        format!("bytes {}-{}/{length}", first.len(), length - 1)
    );
    assert_eq!([first, rest.body.to_vec()].concat(), song(length));
    shop.wait_for(&order, "delivered").await;
    assert_eq!(shop.get(&goods).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn ranges_as_rfc_9110_has_them() {
    let (shop, bank) = Shop::with_song(1_000, "").await;
    let order = shop.paid("song", &bank).await;
    let goods = format!("{order}/goods");
    let get = |range: &'static str| shop_get(&shop, &goods, range);
    let nothing = get("bytes=1000-").await;
    assert_eq!(nothing.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&nothing, "content-range"), "bytes */1000");
    let part = get("bytes=-10").await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, song(1_000)[990..]);
    let part = get("bytes=100-199").await;
    assert_eq!(part.body, song(1_000)[100..200]);
    assert_eq!(header(&part, "content-range"), "bytes 100-199/1000");
    // Another version, or several ranges: the whole, which ends it.
    let headers = [("range", "bytes=0-9"), ("if-range", "\"another\"")];
    let whole = shop.get_with(&goods, &headers).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.body, song(1_000));
    assert_eq!(get("bytes=0-9").await.status, StatusCode::GONE);
    // Its tail may be had again for a while, and never all of it.
    assert_eq!(get("bytes=990-").await.status, StatusCode::PARTIAL_CONTENT);

    let order = shop.paid("song", &bank).await;
    let several = shop_get(&shop, &format!("{order}/goods"), "bytes=0-1,5-6").await;
    assert_eq!(several.status, StatusCode::OK);
    assert_eq!(several.body.len(), 1_000);
}

async fn shop_get(shop: &Shop, path: &str, range: &str) -> tollwire_web::client::Answer {
    shop.get_with(path, &[("range", range)]).await
}

#[tokio::test]
async fn nobody_fetches_all_but_one_octet_for_ever() {
    let (shop, bank) = Shop::with_song(
        1_000,
        "[delivery]\nmax_octets_factor = 2\ngrace_seconds = 0",
    )
    .await;
    let order = shop.paid("song", &bank).await;
    let goods = format!("{order}/goods");
    for _ in 0..2 {
        let most = shop_get(&shop, &goods, "bytes=0-998").await;
        assert_eq!(most.status, StatusCode::PARTIAL_CONTENT);
    }
    let third = shop_get(&shop, &goods, "bytes=0-998").await;
    assert_eq!(third.status, StatusCode::GONE);
    let last = shop_get(&shop, &goods, "bytes=999-").await;
    assert_eq!(last.status, StatusCode::PARTIAL_CONTENT);
    shop.wait_for(&order, "delivered").await;
    let tail = shop_get(&shop, &goods, "bytes=999-").await;
    assert_eq!(tail.status, StatusCode::GONE);
}

#[tokio::test]
async fn transfers_of_one_order_at_once_are_bounded() {
    let (shop, bank) = Shop::with_song(50_000_000, "[delivery]\nmax_transfers = 1").await;
    let order = shop.paid("song", &bank).await;
    let goods = format!("{order}/goods");
    // More than any buffer between us: it is under way until it is read.
    let mut stream = TcpStream::connect(shop.address()).unwrap();
    write!(stream, "GET {goods} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let beside = shop_get(&shop, &goods, "bytes=0-9").await;
    assert_eq!(beside.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(beside.headers.contains_key("retry-after"));
    drop(stream);
    let end = std::time::Instant::now() + crate::shop::PATIENCE;
    while shop_get(&shop, &goods, "bytes=0-9").await.status != StatusCode::PARTIAL_CONTENT {
        assert!(std::time::Instant::now() < end, "its place is not free");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn who_says_that_nothing_arrived_may_fetch_it_once_more() {
    let (shop, bank) = Shop::with_song(1_000, "").await;
    let order = shop.paid("song", &bank).await;
    let goods = format!("{order}/goods");
    assert_eq!(shop.get(&goods).await.body.len(), 1_000);
    let spent = shop.get(&goods).await;
    assert_eq!(spent.status, StatusCode::GONE);
    let token = value(&spent.text(), "token");
    let path = format!("{order}/lost");
    let forged = shop.post(&path, &[("token", "00")]).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert_eq!(shop.get(&goods).await.status, StatusCode::GONE);
    assert_eq!(
        location(&shop.post(&path, &[("token", &token)]).await),
        order
    );
    assert_eq!(shop.get(&goods).await.body.len(), 1_000);
    let again = shop.get(&goods).await;
    assert_eq!(again.status, StatusCode::GONE);
    assert!(!again.text().contains("/lost"));
    shop.post(&path, &[("token", &token)]).await;
    assert_eq!(shop.get(&goods).await.status, StatusCode::GONE);
}
