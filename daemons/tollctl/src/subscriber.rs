//! `tollctl subscriber`.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use crate::context::{Context, Daemon, encode, warn};
use crate::failure::Failure;
use crate::table::Table;
use crate::time;

/// The longest password read, octets.
const LONGEST_PASSWORD: u64 = 4096;

#[derive(Debug, Subcommand)]
pub(crate) enum Subscriber {
    /// A new subscriber, or another password and identity for one.
    Add(Add),
    /// Every subscriber.
    List,
    /// Forgets a subscriber.
    Remove {
        /// User name.
        username: String,
    },
    /// Refuses a subscriber's requests.
    Disable {
        /// User name.
        username: String,
    },
    /// Takes a subscriber's requests again.
    Enable {
        /// User name.
        username: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// User name of the phone's digest authentication.
    username: String,
    /// The SIP URI that it calls and is called under.
    #[arg(long, value_name = "URI")]
    identity: String,
    #[command(flatten)]
    password: Password,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Password {
    /// The password is the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
    /// The password is the first line of a file.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The password itself. Whoever lists processes sees it: use one of the others.
    #[arg(long)]
    password: Option<String>,
}

/// What is shown of sipd's binding.
#[derive(Debug, Deserialize)]
struct Binding {
    address_of_record: String,
    contact: String,
    expires: u64,
}

/// Body of PUT; without a password the stored one stays.
#[derive(Debug, Serialize)]
struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    identity: String,
    enabled: bool,
}

#[derive(Debug, Deserialize)]
struct View {
    username: String,
    identity: String,
    enabled: bool,
}

pub(crate) async fn run(command: Subscriber, context: &mut Context<'_>) -> Result<(), Failure> {
    match command {
        Subscriber::List => list(context).await,
        Subscriber::Add(add) => {
            let change = Change {
                password: Some(password(add.password)?),
                identity: add.identity,
                enabled: true,
            };
            change_to(context, &add.username, change, "stored").await
        }
        Subscriber::Disable { username } => set_enabled(context, &username, false).await,
        Subscriber::Enable { username } => set_enabled(context, &username, true).await,
        Subscriber::Remove { username } => {
            let answer = context.delete(Daemon::Sipd, &path(&username)).await?;
            if context.json {
                return context.print_json(&answer);
            }
            context.print_line(&format!("{username}: removed"))
        }
    }
}

fn path(username: &str) -> String {
    format!("/subscribers/{}", encode(username))
}

async fn list(context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = context.get(Daemon::Sipd, "/subscribers").await?;
    if context.json {
        return context.print_json(&answer);
    }
    let subscribers: Vec<View> = context.read(Daemon::Sipd, answer)?;
    let mut table = Table::new(&["USERNAME", "IDENTITY", "STATE"]);
    for subscriber in subscribers {
        let state = if subscriber.enabled {
            "enabled"
        } else {
            "disabled"
        };
        table.row([subscriber.username, subscriber.identity, state.into()]);
    }
    Ok(table.print(context.out)?)
}

/// Prints where each subscriber is registered.
pub(crate) async fn bindings(context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = context.get(Daemon::Sipd, "/bindings").await?;
    if context.json {
        return context.print_json(&answer);
    }
    let bindings: Vec<Binding> = context.read(Daemon::Sipd, answer)?;
    let mut table = Table::new(&["ADDRESS OF RECORD", "CONTACT", ">EXPIRES IN"]);
    for binding in bindings {
        table.row([
            binding.address_of_record,
            binding.contact,
            time::print_duration(binding.expires),
        ]);
    }
    Ok(table.print(context.out)?)
}

async fn change_to(
    context: &mut Context<'_>,
    username: &str,
    change: Change,
    done: &str,
) -> Result<(), Failure> {
    let answer = context.put(Daemon::Sipd, &path(username), &change).await?;
    if context.json {
        return context.print_json(&answer);
    }
    context.print_line(&format!("{username}: {done}"))
}

async fn set_enabled(
    context: &mut Context<'_>,
    username: &str,
    enabled: bool,
) -> Result<(), Failure> {
    let answer = context.get(Daemon::Sipd, "/subscribers").await?;
    let subscribers: Vec<View> = context.read(Daemon::Sipd, answer)?;
    let found = subscribers
        .into_iter()
        .find(|subscriber| subscriber.username == username)
        .ok_or_else(|| {
            Failure::Wrong(format!(
                "no subscriber {username:?}; `tollctl subscriber list` shows them"
            ))
        })?;
    let change = Change {
        password: None,
        identity: found.identity,
        enabled,
    };
    let done = if enabled { "enabled" } else { "disabled" };
    change_to(context, username, change, done).await
}

fn password(password: Password) -> Result<String, Failure> {
    let (path, line) = match password {
        Password {
            password: Some(password),
            ..
        } => {
            warn(
                "--password shows the password to whoever lists processes: prefer --password-stdin",
            );
            return Ok(password);
        }
        Password {
            password_file: Some(path),
            ..
        } => {
            let line = std::fs::File::open(&path)
                .and_then(|file| first_line(std::io::BufReader::new(file)));
            (path, line)
        }
        _ => (
            PathBuf::from("standard input"),
            first_line(std::io::stdin().lock()),
        ),
    };
    let line = line.map_err(|source| Failure::File {
        path: path.clone(),
        source,
    })?;
    check(&path, line)
}

fn first_line(input: impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    input.take(LONGEST_PASSWORD).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn check(path: &Path, line: String) -> Result<String, Failure> {
    if line.is_empty() {
        return Err(Failure::Wrong(format!(
            "{}: the first line must be the password; it is empty",
            path.display()
        )));
    }
    Ok(line)
}
