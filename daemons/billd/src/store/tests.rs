use rusqlite::Connection;
use tollwire_jose::SigningKey;

use super::*;
use crate::checks::{Checked, Refusal};
use crate::core::fixture;

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    for step in MIGRATIONS {
        connection.execute_batch(step).unwrap();
    }
    connection
}

#[test]
fn a_payment_comes_back_as_it_was_stored() {
    let connection = database();
    for order in [fixture::order(1, "ada"), fixture::handed_on(2)] {
        let Begun::Stored(stored) = begin(&connection, &order, 5).unwrap() else {
            panic!("it is new");
        };
        assert_eq!(stored.order, order);
        assert_eq!(
            of_token(&connection, &order.token).unwrap(),
            Some(*stored.clone())
        );
        assert_eq!(
            of_id(&connection, order.id.as_str()).unwrap(),
            Some(*stored.clone())
        );
        assert_eq!(begin(&connection, &order, 6).unwrap(), Begun::Known(stored));
    }
    let onward = of_onward(&connection, "onward-2").unwrap().unwrap();
    let collected = Change::Collected {
        until: 99,
        attempt: 1,
    };
    change(&connection, &onward.order.id, &collected, 7).unwrap();
    let onward = of_onward(&connection, "onward-2").unwrap().unwrap();
    assert_eq!((onward.state, onward.attempt), (State::Charging, 1));
    assert_eq!(onward.order.onward.unwrap().acknowledged_until, 99);
    assert_eq!(open(&connection).unwrap().len(), 2);
}

#[test]
fn what_is_not_there_does_not_change_and_what_is_paid_has_its_acknowledgement() {
    let connection = database();
    let order = fixture::order(1, "ada");
    let to_paid = Change::To {
        state: State::Paid,
        cause: 0,
    };
    assert!(change(&connection, &order.id, &to_paid, 1).is_err());
    begin(&connection, &order, 1).unwrap();
    assert!(change(&connection, &order.id, &to_paid, 1).is_err());
}

#[test]
fn only_what_is_over_is_forgotten() {
    let connection = database();
    for (number, state) in [
        (1, State::Charging),
        (2, State::Refused),
        (3, State::Refunding),
        (4, State::Refunded),
    ] {
        let order = fixture::order(number, "ada");
        begin(&connection, &order, 1).unwrap();
        let to = Change::To { state, cause: 7 };
        change(&connection, &order.id, &to, 10).unwrap();
    }
    begin(&connection, &fixture::handed_on(5), 1).unwrap();
    assert_eq!(forget(&connection, FORWARDED_MS, 10).unwrap(), 0);
    assert_eq!(forget(&connection, FORWARDED_MS, 11).unwrap(), 2);
    assert_eq!(forget(&connection, FORWARDED_MS + 2, 11).unwrap(), 1);
    let left = list(&connection, None, 10).unwrap();
    assert_eq!(left.len(), 2);
    let charging = list(&connection, Some(State::Charging), 10).unwrap();
    assert_eq!(
        (charging.len(), charging[0].amount_micro),
        (1, fixture::PRICE)
    );
}

#[test]
fn only_so_many_wait_for_other_servers() {
    let connection = database();
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                INSERT INTO payments (id, token, invoice, shop_key, reference, provider, fee_micro, amount_micro, currency, \
                login, account, state, attempt, cause, created_ms, changed_ms) \
                SELECT i, i, '{}', 'k', i, 'p', 0, 1, 'EUR', 'l', 'a', 'forwarded', 0, 0, 0, 0 FROM n";
    connection.execute(many, [MOST_FORWARDED - 1]).unwrap();
    let last = fixture::handed_on(1);
    assert!(matches!(begin(&connection, &last, 1), Ok(Begun::Stored(_))));
    assert_eq!(
        begin(&connection, &fixture::handed_on(2), 1),
        Ok(Begun::Full)
    );
    assert!(matches!(begin(&connection, &last, 1), Ok(Begun::Known(_))));
    assert!(matches!(
        begin(&connection, &fixture::order(3, "ada"), 1),
        Ok(Begun::Stored(_))
    ));
}

#[test]
fn customers_come_and_go() {
    let connection = database();
    let customer = Customer {
        payer: Payer {
            login: "+49301234".into(),
            subscription: Subscription::Number("+49301234".into()),
            rating_group: None,
        },
        kind: Kind::PhoneBill,
        secret_hash: "hash".into(),
        blocked: false,
        created_ms: 1,
    };
    assert!(customer.add(&connection).unwrap());
    assert!(!customer.add(&connection).unwrap());
    let find = || Customer::find(&connection, "+49301234").unwrap();
    assert_eq!(find(), Some(customer.clone()));
    assert!(Customer::set_blocked(&connection, "+49301234", true).unwrap());
    assert!(Customer::set_secret(&connection, "+49301234", "other").unwrap());
    let found = find().unwrap();
    assert!(found.blocked && &*found.secret_hash == "other");
    assert!(!format!("{found:?}").contains("other"));
    let listed = serde_json::to_string(&Customer::list(&connection).unwrap()).unwrap();
    assert!(!listed.contains("other"), "{listed}");
    assert!(Customer::remove(&connection, "+49301234").unwrap());
    assert!(!Customer::remove(&connection, "+49301234").unwrap());
    assert_eq!(find(), None);
}

/// What `change` makes of an invoice, signed by `key`, and looked at.
fn checked(
    settings: &crate::settings::Settings,
    key: &SigningKey,
    change: impl FnOnce(&mut tollwire_invoice::Invoice),
) -> Result<Checked, Refusal> {
    let mut invoice = (*fixture::order(1, "ada").invoice).clone();
    invoice.aud = settings.thumbprint.to_string();
    change(&mut invoice);
    settings.check(&invoice.sign(key).unwrap(), fixture::T0 + 10)
}

#[test]
fn an_invoice_is_looked_at_before_anything_else() {
    let mut settings = (*fixture::settings()).clone();
    settings.minimum_micro = 1_000_000;
    settings.maximum_micro = 5_000_000;
    let key = SigningKey::generate_ed25519().unwrap();
    let thumbprint = key.public().thumbprint();
    let good = checked(&settings, &key, |_| ()).unwrap();
    assert_eq!(&*good.settlement, format!("key:{thumbprint}"));
    assert_eq!((&*good.provider, good.agreed), ("Shop", false));
    assert_eq!(good.fee_micro, 49_750);
    assert_eq!(
        checked(&settings, &key, |it| it.amount_micro = 999_999),
        Err(Refusal::TooSmall(1_000_000, iso_currency::Currency::EUR))
    );
    assert_eq!(
        checked(&settings, &key, |it| it.amount_micro = 5_000_001),
        Err(Refusal::TooLarge(5_000_000, iso_currency::Currency::EUR))
    );
    assert_eq!(
        checked(&settings, &key, |it| it.currency =
            iso_currency::Currency::USD),
        Err(Refusal::Currency(iso_currency::Currency::USD))
    );
    for (refused, what) in [
        (
            checked(&settings, &key, |it| it.aud = "B".repeat(43)),
            "another server's",
        ),
        (
            checked(&settings, &key, |it| it.exp = fixture::T0 + 5),
            "too old",
        ),
        (
            checked(&settings, &key, |it| it.iat = fixture::T0 + 900),
            "of the future",
        ),
        (
            checked(&settings, &key, |it| {
                it.via = vec![settings.thumbprint.to_string()]
            }),
            "in a circle",
        ),
    ] {
        assert!(matches!(refused, Err(Refusal::Invoice(_))), "{what}");
    }
    let mut invoice = (*fixture::order(1, "ada").invoice).clone();
    invoice.aud = settings.thumbprint.to_string();
    let token = invoice.sign(&key).unwrap();
    let mut altered = token.clone().into_bytes();
    let at = altered.len() / 2;
    altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    for wrong in ["", "a.b.c", altered.as_str(), &"x".repeat(20_000)] {
        assert!(settings.check(wrong, fixture::T0 + 10).is_err());
    }
}

#[test]
fn a_name_belongs_to_the_key_it_was_agreed_on_with() {
    let agreed = SigningKey::generate_ed25519().unwrap();
    let other = SigningKey::generate_p256().unwrap();
    let mut settings = (*fixture::settings()).clone();
    settings.agreements = crate::settings::Agreements::new([crate::settings::Agreement {
        name: "Shop of Example".into(),
        key: agreed.public().thumbprint().into(),
        fee: Some(tollwire_invoice::Fee {
            basis_points: 100,
            fixed_micro: 0,
        }),
    }])
    .unwrap();
    let good = checked(&settings, &agreed, |_| ()).unwrap();
    assert_eq!((&*good.settlement, good.agreed), ("Shop of Example", true));
    assert_eq!(good.fee_micro, 19_900);
    assert!(checked(&settings, &other, |_| ()).is_ok());
    for name in ["Shop of Example", " shop OF example "] {
        let claimed = checked(&settings, &other, |it| it.provider = name.into());
        assert_eq!(claimed, Err(Refusal::Name(name.into())));
    }
    settings.agreement_required = true;
    let refused = checked(&settings, &other, |_| ());
    assert!(matches!(refused, Err(Refusal::NoAgreement(_))));
    assert!(checked(&settings, &agreed, |_| ()).is_ok());
}
