//! A customer makes a passkey at his bank and pays with it: Chromium, with an authenticator of its own.

use tollwire_harness::shop::market::{Market, Setup};
use tollwire_harness::web::browser::{Browser, FULL, PLAIN};
use tollwire_harness::web::judge::inaccessible;

const BANK: &str = "name = \"Village Savings\"\nfee_basis_points = 50\ncurrencies = [\"EUR\"]\nform_type = \"page\"\n\
    fields = [\"account\", \"password\"]\naccount_types = [\"prepaid\"]\n";

#[track_caller]
fn look(browser: &mut Browser, what: &str) {
    let _ = browser.picture(what);
    assert_eq!(inaccessible(browser), [] as [String; 0], "{what}");
}

/// From the good to the bank's own page.
#[track_caller]
fn order(browser: &Browser) {
    browser.open("https://shop.example/goods/song");
    browser.click(&browser.wait_for("#buy"));
    browser.click_text("button", "Pay with Village Savings");
    browser.click(&browser.wait_for("#pay"));
    browser.wait_for_url("https://late.example/pay/invoice");
    browser.wait_for("[name=password]");
}

#[test]
fn a_passkey_is_made_at_the_bank_and_pays() {
    let mut market = Market::new(Setup::default());
    market.make_account("bob", "EUR", 20_000_000);
    market.add_bank("late.example", BANK);
    market.add_shop("shop.example", "The Shop");
    market.banks["late.example"].add_customer("bob", "prepaid", "bob", "correct horse");
    market.wait_for_methods("shop.example", &["Village Savings"]);
    let host = market.customer_host(0);
    let mut browser = Browser::start(&market.internet, host, &market.scratch, "passkey", FULL);
    let device = browser.add_authenticator();

    // Nobody has one yet: it says so, and the password is still asked for.
    order(&browser);
    look(&mut browser, "two-ways");
    browser.click(&browser.wait_for("#pay-passkey"));
    browser.wait_for_text("That did not work, and nothing was charged");
    browser.click_text("a", "Make a passkey for the next time");

    browser.wait_for_url("https://late.example/pay/passkeys");
    look(&mut browser, "who");
    browser.fill("account", "bob");
    browser.fill("password", "wrong horse");
    browser.click(&browser.wait_for("button[type=submit]"));
    browser.wait_for_text("That is not right");
    browser.fill("account", "bob");
    browser.fill("password", "correct horse");
    browser.click(&browser.wait_for("button[type=submit]"));
    let make = browser.wait_for("#make-passkey");
    look(&mut browser, "make");
    browser.click(&make);
    browser.wait_for("#made");
    look(&mut browser, "made");
    assert_eq!(browser.passkeys(&device), 1);
    assert_eq!(market.balance("bob"), 20_000_000);

    // Twice, for its counter goes on; no password is typed.
    for left in [17_500_000, 15_000_000] {
        order(&browser);
        browser.click(&browser.wait_for("#pay-passkey"));
        browser.wait_for_url("https://late.example/pay/receipts/");
        browser.wait_for("[data-state=acknowledged]");
        let _ = browser.picture("receipt");
        assert_eq!(market.balance("bob"), left);
    }
    drop(browser);

    // Without scripts there is the password alone.
    let browser = Browser::start(&market.internet, host, &market.scratch, "no-passkey", PLAIN);
    order(&browser);
    assert!(!browser.text().contains("passkey"), "{}", browser.text());
    browser.fill("account", "bob");
    browser.fill("password", "correct horse");
    browser.click(&browser.wait_for("#pay"));
    browser.wait_for("[data-state=acknowledged]");
    assert_eq!(market.balance("bob"), 12_500_000);
}
