//! A request to one agent, sent again until it is answered or given up (RFC 2608 6.3, 12.3).

use std::time::Instant;

use super::reply::{accept, error_of};
use super::retransmission::{Due, Retransmission};
use super::timers::Timers;
use crate::error::ErrorCode;
use crate::header::Function;

/// One request to one agent.
#[derive(Debug, Clone)]
pub struct Exchange {
    xid: u16,
    answer: Function,
    octets: Vec<u8>,
    retransmission: Retransmission,
    over: bool,
}

/// What happens to an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeEvent<'a> {
    /// A datagram came from the agent that was asked.
    Received(&'a [u8]),
    /// The agent's host says that nobody listens there.
    Unreachable,
    /// The time of [`Exchange::deadline`] has come.
    Timer,
}

/// What an exchange wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExchangeEffect {
    /// Send this to the agent.
    Send(Vec<u8>),
    /// It answered, with an error or without: the datagram of the event is the answer. The exchange is over.
    Answered {
        /// What the answer says.
        error: ErrorCode,
        /// Whether there is more of it than fits a datagram: to be had over TCP, under the same XID (RFC 2608 6.1).
        overflow: bool,
    },
    /// It did not: it counts as gone (RFC 2608 12.3). The exchange is over.
    Unanswered,
}

impl Exchange {
    /// Sends `octets`, a message under `xid`, for an answer of the function `answer`.
    pub fn begin(
        now: Instant,
        octets: Vec<u8>,
        xid: u16,
        answer: Function,
        timers: &Timers,
        effects: &mut Vec<ExchangeEffect>,
    ) -> Self {
        effects.push(ExchangeEffect::Send(octets.clone()));
        Self {
            xid,
            answer,
            octets,
            retransmission: Retransmission::new(now, timers.retry, timers.retry_max),
            over: false,
        }
    }

    /// What is asked.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// When [`ExchangeEvent::Timer`] is due; never, once it is over.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.over).then(|| self.retransmission.deadline())
    }

    /// Takes an event, and says what is to be done for it.
    pub fn handle(
        &mut self,
        now: Instant,
        event: ExchangeEvent<'_>,
        effects: &mut Vec<ExchangeEffect>,
    ) {
        if self.over {
            return;
        }
        match event {
            ExchangeEvent::Received(octets) => {
                // What is no answer to this changes nothing: it may be forged, or late.
                if let Some(message) = accept(octets, self.xid, self.answer) {
                    self.over = true;
                    effects.push(ExchangeEffect::Answered {
                        error: error_of(&message.body),
                        overflow: message.header.flags.overflow,
                    });
                }
            }
            ExchangeEvent::Unreachable => self.give_up(effects),
            ExchangeEvent::Timer => match self.retransmission.due(now) {
                Due::Nothing => {}
                // RFC 2608 6.3: under the same XID.
                Due::Again => effects.push(ExchangeEffect::Send(self.octets.clone())),
                Due::End => self.give_up(effects),
            },
        }
    }

    fn give_up(&mut self, effects: &mut Vec<ExchangeEffect>) {
        self.over = true;
        effects.push(ExchangeEffect::Unanswered);
    }
}
