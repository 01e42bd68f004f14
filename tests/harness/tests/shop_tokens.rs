//! The tokens of billing by discovery before somebody who has read nothing but their description: jwcrypto (PyPI).

use std::path::Path;

use tollwire_harness::process::run;
use tollwire_harness::shop::market::{BANK, Market, Setup};

#[test]
fn jwcrypto_makes_invoices_and_checks_acknowledgements() {
    let mut market = Market::new(Setup::default());
    market.make_account("alice", "EUR", 2_500_000);
    market.add_bank("bank.example", BANK);
    market.banks["bank.example"].add_customer("alice", "prepaid", "alice", "4711");
    let (certificate, key) = market.internet.certificate("books.example");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let host = market.host("books.example");
    for (algorithm, left) in [("EdDSA", 1_250_000), ("ES256", 0)] {
        let python = tests.join("../target/python/bin/python");
        let mut shop = market.internet.command(host, python);
        shop.arg(tests.join("netns/shop/tokens.py"))
            .args(["https://bank.example/pay", &host.ip.to_string()])
            .args([&certificate, &key, &market.internet.trust_file()])
            .args(["alice", "4711", algorithm]);
        let said = run(&mut shop);
        let expected = "key OKP thumbprint of 43\nform fields account,pin\naltered 422\nanother key 422\npaid 303\n\
            again 303 True\nacknowledged EdDSA True\nbound 12\nnot by another key\n";
        assert_eq!(said, expected);
        market.wait_for_settled("bank.example");
        assert_eq!(market.balance("alice"), left);
    }
}
