//! `tollctl account`.

mod profile;
mod service;

use chargingd::account::{Payment, is_name};
use chargingd::event::Operation;
use clap::{Args, Subcommand};
use iso_currency::Currency;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::context::{Context, Daemon, encode};
use crate::failure::Failure;
use crate::money;
use crate::table::Table;

/// Octets of chance in a made-up reference.
const REFERENCE_OCTETS: usize = 8;

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// A new account, without money.
    Create(Create),
    /// Every account.
    List,
    /// One account with its identities.
    Show {
        /// The account.
        #[arg(value_parser = name)]
        name: String,
    },
    /// Pays money in.
    TopUp {
        /// The account.
        #[arg(value_parser = name)]
        name: String,
        /// How much, in the account's currency: 12.50.
        #[arg(value_parser = money::parse_positive)]
        amount: i64,
        /// The payment's name: under one reference it is taken once. Made up and printed if missing.
        #[arg(long)]
        reference: Option<String>,
    },
    /// Sets how far below zero the account may go.
    Limit {
        /// The account.
        #[arg(value_parser = name)]
        name: String,
        /// The limit, in the account's currency.
        #[arg(value_parser = money::parse)]
        amount: i64,
    },
    /// Ends the account's calls now and lets none begin.
    Block {
        /// The account.
        #[arg(value_parser = name)]
        name: String,
    },
    /// Lets the account be used again.
    Unblock {
        /// The account.
        #[arg(value_parser = name)]
        name: String,
    },
    /// SIP URIs and numbers charged to accounts.
    #[command(subcommand)]
    Identity(Identity),
    /// What is set aside for services of some classes: money or units, recharged from the account.
    #[command(subcommand)]
    Service(service::Service),
    /// Who the customer is, and where he is told.
    #[command(subcommand)]
    Profile(profile::Profile),
    /// Sets when what is left of an account, or of a service account, expires.
    Expire(profile::Expire),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Letters, digits, "-", "_" and ".".
    #[arg(value_parser = name)]
    name: String,
    /// ISO 4217 code.
    #[arg(long, value_parser = currency)]
    currency: Currency,
    /// Paid on an invoice; prepaid otherwise.
    #[arg(long)]
    postpaid: bool,
    /// How far below zero the account may go.
    #[arg(long, value_name = "AMOUNT", default_value = "0", value_parser = money::parse)]
    credit_limit: i64,
    /// A SIP URI or number charged to the account; may be repeated.
    #[arg(long = "identity", value_name = "URI")]
    identities: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Identity {
    /// Charges an identity to an account.
    Add {
        /// The account.
        #[arg(value_parser = name)]
        name: String,
        /// SIP URI or number.
        identity: String,
    },
    /// Charges an identity to nobody.
    Remove {
        /// SIP URI or number.
        identity: String,
    },
}

/// What is shown of chargingd's account.
#[derive(Debug, Deserialize)]
struct View {
    name: String,
    payment: String,
    currency: String,
    balance_micro: i64,
    credit_limit_micro: i64,
    blocked: bool,
    held_micro: i64,
    available_micro: i64,
    identities: Vec<String>,
    sessions: u64,
    service_accounts: Vec<service::View>,
}

pub(crate) fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a name is 1 to 64 letters, digits, \"-\", \"_\" and \".\"".into())
    }
}

pub(crate) fn currency(text: &str) -> Result<Currency, String> {
    Currency::from_code(&text.to_ascii_uppercase())
        .ok_or_else(|| "a currency is an ISO 4217 code, like EUR".into())
}

pub(crate) async fn run(command: Account, context: &mut Context<'_>) -> Result<(), Failure> {
    let operation = match command {
        Account::List => return list(context).await,
        Account::Show { name } => {
            let path = format!("/accounts/{}", encode(&name));
            let answer = context.get(Daemon::Chargingd, &path).await?;
            return show(context, answer);
        }
        Account::TopUp {
            name,
            amount,
            reference,
        } => return top_up(context, name, amount, reference).await,
        Account::Create(create) => Operation::CreateAccount {
            name: create.name.into(),
            payment: if create.postpaid {
                Payment::Postpaid
            } else {
                Payment::Prepaid
            },
            currency: create.currency,
            credit_limit_micro: create.credit_limit,
            identities: create.identities,
        },
        Account::Limit { name, amount } => Operation::SetCreditLimit {
            account: name.into(),
            credit_limit_micro: amount,
        },
        Account::Block { name } => Operation::Block {
            account: name.into(),
        },
        Account::Unblock { name } => Operation::Unblock {
            account: name.into(),
        },
        Account::Identity(Identity::Add { name, identity }) => Operation::AddIdentity {
            account: name.into(),
            identity,
        },
        Account::Identity(Identity::Remove { identity }) => Operation::RemoveIdentity { identity },
        Account::Service(command) => return service::run(command, context).await,
        Account::Profile(profile) => profile.into(),
        Account::Expire(expire) => expire.into(),
    };
    let answer = context
        .post(Daemon::Chargingd, "/operations", &operation)
        .await?;
    show(context, answer)
}

async fn list(context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = context.get(Daemon::Chargingd, "/accounts").await?;
    if context.json {
        return context.print_json(&answer);
    }
    let accounts: Vec<View> = context.read(Daemon::Chargingd, answer)?;
    let mut table = Table::new(&[
        "NAME",
        "PAYMENT",
        ">BALANCE",
        ">HELD",
        ">AVAILABLE",
        "CURRENCY",
        ">CALLS",
        "STATE",
    ]);
    for account in accounts {
        table.row([
            account.name,
            account.payment,
            money::print(account.balance_micro),
            money::print(account.held_micro),
            money::print(account.available_micro),
            account.currency,
            account.sessions.to_string(),
            state(account.blocked).into(),
        ]);
    }
    Ok(table.print(context.out)?)
}

fn state(blocked: bool) -> &'static str {
    if blocked { "blocked" } else { "open" }
}

fn show(context: &mut Context<'_>, answer: Value) -> Result<(), Failure> {
    if context.json {
        return context.print_json(&answer);
    }
    let account: View = context.read(Daemon::Chargingd, answer)?;
    let money = |micro| format!("{} {}", money::print(micro), account.currency);
    let identities = if account.identities.is_empty() {
        "none".into()
    } else {
        account.identities.join(" ")
    };
    for (field, value) in [
        ("account", account.name.clone()),
        ("payment", account.payment.clone()),
        ("state", state(account.blocked).into()),
        ("balance", money(account.balance_micro)),
        ("held", money(account.held_micro)),
        ("credit limit", money(account.credit_limit_micro)),
        ("available", money(account.available_micro)),
        ("identities", identities),
        ("live calls", account.sessions.to_string()),
    ] {
        context.print_line(&format!("{field:<12}  {value}"))?;
    }
    if !account.service_accounts.is_empty() {
        context.print_line("")?;
        service::table(context, &account.service_accounts)?;
    }
    Ok(())
}

async fn top_up(
    context: &mut Context<'_>,
    name: String,
    amount_micro: i64,
    reference: Option<String>,
) -> Result<(), Failure> {
    let reference = match reference {
        Some(reference) => reference,
        None => made_up()?,
    };
    let operation = Operation::TopUp {
        account: name.into(),
        amount_micro,
        reference: reference.clone(),
    };
    let answer = context
        .post(Daemon::Chargingd, "/operations", &operation)
        .await
        .map_err(|failure| failure.with_reference(&reference))?;
    show_with(context, &reference, answer)
}

/// The account after what was asked for under this name.
pub(crate) fn show_with(
    context: &mut Context<'_>,
    reference: &str,
    answer: Value,
) -> Result<(), Failure> {
    if context.json {
        return context.print_json(&json!({ "reference": reference, "account": answer }));
    }
    context.print_line(&format!("{:<12}  {reference}", "reference"))?;
    show(context, answer)
}

pub(crate) fn made_up() -> Result<String, Failure> {
    let mut octets = [0; REFERENCE_OCTETS];
    getrandom::fill(&mut octets).map_err(|error| {
        Failure::Wrong(format!("no random numbers ({error}): give --reference"))
    })?;
    Ok(format!("tollctl-{}", hex::encode(octets)))
}
