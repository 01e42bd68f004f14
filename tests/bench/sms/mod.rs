//! Short messages per second through `smscd` and through other SMSCs, from one generator.
//!
//! "accepted" is submit_sm answered with no receiver bound; "end to end" is submit_sm, deliver_sm to a
//! bound receiver, its answer, and the delivery receipt back to the sender. `smscd` answers only
//! what is on disk, writes a charge record per message, and keeps every state change; the peers say
//! for themselves what they do.

mod peers;
mod report;

use std::net::SocketAddr;
use std::time::Duration;

use tollwire_harness::net::Net;
use tollwire_harness::process::Scratch;
use tollwire_harness::sms::PASSWORD;
use tollwire_harness::sms::load::{self, Progress, Settings};

use crate::meter;
use report::Cell;

/// A running SMSC.
trait Smsc {
    /// Where it listens, in the router of the network.
    fn address(&self) -> SocketAddr;
    /// The processes that do the work.
    fn processes(&self) -> Vec<u32>;
}

/// How to start one.
struct System {
    name: &'static str,
    /// What it does with a message before it answers, for the report.
    promise: &'static str,
    start: Start,
}

/// Starts one in the router of a network, or says why it cannot.
type Start = fn(&Net, &Scratch) -> Result<Box<dyn Smsc>, String>;

/// One square of the report.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Load {
    end_to_end: bool,
    binds: usize,
    window: u32,
}

/// Every load of the report, in its order.
fn loads() -> Vec<Load> {
    let mut loads = Vec::new();
    for end_to_end in [false, true] {
        for binds in [1, 10] {
            for window in [1, 10, 100] {
                loads.push(Load {
                    end_to_end,
                    binds,
                    window,
                });
            }
        }
    }
    loads
}

/// How long each load is held. `BENCH_SECONDS` changes it.
fn seconds() -> u64 {
    let given = std::env::var("BENCH_SECONDS").ok();
    given.and_then(|value| value.parse().ok()).unwrap_or(4)
}

/// Measures all of them and prints the ratios.
///
/// # Errors
/// When a system that should be here does not start.
pub fn compare() -> Result<(), String> {
    let mut cells = Vec::new();
    let systems = peers::all();
    for system in &systems {
        eprintln!("{} ({}):", system.name, system.promise);
        for load in loads() {
            match measure(system, load) {
                Ok(cell) => {
                    eprintln!("  {cell}");
                    cells.push(cell);
                }
                // A peer that is not installed is left out; without ours there is nothing to say.
                Err(why) if system.name != peers::OURS => {
                    eprintln!("  left out: {why}");
                    break;
                }
                Err(why) => return Err(why),
            }
        }
    }
    report::print(&systems, &loads(), &cells);
    Ok(())
}

/// A fresh SMSC under one load.
fn measure(system: &System, load: Load) -> Result<Cell, String> {
    let net = Net::new(1);
    let scratch = Scratch::new();
    let smsc = (system.start)(&net, &scratch)?;
    let settings = Settings {
        server: smsc.address(),
        submitter: ("application".to_owned(), PASSWORD.to_owned()),
        receiver: ("phone".to_owned(), PASSWORD.to_owned()),
        submitters: load.binds,
        receivers: if load.end_to_end { load.binds } else { 0 },
        window: load.window,
        messages: 4_000_000,
        receipts: load.end_to_end,
        deliveries: load.end_to_end,
        prefix: "4917".to_owned(),
        destinations: 10_000,
        tlvs: Vec::new(),
        persistent: false,
        patience: Duration::from_secs(20),
    };
    let processes = smsc.processes();
    let progress = Progress::default();
    let before = meter::cpu_seconds(&processes);
    let own_before = meter::cpu_seconds(&[std::process::id()]) - before;
    let outcome = net.router.within(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| progress.stop_after(Duration::from_secs(seconds())));
            load::run(&settings, &progress)
        })
    });
    let cpu = meter::cpu_seconds(&processes) - before;
    let own = meter::cpu_seconds(&[std::process::id()]) - before - own_before - cpu;
    let accepted = outcome.accepted();
    if load.end_to_end {
        let missing = outcome.delivered.iter().filter(|times| **times > 0).count() - accepted;
        assert_eq!(missing, 0, "messages on their way");
    }
    let tens_of_thousands = accepted as f64 / 10_000.0;
    Ok(Cell {
        system: system.name,
        load,
        per_second: accepted as f64 / outcome.seconds,
        cpu_per_10_000: cpu / tens_of_thousands,
        generator_cpu_per_10_000: own / tens_of_thousands,
        refused: outcome.refused.values().sum(),
    })
}
