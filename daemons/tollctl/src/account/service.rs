//! `tollctl account service`.

use std::path::PathBuf;

use chargingd::calendar::{Calendar, Every};
use chargingd::class::WhenShort;
use chargingd::event::Operation;
use chargingd::ledger::{About, Commodity};
use chargingd::service_account::{Recharge, RechargeAmount, Terms, UnitPrice};
use clap::{Args, Subcommand};
use jiff::civil::Time;
use serde::Deserialize;
use serde_json::Value;

use super::{made_up, name, show, show_with};
use crate::context::{Context, Daemon, encode};
use crate::failure::Failure;
use crate::table::Table;
use crate::{money, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// A new service account, another one's rules, or a closed one opened again. What is not named is not so.
    Set(Box<Set>),
    /// Other thresholds, or another recharge rule as far as the classes allow it to customers; the rest stays.
    Rules(Box<Rules>),
    /// Closes one: its money goes back to the main account, its units are forfeited.
    Close {
        /// The account.
        #[arg(value_parser = name)]
        name: String,
        /// The service account's own name.
        #[arg(value_parser = name)]
        service: String,
    },
    /// Recharges one from the main account, now.
    Recharge(OnRequest),
    /// The service accounts of an account, or one with its rules.
    Show {
        /// The account.
        #[arg(value_parser = name)]
        name: String,
        /// The service account's own name.
        #[arg(value_parser = name)]
        service: Option<String>,
    },
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("for").multiple(true).args(["classes", "service_identifiers"])))]
pub(crate) struct Set {
    /// The account.
    #[arg(value_parser = name)]
    name: String,
    /// The service account's own name: letters, digits, "-", "_" and ".".
    #[arg(value_parser = name)]
    service: String,
    /// Rating-Group that it pays for; may be repeated.
    #[arg(long = "class", value_name = "NUMBER")]
    classes: Vec<u32>,
    /// Service-Identifier that it pays for; may be repeated.
    #[arg(long = "service-identifier", value_name = "NUMBER")]
    service_identifiers: Vec<u32>,
    /// What it holds: octets, seconds, messages, events, access, or the account's currency.
    #[arg(long, required_unless_present = "terms", value_parser = commodity)]
    unit: Option<Commodity>,
    /// What units cost the main account: 0.30/1000000 is 0.30 for a million of them.
    #[arg(long, value_name = "AMOUNT/UNITS", value_parser = price)]
    price: Option<UnitPrice>,
    /// Of several for one class, the one with the lowest number pays, and is recharged, first.
    #[arg(long, default_value_t = 0)]
    priority: u16,
    /// What its units are called on the invoice; its own name if missing.
    #[arg(long, default_value = "")]
    title: String,
    /// Who provides the service; the operator if missing.
    #[arg(long, default_value = "")]
    provider: String,
    #[command(flatten)]
    rule: Rule,
    /// A balance at which the customer is told; may be repeated.
    #[arg(long = "threshold", value_name = "BALANCE")]
    thresholds: Vec<String>,
    /// When it is short: deny, terminate, main-account, end-subscription, go-on, redirect=ADDRESS,
    /// restrict=RULE[;RULE] (IPFilterRules, RFC 6733 4.3.1) or filter=NAME[;NAME].
    #[arg(long, value_name = "ACTION", value_parser = when_short)]
    when_short: Option<WhenShort>,
    /// When it falls back on the main account, and that is short too: likewise.
    #[arg(long, value_name = "ACTION", value_parser = when_main_short)]
    when_main_short: Option<WhenShort>,
    /// A file with all of it as JSON, as `service show --json` prints `terms`.
    #[arg(long, value_name = "FILE.json", conflicts_with_all = [
        "classes", "service_identifiers", "unit", "price", "priority", "title", "provider", "recharge_at", "recharge_daily",
        "recharge_weekly", "recharge_monthly", "recharge_at_time", "amount", "up_to", "part", "forfeit", "thresholds",
        "when_short", "when_main_short",
    ], required_unless_present = "for")]
    terms: Option<PathBuf>,
}

/// When it is recharged, and by how much.
#[derive(Debug, Args)]
#[command(
    group(clap::ArgGroup::new("calendar").args(["recharge_daily", "recharge_weekly", "recharge_monthly"]).requires("how_much")),
    group(clap::ArgGroup::new("when").multiple(true)
        .args(["recharge_at", "recharge_daily", "recharge_weekly", "recharge_monthly"])),
    group(clap::ArgGroup::new("how_much").args(["amount", "up_to"]).requires("when")),
)]
struct Rule {
    /// Recharged when it has this or less.
    #[arg(long, value_name = "BALANCE", requires = "how_much")]
    recharge_at: Option<String>,
    /// Recharged each day.
    #[arg(long)]
    recharge_daily: bool,
    /// Recharged on this day of each week: 1 is Monday, 7 Sunday.
    #[arg(long, value_name = "DAY", value_parser = clap::value_parser!(i8).range(1..=7))]
    recharge_weekly: Option<i8>,
    /// Recharged on this day of each month, or its last.
    #[arg(long, value_name = "DAY", value_parser = clap::value_parser!(i8).range(1..=31))]
    recharge_monthly: Option<i8>,
    /// At which time of that day, in the customer's time zone.
    #[arg(long, value_name = "HH:MM", requires = "calendar", value_parser = wall)]
    recharge_at_time: Option<Time>,
    /// How much a recharge brings.
    #[arg(long)]
    amount: Option<String>,
    /// A recharge brings what is missing to this.
    #[arg(long, value_name = "BALANCE")]
    up_to: Option<String>,
    /// Recharged with less if the main account cannot pay for the whole.
    #[arg(long, requires = "how_much")]
    part: bool,
    /// What is left is forfeited before the calendar's recharge.
    #[arg(long, requires = "calendar")]
    forfeit: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rules {
    /// The account.
    #[arg(value_parser = name)]
    name: String,
    /// The service account's own name.
    #[arg(value_parser = name)]
    service: String,
    #[command(flatten)]
    rule: Rule,
    /// Recharged on request alone.
    #[arg(long, conflicts_with = "when")]
    no_recharge: bool,
    /// A balance at which the customer is told, instead of those so far; may be repeated.
    #[arg(long = "threshold", value_name = "BALANCE")]
    thresholds: Vec<String>,
    /// He is told of no balance.
    #[arg(long, conflicts_with = "thresholds")]
    no_thresholds: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OnRequest {
    /// The account.
    #[arg(value_parser = name)]
    name: String,
    /// The service account's own name.
    #[arg(value_parser = name)]
    service: String,
    /// How much: units, or money like 5.00; what its rule says if missing.
    amount: Option<String>,
    /// Less, if the main account cannot pay for the whole.
    #[arg(long)]
    part: bool,
    /// The request's name: under one reference it happens once. Made up and printed if missing.
    #[arg(long)]
    reference: Option<String>,
}

/// What is shown of chargingd's service account.
#[derive(Debug, Deserialize)]
pub(super) struct View {
    name: String,
    #[serde(flatten)]
    terms: Terms,
    balance: i64,
    held: i64,
    wanting: bool,
    recharge_unix_ms: Option<i64>,
    expires_unix_ms: Option<i64>,
    closed: bool,
}

#[derive(Debug, Deserialize)]
struct Owner {
    service_accounts: Vec<View>,
}

impl View {
    fn own_name(&self) -> &str {
        self.name.split_once('/').map_or(&self.name, |(_, own)| own)
    }

    fn state(&self) -> &'static str {
        match (self.closed, self.wanting) {
            (true, _) => "closed",
            (false, true) => "waits for money",
            (false, false) => "open",
        }
    }
}

fn commodity(text: &str) -> Result<Commodity, String> {
    let unit: Result<Commodity, _> = text.parse();
    unit.or_else(|error| {
        text.to_ascii_uppercase()
            .parse()
            .map_err(|_| error.to_string())
    })
}

fn price(text: &str) -> Result<UnitPrice, String> {
    let (amount, per) = text
        .split_once('/')
        .ok_or("a price is written like 0.30/1000000")?;
    Ok(UnitPrice {
        amount_micro: money::parse(amount)?,
        per: (per.parse().ok())
            .filter(|per| *per > 0)
            .ok_or("a price is for 1 to 4294967295 units")?,
    })
}

fn wall(text: &str) -> Result<Time, String> {
    text.parse()
        .map_err(|_| "a time of the day is written like 06:30".into())
}

fn when_short(text: &str) -> Result<WhenShort, String> {
    action(text, false)
}

fn when_main_short(text: &str) -> Result<WhenShort, String> {
    action(text, true)
}

fn action(text: &str, of_main: bool) -> Result<WhenShort, String> {
    let several = |list: &str| -> Vec<Box<str>> {
        let parts = list.split(';').map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(Into::into)
            .collect()
    };
    let rule = match text.split_once('=').unwrap_or((text, "")) {
        ("redirect", address) => WhenShort::Redirect {
            address: address.into(),
        },
        ("restrict", rules) => WhenShort::Restrict {
            filters: several(rules),
            filter_ids: Vec::new(),
        },
        ("filter", names) => WhenShort::Restrict {
            filters: Vec::new(),
            filter_ids: several(names),
        },
        ("deny", "") => WhenShort::Deny,
        ("terminate", "") => WhenShort::Terminate,
        ("main-account", "") => WhenShort::MainAccount,
        ("end-subscription", "") => WhenShort::EndSubscription,
        ("go-on", "") => WhenShort::GoOn,
        _ => {
            return Err(
                "deny, terminate, main-account, end-subscription, go-on, redirect=ADDRESS, \
                        restrict=RULE[;RULE] or filter=NAME[;NAME]"
                    .into(),
            );
        }
    };
    rule.fault(of_main).map_or(Ok(rule), Err)
}

/// `text` in `unit`: money like 5.00, units as a whole number.
fn quantity(text: &str, unit: Commodity) -> Result<i64, Failure> {
    let wrong = |what: String| Failure::Usage(format!("{text:?}: {what}"));
    match unit.currency() {
        Some(_) => money::parse(text).map_err(wrong),
        None => (text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse().ok())
            .flatten()
            .ok_or_else(|| wrong(format!("so many {unit}: a whole number"))),
    }
}

/// A balance as people read it.
fn print(amount: i64, unit: Commodity) -> String {
    match unit.currency() {
        Some(currency) => format!("{} {}", money::print(amount), currency.code()),
        None => format!("{amount} {unit}"),
    }
}

/// Strictly: a misspelt rule is not left out.
fn read_terms(text: &str) -> Result<Terms, String> {
    let terms: Terms = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let known = serde_json::to_value(&terms).map_err(|error| error.to_string())?;
    let given: serde_json::Map<String, Value> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    match given.keys().find(|key| known.get(key).is_none()) {
        Some(key) => Err(format!("{key:?} is no part of a service account's terms")),
        None => Ok(terms),
    }
}

impl Set {
    fn terms(&self) -> Result<Terms, Failure> {
        if let Some(path) = &self.terms {
            let text = std::fs::read_to_string(path).map_err(|source| Failure::File {
                path: path.clone(),
                source,
            })?;
            return read_terms(&text)
                .map_err(|error| Failure::Wrong(format!("{}: {error}", path.display())));
        }
        let unit = self
            .unit
            .ok_or_else(|| Failure::Usage("--unit is missing".into()))?;
        let thresholds = self.thresholds.iter();
        Ok(Terms {
            rating_groups: self.classes.clone(),
            service_identifiers: self.service_identifiers.clone(),
            priority: self.priority,
            unit,
            price: self.price,
            about: About {
                service: self.title.as_str().into(),
                provider: self.provider.as_str().into(),
                ..About::default()
            },
            recharge: self.rule.recharge(unit)?,
            thresholds: (thresholds.map(|text| quantity(text, unit))).collect::<Result<_, _>>()?,
            when_short: self.when_short.clone(),
            when_main_short: self.when_main_short.clone(),
        })
    }
}

impl Rule {
    fn recharge(&self, unit: Commodity) -> Result<Option<Recharge>, Failure> {
        let amount = match (&self.amount, &self.up_to) {
            (Some(amount), _) => RechargeAmount::Fixed(quantity(amount, unit)?),
            (None, Some(top)) => RechargeAmount::UpTo(quantity(top, unit)?),
            (None, None) => return Ok(None),
        };
        let every = (self.recharge_daily.then_some(Every::Day))
            .or(self.recharge_weekly.map(Every::Week))
            .or(self.recharge_monthly.map(Every::Month));
        let minimum = self.recharge_at.as_deref();
        Ok(Some(Recharge {
            at_minimum: minimum.map(|text| quantity(text, unit)).transpose()?,
            calendar: every.map(|every| Calendar {
                every,
                at: self.recharge_at_time.unwrap_or_default(),
            }),
            amount,
            part: self.part,
            forfeit: self.forfeit,
        }))
    }
}

pub(super) async fn run(command: Service, context: &mut Context<'_>) -> Result<(), Failure> {
    let operation = match command {
        Service::Show { name, service } => return look(context, &name, service.as_deref()).await,
        Service::Recharge(request) => return recharge(context, request).await,
        Service::Rules(rules) => rules_of(context, *rules).await?,
        Service::Set(set) => Operation::SetServiceAccount {
            terms: Box::new(set.terms()?),
            account: set.name.into(),
            service_account: set.service.into(),
        },
        Service::Close { name, service } => Operation::CloseServiceAccount {
            account: name.into(),
            service_account: service.into(),
        },
    };
    let answer = context
        .post(Daemon::Chargingd, "/operations", &operation)
        .await?;
    show(context, answer)
}

async fn owner(context: &Context<'_>, account: &str) -> Result<(Value, Vec<View>), Failure> {
    let path = format!("/accounts/{}", encode(account));
    let answer = context.get(Daemon::Chargingd, &path).await?;
    let owner: Owner = context.read(Daemon::Chargingd, answer.clone())?;
    let all = answer.get("service_accounts").cloned();
    Ok((all.unwrap_or_default(), owner.service_accounts))
}

fn missing(account: &str, service: &str) -> Failure {
    Failure::Wrong(format!("no service account {account}/{service}"))
}

async fn rules_of(context: &Context<'_>, rules: Rules) -> Result<Operation, Failure> {
    // What an amount is depends on what the service account holds.
    let (_, known) = owner(context, &rules.name).await?;
    let known = known
        .iter()
        .find(|known| known.own_name() == rules.service)
        .ok_or_else(|| missing(&rules.name, &rules.service))?;
    let unit = known.terms.unit;
    let given = !rules.thresholds.is_empty() || rules.no_thresholds;
    let thresholds = rules.thresholds.iter().map(|text| quantity(text, unit));
    let thresholds: Vec<i64> = thresholds.collect::<Result<_, _>>()?;
    let recharge = match rules.rule.recharge(unit)? {
        Some(rule) => Some(Some(rule)),
        None => rules.no_recharge.then_some(None),
    };
    if !given && recharge.is_none() {
        return Err(Failure::Usage(
            "nothing is to be changed: name thresholds or a recharge rule".into(),
        ));
    }
    Ok(Operation::SetServiceRules {
        account: rules.name.into(),
        service_account: rules.service.into(),
        thresholds: given.then_some(thresholds),
        recharge,
    })
}

async fn recharge(context: &mut Context<'_>, request: OnRequest) -> Result<(), Failure> {
    let amount = match &request.amount {
        None => None,
        // What an amount is depends on what the service account holds.
        Some(text) => {
            let (_, known) = owner(context, &request.name).await?;
            let known = known
                .iter()
                .find(|known| known.own_name() == request.service)
                .ok_or_else(|| missing(&request.name, &request.service))?;
            Some(quantity(text, known.terms.unit)?)
        }
    };
    let reference = request.reference.map_or_else(made_up, Ok)?;
    let operation = Operation::Recharge {
        account: request.name.into(),
        service_account: request.service.into(),
        amount,
        part: request.part,
        reference: reference.clone(),
    };
    let answer = context
        .post(Daemon::Chargingd, "/operations", &operation)
        .await
        .map_err(|failure| failure.with_reference(&reference))?;
    show_with(context, &reference, answer)
}

async fn look(
    context: &mut Context<'_>,
    account: &str,
    service: Option<&str>,
) -> Result<(), Failure> {
    let (answer, known) = owner(context, account).await?;
    let Some(service) = service else {
        return match context.json {
            true => context.print_json(&answer),
            false => table(context, &known),
        };
    };
    let found = known.iter().position(|known| known.own_name() == service);
    let at = found.ok_or_else(|| missing(account, service))?;
    let (Some(value), Some(known)) = (answer.get(at), known.get(at)) else {
        return Err(missing(account, service));
    };
    if context.json {
        let terms = serde_json::to_value(&known.terms).unwrap_or_default();
        let mut value = value.clone();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("terms".into(), terms);
        }
        return context.print_json(&value);
    }
    for (field, value) in lines(known) {
        context.print_line(&format!("{field:<12}  {value}"))?;
    }
    Ok(())
}

/// Service accounts, a line each.
pub(super) fn table(context: &mut Context<'_>, known: &[View]) -> Result<(), Failure> {
    let mut table = Table::new(&[
        "SERVICE",
        ">PRIORITY",
        ">BALANCE",
        ">HELD",
        "UNIT",
        "CLASSES",
        "NEXT RECHARGE",
        "EXPIRES",
        "STATE",
    ]);
    for account in known {
        let unit = account.terms.unit;
        let amount = |amount| match unit.currency() {
            Some(_) => money::print(amount),
            None => amount.to_string(),
        };
        table.row([
            account.own_name().to_owned(),
            account.terms.priority.to_string(),
            amount(account.balance),
            amount(account.held),
            unit.to_string(),
            classes(&account.terms),
            account
                .recharge_unix_ms
                .map_or_else(String::new, time::print),
            account
                .expires_unix_ms
                .map_or_else(String::new, time::print),
            account.state().into(),
        ]);
    }
    Ok(table.print(context.out)?)
}

fn classes(terms: &Terms) -> String {
    let groups = terms.rating_groups.iter().map(u32::to_string);
    let identifiers = terms.service_identifiers.iter();
    let all = groups.chain(identifiers.map(|identifier| format!("s{identifier}")));
    all.collect::<Vec<_>>().join(" ")
}

fn lines(account: &View) -> Vec<(&'static str, String)> {
    let terms = &account.terms;
    let amount = |amount| print(amount, terms.unit);
    let mut lines = vec![
        ("service", account.name.clone()),
        ("state", account.state().into()),
        ("balance", amount(account.balance)),
        ("held", amount(account.held)),
        ("classes", classes(terms)),
        ("priority", terms.priority.to_string()),
    ];
    if let Some(price) = terms.price {
        let each = money::print(price.amount_micro);
        lines.push(("price", format!("{each} for {} {}", price.per, terms.unit)));
    }
    if let Some(rule) = &terms.recharge {
        lines.push(("recharge", recharge_rule(rule, terms.unit)));
    }
    for (field, at) in [
        ("recharged", account.recharge_unix_ms),
        ("expires", account.expires_unix_ms),
    ] {
        lines.extend(at.map(|at| (field, time::print(at))));
    }
    if !terms.thresholds.is_empty() {
        let told: Vec<String> = terms.thresholds.iter().copied().map(amount).collect();
        lines.push(("told at", told.join(", ")));
    }
    for (field, rule) in [
        ("when short", &terms.when_short),
        ("main short", &terms.when_main_short),
    ] {
        lines.extend(rule.as_ref().map(|rule| (field, what_happens(rule))));
    }
    lines
}

fn recharge_rule(rule: &Recharge, unit: Commodity) -> String {
    let mut text = match rule.amount {
        RechargeAmount::Fixed(amount) => print(amount, unit),
        RechargeAmount::UpTo(top) => format!("up to {}", print(top, unit)),
    };
    if let Some(minimum) = rule.at_minimum {
        text.push_str(&format!(", at {} or less", print(minimum, unit)));
    }
    if let Some(calendar) = rule.calendar {
        let every = match calendar.every {
            Every::Day => "every day".into(),
            Every::Week(day) => format!("on weekday {day}"),
            Every::Month(day) => format!("on day {day} of the month"),
        };
        text.push_str(&format!(", {every} at {}", calendar.at.strftime("%H:%M")));
    }
    if rule.part {
        text.push_str(", or a part");
    }
    if rule.forfeit {
        text.push_str(", what is left is forfeited");
    }
    text
}

fn what_happens(rule: &WhenShort) -> String {
    match rule {
        WhenShort::Deny => "deny".into(),
        WhenShort::Terminate => "terminate".into(),
        WhenShort::Redirect { address } => format!("redirect={address}"),
        WhenShort::Restrict {
            filters,
            filter_ids,
        } => [("restrict", filters), ("filter", filter_ids)]
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(word, list)| format!("{word}={}", list.join(";")))
            .collect::<Vec<_>>()
            .join(" "),
        WhenShort::MainAccount => "main-account".into(),
        WhenShort::EndSubscription => "end-subscription".into(),
        WhenShort::GoOn => "go-on".into(),
    }
}
