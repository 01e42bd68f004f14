//! Requests under way: to one agent by datagram or stream, or to everybody.

use std::net::SocketAddr;
use std::time::Instant;

use super::QueryId;
use crate::agent::convergence::Convergence;
use crate::agent::exchange::Exchange;
use crate::header::Function;
use crate::scope::ScopeList;

/// A request under way.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    pub(super) purpose: Purpose,
    pub(super) xid: u16,
    pub(super) work: Work,
}

/// What a request is for.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    /// A question, as far as these scopes go.
    Query(QueryId, ScopeList),
    /// Finding directory agents.
    Discovery,
    /// The advert of a configured directory agent.
    Introduction,
}

/// How it is sent.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// In datagrams to one agent.
    Exchange { to: SocketAddr, exchange: Exchange },
    /// In datagrams to everybody.
    Convergence(Box<Convergence>),
    /// On a stream to one agent.
    Stream {
        to: SocketAddr,
        answer: Function,
        /// When it is given up.
        end: Instant,
        /// What fitted a datagram of the reply, if there was one.
        partial: Option<Vec<u8>>,
    },
}

impl Leg {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.work {
            Work::Exchange { exchange, .. } => exchange.deadline(),
            Work::Convergence(convergence) => convergence.deadline(),
            Work::Stream { end, .. } => Some(*end),
        }
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.work, Work::Stream { .. })
    }

    /// The question that it is for.
    pub(super) fn query(&self) -> Option<QueryId> {
        match self.purpose {
            Purpose::Query(id, _) => Some(id),
            Purpose::Discovery | Purpose::Introduction => None,
        }
    }

    /// Whether a socket or stream of its own serves it.
    pub(super) fn is_of_one_agent(&self) -> bool {
        !matches!(self.work, Work::Convergence(_))
    }
}
