//! Whatever happens in whatever order, the books balance, and agree with what the clients themselves counted.

use super::service::{Part, at_minimum, class, monthly, portal_address, rules_with, terms, volume};
use super::*;
use crate::class::{Class, WhenShort};
use crate::ledger::Commodity;
use crate::service_account::{Terms, UnitPrice};
use crate::session::{Service, units_of};

/// The last three may share with each other, or with the second.
const GROUPS: [u32; 6] = [10, 30, 100, 20, 40, 31];

/// What a client counts of one service of one session.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    granted: u64,
    used: u64,
    /// Its pool, and what a unit is worth in it: 10^-12 micro-units.
    pool: Option<(u32, u128)>,
}

/// What a client may use of a pool (RFC 8506 5.1.2), and what we hold for it: more, where a client said that it used more.
#[derive(Debug, Clone, Copy, Default)]
struct Shared {
    left: u128,
    held: u128,
    /// Prices of its units are parts of micro-units, and rounded.
    rounded: bool,
}

#[derive(Debug, Default)]
struct Client {
    next: u32,
    services: HashMap<u32, Count>,
    pools: HashMap<u32, Shared>,
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
    /// Units of a group that may be used, when so much of its pool is used for others.
    fn may_use(&self, group: u32, of_others: &HashMap<u32, u128>) -> u64 {
        let Some(count) = self.services.get(&group) else {
            return 0;
        };
        let Some((pool, worth)) = count.pool else {
            return count.granted;
        };
        let of_others = of_others.get(&pool).copied().unwrap_or(0);
        let left = self.pools[&pool].left.saturating_sub(of_others);
        u64::try_from(left / worth).unwrap()
    }

    /// Believes an answer: what it grants, and that what was reported is counted.
    fn hear(&mut self, parts: &[Part], outcome: &Outcome) {
        for (group, used, _) in parts {
            let Some(count) = self.services.get_mut(group) else {
                continue;
            };
            let used = used.unwrap_or(0);
            let Some((pool, worth)) = count.pool else {
                count.used += used.min(count.granted);
                continue;
            };
            let pool = self.pools.get_mut(&pool).unwrap();
            let believed = match pool.rounded {
                true => used,
                false => used.min(u64::try_from(pool.held / worth).unwrap()),
            };
            count.used += believed;
            pool.left = pool.left.saturating_sub(worth * u128::from(used));
            pool.held = pool.held.saturating_sub(worth * u128::from(believed));
        }
        for (group, _, _) in parts {
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
            count.granted = match told.and_then(|told| told.granted) {
                Some(Granted::Octets(units) | Granted::Units(units)) => units,
                Some(Granted::Seconds(seconds)) => seconds.into(),
                _ => 0,
            };
            count.pool = told.and_then(|told| told.pool).map(|pool| {
                let places = (12 + pool.exponent).unsigned_abs();
                let worth = u128::from(pool.value_digits.unsigned_abs()) * 10u128.pow(places);
                let shared = self.pools.entry(pool.id).or_default();
                shared.left += worth * u128::from(count.granted);
                shared.held = shared.held.max(shared.left);
                shared.rounded |= pool.exponent < 0;
                (pool.id, worth)
            });
        }
        // What nobody draws on any more is no pool.
        let services = &self.services;
        self.pools.retain(|id, _| {
            let mut pools = services.values().filter_map(|count| count.pool);
            pools.any(|(pool, _)| pool == *id)
        });
    }

    /// What it has in its pools is what the server says it has, and is held.
    fn check(&self, session: &Session) {
        let known: HashMap<u32, u128> = self
            .pools
            .iter()
            .map(|(id, pool)| (*id, pool.left))
            .collect();
        let of_server: HashMap<u32, u128> = session
            .pools
            .iter()
            .map(|pool| (pool.id, pool.left))
            .collect();
        assert_eq!(known, of_server, "pools of {}", session.id);
        for (id, left) in known {
            let members = session.services.iter();
            let members = members.filter(|service| service.pool == Some(id));
            let held: i64 = members.map(Service::held_micro).sum();
            assert!(
                u128::try_from(held).unwrap() * 10u128.pow(12) >= left,
                "{held} held for {left} of pool {id} of {}",
                session.id
            );
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
        choices in proptest::collection::vec(any::<u8>(), 4),
        credit in 0i64..30,
        steps in proptest::collection::vec(
            (0u8..12, 0usize..3, proptest::collection::vec((0usize..6, 0u64..120, any::<bool>()), 1..5), 1u64..400),
            1..40,
        ),
    ) {
        let mut bench = Bench::new();
        let shared = |group: u32, quantum: u64, choice: u8| Class {
            pool: choice > 0,
            quantum: Some(quantum),
            ..class("shared", group, None, Some(portal_address()).filter(|_| choice == 2))
        };
        let (of_main, of_content) = (choices[3] % 3, choices[3] / 3 % 3);
        let classes = vec![
            shared(20, 50_000, of_main),
            shared(40, 200_000, of_main),
            shared(30, 1, of_content),
            shared(31, 40_000, of_content),
            class("gprs", 10, Some(rule(choices[0])), None),
            class("voice", 100, None, Some(match rule(choices[1]) {
                WhenShort::MainAccount => WhenShort::Terminate,
                rule => rule,
            })),
        ];
        let more = vec![volume("fine", 40, 333), volume("news", 31, 3_000)];
        bench.handle(Event::Rules(Box::new(rules_with(more, classes))));
        bench.account("alice", Payment::Prepaid, 0, credit * 1_000_000);
        bench.service_account("octets", Terms {
            recharge: at_minimum(50_000, 300_000),
            ..terms(10, Commodity::Octets)
        });
        bench.service_account("content", Terms {
            priority: 2,
            recharge: monthly(1_000_000, choices[2] % 2 == 0),
            rating_groups: vec![30, 31],
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
                    let mut of_pools: HashMap<u32, u128> = HashMap::new();
                    for (group, used, more) in parts {
                        let group = GROUPS[group];
                        if asked.iter().any(|(known, _, _)| *known == group) {
                            continue;
                        }
                        // In hundredths of what was granted, and sometimes beyond. Where we hold more than the client knows,
                        // since prices are rounded, what is believed beyond is our affair.
                        let known = client.services.contains_key(&group);
                        let count = client.services.get(&group).copied().unwrap_or_default();
                        let rounded = count.pool.is_some_and(|(id, _)| client.pools[&id].rounded);
                        let used = if rounded { used.min(100) } else { used };
                        let units = client.may_use(group, &of_pools) * used / 100;
                        if let Some((pool, worth)) = count.pool {
                            *of_pools.entry(pool).or_default() += worth * u128::from(units);
                        }
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
            for (number, client) in &clients {
                let session = bench.core.session(&format!("s{number}"));
                if let Some(session) = session.filter(|session| session.closed_unix_ms.is_none()) {
                    client.check(session);
                }
            }
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
