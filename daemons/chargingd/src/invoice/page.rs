//! Invoices and settlements as sheets.

use super::sheet::{Block, Sheet, Table, clean, figures, lines, words as words_column};
use super::words::{self, Words, fill};
use super::{Amounts, Invoice, Issuer, Settlement};

impl Invoice {
    /// The invoice in the customer's language.
    pub fn sheet(&self) -> Sheet {
        let words = words::of(&self.language);
        let due = self.statement.due_minor;
        let mut facts = Vec::new();
        if let Some(number) = &self.number {
            facts.push((words.number, clean(number)));
        }
        facts.push((words.issued, words.date(self.issued)));
        facts.push((
            words.period,
            span(words, self.from, self.to, &self.time_zone),
        ));
        facts.push((words.account, clean(&self.account)));
        if due > 0 {
            facts.push((words.due_date, words.date(self.due)));
        }
        tax_id(words, &self.issuer, &mut facts);
        let mut blocks = vec![Block::Table(self.services(words))];
        if !self.taxes.is_empty() {
            blocks.push(Block::Table(self.tax_table(words)));
        }
        if !self.payments.is_empty() {
            blocks.push(Block::Table(self.payment_table(words)));
        }
        blocks.push(Block::Table(self.statement_table(words)));
        blocks.push(Block::Text {
            heading: "",
            lines: self.notes(words),
        });
        if due > 0 {
            text(words.bank, &self.issuer.bank, &mut blocks);
        }
        text("", &self.issuer.terms, &mut blocks);
        Sheet {
            language: words.tag,
            title: match &self.number {
                Some(number) => format!("{} {}", words.invoice, clean(number)),
                None => words.preview.to_owned(),
            },
            sender: lines(&self.issuer.address),
            recipient: match lines(&self.customer) {
                lines if lines.is_empty() => vec![clean(&self.account)],
                lines => lines,
            },
            facts,
            blocks,
            page_words: words.page,
        }
    }

    fn services(&self, words: &Words) -> Table {
        let mut rows = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            let service = named(words, &line.service);
            let mut row = vec![
                match line.refund {
                    true => format!("{}: {service}", words.refund),
                    false => service,
                },
                provider(&line.provider),
                words.count(line.count),
                words.percent(line.tax_basis_points),
            ];
            row.extend(self.amounts(words, &line.amounts));
            rows.push(row);
        }
        let mut total = vec![
            words.total.to_owned(),
            String::new(),
            String::new(),
            String::new(),
        ];
        total.extend(self.amounts(words, &self.total));
        Table {
            caption: format!("{} ({})", words.services, self.currency.code()),
            columns: vec![
                words_column(words.service),
                words_column(words.provider),
                figures(words.count),
                figures(words.rate),
                figures(words.net),
                figures(words.tax),
                figures(words.gross),
            ],
            rows,
            totals: vec![total],
        }
    }

    fn tax_table(&self, words: &Words) -> Table {
        let row = |tax: &super::Tax| {
            let mut row = vec![words.percent(tax.basis_points)];
            row.extend(self.amounts(words, &tax.amounts));
            row
        };
        Table {
            caption: format!("{} ({})", words.taxes, self.currency.code()),
            columns: vec![
                words_column(words.rate),
                figures(words.net),
                figures(words.tax),
                figures(words.gross),
            ],
            rows: self.taxes.iter().map(row).collect(),
            totals: Vec::new(),
        }
    }

    fn payment_table(&self, words: &Words) -> Table {
        let row = |payment: &super::Payment| {
            vec![
                words.date(payment.date),
                match payment.reference.is_empty() {
                    true => format!("{} {}", words.count(payment.count), words.more_payments),
                    false => clean(&payment.reference),
                },
                words.minor(payment.amount.minor, self.currency),
            ]
        };
        Table {
            caption: format!("{} ({})", words.payments, self.currency.code()),
            columns: vec![
                words_column(words.date_title),
                words_column(words.reference),
                figures(words.amount),
            ],
            rows: self.payments.iter().map(row).collect(),
            totals: Vec::new(),
        }
    }

    fn statement_table(&self, words: &Words) -> Table {
        let statement = &self.statement;
        let mut rows: Vec<(String, i64)> = vec![
            (words.opening.into(), statement.opening.minor),
            (words.charges.into(), statement.charges.minor),
            (words.paid.into(), -statement.payments.minor),
        ];
        for other in &self.others {
            let name = match other.account.starts_with("@expired:") {
                true => words.expired.to_owned(),
                false => format!("{} ({})", words.other, clean(&other.account)),
            };
            rows.push((name, other.amount.minor));
        }
        if statement.rounding_minor != 0 {
            rows.push((words.rounding.into(), statement.rounding_minor));
        }
        let due = match statement.due_minor < 0 {
            true => (words.in_favour, -statement.due_minor),
            false => (words.due, statement.due_minor),
        };
        Table {
            caption: words.statement.to_owned(),
            columns: vec![words_column(words.item), figures(words.amount)],
            rows: rows
                .into_iter()
                .map(|(name, minor)| vec![name, words.money(minor, self.currency)])
                .collect(),
            totals: vec![vec![due.0.to_owned(), words.money(due.1, self.currency)]],
        }
    }

    fn notes(&self, words: &Words) -> Vec<String> {
        let mut notes = Vec::new();
        notes.push(match self.statement.due_minor > 0 {
            true => fill(
                words.please_pay,
                &[
                    &words.money(self.statement.due_minor, self.currency),
                    &words.date(self.due),
                ],
            ),
            false => words.nothing_to_pay.to_owned(),
        });
        if self.statement.carried_micro != 0 {
            let carried = words.exact(self.statement.carried_micro, self.currency);
            notes.push(fill(words.carried, &[&carried]));
        }
        if self.late.count > 0 {
            let sum = words.exact(self.late.gross_micro, self.currency);
            notes.push(fill(words.late, &[&words.count(self.late.count), &sum]));
        }
        notes
    }

    fn amounts(&self, words: &Words, amounts: &Amounts) -> [String; 3] {
        [amounts.net, amounts.tax, amounts.gross].map(|sum| words.minor(sum.minor, self.currency))
    }
}

impl Settlement {
    /// The settlement in this language.
    pub fn sheet(&self, language: &str) -> Sheet {
        let words = words::of(language);
        let minor = |minor| words.minor(minor, self.currency);
        let mut facts = vec![
            (words.issued, words.date(self.issued)),
            (
                words.period,
                span(words, self.from, self.to, &self.time_zone),
            ),
            (words.provider, clean(&self.provider)),
        ];
        tax_id(words, &self.issuer, &mut facts);
        let mut rows = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            let amounts = &line.amounts;
            rows.push(vec![
                named(words, &line.service),
                words.count(line.count),
                words.percent(line.tax_basis_points),
                words.percent(line.commission_basis_points),
                minor(amounts.gross.minor),
                minor(amounts.tax.minor),
                minor(amounts.commission.minor),
                minor(amounts.payable.minor),
            ]);
        }
        let total = &self.total;
        let total = vec![
            words.total.to_owned(),
            words.count(self.count),
            String::new(),
            String::new(),
            minor(total.gross.minor),
            minor(total.tax.minor),
            minor(total.commission.minor),
            minor(total.payable.minor),
        ];
        let services = Table {
            caption: format!("{} ({})", words.services, self.currency.code()),
            columns: vec![
                words_column(words.service),
                figures(words.count),
                figures(words.rate),
                figures(words.commission_rate),
                figures(words.gross),
                figures(words.tax),
                figures(words.commission),
                figures(words.payable),
            ],
            rows,
            totals: vec![total],
        };
        let money = |sum| words.money(sum, self.currency);
        let mut statement = vec![(words.payable, money(self.total.payable.minor))];
        if self.brought_micro != 0 {
            statement.push((
                words.brought,
                words.exact(self.brought_micro, self.currency),
            ));
        }
        if self.rounding_minor != 0 {
            statement.push((words.rounding, money(self.rounding_minor)));
        }
        let statement = Table {
            caption: words.statement.to_owned(),
            columns: vec![words_column(words.item), figures(words.amount)],
            rows: statement
                .into_iter()
                .map(|(name, sum)| vec![name.to_owned(), sum])
                .collect(),
            totals: vec![vec![words.paid_out.to_owned(), money(self.payable_minor)]],
        };
        let mut notes = vec![words.tax_is_contained.to_owned()];
        if self.carried_micro != 0 {
            let carried = words.exact(self.carried_micro, self.currency);
            notes.push(fill(words.carried_on, &[&carried]));
        }
        Sheet {
            language: words.tag,
            title: format!("{} {}", words.settlement, self.period),
            sender: lines(&self.issuer.address),
            recipient: vec![clean(&self.provider)],
            facts,
            blocks: vec![
                Block::Table(services),
                Block::Table(statement),
                Block::Text {
                    heading: "",
                    lines: notes,
                },
            ],
            page_words: words.page,
        }
    }
}

fn named(words: &Words, service: &str) -> String {
    match service.is_empty() {
        true => words.unnamed_service.to_owned(),
        false => clean(service),
    }
}

fn provider(provider: &str) -> String {
    match provider.is_empty() {
        true => "\u{2013}".into(),
        false => clean(provider),
    }
}

fn span(words: &Words, from: jiff::civil::Date, to: jiff::civil::Date, zone: &str) -> String {
    format!(
        "{} \u{2013} {} ({})",
        words.date(from),
        words.date(to),
        clean(zone)
    )
}

fn tax_id(words: &Words, issuer: &Issuer, facts: &mut Vec<(&'static str, String)>) {
    if !issuer.tax_id.is_empty() {
        facts.push((words.tax_id, clean(&issuer.tax_id)));
    }
}

fn text(heading: &'static str, content: &str, blocks: &mut Vec<Block>) {
    let lines = lines(content);
    if !lines.is_empty() {
        blocks.push(Block::Text { heading, lines });
    }
}
