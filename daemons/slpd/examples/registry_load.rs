//! What the registry costs: registrations and searches a second, and octets of memory for an entry, from 100 entries to
//! 100,000.
//!
//! `cargo run --release -p tollwire-slpd --example registry_load`

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tollwire_runtime::clock::Now;
use tollwire_slp::{Filter, ScopeList, ServiceType};
use tollwire_slpd::registry::{Find, Quota, Registration, Registry, Source};

const QUOTA: Quota = Quota {
    entries: usize::MAX,
    octets: usize::MAX,
    entries_per_source: usize::MAX,
    octets_per_source: usize::MAX,
};

/// How long each search is repeated.
const LOAD: Duration = Duration::from_millis(300);

fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4_096
}

fn main() {
    let now = Now::read();
    for entries in [100, 1_000, 10_000, 100_000] {
        let before = resident();
        let mut registry = Registry::new(QUOTA, Duration::ZERO);
        let began = Instant::now();
        for number in 0..entries {
            let url = format!("service:billing:https://host-{number}.example:8443/pay");
            let attributes = format!(
                "(name=Bank {number}),(fee={number}),(currency=EUR,USD),(protocol=https),(city=Town {}),open",
                number % 100
            );
            let registration = Registration {
                url: &url,
                language: "en",
                service_type: "service:billing:https",
                scopes: "DEFAULT",
                attributes: &attributes,
                lifetime: Some(10_800),
                url_blocks: &[],
                attribute_blocks: &[],
                fresh: true,
                source: Source::Local,
                interface: 0,
                verified: false,
            };
            registry.register(now, &registration).expect("registered");
        }
        let took = began.elapsed();
        println!(
            "{entries} entries: {:.0} registrations/s, {} octets each",
            f64::from(entries) / took.as_secs_f64(),
            resident().saturating_sub(before) / usize::try_from(entries).expect("few"),
        );
        let middle = entries / 2;
        for (what, filter, most) in [
            ("integer =", format!("(fee={middle})"), usize::MAX),
            ("string =", format!("(name=bank {middle})"), usize::MAX),
            (
                "range of 10",
                format!("(&(fee>={middle})(fee<={}))", middle + 9),
                usize::MAX,
            ),
            ("prefix", format!("(name=bank {middle}*)"), 20),
            (
                "AND",
                format!(
                    "(&(currency=EUR)(city=town 7)(fee={}))",
                    middle / 100 * 100 + 7
                ),
                usize::MAX,
            ),
            ("1 in 100, first 20", "(city=town 7)".to_owned(), 20),
            ("all, first 20", "(currency=EUR)".to_owned(), 20),
            ("negation, first 20", "(!(fee=3))".to_owned(), 20),
            ("infix, all", "(name=*k 77*)".to_owned(), usize::MAX),
        ] {
            let service_type = ServiceType::parse("service:billing").expect("a type");
            let scopes = ScopeList::parse("DEFAULT").expect("scopes");
            let (mut rounds, mut found) = (0_u32, 0);
            let began = Instant::now();
            while began.elapsed() < LOAD {
                let filter = Filter::parse(&filter).expect("a filter");
                let find = Find {
                    service_type: &service_type,
                    scopes: &scopes,
                    language: "en",
                    filter: Some(&filter),
                    local: false,
                    budget: usize::MAX,
                };
                found = 0;
                registry
                    .find(now, &find, |_| {
                        found += 1;
                        match found < most {
                            true => ControlFlow::Continue(()),
                            false => ControlFlow::Break(()),
                        }
                    })
                    .expect("searched");
                rounds += 1;
            }
            let each = began.elapsed().as_secs_f64() / f64::from(rounds);
            println!("  {what:<20} {:>10.2} us, {found} found", each * 1e6);
        }
    }
}
