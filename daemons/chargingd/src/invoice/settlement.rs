//! What a service provider gets for a month: what customers paid for its services, less the operator's commission.

use std::collections::BTreeMap;

use iso_currency::Currency;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Issuer;
use super::money::{
    Overflow, Running, Sum, WHOLE, contained_tax, minor, minor_unit, narrow, round_div,
};
use super::period::Month;

/// One provider's month in one currency.
///
/// The commission is taken of the gross amount. The tax is contained in it and stays with the provider, who owes it; it
/// is shown and not taken off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// The month.
    pub period: Month,
    /// The provider.
    pub provider: Box<str>,
    /// Who pays it out.
    pub issuer: Issuer,
    /// Of all sums.
    pub currency: Currency,
    /// IANA name of the operator's zone, which the days are of.
    pub time_zone: Box<str>,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// Day of the report.
    pub issued: Date,
    /// By service.
    pub lines: Vec<SettlementLine>,
    /// All lines.
    pub total: Payable,
    /// Entries.
    pub count: u64,
    /// Less than a minor unit, from the settlement before, micro-units.
    pub brought_micro: i64,
    /// What is paid out, minor units.
    pub payable_minor: i64,
    /// What the printed figures lack to it, minor units.
    pub rounding_minor: i64,
    /// What is left for the next settlement, micro-units.
    pub carried_micro: i64,
}

/// What is paid out for something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payable {
    /// What customers paid.
    pub gross: Sum,
    /// The tax in it.
    pub tax: Sum,
    /// What the operator keeps.
    pub commission: Sum,
    /// `gross` less `commission`.
    pub payable: Sum,
}

/// One service at one rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettlementLine {
    /// As customers know it.
    pub service: Box<str>,
    /// Hundredths of a percent.
    pub tax_basis_points: u16,
    /// Hundredths of a percent.
    pub commission_basis_points: u16,
    /// Entries, refunds among them.
    pub count: u64,
    /// What they come to.
    pub amounts: Payable,
}

/// Collects one provider's sums.
#[derive(Debug, Default)]
pub struct Shares(BTreeMap<(u16, u16, Box<str>), (u64, i128)>);

/// What a settlement says besides its sums.
#[derive(Debug, Clone)]
pub struct Heading {
    /// The month.
    pub period: Month,
    /// Who pays it out.
    pub issuer: Issuer,
    /// The operator's zone.
    pub time_zone: Box<str>,
    /// First day.
    pub from: Date,
    /// Day of the report.
    pub issued: Date,
}

impl Shares {
    /// `count` entries of a service that come to `gross_micro`.
    pub fn add(
        &mut self,
        service: &str,
        tax_basis_points: u16,
        commission_basis_points: u16,
        count: u64,
        gross_micro: i64,
    ) {
        let key = (tax_basis_points, commission_basis_points, service.into());
        let (entries, gross) = self.0.entry(key).or_default();
        *entries += count;
        *gross += i128::from(gross_micro);
    }

    /// The settlement. Commission is rounded once in all, tax once per rate.
    ///
    /// # Errors
    /// A sum does not fit into 64 bits.
    pub fn settlement(
        self,
        provider: Box<str>,
        currency: Currency,
        brought_micro: i64,
        heading: &Heading,
    ) -> Result<Settlement, Overflow> {
        let to_minor = |micro| minor(micro, currency);
        let mut lines = Vec::with_capacity(self.0.len());
        let mut total = Payable::default();
        let mut count = 0;
        let (mut gross_minor, mut commission_minor) = (Running::default(), Running::default());
        let (mut tax_micro, mut tax_minor) = (Running::default(), Running::default());
        let mut commission_micro = Running::default();
        let mut rate = None;
        for ((tax_rate, commission_rate, service), (entries, gross)) in self.0 {
            if rate.replace(tax_rate) != Some(tax_rate) {
                tax_micro = Running::default();
                tax_minor = Running::default();
            }
            let tax = tax_micro.share(gross, |gross| contained_tax(gross, tax_rate));
            let points = gross * i128::from(commission_rate);
            let commission = commission_micro.share(points, |points| round_div(points, WHOLE));
            let sum = |micro, minor| -> Result<Sum, Overflow> {
                Ok(Sum {
                    micro: narrow(micro)?,
                    minor: narrow(minor)?,
                })
            };
            let gross = sum(gross, gross_minor.share(gross, to_minor))?;
            let commission = sum(commission, commission_minor.share(commission, to_minor))?;
            let amounts = Payable {
                gross,
                tax: sum(tax, tax_minor.share(tax, to_minor))?,
                commission,
                payable: gross.minus(commission)?,
            };
            total = total.plus(amounts)?;
            count += entries;
            lines.push(SettlementLine {
                service,
                tax_basis_points: tax_rate,
                commission_basis_points: commission_rate,
                count: entries,
                amounts,
            });
        }
        lines.sort_by(|one, other| one.service.cmp(&other.service));
        let owed = i128::from(brought_micro) + i128::from(total.payable.micro);
        let payable = minor(owed, currency);
        Ok(Settlement {
            period: heading.period,
            provider,
            issuer: heading.issuer.clone(),
            currency,
            time_zone: heading.time_zone.clone(),
            from: heading.from,
            to: heading.period.last_day(),
            issued: heading.issued,
            lines,
            total,
            count,
            brought_micro,
            payable_minor: narrow(payable)?,
            rounding_minor: narrow(payable - i128::from(total.payable.minor))?,
            carried_micro: narrow(owed - payable * minor_unit(currency))?,
        })
    }
}

impl Payable {
    fn plus(self, other: Self) -> Result<Self, Overflow> {
        Ok(Self {
            gross: self.gross.plus(other.gross)?,
            tax: self.tax.plus(other.tax)?,
            commission: self.commission.plus(other.commission)?,
            payable: self.payable.plus(other.payable)?,
        })
    }
}
