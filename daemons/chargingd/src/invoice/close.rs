//! Closing a period.
//!
//! Which entries belong to a period is told by ids, for ids grow as entries are committed and dates may not. An entry is
//! of the first period whose `through`, the largest id when the period was closed, is no smaller than its id, and whose
//! end on the customer's wall is later than its date. So what is dated in a month that was closed before it was
//! committed is of the next one, what was committed before the closing and is dated after the month likewise, and
//! nothing is of two or of none.
//!
//! Invoices are stored in groups of some hundred while charging goes on, so that no transaction becomes long and no
//! memory full. They count for nothing until the one transaction that stores the period's row: whatever breaks off
//! before it leaves no trace that can be seen, and what is left is written over by the next attempt. Numbers are the
//! period's first number and a count, so that they have no gaps.

use std::collections::HashMap;

use iso_currency::Currency;
use jiff::ToSpan;
use jiff::civil::Date;

use super::bill::{Bill, Frame};
use super::money::{Overflow, minor};
use super::number::Pattern;
use super::period::{Month, date, zone};
use super::rows::{InvoiceRow, PeriodRow, Row, SettlementRow, id, month_number, month_of};
use super::settlement::{Heading, Shares};
use super::{Invoice, Issuer, Settlement};
use crate::account::Profile;
use crate::effect::Mutation;
use crate::store::{self, Cause, Customer, Last, Queries, Range};

/// Customers whose entries are read at a time.
const PAGE: u32 = 200;
/// After so many customers the log says how far it is.
const REPORT: u64 = 10_000;

/// What the operator has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How invoices are numbered.
    pub number: Pattern,
    /// The number of the very first one.
    pub first_number: i64,
    /// Days from the day of the invoice to the one by which to pay.
    pub due_days: u16,
    /// The operator's time zone: settlements end there.
    pub time_zone: Box<str>,
    /// Who sends invoices.
    pub issuer: Issuer,
}

/// Why a period was not closed, or a preview not made.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// It cannot be done; what to do instead.
    #[error("{0}")]
    Refused(String),
    /// The store does not answer, or does not store.
    #[error("{0}")]
    Store(Cause),
}

impl From<Cause> for CloseError {
    fn from(cause: Cause) -> Self {
        Self::Store(cause)
    }
}

impl From<Overflow> for CloseError {
    fn from(overflow: Overflow) -> Self {
        Self::Refused(overflow.to_string())
    }
}

/// Stores rows durably before it returns.
pub type Keep<'a> = dyn FnMut(Vec<Mutation>) -> Result<(), Cause> + 'a;

/// Closes `month` at `now`; gives its row. One that is closed stays as it is.
///
/// `progress` is called with the number of customers that are done; it says whether to go on.
///
/// # Errors
/// [`CloseError`]; the period is not closed then.
pub fn close(
    store: &mut dyn Queries,
    keep: &mut Keep<'_>,
    settings: &Settings,
    month: Month,
    now_unix_ms: i64,
    progress: &dyn Fn(u64) -> bool,
) -> Result<PeriodRow, CloseError> {
    if let Some(closed) = store::closed(store, month)? {
        return Ok(closed);
    }
    let period = Period::open(store, settings, month, now_unix_ms)?;
    let (_, over) = ends(month)?;
    if now_unix_ms < over {
        let over = date_time(over);
        return Err(CloseError::Refused(format!(
            "{month} is over in every time zone only at {over}: close it then"
        )));
    }
    let invoices = period.invoices(store, keep, progress)?;
    if store::taken_numbers(store, month, invoices)? > 0 {
        return Err(CloseError::Refused(
            "invoices.number gives numbers that earlier invoices have: change it so that it does not".into(),
        ));
    }
    let settlements = period.settlements(store, keep)?;
    let (earliest, _) = ends(month)?;
    let row = PeriodRow {
        month: month_number(month),
        through: period.range.through,
        open_from: store::first_after(store, period.range, earliest)?,
        settled_until_unix_ms: period.until_unix_ms,
        first_number: period.first_number,
        invoices,
        settlements,
        closed_unix_ms: now_unix_ms,
    };
    keep(vec![mutation(Row::Period(row.clone()))])?;
    Ok(row)
}

/// What the customer's next invoice would be now. Nothing is stored.
///
/// # Errors
/// [`CloseError`]; there is no such post-paid customer, or the month is closed.
pub fn preview(
    store: &mut dyn Queries,
    settings: &Settings,
    account: &str,
    month: Option<Month>,
    now_unix_ms: i64,
) -> Result<Invoice, CloseError> {
    let (operators, _) = zone(&settings.time_zone);
    let this = Month::of(now_unix_ms, &operators);
    let last = store::periods(store, 1)?.pop();
    let next = last.and_then(|last| month_of(last.month)?.next());
    let month = month.or_else(|| next.max(this));
    let month = month.ok_or_else(|| CloseError::Refused("this is no time for invoices".into()))?;
    let period = Period::open(store, settings, month, now_unix_ms)?;
    let customer = store::customer(store, account)?
        .ok_or_else(|| CloseError::Refused(format!("there is no post-paid account {account}")))?;
    let mut bills = period.bills(store, std::slice::from_ref(&customer))?;
    let bill = bills.remove(account).unwrap_or_default();
    let frame = period.frame(store, &customer, None)?;
    Ok(bill.invoice(frame)?)
}

/// What all invoices of a period have in common.
struct Period<'a> {
    settings: &'a Settings,
    month: Month,
    before: Option<PeriodRow>,
    range: Range,
    first_number: i64,
    /// Its end in the operator's zone.
    until_unix_ms: i64,
    issued: Date,
    due: Date,
}

impl<'a> Period<'a> {
    fn open(
        store: &mut dyn Queries,
        settings: &'a Settings,
        month: Month,
        now_unix_ms: i64,
    ) -> Result<Self, CloseError> {
        let before = store::periods(store, 1)?.pop();
        if let Some(last) = &before
            && last.month >= month_number(month)
        {
            let last = month_of(last.month).unwrap_or(month);
            return Err(CloseError::Refused(format!(
                "periods are closed in their order, and {last} is closed: what {month} still lacked is in it"
            )));
        }
        let (operators, _) = zone(&settings.time_zone);
        let out_of_time = || CloseError::Refused(format!("{month} cannot be dated"));
        let issued = date(now_unix_ms, &operators).ok_or_else(out_of_time)?;
        let due = issued.checked_add(i64::from(settings.due_days).days());
        Ok(Self {
            settings,
            month,
            range: store::range(store, before.as_ref().map_or(1, |last| last.open_from))?,
            first_number: before.as_ref().map_or(settings.first_number, |last| {
                last.first_number.saturating_add(last.invoices)
            }),
            before,
            until_unix_ms: month.ends_unix_ms(&operators).ok_or_else(out_of_time)?,
            issued,
            due: due.map_err(|_| out_of_time())?,
        })
    }

    /// Makes and stores every invoice; gives their number.
    fn invoices(
        &self,
        store: &mut dyn Queries,
        keep: &mut Keep<'_>,
        progress: &dyn Fn(u64) -> bool,
    ) -> Result<i64, CloseError> {
        let (mut made, mut seen) = (0, 0u64);
        let mut after = String::new();
        loop {
            let customers = store::customers(store, &after, PAGE)?;
            let Some(last) = customers.last() else {
                return Ok(made);
            };
            after = last.account.clone();
            let mut bills = self.bills(store, &customers)?;
            let mut rows = Vec::new();
            for customer in &customers {
                let bill = bills.remove(&customer.account).unwrap_or_default();
                let is_empty = bill.is_empty();
                let number = self.first_number.checked_add(made).ok_or_else(|| {
                    CloseError::Refused("there are no more invoice numbers".into())
                })?;
                let number: Box<str> = self.settings.number.write(self.month, number).into();
                let frame = self.frame(store, customer, Some(number.clone()))?;
                // Who neither used nor owes anything gets nothing; what he has left stands in his last invoice.
                if is_empty && minor(frame.opening_micro.into(), frame.currency) == 0 {
                    continue;
                }
                let invoice = bill.invoice(frame)?;
                made += 1;
                rows.push(mutation(Row::Invoice(InvoiceRow {
                    month: month_number(self.month),
                    ordinal: made,
                    number,
                    account: invoice.account.clone(),
                    until_unix_ms: invoice.until_unix_ms,
                    through: invoice.through,
                    closing_micro: invoice.statement.closing_micro,
                    value: invoice.to_json().map_err(Cause::from)?,
                })));
            }
            if !rows.is_empty() {
                keep(rows)?;
            }
            let before = seen / REPORT;
            seen += customers.len() as u64;
            if !progress(seen) {
                return Err(CloseError::Refused("the daemon is stopping".into()));
            }
            if seen / REPORT > before {
                tracing::info!(period = %self.month, customers = seen, invoices = made, "a period is being closed");
            }
        }
    }

    /// The entries of these customers that belong to the period.
    fn bills(
        &self,
        store: &mut dyn Queries,
        customers: &[Customer],
    ) -> Result<HashMap<String, Bill>, CloseError> {
        let (Some(first), Some(last)) = (customers.first(), customers.last()) else {
            return Ok(HashMap::new());
        };
        let mut ends = HashMap::new();
        for customer in customers {
            let profile: Profile = serde_json::from_str(&customer.profile).map_err(Cause::from)?;
            let until = self.until(&zone(&profile.time_zone).0)?;
            ends.insert(customer.account.as_str(), (until, customer.last));
        }
        let mut bills: HashMap<String, Bill> = HashMap::new();
        let (first, last) = (&first.account, &last.account);
        store::entries(store, first, last, self.range, &mut |found| {
            // Who became a customer in between is seen next time.
            let Some((until, last)) = ends.get(found.account.as_str()) else {
                return Ok(());
            };
            let unix_ms = found.item.unix_ms;
            let is_in_an_earlier_one =
                last.is_some_and(|last| found.id <= last.through && unix_ms < last.until_unix_ms);
            if unix_ms < *until && !is_in_an_earlier_one {
                let from = last.map(|last| last.until_unix_ms);
                let bill = bills.entry(found.account).or_default();
                bill.add(found.item, from);
            }
            Ok(())
        })?;
        Ok(bills)
    }

    fn until(&self, zone: &jiff::tz::TimeZone) -> Result<i64, CloseError> {
        self.month
            .ends_unix_ms(zone)
            .ok_or_else(|| CloseError::Refused(format!("{} cannot be dated", self.month)))
    }

    fn frame(
        &self,
        store: &mut dyn Queries,
        customer: &Customer,
        number: Option<Box<str>>,
    ) -> Result<Frame, CloseError> {
        let profile: Profile = serde_json::from_str(&customer.profile).map_err(Cause::from)?;
        let (zone, time_zone) = zone(&profile.time_zone);
        let opening_micro = match customer.last {
            Some(Last { closing_micro, .. }) => closing_micro,
            // He may have been prepaid before.
            None if self.range.from > 1 => {
                store::owed_before(store, &customer.account, self.range.from)?
            }
            None => 0,
        };
        Ok(Frame {
            number,
            period: self.month,
            account: customer.account.as_str().into(),
            customer: profile.address.clone(),
            language: profile.language.clone(),
            issuer: self.settings.issuer.clone(),
            currency: currency(&customer.currency)?,
            time_zone: time_zone.into(),
            from_unix_ms: customer.last.map(|last| last.until_unix_ms),
            until_unix_ms: self.until(&zone)?,
            zone,
            opening_micro,
            issued: self.issued,
            due: self.due,
            through: self.range.through,
        })
    }

    /// Makes and stores every settlement; gives their number.
    fn settlements(&self, store: &mut dyn Queries, keep: &mut Keep<'_>) -> Result<i64, CloseError> {
        let settled = self.before.as_ref();
        let settled = settled.map_or((0, i64::MIN), |last| {
            (last.through, last.settled_until_unix_ms)
        });
        let sums = store::provider_sums(store, self.range, self.until_unix_ms, settled)?;
        let (operators, time_zone) = zone(&self.settings.time_zone);
        let first = self.month.first_day();
        let from = settled.1;
        let heading = Heading {
            period: self.month,
            issuer: self.settings.issuer.clone(),
            time_zone: time_zone.into(),
            from: match self.before {
                Some(_) => date(from, &operators).unwrap_or(first),
                None => first,
            },
            issued: self.issued,
        };
        let mut rows = Vec::new();
        let mut made = 0;
        for of in sums.chunk_by(|one, other| {
            (&one.provider, &one.commodity) == (&other.provider, &other.commodity)
        }) {
            // Units that a provider's services are bought with are settled when they are paid for.
            let Some(first) = of.first() else { continue };
            let Some(currency) = Currency::from_code(&first.commodity) else {
                continue;
            };
            let mut shares = Shares::default();
            for sum in of {
                shares.add(
                    &sum.service,
                    sum.tax_basis_points,
                    sum.commission_basis_points,
                    sum.count,
                    sum.gross_micro,
                );
            }
            let brought = store::carried(store, &first.provider, currency.code())?;
            let settlement: Settlement =
                shares.settlement(first.provider.as_str().into(), currency, brought, &heading)?;
            made += 1;
            rows.push(mutation(Row::Settlement(SettlementRow {
                month: month_number(self.month),
                ordinal: made,
                provider: settlement.provider.clone(),
                currency: currency.code().into(),
                carried_micro: settlement.carried_micro,
                value: settlement.to_json().map_err(Cause::from)?,
            })));
            if rows.len() >= PAGE as usize {
                keep(std::mem::take(&mut rows))?;
            }
        }
        if !rows.is_empty() {
            keep(rows)?;
        }
        Ok(made)
    }
}

fn mutation(row: Row) -> Mutation {
    Mutation::Invoicing(Box::new(row))
}

fn ends(month: Month) -> Result<(i64, i64), CloseError> {
    month
        .ends_everywhere()
        .ok_or_else(|| CloseError::Refused(format!("{month} cannot be dated")))
}

fn date_time(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(|_| "-".into(), |at| at.to_string())
}

fn currency(code: &str) -> Result<Currency, Cause> {
    Currency::from_code(code).ok_or_else(|| format!("no currency {code}").into())
}

impl Row {
    /// Its key in its table.
    pub fn id(&self) -> i64 {
        match self {
            Self::Invoice(row) => id(row.month, row.ordinal),
            Self::Settlement(row) => id(row.month, row.ordinal),
            Self::Period(row) => row.month,
        }
    }
}
