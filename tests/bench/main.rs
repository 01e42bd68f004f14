//! `make bench`: calls beside Kamailio, short messages beside other SMSCs, service discovery,
//! charging, peers, each in one run.
//!
//! `bench calls`, `bench sms`, `bench slp`, `bench charging` and `bench peer` run one of them.

mod calls;
mod charging;
mod meter;
mod peer;
mod slp;
mod sms;

use std::process::ExitCode;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let mut failed = false;
    for (name, compare) in [
        ("calls", calls::compare as fn() -> Result<(), String>),
        ("sms", sms::compare),
        ("slp", slp::measure),
        ("charging", charging::measure),
        ("peer", peer::measure),
    ] {
        if wants(name)
            && let Err(why) = compare()
        {
            eprintln!("{name}: {why}");
            failed = true;
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
