//! From `main` to a running daemon and back to an exit code.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use clap::{Arg, ArgAction, Command};

use crate::config::{self, Configuration};
use crate::exit::Exit;
use crate::pace::Pace;
use crate::{logging, notify};

/// What a daemon is started with.
#[derive(Debug)]
pub struct Started<C> {
    /// The configuration, checked.
    pub configuration: C,
    /// Its file, for SIGHUP.
    pub path: PathBuf,
}

/// Why a daemon ended other than by being asked to.
#[derive(Debug)]
pub struct Fault {
    /// How the process ends.
    pub exit: Exit,
    /// What the operator should know and do.
    pub message: String,
}

impl Fault {
    /// Something outside is missing: a socket, a file, a privilege.
    pub fn unavailable(message: impl ToString) -> Self {
        Self {
            exit: Exit::Unavailable,
            message: message.to_string(),
        }
    }

    /// The configuration cannot work here.
    pub fn configuration(message: impl ToString) -> Self {
        Self {
            exit: Exit::Configuration,
            message: message.to_string(),
        }
    }

    /// A fault while running.
    pub fn failure(message: impl ToString) -> Self {
        Self {
            exit: Exit::Failure,
            message: message.to_string(),
        }
    }
}

/// Runs a daemon: reads the command line (`--config`, `--check`, `--log`) and the configuration, starts
/// logging and a single-threaded tokio runtime, and awaits what `start` makes of it.
///
/// `about` is one line for `--help`. The daemon itself calls [`notify::ready`] when it serves.
pub fn run<C, F>(
    name: &'static str,
    about: &'static str,
    start: impl FnOnce(Started<C>) -> F,
) -> ExitCode
where
    C: Configuration,
    F: Future<Output = Result<(), Fault>>,
{
    run_at(name, about, None, start)
}

/// [`run`], with the daemon's thread looking at its sockets every few milliseconds while it is under load: see [`Pace`].
///
/// For daemons whose clients have many requests under way. One that waits for each answer before it asks again gets
/// no more than one answer a slot.
pub fn run_paced<C, F>(
    name: &'static str,
    about: &'static str,
    start: impl FnOnce(Started<C>) -> F,
) -> ExitCode
where
    C: Configuration,
    F: Future<Output = Result<(), Fault>>,
{
    let ms = Duration::from_millis;
    // A turn costs about a tenth of a millisecond beside what there is to do; bursts of more than a millisecond's
    // work would overflow the socket buffers of those who hear the answers.
    let pace = Pace::adaptive(ms(1), ms(8), Duration::from_micros(600), ms(4));
    run_at(name, about, Some(pace), start)
}

fn run_at<C, F>(
    name: &'static str,
    about: &'static str,
    pace: Option<Pace>,
    start: impl FnOnce(Started<C>) -> F,
) -> ExitCode
where
    C: Configuration,
    F: Future<Output = Result<(), Fault>>,
{
    let arguments = command(name, about).get_matches();
    let path = arguments
        .get_one::<PathBuf>("config")
        .cloned()
        .unwrap_or_else(|| default_path(name));
    let configuration = match config::load::<C>(&path) {
        Ok(configuration) => configuration,
        Err(error) => {
            eprintln!("{name}: {error}");
            return Exit::Configuration.into();
        }
    };
    if arguments.get_flag("check") {
        println!("{}: ok", path.display());
        return Exit::Success.into();
    }
    let filter = arguments
        .get_one::<String>("log")
        .map_or("info", String::as_str);
    if let Err(error) = logging::start(filter) {
        eprintln!("{name}: {error}");
        return Exit::Configuration.into();
    }
    if let Some(warning) = config::mode_warning(&path) {
        tracing::warn!("{warning}");
    }
    // Stores and records hold what is nobody else's business: files 0640, folders 0750.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o027));
    let started = Started {
        configuration,
        path,
    };
    match block_on(pace, start(started)) {
        Ok(()) => {
            tracing::info!("stopped");
            Exit::Success.into()
        }
        Err(fault) => {
            notify::status(&fault.message);
            tracing::error!("{}", fault.message);
            fault.exit.into()
        }
    }
}

fn block_on(
    pace: Option<Pace>,
    daemon: impl Future<Output = Result<(), Fault>>,
) -> Result<(), Fault> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all();
    if let Some(pace) = pace {
        let pace = Mutex::new(pace);
        // Just before the thread would sleep until something comes: all work at hand is done.
        runtime.on_thread_park(move || {
            if let Ok(mut pace) = pace.lock() {
                pace.sleep();
            }
        });
    }
    runtime
        .build()
        .map_err(Fault::unavailable)?
        .block_on(daemon)
}

fn default_path(name: &str) -> PathBuf {
    Path::new("/etc/tollwire").join(name).with_extension("toml")
}

fn command(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .arg(
            Arg::new("config")
                .long("config")
                .short('c')
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help(format!(
                    "Configuration [default: {}]",
                    default_path(name).display()
                )),
        )
        .arg(
            Arg::new("check")
                .long("check")
                .action(ArgAction::SetTrue)
                .help("Check the configuration, say what is wrong, and end"),
        )
        .arg(
            Arg::new("log")
                .long("log")
                .value_name("FILTER")
                .help("Level, or levels by module: info,sipd::proxy=debug [default: info]"),
        )
}
