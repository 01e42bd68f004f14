//! A database, a charging system and shops, as far as the core sees them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use iso_currency::Currency;
use rusqlite::Connection;
use tollwire_invoice::{Fee, Invoice};
use tollwire_jose::{SigningKey, digest};
use tollwire_runtime::clock::Now;

use crate::core::Core;
use crate::effect::{CreditOrder, Effect, Reply};
use crate::event::{ClientId, CreditAction, CreditResult, Event, PostResult};
use crate::payment::{Onward, Order, Payer, Payment, PaymentId, State, Subscription};
use crate::settings::{Agreements, Settings};
use crate::store;

pub(crate) const T0: i64 = 1_800_000_000;
pub(crate) const PRICE: i64 = 1_990_000;

pub(crate) fn settings() -> Arc<Settings> {
    let key = Arc::new(SigningKey::generate_ed25519().unwrap());
    Arc::new(Settings {
        url: "https://bank.example/pay".into(),
        thumbprint: key.public().thumbprint().into(),
        key,
        fee: Fee {
            basis_points: 250,
            fixed_micro: 0,
        },
        currencies: vec![Currency::EUR],
        minimum_micro: 0,
        maximum_micro: 0,
        agreement_required: false,
        agreements: Agreements::default(),
        acknowledgement_seconds: 7 * 86_400,
        max_open: 1000,
        max_posts: 8,
        max_posts_per_host: 4,
        post_first_ms: 1_000,
        post_most_ms: 600_000,
        credit_first_ms: 1_000,
        credit_most_ms: 60_000,
    })
}

fn payer(login: &str) -> Payer {
    Payer {
        login: login.into(),
        subscription: Subscription::Account(login.into()),
        rating_group: None,
    }
}

pub(crate) fn order(number: usize, login: &str) -> Order {
    let invoice = Invoice {
        iss: "https://shop.example/".into(),
        aud: "A".repeat(43),
        provider: "Shop".into(),
        reference: format!("reference-of-22-characters-{number}"),
        provider_reference: number.to_string(),
        title: "A song".into(),
        amount_micro: PRICE,
        currency: Currency::EUR,
        tax_basis_points: 1900,
        acknowledgement_url: "https://shop.example/acknowledgements".into(),
        service_url: "https://shop.example/orders/1".into(),
        iat: T0,
        exp: T0 + 1800,
        via: Vec::new(),
    };
    Order {
        id: PaymentId::stored(&digest(&invoice.reference)),
        token: format!("token-{number}").into(),
        invoice: Arc::new(invoice),
        shop_key: "K".repeat(43).into(),
        provider: "key:K".into(),
        fee_micro: 49_750,
        payer: payer(login),
        onward: None,
    }
}

pub(crate) fn handed_on(number: usize) -> Order {
    let key = SigningKey::generate_ed25519().unwrap();
    let mut order = order(number, "onward");
    order.onward = Some(Box::new(Onward {
        name: "North".into(),
        url: "https://north.example/pay".into(),
        key: key.public().clone(),
        reference: format!("onward-{number}"),
        invoice: "a.b.c".into(),
        acknowledged_until: 0,
    }));
    order
}

/// What a shop says to the next acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shop {
    Takes,
    /// It takes it, and the answer is lost.
    TakesUnheard,
    /// Nothing arrives.
    Silent,
    Says(u16),
    AlreadyPaid,
    Impossible,
}

/// What the charging system does with the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charging {
    Works,
    /// It acts, and the answer is lost.
    Unheard,
    /// The request is lost.
    Silent,
    /// No connection.
    Away,
    Refuses(u32),
}

/// Everything around the core. What is in `database`, `charged` and `shop` outlives a kill.
pub(super) struct World {
    pub(super) now: i64,
    pub(super) settings: Arc<Settings>,
    pub(super) database: Connection,
    pub(super) disk_full: bool,
    pub(super) charging: Charging,
    pub(super) shop: Shop,
    /// By Session-Id, as the charging system does: so many micro-units, debits above zero.
    pub(super) booked: BTreeMap<String, i64>,
    /// Requests that came with the T flag, and without.
    pub(super) asked: Vec<(CreditAction, bool)>,
    /// Orders that the shop delivers for.
    pub(super) taken: BTreeMap<String, u32>,
    pub(super) posts: usize,
    pub(super) replies: HashMap<ClientId, Reply>,
    pub(super) records: Vec<Payment>,
    core: Core,
    effects: Vec<Effect>,
    clients: u64,
}

fn at(ms: i64) -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: ms,
    }
}

impl World {
    pub(super) fn new() -> Self {
        let database = Connection::open_in_memory().unwrap();
        for step in store::MIGRATIONS {
            database.execute_batch(step).unwrap();
        }
        let settings = settings();
        let mut effects = Vec::new();
        let now = T0 * 1000;
        Self {
            now,
            core: Core::new(at(now), settings.clone(), Vec::new(), &mut effects),
            settings,
            database,
            disk_full: false,
            charging: Charging::Works,
            shop: Shop::Takes,
            booked: BTreeMap::new(),
            asked: Vec::new(),
            taken: BTreeMap::new(),
            posts: 0,
            replies: HashMap::new(),
            records: Vec::new(),
            effects,
            clients: 0,
        }
    }

    /// Killed and started again: what was not on disk is gone, and so is what was to be done.
    pub(super) fn kill(&mut self) {
        self.effects.clear();
        let open = store::open(&self.database).unwrap();
        let (now, settings) = (at(self.now), self.settings.clone());
        self.core = Core::new(now, settings, open, &mut self.effects);
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.core.handle(at(self.now), event, &mut self.effects);
    }

    pub(super) fn pay(&mut self, order: Order) -> ClientId {
        self.clients += 1;
        let client = ClientId(self.clients);
        let order = Box::new(order);
        self.tell(Event::Pay { client, order });
        client
    }

    pub(super) fn collect(&mut self, payment: Payment, until: i64) -> ClientId {
        self.clients += 1;
        let client = ClientId(self.clients);
        let payment = Box::new(payment);
        self.tell(Event::Collected {
            client,
            payment,
            until,
        });
        client
    }

    /// Carries out one effect; false if there is none.
    pub(super) fn step(&mut self) -> bool {
        if self.effects.is_empty() {
            return false;
        }
        match self.effects.remove(0) {
            Effect::Begin {
                client,
                order,
                at_ms,
            } => {
                let payer = order.payer.clone();
                let outcome = match self.disk_full {
                    true => None,
                    false => Some(store::begin(&self.database, &order, at_ms).unwrap()),
                };
                self.tell(match outcome {
                    Some(outcome) => Event::Begun {
                        client,
                        payer,
                        outcome,
                    },
                    None => Event::NotBegun { client },
                });
            }
            Effect::Store { id, change, at_ms } => match self.disk_full {
                true => self.tell(Event::NotStored(id, change)),
                false => {
                    store::change(&self.database, &id, &change, at_ms).unwrap();
                    self.tell(Event::Stored(id, change));
                }
            },
            Effect::Credit(order) => self.credit(&order),
            Effect::Post { id, .. } => self.post(id),
            Effect::Reply { client, reply } => {
                self.replies.insert(client, reply);
            }
            Effect::Record(payment) => self.records.push(*payment),
        }
        true
    }

    fn credit(&mut self, order: &CreditOrder) {
        self.asked.push((order.action, order.repeated));
        let id = order.order.id.clone();
        // What is asked stands on disk before it is asked.
        let stored = store::of_id(&self.database, id.as_str()).unwrap().unwrap();
        let (session, sum, state) = match order.action {
            CreditAction::Debit => (format!("{id};{}", order.attempt), PRICE, State::Charging),
            CreditAction::Refund => (
                format!("{id};{};refund", order.attempt),
                -PRICE,
                State::Refunding,
            ),
        };
        assert_eq!((stored.state, stored.attempt), (state, order.attempt));
        let act = |booked: &mut BTreeMap<String, i64>| {
            booked.insert(session.clone(), sum);
        };
        let known = self.booked.contains_key(&session);
        let result = match self.charging {
            Charging::Works => {
                act(&mut self.booked);
                CreditResult::Granted
            }
            Charging::Unheard => {
                act(&mut self.booked);
                CreditResult::Unknown
            }
            Charging::Silent => CreditResult::Unknown,
            Charging::Away => CreditResult::NotSent,
            // It knows what it did.
            Charging::Refuses(_) if known => CreditResult::Granted,
            Charging::Refuses(code) => CreditResult::Refused(code),
        };
        self.tell(Event::Credit {
            id,
            attempt: order.attempt,
            action: order.action,
            result,
        });
    }

    fn post(&mut self, id: PaymentId) {
        self.posts += 1;
        let stored = store::of_id(&self.database, id.as_str()).unwrap().unwrap();
        assert_eq!(stored.state, State::Paid, "a shop hears what is on disk");
        let lifetime = self.settings.acknowledgement_seconds;
        let void = self.now / 1000 > stored.acknowledgement_expires(lifetime);
        assert!(!void, "a void acknowledgement is not sent");
        let reference = stored.order.invoice.reference.clone();
        let taken = self.taken.contains_key(&reference);
        let status = |status| PostResult::Status {
            status,
            already_paid: false,
        };
        let result = match self.shop {
            // What it took it takes again.
            Shop::Says(409 | 410) | Shop::AlreadyPaid if taken => status(204),
            Shop::Takes => {
                *self.taken.entry(reference).or_default() += 1;
                status(204)
            }
            Shop::TakesUnheard => {
                *self.taken.entry(reference).or_default() += 1;
                PostResult::NoAnswer
            }
            Shop::Silent => PostResult::NoAnswer,
            Shop::Says(code) => status(code),
            Shop::AlreadyPaid => PostResult::Status {
                status: 409,
                already_paid: true,
            },
            Shop::Impossible => PostResult::Impossible,
        };
        self.tell(Event::Posted { id, result });
    }

    /// Until nothing is to be done at once.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.step() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// Lets time pass, with what falls due.
    pub(super) fn pass(&mut self, seconds: i64) {
        let end = self.now + seconds * 1000;
        self.settle();
        while let Some(due) = self.core.next_due()
            && due <= end
        {
            self.now = self.now.max(due);
            self.tell(Event::Tick);
            self.settle();
        }
        self.now = end;
        self.tell(Event::Tick);
        self.settle();
    }

    pub(super) fn state(&self, order: &Order) -> Option<State> {
        self.payment(order).map(|payment| payment.state)
    }

    pub(super) fn payment(&self, order: &Order) -> Option<Payment> {
        store::of_id(&self.database, order.id.as_str()).unwrap()
    }

    pub(super) fn reply(&self, client: ClientId) -> Option<&Reply> {
        self.replies.get(&client)
    }

    /// What the customers of all invoices have lost.
    pub(super) fn balance(&self) -> i64 {
        self.booked.values().sum()
    }

    pub(super) fn counters(&self) -> crate::core::Counters {
        self.core.counters()
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.core.is_quiet()
    }
}
