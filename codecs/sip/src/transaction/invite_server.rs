//! RFC 3261 17.2.1, with the Accepted state of RFC 6026 7.1.

use std::time::{Duration, Instant};

use super::{Running, Step, Timers, due};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InviteServer {
    pub(super) state: State,
    pub(super) running: Running,
    interval: Duration,
    reliable: bool,
}

impl InviteServer {
    pub(super) fn new(timers: &Timers, reliable: bool) -> Self {
        Self {
            state: State::Proceeding,
            running: Running::NONE,
            interval: timers.t1,
            reliable,
        }
    }

    /// The INVITE came again.
    pub(super) fn request(&self) -> Step {
        match self.state {
            State::Proceeding | State::Completed => Step::SEND,
            // RFC 6026 7.1: absorbed; the user agent repeats its 2xx by itself.
            State::Confirmed | State::Accepted => Step::NOTHING,
        }
    }

    /// The transaction user answers.
    pub(super) fn respond(&mut self, now: Instant, timers: &Timers, status: u16) -> Step {
        match (self.state, status) {
            (State::Proceeding, 100..=199) => Step::SEND,
            (State::Proceeding, 200..=299) => {
                self.state = State::Accepted;
                // Timer L.
                self.running = Running::end_at(now + timers.transaction());
                Step::SEND
            }
            (State::Proceeding, _) => {
                self.state = State::Completed;
                self.running = Running {
                    // Timer G over unreliable transports alone; Timer H.
                    repeat: (!self.reliable).then(|| now + timers.t1),
                    end: Some(now + timers.transaction()),
                };
                Step::SEND
            }
            (State::Accepted, 200..=299) => Step::SEND,
            _ => Step::NOTHING,
        }
    }

    pub(super) fn acknowledge(&mut self, now: Instant, timers: &Timers) -> Step {
        match self.state {
            State::Completed => {
                self.state = State::Confirmed;
                // Timer I.
                self.running = Running::end_at(now + timers.absorb(self.reliable));
                Step::NOTHING.ending_if(self.reliable)
            }
            // RFC 6026 7.1: an ACK for the 2xx is the user's.
            State::Accepted => Step::DELIVER,
            State::Proceeding | State::Confirmed => Step::NOTHING,
        }
    }

    pub(super) fn tick(&mut self, now: Instant, timers: &Timers) -> Step {
        if due(self.running.end, now) {
            self.running = Running::NONE;
            return match self.state {
                State::Completed => Step::TIMED_OUT,
                State::Proceeding | State::Confirmed | State::Accepted => Step::TERMINATED,
            };
        }
        if due(self.running.repeat, now) {
            self.interval = (self.interval * 2).min(timers.t2);
            self.running.repeat = Some(now + self.interval);
            return Step::SEND;
        }
        Step::NOTHING
    }
}
