//! An accounting session between a user and a provider; stored whole at each change.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use tollwire_peer::{Cause, Reason, Refusal, TimeOfDay};
use tollwire_runtime::diameter::Address;

use super::gate::{self, Counted};
use super::measure::{Per, RatingGroups};

/// What is sold, as it was when the session began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The service's name.
    pub service: Box<str>,
    /// The name of its provider's certificate.
    pub provider: Box<str>,
    /// Where users find it.
    pub address: Box<str>,
    /// Where the provider takes credentials and revocations, and users open sessions: without a slash at its end.
    pub credentials_url: Box<str>,
    /// What is charged.
    pub rating_groups: RatingGroups,
    /// How long a provider may say nothing, seconds.
    pub max_seconds_between_messages: u32,
    /// Requests that one credential is good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
    /// Whether requests may come from other addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub address_change: bool,
    /// When it may be used; empty is always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times_of_day: Vec<TimeOfDay>,
    /// The pinhole that it is used through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateTerms>,
}

/// A service behind a pinhole of the manager's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateTerms {
    /// Where the limiter listens.
    pub pinholed: Address,
    /// The service's own address.
    pub address: SocketAddr,
    /// What a provider may report beyond what passed.
    pub tolerance: gate::Tolerance,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Credit is asked for.
    Issuing,
    /// Credit is held; the provider is told.
    Granted,
    /// The provider has acknowledged.
    Open,
    /// It does not come about: what was held is given back.
    Failing,
    /// It is over, or never came about.
    Closed,
}

impl State {
    /// As in lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issuing => "issuing",
            Self::Granted => "granted",
            Self::Open => "open",
            Self::Failing => "failing",
            Self::Closed => "closed",
        }
    }
}

/// What of a session an operator should look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flags {
    /// The provider reported more than was granted; the grant was charged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub over_granted: bool,
    /// The provider reported more than passed the gate; what passed was charged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub over_gate: bool,
    /// The gate could not be asked; the provider's count was charged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not_counted: bool,
    /// Totals became less.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shrinking: bool,
    /// The provider fell silent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// Messages came after the end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Something was used that could not be charged any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub uncharged: bool,
}

/// A notice to the provider to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Why.
    pub reason: Reason,
    /// The provider has it, or needs it no more.
    pub taken: bool,
}

/// What is asked of the charging core. It stands on disk before it is asked, so that it is asked again just so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// CC-Request-Type.
    pub kind: Kind,
    /// CC-Request-Number.
    pub number: u32,
    /// What is charged in all when it is done: seconds, octets, requests.
    pub charged: Per<i64>,
    /// Whether more is wanted.
    pub wanted: bool,
    /// The message that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Box<Message>>,
}

/// CC-Request-Type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Holds.
    Initial,
    /// Debits, and holds more.
    Update,
    /// Debits, and gives back the rest.
    Terminate,
}

/// An accounting message, whose signature was good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// e1
    pub id: Box<str>,
    /// e2
    pub session: Box<str>,
    /// e3
    pub sequence: i64,
    /// e4, if it is final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// e5: milliseconds, octets, requests.
    pub data: Per<Option<i64>>,
    /// e6
    pub nonce: Box<str>,
    /// Until when the nonce is remembered, milliseconds since 1970.
    pub nonce_until_ms: i64,
    /// Whose certificate signed it.
    pub from: Box<str>,
    /// Digest of all that it says but the nonce.
    pub digest: Box<str>,
}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// accounting_session_id
    pub id: Box<str>,
    /// a2
    pub request_id: Box<str>,
    /// The name of the user's certificate.
    pub user: Box<str>,
    /// Where the request came from.
    pub ip: IpAddr,
    /// The port that a gated service is used from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp_port: Option<u16>,
    /// What is sold.
    pub terms: Terms,
    /// When it was asked for, milliseconds since 1970.
    pub began_ms: i64,
    /// Lifetime, seconds since 1970.
    pub not_before: i64,
    /// See `not_before`.
    pub not_after: i64,
    /// The session key, encrypted to the user's certificate and to the provider's; until the credentials are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Keys>,
    /// How far it is.
    pub state: State,
    /// What the user is told if it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Refusal>,
    /// What is being asked of the charging core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// CC-Request-Number of the next order.
    pub number: u32,
    /// The highest sequence number that was dealt with.
    pub sequence: i64,
    /// As last reported: milliseconds, octets, requests.
    pub reported: Per<i64>,
    /// Charged: seconds, octets, requests.
    pub charged: Per<i64>,
    /// What may be used in all: seconds, octets, requests.
    pub granted: Per<i64>,
    /// No more will be granted.
    pub last: bool,
    /// What it has cost, micro-units.
    pub cost_micro: i64,
    /// ISO 4217 number of that.
    pub currency: u32,
    /// When the provider was last heard of, milliseconds since 1970.
    pub heard_ms: i64,
    /// What has passed its gate.
    #[serde(default)]
    pub counted: Counted,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// When it ended, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// What an operator should look at.
    #[serde(default)]
    pub flags: Flags,
    /// A notice to the provider to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
}

/// The session key, encrypted to each party (JWE).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// To the user's certificate.
    pub user: Box<str>,
    /// To the provider's.
    pub provider: Box<str>,
}

impl Session {
    /// Whether the provider still has to be told to stop.
    pub fn owes_revocation(&self) -> bool {
        self.revocation.is_some_and(|revocation| !revocation.taken)
    }

    /// Whether there is nothing left to do for it.
    pub fn is_over(&self) -> bool {
        self.state == State::Closed && self.order.is_none() && !self.owes_revocation()
    }

    /// Its next order to the charging core: another CC-Request-Number each time, and more is wanted by each but the last.
    pub fn give_order(&mut self, kind: Kind, charged: Per<i64>, message: Option<Box<Message>>) {
        self.order = Some(Order {
            kind,
            number: self.number,
            charged,
            wanted: kind != Kind::Terminate,
            message,
        });
        self.number = self.number.saturating_add(1);
    }

    /// The gate that it is used through, as it should be now.
    pub fn gate_order(&self) -> Option<gate::Order> {
        let terms = self.terms.gate.as_ref()?;
        let of_octets = self.terms.rating_groups.octets.is_some();
        Some(gate::Order {
            session: self.id.to_string(),
            pinholed: terms.pinholed.clone(),
            user: SocketAddr::new(self.ip.to_canonical(), self.udp_port?),
            service: terms.address,
            not_after_unix_ms: self.not_after.saturating_mul(1000),
            octets: of_octets.then_some(self.granted.octets.max(0).unsigned_abs()),
            counted: self.counted,
        })
    }

    /// Its gate, if that is to go on after a restart: others are opened or closed by what is done next for them.
    pub fn standing_gate(&self) -> Option<gate::Order> {
        let ends = (self.order.as_ref()).is_some_and(|order| order.kind == Kind::Terminate);
        let stands = self.state == State::Open && self.revocation.is_none() && !ends;
        stands.then(|| self.gate_order()).flatten()
    }

    /// Whether the provider may be granted more.
    pub fn may_go_on(&self, now_ms: i64) -> bool {
        self.revocation.is_none() && now_ms < self.not_after.saturating_mul(1000)
    }
}
