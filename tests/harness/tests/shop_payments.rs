//! Ways to pay: proxy chains, phone bills, two shops on one monthly invoice; and deliveries that break off.

use serde_json::Value;
use tollwire_harness::process::run;
use tollwire_harness::shop::market::{BANK, Market, PHONE, Setup, film, song};
use tollwire_harness::wait::{PATIENCE, wait_for};
use tollwire_harness::web::html::Form;
use tollwire_harness::web::judge::invalid_html;
use tollwire_harness::web::visitor::{Answer, Content};

/// Every page that a customer got is valid HTML.
#[track_caller]
fn judge(market: &Market, pages: &[(String, String)]) {
    assert!(!pages.is_empty());
    assert_eq!(invalid_html(&market.scratch, pages), [] as [String; 0]);
}

/// The form of a page that carries an invoice.
#[track_caller]
fn onward(page: &Answer) -> Form {
    let form = Form::all(&page.text())
        .into_iter()
        .find(|form| form.value("invoice").is_some());
    form.unwrap_or_else(|| panic!("no invoice at {}: {}", page.url, page.text()))
}

#[test]
fn an_invoice_is_handed_on_to_another_billing_server_and_never_in_a_circle() {
    let mut market = Market::new(Setup::default());
    market.make_account("alice", "EUR", 5_000_000);
    market.make_bill("owed-by-bank");
    market.make_bill("owed-by-late");
    market.add_bank("bank.example", BANK);
    let proxy = |name: &str, to: &str, account: &str| {
        format!(
            "name = {name:?}\nfee_basis_points = 100\ncurrencies = [\"EUR\"]\nform_type = \"page\"\nfields = []\n\
             settles = \"proxy\"\n[proxy]\nname = {to:?}\naccount = {account:?}\n"
        )
    };
    market.add_bank(
        "card.example",
        &proxy("Go-between", "Bank of Example", "owed-by-bank"),
    );
    market.add_shop("shop.example", "The Shop");
    market.wait_for_methods("shop.example", &["Bank of Example", "Go-between"]);
    let between = market.banks["card.example"].thumbprint();
    market.banks["bank.example"].add_customer("alice", "prepaid", "alice", "4711");

    let mut customer = market.customer();
    let billed = customer.bill("shop.example", "song", &between);
    let page = customer.pay(&billed, &[]).expect(200);
    assert!(page.text().contains("Bank of Example"), "{}", page.text());
    let form = onward(&page);
    assert_eq!(form.action, "https://bank.example/pay/invoice");
    let page = customer.visitor.submit(&page, &form).expect(200);
    let form = onward(&page).with("account", "alice").with("pin", "4711");
    let paid = customer.visitor.submit(&page, &form).expect(303);
    let receipt = customer.visitor.follow(paid).expect(200);
    // The receipt of the last leads to that of the first, and that to the shop.
    assert!(
        receipt
            .text()
            .contains("https://card.example/pay/receipts/"),
        "{}",
        receipt.text()
    );
    let goods = customer.wait_for_goods(&billed.order);
    assert!(
        customer.visitor.get(goods).expect(200).body == song(),
        "other octets"
    );
    assert_eq!(market.balance("alice"), 2_500_000);
    // The go-between is owed by the bank what it owes the shop.
    market.wait_for_settled("card.example");
    assert_eq!(market.balance("owed-by-bank"), -2_500_000);
    let states: Vec<Value> = market.banks["card.example"]
        .payments()
        .iter()
        .map(|it| it["state"].clone())
        .collect();
    assert_eq!(states, ["acknowledged"]);

    // A circle: the first hands on to the second, that to the first.
    market
        .banks
        .get_mut("bank.example")
        .expect("it")
        .daemon
        .stop();
    market.add_bank(
        "late.example",
        &proxy("Round", "Go-between", "owed-by-late"),
    );
    let config = proxy("Go-between", "Round", "owed-by-bank");
    market.add_bank("card.example", &config);
    market.wait_for_methods("shop.example", &["Go-between", "Round"]);
    let billed = customer.bill("shop.example", "song", &between);
    let page = customer.pay(&billed, &[]).expect(200);
    let form = onward(&page);
    assert_eq!(form.action, "https://late.example/pay/invoice");
    let refused = customer.visitor.submit(&page, &form);
    assert!(
        refused.status >= 400 && refused.text().contains("Nobody was found"),
        "{}",
        refused.text()
    );
    assert_eq!(market.balance("owed-by-late"), 0);
    judge(&market, &customer.visitor.pages);
}

#[test]
fn a_phone_bill_needs_consent_and_a_network_or_a_number() {
    let mut market = Market::new(Setup {
        customers: 2,
        ..Setup::default()
    });
    market.make_bill("bill");
    let config = format!(
        "{PHONE}[[phone_bill.networks]]\nnetwork = \"{}/32\"\naccount = \"bill\"\n[[phone_bill.prefixes]]\nprefix = \"491\"\n",
        market.customer_host(0).ip
    );
    market.add_bank("phone.example", &config);
    market.add_shop("shop.example", "The Shop");
    market.wait_for_methods("shop.example", &["Phone bill of Example"]);
    let phone = &market.banks["phone.example"];
    let key = phone.thumbprint();
    let number = serde_json::json!({"login": "+491711", "kind": "phone-bill", "account": "bill", "secret": "2580"});
    phone.daemon.post("/customers", &number);

    // By the network, with nothing but consent.
    let mut customer = market.customer();
    let billed = customer.bill("shop.example", "song", &key);
    let page = customer.pay(&billed, &[]).expect(200);
    assert_eq!(market.balance("bill"), 0);
    let consent = page.form("/consent");
    let paid = customer.visitor.submit(&page, &consent).expect(303);
    let _ = customer.visitor.follow(paid).expect(200);
    let goods = customer.wait_for_goods(&billed.order);
    assert_eq!(
        customer.visitor.get(goods).expect(200).body.len(),
        song().len()
    );
    assert_eq!(market.balance("bill"), -2_500_000);

    // From elsewhere, by number and PIN, and consent all the same.
    let other = market.customer_host(1);
    let names = ["shop.example", "phone.example"];
    let visitor = tollwire_harness::web::visitor::Visitor::new(&market.internet, &names, other);
    let mut away = tollwire_harness::shop::customer::Customer::new(visitor);
    let billed = away.bill("shop.example", "song", &key);
    let page = away.pay(&billed, &[]).expect(200);
    let form = onward(&page)
        .with("phone-number", "0049 1711")
        .with("pin", "2580");
    let page = away.visitor.submit(&page, &form).expect(200);
    assert!(page.text().contains("+491711"), "{}", page.text());
    let consent = page.form("/consent");
    // Somebody else, even of the same network, cannot agree with what was shown to him.
    let mut stranger = market.customer();
    let refused = stranger.visitor.submit(&page, &consent);
    assert!(refused.status >= 400, "{}", refused.text());
    assert_eq!(market.balance("bill"), -2_500_000);
    let paid = away.visitor.submit(&page, &consent).expect(303);
    let _ = away.visitor.follow(paid).expect(200);
    assert_eq!(market.balance("bill"), -5_000_000);
    customer.visitor.pages.append(&mut away.visitor.pages);
    judge(&market, &customer.visitor.pages);
}

#[test]
fn goods_are_served_once_and_again_only_where_the_transfer_broke_off() {
    let market = Market::open(Setup {
        shops: "[delivery]\ngrace_seconds = 1\ngrace_octets = 65536\ncheckpoint_octets = 1048576\n"
            .into(),
        ..Setup::default()
    });
    market.make_account("alice", "EUR", 30_000_000);
    let bank = &market.banks["bank.example"];
    bank.add_customer("alice", "prepaid", "alice", "4711");
    let key = bank.thumbprint();
    let mut customer = market.customer();
    let billed = customer.bill("shop.example", "film", &key);
    // Not before it is paid.
    let unpaid = customer.visitor.get(format!("{}/goods", billed.order));
    assert_eq!(unpaid.status, 402);
    let _ = customer
        .pay(&billed, &[("account", "alice"), ("pin", "4711")])
        .expect(303);
    let goods = customer.wait_for_goods(&billed.order);
    let film = film();
    // A look at what it is costs nothing.
    let head = customer
        .visitor
        .ask("HEAD", &goods, &Content::default())
        .expect(200);
    assert_eq!(
        head.header("content-length"),
        Some(film.len().to_string().as_str())
    );
    let etag = head.header("etag").expect("an ETag").to_owned();
    // It breaks off in the middle; the rest comes by Range.
    let begin = customer.visitor.break_off(&goods, 9_000_000);
    assert!(begin == film[..9_000_000], "other octets");
    let rest = wait_for("the broken transfer to be over", PATIENCE, || {
        let content = Content::header("Range", "bytes=9000000-").and("If-Range", &etag);
        let answer = customer.visitor.ask("GET", &goods, &content);
        (answer.status != 429).then_some(answer)
    });
    let rest = rest.expect(206);
    let range = format!("bytes 9000000-{}/{}", film.len() - 1, film.len());
    assert_eq!(rest.header("content-range"), Some(range.as_str()));
    assert!(rest.body == film[9_000_000..], "other octets");
    // Then it is spent: wholly, in parts, and by its page.
    let spent = wait_for("the link to be spent", PATIENCE, || {
        let answer = customer.visitor.get(&goods);
        (answer.status == 410).then_some(answer)
    });
    assert!(spent.text().contains("used up"), "{}", spent.text());
    let again = customer
        .visitor
        .ask("GET", &goods, &Content::header("Range", "bytes=0-99"));
    assert_eq!(again.status, 410);
    assert_eq!(market.orders("shop.example")[0]["state"], "delivered");
    assert_eq!(market.balance("alice"), 30_000_000 - 9_990_000);
    judge(&market, &customer.visitor.pages);
}

#[test]
fn what_cannot_be_paid_says_why_and_charges_nothing() {
    const WHO: &str = "somebody.without.money";
    const SECRET: &str = "correct.horse.battery";
    let market = Market::open(Setup::default());
    market.make_account("poor", "EUR", 2_499_999);
    let bank = &market.banks["bank.example"];
    bank.add_customer(WHO, "prepaid", "poor", SECRET);
    let key = bank.thumbprint();
    let mut customer = market.customer();
    let billed = customer.bill("shop.example", "song", &key);
    let fields = [("account", WHO), ("pin", SECRET)];
    let missing = customer.pay(&billed, &[("account", WHO)]).expect(422);
    assert!(missing.text().contains("PIN"), "{}", missing.text());
    let wrong = customer
        .pay(&billed, &[("account", WHO), ("pin", "4712")])
        .expect(403);
    assert!(
        wrong.text().contains("That is not right"),
        "{}",
        wrong.text()
    );
    // Nobody learns whether there is such an account.
    let nobody = customer
        .pay(&billed, &[("account", "nobody"), ("pin", "4712")])
        .expect(403);
    assert!(
        nobody.text().contains("That is not right"),
        "{}",
        nobody.text()
    );
    let poor = customer.pay(&billed, &fields).expect(422);
    assert!(poor.text().contains("not enough"), "{}", poor.text());
    assert_eq!(market.balance("poor"), 2_499_999);
    // Topped up, the same form is good.
    let top_up = serde_json::json!({"top-up": {"account": "poor", "amount_micro": 1, "reference": "second"}});
    market.charging.post("/operations", &top_up);
    let _ = customer.pay(&billed, &fields).expect(303);
    let goods = customer.wait_for_goods(&billed.order);
    assert!(
        customer.visitor.get(goods).expect(200).body == song(),
        "other octets"
    );
    assert_eq!(market.balance("poor"), 0);
    // What identifies the customer has never been at the shop, and the bank has no PIN to lose.
    for (name, secret) in [
        ("shop.example", WHO),
        ("shop.example", SECRET),
        ("bank.example", SECRET),
    ] {
        for file in ["log", "db", "db-wal"] {
            let path = market.scratch.path().join(format!("{name}.{file}"));
            let octets = std::fs::read(&path).unwrap_or_default();
            let found = octets
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{} has {secret}", path.display());
        }
    }
    // Who guesses PINs waits, whoever he says he is.
    let billed = customer.bill("shop.example", "song", &key);
    let waits = (0..12).any(|_| {
        let answer = customer.pay(&billed, &[("account", WHO), ("pin", "0000")]);
        answer.status == 429 && answer.header("retry-after").is_some()
    });
    assert!(waits, "as many PINs as he likes");
    judge(&market, &customer.visitor.pages);
}

#[test]
fn two_shops_are_on_one_monthly_invoice_and_their_fees_are_split_to_the_micro_unit() {
    let mut market = Market::new(Setup::default());
    market.make_bill("bill");
    market.make_account("alice", "EUR", 30_000_000);
    // 2.5 % and 0.10; 333 hundredths of a percent of a phone bill.
    let key = market.key_of("shop.example");
    let agreement = format!("{BANK}[[agreements]]\nname = \"Songs Ltd.\"\nkey = \"{key}\"\n");
    market.add_bank("bank.example", &agreement);
    let phone = format!(
        "{}[[phone_bill.networks]]\nnetwork = \"{}/32\"\naccount = \"bill\"\n[[agreements]]\nname = \"Songs Ltd.\"\nkey = \"{key}\"\n",
        PHONE.replace("900", "333"),
        market.customer_host(0).ip
    );
    market.add_bank("phone.example", &phone);
    market.add_shop("shop.example", "The Shop");
    market.add_shop("books.example", "Books");
    for shop in ["shop.example", "books.example"] {
        market.wait_for_methods(shop, &["Bank of Example", "Phone bill of Example"]);
    }
    market.banks["bank.example"].add_customer("alice", "prepaid", "alice", "4711");
    let (bank, phone) = (
        market.banks["bank.example"].thumbprint(),
        market.banks["phone.example"].thumbprint(),
    );
    let period = run(std::process::Command::new("date").args(["-u", "+%Y-%m"]));
    let period = period.trim();

    let mut customer = market.customer();
    for (shop, good) in [
        ("shop.example", "song"),
        ("books.example", "film"),
        ("shop.example", "film"),
    ] {
        let billed = customer.bill(shop, good, &phone);
        let page = customer.pay(&billed, &[]).expect(200);
        let consent = page.form("/consent");
        let _ = customer.visitor.submit(&page, &consent).expect(303);
        let _ = customer.wait_for_goods(&billed.order);
    }
    let fields = [("account", "alice"), ("pin", "4711")];
    let _ = customer.buy("shop.example", "song", &bank, &fields);
    assert_eq!(market.balance("bill"), -(2_500_000 + 2 * 9_990_000));
    assert_eq!(market.balance("alice"), 27_500_000);

    // The month is over, for chargingd's clock.
    market.charging.stop();
    market.charging.set_days_ahead(40);
    market.charging.start();
    let said = market.tollctl(&["invoice", "close", "--period", period]);
    assert!(said.contains(period), "{said}");
    let invoices = market
        .charging
        .get(&format!("/invoices?account=bill&period={period}"));
    let number = invoices[0]["number"].as_str().expect("a number").to_owned();
    let invoice = market.charging.get(&format!("/invoices/{number}.json"));
    println!("{invoice:#}");
    // One invoice, both shops on it, each with what was bought there.
    let text = invoice.to_string();
    let books = format!("key:{}", market.key_of("books.example"));
    assert!(
        text.contains("Songs Ltd.") && text.contains(&books),
        "{text}"
    );
    let settlements = market.charging.get(&format!("/settlements/{period}.json"));
    println!("{settlements:#}");
    // Songs Ltd.: by phone 2.50 + 9.99, of which 3.33 % each; by the bank 2.50, of which 2.5 % and 0.10.
    let fee = |amount: i64| (amount * 333 + 5_000) / 10_000;
    let songs = (
        2_500_000 + 9_990_000 + 2_500_000,
        fee(2_500_000) + fee(9_990_000) + 162_500,
    );
    let shares = (9_990_000, fee(9_990_000));
    for (provider, (gross, kept)) in [("Songs Ltd.", songs), (books.as_str(), shares)] {
        let found = settled(&settlements, provider);
        assert_eq!(
            found,
            (gross, kept, gross - kept),
            "{provider}: {settlements:#}"
        );
    }
    judge(&market, &customer.visitor.pages);
}

/// What customers paid, what was kept, and what is paid out to a provider, micro-units.
#[track_caller]
fn settled(settlements: &Value, provider: &str) -> (i64, i64, i64) {
    let all = settlements["settlements"]
        .as_array()
        .or(settlements.as_array());
    let found = all
        .into_iter()
        .flatten()
        .find(|it| it["provider"] == provider)
        .unwrap_or_else(|| panic!("no settlement of {provider}: {settlements:#}"));
    let micro = |name: &str| {
        let sum = found["total"][name]["micro"].as_i64();
        sum.unwrap_or_else(|| panic!("no {name}: {found:#}"))
    };
    (micro("gross"), micro("commission"), micro("payable"))
}
