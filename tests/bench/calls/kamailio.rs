//! Kamailio from Debian, with two workers, as in `kamailio.cfg`.

use std::net::SocketAddr;

use tollwire_harness::net::Net;
use tollwire_harness::process::{Process, Scratch};
use tollwire_harness::wait::{PATIENCE, wait_until};

use super::System;
use super::load;
use super::report::Report;

struct Kamailio {
    process: Process,
}

impl System for Kamailio {
    fn name(&self) -> &'static str {
        "Kamailio"
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.process.id()]
    }
}

/// Starts it in a network of its own and measures it.
pub fn measure() -> Report {
    let net = Net::two_phones();
    let scratch = Scratch::new();
    let address = SocketAddr::new(net.router.ip, 5060);
    let text = include_str!("kamailio.cfg").replace("@ADDRESS@", &address.to_string());
    let config = scratch.write("kamailio.cfg", &text);
    let mut command = net.router.command("/usr/sbin/kamailio");
    command.args(["-DD", "-E", "-m", "512", "-M", "16", "-f"]);
    command.arg(&config).arg("-Y").arg(scratch.path());
    command.arg("-P").arg(scratch.path().join("kamailio.pid"));
    let mut system = Kamailio {
        process: Process::start(
            "kamailio",
            &mut command,
            &scratch.path().join("kamailio.log"),
        ),
    };
    wait_until("Kamailio to bind", PATIENCE, || {
        assert!(
            system.process.ended().is_none(),
            "{}",
            system.process.log_tail()
        );
        let output = net
            .router
            .command("ss")
            .args(["-Hnua", "src", &address.to_string()])
            .output();
        output.is_ok_and(|output| !output.stdout.is_empty())
    });
    load::measure(&net, &scratch, address, &system)
}
