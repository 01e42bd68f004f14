//! RFC 3261 17.1.1, with the Accepted state of RFC 6026 7.2.

use std::time::{Duration, Instant};

use super::{Running, Step, Timers, due};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InviteClient {
    pub(super) state: State,
    pub(super) running: Running,
    interval: Duration,
    reliable: bool,
}

impl InviteClient {
    /// The INVITE was sent at `now`.
    pub(super) fn new(now: Instant, timers: &Timers, reliable: bool) -> Self {
        Self {
            state: State::Calling,
            running: Running {
                // Timer A over unreliable transports alone; Timer B.
                repeat: (!reliable).then(|| now + timers.t1),
                end: Some(now + timers.transaction()),
            },
            interval: timers.t1,
            reliable,
        }
    }

    pub(super) fn response(&mut self, now: Instant, timers: &Timers, status: u16) -> Step {
        match (self.state, status) {
            (State::Calling | State::Proceeding, 100..=199) => {
                if self.state == State::Calling {
                    self.state = State::Proceeding;
                    self.running = Running::NONE;
                }
                Step::DELIVER
            }
            (State::Calling | State::Proceeding, 200..=299) => {
                self.state = State::Accepted;
                // Timer M.
                self.running = Running::end_at(now + timers.transaction());
                Step::DELIVER
            }
            (State::Calling | State::Proceeding, _) => {
                self.state = State::Completed;
                // Timer D.
                self.running = Running::end_at(now + timers.absorb_final_response(self.reliable));
                Step {
                    deliver: true,
                    acknowledge: true,
                    ..Step::NOTHING
                }
                .ending_if(self.reliable)
            }
            (State::Completed, 300..) => Step::ACKNOWLEDGE,
            (State::Accepted, 200..=299) => Step::DELIVER,
            // RFC 6026 8.5: anything else that comes late is dropped.
            _ => Step::NOTHING,
        }
    }

    /// A CANCEL was sent: without a final response within 64*T1 the INVITE is given up (9.1).
    pub(super) fn cancelled(&mut self, now: Instant, timers: &Timers) {
        if self.state == State::Proceeding {
            self.running.end = Some(now + timers.transaction());
        }
    }

    pub(super) fn tick(&mut self, now: Instant) -> Step {
        if due(self.running.end, now) {
            self.running = Running::NONE;
            return match self.state {
                State::Calling | State::Proceeding => Step::TIMED_OUT,
                State::Completed | State::Accepted => Step::TERMINATED,
            };
        }
        if due(self.running.repeat, now) {
            self.interval *= 2;
            self.running.repeat = Some(now + self.interval);
            return Step::SEND;
        }
        Step::NOTHING
    }

    /// Whether the request is on its way and nothing was heard yet.
    pub(super) fn is_unanswered(&self) -> bool {
        self.state == State::Calling
    }
}
