//! The operator's command line: asks the daemons over their Unix sockets and prints what they say.
//!
//! One file holds one group of commands; [`context`] is what each is given.

mod account;
mod accounting;
mod audit;
mod billing;
mod ca;
mod calls;
mod context;
mod failure;
mod files;
mod invoice;
mod ledger;
mod money;
mod notify;
mod peer;
mod pinholes;
mod rate;
mod records;
mod shop;
mod slp;
mod sms;
mod standing;
mod subscriber;
mod table;
mod tariff;
mod time;
mod voucher;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::{Context, Sockets};
use failure::Failure;

/// Operates Tollwire: accounts, subscribers, calls, short messages, services, charge records.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done; 1 the daemon refuses, or what was checked is wrong; 2 wrong usage; \
                  69 a daemon or agent cannot be reached; 74 a file cannot be read."
)]
struct Arguments {
    #[command(flatten)]
    sockets: Sockets,
    /// Print JSON instead of tables; money stays in micro-units.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Accounts and their money.
    #[command(subcommand)]
    Account(account::Account),
    /// Codes that are worth money once.
    #[command(subcommand)]
    Voucher(voucher::Voucher),
    /// Who changed what in chargingd, the newest last.
    Audit(audit::Audit),
    /// Who may register and call.
    #[command(subcommand)]
    Subscriber(subscriber::Subscriber),
    /// Where subscribers are registered.
    Bindings,
    /// Live calls, and how long each can still be paid for.
    Calls,
    /// One live call.
    #[command(subcommand)]
    Call(calls::Call),
    /// Charge records.
    #[command(subcommand)]
    Records(records::Records),
    /// Accounting records that elements sent (RFC 6733 section 9).
    #[command(subcommand)]
    Accounting(accounting::Accounting),
    /// Whom customers' notifications reach.
    #[command(subcommand)]
    Notify(notify::Notify),
    /// Media flows that are let through.
    Pinholes,
    /// Short messages.
    #[command(subcommand)]
    Sms(sms::Sms),
    /// Services on the network.
    Slp(slp::Slp),
    /// Payments and customers of the billing server.
    #[command(subcommand)]
    Billing(billing::Billing),
    /// The shop: orders, methods of payment, its key.
    #[command(subcommand)]
    Shop(shop::Shop),
    /// Services of others, paid for through an accounting manager; and what managers and providers have of that.
    Peer(peer::Peer),
    /// Certificates of the parties of peer-to-peer accounting: an authority of one's own, for trials.
    Ca(ca::Ca),
    /// Prices.
    #[command(subcommand)]
    Tariff(tariff::Tariff),
    /// What a call would cost, line by line.
    Rate(rate::Rate),
    /// The newest entries of an account's ledger, oldest first.
    Ledger(ledger::Ledger),
    /// Invoices of post-paid customers.
    #[command(subcommand)]
    Invoice(invoice::Command),
    /// What service providers get for a month.
    Settlement(invoice::Settlements),
    /// Compares every balance with its ledger; exit code 1 if one differs.
    TrialBalance,
    /// Whether this chargingd works or stands by, of those that share its database; exit code 1 if nothing can be stored.
    Standing,
}

/// Runs `tollctl` with the process's arguments.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::Output(error)),
    };
    let mut out = std::io::stdout().lock();
    let mut context = Context {
        sockets: &arguments.sockets,
        json: arguments.json,
        out: &mut out,
    };
    let outcome = runtime
        .block_on(run(arguments.command, &mut context))
        .and_then(|()| context.out.flush().map_err(Failure::Output));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    if failure.is_closed_pipe() {
        // `tollctl records tail | head`: the reader has what it wanted.
        return ExitCode::SUCCESS;
    }
    // Nowhere is left to say that standard error is closed.
    let _ = writeln!(std::io::stderr(), "tollctl: {failure}");
    failure.code()
}

async fn run(command: Command, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Account(command) => account::run(command, context).await,
        Command::Voucher(command) => voucher::run(command, context).await,
        Command::Audit(command) => audit::run(command, context).await,
        Command::Subscriber(command) => subscriber::run(command, context).await,
        Command::Bindings => subscriber::bindings(context).await,
        Command::Calls => calls::list(context).await,
        Command::Call(command) => calls::run(command, context).await,
        Command::Records(command) => records::run(command, context).await,
        Command::Accounting(command) => accounting::run(command, context).await,
        Command::Notify(command) => notify::run(command, context).await,
        Command::Pinholes => pinholes::list(context).await,
        Command::Sms(command) => sms::run(command, context).await,
        Command::Slp(command) => slp::run(command, context).await,
        Command::Billing(command) => billing::run(command, context).await,
        Command::Shop(command) => shop::run(command, context).await,
        Command::Peer(command) => peer::run(command, context).await,
        Command::Ca(command) => ca::run(command, context),
        Command::Tariff(command) => tariff::run(command, context).await,
        Command::Rate(command) => rate::run(command, context).await,
        Command::Ledger(command) => ledger::ledger(command, context).await,
        Command::Invoice(command) => invoice::run(command, context).await,
        Command::Settlement(command) => invoice::settlements(command, context).await,
        Command::TrialBalance => ledger::trial_balance(context).await,
        Command::Standing => standing::show(context).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
