//! The phone bill.

use serde_json::json;

use crate::world::{BALANCE, PRICE, World, cookie, hidden};

const PHONE: &str = "[billing]\nform_type = \"page\"\nfields = [\"phone-number\", \"pin\"]\naccount_types = [\"phone-bill\"]\n";
const LINE: &str = "[[phone_bill.networks]]\nnetwork = \"127.0.0.1/32\"\naccount = \"ada\"\n\
                    [billing]\nform_type = \"page\"\nfields = []\naccount_types = [\"phone-bill\"]\n";

#[tokio::test]
async fn a_number_and_a_pin_are_not_yet_consent() {
    let world = World::start(PHONE).await;
    world
        .customer(json!({"login": "+49 30 1234", "kind": "phone-bill", "account": "ada", "secret": "1234"}))
        .await;
    let (invoice, reference) = world.shop.invoice(|_| ());
    let fields = [
        ("invoice", invoice.as_str()),
        ("phone-number", "0049 30 1234"),
        ("pin", "1234"),
    ];
    let page = world.post("pay", &fields).await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(
        text.contains("id=\"consent\"") && text.contains("+49301234"),
        "{text}"
    );
    assert!(text.contains("€1.99"), "{text}");
    assert_eq!(world.balance("ada").await, BALANCE);
    let cookie = cookie(&page).expect("a cookie");
    let line = page.headers["set-cookie"].to_str().unwrap();
    for attribute in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/pay"] {
        assert!(line.contains(attribute), "{line}");
    }
    let (by, who, proof) = (
        hidden(&text, "by"),
        hidden(&text, "who"),
        hidden(&text, "proof"),
    );
    let agree = |invoice: &str, who: &str, proof: &str| {
        [
            ("invoice", invoice),
            ("by", by.as_str()),
            ("who", who),
            ("proof", proof),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let (other, _) = world.shop.invoice(|_| ());
    let strange = cookie.replace(['0', '1', '2'], "3");
    for (form, sent) in [
        (agree(&invoice, &who, &proof), None),
        (agree(&invoice, &who, &proof), Some(strange.as_str())),
        (agree(&other, &who, &proof), Some(cookie.as_str())),
        (agree(&invoice, "+49309999", &proof), Some(cookie.as_str())),
        (agree(&invoice, &who, ""), Some(cookie.as_str())),
    ] {
        let fields: Vec<(&str, &str)> = form
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let answer = world.try_post("consent", &fields, sent).await.unwrap();
        assert_eq!(answer.status, 403);
    }
    assert_eq!(world.balance("ada").await, BALANCE);
    let form = agree(&invoice, &who, &proof);
    let fields: Vec<(&str, &str)> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let answer = world
        .try_post("consent", &fields, Some(&cookie))
        .await
        .unwrap();
    let receipt = world.location(&answer);
    // Pressed twice.
    let answer = world
        .try_post("consent", &fields, Some(&cookie))
        .await
        .unwrap();
    assert_eq!(world.location(&answer), receipt);
    world.settled().await;
    assert!(world.shop.has_taken(&reference));
    assert_eq!(world.balance("ada").await, BALANCE - PRICE);
}

#[tokio::test]
async fn who_is_known_by_his_line_agrees_too() {
    let world = World::start(LINE).await;
    let (invoice, reference) = world.shop.invoice(|_| ());
    for path in ["invoice", "pay"] {
        let page = world.post(path, &[("invoice", &invoice)]).await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("id=\"consent\""), "{path}");
    }
    assert_eq!(world.balance("ada").await, BALANCE);
    let page = world.post("invoice", &[("invoice", &invoice)]).await;
    let text = page.text();
    let proof = hidden(&text, "proof");
    let form = [
        ("invoice", invoice.as_str()),
        ("by", "network"),
        ("who", "127.0.0.1/32"),
        ("proof", &proof),
    ];
    assert_eq!(world.post("consent", &form).await.status, 403);
    let answer = world
        .try_post("consent", &form, cookie(&page).as_deref())
        .await
        .unwrap();
    world.location(&answer);
    world.settled().await;
    assert!(world.shop.has_taken(&reference));
    assert_eq!(world.balance("ada").await, BALANCE - PRICE);
}
