//! The words of invoices and settlements, and how figures and dates are written, by language.

use iso_currency::Currency;
use jiff::civil::Date;

use super::money::exponent;

/// What is written in one language.
#[derive(Debug)]
pub struct Words {
    /// BCP 47 tag.
    pub tag: &'static str,
    decimal: char,
    group: char,
    percent: &'static str,
    date: &'static str,
    pub page: (&'static str, &'static str),
    pub invoice: &'static str,
    pub preview: &'static str,
    pub number: &'static str,
    pub issued: &'static str,
    pub period: &'static str,
    pub account: &'static str,
    pub due_date: &'static str,
    pub tax_id: &'static str,
    pub services: &'static str,
    pub service: &'static str,
    pub unnamed_service: &'static str,
    pub refund: &'static str,
    pub provider: &'static str,
    pub count: &'static str,
    pub rate: &'static str,
    pub net: &'static str,
    pub tax: &'static str,
    pub gross: &'static str,
    pub total: &'static str,
    pub taxes: &'static str,
    pub payments: &'static str,
    pub date_title: &'static str,
    pub reference: &'static str,
    pub more_payments: &'static str,
    pub amount: &'static str,
    pub statement: &'static str,
    pub item: &'static str,
    pub opening: &'static str,
    pub charges: &'static str,
    pub paid: &'static str,
    pub expired: &'static str,
    pub other: &'static str,
    pub rounding: &'static str,
    pub due: &'static str,
    pub in_favour: &'static str,
    /// `{}` is the sum, then the day.
    pub please_pay: &'static str,
    pub nothing_to_pay: &'static str,
    /// `{}` is a sum.
    pub carried: &'static str,
    /// The same of a settlement.
    pub carried_on: &'static str,
    /// `{}` is a number of entries, then a sum.
    pub late: &'static str,
    pub bank: &'static str,
    pub settlement: &'static str,
    pub commission_rate: &'static str,
    pub commission: &'static str,
    pub payable: &'static str,
    pub brought: &'static str,
    pub paid_out: &'static str,
    pub tax_is_contained: &'static str,
}

static ENGLISH: Words = Words {
    tag: "en",
    decimal: '.',
    group: ',',
    percent: "%",
    date: "%Y-%m-%d",
    page: ("Page", "of"),
    invoice: "Invoice",
    preview: "Preview, not an invoice",
    number: "Invoice number",
    issued: "Date",
    period: "Period",
    account: "Account",
    due_date: "Due date",
    tax_id: "Tax ID",
    services: "Services",
    service: "Service",
    unnamed_service: "Other services",
    refund: "Refund",
    provider: "Provider",
    count: "Number",
    rate: "Tax rate",
    net: "Net",
    tax: "Tax",
    gross: "Gross",
    total: "Total",
    taxes: "Tax by rate",
    payments: "Payments received",
    date_title: "Date",
    reference: "Reference",
    more_payments: "further payments",
    amount: "Amount",
    statement: "Statement",
    item: "Item",
    opening: "Balance brought forward",
    charges: "Services of this invoice",
    paid: "Payments received",
    expired: "Expired balance",
    other: "Other transfers",
    rounding: "Rounding",
    due: "Amount due",
    in_favour: "Balance in your favour",
    please_pay: "Please pay {} by {}.",
    nothing_to_pay: "There is nothing to pay.",
    carried: "A rounding difference of {} is carried forward to the next invoice.",
    carried_on: "A rounding difference of {} is carried forward to the next settlement.",
    late: "Of these services, {} entries over {} in all belong to earlier periods, which were closed already.",
    bank: "Payment to",
    settlement: "Settlement",
    commission_rate: "Commission rate",
    commission: "Commission",
    payable: "Payable",
    brought: "Rounding difference brought forward",
    paid_out: "Paid out",
    tax_is_contained: "Tax is contained in the gross amounts and is the provider's to declare.",
};

static GERMAN: Words = Words {
    tag: "de",
    decimal: ',',
    group: '.',
    percent: "\u{a0}%",
    date: "%d.%m.%Y",
    page: ("Seite", "von"),
    invoice: "Rechnung",
    preview: "Vorschau, keine Rechnung",
    number: "Rechnungsnummer",
    issued: "Datum",
    period: "Zeitraum",
    account: "Konto",
    due_date: "Fällig am",
    tax_id: "Steuernummer",
    services: "Leistungen",
    service: "Leistung",
    unnamed_service: "Sonstige Leistungen",
    refund: "Erstattung",
    provider: "Anbieter",
    count: "Anzahl",
    rate: "Steuersatz",
    net: "Netto",
    tax: "Steuer",
    gross: "Brutto",
    total: "Summe",
    taxes: "Steuer nach Sätzen",
    payments: "Eingegangene Zahlungen",
    date_title: "Datum",
    reference: "Referenz",
    more_payments: "weitere Zahlungen",
    amount: "Betrag",
    statement: "Kontoübersicht",
    item: "Posten",
    opening: "Übertrag",
    charges: "Leistungen dieser Rechnung",
    paid: "Eingegangene Zahlungen",
    expired: "Verfallenes Guthaben",
    other: "Sonstige Umbuchungen",
    rounding: "Rundung",
    due: "Zu zahlender Betrag",
    in_favour: "Guthaben",
    please_pay: "Bitte zahlen Sie {} bis zum {}.",
    nothing_to_pay: "Es ist nichts zu zahlen.",
    carried: "Eine Rundungsdifferenz von {} wird auf die nächste Rechnung übertragen.",
    carried_on: "Eine Rundungsdifferenz von {} wird auf die nächste Abrechnung übertragen.",
    late: "Von diesen Leistungen gehören {} Buchungen über zusammen {} zu früheren, schon abgeschlossenen Zeiträumen.",
    bank: "Bankverbindung",
    settlement: "Abrechnung",
    commission_rate: "Provisionssatz",
    commission: "Provision",
    payable: "Auszahlung",
    brought: "Übertragene Rundungsdifferenz",
    paid_out: "Auszahlungsbetrag",
    tax_is_contained: "Die Steuer ist in den Bruttobeträgen enthalten und vom Anbieter abzuführen.",
};

/// The words of the language with this BCP 47 tag; English if there are none of it.
pub fn of(language: &str) -> &'static Words {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    match primary.eq_ignore_ascii_case("de") {
        true => &GERMAN,
        false => &ENGLISH,
    }
}

impl Words {
    /// A sum of minor units, without its currency.
    pub fn minor(&self, minor: i64, currency: Currency) -> String {
        self.decimals(minor, exponent(currency))
    }

    /// A sum of minor units with its currency.
    pub fn money(&self, minor: i64, currency: Currency) -> String {
        format!("{}\u{a0}{}", self.minor(minor, currency), currency.code())
    }

    /// A sum of micro-units, exactly, with its currency.
    pub fn exact(&self, micro: i64, currency: Currency) -> String {
        let mut written = self.decimals(micro, 6);
        let least = written
            .len()
            .saturating_sub(6 - exponent(currency) as usize);
        while written.len() > least && written.ends_with('0') {
            written.pop();
        }
        if written.ends_with(self.decimal) {
            written.pop();
        }
        format!("{written}\u{a0}{}", currency.code())
    }

    /// A count.
    pub fn count(&self, count: u64) -> String {
        self.grouped(&count.to_string())
    }

    /// Hundredths of a percent.
    pub fn percent(&self, basis_points: u16) -> String {
        let written = self.decimals(basis_points.into(), 2);
        let written = written.trim_end_matches('0').trim_end_matches(self.decimal);
        format!("{written}{}", self.percent)
    }

    /// A day.
    pub fn date(&self, date: Date) -> String {
        date.strftime(self.date).to_string()
    }

    fn decimals(&self, amount: i64, decimals: u32) -> String {
        let unit = 10u64.pow(decimals);
        let magnitude = amount.unsigned_abs();
        let sign = if amount < 0 { "-" } else { "" };
        let whole = self.grouped(&(magnitude / unit).to_string());
        match decimals {
            0 => format!("{sign}{whole}"),
            _ => format!(
                "{sign}{whole}{}{:0width$}",
                self.decimal,
                magnitude % unit,
                width = decimals as usize
            ),
        }
    }

    fn grouped(&self, digits: &str) -> String {
        let mut written = String::with_capacity(digits.len() + digits.len() / 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                written.push(self.group);
            }
            written.push(digit);
        }
        written
    }
}

/// `template` with each `{}` replaced.
pub fn fill(template: &str, values: &[&str]) -> String {
    let mut values = values.iter();
    let mut parts = template.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        filled.push_str(values.next().unwrap_or(&""));
        filled.push_str(part);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_the_language_has_them() {
        let (english, german) = (of("en-GB"), of("de-AT"));
        assert_eq!(
            english.money(123_456_789, Currency::EUR),
            "1,234,567.89\u{a0}EUR"
        );
        assert_eq!(german.money(-123_456, Currency::EUR), "-1.234,56\u{a0}EUR");
        assert_eq!(english.money(1234, Currency::JPY), "1,234\u{a0}JPY");
        assert_eq!(german.money(1234, Currency::KWD), "1,234\u{a0}KWD");
        assert_eq!(
            english.minor(i64::MIN, Currency::EUR),
            "-92,233,720,368,547,758.08"
        );
        assert_eq!(english.minor(-5, Currency::EUR), "-0.05");
        assert_eq!(english.exact(-4322, Currency::EUR), "-0.004322\u{a0}EUR");
        assert_eq!(english.exact(4_300_000, Currency::EUR), "4.30\u{a0}EUR");
        assert_eq!(german.exact(500_000, Currency::JPY), "0,5\u{a0}JPY");
        assert_eq!(english.exact(3_000_000, Currency::JPY), "3\u{a0}JPY");
        assert_eq!(english.percent(1900), "19%");
        assert_eq!(german.percent(750), "7,5\u{a0}%");
        assert_eq!(english.percent(0), "0%");
        let date = "2026-10-01".parse().unwrap();
        assert_eq!(
            (&*english.date(date), &*german.date(date)),
            ("2026-10-01", "01.10.2026")
        );
        assert_eq!(of("fr").tag, "en");
        assert_eq!(fill("a {} b {} c {}", &["1", "2"]), "a 1 b 2 c ");
    }
}
