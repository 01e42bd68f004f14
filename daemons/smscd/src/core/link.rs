//! One connection: its session, its window and what waits to be written.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tollwire_smpp::session::{self, Session};

use crate::event::LinkId;
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

/// A bind request that is being answered.
#[derive(Debug, Clone, Copy)]
pub struct BindRequest {
    /// Its `command_id`.
    pub command_id: u32,
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

/// Token of a request that is no message.
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
    /// Its session.
    pub session: Session,
    /// Nothing more is read; it is closed when all is written.
    pub closing: bool,
    /// The bind request of the peer that is not yet answered.
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
    /// Messages taken from it.
    pub received: u64,
    /// Messages that it took.
    pub delivered: u64,
    /// The earliest entry for it in the list of deadlines.
    pub timer: Option<Instant>,
    /// When a refused bind is answered.
    pub refuse_at: Option<Instant>,
}

impl Link {
    /// A link that was just connected.
    pub fn new(id: LinkId, role: Role, timers: &Timers, now: Instant) -> Self {
        let side = match role {
            Role::Server { .. } => session::Role::MessageCentre,
            Role::Client { .. } => session::Role::Esme,
        };
        Self {
            id,
            role,
            peer: None,
            session: Session::new(side, settings(timers), now),
            closing: false,
            bind: None,
            optional: false,
            out: Vec::new(),
            dirty: false,
            backlog: 0,
            free: false,
            received: 0,
            delivered: 0,
            timer: None,
            refuse_at: None,
        }
    }

    /// Whether another message may be sent now.
    pub fn has_room(&self, max_backlog: u32) -> bool {
        let command_id = match self.role {
            Role::Server { .. } => command::DELIVER_SM,
            Role::Client { .. } => command::SUBMIT_SM,
        };
        !self.closing
            && self.backlog.saturating_add(self.out.len()) < max_backlog as usize
            && self.session.may_send(command_id).is_ok()
    }

    /// Ends the session. Tokens of all messages without an answer, oldest first.
    pub fn end(&mut self) -> Vec<u64> {
        self.closing = true;
        self.refuse_at = None;
        self.session.close();
        std::iter::from_fn(|| self.session.take_unanswered())
            .map(|(token, _)| token)
            .filter(|token| *token != NO_MESSAGE)
            .collect()
    }

    /// When [`Self::tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.session.next_deadline(), self.refuse_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// What is due now, one thing at a time. An `enquire_link` that is due is written.
    pub fn tick(&mut self, now: Instant) -> Option<Due> {
        if self.refuse_at.is_some_and(|at| at <= now) {
            self.refuse_at = None;
            return Some(Due::RefuseBind);
        }
        loop {
            match self.session.tick(now)? {
                session::Due::SendEnquireLink { sequence_number } => {
                    write::header(&mut self.out, command::ENQUIRE_LINK, 0, sequence_number);
                }
                session::Due::RequestTimedOut { token, .. } => return Some(Due::Unanswered(token)),
                session::Due::Close(_) => return Some(Due::Close),
            }
        }
    }
}

fn settings(timers: &Timers) -> session::Settings {
    let timer = |ms: u32| (ms > 0).then(|| Duration::from_millis(ms.into()));
    session::Settings {
        // The bind says who it is, and with that which windows it has.
        window: 1,
        peer_window: 1,
        enquire_link_interval: timer(timers.enquire_link_ms),
        response_timer: timer(timers.response_ms),
        inactivity_timer: timer(timers.inactivity_ms),
        session_init_timer: timer(timers.session_init_ms),
    }
}
