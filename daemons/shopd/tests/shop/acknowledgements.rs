//! Acknowledgements that are none of this invoice, each refused.

use axum::http::StatusCode;
use tollwire_invoice::Acknowledgement;
use tollwire_jose::{SigningKey, sign};

use crate::bank::{Bank, now};
use crate::shop::{Folder, GOODS, Shop, song};

#[tokio::test]
async fn an_acknowledgement_is_of_one_invoice_one_sum_and_one_server() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("goods/song.flac"), song(1_000)).unwrap();
    let bank = Bank::start(&folder.0, "Bank", false).await;
    let other = Bank::start(&folder.0, "Other", false).await;
    let shop = Shop::start(folder, &[&bank, &other], GOODS, "").await;
    let (order, invoice) = shop.invoice("song", &bank).await;
    let (_, another) = shop.invoice("song", &bank).await;
    let right = bank.acknowledgement(&invoice);

    let changed = |change: fn(&mut Acknowledgement)| {
        let mut wrong = right.clone();
        change(&mut wrong);
        wrong
    };
    let signed = |wrong: Acknowledgement| wrong.sign(&bank.key).unwrap();
    let swapped = Acknowledgement {
        reference: bank.acknowledgement(&another).reference,
        ..right.clone()
    };
    let own_key = SigningKey::generate_ed25519().unwrap();
    let attacks = [
        (
            "another server's signature",
            right.sign(&other.key).unwrap(),
            403,
            "signature",
        ),
        (
            "anybody's signature, with the key in it",
            { sign(&own_key, "acknowledgement+jwt", &right, true).unwrap() },
            403,
            "signature",
        ),
        (
            "a smaller sum",
            signed(changed(|it| it.amount_micro -= 1)),
            403,
            "amount_micro",
        ),
        (
            "a larger sum",
            signed(changed(|it| it.amount_micro += 1)),
            403,
            "amount_micro",
        ),
        (
            "another currency",
            { signed(changed(|it| it.currency = tollwire_web::Currency::USD)) },
            403,
            "currency",
        ),
        (
            "the reference of another order",
            signed(swapped),
            403,
            "invoice",
        ),
        (
            "a reference of nobody",
            signed(changed(|it| it.reference = "x".repeat(40))),
            400,
            "reference",
        ),
        (
            "another order's number",
            signed(changed(|it| it.provider_reference = "99".into())),
            403,
            "provider_reference",
        ),
        (
            "another provider",
            signed(changed(|it| it.provider = "Thief".into())),
            403,
            "provider",
        ),
        (
            "another shop",
            signed(changed(|it| it.aud = "https://shop.example".into())),
            403,
            "audience",
        ),
        (
            "another invoice's hash",
            signed(changed(|it| it.invoice = "A".repeat(43))),
            403,
            "invoice",
        ),
        (
            "one that expired",
            signed(changed(|it| it.exp = now() - 1)),
            410,
            "expired",
        ),
        (
            "one of the future",
            signed(changed(|it| it.iat = now() + 3_600)),
            400,
            "not-yet",
        ),
        (
            "paid before the invoice was",
            signed(changed(|it| it.paid_at -= 86_400)),
            410,
            "paid_at",
        ),
        ("the invoice itself", invoice.clone(), 400, "token"),
        ("no token", "hello".into(), 400, "token"),
        ("nothing", String::new(), 400, "token"),
    ];
    for (what, token, status, error) in attacks {
        let answer = shop.acknowledge(&token).await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text());
        assert_eq!(
            answer.text(),
            format!("{{\"error\":\"{error}\"}}"),
            "{what}"
        );
        assert_eq!(shop.state(&order).await, "waiting", "{what}");
        let goods = shop.get(&format!("{order}/goods")).await;
        assert_eq!(goods.status, StatusCode::PAYMENT_REQUIRED, "{what}");
    }
    // `none`, and a header that names another algorithm.
    let right = bank.acknowledge(&invoice);
    let (header, rest) = right.split_once('.').unwrap();
    let payload = rest.split('.').next().unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYWNrbm93bGVkZ2VtZW50K2p3dCJ9";
    for token in [format!("{none}.{payload}."), format!("{header}.{payload}.")] {
        let answer = shop.acknowledge(&token).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
    }
    let oversized = shop.acknowledge(&"x".repeat(100_000)).await;
    assert_eq!(oversized.status, StatusCode::PAYLOAD_TOO_LARGE);
    let url = format!("{}/acknowledgements", shop.url);
    let as_text = shop.client.post(&url, "text/plain", right.clone()).await;
    assert_eq!(as_text.unwrap().status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(shop.state(&order).await, "waiting");

    // Each is logged with what was wrong, and counted.
    let log = std::fs::read_to_string(shop.folder.0.join("log")).unwrap();
    for part in [
        "the signature is not good",
        "amount_micro is not that of the invoice",
        "it has expired",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let counted = shop
        .metric("shopd_acknowledgements_refused_total{reason=\"amount_micro\"}")
        .await;
    assert!(counted.unwrap().ends_with(" 2"));

    let answer = shop.acknowledge(&right).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(shop.state(&order).await, "paid");
}

#[tokio::test]
async fn a_replay_gives_no_second_right_and_a_second_payment_is_given_back() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("goods/song.flac"), song(1_000)).unwrap();
    let bank = Bank::start(&folder.0, "Bank", false).await;
    let other = Bank::start(&folder.0, "Other", false).await;
    let shop = Shop::start(folder, &[&bank, &other], GOODS, "").await;
    let (order, first) = shop.invoice("song", &bank).await;
    let form = shop.choose(&order, &other.thumbprint()).await;
    let second = crate::shop::value(&form, "invoice");
    let acknowledgement = bank.acknowledge(&first);
    for _ in 0..3 {
        let answer = shop.acknowledge(&acknowledgement).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    let twice = shop.acknowledge(&other.acknowledge(&second)).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    assert_eq!(twice.text(), "{\"error\":\"already-paid\"}");
    assert_eq!(shop.get(&format!("{order}/goods")).await.body.len(), 1_000);
    let replayed = shop.acknowledge(&acknowledgement).await;
    assert_eq!(replayed.status, StatusCode::NO_CONTENT);
    let goods = shop.get(&format!("{order}/goods")).await;
    assert_eq!(goods.status, StatusCode::GONE);
    assert_eq!(shop.state(&order).await, "delivered");
}
