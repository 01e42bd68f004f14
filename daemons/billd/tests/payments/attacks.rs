//! What is tried against a billing server.

use tollwire_jose::SigningKey;

use crate::world::{BALANCE, PRICE, SECRET, World, wait_until};

#[tokio::test]
async fn forged_altered_and_foreign_invoices_are_refused() {
    let world = World::start("").await;
    let (good, _) = world.shop.invoice(|_| ());
    // Another sum under the same signature.
    let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    let (other, _) = world.shop.invoice(|it| it.amount_micro = 1);
    parts[1] = other.split('.').nth(1).unwrap().to_owned();
    let altered = parts.join(".");
    let own = SigningKey::generate_ed25519().unwrap();
    let foreign = world
        .shop
        .invoice(|it| it.aud = own.public().thumbprint())
        .0;
    let expired = world
        .shop
        .invoice(|it| (it.iat, it.exp) = (it.iat - 3600, it.iat - 1))
        .0;
    for (invoice, status) in [
        (altered.as_str(), 422),
        (foreign.as_str(), 422),
        (expired.as_str(), 410),
        ("", 422),
        ("a.b.c", 422),
    ] {
        for path in ["pay", "invoice"] {
            let fields = [
                ("invoice", invoice),
                ("account", "ada"),
                ("password", SECRET),
            ];
            let answer = world.post(path, &fields).await;
            assert_eq!(answer.status, status, "{path} {invoice}");
            assert!(answer.text().contains("Nothing was charged"));
        }
    }
    assert_eq!(world.balance("ada").await, BALANCE);
    assert!(world.log().contains("an invoice is refused"));
}

#[tokio::test]
async fn a_reference_is_paid_once_whatever_is_said_under_it() {
    let world = World::start("").await;
    let (first, reference) = world.shop.invoice(|_| ());
    world.location(&world.pay(&first).await);
    let (second, _) = world.shop.invoice(|it| {
        it.reference = reference.clone();
        it.amount_micro = 5_000_000;
    });
    assert_eq!(world.pay(&second).await.status, 409);
    assert_eq!(world.balance("ada").await, BALANCE - PRICE);
    // After its end a paid one is not called unpaid.
    let answer = world.pay(&first).await;
    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn who_guesses_waits_and_learns_not_who_exists() {
    let world = World::start("").await;
    let (invoice, _) = world.shop.invoice(|_| ());
    let mut pages = Vec::new();
    for name in ["ada", "nobody"] {
        let fields = [
            ("invoice", invoice.as_str()),
            ("account", name),
            ("password", "wrong"),
        ];
        for _ in 0..3 {
            let answer = world.post("pay", &fields).await;
            assert_eq!(answer.status, 403);
            pages.push(answer.text().replace(name, "NAME"));
        }
        let answer = world.post("pay", &fields).await;
        assert_eq!(answer.status, 429);
        assert!(answer.headers.contains_key("retry-after"));
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "{pages:#?}");
    // The right one waits as well.
    assert_eq!(world.pay(&invoice).await.status, 429);
    assert_eq!(world.balance("ada").await, BALANCE);
    assert!(!world.log().contains("wrong\""), "{}", world.log());
}

#[tokio::test]
async fn bodies_have_a_bound() {
    let world = World::start("").await;
    let large = "x".repeat(70_000);
    let answer = world.try_post("pay", &[("invoice", &large)], None).await;
    // Some servers' answers are lost when the client still writes.
    assert!(answer.is_err() || answer.unwrap().status == 413);
    // The connection may be gone with it: the next one is another.
    let (invoice, _) = world.shop.invoice(|_| ());
    wait_until("a receipt", || async {
        let fields = [
            ("invoice", invoice.as_str()),
            ("account", "ada"),
            ("password", SECRET),
        ];
        let answer = world.try_post("pay", &fields, None).await;
        answer.is_ok_and(|answer| answer.status == 303)
    })
    .await;
}

#[tokio::test]
async fn an_agreed_name_is_nobody_elses() {
    let world = World::start(
        "[[agreements]]\nname = \"Shop of Example\"\nkey = \"NzbLsXh8uDCcd-6MNwXF4W-7noWXFZAfHkxZsRGC9Xs\"\n",
    )
    .await;
    let (invoice, _) = world.shop.invoice(|_| ());
    assert_eq!(world.pay(&invoice).await.status, 403);
    assert!(world.log().contains("belongs to another key"));
    let (invoice, _) = world.shop.invoice(|it| it.provider = "Somebody".into());
    world.location(&world.pay(&invoice).await);
}
