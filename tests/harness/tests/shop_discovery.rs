//! Who is offered: billing servers come and go, with a directory agent and without.

use tollwire_harness::shop::market::{BANK, CARD, Market, Setup, song};
use tollwire_harness::web::html::Form;

const ALL: [&str; 3] = [
    "Bank of Example",
    "Card of Example",
    "Phone bill of Example",
];

fn late(market: &mut Market) {
    let config = BANK.replace("Bank of Example", "Late bank");
    market.add_bank("late.example", &config);
}

fn comings_and_goings(directory: bool) {
    // 30 s is the shortest that billd registers itself for.
    let mut market = Market::open(Setup {
        directory,
        lifetime_seconds: 30,
        ..Setup::default()
    });
    market.make_account("alice", "EUR", 5_000_000);
    let bank = &market.banks["bank.example"];
    bank.add_customer("alice", "prepaid", "alice", "4711");
    let key = bank.thumbprint();
    let mut customer = market.customer();
    let fields = [("account", "alice"), ("pin", "4711")];
    assert!(
        customer.buy("shop.example", "song", &key, &fields) == song(),
        "other octets"
    );
    assert_eq!(market.balance("alice"), 2_500_000);

    // One that appears while the shop runs shows up, one that stops properly disappears at once.
    late(&mut market);
    market.wait_for_methods(
        "shop.example",
        &[
            "Bank of Example",
            "Card of Example",
            "Late bank",
            "Phone bill of Example",
        ],
    );
    market
        .banks
        .get_mut("late.example")
        .expect("it")
        .daemon
        .stop();
    market.wait_for_methods("shop.example", &ALL);
    // One that dies disappears when its registration is over.
    market
        .banks
        .get_mut("card.example")
        .expect("it")
        .daemon
        .kill();
    market.wait_for_methods(
        "shop.example",
        &["Bank of Example", "Phone bill of Example"],
    );
    // And comes back.
    market
        .banks
        .get_mut("card.example")
        .expect("it")
        .daemon
        .start();
    market.wait_for_methods("shop.example", &ALL);
}

#[test]
fn billing_servers_come_and_go_with_a_directory_agent() {
    comings_and_goings(true);
}

#[test]
fn billing_servers_come_and_go_without_a_directory_agent() {
    comings_and_goings(false);
}

#[test]
fn a_directory_agent_that_comes_later_is_used_and_one_that_goes_is_not_missed() {
    let mut market = Market::open(Setup::default());
    market.directory.as_mut().expect("one").kill();
    late(&mut market);
    market.wait_for_methods(
        "shop.example",
        &[
            "Bank of Example",
            "Card of Example",
            "Late bank",
            "Phone bill of Example",
        ],
    );
    let directory = market.directory.as_mut().expect("one");
    directory.start_again();
    directory.wait_for_registered(
        &[
            "service:billing:https://bank.example/pay",
            "service:billing:https://card.example/pay",
            "service:billing:https://late.example/pay",
            "service:billing:https://phone.example/pay",
        ],
        tollwire_harness::wait::PATIENCE * 3,
    );
    market
        .banks
        .get_mut("late.example")
        .expect("it")
        .daemon
        .stop();
    market.wait_for_methods("shop.example", &ALL);
}

#[test]
fn what_does_not_fit_is_not_offered_and_a_rule_chooses() {
    let mut market = Market::open(Setup::default());
    let bank = market.banks["bank.example"].thumbprint();
    let mut customer = market.customer();
    let mut offered = |shop: &str, good: &str| -> Vec<String> {
        let order = customer.order(shop, good);
        let page = customer.visitor.get(&order).expect(200);
        let forms = Form::all(&page.text());
        forms
            .iter()
            .filter_map(|form| form.value("server").map(str::to_owned))
            .collect()
    };
    assert_eq!(offered("shop.example", "song").len(), 3);
    // Dollars are taken by one alone.
    assert_eq!(offered("shop.example", "book"), std::slice::from_ref(&bank));

    // Without an agreement the card's issuer is not offered; the cheapest is chosen for the customer.
    let card = market.banks["card.example"].thumbprint();
    market
        .banks
        .get_mut("card.example")
        .expect("it")
        .daemon
        .stop();
    let open = CARD.replace("agreement_required = true", "agreement_required = false");
    market.add_bank(
        "late.example",
        &open.replace("Card of Example", "Free card"),
    );
    market.wait_for_methods(
        "shop.example",
        &["Bank of Example", "Free card", "Phone bill of Example"],
    );
    let free = market.banks["late.example"].thumbprint();
    assert!(!offered("shop.example", "song").contains(&card));
    assert!(offered("shop.example", "song").contains(&free));
    let rule = Setup {
        shops: "[methods]\noffer = \"cheapest\"\n[trust]\nnames = [\"Free card\", \"Bank of Example\"]\n".into(),
        ..Setup::default()
    };
    market.set_up(rule);
    market.add_shop("books.example", "Books");
    market.wait_for_methods("books.example", &["Bank of Example", "Free card"]);
    // 3 % of 2.50 is less than 2.5 % and 0.10: its form is shown at once.
    let page = customer
        .visitor
        .get("https://books.example/goods/song")
        .expect(200);
    let form = page.form("/order");
    let ordered = customer.visitor.submit(&page, &form).expect(303);
    let page = customer.visitor.follow(ordered).expect(200);
    assert!(page.url.path().contains("/pay/"), "{}", page.url);
    assert!(page.text().contains("Free card"), "{}", page.text());
}
