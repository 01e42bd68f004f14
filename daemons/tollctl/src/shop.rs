//! `tollctl shop`: what shopd has sold, and how it can be paid.

use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::json;

use crate::context::{Context, Daemon};
use crate::failure::Failure;
use crate::table::Table;
use crate::{money, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Shop {
    /// The newest orders. Customers are not named.
    Orders {
        /// Those in this state alone.
        #[arg(long)]
        state: Option<State>,
        /// Those with smaller numbers alone.
        #[arg(long, value_name = "NUMBER")]
        before: Option<i64>,
        /// So many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Billing servers that are known and dealt with.
    Methods,
    /// The thumbprint of the key that invoices are signed with: what a billing server wants for an agreement.
    Key,
    /// Reads the configuration and the goods again.
    Reload,
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum State {
    /// No method of payment is chosen.
    Open,
    /// An invoice waits for its payment.
    Invoiced,
    /// It can be delivered.
    Paid,
    /// A part of it went out.
    Delivering,
    /// All of it went out.
    Delivered,
    /// It was not paid in time.
    Expired,
}

#[derive(Debug, Deserialize)]
struct Order {
    number: i64,
    good: String,
    state: String,
    amount_micro: i64,
    currency: String,
    created_unix_ms: i64,
    paid_unix_ms: Option<i64>,
    sent_octets: i64,
    paid_by: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Method {
    name: String,
    url: String,
    thumbprint: String,
    fee_basis_points: u16,
    fee_fixed_micro: i64,
    currencies: Vec<String>,
    known_from: String,
}

#[derive(Debug, Deserialize)]
struct Key {
    thumbprint: String,
}

pub(crate) async fn run(command: Shop, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Shop::Orders {
            state,
            before,
            limit,
        } => orders(context, state, before, limit).await,
        Shop::Methods => methods(context).await,
        Shop::Key => key(context).await,
        Shop::Reload => {
            let answer = context.post(Daemon::Shopd, "/reload", &json!({})).await?;
            if context.json {
                return context.print_json(&answer);
            }
            context.print_line("read again")
        }
    }
}

async fn orders(
    context: &mut Context<'_>,
    state: Option<State>,
    before: Option<i64>,
    limit: u32,
) -> Result<(), Failure> {
    let mut path = format!("/orders?limit={limit}");
    if let Some(before) = before {
        path += &format!("&before={before}");
    }
    if let Some(state) = state.and_then(|state| state.to_possible_value()) {
        path += &format!("&state={}", state.get_name());
    }
    let answer = context.get(Daemon::Shopd, &path).await?;
    if context.json {
        return context.print_json(&answer);
    }
    let orders: Vec<Order> = context.read(Daemon::Shopd, answer)?;
    let mut table = Table::new(&[
        ">NUMBER", "GOOD", "STATE", ">PRICE", "CURRENCY", "ORDERED", "PAID", ">OCTETS", "PAID BY",
    ]);
    for order in orders {
        table.row([
            order.number.to_string(),
            order.good,
            order.state,
            money::print(order.amount_micro),
            order.currency,
            time::print(order.created_unix_ms),
            order.paid_unix_ms.map(time::print).unwrap_or_default(),
            order.sent_octets.to_string(),
            order.paid_by.unwrap_or_default(),
        ]);
    }
    Ok(table.print(context.out)?)
}

async fn methods(context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = context.get(Daemon::Shopd, "/methods").await?;
    if context.json {
        return context.print_json(&answer);
    }
    let methods: Vec<Method> = context.read(Daemon::Shopd, answer)?;
    let mut table = Table::new(&[
        "NAME",
        ">FEE %",
        ">FEE",
        "CURRENCIES",
        "KNOWN FROM",
        "THUMBPRINT",
        "URL",
    ]);
    for method in methods {
        let points = method.fee_basis_points;
        table.row([
            method.name,
            format!("{}.{:02}", points / 100, points % 100),
            money::print(method.fee_fixed_micro),
            method.currencies.join(" "),
            method.known_from,
            method.thumbprint,
            method.url,
        ]);
    }
    Ok(table.print(context.out)?)
}

async fn key(context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = context.get(Daemon::Shopd, "/key").await?;
    if context.json {
        return context.print_json(&answer);
    }
    let key: Key = context.read(Daemon::Shopd, answer)?;
    context.print_line(&key.thumbprint)
}
