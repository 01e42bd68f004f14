//! What somebody tries who wants goods for nothing, another's money, or a customer's consent. Each is refused, and logged.

use serde_json::Value;
use tollwire_harness::shop::customer::{Billed, Customer};
use tollwire_harness::shop::market::{Market, Setup, song};
use tollwire_harness::wait::wait_until;
use tollwire_harness::web::judge::invalid_html;
use tollwire_harness::web::visitor::{Answer, Content};
use tollwire_invoice::{Acknowledgement, Invoice};
use tollwire_jose::SigningKey;
use url::Url;

const SHOP: &str = "https://shop.example";
const FIELDS: [(&str, &str); 2] = [("account", "alice"), ("pin", "4711")];

fn market() -> Market {
    let market = Market::open(Setup::default());
    market.make_account("alice", "EUR", 50_000_000);
    market.banks["bank.example"].add_customer("alice", "prepaid", "alice", "4711");
    market
}

fn now() -> i64 {
    tollwire_harness::media::unix_ms() / 1_000
}

/// An acknowledgement as the bank would make it.
fn acknowledgement(billed: &Billed) -> Acknowledgement {
    let received = Invoice::read_again(billed.invoice()).expect("an invoice");
    let now = now();
    Acknowledgement::of(
        (&received.invoice, &received.digest),
        "https://bank.example/pay",
        "one-payment",
        now,
        now + 3_600,
    )
}

fn tell(customer: &mut Customer, token: &str) -> Answer {
    let to = format!("{SHOP}/acknowledgements");
    customer.visitor.ask("POST", to, &Content::token(token))
}

#[track_caller]
fn refused(market: &Market, customer: &mut Customer, token: &str, status: u16, error: &str) {
    let logged = || {
        market.shops["shop.example"]
            .log()
            .matches("an acknowledgement was refused")
            .count()
    };
    let before = logged();
    let answer = tell(customer, token);
    assert_eq!(answer.status, status, "{error}: {}", answer.text());
    let told: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(told["error"], error, "{told}");
    wait_until(
        "the shop's log of it",
        tollwire_harness::wait::PATIENCE,
        || logged() > before,
    );
}

#[test]
fn acknowledgements_that_are_not_of_just_this_payment_are_refused() {
    let market = market();
    let bank = market.banks["bank.example"].thumbprint();
    let key = market.bank_key("bank.example");
    let other = market.bank_key("card.example");
    let mut customer = market.customer();
    let one = customer.bill("shop.example", "song", &bank);
    let two = customer.bill("shop.example", "film", &bank);
    let told = acknowledgement(&one);
    let sign = |told: &Acknowledgement, key: &SigningKey| told.sign(key).expect("signed");
    let changed = |change: &dyn Fn(&mut Acknowledgement)| {
        let mut told = told.clone();
        change(&mut told);
        sign(&told, &key)
    };
    let of_two = acknowledgement(&two);

    // Another server's signature, also one of a server that the shop deals with.
    refused(
        &market,
        &mut customer,
        &sign(&told, &other),
        403,
        "signature",
    );
    let own = SigningKey::generate_p256().expect("a key");
    refused(&market, &mut customer, &sign(&told, &own), 403, "signature");
    // A payload that was changed after it was signed.
    let token = sign(&told, &key);
    let cheaper = changed(&|told| told.amount_micro = 1);
    let parts: Vec<&str> = token.split('.').collect();
    let payload = cheaper.split('.').nth(1).expect("a payload");
    let spliced = format!("{}.{payload}.{}", parts[0], parts[2]);
    refused(&market, &mut customer, &spliced, 403, "signature");
    // Not signed at all: {"alg":"none","typ":"acknowledgement+jwt"}.
    let none = format!(
        "eyJhbGciOiJub25lIiwidHlwIjoiYWNrbm93bGVkZ2VtZW50K2p3dCJ9.{}.",
        parts[1]
    );
    let answer = tell(&mut customer, &none);
    assert!((400..=403).contains(&answer.status), "{}", answer.status);
    // Well signed, and of something else.
    for (token, error) in [
        (changed(&|told| told.amount_micro -= 1), "amount_micro"),
        (
            changed(&|told| told.currency = of_two_currency()),
            "currency",
        ),
        (
            changed(&|told| told.provider = "Another shop".into()),
            "provider",
        ),
        (
            changed(&|told| told.provider_reference = "1".repeat(9)),
            "provider_reference",
        ),
        (
            changed(&|told| told.reference.clone_from(&of_two.reference)),
            "invoice",
        ),
        (
            changed(&|told| told.aud = "https://books.example".into()),
            "audience",
        ),
        (
            changed(&|told| told.invoice.clone_from(&of_two.invoice)),
            "invoice",
        ),
    ] {
        refused(&market, &mut customer, &token, 403, error);
    }
    let unknown = changed(&|told| told.reference = "A".repeat(27));
    refused(&market, &mut customer, &unknown, 400, "reference");
    refused(
        &market,
        &mut customer,
        &changed(&|told| told.exp = now() - 1),
        410,
        "expired",
    );
    refused(&market, &mut customer, "eyJh.e30.AAAA", 400, "token");
    let plain = customer.visitor.ask(
        "POST",
        format!("{SHOP}/acknowledgements"),
        &Content::form(&[("a", &token)]),
    );
    assert_eq!(plain.status, 415);
    for billed in [&one, &two] {
        let page = customer.visitor.get(&billed.order).expect(200);
        assert!(!page.text().contains("id=\"download\""), "{}", page.text());
        assert_eq!(
            customer
                .visitor
                .get(format!("{}/goods", billed.order))
                .status,
            402
        );
    }

    // The right one is taken, and as often as it is repeated it gives no second delivery.
    assert_eq!(tell(&mut customer, &token).status, 204);
    assert_eq!(tell(&mut customer, &token).status, 204);
    let goods = customer.wait_for_goods(&one.order);
    assert!(
        customer.visitor.get(&goods).expect(200).body == song(),
        "other octets"
    );
    assert_eq!(tell(&mut customer, &token).status, 204);
    wait_until(
        "the link to be spent, whatever is replayed",
        tollwire_harness::wait::PATIENCE,
        || {
            let page = customer.visitor.get(&one.order);
            page.text().contains("used up")
        },
    );
    // It opens no other order.
    assert_eq!(
        customer.visitor.get(format!("{}/goods", two.order)).status,
        402
    );
}

fn of_two_currency() -> iso_currency::Currency {
    iso_currency::Currency::USD
}

#[test]
fn a_form_that_is_sent_again_charges_once_and_two_methods_pay_once() {
    let market = market();
    let bank = &market.banks["bank.example"];
    let card = &market.banks["card.example"];
    card.add_customer("alice", "prepaid", "alice", "password");
    let mut customer = market.customer();
    let billed = customer.bill("shop.example", "song", &bank.thumbprint());
    let other = customer.choose(&billed.order, &card.thumbprint());
    let first = customer.pay(&billed, &FIELDS).expect(303).location();
    for _ in 0..3 {
        let again = customer.pay(&billed, &FIELDS);
        // The same receipt, or that it is paid already.
        let same = again.status == 303 && again.location().path() == first.path();
        assert!(
            same || again.status == 409,
            "{} {}",
            again.status,
            again.text()
        );
    }
    market.wait_for_settled("bank.example");
    assert_eq!(market.balance("alice"), 47_500_000);
    // At once, from many sides.
    let billed = customer.bill("shop.example", "song", &bank.thumbprint());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let answer = market.customer().pay(&billed, &FIELDS);
                assert!(
                    matches!(answer.status, 303 | 409 | 429 | 503),
                    "{}",
                    answer.status
                );
            });
        }
    });
    market.wait_for_settled("bank.example");
    assert_eq!(market.balance("alice"), 45_000_000);
    // The first order once more, by another method: the shop does not deliver for it, so the money comes back.
    let page = customer.pay(&other, &[]).expect(200);
    let form = page
        .form("/pay")
        .with("account", "alice")
        .with("password", "password");
    let paid = customer.visitor.submit(&page, &form).expect(303);
    wait_until(
        "the second payment to be given back",
        tollwire_harness::wait::PATIENCE,
        || {
            let receipt = customer.visitor.get(paid.location());
            receipt.text().contains("data-state=\"refunded\"")
        },
    );
    assert_eq!(market.balance("alice"), 45_000_000);
    assert_eq!(
        invalid_html(&market.scratch, &customer.visitor.pages),
        [] as [String; 0]
    );
}

#[test]
fn an_altered_invoice_and_one_for_another_server_are_refused() {
    let market = market();
    let bank = market.banks["bank.example"].thumbprint();
    let shop = market.signing_key("shop.example");
    let mut customer = market.customer();
    let billed = customer.bill("shop.example", "film", &bank);
    let invoice = Invoice::read_again(billed.invoice())
        .expect("an invoice")
        .invoice;
    let with = |token: &str| Billed {
        form: billed.form.clone().with("invoice", token),
        ..billed.clone()
    };
    let logged = || {
        market.banks["bank.example"]
            .daemon
            .log()
            .matches("an invoice is refused")
            .count()
    };
    let mut attempts = Vec::new();
    // The sum, in the payload alone.
    let parts: Vec<&str> = billed.invoice().split('.').collect();
    let cheap = Invoice {
        amount_micro: 10_000,
        ..invoice.clone()
    }
    .sign(&shop)
    .expect("signed");
    let payload = cheap.split('.').nth(1).expect("a payload");
    attempts.push(format!("{}.{payload}.{}", parts[0], parts[2]));
    // For another billing server; too old; one octet more; nothing.
    let card = market.banks["card.example"].thumbprint();
    attempts.push(
        Invoice {
            aud: card,
            ..invoice.clone()
        }
        .sign(&shop)
        .expect("signed"),
    );
    let old = Invoice {
        iat: now() - 7_200,
        exp: now() - 3_600,
        ..invoice.clone()
    };
    attempts.push(old.sign(&shop).expect("signed"));
    // That has been here before: it goes round in a circle.
    let round = Invoice {
        via: vec![bank.clone()],
        ..invoice.clone()
    };
    attempts.push(round.sign(&shop).expect("signed"));
    attempts.push(format!("{}A", billed.invoice()));
    attempts.push(String::new());
    for attempt in &attempts {
        let before = logged();
        let answer = customer.pay(&with(attempt), &FIELDS);
        assert!(
            (400..500).contains(&answer.status),
            "{attempt}: {} {}",
            answer.status,
            answer.text()
        );
        wait_until(
            "the bank's log of it",
            tollwire_harness::wait::PATIENCE,
            || logged() > before,
        );
    }
    // Somebody else's name: his key is not the one of the agreement.
    let thief = SigningKey::generate_ed25519().expect("a key");
    let card = market.banks["card.example"].thumbprint();
    let claimed = Invoice {
        aud: card,
        provider: "The Shop".into(),
        ..invoice.clone()
    };
    let answer = customer.visitor.ask(
        "POST",
        "https://card.example/pay/invoice",
        &Content::form(&[("invoice", &claimed.sign(&thief).expect("signed"))]),
    );
    assert!((400..500).contains(&answer.status), "{}", answer.text());
    // An acknowledgement to somebody else's server, and a way on to it, cannot even be asked for.
    for (name, value) in [
        ("acknowledgement_url", "https://evil.example/a"),
        ("service_url", "https://evil.example/b"),
    ] {
        let mut told = serde_json::to_value(&invoice).expect("JSON");
        told[name] = value.into();
        let token = tollwire_jose::sign(&shop, "invoice+jwt", &told, true).expect("signed");
        let answer = customer.pay(&with(&token), &FIELDS);
        assert!((400..500).contains(&answer.status), "{}", answer.text());
        assert!(!answer.text().contains("evil.example"), "{}", answer.text());
    }
    assert_eq!(market.balance("alice"), 50_000_000);
    assert!(market.banks["bank.example"].payments().is_empty());
    assert_eq!(
        invalid_html(&market.scratch, &customer.visitor.pages),
        [] as [String; 0]
    );
}

#[test]
fn other_sites_order_nothing_and_consent_to_nothing() {
    let market = market();
    market.make_bill("bill");
    let mut customer = market.customer();
    let page = customer
        .visitor
        .get(format!("{SHOP}/goods/song"))
        .expect(200);
    let form = page.form("/order");
    let to = page.url.join(&form.action).expect("a URL");
    let good = Content::form(&form.fields);
    for content in [
        Content::form::<&str, &str>(&[]),
        Content::form(&[("token", "x")]),
        good.clone().and("Origin", "https://evil.example"),
        good.clone().and("Sec-Fetch-Site", "cross-site"),
    ] {
        let answer = customer.visitor.ask("POST", &to, &content);
        assert!(matches!(answer.status, 400 | 403), "{}", answer.status);
    }
    // Of another good.
    let other = page.url.join("/goods/film/order").expect("a URL");
    assert_eq!(customer.visitor.ask("POST", &other, &good).status, 403);
    assert!(market.orders("shop.example").is_empty());

    // The phone bill: what a page elsewhere sends has neither proof nor cookie.
    let phone = market.banks["phone.example"].thumbprint();
    let billed = customer.bill("shop.example", "song", &phone);
    let page = customer.pay(&billed, &[]).expect(200);
    let consent = page.form("/consent");
    let to = page.url.join(&consent.action).expect("a URL");
    let refused = |customer: &mut Customer, content: &Content| {
        let answer = customer.visitor.ask("POST", &to, content);
        assert!(answer.status >= 400, "{} {}", answer.status, answer.text());
    };
    let invoice = [("invoice", billed.invoice())];
    refused(&mut customer, &Content::form(&invoice));
    let good = Content::form(&consent.fields);
    refused(&mut customer, &good.clone().and("Origin", SHOP));
    refused(
        &mut customer,
        &good.clone().and("Sec-Fetch-Site", "cross-site"),
    );
    // The proof of one invoice is none for another.
    let second = customer.bill("shop.example", "film", &phone);
    let swapped = consent.clone().with("invoice", second.invoice());
    refused(&mut customer, &Content::form(&swapped.fields));
    let mut stranger = market.customer();
    refused(&mut stranger, &good);
    market.banks["phone.example"]
        .daemon
        .wait_for_log("a consent that does not come of our page");
    assert_eq!(market.balance("bill"), 0);
    assert!(market.banks["phone.example"].payments().is_empty());
    // From the page itself it is one.
    let _ = customer.visitor.submit(&page, &consent).expect(303);
    assert_eq!(market.balance("bill"), -2_500_000);
}

#[test]
fn pages_are_framed_by_nobody_lead_nowhere_else_and_do_not_leave_their_folders() {
    let market = market();
    let bank = market.banks["bank.example"].thumbprint();
    let mut customer = market.customer();
    let billed = customer.bill("shop.example", "song", &bank);
    let answer = customer.pay(&billed, &FIELDS).expect(303);
    let receipt = customer.visitor.follow(answer.clone()).expect(200);
    let order = billed.order.to_string();
    for url in [
        format!("{SHOP}/"),
        format!("{SHOP}/goods/song"),
        format!("{SHOP}/nothing"),
        format!("{order}/methods"),
        order.clone(),
        "https://bank.example/pay".into(),
        "https://bank.example/pay/keys.json".into(),
        "https://bank.example/pay/invoice?invoice=x".into(),
        receipt.url.to_string(),
        "https://bank.example/elsewhere".into(),
    ] {
        let answer = customer.visitor.get(&url);
        let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{url}: {policy}");
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{url}: {policy}"
        );
        assert_eq!(header("x-content-type-options"), "nosniff", "{url}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{url}");
        if answer.status != 303 {
            assert!(header("cache-control").contains("no-store"), "{url}");
        }
        assert!(
            header("strict-transport-security").contains("max-age"),
            "{url}"
        );
    }
    // Nobody is sent elsewhere: neither by a parameter, nor by a Host that is made up.
    assert_eq!(answer.location().host_str(), Some("bank.example"));
    for query in [
        "lang=//evil.example",
        "lang=https://evil.example/",
        "next=//evil.example",
        "name=//evil.example",
    ] {
        let answer = customer.visitor.get(format!("{order}/methods?{query}"));
        let leads = answer.header("location").unwrap_or_default();
        assert!(!leads.contains("evil"), "{query}: {leads}");
    }
    let page = customer
        .visitor
        .get(format!("{SHOP}/goods/song"))
        .expect(200);
    let content = Content::form(&page.form("/order").with("lang", "//evil.example").fields);
    let to = page.url.join("/goods/song/order").expect("a URL");
    let location = customer.visitor.ask("POST", to, &content).location();
    assert_eq!(location.host_str(), Some("shop.example"), "{location}");
    // Files outside are not goods.
    for path in [
        "/goods/..%2f..%2f..%2fetc%2fpasswd",
        "/goods/%2e%2e/%2e%2e/etc/passwd",
        "/goods/song%00",
        "/../../etc/passwd",
        "/style.css/../../../etc/passwd",
        "//etc/passwd",
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
        let url = Url::parse(SHOP).expect("a URL");
        let said =
            String::from_utf8_lossy(&customer.visitor.raw(&url, request.as_bytes())).into_owned();
        assert!(said.starts_with("HTTP/1.1 4"), "{path}: {said}");
        assert!(!said.contains("root:"), "{path}: {said}");
    }
    assert_eq!(
        invalid_html(&market.scratch, &customer.visitor.pages),
        [] as [String; 0]
    );
}

#[test]
fn what_is_too_large_or_no_http_is_refused_and_others_are_served() {
    let market = market();
    let mut customer = market.customer();
    let large = "x".repeat(70_000);
    let mut told = 0;
    for url in [
        "https://bank.example/pay/pay",
        "https://bank.example/pay/invoice",
        "https://bank.example/pay/consent",
        "https://shop.example/goods/song/order",
        "https://shop.example/acknowledgements",
    ] {
        let content = match url.ends_with("acknowledgements") {
            true => Content::token(&large),
            false => Content::form(&[("invoice", &large)]),
        };
        // The answer may be lost where a server hangs up while the client still writes.
        if let Ok(answer) = customer.visitor.attempt("POST", url, &content) {
            assert_eq!(answer.status, 413, "{url}");
            told += 1;
        }
    }
    assert!(told > 0, "nobody was told");
    for name in ["shop.example", "bank.example"] {
        let url = Url::parse(&format!("https://{name}/")).expect("a URL");
        let long = format!(
            "GET /{} HTTP/1.1\r\nHost: {name}\r\n\r\n",
            "a".repeat(70_000)
        );
        let many = format!(
            "GET / HTTP/1.1\r\nHost: {name}\r\n{}\r\n",
            "X-A: b\r\n".repeat(5_000)
        );
        let smuggled = format!(
            "POST /acknowledgements HTTP/1.1\r\nHost: {name}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: {name}\r\n\r\n"
        );
        for request in [
            long.as_str(),
            &many,
            &smuggled,
            "NONSENSE\r\n\r\n",
            "\u{0}\u{1}\u{2}",
        ] {
            customer.visitor.patience = std::time::Duration::from_secs(3);
            let said = customer.visitor.raw(&url, request.as_bytes());
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(!said.starts_with("HTTP/1.1 2"), "{name}: {said}");
            assert!(said.matches("HTTP/1.1 ").count() <= 1, "{name}: {said}");
        }
        customer.visitor.patience = std::time::Duration::from_secs(30);
    }
    let bank = market.banks["bank.example"].thumbprint();
    assert!(
        customer.buy("shop.example", "song", &bank, &FIELDS) == song(),
        "other octets"
    );
}
