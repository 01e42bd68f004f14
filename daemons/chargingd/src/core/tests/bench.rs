//! A core with its clock, what it had stored, and short ways to ask it.

use super::*;

/// A cent a second, second by second.
pub(super) const SECOND_PRICE: i64 = 10_000;

pub(super) struct Bench {
    pub(super) core: Core,
    pub(super) now: Now,
    pub(super) stored: Vec<Mutation>,
    pub(super) aborted: Vec<String>,
    pub(super) asked_back: Vec<String>,
}

pub(super) fn tariffs(
    price_per_minute_micro: i64,
    setup_fee_micro: i64,
    first: u32,
) -> RatingTable {
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
    pub(super) fn granted(&self) -> Option<Granted> {
        self.services.first().and_then(|service| service.granted)
    }

    pub(super) fn granted_seconds(&self) -> Option<u32> {
        match self.granted() {
            Some(Granted::Seconds(seconds)) => Some(seconds),
            _ => None,
        }
    }

    pub(super) fn granted_sum(&self) -> Option<Sum> {
        match self.granted() {
            Some(Granted::Sum(sum)) => Some(sum),
            _ => None,
        }
    }

    pub(super) fn final_unit(&self) -> bool {
        self.services
            .first()
            .is_some_and(|service| service.final_unit.is_some())
    }

    pub(super) fn rating_group(&self) -> Option<u32> {
        self.services
            .first()
            .and_then(|service| service.rating_group)
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(tariffs(SECOND_PRICE * 60, 0, 1))
    }

    pub(super) fn with(tariffs: RatingTable) -> Self {
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

    pub(super) fn handle(&mut self, event: Event) -> Option<Outcome> {
        let mut effects = Vec::new();
        self.core.handle(self.now, event, &mut effects);
        self.keep(effects)
    }

    pub(super) fn keep(&mut self, effects: Vec<Effect>) -> Option<Outcome> {
        let mut outcome = None;
        for effect in effects {
            match effect {
                Effect::Store(mutation) => self.stored.push(mutation),
                Effect::Answer {
                    outcome: answer, ..
                } => outcome = Some(answer),
                Effect::Reply { result, .. } => drop(result.unwrap()),
                Effect::Abort { session_id, .. } => self.aborted.push(session_id.into()),
                Effect::ReAuthorize {
                    session_id, pool, ..
                } => self.asked_back.push(match pool {
                    Some(pool) => format!("{session_id} pool {pool}"),
                    None => session_id.into(),
                }),
            }
        }
        self.check();
        outcome
    }

    pub(super) fn operate(&mut self, operation: Operation) {
        self.handle(Event::Operator {
            token: 0,
            operation,
        });
    }

    /// An account with `credit` micro-units for `sip:NAME@example.org`.
    pub(super) fn account(&mut self, name: &str, payment: Payment, limit: i64, credit: i64) {
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

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now.unix_ms += i64::try_from(seconds).unwrap() * 1000;
    }

    pub(super) fn ask(
        &mut self,
        session: &str,
        kind: CcRequestType,
        number: u32,
        used: u32,
    ) -> Outcome {
        let request = request("alice", session, kind, number, used);
        self.send(request)
    }

    pub(super) fn send(&mut self, request: CreditControlRequest) -> Outcome {
        self.handle(Event::CreditControl {
            token: 1,
            request: Box::new(request),
        })
        .unwrap()
    }

    pub(super) fn balance(&self, name: &str) -> i64 {
        self.core.account(name).unwrap().balance_micro
    }

    pub(super) fn records(&self) -> Vec<&ChargeRecord> {
        (self.stored.iter())
            .filter_map(|mutation| match mutation {
                Mutation::Record(record) => Some(&**record),
                _ => None,
            })
            .collect()
    }

    /// What must always hold.
    pub(super) fn check(&self) {
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
    pub(super) fn held_of(&self, purse: &str) -> i64 {
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

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.stored.iter().filter_map(|mutation| match mutation {
            Mutation::Entry(entry) => Some(entry),
            _ => None,
        })
    }

    /// The balance of an account by the ledger alone, the system's included.
    pub(super) fn ledger(&self, name: &str) -> i64 {
        let signed = |entry: &Entry| match (&*entry.debit == name, &*entry.credit == name) {
            (true, false) => -entry.amount,
            (false, true) => entry.amount,
            _ => 0,
        };
        self.entries().map(signed).sum()
    }

    /// The core as it would be after a restart.
    pub(super) fn restarted(&self) -> Core {
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

pub(super) fn request(
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
        ..CreditControlRequest::default()
    }
}
