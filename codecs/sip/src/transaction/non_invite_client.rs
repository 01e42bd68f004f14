//! RFC 3261 17.1.2.

use std::time::{Duration, Instant};

use super::{Running, Step, Timers, due};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Trying,
    Proceeding,
    Completed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NonInviteClient {
    pub(super) state: State,
    pub(super) running: Running,
    interval: Duration,
    reliable: bool,
}

impl NonInviteClient {
    /// The request was sent at `now`.
    pub(super) fn new(now: Instant, timers: &Timers, reliable: bool) -> Self {
        Self {
            state: State::Trying,
            running: Running {
                // Timer E over unreliable transports alone; Timer F.
                repeat: (!reliable).then(|| now + timers.t1),
                end: Some(now + timers.transaction()),
            },
            interval: timers.t1,
            reliable,
        }
    }

    pub(super) fn response(&mut self, now: Instant, timers: &Timers, status: u16) -> Step {
        match (self.state, status) {
            (State::Completed, _) => Step::NOTHING,
            (_, 100..=199) => {
                self.state = State::Proceeding;
                Step::DELIVER
            }
            _ => {
                self.state = State::Completed;
                // Timer K.
                self.running = Running::end_at(now + timers.absorb(self.reliable));
                Step::DELIVER.ending_if(self.reliable)
            }
        }
    }

    pub(super) fn tick(&mut self, now: Instant, timers: &Timers) -> Step {
        if due(self.running.end, now) {
            self.running = Running::NONE;
            return match self.state {
                State::Trying | State::Proceeding => Step::TIMED_OUT,
                State::Completed => Step::TERMINATED,
            };
        }
        if due(self.running.repeat, now) {
            self.interval = match self.state {
                State::Trying => (self.interval * 2).min(timers.t2),
                State::Proceeding | State::Completed => timers.t2,
            };
            self.running.repeat = Some(now + self.interval);
            return Step::SEND;
        }
        Step::NOTHING
    }

    /// Whether the request is on its way and nothing was heard yet.
    pub(super) fn is_unanswered(&self) -> bool {
        self.state == State::Trying
    }
}
