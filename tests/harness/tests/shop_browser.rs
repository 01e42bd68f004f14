//! A shop and billing servers as a customer sees them: Chromium without a screen, driven by WebDriver.

use tollwire_harness::shop::market::{Market, Setup, film, song};
use tollwire_harness::web::browser::{Browser, FULL, Kind, PHONE, PLAIN};
use tollwire_harness::web::judge::inaccessible;

fn browser(market: &Market, name: &str, kind: Kind) -> Browser {
    let host = market.customer_host(0);
    Browser::start(&market.internet, host, &market.scratch, name, kind)
}

/// A picture of the page, which has to be one that everybody can use.
#[track_caller]
fn look(browser: &mut Browser, what: &str) {
    let _ = browser.picture(what);
    assert_eq!(
        inaccessible(browser),
        [] as [String; 0],
        "{what} at {}",
        browser.url()
    );
}

#[test]
fn browse_pick_pay_and_download_without_scripts() {
    let market = Market::open(Setup::default());
    market.make_account("alice", "EUR", 3_000_000);
    market.banks["bank.example"].add_customer("alice", "prepaid", "alice", "4711");
    let mut browser = browser(&market, "desk", PLAIN);
    browser.open("https://shop.example/");
    browser.wait_for_text("A song");
    let _ = browser.picture("goods");
    browser.click_text("a", "A song");
    browser.wait_for_text("2.50");
    let _ = browser.picture("good");
    browser.click(&browser.wait_for("#buy"));

    // Every method is there with what it keeps.
    browser.wait_for_text("Bank of Example");
    let text = browser.text();
    for said in [
        "Card of Example",
        "Phone bill of Example",
        "Your own operator",
        "Run by Example Bank Inc.",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let _ = browser.picture("methods");
    browser.click_text("button", "Pay with Bank of Example");

    // The form is the shop's, and goes to the bank alone.
    browser.wait_for("[name=pin]");
    browser.wait_for_url("https://shop.example/");
    browser.wait_for_text("goes to bank.example alone");
    browser.fill("account", "alice");
    browser.fill("pin", "1174");
    let _ = browser.picture("form");
    browser.click(&browser.wait_for("#pay"));
    browser.wait_for_text("That is not right");
    browser.wait_for_url("https://bank.example/pay/pay");
    let _ = browser.picture("wrong-pin");
    browser.fill("account", "alice");
    browser.fill("pin", "4711");
    browser.click(&browser.wait_for("#pay"));
    browser.wait_for_url("https://bank.example/pay/receipts/");
    // It looks again by itself, without a script.
    browser.wait_for("[data-state=acknowledged]");
    let _ = browser.picture("receipt");
    browser.click(&browser.wait_for("#service a"));
    browser.wait_for_url("https://shop.example/orders/");
    let order = browser.url();
    browser.wait_for_text("is paid: A song");
    let _ = browser.picture("paid");
    browser.click(&browser.wait_for("#download"));
    assert!(browser.downloaded("song.flac") == song(), "other octets");
    browser.open(&order);
    browser.wait_for_text("The link is used up");
    let _ = browser.picture("spent");
    assert_eq!(market.balance("alice"), 500_000);

    // What is left does not suffice for another one.
    browser.open("https://shop.example/goods/song");
    browser.click(&browser.wait_for("#buy"));
    browser.click_text("button", "Pay with Bank of Example");
    browser.fill("account", "alice");
    browser.fill("pin", "4711");
    browser.click(&browser.wait_for("#pay"));
    browser.wait_for_text("There is not enough in this account");
    let _ = browser.picture("not-enough");
    assert_eq!(market.balance("alice"), 500_000);
}

#[test]
fn a_phone_bill_on_a_telephone_in_german() {
    let market = Market::open(Setup::default());
    market.make_bill("bill");
    let mut browser = browser(&market, "phone", PHONE);
    browser.open("https://shop.example/");
    browser.wait_for_text("Ein Film");
    look(&mut browser, "waren");
    browser.click_text("a", "Ein Film");
    browser.wait_for_text("9,99");
    look(&mut browser, "ware");
    browser.click(&browser.wait_for("#buy"));
    browser.wait_for_text("Phone bill of Example");
    look(&mut browser, "zahlungsarten");
    let method = browser.find_all("button[data-server]").into_iter();
    let own = method.into_iter().find(|it| {
        browser
            .text_of(it)
            .is_some_and(|text| text.contains("Phone bill"))
    });
    browser.click(&own.expect("the operator's"));
    browser.wait_for("#pay");
    look(&mut browser, "weiter");
    browser.click(&browser.wait_for("#pay"));

    // Nothing is charged before he agrees, on the operator's page.
    let agree = browser.wait_for("#consent");
    browser.wait_for_url("https://phone.example/pay/invoice");
    look(&mut browser, "einwilligung");
    assert_eq!(market.balance("bill"), 0);
    browser.click(&agree);
    browser.wait_for_url("https://phone.example/pay/receipts/");
    browser.wait_for("[data-state=acknowledged]");
    look(&mut browser, "quittung");
    assert_eq!(market.balance("bill"), -9_990_000);
    browser.click(&browser.wait_for("#service a"));
    browser.wait_for("#download");
    look(&mut browser, "bezahlt");
    let order = browser.url();
    browser.click(&browser.wait_for("#download"));
    assert!(browser.downloaded("film.mkv") == film(), "other octets");
    browser.open(&order);
    browser.wait_for("[data-state=delivered]");
    look(&mut browser, "geliefert");
}

#[test]
fn an_unknown_method_that_the_customer_names_is_found_and_every_page_can_be_used_by_everybody() {
    // Shops look by themselves once an hour: nobody tells them of what comes between.
    let mut market = Market::open(Setup {
        watch_seconds: 3_600,
        directory: false,
        ..Setup::default()
    });
    market.make_account("bob", "EUR", 20_000_000);
    let mut browser = browser(&market, "full", FULL);
    browser.open("https://shop.example/goods/song");
    browser.click(&browser.wait_for("#buy"));
    browser.wait_for_text("Bank of Example");
    let order = browser.url();
    browser.fill("name", "savings");
    browser.click(&browser.wait_for("#find"));
    browser.wait_for_text("was found that this order can be paid with");
    look(&mut browser, "not-found");
    let late = "name = \"Village Savings\"\nfee_basis_points = 50\ncurrencies = [\"EUR\"]\nform_type = \"page\"\n\
        fields = [\"account\", \"password\"]\naccount_types = [\"prepaid\"]\n";
    market.add_bank("late.example", late);
    market.banks["late.example"].add_customer("bob", "prepaid", "bob", "correct horse");
    browser.open(&order);
    browser.wait_for("[name=name]");
    assert!(!browser.text().contains("Village"), "{}", browser.text());
    browser.fill("name", "savings");
    browser.click(&browser.wait_for("#find"));
    browser.wait_for_text("Village Savings");
    look(&mut browser, "found");
    browser.click_text("button", "Pay with Village Savings");
    browser.wait_for("#pay");
    look(&mut browser, "on-to-its-own-page");
    // In the dark, and with more contrast.
    for (preference, value) in [
        ("prefers-color-scheme", "dark"),
        ("prefers-contrast", "more"),
    ] {
        browser.prefer(&[(preference, value)]);
        look(&mut browser, value);
    }
    browser.prefer(&[
        ("prefers-color-scheme", "dark"),
        ("prefers-contrast", "more"),
    ]);
    look(&mut browser, "dark-more");
    browser.click(&browser.wait_for("#pay"));
    browser.wait_for_url("https://late.example/pay/invoice");
    browser.wait_for("[name=password]");
    look(&mut browser, "page-of-the-bank");
    browser.fill("account", "bob");
    browser.fill("password", "wrong horse");
    browser.click(&browser.wait_for("#pay"));
    browser.wait_for_text("That is not right");
    look(&mut browser, "wrong-password");
    browser.prefer(&[]);
    browser.fill("account", "bob");
    browser.fill("password", "correct horse");
    browser.click(&browser.wait_for("#pay"));
    browser.wait_for("[data-state=acknowledged]");
    look(&mut browser, "receipt");
    browser.click(&browser.wait_for("#service a"));
    browser.wait_for("#download");
    look(&mut browser, "paid");
    browser.open("https://shop.example/goods/nothing");
    look(&mut browser, "no-such-page");
    browser.open("https://bank.example/pay/invoice?invoice=nothing");
    look(&mut browser, "no-invoice");
    browser.open("https://bank.example/pay");
    look(&mut browser, "what-a-bank-is");
    browser.open("https://bank.example/elsewhere");
    look(&mut browser, "not-of-the-bank");
    browser.open("https://bank.example/pay/receipts/nothing");
    look(&mut browser, "no-receipt");
    assert_eq!(market.balance("bob"), 17_500_000);
}
