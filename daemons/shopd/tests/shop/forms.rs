//! Forms and addresses that somebody else made up.

use axum::http::StatusCode;

use crate::shop::{Shop, header, value};

#[tokio::test]
async fn only_our_own_forms_are_taken() {
    let (shop, bank) = Shop::with_song(10, "").await;
    let page = shop.get("/goods/song").await.text();
    let token = value(&page, "token");
    let order = shop.order("song").await;
    let methods = shop.get(&order).await.text();
    let method_token = value(&methods, "token");
    let thumbprint = bank.thumbprint();
    let own = format!("https://{}", shop.address());
    let cross: [&[(&str, &str)]; 3] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
    ];
    for headers in cross {
        let fields = [("token", token.as_str())];
        let answer = shop.post_with("/goods/song/order", &fields, headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        let fields = [("token", method_token.as_str()), ("server", &thumbprint)];
        let answer = shop
            .post_with(&format!("{order}/method"), &fields, headers)
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    for wrong in ["", "00", &method_token] {
        let answer = shop.post("/goods/song/order", &[("token", wrong)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{wrong}");
    }
    // The token of one order is no token of another.
    let other = shop.order("song").await;
    let fields = [("token", method_token.as_str()), ("server", &thumbprint)];
    let answer = shop.post(&format!("{other}/method"), &fields).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = shop
        .send(
            "POST",
            "/goods/song/order",
            &[("content-type", "text/plain")],
            format!("token={token}"),
        )
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let own = [("origin", own.as_str())];
    let answer = shop
        .post_with("/goods/song/order", &[("token", &token)], &own)
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn pages_go_nowhere_but_to_the_chosen_server() {
    let (shop, bank) = Shop::with_song(10, "").await;
    let order = shop.order("song").await;
    let methods = shop.get(&order).await;
    let policy = header(&methods, "content-security-policy");
    assert!(policy.ends_with("form-action 'self'"), "{policy}");
    assert!(
        policy.contains("frame-ancestors 'none'") && !policy.contains("script-src"),
        "{policy}"
    );
    let token = value(&methods.text(), "token");
    let fields = [("token", token.as_str()), ("server", &bank.thumbprint())];
    let chosen = shop.post(&format!("{order}/method"), &fields).await;
    let form = shop.get(&crate::shop::location(&chosen)).await;
    let policy = header(&form, "content-security-policy");
    let origin = bank.url.trim_end_matches("/pay");
    assert!(
        policy.ends_with(&format!("form-action 'self' {origin}")),
        "{policy}"
    );
    for name in ["x-content-type-options", "referrer-policy", "cache-control"] {
        assert!(form.headers.contains_key(name), "{name}");
    }
    assert!(!form.text().contains("<script"));
    // A language that is none, and a name with markup, are text at most.
    let page = shop.get("/?lang=//evil.example").await.text();
    assert!(!page.contains("evil.example"), "{page}");
    let page = shop
        .get(&format!("{order}/methods?name=%3Cb%3Ex"))
        .await
        .text();
    assert!(
        !page.contains("<b>x") && page.contains("&lt;b&gt;x"),
        "{page}"
    );
}

#[tokio::test]
async fn addresses_of_nothing_are_pages_that_say_so() {
    let (shop, _bank) = Shop::with_song(10, "").await;
    for path in [
        "/nothing",
        "/goods/nothing",
        "/goods/..%2f..%2fetc%2fpasswd",
        "/orders/0000000000000000000000000000000000000000",
        "/orders/0000000000000000000000000000000000000000/goods",
        "/orders/%27%20OR%201=1/goods",
        "/orders/x/pay/y",
        "/../../etc/passwd",
    ] {
        let answer = shop.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let answer = shop.get("/acknowledgements").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn unpaid_orders_of_a_source_are_bounded() {
    let (shop, bank) = Shop::with_song(10, "[orders]\nmax_unpaid_per_source = 2").await;
    let paid = shop.paid("song", &bank).await;
    for _ in 0..2 {
        shop.order("song").await;
    }
    let page = shop.get("/goods/song").await.text();
    let answer = shop
        .post("/goods/song/order", &[("token", &value(&page, "token"))])
        .await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(shop.state(&paid).await, "paid");
    assert_eq!(
        shop.metric("shopd_orders_refused_total").await.unwrap(),
        "shopd_orders_refused_total 1"
    );
}
