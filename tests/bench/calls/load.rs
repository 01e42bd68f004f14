//! The calls: sipp on both sides of the router, the same for every system.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tollwire_harness::net::Net;
use tollwire_harness::process::Scratch;
use tollwire_harness::sipp::{RunningSipp, Sipp};
use tollwire_harness::wait::{PATIENCE, wait_until};

use super::System;
use super::report::{Report, Step};
use crate::meter;

/// Where sipp's phones are; 5060 is taken by the scene's own.
const PORT: u16 = 5062;

/// The domain both systems serve.
pub const DOMAIN: &str = tollwire_harness::scene::DOMAIN;

/// How long each rate is held. `BENCH_SECONDS` changes it.
fn seconds() -> u32 {
    number("BENCH_SECONDS", 10)
}

/// How many calls stand at once while memory is measured. `BENCH_DIALOGS` changes it.
fn dialogs() -> u32 {
    number("BENCH_DIALOGS", 2000)
}

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// Calls per second to try, in order. `BENCH_RATES` (separated by commas) changes them.
pub fn rates() -> Vec<u32> {
    let given = std::env::var("BENCH_RATES").unwrap_or_default();
    let rates: Vec<u32> = given
        .split(',')
        .filter_map(|rate| rate.trim().parse().ok())
        .collect();
    if rates.is_empty() {
        vec![100, 200, 400, 600, 800, 1000, 1250, 1500, 2000, 2500]
    } else {
        rates
    }
}

/// Puts a system that is ready for calls from alice to bob under load, and reports.
pub fn measure(net: &Net, scratch: &Scratch, proxy: SocketAddr, system: &dyn System) -> Report {
    eprintln!("{}:", system.name());
    let callee = register_and_listen(net, scratch, proxy);
    let mut report = Report::new(system.name());

    // Warm up: first calls fill caches and pools, and are not judged.
    run(net, scratch, proxy, 50, 200, Duration::from_millis(200));

    report.kilobytes_per_dialog = memory_per_dialog(net, scratch, proxy, system);

    for rate in rates() {
        let before = meter::cpu_by_process(&system.processes());
        let calls = rate * seconds();
        let outcome = run(net, scratch, proxy, rate, calls, Duration::from_secs(1));
        let step = Step {
            rate,
            achieved: f64::from(outcome.successful) / outcome.seconds,
            failed: calls - outcome.successful,
            retransmissions: outcome.retransmissions,
            cpu_per_thousand: meter::cpu_by_process(&system.processes())
                .into_iter()
                .zip(before)
                .map(|((name, after), (_, before))| {
                    (name, (after - before) * 1000.0 / f64::from(calls))
                })
                .collect(),
        };
        eprintln!("  {step}");
        let passed = step.passed();
        report.steps.push(step);
        if !passed {
            break;
        }
    }
    drop(callee);
    report
}

/// Bob registers through the proxy and answers every call at once.
fn register_and_listen(net: &Net, scratch: &Scratch, proxy: SocketAddr) -> RunningSipp {
    let here = SocketAddr::new(net.b().ip, PORT);
    Sipp::scenario("register")
        .at(here)
        .to(proxy)
        .key("user", "bob")
        .key("domain", DOMAIN)
        .credentials("bob", "bob-password")
        .start(net.b(), scratch, "register")
        .wait_success(PATIENCE);
    Sipp::scenario("callee")
        .at(here)
        .quiet()
        .key("user", "bob")
        .key("rtp_ip", &net.b().ip.to_string())
        .key("rtp_port", "20000")
        // Two workers of a proxy may swap messages that follow each other at once.
        .option("-d", "50")
        .option("-m", "100000000")
        .start(net.b(), scratch, "callee")
}

struct Outcome {
    successful: u32,
    retransmissions: u32,
    seconds: f64,
}

fn caller(proxy: SocketAddr, net: &Net, rate: u32, calls: u32, hold: Duration) -> Sipp {
    // A media port for each call: no two pinholes are the same.
    Sipp::scenario("caller-load")
        .option("-mp", "30000")
        .quiet()
        .at(SocketAddr::new(net.a().ip, PORT))
        .to(proxy)
        .key("user", "alice")
        .key("domain", DOMAIN)
        .key("rtp_ip", &net.a().ip.to_string())
        .key("rtp_port", "20000")
        .credentials("alice", "alice-password")
        .service("bob")
        .calls(calls, rate)
        .option("-d", &hold.as_millis().to_string())
        .option("-recv_timeout", "10000")
}

/// `calls` calls at `rate` per second, each lasting `hold`.
fn run(
    net: &Net,
    scratch: &Scratch,
    proxy: SocketAddr,
    rate: u32,
    calls: u32,
    hold: Duration,
) -> Outcome {
    let statistics = scratch.path().join("statistics.csv");
    let _ = fs::remove_file(&statistics);
    let started = Instant::now();
    let mut sipp = caller(proxy, net, rate, calls, hold)
        .option("-fd", "1")
        .option("-stf", &statistics.to_string_lossy())
        .flag("-trace_stat")
        .start(net.a(), scratch, "caller");
    let expected = Duration::from_secs(u64::from(calls / rate) + 60);
    sipp.process().wait(expected + hold);
    let elapsed = started.elapsed().saturating_sub(hold).as_secs_f64();
    let table = fs::read_to_string(&statistics).unwrap_or_default();
    if last_value(&table, "SuccessfulCall(C)") < calls {
        // sipp does not end its lines.
        let errors: String = sipp.errors().chars().take(600).collect();
        eprintln!("    {errors}");
    }
    Outcome {
        successful: last_value(&table, "SuccessfulCall(C)"),
        retransmissions: last_value(&table, "Retransmissions(C)"),
        seconds: elapsed,
    }
}

/// The last row's value in a column of sipp's statistics, which are separated by semicolons.
fn last_value(table: &str, column: &str) -> u32 {
    let Some(index) = table
        .lines()
        .next()
        .and_then(|head| head.split(';').position(|name| name == column))
    else {
        return 0;
    };
    table
        .lines()
        .last()
        .and_then(|row| row.split(';').nth(index))
        .and_then(|value| value.parse().ok())
        .unwrap_or(0)
}

/// Kilobytes per call that stands, from many standing at once.
fn memory_per_dialog(net: &Net, scratch: &Scratch, proxy: SocketAddr, system: &dyn System) -> f64 {
    let measure = || -> Vec<(u32, f64)> {
        (system.processes().into_iter())
            .map(|id| (id, meter::kilobytes(&[id])))
            .collect()
    };
    let before = measure();
    let statistics = scratch.path().join("dialogs.csv");
    let _ = fs::remove_file(&statistics);
    let mut sipp = caller(proxy, net, 200, dialogs(), Duration::from_secs(20))
        .option("-fd", "1")
        .option("-stf", &statistics.to_string_lossy())
        .flag("-trace_stat")
        .start(net.a(), scratch, "dialogs");
    wait_until("all dialogs to stand", Duration::from_secs(90), || {
        let table = fs::read_to_string(&statistics).unwrap_or_default();
        sipp.process().ended().is_some() || last_value(&table, "TotalCallCreated") == dialogs()
    });
    // The last calls are answered within a statistics period; the first still have seconds to go.
    let created = Instant::now();
    wait_until("one more second", PATIENCE, || {
        created.elapsed() > Duration::from_secs(1)
    });
    let mut sum = 0.0;
    for ((id, before), (_, during)) in before.into_iter().zip(measure()) {
        let kilobytes = (during - before) / f64::from(dialogs());
        eprintln!("  {kilobytes:.2} kB per dialog in {}", meter::name(id));
        sum += kilobytes;
    }
    sipp.process().wait(Duration::from_secs(120));
    sum
}
