//! The systemd units as systemd itself judges them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tollwire_harness::process::{Scratch, run};

const DAEMONS: [&str; 7] = [
    "pinholed",
    "chargingd",
    "sipd",
    "smscd",
    "slpd",
    "billd",
    "shopd",
];

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd")
}

/// The units, with a program that exists in place of the one `make install` puts there.
fn installed(scratch: &Scratch) -> Vec<PathBuf> {
    let mut files = vec![scratch.write(
        "tollwire.target",
        &fs::read_to_string(units().join("tollwire.target")).expect("the target"),
    )];
    for daemon in DAEMONS {
        let name = format!("tollwire-{daemon}.service");
        let text = fs::read_to_string(units().join(&name)).expect("a unit per daemon");
        let program = format!("ExecStart=/usr/lib/tollwire/{daemon} ");
        assert!(text.contains(&program), "{name} starts {daemon}");
        files.push(scratch.write(&name, &text.replace(&program, "ExecStart=/bin/true ")));
    }
    files
}

#[test]
fn systemd_finds_nothing_to_complain_about() {
    let scratch = Scratch::new();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(installed(&scratch))
        .output()
        .expect("systemd-analyze runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.trim().is_empty(),
        "{complaints}"
    );
}

#[test]
fn every_daemon_is_exposed_at_most_two_of_ten() {
    for daemon in DAEMONS {
        let unit = units().join(format!("tollwire-{daemon}.service"));
        let text = run(Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(unit));
        let exposure: f64 = text
            .lines()
            .find(|line| line.contains("Overall exposure level"))
            .and_then(|line| line.split(": ").nth(1))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse().ok())
            .unwrap_or_else(|| panic!("no exposure in\n{text}"));
        assert!(exposure <= 2.0, "{daemon}: {exposure}\n{text}");
    }
}

#[test]
fn each_daemon_has_the_capability_it_needs() {
    for daemon in DAEMONS {
        let unit = units().join(format!("tollwire-{daemon}.service"));
        let text = fs::read_to_string(unit).expect("a unit per daemon");
        let granted: Vec<&str> = text
            .lines()
            .filter_map(|line| {
                line.strip_prefix("AmbientCapabilities=")
                    .or_else(|| line.strip_prefix("CapabilityBoundingSet="))
            })
            .collect();
        let expected = match daemon {
            "pinholed" => "CAP_NET_ADMIN",
            // Port 427.
            "slpd" => "CAP_NET_BIND_SERVICE",
            _ => "",
        };
        assert_eq!(granted, [expected, expected], "{daemon}");
        assert!(text.contains(&format!("User=tollwire-{daemon}\n")));
        assert!(text.contains("Type=notify\n"));
    }
}

#[test]
fn users_and_directories_are_ones_systemd_can_make() {
    let scratch = Scratch::new();
    let root = scratch.path().display();
    fs::create_dir_all(scratch.path().join("etc")).expect("a directory");
    run(Command::new("systemd-sysusers")
        .arg(format!("--root={root}"))
        .arg(units().join("tollwire.sysusers")));
    let users = fs::read_to_string(scratch.path().join("etc/passwd")).expect("users were made");
    let groups = fs::read_to_string(scratch.path().join("etc/group")).expect("groups were made");
    let members = groups
        .lines()
        .find(|line| line.starts_with("tollwire:"))
        .expect("the group of the sockets");
    for daemon in DAEMONS {
        assert!(users.contains(&format!("tollwire-{daemon}:")), "{users}");
        assert!(members.contains(&format!("tollwire-{daemon}")), "{members}");
    }

    run(Command::new("systemd-tmpfiles")
        .args(["--create", &format!("--root={root}")])
        .arg(units().join("tollwire.tmpfiles")));
    let sockets = fs::metadata(scratch.path().join("run/tollwire")).expect("it was made");
    let mode = std::os::unix::fs::PermissionsExt::mode(&sockets.permissions());
    assert_eq!(mode & 0o7777, 0o2770);
}
