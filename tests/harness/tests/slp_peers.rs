//! Peers that nobody here wrote: pyslp (PyPI) as client and as service agent, and nmap.

use std::path::PathBuf;

use tollwire_harness::capture::Capture;
use tollwire_harness::daemons::program;
use tollwire_harness::net::Host;
use tollwire_harness::process::{Process, Scratch, run};
use tollwire_harness::slp::agent::Agent;
use tollwire_harness::slp::lan::Lan;
use tollwire_harness::wait::{PATIENCE, wait_until};

fn pyslp(host: &Host) -> std::process::Command {
    let tests = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let python = tests.join("../target/python/bin/python");
    assert!(
        python.exists(),
        "{} is missing: tests/packages.sh",
        python.display()
    );
    let mut command = host.command(python);
    command.arg(tests.join("netns/slp/pyslp_peer.py"));
    command
}

#[test]
fn pyslp_registers_finds_and_deregisters_at_a_directory_agent() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let agent = Agent::start(lan.host(0), &scratch, "da", "");
    let capture = Capture::start(lan.host(0), &scratch, "port 427");
    let ip = agent.ip().to_string();
    let said = run(pyslp(lan.host(1)).args(["client", &ip]));
    let expected = "registered 5 0\n\
                    found 0 [('service:pyslp:tcp://python.example:99/x', True)]\n\
                    attributes 0 (a=1,2),(b=Two Words)\n\
                    deregistered 0\n\
                    found 0 []\n";
    assert_eq!(said, expected);
    assert_eq!(capture.stop().malformed(), [] as [String; 0]);
}

#[test]
fn our_user_agent_finds_what_pyslp_serves() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let ip = lan.host(0).ip.to_string();
    let log = scratch.path().join("pyslp.log");
    let peer = Process::start("pyslp", pyslp(lan.host(0)).args(["server", &ip]), &log);
    wait_until("pyslp to serve", PATIENCE, || peer.log().contains("ready"));
    let tollctl = |arguments: &[&str]| {
        let mut command = lan.host(1).command(program("tollctl"));
        run(command.arg("slp").args(arguments))
    };
    // It compares types as they are spelled.
    assert_eq!(
        tollctl(&["findsrvs", "service:pyslp:tcp"]),
        format!("service:pyslp:tcp://{ip}:99,65535\n")
    );
    let url = format!("service:pyslp:tcp://{ip}:99");
    assert_eq!(tollctl(&["findattrs", &url]), "(from=python)\n");
}

#[test]
fn nmap_recognises_a_service_agent() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let services = scratch.write("services.toml", "[[service]]\nurl = \"service:a://1\"\n");
    let config = format!("[agent]\nrole = \"service-agent\"\nservices = {services:?}\n");
    let agent = Agent::start(lan.host(0), &scratch, "sa", &config);
    let mut nmap = lan.host(1).command("nmap");
    let said = run(nmap.args(["-n", "-Pn", "-sU", "-sV", "-p427", &agent.ip().to_string()]));
    let line = said
        .lines()
        .find(|line| line.starts_with("427/udp"))
        .unwrap_or_default();
    assert!(line.contains("open") && line.contains("svrloc"), "{said}");
}
