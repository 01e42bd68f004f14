mod books;
mod event;
mod late;
mod money;
mod service;

use std::collections::HashSet;
use std::time::Instant;

use proptest::prelude::*;
use tollwire_cdr::{ChargeRecord, EndCause, Payment};
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlRequest, ImsInformation, MultipleServicesCreditControl,
    RequestedServiceUnit, ServiceInformation, SubscriptionId, SubscriptionIdType, TimeStamps,
    UsedServiceUnit,
};

use super::*;
use crate::event::Operation;
use crate::ledger::Entry;
use crate::rating::{CallingGroups, Definition};
use crate::session::{Granted, Outcome, Sum};

/// A cent a second, second by second.
const SECOND_PRICE: i64 = 10_000;

struct Bench {
    core: Core,
    now: Now,
    stored: Vec<Mutation>,
    aborted: Vec<String>,
    asked_back: Vec<String>,
}

fn tariffs(price_per_minute_micro: i64, setup_fee_micro: i64, first: u32) -> RatingTable {
    let tariff = Definition {
        name: "all".into(),
        currency: Some(Currency::EUR),
        setup_fee_micro,
        price_per_minute_micro: Some(price_per_minute_micro),
        first_increment_seconds: Some(first.into()),
        ..Definition::default()
    };
    RatingTable::new(vec![tariff], CallingGroups::default()).unwrap()
}

/// Short ways to what an answer says of its first service.
impl Outcome {
    fn granted(&self) -> Option<Granted> {
        self.services.first().and_then(|service| service.granted)
    }

    fn granted_seconds(&self) -> Option<u32> {
        match self.granted() {
            Some(Granted::Seconds(seconds)) => Some(seconds),
            _ => None,
        }
    }

    fn granted_sum(&self) -> Option<Sum> {
        match self.granted() {
            Some(Granted::Sum(sum)) => Some(sum),
            _ => None,
        }
    }

    fn final_unit(&self) -> bool {
        self.services
            .first()
            .is_some_and(|service| service.final_unit.is_some())
    }

    fn rating_group(&self) -> Option<u32> {
        self.services
            .first()
            .and_then(|service| service.rating_group)
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(tariffs(SECOND_PRICE * 60, 0, 1))
    }

    fn with(tariffs: RatingTable) -> Self {
        let rules = Rules {
            tariffs,
            ..Rules::default()
        };
        Self {
            core: Core::new(Settings::default(), rules, State::default()),
            asked_back: Vec::new(),
            now: Now {
                instant: Instant::now(),
                unix_ms: 1_700_000_000_000,
            },
            stored: Vec::new(),
            aborted: Vec::new(),
        }
    }

    fn handle(&mut self, event: Event) -> Option<Outcome> {
        let mut effects = Vec::new();
        self.core.handle(self.now, event, &mut effects);
        self.keep(effects)
    }

    fn keep(&mut self, effects: Vec<Effect>) -> Option<Outcome> {
        let mut outcome = None;
        for effect in effects {
            match effect {
                Effect::Store(mutation) => self.stored.push(mutation),
                Effect::Answer {
                    outcome: answer, ..
                } => outcome = Some(answer),
                Effect::Reply { result, .. } => drop(result.unwrap()),
                Effect::Abort { session_id, .. } => self.aborted.push(session_id.into()),
                Effect::ReAuthorize { session_id, .. } => self.asked_back.push(session_id.into()),
            }
        }
        self.check();
        outcome
    }

    fn operate(&mut self, operation: Operation) {
        self.handle(Event::Operator {
            token: 0,
            operation,
        });
    }

    /// An account with `credit` micro-units for `sip:NAME@example.org`.
    fn account(&mut self, name: &str, payment: Payment, limit: i64, credit: i64) {
        self.operate(Operation::CreateAccount {
            name: name.into(),
            payment,
            currency: Currency::EUR,
            credit_limit_micro: limit,
            identities: vec![format!("sip:{name}@example.org")],
        });
        if credit > 0 {
            self.operate(Operation::TopUp {
                account: name.into(),
                amount_micro: credit,
                reference: "first".into(),
            });
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now.unix_ms += i64::try_from(seconds).unwrap() * 1000;
    }

    fn ask(&mut self, session: &str, kind: CcRequestType, number: u32, used: u32) -> Outcome {
        let request = request("alice", session, kind, number, used);
        self.send(request)
    }

    fn send(&mut self, request: CreditControlRequest) -> Outcome {
        self.handle(Event::CreditControl {
            token: 1,
            request: Box::new(request),
        })
        .unwrap()
    }

    fn balance(&self, name: &str) -> i64 {
        self.core.account(name).unwrap().balance_micro
    }

    fn records(&self) -> Vec<&ChargeRecord> {
        (self.stored.iter())
            .filter_map(|mutation| match mutation {
                Mutation::Record(record) => Some(&**record),
                _ => None,
            })
            .collect()
    }

    /// What must always hold.
    fn check(&self) {
        let mut keys = HashSet::new();
        for mutation in &self.stored {
            if let Mutation::Entry(entry) = mutation {
                assert!(keys.insert(&entry.key), "two entries {:?}", entry.key);
            }
        }
        for account in self.core.accounts() {
            let held = self.held_of(&account.name);
            assert_eq!(account.held_micro, held, "holds of {}", account.name);
            for own in self.core.service_accounts(&account.name) {
                assert_eq!(own.held, self.held_of(&own.name), "holds of {}", own.name);
                assert!(own.balance >= own.held, "{own:?}");
                assert_eq!(
                    own.balance,
                    self.ledger(&own.name),
                    "ledger of {}",
                    own.name
                );
            }
            assert!(
                account.balance_micro - account.held_micro >= -account.credit_limit_micro,
                "{account:?}"
            );
            let ledger = self.ledger(&account.name);
            assert_eq!(account.balance_micro, ledger, "ledger of {}", account.name);
        }
        let numbers: Vec<u64> = self
            .records()
            .iter()
            .map(|record| record.sequence_number)
            .collect();
        assert!(
            numbers.iter().copied().eq(1..=numbers.len() as u64),
            "{numbers:?}"
        );
    }

    /// What open sessions hold of a purse.
    fn held_of(&self, purse: &str) -> i64 {
        let services = self
            .core
            .open_sessions()
            .flat_map(|session| &session.services);
        let shares = services.flat_map(|service| &service.shares);
        shares
            .filter(|share| &*share.purse == purse)
            .map(|share| share.amount)
            .sum()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.stored.iter().filter_map(|mutation| match mutation {
            Mutation::Entry(entry) => Some(entry),
            _ => None,
        })
    }

    /// The balance of an account by the ledger alone, the system's included.
    fn ledger(&self, name: &str) -> i64 {
        let signed = |entry: &Entry| match (&*entry.debit == name, &*entry.credit == name) {
            (true, false) => -entry.amount,
            (false, true) => entry.amount,
            _ => 0,
        };
        self.entries().map(signed).sum()
    }

    /// The core as it would be after a restart.
    fn restarted(&self) -> Core {
        let mut state = State::default();
        let mut accounts: HashMap<Box<str>, Account> = HashMap::new();
        let mut sessions: HashMap<Box<str>, Session> = HashMap::new();
        let mut own: HashMap<Box<str>, ServiceAccount> = HashMap::new();
        for mutation in &self.stored {
            match mutation {
                Mutation::Account(account) => {
                    drop(accounts.insert(account.name.clone(), account.clone()))
                }
                Mutation::Session(session) => {
                    drop(sessions.insert(session.id.clone(), (**session).clone()))
                }
                Mutation::Identity(identity, Some(account)) => {
                    state.identities.push((identity.clone(), account.clone()));
                }
                Mutation::Entry(entry)
                    if entry.key.starts_with("top-up ")
                        || entry.key.starts_with("recharge-on-request ") =>
                {
                    state.references.push(entry.key.clone())
                }
                Mutation::ServiceAccount(account) => {
                    drop(own.insert(account.name.clone(), (**account).clone()))
                }
                Mutation::Notification(told) => state.last_notification = told.id,
                Mutation::Record(record) => state.last_record = record.sequence_number,
                _ => {}
            }
        }
        state.accounts = accounts.into_values().collect();
        state.sessions = sessions.into_values().collect();
        state.service_accounts = own.into_values().collect();
        Core::new(Settings::default(), self.core.rules(), state)
    }
}

fn request(
    user: &str,
    session: &str,
    kind: CcRequestType,
    number: u32,
    used: u32,
) -> CreditControlRequest {
    let service = MultipleServicesCreditControl {
        requested_service_unit: (kind != TerminationRequest).then(RequestedServiceUnit::default),
        used_service_units: match kind {
            InitialRequest => Vec::new(),
            _ => vec![UsedServiceUnit {
                cc_time: Some(used),
                cc_input_octets: Some(100),
                cc_output_octets: Some(200),
                ..UsedServiceUnit::default()
            }],
        },
        rating_group: Some(100),
        ..MultipleServicesCreditControl::default()
    };
    let mut call = ImsInformation {
        user_session_id: Some("call@example.org".into()),
        calling_party_addresses: vec![format!("sip:{user}@example.org")],
        called_party_address: Some("sip:+15551234@example.org".into()),
        ..ImsInformation::default()
    };
    if kind == TerminationRequest && used > 0 {
        call.time_stamps = Some(TimeStamps::from_unix_ms(
            1_700_000_000_000,
            Some(1_700_000_001_000),
        ));
        call.reason_headers = vec!["Tollwire;text=\"credit-exhausted\"".into()];
    }
    CreditControlRequest {
        session_id: session.into(),
        origin_host: "sipd.example.org".into(),
        origin_realm: "example.org".into(),
        destination_realm: "example.org".into(),
        auth_application_id: 4,
        service_context_id: "32260@3gpp.org".into(),
        cc_request_type: kind,
        cc_request_number: number,
        subscription_ids: vec![SubscriptionId::new(
            SubscriptionIdType::EndUserSipUri,
            format!("sip:{user}@example.org"),
        )],
        multiple_services_credit_controls: vec![service],
        service_information: Some(ServiceInformation {
            ims_information: Some(call),
            ..ServiceInformation::default()
        }),
        ..empty()
    }
}

fn empty() -> CreditControlRequest {
    CreditControlRequest {
        session_id: String::new(),
        origin_host: String::new(),
        origin_realm: String::new(),
        destination_realm: String::new(),
        auth_application_id: 4,
        service_context_id: String::new(),
        cc_request_type: InitialRequest,
        cc_request_number: 0,
        destination_host: None,
        user_name: None,
        cc_sub_session_id: None,
        acct_multi_session_id: None,
        origin_state_id: None,
        event_timestamp: None,
        subscription_ids: Vec::new(),
        subscription_id_extensions: Vec::new(),
        service_identifier: None,
        termination_cause: None,
        requested_service_unit: None,
        requested_action: None,
        used_service_units: Vec::new(),
        multiple_services_indicator: None,
        multiple_services_credit_controls: Vec::new(),
        service_parameter_infos: Vec::new(),
        cc_correlation_id: None,
        user_equipment_info: None,
        user_equipment_info_extension: None,
        service_information: None,
        proxy_infos: Vec::new(),
        route_records: Vec::new(),
        extra: Vec::new(),
    }
}

use CcRequestType::{InitialRequest, TerminationRequest, UpdateRequest};

#[test]
fn a_balance_for_n_seconds_is_granted_and_charged_to_exactly_zero() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 70 * SECOND_PRICE);
    let first = bench.ask("s", InitialRequest, 0, 0);
    assert_eq!(
        (first.granted_seconds(), first.final_unit()),
        (Some(60), false)
    );
    assert_eq!(first.rating_group(), Some(100));
    bench.wait(48);
    let second = bench.ask("s", UpdateRequest, 1, 48);
    assert_eq!(
        (second.granted_seconds(), second.final_unit()),
        (Some(22), true)
    );
    bench.wait(22);
    let last = bench.ask("s", TerminationRequest, 2, 22);
    assert_eq!(last.cost, Some((70 * SECOND_PRICE, 978)));
    assert_eq!(bench.balance("alice"), 0);
    let records = bench.records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].amount_micro, 70 * SECOND_PRICE);
    assert_eq!(records[0].charged_seconds, 70);
    assert_eq!(records[0].duration_ms, 69_000);
    assert_eq!(records[0].end_cause, EndCause::CreditExhausted);
    assert_eq!(
        (records[0].octets_from_caller, records[0].octets_to_caller),
        (200, 400)
    );
    assert_eq!(
        bench.ask("t", InitialRequest, 0, 0).result_code,
        ResultCode::CREDIT_LIMIT_REACHED.0
    );
}

#[test]
fn refusals_have_their_codes_and_no_session() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, SECOND_PRICE - 1);
    assert_eq!(
        bench.ask("s", InitialRequest, 0, 0).result_code,
        ResultCode::CREDIT_LIMIT_REACHED.0
    );
    let unknown = bench.send(request("mallory", "u", InitialRequest, 0, 0));
    assert_eq!(unknown.result_code, ResultCode::USER_UNKNOWN.0);
    bench.operate(Operation::Block {
        account: "alice".into(),
    });
    assert_eq!(
        bench.ask("b", InitialRequest, 0, 0).result_code,
        ResultCode::END_USER_SERVICE_DENIED.0
    );
    assert_eq!(
        bench.ask("n", TerminationRequest, 1, 5).result_code,
        ResultCode::UNKNOWN_SESSION_ID.0
    );
    assert_eq!(bench.core.open_sessions().count(), 0);
    assert!(bench.records().is_empty());
}

#[test]
fn five_calls_on_one_balance_never_spend_more_than_it() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    let grants: Vec<Option<u32>> = (0..5)
        .map(|call| {
            bench
                .ask(&format!("s{call}"), InitialRequest, 0, 0)
                .granted_seconds()
        })
        .collect();
    assert_eq!(grants, [Some(60), Some(40), None, None, None]);
    bench.wait(60);
    bench.ask("s0", TerminationRequest, 1, 60);
    bench.ask("s1", TerminationRequest, 1, 40);
    assert_eq!(bench.balance("alice"), 0);
}

#[test]
fn an_unanswered_call_costs_nothing_not_even_the_set_up_fee() {
    let mut bench = Bench::with(tariffs(600_000, 50_000, 60));
    bench.account("alice", Payment::Prepaid, 0, 1_000_000);
    bench.ask("s", InitialRequest, 0, 0);
    bench.wait(20);
    assert_eq!(
        bench.ask("s", TerminationRequest, 1, 0).cost,
        Some((0, 978))
    );
    assert_eq!(bench.balance("alice"), 1_000_000);
    bench.ask("t", InitialRequest, 0, 0);
    bench.wait(20);
    assert_eq!(
        bench.ask("t", TerminationRequest, 1, 5).cost,
        Some((650_000, 978))
    );
}

#[test]
fn a_repeated_request_gets_the_same_answer_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    for (kind, number, used) in [
        (InitialRequest, 0, 0),
        (UpdateRequest, 1, 30),
        (TerminationRequest, 2, 10),
    ] {
        bench.wait(u64::from(used));
        let first = bench.ask("s", kind, number, used);
        let stored = bench.stored.len();
        bench.wait(1);
        assert_eq!(bench.ask("s", kind, number, used), first);
        assert_eq!(bench.stored.len(), stored);
    }
    assert_eq!(bench.balance("alice"), 60 * SECOND_PRICE);
    // A number that is neither the last nor the next.
    assert_eq!(
        bench.ask("s", UpdateRequest, 1, 30).result_code,
        ResultCode::UNKNOWN_SESSION_ID.0
    );
}

#[test]
fn reports_beyond_the_grant_or_the_clock_are_cut() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    bench.ask("s", InitialRequest, 0, 0);
    bench.wait(200);
    bench.ask("s", TerminationRequest, 1, u32::MAX);
    assert_eq!(bench.balance("alice"), 40 * SECOND_PRICE);
    bench.ask("t", InitialRequest, 0, 0);
    bench.wait(5);
    bench.ask("t", TerminationRequest, 1, 30);
    assert_eq!(bench.balance("alice"), 33 * SECOND_PRICE);
    assert_eq!(bench.core.counters().excessive_reports, 2);
}

#[test]
fn a_silent_client_loses_its_session_but_not_the_customers_money() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    bench.ask("s", InitialRequest, 0, 0);
    bench.wait(30);
    bench.ask("s", UpdateRequest, 1, 30);
    bench.wait(60 + 59);
    bench.handle(Event::Tick);
    assert_eq!(bench.core.open_sessions().count(), 1);
    bench.wait(1);
    assert_eq!(bench.core.next_deadline_unix_ms(), Some(bench.now.unix_ms));
    bench.handle(Event::Tick);
    assert_eq!(bench.core.open_sessions().count(), 0);
    assert_eq!(bench.balance("alice"), 70 * SECOND_PRICE);
    assert_eq!(bench.records()[0].end_cause, EndCause::SupervisionExpired);
    assert_eq!(bench.records()[0].amount_micro, 30 * SECOND_PRICE);
    assert_eq!(bench.aborted, ["s"]);
    assert_eq!(
        bench.ask("s", UpdateRequest, 2, 60).result_code,
        ResultCode::UNKNOWN_SESSION_ID.0
    );
    bench.wait(3600);
    bench.handle(Event::Tick);
    assert!(bench.core.session("s").is_none());
    assert_eq!(bench.core.next_deadline_unix_ms(), None);
}

#[test]
fn a_session_id_used_again_after_it_was_forgotten_is_another_session() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    for spent in [5, 10] {
        bench.ask("s", InitialRequest, 0, 0);
        bench.wait(5);
        bench.ask("s", TerminationRequest, 1, 5);
        assert_eq!(bench.balance("alice"), (100 - spent) * SECOND_PRICE);
        bench.wait(3601);
        bench.handle(Event::Tick);
    }
}

#[test]
fn blocking_aborts_what_runs_and_charges_what_was_used() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 100 * SECOND_PRICE);
    bench.ask("s", InitialRequest, 0, 0);
    bench.wait(10);
    bench.operate(Operation::Block {
        account: "alice".into(),
    });
    assert_eq!(bench.aborted, ["s"]);
    assert_eq!(
        bench.ask("s", UpdateRequest, 1, 10).result_code,
        ResultCode::END_USER_SERVICE_DENIED.0
    );
    bench.ask("s", TerminationRequest, 2, 0);
    assert_eq!(bench.balance("alice"), 90 * SECOND_PRICE);
    bench.operate(Operation::Unblock {
        account: "alice".into(),
    });
    assert_eq!(
        bench.ask("t", InitialRequest, 0, 0).result_code,
        ResultCode::SUCCESS.0
    );
}

#[test]
fn a_post_paid_account_goes_to_its_limit_and_no_further() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Postpaid, 10 * SECOND_PRICE, 0);
    let grant = bench.ask("s", InitialRequest, 0, 0);
    assert_eq!(
        (grant.granted_seconds(), grant.final_unit()),
        (Some(10), true)
    );
    bench.wait(10);
    bench.ask("s", TerminationRequest, 1, 10);
    assert_eq!(bench.balance("alice"), -10 * SECOND_PRICE);
    assert_eq!(
        bench.ask("t", InitialRequest, 0, 0).result_code,
        ResultCode::CREDIT_LIMIT_REACHED.0
    );
}

#[test]
fn a_payment_happens_once_under_its_reference() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 5);
    for _ in 0..3 {
        bench.operate(Operation::TopUp {
            account: "alice".into(),
            amount_micro: 5,
            reference: "first".into(),
        });
    }
    assert_eq!(bench.balance("alice"), 5);
    bench.core = bench.restarted();
    bench.operate(Operation::TopUp {
        account: "alice".into(),
        amount_micro: 5,
        reference: "first".into(),
    });
    assert_eq!(bench.balance("alice"), 5);
}

#[test]
fn an_operator_is_told_what_does_not_do() {
    let mut bench = Bench::new();
    bench.account("alice", Payment::Prepaid, 0, 5);
    let create = |name: &str, identity: &str| Operation::CreateAccount {
        name: name.into(),
        payment: Payment::Prepaid,
        currency: Currency::EUR,
        credit_limit_micro: 0,
        identities: vec![identity.into()],
    };
    let top_up = |amount_micro, reference: &str| Operation::TopUp {
        account: "alice".into(),
        amount_micro,
        reference: reference.into(),
    };
    for operation in [
        create("alice", "sip:x@example.org"),
        create("bob", "SIP:Alice@example.org"),
        create("a b", "sip:x@example.org"),
        create("@revenue:EUR", "sip:x@example.org"),
        top_up(0, "r"),
        top_up(-5, "r"),
        top_up(i64::MAX, "r"),
        top_up(5, ""),
        Operation::Block {
            account: "nobody".into(),
        },
        Operation::RemoveIdentity {
            identity: "sip:nobody@example.org".into(),
        },
    ] {
        let mut effects = Vec::new();
        let event = Event::Operator {
            token: 9,
            operation,
        };
        bench.core.handle(bench.now, event, &mut effects);
        assert!(
            matches!(
                effects.as_slice(),
                [Effect::Reply {
                    token: 9,
                    result: Err(_)
                }]
            ),
            "{effects:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    /// Any interleaving of calls, repeats, lies, restarts and silence keeps every invariant of [`Bench::check`], spends no
    /// more than there was, and makes one record for each session that began.
    #[test]
    fn money_is_never_made_and_never_lost(
        credit in 0i64..400,
        steps in proptest::collection::vec((0u8..6, 0usize..6, 0u32..90, 0u64..40), 1..60),
        (setup, first) in (0i64..3, 1u32..61),
    ) {
        let mut bench = Bench::with(tariffs(SECOND_PRICE * 60, setup * SECOND_PRICE, first));
        bench.account("alice", Payment::Prepaid, 0, credit * SECOND_PRICE);
        let mut next: HashMap<usize, u32> = HashMap::new();
        for (step, session, used, wait) in steps {
            bench.wait(wait);
            let id = format!("s{session}");
            match step {
                0 | 1 => {
                    if bench.ask(&id, InitialRequest, 0, 0).result_code == ResultCode::SUCCESS.0 {
                        next.entry(session).or_insert(1);
                    }
                }
                2 | 3 => {
                    let kind = if step == 2 { UpdateRequest } else { TerminationRequest };
                    if let Some(number) = next.get_mut(&session) {
                        let first = bench.ask(&id, kind, *number, used);
                        prop_assert_eq!(bench.ask(&id, kind, *number, used), first);
                        *number += 1;
                    }
                }
                4 => drop(bench.handle(Event::Tick)),
                _ => {
                    bench.core = bench.restarted();
                    bench.check();
                }
            }
        }
        bench.wait(10_000);
        bench.handle(Event::Tick);
        prop_assert_eq!(bench.core.open_sessions().count(), 0);
        let spent: i64 = bench.records().iter().map(|record| record.amount_micro).sum();
        prop_assert_eq!(bench.balance("alice"), credit * SECOND_PRICE - spent);
        prop_assert!(bench.balance("alice") >= 0);
        let mut ids: Vec<&str> = bench.records().iter().map(|record| &*record.record_id).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), bench.records().len());
        // A late report makes a second one.
        prop_assert_eq!(ids.iter().filter(|id| !id.ends_with("#late")).count(), next.len());
    }

    /// What arrives again, however late and out of order, changes nothing that is stored; the last request of a
    /// session gets its answer again.
#[test]
    fn repeats_in_any_order_change_nothing(
        credit in 0i64..400,
        steps in proptest::collection::vec(
            (0u8..4, 0usize..4, 0u32..90, 0u64..40, proptest::collection::vec(any::<prop::sample::Index>(), 0..4)),
            1..60,
        ),
    ) {
        let mut plain = Bench::new();
        let mut noisy = Bench::new();
        for bench in [&mut plain, &mut noisy] {
            bench.account("alice", Payment::Prepaid, 0, credit * SECOND_PRICE);
        }
        let mut next: HashMap<usize, u32> = HashMap::new();
        let mut sent: Vec<(usize, CcRequestType, u32, u32, Outcome)> = Vec::new();
        for (step, session, used, wait, repeats) in steps {
            plain.wait(wait);
            noisy.wait(wait);
            let number = next.get(&session).copied().unwrap_or(0);
            let kind = match (number, step) {
                (0, _) => InitialRequest,
                (_, 0) => TerminationRequest,
                _ => UpdateRequest,
            };
            let id = format!("s{session}");
            let answer = plain.ask(&id, kind, number, used);
            prop_assert_eq!(&noisy.ask(&id, kind, number, used), &answer);
            // A refused CCR-Initial leaves nothing behind: a repeat of it is a new attempt.
            if number > 0 || answer.result_code == ResultCode::SUCCESS.0 {
                next.insert(session, number + 1);
                sent.push((session, kind, number, used, answer));
            }
            for repeat in repeats {
                let Some((session, kind, number, used, answer)) = (!sent.is_empty()).then(|| repeat.get(&sent)) else {
                    break;
                };
                let again = noisy.ask(&format!("s{session}"), *kind, *number, *used);
                let last = noisy.core.session(&format!("s{session}")).map(|known| known.last.number);
                if last == Some(*number) {
                    prop_assert_eq!(&again, answer);
                } else {
                    prop_assert_ne!(again.result_code, ResultCode::SUCCESS.0);
                }
            }
        }
        prop_assert_eq!(&plain.stored, &noisy.stored);
    }
}
