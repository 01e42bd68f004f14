//! The tariff TLV: the examples of docs/tariff-tlv.md both ways, every cut, and what other operators write.

use proptest::prelude::*;
use tollwire_smpp::tariff::{
    Advice, Format, HIGHEST_AMOUNT_MICRO, LONGEST_ACCOUNT, Payer, Price, TariffError, read, write,
};

const EUR: [u8; 3] = *b"EUR";

fn price(amount_micro: i64, payer: Payer) -> Advice {
    Advice {
        price: Price::Direct {
            amount_micro,
            currency: EUR,
        },
        payer,
    }
}

/// The examples of the documentation.
fn vectors() -> Vec<(&'static [u8], Advice)> {
    vec![
        (
            b"\x01\x00\x00\x00\x00\x00\x00\x02\xe6\x30EUR\x00",
            price(190_000, Payer::Receiver),
        ),
        (
            b"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00EUR\x01",
            price(0, Payer::Sender),
        ),
        (
            b"\x01\x01\x00\x07\x02advertiser",
            Advice {
                price: Price::Class(7),
                payer: Payer::ThirdParty("advertiser".into()),
            },
        ),
    ]
}

#[test]
fn the_documented_examples_both_ways() {
    for (octets, advice) in vectors() {
        assert_eq!(read(&Format::Native, octets), Ok(advice.clone()));
        assert_eq!(write(&advice), octets);
    }
    let document = include_str!("../../../docs/tariff-tlv.md");
    for (octets, _) in vectors() {
        let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let plain: String = document.chars().filter(|one| *one != ' ').collect();
        assert!(plain.contains(&hex), "{hex} is not in docs/tariff-tlv.md");
    }
}

#[test]
fn every_cut_and_every_extra_octet_is_an_error() {
    for (octets, advice) in vectors() {
        for length in 0..octets.len() {
            let result = read(&Format::Native, &octets[..length]);
            // A shorter account is another account: nothing in the value says how long it is.
            match (&advice.payer, result) {
                (Payer::ThirdParty(_), Ok(cut)) => {
                    assert!(length > 5);
                    assert_ne!(cut, advice);
                }
                (_, result) => assert!(result.is_err(), "{length}"),
            }
        }
        if !matches!(advice.payer, Payer::ThirdParty(_)) {
            let longer = [octets, &[0]].concat();
            assert_eq!(read(&Format::Native, &longer), Err(TariffError::Trailing));
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let native = |octets: &[u8]| read(&Format::Native, octets);
    let with = |at: usize, octet: u8| {
        let mut octets = vectors()[0].0.to_vec();
        octets[at] = octet;
        native(&octets)
    };
    assert_eq!(with(0, 2), Err(TariffError::Version(2)));
    assert_eq!(with(1, 2), Err(TariffError::Kind(2)));
    assert_eq!(with(2, 0x80), Err(TariffError::Amount));
    assert_eq!(with(2, 0x7F), Err(TariffError::Amount));
    assert_eq!(with(10, b'e'), Err(TariffError::Currency));
    assert_eq!(with(13, 3), Err(TariffError::Payer(3)));
    assert_eq!(native(b"\x01\x01\x00\x07\x02"), Err(TariffError::Account));
    assert_eq!(
        native(b"\x01\x01\x00\x07\x02\xff"),
        Err(TariffError::Account)
    );
    assert_eq!(
        native(b"\x01\x01\x00\x07\x02a\nb"),
        Err(TariffError::Account)
    );
    let long = [b"\x01\x01\x00\x07\x02".as_slice(), &[b'a'; 65]].concat();
    assert_eq!(native(&long), Err(TariffError::Account));
}

#[test]
fn plain_values_of_other_operators() {
    let cents = Format::AsciiPrice {
        currency: EUR,
        exponent: 2,
        payer: Payer::Receiver,
    };
    assert_eq!(read(&cents, b"25"), Ok(price(250_000, Payer::Receiver)));
    assert_eq!(
        read(&cents, b"0150\0"),
        Ok(price(1_500_000, Payer::Receiver))
    );
    for (wrong, error) in [
        (&b""[..], TariffError::Short),
        (b"\0", TariffError::Short),
        (b"ab", TariffError::Number),
        (b"-5", TariffError::Number),
        (b"1.50", TariffError::Number),
        (b"25\0\0", TariffError::Number),
        (b"999999999999999", TariffError::Amount),
        (b"1234567890123456", TariffError::Amount),
    ] {
        assert_eq!(read(&cents, wrong), Err(error), "{wrong:?}");
    }
    let class = |number, payer| Advice {
        price: Price::Class(number),
        payer,
    };
    let ascii = Format::AsciiClass {
        payer: Payer::Sender,
    };
    assert_eq!(read(&ascii, b"12"), Ok(class(12, Payer::Sender)));
    assert_eq!(read(&ascii, b"65536"), Err(TariffError::Number));
    let integer = |width| Format::IntegerClass {
        width,
        payer: Payer::Sender,
    };
    assert_eq!(read(&integer(1), b"\x07"), Ok(class(7, Payer::Sender)));
    assert_eq!(
        read(&integer(2), b"\x01\x2c"),
        Ok(class(300, Payer::Sender))
    );
    assert_eq!(
        read(&integer(4), b"\0\0\x01\x2c"),
        Ok(class(300, Payer::Sender))
    );
    assert_eq!(read(&integer(4), b"\0\x01\0\0"), Err(TariffError::Number));
    assert_eq!(read(&integer(2), b"\x01"), Err(TariffError::Short));
    assert_eq!(
        read(&integer(2), b"\x01\x02\x03"),
        Err(TariffError::Trailing)
    );
    let identification = Format::BillingIdentification {
        billing_format: 0x80,
    };
    let (octets, advice) = vectors().remove(0);
    let value = [&[0x80], octets].concat();
    assert_eq!(read(&identification, &value), Ok(advice));
    assert_eq!(
        read(&identification, octets),
        Err(TariffError::BillingFormat(1))
    );
    assert_eq!(read(&identification, b""), Err(TariffError::Short));
}

fn payer() -> impl Strategy<Value = Payer> {
    prop_oneof![
        Just(Payer::Receiver),
        Just(Payer::Sender),
        "[a-zA-Z0-9+@.ü-]{1,20}".prop_map(|account| Payer::ThirdParty(account.into())),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        amount in 0..=HIGHEST_AMOUNT_MICRO, currency in "[A-Z]{3}", class: Option<u16>, payer in payer(),
    ) {
        let currency = *currency.as_bytes().first_chunk().unwrap();
        let price = class.map_or(Price::Direct { amount_micro: amount, currency }, Price::Class);
        let advice = Advice { price, payer };
        prop_assert_eq!(read(&Format::Native, &write(&advice)), Ok(advice));
    }

    #[test]
    fn what_is_read_is_written_the_same(value in proptest::collection::vec(any::<u8>(), 0..90)) {
        if let Ok(advice) = read(&Format::Native, &value) {
            prop_assert_eq!(write(&advice), value);
        }
    }

    #[test]
    fn nearly_right_values_too(
        mut value in Just(vectors()[2].0.to_vec()), at in 0usize..15, octet: u8, account in "[a-z]{0,70}",
    ) {
        value.extend_from_slice(account.as_bytes());
        value[at] = octet;
        if let Ok(advice) = read(&Format::Native, &value) {
            if let Payer::ThirdParty(account) = &advice.payer {
                prop_assert!((1..=LONGEST_ACCOUNT).contains(&account.len()));
            }
            prop_assert_eq!(write(&advice), value);
        }
    }
}
