//! An order: what a customer wants, how it is paid, and how much of it went out.
//!
//! ```text
//! Open --Choose--> Invoiced --Acknowledged--> Paid --Fetch, Stream, Enter--> Delivering --all went out--> Delivered
//!   |                 |                        ^
//!   +----time---------+--> Expired ------------+ paid in time, and heard of late
//! ```
//!
//! Pure: time is an argument, and what is to be done comes back as effects. What an event changes is stored before any
//! of its effects is carried out.

pub mod coverage;
pub mod effect;
pub mod event;
pub mod range;
#[cfg(test)]
mod tests;

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

use crate::catalogue::Kind;
use coverage::Coverage;
pub use effect::{Effect, Refusal};
pub use event::{Event, Version};
use range::{Asked, Span};

/// Invoices of one order. A customer changes his mind a few times.
pub const MAX_INVOICES: usize = 16;

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No method of payment is chosen.
    Open,
    /// Billing servers have invoices; none has acknowledged.
    Invoiced,
    /// A billing server has acknowledged; nothing went out.
    Paid,
    /// Something went out.
    Delivering,
    /// All went out: the link is spent.
    Delivered,
    /// Not paid in time.
    Expired,
}

impl State {
    /// Every state, in the order of an order's life.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::Invoiced,
        Self::Paid,
        Self::Delivering,
        Self::Delivered,
        Self::Expired,
    ];

    /// Its name in the store, in lists and in pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invoiced => "invoiced",
            Self::Paid => "paid",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::Expired => "expired",
        }
    }

    /// Whether a customer may still pay.
    pub fn is_unpaid(self) -> bool {
        matches!(self, Self::Open | Self::Invoiced)
    }
}

/// What was ordered, as the catalogue had it then: a price that changes later changes no order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    /// Its id in the catalogue.
    pub id: String,
    /// Its title in the customer's language.
    pub title: String,
    /// Its price, tax included, in micro-units.
    pub amount_micro: i64,
    /// ISO 4217.
    pub currency: Currency,
    /// The tax in it, in hundredths of a percent.
    pub tax_basis_points: u16,
    /// What is delivered.
    pub kind: Kind,
}

/// An invoice that was made for a billing server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Its reference: of this order and this billing server alone.
    pub reference: String,
    /// Thumbprint of the billing server's acknowledgement key.
    pub server: String,
    /// The key itself, a JWK: acknowledgements are verified with it even when the billing server is gone.
    pub key: String,
    /// Its registration, from which the form is made again: the URL and the attribute list.
    pub registration: (String, String),
    /// The compact JWS; empty until it is signed.
    pub jws: String,
    /// Until when it can be paid, milliseconds since 1970.
    pub expires_ms: i64,
}

/// What went out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The file as it was when its transfer began.
    pub version: Option<Version>,
    /// Octets of that version that went out.
    pub coverage: Coverage,
    /// Octets that went out in all, of every version, every time.
    pub sent: u64,
    /// Times that a stream was begun, or that a file was begun again because it did not arrive.
    pub attempts: u32,
    /// Until when a service may be used, milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// When the last of it went out, milliseconds since 1970.
    pub whole_ms: Option<i64>,
}

/// Bounds of orders and their delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long an invoice can be paid, milliseconds.
    pub invoice_ms: i64,
    /// An invoice that can be paid for less than this is not shown again: a new one is made, milliseconds.
    pub invoice_least_ms: i64,
    /// Octets that go out for one order at most: this often the file's.
    pub octets_factor: u32,
    /// Transfers of one order at once.
    pub transfers: usize,
    /// How long after the last octet its tail may be fetched again, milliseconds.
    pub grace_ms: i64,
    /// How much of the end that is, octets.
    pub grace_octets: u64,
    /// Times that a stream may be begun.
    pub stream_attempts: u32,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its number: the shop's own reference.
    pub number: i64,
    /// What its address ends with; who knows it has the order.
    pub token: String,
    /// What was ordered.
    pub bought: Bought,
    /// The address that ordered, which bounds how many orders are open.
    pub source: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends unless it is paid, milliseconds since 1970.
    pub expires_ms: i64,
    /// How far it has come.
    pub state: State,
    /// Invoices, the newest last.
    pub invoices: Vec<Issued>,
    /// The reference of the invoice that was paid, and when that was acknowledged, milliseconds since 1970.
    pub paid: Option<(String, i64)>,
    /// What went out.
    pub delivery: Delivery,
}

impl Order {
    /// Handles an event at `now_ms`, milliseconds since 1970. `effects` gets what follows from it.
    pub fn handle(&mut self, rules: &Rules, now_ms: i64, event: Event, effects: &mut Vec<Effect>) {
        if self.state.is_unpaid() && now_ms >= self.expires_ms {
            self.state = State::Expired;
        }
        match event {
            Event::Tick => {}
            Event::Choose(choice) => effects.push(self.choose(rules, now_ms, *choice)),
            Event::Signed { reference, jws } => self.signed(&reference, jws),
            Event::Acknowledged { reference } => effects.push(self.acknowledged(now_ms, reference)),
            Event::Fetch {
                version,
                asked,
                under_way,
                transfers,
            } => effects.push(self.fetch(rules, now_ms, version, asked, under_way, transfers)),
            Event::Lost => effects.push(self.lost(rules, now_ms)),
            Event::Sent { version, span } => self.sent(now_ms, &version, span, effects),
            Event::Stream { transfers } => effects.push(self.stream(rules, transfers)),
            Event::StreamEnded { whole } => self.stream_ended(rules, now_ms, whole, effects),
            Event::Enter => effects.push(self.enter(now_ms)),
        }
    }

    /// The invoice of this reference.
    pub fn invoice(&self, reference: &str) -> Option<&Issued> {
        (self.invoices.iter()).find(|invoice| invoice.reference == reference)
    }

    /// What may be fetched still, and is it anything? For pages.
    pub fn is_deliverable(&self) -> bool {
        matches!(self.state, State::Paid | State::Delivering)
    }

    fn choose(&mut self, rules: &Rules, now_ms: i64, choice: event::Choice) -> Effect {
        if let Err(refusal) = self.may_be_paid() {
            return Effect::Refuse(refusal);
        }
        let fresh = |invoice: &&Issued| {
            invoice.server == choice.server
                && !invoice.jws.is_empty()
                && invoice.expires_ms - now_ms >= rules.invoice_least_ms
        };
        if let Some(invoice) = self.invoices.iter().rev().find(fresh) {
            return Effect::Show {
                reference: invoice.reference.clone(),
            };
        }
        if self.invoices.len() >= MAX_INVOICES {
            return Effect::Refuse(Refusal::TooManyInvoices);
        }
        let expires_ms = now_ms.saturating_add(rules.invoice_ms);
        // Whoever has an invoice that can be paid has an order that can be.
        self.expires_ms = self.expires_ms.max(expires_ms);
        self.state = State::Invoiced;
        let reference = choice.reference.clone();
        self.invoices.push(Issued {
            reference: choice.reference,
            server: choice.server,
            key: choice.key,
            registration: choice.registration,
            jws: String::new(),
            expires_ms,
        });
        Effect::Sign {
            reference,
            expires_ms,
        }
    }

    fn may_be_paid(&self) -> Result<(), Refusal> {
        match self.state {
            State::Open | State::Invoiced => Ok(()),
            State::Paid | State::Delivering | State::Delivered => Err(Refusal::AlreadyPaid),
            State::Expired => Err(Refusal::Expired),
        }
    }

    fn signed(&mut self, reference: &str, jws: String) {
        let mut unsigned = self.invoices.iter_mut();
        if let Some(invoice) =
            unsigned.find(|invoice| invoice.reference == reference && invoice.jws.is_empty())
        {
            invoice.jws = jws;
        }
    }

    /// The signature and the claims are right. Whether the customer paid in time is among the claims; that the news
    /// came after the order's end takes no right from him.
    fn acknowledged(&mut self, now_ms: i64, reference: String) -> Effect {
        if self.invoice(&reference).is_none() {
            return Effect::Refuse(Refusal::UnknownReference);
        }
        match &self.paid {
            Some((paid, _)) if *paid == reference => Effect::GrantedBefore,
            Some(_) => Effect::Refuse(Refusal::AlreadyPaid),
            None => {
                self.paid = Some((reference, now_ms));
                self.state = State::Paid;
                Effect::Granted
            }
        }
    }

    fn may_be_delivered(&self) -> Result<(), Refusal> {
        match self.state {
            State::Open | State::Invoiced => Err(Refusal::NotPaid),
            State::Expired => Err(Refusal::Expired),
            State::Paid | State::Delivering => Ok(()),
            State::Delivered => Err(Refusal::Spent),
        }
    }

    fn fetch(
        &mut self,
        rules: &Rules,
        now_ms: i64,
        version: Version,
        asked: Asked,
        under_way: u64,
        transfers: usize,
    ) -> Effect {
        let tail = self.state == State::Delivered && self.is_tail(rules, now_ms, &version, asked);
        if let (Err(refusal), false) = (self.may_be_delivered(), tail) {
            return Effect::Refuse(refusal);
        }
        if transfers >= rules.transfers {
            return Effect::Refuse(Refusal::Busy);
        }
        let Some(span) = asked.of(version.size) else {
            return Effect::Refuse(Refusal::Unsatisfiable);
        };
        let budget = version.size.saturating_mul(rules.octets_factor.into());
        let spent = self.delivery.sent.saturating_add(under_way);
        if spent.saturating_add(span.len()) > budget && version.size > 0 {
            return Effect::Refuse(Refusal::Exhausted);
        }
        if self.delivery.version.as_ref() != Some(&version) {
            // Parts of two files are no file.
            self.delivery.coverage = Coverage::default();
            self.delivery.version = Some(version);
        }
        if !tail {
            self.state = State::Delivering;
        }
        Effect::Send {
            span,
            partial: asked != Asked::Whole,
        }
    }

    /// Whether somebody whose connection broke asks for what had been written to it.
    fn is_tail(&self, rules: &Rules, now_ms: i64, version: &Version, asked: Asked) -> bool {
        // All of it from the start is no resumption.
        let Asked::Part(Span { start: 1.., .. }) = asked else {
            return false;
        };
        let near = asked
            .of(version.size)
            .is_some_and(|span| version.size.saturating_sub(span.start) <= rules.grace_octets);
        self.is_recent(rules, now_ms) && near && self.delivery.version.as_ref() == Some(version)
    }

    /// Whether the customer may say that a file did not arrive: once, and soon after it went out.
    ///
    /// That octets were written to a connection does not say that they arrived, and who got none of them cannot ask for
    /// the rest. Whoever says so untruly has the file already.
    pub fn may_be_lost(&self, rules: &Rules, now_ms: i64) -> bool {
        self.state == State::Delivered
            && matches!(self.bought.kind, Kind::File { .. })
            && self.delivery.attempts == 0
            && self.is_recent(rules, now_ms)
    }

    fn is_recent(&self, rules: &Rules, now_ms: i64) -> bool {
        (self.delivery.whole_ms)
            .is_some_and(|at| now_ms >= at && now_ms.saturating_sub(at) < rules.grace_ms)
    }

    fn lost(&mut self, rules: &Rules, now_ms: i64) -> Effect {
        match self.may_be_delivered() {
            // It can be fetched as it is.
            Ok(()) => return Effect::Pass,
            Err(Refusal::Spent) if self.may_be_lost(rules, now_ms) => {}
            Err(refusal) => return Effect::Refuse(refusal),
        }
        self.delivery.attempts += 1;
        self.delivery.coverage = Coverage::default();
        self.delivery.whole_ms = None;
        self.state = State::Delivering;
        Effect::Pass
    }

    fn sent(&mut self, now_ms: i64, version: &Version, span: Span, effects: &mut Vec<Effect>) {
        self.delivery.sent = self.delivery.sent.saturating_add(span.len());
        if self.state != State::Delivering || self.delivery.version.as_ref() != Some(version) {
            return;
        }
        self.delivery.coverage.add(span);
        if self.delivery.coverage.is_whole(version.size) {
            self.delivered(now_ms, effects);
        }
    }

    fn stream(&mut self, rules: &Rules, transfers: usize) -> Effect {
        if let Err(refusal) = self.may_be_delivered() {
            return Effect::Refuse(refusal);
        }
        if transfers > 0 {
            return Effect::Refuse(Refusal::Busy);
        }
        if self.delivery.attempts >= rules.stream_attempts {
            return Effect::Refuse(Refusal::Exhausted);
        }
        self.delivery.attempts += 1;
        self.state = State::Delivering;
        Effect::Pass
    }

    fn stream_ended(&mut self, rules: &Rules, now_ms: i64, whole: bool, effects: &mut Vec<Effect>) {
        let over = whole || self.delivery.attempts >= rules.stream_attempts;
        if self.state == State::Delivering && over {
            self.delivered(now_ms, effects);
        }
    }

    fn enter(&mut self, now_ms: i64) -> Effect {
        if let Err(refusal) = self.may_be_delivered() {
            return Effect::Refuse(refusal);
        }
        let Kind::Service { seconds, .. } = &self.bought.kind else {
            return Effect::Refuse(Refusal::Spent);
        };
        let until = *self
            .delivery
            .until_ms
            .get_or_insert_with(|| now_ms.saturating_add(i64::from(*seconds) * 1_000));
        if now_ms >= until {
            self.state = State::Delivered;
            self.delivery.whole_ms = Some(until);
            return Effect::Refuse(Refusal::Spent);
        }
        self.state = State::Delivering;
        Effect::Pass
    }

    fn delivered(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        self.state = State::Delivered;
        self.delivery.whole_ms = Some(now_ms);
        effects.push(Effect::Delivered);
    }
}
