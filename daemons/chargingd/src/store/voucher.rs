//! Vouchers as rows.

use iso_currency::Currency;

use super::backend::{Cause, Row, Value};
use super::batch::Repeated;
use super::batch::Table;
use super::batch::Type::{Integer, Text};
use crate::voucher::{Batch, Redeemed, Voucher};

pub(super) static VOUCHER_BATCH: Table = Table {
    name: "voucher_batch",
    columns: &[
        ("name", Text),
        ("amount_micro", Integer),
        ("currency", Text),
        ("expires_unix_ms", Integer),
        ("issued_unix_ms", Integer),
        ("voided_unix_ms", Integer),
    ],
    repeated: Repeated::Replaced,
};

/// An account without a name has not redeemed it.
pub(super) static VOUCHER: Table = Table {
    name: "voucher",
    columns: &[
        ("hash", Text),
        ("batch", Text),
        ("account", Text),
        ("reference", Text),
        ("unix_ms", Integer),
    ],
    repeated: Repeated::Replaced,
};

/// Every batch.
pub(super) const BATCHES: &str = "SELECT name, amount_micro, currency, expires_unix_ms, issued_unix_ms, voided_unix_ms FROM voucher_batch";
/// Every voucher.
pub(super) const VOUCHERS: &str = "SELECT hash, batch, account, reference, unix_ms FROM voucher";

pub(super) fn batch_row(batch: &Batch) -> Vec<Value<'_>> {
    vec![
        (&*batch.name).into(),
        batch.amount_micro.into(),
        batch.currency.code().into(),
        batch.expires_unix_ms.into(),
        batch.issued_unix_ms.into(),
        batch.voided_unix_ms.unwrap_or(0).into(),
    ]
}

pub(super) fn row(voucher: &Voucher) -> Vec<Value<'_>> {
    let redeemed = voucher.redeemed.as_ref();
    vec![
        voucher.hash.to_string().into(),
        (&*voucher.batch).into(),
        redeemed.map_or("", |redeemed| &*redeemed.account).into(),
        redeemed.map_or("", |redeemed| &*redeemed.reference).into(),
        redeemed.map_or(0, |redeemed| redeemed.unix_ms).into(),
    ]
}

pub(super) fn read_batch(row: Row<'_>) -> Result<Batch, Cause> {
    let currency = row.text(2)?;
    Ok(Batch {
        name: row.text(0)?.into(),
        amount_micro: row.integer(1)?,
        currency: Currency::from_code(currency).ok_or_else(|| format!("no currency {currency}"))?,
        expires_unix_ms: row.integer(3)?,
        issued_unix_ms: row.integer(4)?,
        voided_unix_ms: Some(row.integer(5)?).filter(|at| *at != 0),
    })
}

pub(super) fn read(row: Row<'_>) -> Result<Voucher, Cause> {
    let account = row.text(2)?;
    Ok(Voucher {
        hash: row.text(0)?.parse()?,
        batch: row.text(1)?.into(),
        redeemed: match account.is_empty() {
            true => None,
            false => Some(Redeemed {
                account: account.into(),
                reference: row.text(3)?.into(),
                unix_ms: row.integer(4)?,
            }),
        },
    })
}
