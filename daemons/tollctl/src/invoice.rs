//! `tollctl invoice` and `tollctl settlement`.

use std::path::{Path, PathBuf};

use chargingd::invoice::{Invoice, Month, Settlement, Summary};
use clap::{Args, Subcommand, ValueEnum};
use iso_currency::Currency;
use serde_json::{Value, json};

use crate::context::{Context, Daemon, encode, query, warn};
use crate::failure::Failure;
use crate::money;
use crate::table::Table;

/// Invoices asked for at a time.
const PAGE: usize = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Invoices, the newest first.
    List {
        /// Of this account alone.
        #[arg(long)]
        account: Option<String>,
        /// Of this month alone: 2026-10.
        #[arg(long)]
        period: Option<Month>,
        /// How many.
        #[arg(short = 'n', long = "lines", default_value_t = 100)]
        count: u32,
    },
    /// One invoice, exact to the micro-unit.
    Show {
        /// Its number.
        number: String,
    },
    /// What an account's next invoice would be now. Nothing is stored.
    Preview {
        /// The account.
        account: String,
        /// The month, if not the one that is open.
        #[arg(long)]
        period: Option<Month>,
        /// Write it in this form to standard output instead.
        #[arg(long)]
        form: Option<Form>,
    },
    /// Closes a month: makes every post-paid customer's invoice and every provider's settlement. Again, it says the same.
    Close {
        /// The month: 2026-10.
        #[arg(long)]
        period: Month,
    },
    /// Writes invoices to files.
    Export {
        /// Their numbers.
        #[arg(required_unless_present = "period")]
        numbers: Vec<String>,
        /// All of this month.
        #[arg(long, conflicts_with = "numbers")]
        period: Option<Month>,
        /// In this form.
        #[arg(long, default_value = "pdf")]
        form: Form,
        /// Into this folder.
        #[arg(long, default_value = ".")]
        to: PathBuf,
    },
    /// Closed months, the newest first.
    Periods,
}

#[derive(Debug, Args)]
pub(crate) struct Settlements {
    /// The month: 2026-10.
    period: Month,
    /// Of this provider alone.
    #[arg(long)]
    provider: Option<String>,
    /// Write it in this form to standard output instead.
    #[arg(long)]
    form: Option<SettlementForm>,
    /// Language of HTML and PDF, if not the configured one.
    #[arg(long)]
    language: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Form {
    Json,
    Html,
    Pdf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SettlementForm {
    Json,
    Csv,
    Html,
    Pdf,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
            Self::Pdf => "pdf",
        }
    }
}

impl SettlementForm {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Html => "html",
            Self::Pdf => "pdf",
        }
    }
}

pub(crate) async fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::List {
            account,
            period,
            count,
        } => list(account, period, count, context).await,
        Command::Show { number } => {
            let path = format!("/invoices/{}.json", encode(&number));
            let answer = context.get(Daemon::Chargingd, &path).await?;
            show(context, answer)
        }
        Command::Preview {
            account,
            period,
            form,
        } => {
            let form_name = form.map(|form| form.name().to_owned());
            let query = query(&[
                ("account", Some(account)),
                ("period", period.map(|period| period.to_string())),
                ("form", form_name),
            ]);
            let path = format!("/invoices/preview{query}");
            if form.is_some() {
                return copy(context, &path).await;
            }
            let answer = context.get(Daemon::Chargingd, &path).await?;
            show(context, answer)
        }
        Command::Close { period } => close(period, context).await,
        Command::Export {
            numbers,
            period,
            form,
            to,
        } => export(numbers, period, form, &to, context).await,
        Command::Periods => periods(context).await,
    }
}

fn minor(minor: i64, currency: Currency) -> String {
    let decimals = currency.exponent().map_or(6, u32::from).min(6);
    let unit = 10i64.pow(6 - decimals);
    match minor.checked_mul(unit) {
        Some(micro) => money::print(micro),
        None => minor.to_string(),
    }
}

async fn page(
    account: Option<&str>,
    period: Option<Month>,
    (skip, limit): (usize, usize),
    context: &Context<'_>,
) -> Result<Value, Failure> {
    let query = query(&[
        ("account", account.map(str::to_owned)),
        ("period", period.map(|period| period.to_string())),
        ("limit", Some(limit.to_string())),
        ("skip", (skip > 0).then(|| skip.to_string())),
    ]);
    let path = format!("/invoices{query}");
    context.get(Daemon::Chargingd, &path).await
}

async fn list(
    account: Option<String>,
    period: Option<Month>,
    count: u32,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let answer = page(account.as_deref(), period, (0, count as usize), context).await?;
    if context.json {
        return context.print_json(&answer);
    }
    let invoices: Vec<Summary> = context.read(Daemon::Chargingd, answer)?;
    let mut table = Table::new(&[
        "NUMBER", "PERIOD", "ACCOUNT", "DATE", "DUE DATE", ">CHARGES", ">DUE", "CURRENCY",
    ]);
    for invoice in invoices {
        table.row([
            invoice.number.into(),
            invoice.period.to_string(),
            invoice.account.into(),
            invoice.issued.to_string(),
            invoice.due.to_string(),
            minor(invoice.charges_minor, invoice.currency),
            minor(invoice.due_minor, invoice.currency),
            invoice.currency.code().into(),
        ]);
    }
    Ok(table.print(context.out)?)
}

fn show(context: &mut Context<'_>, answer: Value) -> Result<(), Failure> {
    if context.json {
        return context.print_json(&answer);
    }
    let invoice: Invoice = context.read(Daemon::Chargingd, answer)?;
    let statement = &invoice.statement;
    let money = |micro| format!("{} {}", money::print(micro), invoice.currency.code());
    let due = format!(
        "{} {}",
        minor(statement.due_minor, invoice.currency),
        invoice.currency.code()
    );
    for (field, value) in [
        (
            "number",
            invoice
                .number
                .as_deref()
                .unwrap_or("none: a preview")
                .to_owned(),
        ),
        ("account", invoice.account.to_string()),
        (
            "period",
            format!("{} to {} ({})", invoice.from, invoice.to, invoice.time_zone),
        ),
        ("date", invoice.issued.to_string()),
        ("opening", money(statement.opening.micro)),
        ("charges", money(statement.charges.micro)),
        ("payments", money(statement.payments.micro)),
        ("others", money(statement.others.micro)),
        ("closing", money(statement.closing_micro)),
        ("due", format!("{due} by {}", invoice.due)),
        ("carried", money(statement.carried_micro)),
    ] {
        context.print_line(&format!("{field:<12}  {value}"))?;
    }
    let mut table = Table::new(&[
        "SERVICE",
        "PROVIDER",
        ">COUNT",
        ">TAX RATE",
        ">NET",
        ">TAX",
        ">GROSS",
    ]);
    for line in invoice.lines {
        table.row([
            match line.refund {
                true => format!("refund: {}", line.service),
                false => line.service.into(),
            },
            line.provider.into(),
            line.count.to_string(),
            percent(line.tax_basis_points),
            money::print(line.amounts.net.micro),
            money::print(line.amounts.tax.micro),
            money::print(line.amounts.gross.micro),
        ]);
    }
    Ok(table.print(context.out)?)
}

fn percent(basis_points: u16) -> String {
    format!("{}.{:02}%", basis_points / 100, basis_points % 100)
}

async fn close(period: Month, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = json!({ "period": period });
    loop {
        let state = context
            .post(Daemon::Chargingd, "/invoices/close", &request)
            .await?;
        if state["state"] == "closing" {
            // The daemon answers every few seconds; asking again joins the closing that runs.
            warn(&format!(
                "{period} is being closed: {} customers are done",
                state["customers"]
            ));
            continue;
        }
        if context.json {
            return context.print_json(&state);
        }
        return context.print_line(&format!(
            "{period} is closed: {} invoices, {} settlements",
            state["invoices"], state["settlements"]
        ));
    }
}

async fn export(
    numbers: Vec<String>,
    period: Option<Month>,
    form: Form,
    to: &Path,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let mut written = 0;
    if let Some(period) = period {
        loop {
            let answer = page(None, Some(period), (written, PAGE), context).await?;
            let invoices: Vec<Summary> = context.read(Daemon::Chargingd, answer)?;
            for invoice in &invoices {
                write(&invoice.number, form, to, context).await?;
            }
            written += invoices.len();
            if invoices.len() < PAGE {
                break;
            }
        }
    }
    for number in &numbers {
        write(number, form, to, context).await?;
        written += 1;
    }
    context.print_line(&format!("{written} invoices are in {}", to.display()))
}

async fn write(number: &str, form: Form, to: &Path, context: &Context<'_>) -> Result<(), Failure> {
    let file = format!("{}.{}", encode(number), form.name());
    let octets = context
        .get_octets(Daemon::Chargingd, &format!("/invoices/{file}"))
        .await?;
    let path = to.join(&file);
    std::fs::write(&path, octets).map_err(|source| Failure::File { path, source })
}

async fn copy(context: &mut Context<'_>, path: &str) -> Result<(), Failure> {
    let octets = context.get_octets(Daemon::Chargingd, path).await?;
    Ok(context.out.write_all(&octets)?)
}

async fn periods(context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = context.get(Daemon::Chargingd, "/invoices/periods").await?;
    if context.json {
        return context.print_json(&answer);
    }
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let mut table = Table::new(&["PERIOD", ">INVOICES", ">SETTLEMENTS", "CLOSED"]);
    for period in answer.as_array().into_iter().flatten() {
        table.row([
            text(&period["period"]),
            text(&period["invoices"]),
            text(&period["settlements"]),
            crate::time::print(period["closed_unix_ms"].as_i64().unwrap_or(i64::MAX)),
        ]);
    }
    Ok(table.print(context.out)?)
}

/// Prints what providers get.
pub(crate) async fn settlements(
    command: Settlements,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let form = command.form.map_or("json", SettlementForm::name);
    let query = query(&[
        ("provider", command.provider),
        ("language", command.language),
    ]);
    let path = format!("/settlements/{}.{form}{query}", command.period);
    if command.form.is_some() {
        return copy(context, &path).await;
    }
    let answer = context.get(Daemon::Chargingd, &path).await?;
    if context.json {
        return context.print_json(&answer);
    }
    let settlements: Vec<Settlement> = context.read(Daemon::Chargingd, answer)?;
    let mut table = Table::new(&[
        "PROVIDER",
        ">COUNT",
        ">GROSS",
        ">TAX",
        ">COMMISSION",
        ">PAYABLE",
        ">PAID OUT",
        "CURRENCY",
    ]);
    for one in settlements {
        table.row([
            one.provider.into(),
            one.count.to_string(),
            money::print(one.total.gross.micro),
            money::print(one.total.tax.micro),
            money::print(one.total.commission.micro),
            money::print(one.total.payable.micro),
            minor(one.payable_minor, one.currency),
            one.currency.code().into(),
        ]);
    }
    Ok(table.print(context.out)?)
}
