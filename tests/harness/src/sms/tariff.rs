//! The tariff TLV as an application writes it (docs/tariff-tlv.md), by hand: in hexadecimal.

/// A direct price that the receiver pays.
#[must_use]
pub fn direct_price(amount_micro: i64, currency: &str) -> String {
    price(amount_micro, currency, "receiver")
}

/// A direct price, paid by `receiver`, `sender`, or the account of another name.
#[must_use]
pub fn price(amount_micro: i64, currency: &str, payer: &str) -> String {
    let mut octets = vec![1, 0];
    octets.extend(amount_micro.to_be_bytes());
    octets.extend(currency.as_bytes());
    octets.extend(object_of_billing(payer));
    hex::encode(octets)
}

/// A tariff class, paid likewise.
#[must_use]
pub fn class(number: u16, payer: &str) -> String {
    let mut octets = vec![1, 1];
    octets.extend(number.to_be_bytes());
    octets.extend(object_of_billing(payer));
    hex::encode(octets)
}

fn object_of_billing(payer: &str) -> Vec<u8> {
    match payer {
        "receiver" => vec![0],
        "sender" => vec![1],
        account => [&[2], account.as_bytes()].concat(),
    }
}
