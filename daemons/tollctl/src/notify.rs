//! `tollctl notify`: whom chargingd tells what happens to accounts.

use chargingd::notify::Contact;
use clap::Subcommand;
use serde::Deserialize;
use serde_json::json;

use crate::context::{Context, Daemon};
use crate::failure::Failure;
use crate::table::Table;
use crate::time;

#[derive(Debug, Subcommand)]
pub(crate) enum Notify {
    /// Each channel, and who is still to be told, the next one first.
    List {
        /// Contacts at the most.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Tells an account's contacts, or one that is given, that this is a test.
    Test {
        /// The account.
        account: String,
        /// sms:+NUMBER, sip:USER@HOST, https://HOST/PATH or mailto:USER@HOST.
        contact: Option<Contact>,
    },
}

pub(crate) async fn run(command: Notify, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Notify::List { limit } => list(context, limit).await,
        Notify::Test { account, contact } => {
            let operation = json!({"test-notification": {"account": account, "contact": contact}});
            let answer = context
                .post(Daemon::Chargingd, "/operations", &operation)
                .await?;
            if context.json {
                return context.print_json(&answer);
            }
            context
                .print_line("on its way; `tollctl notify list` shows who is not told yet, and why")
        }
    }
}

#[derive(Deserialize)]
struct Listed {
    channels: Vec<Channel>,
    waiting: Vec<Waiting>,
}

#[derive(Deserialize)]
struct Channel {
    channel: String,
    enabled: bool,
    waiting: i64,
    in_flight: u64,
    told: u64,
    failed: u64,
    given_up: u64,
    unreachable: u64,
    error: String,
}

#[derive(Deserialize)]
struct Waiting {
    id: u64,
    subject: String,
    kind: String,
    contact: String,
    unix_ms: i64,
    attempts: u32,
    next_unix_ms: i64,
    error: String,
}

async fn list(context: &mut Context<'_>, limit: u32) -> Result<(), Failure> {
    let path = format!("/notifications?limit={limit}");
    let answer = context.get(Daemon::Chargingd, &path).await?;
    if context.json {
        return context.print_json(&answer);
    }
    let listed: Listed = context.read(Daemon::Chargingd, answer)?;
    let mut channels = Table::new(&[
        "CHANNEL",
        "STATE",
        ">WAITING",
        ">UNDER WAY",
        ">TOLD",
        ">FAILED",
        ">GIVEN UP",
        "LAST ERROR",
    ]);
    for channel in listed.channels {
        let state = match (channel.enabled, channel.unreachable) {
            (false, _) => "off",
            (true, 0) => "on",
            (true, _) => "unreachable",
        };
        channels.row([
            channel.channel,
            state.into(),
            channel.waiting.to_string(),
            channel.in_flight.to_string(),
            channel.told.to_string(),
            channel.failed.to_string(),
            channel.given_up.to_string(),
            channel.error,
        ]);
    }
    channels.print(context.out)?;
    context.print_line("")?;
    let mut waiting = Table::new(&[
        ">ID",
        "ACCOUNT",
        "WHAT",
        "CONTACT",
        "SINCE",
        ">ATTEMPTS",
        "NEXT",
        "LAST ERROR",
    ]);
    for one in listed.waiting {
        waiting.row([
            one.id.to_string(),
            one.subject,
            one.kind,
            one.contact,
            time::print(one.unix_ms),
            one.attempts.to_string(),
            time::print(one.next_unix_ms),
            one.error,
        ]);
    }
    Ok(waiting.print(context.out)?)
}
