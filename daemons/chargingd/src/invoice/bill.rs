//! From the entries of one customer to his invoice.

use std::collections::BTreeMap;

use iso_currency::Currency;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::money::{Overflow, Running, Sum, contained_tax, minor, minor_unit, narrow};
use super::period::{Month, date};
use super::{Amounts, Invoice, Issuer, Late, Line, Other, Payment, Statement, Tax};
use crate::ledger::About;

/// Payments that are listed one by one; more are one line.
const LISTED_PAYMENTS: usize = 500;

/// One entry of the ledger as the customer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What stands on the other side.
    pub side: Side,
    /// What it adds to what the customer owes, micro-units.
    pub owed_micro: i64,
    /// When, milliseconds since 1970.
    pub unix_ms: i64,
    /// The entry's key.
    pub key: Box<str>,
    /// What it pays for.
    pub about: About,
}

/// The other side of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// What customers spend.
    Revenue,
    /// What they pay in.
    Cash,
    /// Anything else, by name.
    Other(Box<str>),
}

impl Side {
    /// Of the account of this name.
    pub fn of(account: &str) -> Self {
        match account.split_once(':') {
            Some(("@revenue", _)) => Self::Revenue,
            Some(("@cash", _)) => Self::Cash,
            _ => Self::Other(account.into()),
        }
    }
}

/// What an invoice says besides its entries.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its number; none on a preview.
    pub number: Option<Box<str>>,
    /// The month.
    pub period: Month,
    /// Who pays.
    pub account: Box<str>,
    /// Name and address.
    pub customer: Box<str>,
    /// His language.
    pub language: Box<str>,
    /// Who sends it.
    pub issuer: Issuer,
    /// Of all sums.
    pub currency: Currency,
    /// The zone's name.
    pub time_zone: Box<str>,
    /// The zone.
    pub zone: TimeZone,
    /// Where the last invoice ended, milliseconds since 1970; none before the first.
    pub from_unix_ms: Option<i64>,
    /// Where this one ends.
    pub until_unix_ms: i64,
    /// What was owed before, micro-units.
    pub opening_micro: i64,
    /// Day of the invoice.
    pub issued: Date,
    /// Day by which to pay.
    pub due: Date,
    /// The largest entry id that counts.
    pub through: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    tax_basis_points: u16,
    provider: Box<str>,
    service: Box<str>,
    refund: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Group {
    count: u64,
    micro: i128,
}

impl Group {
    fn add(&mut self, micro: i64) {
        self.count += 1;
        self.micro += i128::from(micro);
    }
}

/// Collects the entries of one customer in one period. It grows with the services that he used, not with how often.
#[derive(Debug, Default)]
pub struct Bill {
    bought: BTreeMap<Kind, Group>,
    payments: Vec<(i64, Box<str>, i64)>,
    more_payments: Option<(i64, Group)>,
    others: BTreeMap<Box<str>, Group>,
    late: Group,
    first_unix_ms: Option<i64>,
    entries: u64,
}

impl Bill {
    /// One more. `from_unix_ms` is where the last invoice ended: what is dated before it comes late.
    pub fn add(&mut self, item: Item, from_unix_ms: Option<i64>) {
        self.entries += 1;
        let first = self.first_unix_ms.get_or_insert(item.unix_ms);
        *first = item.unix_ms.min(*first);
        match item.side {
            Side::Revenue => {
                if from_unix_ms.is_some_and(|from| item.unix_ms < from) {
                    self.late.add(item.owed_micro);
                }
                let kind = Kind {
                    tax_basis_points: item.about.tax_basis_points,
                    provider: item.about.provider,
                    service: item.about.service,
                    refund: item.owed_micro < 0,
                };
                self.bought.entry(kind).or_default().add(item.owed_micro);
            }
            Side::Cash if self.payments.len() < LISTED_PAYMENTS => {
                self.payments
                    .push((item.unix_ms, item.key, item.owed_micro));
            }
            Side::Cash => {
                let (last, group) = self.more_payments.get_or_insert_default();
                *last = item.unix_ms;
                group.add(item.owed_micro);
            }
            Side::Other(account) => self.others.entry(account).or_default().add(item.owed_micro),
        }
    }

    /// Whether there was nothing.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The invoice.
    ///
    /// # Errors
    /// A sum does not fit into 64 bits.
    pub fn invoice(self, frame: Frame) -> Result<Invoice, Overflow> {
        let currency = frame.currency;
        let (lines, taxes, total) = priced(self.bought, currency)?;
        let payments = payments(self.payments, self.more_payments, &frame)?;
        let mut others = Vec::with_capacity(self.others.len());
        for (account, group) in self.others {
            others.push(Other {
                account,
                count: group.count,
                amount: Sum::rounded(group.micro, currency)?,
            });
        }
        let opening = Sum::rounded(frame.opening_micro.into(), currency)?;
        let mut paid = Sum::default();
        for payment in &payments {
            paid = paid.plus(payment.amount)?;
        }
        let mut other = Sum::default();
        for one in &others {
            other = other.plus(one.amount)?;
        }
        let shown = opening.plus(total.gross)?.minus(paid)?.plus(other)?;
        let owed = i128::from(shown.micro);
        let due = minor(owed, currency);
        let statement = Statement {
            opening,
            charges: total.gross,
            payments: paid,
            others: other,
            rounding_minor: narrow(due - i128::from(shown.minor))?,
            due_minor: narrow(due)?,
            carried_micro: narrow(owed - due * minor_unit(currency))?,
            closing_micro: shown.micro,
        };
        Ok(Invoice {
            from: first_day(&frame, self.first_unix_ms),
            to: frame.period.last_day(),
            number: frame.number,
            period: frame.period,
            account: frame.account,
            customer: frame.customer,
            language: frame.language,
            issuer: frame.issuer,
            currency,
            time_zone: frame.time_zone,
            until_unix_ms: frame.until_unix_ms,
            issued: frame.issued,
            due: frame.due,
            lines,
            taxes,
            total,
            late: Late {
                count: self.late.count,
                gross_micro: narrow(self.late.micro)?,
            },
            payments,
            others,
            statement,
            entries: self.entries,
            through: frame.through,
        })
    }
}

/// The day after the last invoice; for a first one the month's first, or the day of the first entry before it.
fn first_day(frame: &Frame, first_unix_ms: Option<i64>) -> Date {
    if let Some(from) = frame.from_unix_ms.and_then(|from| date(from, &frame.zone)) {
        return from;
    }
    let first = frame.period.first_day();
    let earliest = first_unix_ms.and_then(|first| date(first, &frame.zone));
    earliest.map_or(first, |earliest| earliest.min(first))
}

/// Lines, sums per rate, and their total. `bought` is sorted by rate: tax is rounded once per rate, and what is printed
/// once in all.
fn priced(
    bought: BTreeMap<Kind, Group>,
    currency: Currency,
) -> Result<(Vec<Line>, Vec<Tax>, Amounts), Overflow> {
    let mut lines = Vec::with_capacity(bought.len());
    let mut taxes: Vec<Tax> = Vec::new();
    let mut total = Amounts::default();
    let to_minor = |micro| minor(micro, currency);
    let mut gross_minor = Running::default();
    let (mut tax_micro, mut tax_minor) = (Running::default(), Running::default());
    for (kind, group) in bought {
        let rate = kind.tax_basis_points;
        if taxes.last().is_none_or(|tax| tax.basis_points != rate) {
            taxes.push(Tax {
                basis_points: rate,
                amounts: Amounts::default(),
            });
            tax_micro = Running::default();
            tax_minor = Running::default();
        }
        let contained = tax_micro.share(group.micro, |gross| contained_tax(gross, rate));
        let gross = Sum {
            micro: narrow(group.micro)?,
            minor: narrow(gross_minor.share(group.micro, to_minor))?,
        };
        let tax = Sum {
            micro: narrow(contained)?,
            minor: narrow(tax_minor.share(contained, to_minor))?,
        };
        let amounts = Amounts {
            net: gross.minus(tax)?,
            tax,
            gross,
        };
        if let Some(tax) = taxes.last_mut() {
            tax.amounts = tax.amounts.plus(amounts)?;
        }
        total = total.plus(amounts)?;
        lines.push(Line {
            service: kind.service,
            provider: kind.provider,
            refund: kind.refund,
            tax_basis_points: rate,
            count: group.count,
            amounts,
        });
    }
    lines.sort_by(|one, other| {
        let key = |line: &Line| (line.provider.clone(), line.service.clone());
        key(one).cmp(&key(other))
    });
    Ok((lines, taxes, total))
}

fn payments(
    listed: Vec<(i64, Box<str>, i64)>,
    more: Option<(i64, Group)>,
    frame: &Frame,
) -> Result<Vec<Payment>, Overflow> {
    let day = |unix_ms| date(unix_ms, &frame.zone).unwrap_or(frame.issued);
    let mut payments = Vec::with_capacity(listed.len() + 1);
    for (unix_ms, key, owed_micro) in listed {
        // The core names a payment `top-up ACCOUNT REFERENCE`.
        let named = key
            .strip_prefix("top-up ")
            .and_then(|key| key.split_once(' '));
        payments.push(Payment {
            date: day(unix_ms),
            reference: named.map_or(&*key, |(_, reference)| reference).into(),
            count: 1,
            amount: Sum::rounded(-i128::from(owed_micro), frame.currency)?,
        });
    }
    if let Some((unix_ms, group)) = more {
        payments.push(Payment {
            date: day(unix_ms),
            reference: "".into(),
            count: group.count,
            amount: Sum::rounded(-group.micro, frame.currency)?,
        });
    }
    Ok(payments)
}

impl Amounts {
    fn plus(self, other: Self) -> Result<Self, Overflow> {
        Ok(Self {
            net: self.net.plus(other.net)?,
            tax: self.tax.plus(other.tax)?,
            gross: self.gross.plus(other.gross)?,
        })
    }
}
