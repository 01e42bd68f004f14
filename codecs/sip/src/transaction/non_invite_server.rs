//! RFC 3261 17.2.2, with the rules of RFC 4320.

use std::time::Instant;

use super::{Running, Step, Timers, due};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Trying,
    Proceeding,
    Completed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NonInviteServer {
    pub(super) state: State,
    pub(super) running: Running,
    began: Instant,
    reliable: bool,
}

impl NonInviteServer {
    pub(super) fn new(now: Instant, timers: &Timers, reliable: bool) -> Self {
        Self {
            state: State::Trying,
            // RFC 4320 4.2: after the client's Timer F no answer is of use, and users that know it give none.
            // T4 more, for the last repetition under way.
            running: Running::end_at(now + timers.transaction() + timers.t4),
            began: now,
            reliable,
        }
    }

    /// The request came again.
    pub(super) fn request(&self) -> Step {
        match self.state {
            State::Trying => Step::NOTHING,
            State::Proceeding | State::Completed => Step::SEND,
        }
    }

    /// The transaction user answers.
    pub(super) fn respond(&mut self, now: Instant, timers: &Timers, status: u16) -> Step {
        match (self.state, status) {
            (State::Completed, _) => Step::NOTHING,
            // RFC 4320 4.1: no provisional response but 100, and that over UDP not before the client's
            // Timer E has grown to T2.
            (_, 100) if self.reliable || now >= self.began + timers.t2 => {
                self.state = State::Proceeding;
                Step::SEND
            }
            (_, 100..=199) => Step::NOTHING,
            // RFC 4320 4.2: a 408 would come after the client has given up.
            (_, 408) => Step::TERMINATED,
            _ => {
                self.state = State::Completed;
                // Timer J.
                self.running = if self.reliable {
                    Running::NONE
                } else {
                    Running::end_at(now + timers.transaction())
                };
                Step::SEND.ending_if(self.reliable)
            }
        }
    }

    pub(super) fn tick(&mut self, now: Instant) -> Step {
        if due(self.running.end, now) {
            self.running = Running::NONE;
            return Step::TERMINATED;
        }
        Step::NOTHING
    }
}
