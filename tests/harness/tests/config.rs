//! The configuration files that ship are right, and a wrong one is refused by file, line and key.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tollwire_harness::daemons::program;
use tollwire_harness::process::Scratch;

const DAEMONS: [&str; 7] = [
    "sipd",
    "pinholed",
    "chargingd",
    "smscd",
    "slpd",
    "billd",
    "shopd",
];

fn shipped(daemon: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../conf")
        .join(format!("{daemon}.toml"))
}

fn check(daemon: &str, config: &Path) -> Output {
    Command::new(program(daemon))
        .arg("--check")
        .arg("--config")
        .arg(config)
        .output()
        .expect("the daemon runs")
}

#[test]
fn what_ships_is_accepted() {
    for daemon in DAEMONS {
        let output = check(daemon, &shipped(daemon));
        assert!(
            output.status.success(),
            "{daemon}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_wrong_file_is_refused_by_name_line_and_key() {
    let scratch = Scratch::new();
    for daemon in DAEMONS {
        let text = fs::read_to_string(shipped(daemon)).expect("it ships");
        let lines = text.lines().count();
        for (fault, line, key) in [
            // A key that does not exist, at the very end of the last table.
            ("no_such_key = 1", lines + 1, "no_such_key"),
            ("[no_such_table]\nx = 1", lines + 1, "no_such_table"),
            ("this is not = = toml", lines + 1, ""),
        ] {
            let config = scratch.write(&format!("{daemon}.toml"), &format!("{text}\n{fault}\n"));
            let output = check(daemon, &config);
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{daemon} accepted {fault}");
            let place = format!("{}:{}", config.display(), line + 1);
            let here = format!("{}:{line}", config.display());
            assert!(
                complaint.contains(&place) || complaint.contains(&here),
                "{daemon}, {fault}: no {place} in\n{complaint}"
            );
            assert!(
                complaint.contains(key),
                "{daemon}, {fault}: no key in\n{complaint}"
            );
        }
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_at_its_line() {
    let scratch = Scratch::new();
    for daemon in DAEMONS {
        let text = fs::read_to_string(shipped(daemon)).expect("it ships");
        // Whatever is the first key with a number gets a text instead.
        let (index, key) = text
            .lines()
            .enumerate()
            .find_map(|(index, line)| {
                let (key, value) = line.split_once('=')?;
                if key.starts_with('#') {
                    return None;
                }
                value.trim().parse::<u64>().ok()?;
                Some((index, key.trim().to_owned()))
            })
            .unwrap_or_else(|| panic!("{daemon}.toml has a number"));
        let wrong: Vec<String> = text
            .lines()
            .enumerate()
            .map(|(at, line)| match at == index {
                true => format!("{key} = \"many\""),
                false => line.to_owned(),
            })
            .collect();
        let config = scratch.write(&format!("{daemon}.toml"), &wrong.join("\n"));
        let output = check(daemon, &config);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success(),
            "{daemon} accepted {key} = \"many\""
        );
        let place = format!("{}:{}", config.display(), index + 1);
        assert!(complaint.contains(&place), "no {place} in\n{complaint}");
        assert!(complaint.contains(&key), "no {key} in\n{complaint}");

        // And it does not start with it, either.
        let output = Command::new(program(daemon))
            .arg("--config")
            .arg(&config)
            .output()
            .expect("the daemon runs");
        assert!(!output.status.success(), "{daemon} started with it");
    }
}

#[test]
fn a_missing_file_is_named() {
    for daemon in DAEMONS {
        let output = check(daemon, Path::new("/nonexistent/tollwire.toml"));
        assert!(!output.status.success());
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            complaint.contains("/nonexistent/tollwire.toml"),
            "{complaint}"
        );
    }
}
