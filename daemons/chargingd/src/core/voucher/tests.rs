use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use iso_currency::Currency;
use proptest::prelude::*;
use tollwire_cdr::Payment;

use super::*;
use crate::account::Account;
use crate::core::{Rules, Settings, State};
use crate::effect::Reply;
use crate::event::{Event, Operation};

const BEGIN: i64 = 1_700_000_000_000;
const EXPIRY: i64 = BEGIN + 1_000_000;

/// A core, and what it had stored: enough to begin again with.
struct Bench {
    core: Core,
    now: Now,
    accounts: BTreeMap<Box<str>, Account>,
    batches: BTreeMap<Box<str>, Batch>,
    vouchers: BTreeMap<Hash, Voucher>,
    entries: Vec<(String, Box<str>, i64)>,
}

/// The code of this number.
fn code(number: u8) -> Code {
    Code::of(std::array::from_fn(|at| match at {
        0 => number << 3,
        1 => number & 0xe0,
        _ => 0,
    }))
}

impl Bench {
    fn new(accounts: &[(&str, Currency)]) -> Self {
        let mut bench = Self {
            core: Core::new(Settings::default(), Rules::default(), State::default()),
            now: Now {
                instant: Instant::now(),
                unix_ms: BEGIN,
            },
            accounts: BTreeMap::new(),
            batches: BTreeMap::new(),
            vouchers: BTreeMap::new(),
            entries: Vec::new(),
        };
        for (name, currency) in accounts {
            bench
                .operate(Operation::CreateAccount {
                    name: (*name).into(),
                    payment: Payment::Prepaid,
                    currency: *currency,
                    credit_limit_micro: 0,
                    identities: Vec::new(),
                })
                .unwrap();
        }
        bench
    }

    fn operate(&mut self, operation: Operation) -> Result<Reply, Refusal> {
        let mut effects = Vec::new();
        let event = Event::Operator {
            token: 0,
            operation,
        };
        self.core.handle(self.now, event, &mut effects);
        let mut reply = None;
        for effect in effects {
            match effect {
                Effect::Reply { result, .. } => reply = Some(result),
                Effect::Store(Mutation::Account(account)) => {
                    self.accounts.insert(account.name.clone(), account);
                }
                Effect::Store(Mutation::VoucherBatch(batch)) => {
                    self.batches.insert(batch.name.clone(), *batch);
                }
                Effect::Store(Mutation::Voucher(voucher)) => {
                    self.vouchers.insert(voucher.hash, *voucher);
                }
                Effect::Store(Mutation::Entry(entry)) => {
                    assert_eq!(&*entry.debit, "@cash:EUR");
                    self.entries.push((entry.key, entry.credit, entry.amount));
                }
                other => panic!("{other:?}"),
            }
        }
        reply.unwrap()
    }

    fn restart(&mut self) {
        let state = State {
            accounts: self.accounts.values().cloned().collect(),
            voucher_batches: self.batches.values().cloned().collect(),
            vouchers: self.vouchers.values().cloned().collect(),
            ..State::default()
        };
        self.core = Core::new(Settings::default(), Rules::default(), state);
    }

    fn issue(&mut self, batch: &str, numbers: std::ops::Range<u8>) -> Result<Reply, Refusal> {
        self.operate(Operation::IssueVouchers {
            batch: batch.into(),
            amount_micro: 5,
            currency: Currency::EUR,
            expires_unix_ms: EXPIRY,
            hashes: numbers.map(|number| code(number).hash()).collect(),
        })
    }

    /// The balance, or why not.
    fn redeem(&mut self, account: &str, number: u8, reference: &str) -> Result<i64, Refusal> {
        let reply = self.operate(Operation::RedeemVoucher {
            account: account.into(),
            code: code(number),
            reference: reference.into(),
        });
        reply.map(|reply| match reply {
            Reply::Account(view) => view.account.balance_micro,
            other => panic!("{other:?}"),
        })
    }

    fn void(&mut self, batch: &str) -> Result<Reply, Refusal> {
        self.operate(Operation::VoidVouchers {
            batch: batch.into(),
        })
    }
}

fn is_conflict(outcome: &Result<i64, Refusal>, word: &str) -> bool {
    matches!(outcome, Err(Refusal::Conflict(text)) if text.contains(word))
}

#[test]
fn a_voucher_is_money_once_for_ever() {
    let mut bench = Bench::new(&[("alice", Currency::EUR), ("bob", Currency::EUR)]);
    bench.issue("spring", 1..3).unwrap();
    assert_eq!(bench.redeem("alice", 1, "r1"), Ok(5));
    for _ in 0..2 {
        assert_eq!(bench.redeem("alice", 1, "r1"), Ok(5), "answered again");
        assert!(is_conflict(&bench.redeem("alice", 1, "r2"), "before"));
        assert!(is_conflict(&bench.redeem("bob", 1, "r1"), "before"));
        bench.restart();
    }
    let key = format!("voucher {}", code(1).hash());
    assert_eq!(bench.entries, [(key, "alice".into(), 5)]);
    let view = bench.core.voucher_batches().remove(0);
    assert_eq!((view.count, view.redeemed), (2, 1));
}

#[test]
fn what_is_void_expired_or_of_another_currency_is_worth_nothing() {
    let mut bench = Bench::new(&[("alice", Currency::EUR), ("carol", Currency::USD)]);
    bench.issue("spring", 1..3).unwrap();
    assert!(matches!(
        bench.issue("spring", 3..4),
        Err(Refusal::Conflict(_))
    ));
    assert!(matches!(
        bench.issue("summer", 2..4),
        Err(Refusal::Conflict(_))
    ));
    assert!(matches!(
        bench.issue("summer", 4..4),
        Err(Refusal::Invalid(_))
    ));
    bench.issue("summer", 3..5).unwrap();
    assert!(is_conflict(&bench.redeem("carol", 1, "r"), "of EUR"));
    bench.void("spring").unwrap();
    assert!(is_conflict(&bench.redeem("alice", 1, "r"), "void"));
    bench.restart();
    assert!(is_conflict(&bench.redeem("alice", 1, "r"), "void"));
    assert_eq!(bench.redeem("alice", 3, "r"), Ok(5), "of the other batch");
    bench.now.unix_ms = EXPIRY;
    assert!(is_conflict(&bench.redeem("alice", 4, "r4"), "expired"));
    assert!(matches!(bench.void("autumn"), Err(Refusal::NotFound(_))));
    assert!(matches!(
        bench.redeem("nobody", 4, "r4"),
        Err(Refusal::NotFound(_))
    ));
    assert!(matches!(
        bench.redeem("alice", 4, ""),
        Err(Refusal::Invalid(_))
    ));
}

#[test]
fn whoever_guesses_waits_longer_and_longer() {
    let mut bench = Bench::new(&[("alice", Currency::EUR), ("bob", Currency::EUR)]);
    bench.issue("spring", 1..4).unwrap();
    for number in 100..105 {
        assert!(matches!(
            bench.redeem("alice", number, "r"),
            Err(Refusal::NotFound(_))
        ));
    }
    assert_eq!(
        bench.redeem("alice", 1, "r"),
        Err(Refusal::TooOften { seconds: 900 })
    );
    assert_eq!(bench.redeem("bob", 1, "r"), Ok(5), "others do not");
    bench.now.unix_ms += 900_000;
    assert!(
        is_conflict(&bench.redeem("alice", 1, "r"), "before"),
        "a used one is a guess too"
    );
    assert_eq!(
        bench.redeem("alice", 2, "r"),
        Err(Refusal::TooOften { seconds: 1800 })
    );
    bench.now.unix_ms += 1_799_999 - 1_700_000;
    bench.now.unix_ms += 1_700_000;
    assert_eq!(
        bench.redeem("alice", 2, "r"),
        Err(Refusal::TooOften { seconds: 1 })
    );
}

#[test]
fn a_right_code_ends_the_counting() {
    let mut bench = Bench::new(&[("alice", Currency::EUR)]);
    bench.issue("spring", 1..3).unwrap();
    for right in 1..3 {
        for number in 100..104 {
            assert!(matches!(
                bench.redeem("alice", number, "r"),
                Err(Refusal::NotFound(_))
            ));
        }
        bench.redeem("alice", right, "r").unwrap();
    }
    bench.now.unix_ms = BEGIN - 1_000_000_000;
    for number in 100..130 {
        let _ = bench.redeem("alice", number, "r");
    }
    let wait = bench.redeem("alice", 1, "r");
    assert!(
        matches!(wait, Err(Refusal::TooOften { seconds: 900 })),
        "{wait:?}"
    );
}

proptest! {
    /// Whatever is issued, redeemed, repeated, voided and restarted in whatever order: a voucher's money enters once, and
    /// nothing else does.
    #[test]
    fn money_enters_once(
        steps in proptest::collection::vec((0u8..12, 0u8..24, 0usize..3, 0u8..3), 1..120),
    ) {
        let names = ["alice", "bob", "carol"];
        let mut bench = Bench::new(&[
            ("alice", Currency::EUR), ("bob", Currency::EUR), ("carol", Currency::USD),
        ]);
        let mut taken: BTreeMap<u8, &str> = BTreeMap::new();
        for (what, number, who, reference) in steps {
            let who = names[who];
            match what {
                0 => drop(bench.issue(&format!("b{}", number / 6), number / 6 * 6..number / 6 * 6 + 6)),
                1 => drop(bench.void(&format!("b{}", number / 6))),
                2 => bench.restart(),
                3 => bench.now.unix_ms += i64::from(number) * 5_000,
                _ => {
                    let before = bench.accounts[who].balance_micro;
                    let outcome = bench.redeem(who, number, &format!("r{reference}"));
                    if let Ok(balance) = outcome {
                        let new = !taken.contains_key(&number);
                        prop_assert_eq!(balance, before + if new { 5 } else { 0 });
                        prop_assert_eq!(*taken.entry(number).or_insert(who), who);
                    } else {
                        prop_assert_eq!(bench.accounts[who].balance_micro, before);
                    }
                }
            }
        }
        let keys: HashSet<&str> = bench.entries.iter().map(|(key, ..)| &**key).collect();
        prop_assert_eq!(keys.len(), bench.entries.len());
        prop_assert_eq!(bench.entries.len(), taken.len());
        for name in names {
            let own = taken.values().filter(|who| **who == name).count();
            prop_assert_eq!(bench.accounts[name].balance_micro, own as i64 * 5);
        }
        prop_assert_eq!(bench.accounts["carol"].balance_micro, 0);
        let redeemed: u64 = bench.core.voucher_batches().iter().map(|batch| batch.redeemed).sum();
        prop_assert_eq!(redeemed as usize, taken.len());
    }
}
