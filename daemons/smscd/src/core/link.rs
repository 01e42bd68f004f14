//! One connection: its session, its window and what waits to be written.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::event::LinkId;
use crate::queue::hash::NumberHash;
use crate::settings::Timers;
use crate::wire::{command, write};

/// Who made the connection.
#[derive(Debug, Clone)]
pub enum Role {
    /// An ESME connected to us.
    Server {
        /// Where from.
        remote: IpAddr,
    },
    /// We connected to an upstream.
    Client {
        /// Which of its binds.
        index: u32,
    },
}

/// What a bind is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It submits.
    Transmitter,
    /// It receives.
    Receiver,
    /// It does both.
    Transceiver,
}

impl Mode {
    /// The mode that a bind request asks for.
    pub fn from_command(command_id: u32) -> Option<Self> {
        match command_id {
            command::BIND_TRANSMITTER => Some(Self::Transmitter),
            command::BIND_RECEIVER => Some(Self::Receiver),
            command::BIND_TRANSCEIVER => Some(Self::Transceiver),
            _ => None,
        }
    }

    /// The request that asks for it.
    pub fn command(self) -> u32 {
        match self {
            Self::Transmitter => command::BIND_TRANSMITTER,
            Self::Receiver => command::BIND_RECEIVER,
            Self::Transceiver => command::BIND_TRANSCEIVER,
        }
    }
}

/// State of the session, SMPP 3.4 section 2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Connected, not bound.
    Open,
    /// A bind request waits for its answer, ours or theirs.
    Binding(Mode),
    /// Bound.
    Bound(Mode),
    /// Nothing more is read; it is closed when all is written.
    Closing,
}

/// A bind request that is being answered.
#[derive(Debug, Clone, Copy)]
pub struct BindRequest {
    /// Its `sequence_number`.
    pub sequence_number: u32,
    /// Its `interface_version`.
    pub interface_version: u8,
}

/// What a deadline of the link brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A request of ours was not answered; its token.
    Unanswered(u64),
    /// The peer is silent, or never bound: close.
    Close,
    /// A refused bind is to be answered now.
    RefuseBind,
}

/// Token of an `enquire_link` or another request that is no message.
pub const NO_MESSAGE: u64 = 0;

/// A connection.
#[derive(Debug)]
pub struct Link {
    /// The driver's name for it.
    pub id: LinkId,
    /// Who made it.
    pub role: Role,
    /// Index of its ESME or upstream; `None` before the bind.
    pub peer: Option<u32>,
    /// State of the session.
    pub state: State,
    /// The bind request under way.
    pub bind: Option<BindRequest>,
    /// Whether optional parameters may be sent: version 3.4 or later (SMPP 3.4 section 3.4).
    pub optional: bool,
    /// PDUs to be written.
    pub out: Vec<u8>,
    /// Whether it stands in the list of links to be written.
    pub dirty: bool,
    /// Octets that the driver has not yet written.
    pub backlog: usize,
    /// Whether it stands in its peer's list of links with room.
    pub free: bool,
    /// Requests of the peer that wait for the disk.
    pub unanswered: u32,
    /// Messages taken from it.
    pub received: u64,
    /// Messages that it took.
    pub delivered: u64,
    /// The earliest entry for it in the list of deadlines.
    pub timer: Option<Instant>,
    /// When a refused bind is answered.
    pub refuse_at: Option<Instant>,
    opened: Instant,
    last_received: Instant,
    last_message: Instant,
    enquired: bool,
    next_sequence: u32,
    pending: HashMap<u32, u64, NumberHash>,
    sent: VecDeque<(Instant, u32)>,
}

impl Link {
    /// A link that was just connected.
    pub fn new(id: LinkId, role: Role, now: Instant) -> Self {
        Self {
            id,
            role,
            peer: None,
            state: State::Open,
            bind: None,
            optional: false,
            out: Vec::new(),
            dirty: false,
            backlog: 0,
            free: false,
            unanswered: 0,
            received: 0,
            delivered: 0,
            timer: None,
            refuse_at: None,
            opened: now,
            last_received: now,
            last_message: now,
            enquired: false,
            next_sequence: 1,
            pending: HashMap::default(),
            sent: VecDeque::new(),
        }
    }

    /// Something was heard.
    pub fn heard(&mut self, now: Instant) {
        self.last_received = now;
        self.enquired = false;
    }

    /// A message was heard or sent.
    pub fn used(&mut self, now: Instant) {
        self.last_message = now;
    }

    /// Whether the peer may submit over it.
    pub fn may_submit(&self) -> bool {
        matches!(
            self.state,
            State::Bound(Mode::Transmitter | Mode::Transceiver)
        )
    }

    /// Whether messages may be sent over it.
    pub fn may_carry(&self) -> bool {
        match self.role {
            Role::Server { .. } => {
                matches!(self.state, State::Bound(Mode::Receiver | Mode::Transceiver))
            }
            Role::Client { .. } => self.may_submit(),
        }
    }

    /// Whether another message may be sent now.
    pub fn has_room(&self, window: u32, max_backlog: u32) -> bool {
        self.may_carry()
            && self.pending.len() < window as usize
            && self.backlog.saturating_add(self.out.len()) < max_backlog as usize
    }

    /// Requests of ours without an answer.
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// A `sequence_number` for a request of ours whose answer brings back `token`.
    pub fn request(&mut self, now: Instant, token: u64) -> u32 {
        let sequence_number = self.next_sequence;
        // SMPP 3.4 section 3.2: 0x00000001 to 0x7FFFFFFF, and round again.
        self.next_sequence = if sequence_number >= 0x7FFF_FFFF {
            1
        } else {
            sequence_number + 1
        };
        self.pending.insert(sequence_number, token);
        self.sent.push_back((now, sequence_number));
        sequence_number
    }

    /// The request that this answers.
    pub fn answered(&mut self, sequence_number: u32) -> Option<u64> {
        let token = self.pending.remove(&sequence_number);
        // Answers come mostly in order: what stands in front and is answered need not wait for its time.
        while let Some((_, sequence)) = self.sent.front()
            && !self.pending.contains_key(sequence)
        {
            self.sent.pop_front();
        }
        token
    }

    /// Tokens of all requests without an answer, oldest first.
    pub fn take_pending(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.sent)
            .into_iter()
            .filter_map(|(_, sequence)| self.pending.remove(&sequence))
            .collect()
    }

    /// When [`Self::tick`] is due.
    pub fn next_deadline(&self, timers: &Timers) -> Option<Instant> {
        if self.state == State::Closing {
            return None;
        }
        let after = |from: Instant, ms: u32| from + Duration::from_millis(ms.into());
        let session = match self.state {
            State::Bound(_) if !self.enquired => {
                Some(after(self.last_received, timers.enquire_link_ms))
            }
            State::Bound(_) | State::Closing => None,
            State::Open | State::Binding(_) => Some(after(self.opened, timers.session_init_ms)),
        };
        let session = match self.refuse_at {
            Some(at) => Some(at),
            None => session,
        };
        let inactivity =
            (timers.inactivity_ms > 0).then(|| after(self.last_message, timers.inactivity_ms));
        let response = self
            .sent
            .front()
            .map(|(sent, _)| after(*sent, timers.response_ms));
        [session, inactivity, response].into_iter().flatten().min()
    }

    /// What is due now, one thing at a time. An `enquire_link` that is due is written.
    pub fn tick(&mut self, now: Instant, timers: &Timers) -> Option<Due> {
        let passed = |from: Instant, ms: u32| {
            now.saturating_duration_since(from) >= Duration::from_millis(ms.into())
        };
        while let Some((sent, sequence)) = self.sent.front().copied() {
            if !passed(sent, timers.response_ms) {
                break;
            }
            self.sent.pop_front();
            match self.pending.remove(&sequence) {
                // SMPP 3.4 section 2.9: without an answer to enquire_link (or to a bind) the session is dead.
                Some(NO_MESSAGE) => return Some(Due::Close),
                Some(token) => return Some(Due::Unanswered(token)),
                None => {}
            }
        }
        if let Some(at) = self.refuse_at {
            return (at <= now).then(|| {
                self.refuse_at = None;
                Due::RefuseBind
            });
        }
        match self.state {
            State::Closing => return None,
            State::Open | State::Binding(_) => {
                return passed(self.opened, timers.session_init_ms).then_some(Due::Close);
            }
            State::Bound(_) => {}
        }
        if timers.inactivity_ms > 0 && passed(self.last_message, timers.inactivity_ms) {
            return Some(Due::Close);
        }
        if !self.enquired && passed(self.last_received, timers.enquire_link_ms) {
            self.enquired = true;
            let sequence = self.request(now, NO_MESSAGE);
            write::header(&mut self.out, command::ENQUIRE_LINK, 0, sequence);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(now: Instant) -> Link {
        let mut link = Link::new(
            LinkId(1),
            Role::Server {
                remote: [127, 0, 0, 1].into(),
            },
            now,
        );
        link.state = State::Bound(Mode::Transceiver);
        link
    }

    #[test]
    fn the_window_opens_with_each_answer() {
        let now = Instant::now();
        let mut link = link(now);
        let first = link.request(now, 11);
        let second = link.request(now, 12);
        assert!(!link.has_room(2, 1000));
        assert_eq!(link.answered(second), Some(12));
        assert_eq!(link.answered(second), None);
        assert!(link.has_room(2, 1000));
        assert_eq!(link.answered(first), Some(11));
        assert!(link.sent.is_empty());
        link.backlog = 1000;
        assert!(!link.has_room(2, 1000));
    }

    #[test]
    fn silence_is_asked_about_and_then_ends_the_session() {
        let now = Instant::now();
        let timers = Timers::default();
        let mut link = link(now);
        let asked = link.next_deadline(&timers).unwrap();
        assert_eq!(asked, now + Duration::from_millis(30_000));
        assert_eq!(link.tick(now, &timers), None);
        assert!(link.out.is_empty());
        assert_eq!(link.tick(asked, &timers), None);
        assert_eq!(link.out.len(), 16);
        let dead = link.next_deadline(&timers).unwrap();
        assert_eq!(dead, asked + Duration::from_millis(10_000));
        assert_eq!(link.tick(dead, &timers), Some(Due::Close));
    }

    #[test]
    fn sequence_numbers_go_round() {
        let now = Instant::now();
        let mut link = link(now);
        link.next_sequence = 0x7FFF_FFFF;
        assert_eq!(link.request(now, 1), 0x7FFF_FFFF);
        assert_eq!(link.request(now, 2), 1);
        assert_eq!(link.take_pending(), [1, 2]);
        assert_eq!(link.in_flight(), 0);
    }
}
