//! Invoices, acknowledgements, advertisements and forms: both ways, and each way that they are refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use iso_currency::Currency;
use proptest::prelude::*;
use serde_json::json;
use tollwire_invoice::{
    AccountType, Acknowledgement, Awaited, BillingServer, Fee, Form, FormType, InputType, Invoice,
    Received, Refusal, Settles,
};
use tollwire_jose::{JoseError, SigningKey, sign};

const NOW: i64 = 1_790_000_000;

fn invoice(billing: &SigningKey) -> Invoice {
    Invoice {
        iss: "https://shop.example".into(),
        aud: billing.public().thumbprint(),
        provider: "shop.example".into(),
        reference: "Zm9vYmFyZm9vYmFyZm9vYg".into(),
        provider_reference: "order 17".into(),
        title: "A song".into(),
        amount_micro: 990_000,
        currency: Currency::EUR,
        tax_basis_points: 1900,
        acknowledgement_url: "https://shop.example/acknowledgements".into(),
        service_url: "https://shop.example/orders/abc".into(),
        iat: NOW,
        exp: NOW + 900,
        via: Vec::new(),
    }
}

struct Keys {
    shop: SigningKey,
    billing: SigningKey,
}

fn keys() -> Keys {
    Keys {
        shop: SigningKey::generate_ed25519().unwrap(),
        billing: SigningKey::generate_p256().unwrap(),
    }
}

fn received(keys: &Keys) -> Received {
    let token = invoice(&keys.billing).sign(&keys.shop).unwrap();
    Invoice::read(&token, &keys.billing.public().thumbprint(), NOW + 1).unwrap()
}

#[test]
fn an_invoice_is_read_as_it_was_written_and_its_amount_cannot_change() {
    let keys = keys();
    let received = received(&keys);
    assert_eq!(received.invoice, invoice(&keys.billing));
    assert_eq!(&received.key, keys.shop.public());
    // Whoever signs another amount is another provider.
    let mut cheap = invoice(&keys.billing);
    cheap.amount_micro = 1;
    let forged = cheap
        .sign(&SigningKey::generate_ed25519().unwrap())
        .unwrap();
    let forged = Invoice::read(&forged, &keys.billing.public().thumbprint(), NOW).unwrap();
    assert_ne!(&forged.key, keys.shop.public());
    assert_ne!(forged.digest, received.digest);
}

#[test]
fn invoices_that_are_not_taken() {
    let keys = keys();
    let own = keys.billing.public().thumbprint();
    let change = |change: &dyn Fn(&mut Invoice)| {
        let mut changed = invoice(&keys.billing);
        change(&mut changed);
        // Past the writer's own check.
        let token = sign(&keys.shop, "invoice+jwt", &changed, true).unwrap();
        Invoice::read(&token, &own, NOW).unwrap_err()
    };
    let field = |refusal: Refusal| match refusal {
        Refusal::Field { field, .. } => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(change(&|it| it.amount_micro = 0)), "amount_micro");
    assert_eq!(field(change(&|it| it.amount_micro = -5)), "amount_micro");
    assert_eq!(
        field(change(&|it| it.amount_micro = i64::MAX)),
        "amount_micro"
    );
    assert_eq!(
        field(change(&|it| it.iss = "http://shop.example".into())),
        "iss"
    );
    assert_eq!(
        field(change(&|it| it.service_url = "https://evil.example/".into())),
        "service_url"
    );
    assert_eq!(
        field(change(&|it| it.service_url = "javascript:alert(1)".into())),
        "service_url"
    );
    assert_eq!(
        field(change(
            &|it| it.acknowledgement_url = "https://shop.example:444/".into()
        )),
        "acknowledgement_url"
    );
    assert_eq!(
        field(change(
            &|it| it.acknowledgement_url = "https://u:p@shop.example/".into()
        )),
        "acknowledgement_url"
    );
    assert_eq!(
        field(change(&|it| it.reference = "short".into())),
        "reference"
    );
    assert_eq!(
        field(change(
            &|it| it.reference = "../../../../../../../../x".into()
        )),
        "reference"
    );
    assert_eq!(field(change(&|it| it.title = "a\u{7}b".into())), "title");
    assert_eq!(
        field(change(&|it| it.provider = "x".repeat(3000))),
        "provider"
    );
    assert_eq!(field(change(&|it| it.exp = it.iat + 8 * 86_400)), "exp");
    assert_eq!(field(change(&|it| it.exp = it.iat)), "exp");
    assert_eq!(field(change(&|it| it.iat = i64::MIN)), "exp");
    assert_eq!(field(change(&|it| it.via = vec!["x".into()])), "aud");
    assert_eq!(change(&|it| it.via = vec![own.clone()]), Refusal::Loop);
    assert_eq!(
        change(&|it| it.via = vec![keys.shop.public().thumbprint(); 5]),
        Refusal::Loop
    );
    assert_eq!(
        change(&|it| it.aud = keys.shop.public().thumbprint()),
        Refusal::Audience
    );
    assert_eq!(change(&|it| it.iat = NOW + 100), Refusal::NotYet);
    assert_eq!(
        change(&|it| {
            it.iat = NOW - 100;
            it.exp = NOW;
        }),
        Refusal::Expired
    );
    // An acknowledgement is no invoice, whoever signed it.
    let other = sign(
        &keys.shop,
        "acknowledgement+jwt",
        &invoice(&keys.billing),
        true,
    )
    .unwrap();
    assert!(matches!(
        Invoice::read(&other, &own, NOW),
        Err(Refusal::Token(JoseError::Type { .. }))
    ));
}

#[test]
fn an_acknowledgement_is_of_one_invoice_by_one_server_in_time() {
    let keys = keys();
    let received = received(&keys);
    let told = Acknowledgement::of(
        (&received.invoice, &received.digest),
        "https://bank.example/pay",
        "1",
        NOW + 5,
        NOW + 5 + 86_400,
    );
    let awaited = Awaited {
        invoice: &received.invoice,
        digest: &received.digest,
        key: keys.billing.public(),
    };
    let token = told.sign(&keys.billing).unwrap();
    assert_eq!(awaited.check(&token, NOW + 10).unwrap(), told);
    assert!(!token.contains("alice"));

    let change = |change: &dyn Fn(&mut Acknowledgement)| {
        let mut changed = told.clone();
        change(&mut changed);
        awaited
            .check(&changed.sign(&keys.billing).unwrap(), NOW + 10)
            .unwrap_err()
    };
    assert_eq!(
        change(&|it| it.amount_micro = 1),
        Refusal::Mismatch("amount_micro")
    );
    assert_eq!(
        change(&|it| it.currency = Currency::JPY),
        Refusal::Mismatch("currency")
    );
    assert_eq!(
        change(&|it| it.reference.push('x')),
        Refusal::Mismatch("reference")
    );
    assert_eq!(
        change(&|it| it.invoice.clear()),
        Refusal::Mismatch("invoice")
    );
    assert_eq!(
        change(&|it| it.provider.push('x')),
        Refusal::Mismatch("provider")
    );
    assert_eq!(
        change(&|it| it.provider_reference.push('x')),
        Refusal::Mismatch("provider_reference")
    );
    assert_eq!(
        change(&|it| it.aud = "https://other.example".into()),
        Refusal::Audience
    );
    assert_eq!(change(&|it| it.exp = NOW + 10), Refusal::Expired);
    assert_eq!(change(&|it| it.iat = NOW + 1000), Refusal::NotYet);
    assert!(matches!(
        change(&|it| it.paid_at = NOW + 1000),
        Refusal::Field {
            field: "paid_at",
            ..
        }
    ));
    assert!(matches!(
        change(&|it| it.jti.clear()),
        Refusal::Field { field: "jti", .. }
    ));
    // Another server's signature, and the shop's own.
    for other in [
        SigningKey::generate_p256().unwrap(),
        SigningKey::generate_ed25519().unwrap(),
    ] {
        assert!(matches!(
            awaited.check(&told.sign(&other).unwrap(), NOW + 10),
            Err(Refusal::Token(
                JoseError::Signature | JoseError::Algorithm(_)
            ))
        ));
        let wrong = Awaited {
            key: other.public(),
            ..awaited.clone()
        };
        assert_eq!(
            wrong.check(&told.sign(&other).unwrap(), NOW + 10),
            Err(Refusal::Mismatch("the key"))
        );
    }
}

const ATTRIBUTES: &str = "(name=Bank of Example),(protocol=https),(agreement-required=false),\
    (fee-basis-points=250),(fee-fixed-micro=100000),(currency=EUR,USD),\
    (invoice-form-type=fields),(invoice-fields=account,pin),(account-type=prepaid,phone-bill),\
    (phone-prefixes=p491,p4930),(client-networks=192.0.2.0/24,2001:db8::/32),\
    (acknowledgement-key=NzbLsXh8uDCcd-6MNwXF4W-7noWXFZAfHkxZsRGC9Xs),(settles=self),(languages=en,de)";

fn server() -> BillingServer {
    BillingServer::read("service:billing:https://bank.example:8443/pay", ATTRIBUTES).unwrap()
}

#[test]
fn the_registration_of_the_documentation_is_read() {
    let server = server();
    assert_eq!(server.url, "https://bank.example:8443/pay");
    assert_eq!(
        server.fee,
        Fee {
            basis_points: 250,
            fixed_micro: 100_000
        }
    );
    assert_eq!(server.currencies, [Currency::EUR, Currency::USD]);
    assert_eq!(
        server.account_types,
        [AccountType::Prepaid, AccountType::PhoneBill]
    );
    assert_eq!(server.phone_prefixes, ["491", "4930"]);
    assert_eq!(server.client_networks.len(), 2);
    assert_eq!(server.settles, [Settles::Itself]);
    assert_eq!(
        server.acknowledgement_key_url,
        "https://bank.example:8443/pay/keys.json"
    );
    assert!(server.takes(1, Currency::EUR) && !server.takes(1, Currency::GBP));
    assert!(server.is_origin_of("https://bank.example:8443/else"));
    assert!(!server.is_origin_of("https://bank.example/pay"));
}

#[test]
fn advertisements_that_are_of_no_use() {
    let without = |tag: &str| {
        let rest: Vec<&str> = ATTRIBUTES
            .split("),")
            .filter(|it| !it.contains(tag))
            .collect();
        let list = rest.join("),");
        let list = if list.ends_with(')') {
            list
        } else {
            list + ")"
        };
        BillingServer::read("service:billing:https://bank.example", &list)
            .unwrap_err()
            .attribute
    };
    for tag in [
        "name",
        "agreement-required",
        "fee-basis-points",
        "currency",
        "acknowledgement-key",
        "invoice-form-type",
    ] {
        assert_eq!(without(&format!("({tag}")), tag);
    }
    for url in [
        "service:billing:http://bank.example",
        "service:printer:lpr://a",
        "https://bank.example",
        "service:billing:https://u@b.example",
    ] {
        assert_eq!(
            BillingServer::read(url, ATTRIBUTES).unwrap_err().attribute,
            "url",
            "{url}"
        );
    }
}

#[test]
fn a_form_is_made_of_attributes_or_fetched_and_leads_nowhere_else() {
    let server = server();
    let form = Form::of(&server);
    assert_eq!(form.action, "https://bank.example:8443/pay/pay");
    assert_eq!(form.form_type, FormType::Fields);
    let inputs: Vec<_> = form
        .fields
        .iter()
        .map(|it| (it.name.as_str(), it.input))
        .collect();
    assert_eq!(
        inputs,
        [("account", InputType::Text), ("pin", InputType::Password)]
    );
    let json = serde_json::to_vec(&form).unwrap();
    assert_eq!(Form::read(&json, &server).unwrap(), form);
    for broken in [
        json!({"action": "https://evil.example/pay"}),
        json!({"page": "javascript:alert(1)"}),
        json!({"fields": [{"name": "invoice", "label": "x", "type": "text"}]}),
        json!({"fields": [{"name": "a\" onfocus=\"x", "label": "x", "type": "text"}]}),
        json!({"fields": [{"name": "pin", "label": "x", "type": "text"}, {"name": "pin", "label": "y", "type": "text"}]}),
        json!({"fields": [{"name": "pin", "label": "x", "type": "file"}]}),
        json!({"fields": vec![json!({"name": "pin", "label": "x", "type": "text"}); 20]}),
    ] {
        let mut changed = serde_json::to_value(&form).unwrap();
        for (key, value) in broken.as_object().unwrap() {
            changed[key] = value.clone();
        }
        assert!(
            Form::read(changed.to_string().as_bytes(), &server).is_err(),
            "{broken}"
        );
    }
}

proptest! {
    #[test]
    fn an_advertisement_comes_back(
        name in "[ -~äöü€]{1,40}", points in 0u16..=10_000, fixed in 0i64..=2_147_483_647,
        agreement in any::<bool>(), operator in proptest::option::of("[A-Za-z(),\\\\!<>=~ ]{1,20}")
    ) {
        let folded = name.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assume!(!folded.is_empty());
        let operator = operator.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        let known = BillingServer {
            name: name.trim().to_owned(),
            agreement_required: agreement,
            fee: Fee { basis_points: points, fixed_micro: fixed },
            operator_name: operator,
            ..server()
        };
        let read = BillingServer::read(&known.service_url(), &known.to_attributes()).unwrap();
        prop_assert_eq!(read, known);
    }

    #[test]
    fn whatever_comes_is_answered(url in ".{0,60}", attributes in ".{0,200}", json in ".{0,200}") {
        let _ = BillingServer::read(&url, &attributes);
        let _ = Form::read(json.as_bytes(), &server());
        prop_assert!(Invoice::read(&json, "x", NOW).is_err());
    }
}
