//! `kill -9` of each daemon at each state of an invoice: in the end nobody has paid without a right to the goods, nobody has
//! goods without having paid, and nobody has paid twice.

use serde_json::Value;
use tollwire_harness::shop::customer::Billed;
use tollwire_harness::shop::market::{Market, Setup, film, song};
use tollwire_harness::wait::{PATIENCE, wait_until};
use tollwire_harness::web::visitor::Content;

const PRICE: i64 = 2_500_000;
const RICH: i64 = 500_000_000;
const FIELDS: [(&str, &str); 2] = [("account", "alice"), ("pin", "4711")];

fn market() -> Market {
    let market = Market::open(Setup::default());
    market.make_account("alice", "EUR", RICH);
    market.banks["bank.example"].add_customer("alice", "prepaid", "alice", "4711");
    market
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Bank,
    Shop,
    Charging,
}

fn kill(market: &mut Market, victim: Victim) {
    match victim {
        Victim::Bank => market
            .banks
            .get_mut("bank.example")
            .expect("it")
            .daemon
            .kill(),
        Victim::Shop => market.shops.get_mut("shop.example").expect("it").kill(),
        Victim::Charging => market.charging.kill(),
    }
}

fn start(market: &mut Market, victim: Victim) {
    match victim {
        Victim::Bank => market
            .banks
            .get_mut("bank.example")
            .expect("it")
            .daemon
            .start(),
        Victim::Shop => market.shops.get_mut("shop.example").expect("it").start(),
        Victim::Charging => market.charging.start(),
    }
}

/// Sends the form until it is known what became of it, and takes the goods: like somebody who presses the button again.
#[track_caller]
fn insist(market: &Market, billed: &Billed) {
    let mut customer = market.customer();
    let content = Content::form(
        &billed
            .form
            .clone()
            .with("account", "alice")
            .with("pin", "4711")
            .fields,
    );
    let action = billed.page.url.join(&billed.form.action).expect("a URL");
    wait_until("the payment", PATIENCE * 2, || {
        let answer = customer.visitor.attempt("POST", action.as_str(), &content);
        answer.is_ok_and(|answer| matches!(answer.status, 303 | 409))
    });
    let goods = customer.wait_for_goods(&billed.order);
    let answer = customer.visitor.get(goods).expect(200);
    assert!(!answer.broken && answer.body == song(), "other octets");
}

/// What must hold at the end, whatever happened: `paid` orders of this price, and no others.
#[track_caller]
fn balance_the_books(market: &Market, paid: usize) {
    market.wait_for_settled("bank.example");
    let orders = market.orders("shop.example");
    let payments = market.banks["bank.example"].payments();
    let state = |value: &Value| value["state"].as_str().unwrap_or_default().to_owned();
    let delivered: Vec<&Value> = orders
        .iter()
        .filter(|order| matches!(state(order).as_str(), "paid" | "delivering" | "delivered"))
        .collect();
    let acknowledged: Vec<&Value> = payments
        .iter()
        .filter(|it| state(it) == "acknowledged")
        .collect();
    assert_eq!(delivered.len(), paid, "{orders:#?}");
    assert_eq!(acknowledged.len(), paid, "{payments:#?}");
    for order in delivered {
        let reference = &order["paid_reference"];
        let of_it = acknowledged
            .iter()
            .filter(|it| it["reference"] == *reference)
            .count();
        assert_eq!(of_it, 1, "{order:#} is paid {of_it} times");
    }
    let paid = i64::try_from(paid).expect("few");
    assert_eq!(
        market.balance("alice"),
        RICH - paid * PRICE,
        "what was charged and what was delivered"
    );
}

/// Killed while a form is under way, after so many milliseconds.
fn killed_in_the_middle(victim: Victim) {
    let mut market = market();
    let bank = market.banks["bank.example"].thumbprint();
    let delays = [0, 1, 2, 4, 6, 8, 11, 14, 18, 23, 30, 45];
    for (round, delay) in delays.into_iter().enumerate() {
        let mut customer = market.customer();
        let billed = customer.bill("shop.example", "song", &bank);
        let content = Content::form(
            &billed
                .form
                .clone()
                .with("account", "alice")
                .with("pin", "4711")
                .fields,
        );
        let action = billed.page.url.join(&billed.form.action).expect("a URL");
        let sent = std::thread::spawn(move || {
            // Whatever it says: the customer may see nothing but a broken connection.
            let _ = customer.visitor.attempt("POST", action.as_str(), &content);
        });
        // The point of the kill is what differs, not something that is waited for.
        std::thread::sleep(std::time::Duration::from_millis(delay));
        kill(&mut market, victim);
        start(&mut market, victim);
        sent.join().expect("it ended");
        insist(&market, &billed);
        balance_the_books(&market, round + 1);
    }
}

#[test]
fn billd_killed_while_forms_are_under_way() {
    killed_in_the_middle(Victim::Bank);
}

#[test]
fn shopd_killed_while_forms_are_under_way() {
    killed_in_the_middle(Victim::Shop);
}

#[test]
fn chargingd_killed_while_forms_are_under_way() {
    killed_in_the_middle(Victim::Charging);
}

#[test]
fn every_state_of_an_invoice_survives() {
    let mut market = market();
    let bank = market.banks["bank.example"].thumbprint();
    let all = [Victim::Shop, Victim::Bank, Victim::Charging];
    let again = |market: &mut Market| {
        for victim in all {
            kill(market, victim);
        }
        for victim in [Victim::Charging, Victim::Bank, Victim::Shop] {
            start(market, victim);
        }
    };
    let mut customer = market.customer();

    // Ordered.
    let order = customer.order("shop.example", "song");
    again(&mut market);
    market.wait_for_methods(
        "shop.example",
        &[
            "Bank of Example",
            "Card of Example",
            "Phone bill of Example",
        ],
    );
    // Invoiced.
    let billed = customer.choose(&order, &bank);
    again(&mut market);
    // Being charged: chargingd is not there, the bank does not know what became of it, and is killed so.
    kill(&mut market, Victim::Charging);
    let mut waiting = market.customer();
    let sent = billed.clone();
    let pay = std::thread::spawn(move || {
        let content = Content::form(
            &sent
                .form
                .clone()
                .with("account", "alice")
                .with("pin", "4711")
                .fields,
        );
        let action = sent.page.url.join(&sent.form.action).expect("a URL");
        let _ = waiting.visitor.attempt("POST", action.as_str(), &content);
    });
    wait_until("the payment to be stored", PATIENCE, || {
        !market.banks["bank.example"].payments().is_empty() || pay.is_finished()
    });
    kill(&mut market, Victim::Bank);
    pay.join().expect("it ended");
    start(&mut market, Victim::Bank);
    start(&mut market, Victim::Charging);
    market.wait_for_settled("bank.example");
    // Paid, and the shop is not there: the acknowledgement waits, across the bank's death.
    let second = customer.bill("shop.example", "song", &bank);
    kill(&mut market, Victim::Shop);
    // Until billd has found chargingd again it says that nothing was charged.
    wait_until("the payment", PATIENCE, || {
        let answer = customer.pay(&second, &FIELDS);
        assert!(matches!(answer.status, 303 | 503), "{}", answer.text());
        answer.status == 303
    });
    let paid = |market: &Market| market.banks["bank.example"].payments()[0]["state"].clone();
    assert_eq!(paid(&market), "paid");
    kill(&mut market, Victim::Bank);
    start(&mut market, Victim::Bank);
    start(&mut market, Victim::Shop);
    wait_until("the acknowledgement", PATIENCE, || {
        paid(&market) == "acknowledged"
    });
    // Acknowledged, and the shop dies before the customer comes.
    kill(&mut market, Victim::Shop);
    start(&mut market, Victim::Shop);
    let goods = customer.wait_for_goods(&second.order);
    assert!(
        customer.visitor.get(goods).expect(200).body == song(),
        "other octets"
    );
    // Delivered: spent, also across a death.
    wait_until("the link to be spent", PATIENCE, || {
        let page = customer.visitor.get(&second.order);
        page.text().contains("used up")
    });
    again(&mut market);
    assert_eq!(
        customer
            .visitor
            .get(format!("{}/goods", second.order))
            .status,
        410
    );
    insist(&market, &billed);
    balance_the_books(&market, 2);
}

#[test]
fn a_shop_killed_while_it_delivers_delivers_the_rest() {
    let mut market = market();
    let bank = market.banks["bank.example"].thumbprint();
    let mut customer = market.customer();
    let billed = customer.bill("shop.example", "film", &bank);
    let _ = customer.pay(&billed, &FIELDS).expect(303);
    let goods = customer.wait_for_goods(&billed.order);
    let film = film();
    let begin = customer.visitor.break_off(&goods, 5_000_000);
    assert!(begin == film[..5_000_000], "other octets");
    kill(&mut market, Victim::Shop);
    start(&mut market, Victim::Shop);
    let rest = customer
        .visitor
        .ask("GET", &goods, &Content::header("Range", "bytes=5000000-"));
    let rest = rest.expect(206);
    assert!(rest.body == film[5_000_000..], "other octets");
    market.wait_for_settled("bank.example");
    assert_eq!(market.balance("alice"), RICH - 9_990_000);
}

#[test]
fn a_payment_that_the_shop_refuses_is_given_back_once_whoever_dies() {
    let mut market = market();
    market.banks["card.example"].add_customer("alice", "prepaid", "alice", "password");
    let bank = market.banks["bank.example"].thumbprint();
    let card = market.banks["card.example"].thumbprint();
    for victim in [Victim::Bank, Victim::Charging, Victim::Shop] {
        let mut customer = market.customer();
        let other = customer.bill("shop.example", "song", &bank);
        let billed = customer.choose(&other.order, &card);
        let page = customer.pay(&billed, &[]).expect(200);
        let form = page
            .form("/pay")
            .with("account", "alice")
            .with("password", "password");
        let _ = customer.visitor.submit(&page, &form).expect(303);
        let _ = customer.wait_for_goods(&billed.order);
        market.wait_for_settled("card.example");
        let before = market.balance("alice");
        // Paid a second time, by the bank; who has to give it back, or has to be asked to, dies.
        let answer = customer.pay(&other, &FIELDS);
        kill(&mut market, victim);
        start(&mut market, victim);
        assert_eq!(answer.status, 303, "{}", answer.text());
        wait_until("the money to be given back", PATIENCE, || {
            market.banks["bank.example"].payments()[0]["state"] == "refunded"
        });
        assert_eq!(market.balance("alice"), before, "{victim:?}");
    }
}
