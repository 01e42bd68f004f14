//! Whatever happens in whatever order, the books balance, and agree with what the clients themselves counted.

use super::service::{Part, at_minimum, class, monthly, portal_address, rules, terms};
use super::*;
use crate::class::WhenShort;
use crate::ledger::Commodity;
use crate::service_account::{Terms, UnitPrice};
use crate::session::{Service, units_of};

const GROUPS: [u32; 3] = [10, 30, 100];

/// What a client counts of one service of one session.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    granted: u64,
    used: u64,
}

#[derive(Debug, Default)]
struct Client {
    next: u32,
    services: HashMap<u32, Count>,
    last: Option<(CcRequestType, u32, Vec<Part>, Outcome)>,
}

fn units(service: &Service) -> u64 {
    let measure = service.price.measure().unwrap();
    units_of(measure, service.used)
}

fn rule(choice: u8) -> WhenShort {
    match choice % 6 {
        0 => WhenShort::Deny,
        1 => WhenShort::Terminate,
        2 => portal_address(),
        3 => WhenShort::MainAccount,
        4 => WhenShort::EndSubscription,
        _ => WhenShort::GoOn,
    }
}

impl Client {
    /// Believes an answer: what it grants, and that what was reported is counted.
    fn hear(&mut self, parts: &[Part], outcome: &Outcome) {
        for (group, used, _) in parts {
            let told = outcome
                .services
                .iter()
                .find(|service| service.rating_group == Some(*group));
            let known = self.services.contains_key(group);
            let accepted = told.is_some_and(|told| told.result_code == ResultCode::SUCCESS.0);
            if !known && !accepted {
                continue;
            }
            let count = self.services.entry(*group).or_default();
            count.used += used.unwrap_or(0).min(count.granted);
            count.granted = match told.and_then(|told| told.granted) {
                Some(Granted::Octets(units) | Granted::Units(units)) => units,
                Some(Granted::Seconds(seconds)) => seconds.into(),
                _ => 0,
            };
        }
    }
}

fn all_of(bench: &Bench, commodity: Commodity) -> i64 {
    let own = bench.core.service_accounts("alice");
    let own: i64 = own
        .filter(|account| account.terms.unit == commodity)
        .map(|account| account.balance)
        .sum();
    match commodity {
        Commodity::Money(_) => own + bench.balance("alice"),
        _ => own,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_books_balance_and_equal_the_clients_count(
        choices in proptest::collection::vec(any::<u8>(), 3),
        credit in 0i64..30,
        steps in proptest::collection::vec(
            (0u8..12, 0usize..3, proptest::collection::vec((0usize..3, 0u64..120, any::<bool>()), 1..3), 1u64..400),
            1..40,
        ),
    ) {
        let mut bench = Bench::new();
        let classes = vec![
            class("gprs", 10, Some(rule(choices[0])), None),
            class("voice", 100, None, Some(match rule(choices[1]) {
                WhenShort::MainAccount => WhenShort::Terminate,
                rule => rule,
            })),
        ];
        bench.handle(Event::Rules(Box::new(rules(classes))));
        bench.account("alice", Payment::Prepaid, 0, credit * 1_000_000);
        bench.service_account("octets", Terms {
            recharge: at_minimum(50_000, 300_000),
            ..terms(10, Commodity::Octets)
        });
        bench.service_account("content", Terms {
            priority: 2,
            recharge: monthly(1_000_000, choices[2] % 2 == 0),
            ..terms(30, Commodity::Money(Currency::EUR))
        });
        bench.service_account("seconds", Terms {
            priority: 1,
            price: Some(UnitPrice { amount_micro: 7_000, per: 1 }),
            recharge: at_minimum(0, 20),
            when_short: Some(WhenShort::MainAccount),
            ..terms(100, Commodity::Seconds)
        });
        let mut clients: HashMap<usize, Client> = HashMap::new();
        let mut ended: Vec<(usize, Client)> = Vec::new();
        let mut begun = 0usize;
        let mut slots = [usize::MAX; 3];
        let mut paid_in = credit * 1_000_000;
        for (index, (step, slot, parts, wait)) in steps.into_iter().enumerate() {
            match step {
                0..=5 => {
                    if slots[slot] == usize::MAX {
                        slots[slot] = begun;
                        begun += 1;
                    }
                    let number = slots[slot];
                    let client = clients.entry(number).or_default();
                    let kind = match (client.next, step) {
                        (0, _) => InitialRequest,
                        (_, 5) => TerminationRequest,
                        _ => UpdateRequest,
                    };
                    let mut asked: Vec<Part> = Vec::new();
                    for (group, used, more) in parts {
                        let group = GROUPS[group];
                        if asked.iter().any(|(known, _, _)| *known == group) {
                            continue;
                        }
                        // In hundredths of what was granted, and sometimes beyond.
                        let granted = client.services.get(&group).map_or(0, |count| count.granted);
                        let known = client.services.contains_key(&group);
                        let units = granted * used / 100;
                        asked.push((
                            group,
                            (kind != InitialRequest && known).then_some(units),
                            kind != TerminationRequest && (more || !known),
                        ));
                    }
                    if kind == TerminationRequest {
                        asked.retain(|(group, _, _)| client.services.contains_key(group));
                    }
                    let id = format!("s{number}");
                    let outcome = bench.data(&id, kind, client.next, &asked);
                    if outcome.result_code == ResultCode::UNKNOWN_SESSION_ID.0 {
                        // It was silent for too long: nothing of the report was taken.
                        slots[slot] = usize::MAX;
                        ended.extend(clients.remove(&number).map(|client| (number, client)));
                        continue;
                    }
                    if kind != InitialRequest || outcome.result_code == ResultCode::SUCCESS.0 {
                        client.hear(&asked, &outcome);
                        client.last = Some((kind, client.next, asked, outcome));
                        client.next += 1;
                    }
                    if kind == TerminationRequest {
                        slots[slot] = usize::MAX;
                        ended.extend(clients.remove(&number).map(|client| (number, client)));
                    }
                }
                6 => {
                    // Retried: the same answer, and nothing happens.
                    let stored = bench.stored.len();
                    for (number, client) in &clients {
                        if let Some((kind, request, parts, outcome)) = &client.last {
                            let again = bench.data(&format!("s{number}"), *kind, *request, parts);
                            prop_assert_eq!(&again, outcome);
                        }
                    }
                    prop_assert_eq!(bench.stored.len(), stored);
                }
                7 => {
                    let amount = i64::try_from(wait).unwrap() * 10_000;
                    paid_in += amount;
                    bench.fill_up(amount, &format!("t{index}"));
                }
                8 => {
                    let operation = Operation::Recharge {
                        account: "alice".into(),
                        service_account: "content".into(),
                        amount: Some(100_000),
                        part: true,
                        reference: format!("r{index}"),
                    };
                    // The main account may have nothing.
                    let mut effects = Vec::new();
                    bench.core.handle(bench.now, Event::Operator { token: 0, operation }, &mut effects);
                    effects.retain(|effect| !matches!(effect, Effect::Reply { .. }));
                    bench.keep(effects);
                }
                9 => {
                    let before = bench.core.view("alice").unwrap();
                    bench.core = bench.restarted();
                    let after = bench.core.view("alice").unwrap();
                    prop_assert_eq!(before.account, after.account);
                    prop_assert_eq!(before.service_accounts, after.service_accounts);
                }
                10 => {
                    bench.wait(wait * 20_000);
                    bench.handle(Event::Tick);
                    // Whoever was silent for so long is closed: what it reported is all that counts.
                    for (number, client) in clients.drain() {
                        ended.push((number, client));
                    }
                    slots = [usize::MAX; 3];
                }
                _ => {
                    let at = bench.now.unix_ms + 1_000;
                    bench.operate(Operation::SetExpiry {
                        account: "alice".into(),
                        service_account: Some("octets".into()),
                        expires_unix_ms: Some(at),
                    });
                }
            }
            bench.wait(wait / 10 + 120);
            bench.handle(Event::Tick);
            // Money: what came in is where it went.
            let euro = Commodity::Money(Currency::EUR);
            prop_assert_eq!(bench.ledger("@cash:EUR"), -paid_in);
            prop_assert_eq!(
                all_of(&bench, euro) + bench.ledger("@revenue:EUR") + bench.ledger("@expired:EUR"),
                paid_in
            );
            prop_assert!(bench.balance("alice") >= 0);
            for unit in [Commodity::Octets, Commodity::Seconds] {
                let total: i64 = all_of(&bench, unit)
                    + ["used", "expired", "issued"]
                        .iter()
                        .map(|kind| bench.ledger(&format!("@{kind}:{unit}")))
                        .sum::<i64>();
                prop_assert_eq!(total, 0, "{} that nobody has", unit);
            }
        }
        // Every unit that a client used was taken from units, priced, or free by rule, once.
        for (number, client) in ended.iter().map(|(number, client)| (*number, client)).chain(
            clients.iter().map(|(number, client)| (*number, client)),
        ) {
            let Some(session) = bench.core.session(&format!("s{number}")) else {
                continue;
            };
            for (group, count) in &client.services {
                let service = session
                    .services
                    .iter()
                    .find(|service| service.rating_group == Some(*group));
                let used = service.map_or(0, units);
                prop_assert_eq!(used, count.used, "s{} of {}", number, group);
            }
        }
        if bench.core.counters().late_reports == 0 {
            prop_assert_eq!(bench.core.counters().uncollected_micro, 0);
        }
    }
}
