//! A question under way.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Ask, Outcome, Target};
use crate::agent::retransmission::later;
use crate::error::ErrorCode;
use crate::scope::ScopeList;

/// A question under way.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) ask: Ask,
    /// Scopes that somebody is still to be asked for.
    pub(super) rest: ScopeList,
    /// Whether the request went out at all: an empty rest means nothing before.
    pub(super) begun: bool,
    /// Until when it waits for directory agents to be found.
    pub(super) waiting: Option<Instant>,
    /// Whether it has waited: it does so once.
    pub(super) discovered: bool,
    /// Requests under way for it.
    pub(super) legs: usize,
    /// Agents that it does not go to again.
    pub(super) except: Vec<SocketAddr>,
    /// An error that another agent might have cured.
    pub(super) curable: Option<(SocketAddr, ErrorCode)>,
    pub(super) end: Option<Instant>,
    pub(super) outcome: Outcome,
}

impl Query {
    pub(super) fn new(now: Instant, ask: Ask) -> Self {
        Self {
            // What cannot be read as scopes goes to the agents as it is: they say what is wrong with it.
            rest: ScopeList::parse(&ask.request.scopes).unwrap_or_default(),
            end: ask.span.map(|span| later(now, span)),
            ask,
            begun: false,
            waiting: None,
            discovered: false,
            legs: 0,
            except: Vec::new(),
            curable: None,
            outcome: Outcome::default(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.into_iter().chain(self.end).min()
    }

    /// Whether nothing of it is under way, nor left to do.
    pub(super) fn is_over(&self) -> bool {
        self.begun && self.legs == 0 && self.waiting.is_none() && self.rest.is_empty()
    }

    /// An agent that was asked for `scopes` says an error. Whether another may be asked in its place.
    pub(super) fn refused(
        &mut self,
        from: SocketAddr,
        error: ErrorCode,
        scopes: &ScopeList,
    ) -> bool {
        // The others would be about the question itself, or are the answer to it.
        let curable = matches!(
            error,
            ErrorCode::SCOPE_NOT_SUPPORTED
                | ErrorCode::VER_NOT_SUPPORTED
                | ErrorCode::INTERNAL_ERROR
                | ErrorCode::DA_BUSY_NOW
                | ErrorCode::MSG_NOT_SUPPORTED
        );
        if curable && self.ask.target == Target::Anyone {
            self.curable.get_or_insert((from, error));
            self.ask_another(from, scopes);
            return true;
        }
        self.outcome.refused.get_or_insert((from, error));
        false
    }

    /// An agent that was asked for `scopes` did not answer.
    pub(super) fn unanswered(&mut self, from: SocketAddr, scopes: &ScopeList) {
        if !self.outcome.unanswered.contains(&from) {
            self.outcome.unanswered.push(from);
        }
        if self.ask.target == Target::Anyone {
            self.ask_another(from, scopes);
        }
    }

    fn ask_another(&mut self, instead_of: SocketAddr, scopes: &ScopeList) {
        self.except.push(instead_of);
        self.rest = self.rest.union(scopes);
    }

    /// How it went, now that it is over.
    pub(super) fn finish(mut self) -> Outcome {
        if self.outcome.answers == 0 && self.outcome.refused.is_none() {
            self.outcome.refused = self.curable;
        }
        self.outcome
    }
}
