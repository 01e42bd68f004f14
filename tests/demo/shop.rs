//! A shop that knows no bank, three billing servers that announce themselves, and a customer who pays with the one he trusts.

use tollwire_harness::shop::market::{Market, Setup, song};
use tollwire_harness::web::html::plain;
use tollwire_harness::web::visitor::Answer;

use super::{print_indented, say, stage};

const BALANCE: i64 = 10_000_000;
const FIELDS: [(&str, &str); 2] = [("account", "alice"), ("pin", "4711")];

pub fn show() {
    stage("Billing by discovery: a shop, three billing servers, a directory agent, and chargingd");
    let market = Market::open(Setup::default());
    market.make_account("alice", "EUR", BALANCE);
    market.make_bill("bill");
    let bank = &market.banks["bank.example"];
    bank.add_customer("alice", "prepaid", "alice", "4711");
    say("nobody has told the shop of them; it has found by SLP:");
    for known in market.shops["shop.example"]
        .get("/methods")
        .as_array()
        .into_iter()
        .flatten()
    {
        let text = |name: &str| known[name].as_str().unwrap_or_default().to_owned();
        say(&format!(
            "{:24} {:30} keeps {} hundredths of a percent and {} micro-units",
            text("name"),
            text("url"),
            known["fee_basis_points"],
            known["fee_fixed_micro"],
        ));
    }

    stage("The pages, as a customer on that network clicks through them (no page needs a script)");
    let mut customer = market.customer();
    let page = customer.visitor.get("https://shop.example/").expect(200);
    clicked(&page);
    let page = customer
        .visitor
        .get("https://shop.example/goods/song")
        .expect(200);
    clicked(&page);
    let order = customer.order("shop.example", "song");
    clicked(&customer.visitor.get(&order).expect(200));
    let billed = customer.choose(&order, &bank.thumbprint());
    clicked(&billed.page);
    say("the form goes to the bank alone; the shop never sees account and PIN");
    let wrong = customer.pay(&billed, &[("account", "alice"), ("pin", "1111")]);
    clicked(&wrong);
    let paid = customer.pay(&billed, &FIELDS).expect(303);
    let receipt = customer.visitor.follow(paid).expect(200);
    clicked(&receipt);
    let goods = customer.wait_for_goods(&billed.order);
    clicked(&customer.visitor.get(&order).expect(200));
    let got = customer.visitor.get(&goods).expect(200);
    assert!(got.body == song(), "other octets");
    say(&format!("{goods}"));
    say(&format!(
        "    {} octets, as they are in the shop's folder",
        got.body.len()
    ));
    let again = tollwire_harness::wait::wait_for(
        "the link to be spent",
        tollwire_harness::wait::PATIENCE,
        || {
            let answer = customer.visitor.get(&goods);
            (answer.status == 410).then_some(answer)
        },
    );
    clicked(&again);

    stage(
        "On the phone bill: the operator knows the customer by his network, and asks for his consent",
    );
    let phone = market.banks["phone.example"].thumbprint();
    let billed = customer.bill("shop.example", "film", &phone);
    let page = customer.pay(&billed, &[]).expect(200);
    clicked(&page);
    let consent = page.form("/consent");
    let agreed = customer.visitor.submit(&page, &consent).expect(303);
    clicked(&customer.visitor.follow(agreed).expect(200));
    let _ = customer.wait_for_goods(&billed.order);
    clicked(&customer.visitor.get(&billed.order).expect(200));

    stage("Somebody replays a form and makes up an acknowledgement");
    let replayed = customer.pay(&billed, &[]);
    clicked(&replayed);
    let forged = tollwire_harness::web::visitor::Content::token("eyJh.e30.AAAA");
    let refused = customer
        .visitor
        .ask("POST", "https://shop.example/acknowledgements", &forged);
    say(&format!(
        "{}: {} {}",
        refused.url,
        refused.status,
        refused.text()
    ));

    stage("The books");
    for bank in ["bank.example", "phone.example"] {
        market.wait_for_settled(bank);
    }
    print_indented(&market.tollctl(&["ledger", "alice"]));
    print_indented(&market.tollctl(&["trial-balance"]));
    assert_eq!(
        market.balance("alice"),
        BALANCE - 2_500_000,
        "exactly the song"
    );
    assert_eq!(market.balance("bill"), -9_990_000, "exactly the film");
}

/// Where he is, and what stands there in large letters.
fn clicked(page: &Answer) {
    let text = page.text();
    let between =
        |begin: &str, end: &str| Some(plain(text.split(begin).nth(1)?.split(end).next()?));
    say(page.url.as_str());
    let said = between("role=\"alert\"><p>", "</p>").or_else(|| between("<h1>", "</h1>"));
    say(&format!("    {} {}", page.status, said.unwrap_or_default()));
}
