//! A user agent: which agents a question goes to, and what becomes of it when they do not answer (RFC 2608 6, 12.3).
//!
//! ```text
//! Ask, Cancel ────────────┐                         ┌─> Multicast, Unicast, Stream, Close
//! Datagram, Answered, ... ┼─> UserAgent::handle() ──┼─> Answer, Finished
//! Timer ──────────────────┘                         └─> Heard
//! ```
//!
//! A question goes to directory agents that serve its scopes, few of them, by unicast; for scopes without one directory
//! agents are looked for, as often as CONFIG_DA_FIND lets; for what is left of them it is multicast to service agents.
//! A directory agent that does not answer is left alone for a while, and the question goes the same way again without
//! it.

mod legs;
mod machine;
mod query;
mod receiving;
mod sending;

use std::net::SocketAddr;
use std::time::Duration;

pub use machine::UserAgent;

use super::convergence::{ConvergenceLimits, Unsendable};
use super::directory_agents::{DirectoryAgentLimits, Heard};
use super::request::{Group, Request};
use super::timers::Timers;
use crate::error::ErrorCode;
use crate::scope::ScopeList;

/// Names a question; the driver chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(pub u64);

/// Names a request to one agent, among all that are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// What is set for a user agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAgentSettings {
    /// RFC 2608 13.
    pub timers: Timers,
    /// What bounds multicast requests; its `mtu` holds for unicast too.
    pub convergence: ConvergenceLimits,
    /// What bounds the table of directory agents; its `port` is everybody's.
    pub directory_agents: DirectoryAgentLimits,
    /// Directory agents that are there by configuration, in order of preference.
    pub configured: Vec<SocketAddr>,
    /// Language of the requests for directory agents.
    pub language: String,
    /// Scopes to look for directory agents in; empty is any (RFC 2608 11.2).
    pub scopes: ScopeList,
    /// SPI that directory agents are to sign their adverts with; empty if they need not. Whether they do is for the
    /// driver to verify: an advert that fails never gets here.
    pub spi: String,
    /// Whether directory agents are looked for; otherwise only those that are configured are asked (RFC 2608 14).
    pub discover: bool,
    /// Whether they are looked for also while nobody asks.
    pub discover_by_itself: bool,
    /// Whether service agents are asked where there is no directory agent.
    pub multicast: bool,
    /// Questions that may be under way at once.
    pub max_queries: usize,
    /// TCP connections that may be under way at once.
    pub max_streams: usize,
}

impl Default for UserAgentSettings {
    fn default() -> Self {
        Self {
            timers: Timers::default(),
            convergence: ConvergenceLimits::default(),
            directory_agents: DirectoryAgentLimits::default(),
            configured: Vec::new(),
            language: "en".into(),
            scopes: ScopeList::default(),
            spi: String::new(),
            discover: true,
            discover_by_itself: true,
            multicast: true,
            max_queries: 256,
            max_streams: 16,
        }
    }
}

/// Whom a question goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Directory agents with its scopes, else everybody.
    Anyone,
    /// This agent alone.
    One(SocketAddr),
    /// Everybody, by multicast.
    Everybody,
    /// Each directory agent that serves one of its scopes: for registrations (RFC 2608 8.3).
    EveryDirectoryAgent,
    /// Nobody: it is over when directory agents have been looked for, or need not be.
    Discovery,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Its name.
    pub id: QueryId,
    /// What is asked.
    pub request: Request,
    /// Whom.
    pub target: Target,
    /// How long it may take in all; nothing leaves it to the timers.
    pub span: Option<Duration>,
    /// Whether the first reply to a multicast is enough.
    pub first_reply_is_enough: bool,
}

/// What happens to a user agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// It starts: configured directory agents are asked for their scopes.
    Start,
    /// A question.
    Ask(Ask),
    /// A question is not of interest any more.
    Cancel(QueryId),
    /// Somebody heard adverts that nobody asked for, or cannot: then directory agents are looked for more often.
    Passive(bool),
    /// A datagram came to a socket that multicasts, or that overhears adverts.
    Datagram {
        /// Who sent it.
        from: SocketAddr,
        /// What it is.
        octets: &'a [u8],
    },
    /// The agent that a leg asks sent a message, in a datagram or on its stream.
    Answered {
        /// The leg.
        leg: LegId,
        /// What it is.
        octets: &'a [u8],
    },
    /// The agent that a leg asks cannot be reached, or its stream broke.
    Unreachable(LegId),
    /// The time of [`UserAgent::deadline`] has come.
    Timer,
}

/// What a user agent wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send this to a group on every interface.
    Multicast {
        /// The group.
        group: Group,
        /// A whole message.
        octets: Vec<u8>,
        /// As [`super::ConvergenceEffect::Multicast`] has them.
        ipv6_scopes: &'static [u8],
    },
    /// Send a datagram to one agent. What it answers is [`Event::Answered`].
    Unicast {
        /// Which leg; the same again when it is sent again.
        leg: LegId,
        /// Whom to.
        to: SocketAddr,
        /// A whole message.
        octets: Vec<u8>,
    },
    /// Connect to an agent, and send it a message. What it answers is [`Event::Answered`].
    Stream {
        /// Which leg; if it had a datagram socket, that can be closed.
        leg: LegId,
        /// Whom to.
        to: SocketAddr,
        /// A whole message.
        octets: Vec<u8>,
    },
    /// A leg is over: what serves it can be closed.
    Close(LegId),
    /// A reply to a question.
    Answer {
        /// The question.
        id: QueryId,
        /// Who replied.
        from: SocketAddr,
        /// A whole message, of the function that answers the question and without an error.
        octets: Vec<u8>,
    },
    /// A question is over.
    Finished {
        /// Which.
        id: QueryId,
        /// How it went.
        outcome: Outcome,
    },
    /// Something changed about a directory agent.
    Heard(Heard),
}

/// How a question went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Replies without an error.
    pub answers: usize,
    /// The error that an agent answered with, and that another agent would not cure.
    pub refused: Option<(SocketAddr, ErrorCode)>,
    /// Agents that were asked and did not answer.
    pub unanswered: Vec<SocketAddr>,
    /// Scopes that nobody was asked for.
    pub unserved: ScopeList,
    /// Whether it was multicast.
    pub multicast: bool,
    /// Whether there is more than was had: limits, time, or a reply that could not be had whole.
    pub truncated: bool,
    /// Why it could not even be sent.
    pub impossible: Option<Impossible>,
}

/// Why a question could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impossible {
    /// A field of it is too long, or it is not for more than one agent.
    Unsendable(Unsendable),
    /// Too many questions are under way.
    Busy,
}
