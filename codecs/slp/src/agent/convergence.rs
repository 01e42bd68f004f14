//! A request to everybody, sent again to those that have not answered yet (RFC 2608 6.3).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use thiserror::Error;

use super::reply::{accept, has_content};
use super::request::{Delivery, Request};
use super::retransmission::{Due, Retransmission};
use super::timers::Timers;
use crate::error::Unencodable;
use crate::header::Function;

/// Replies that are taken from one address: several agents may share a host, and one may have several things to say.
const MAX_REPLIES_OF_ONE: usize = 8;

/// IPv6 scopes of the first round, then of all others.
///
/// RFC 3111 4.2.2: narrow first, and never wider than the site. Who has answered in a narrow scope is silent in the
/// wider, by the PRList.
const NARROW_SCOPES: &[u8] = &[1, 2];
const WIDE_SCOPES: &[u8] = &[5];

/// What bounds a convergence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvergenceLimits {
    /// Octets of SLP in a datagram: a request that outgrows it is not sent again.
    pub mtu: usize,
    /// Replies that are taken.
    pub max_replies: usize,
    /// Octets of replies that are taken.
    pub max_octets: usize,
    /// End with the first reply that says something, instead of looking for all.
    pub first_reply_is_enough: bool,
}

impl Default for ConvergenceLimits {
    fn default() -> Self {
        Self {
            mtu: crate::DEFAULT_MTU,
            max_replies: 1024,
            max_octets: 4 << 20,
            first_reply_is_enough: false,
        }
    }
}

/// One request to everybody.
#[derive(Debug, Clone)]
pub struct Convergence {
    request: Request,
    xid: u16,
    answer: Function,
    limits: ConvergenceLimits,
    retransmission: Retransmission,
    /// By address and zone: what they said, as hashes.
    responders: BTreeMap<(IpAddr, u32), BTreeSet<u64>>,
    previous_responders: String,
    /// Whether somebody answered for the first time since the request was last sent.
    progress: bool,
    replies: usize,
    octets: usize,
    over: bool,
}

/// What happens to a convergence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvergenceEvent<'a> {
    /// A datagram came.
    Received {
        /// Who sent it.
        from: SocketAddr,
        /// What it is.
        octets: &'a [u8],
    },
    /// The time of [`Convergence::deadline`] has come.
    Timer,
}

/// What a convergence wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConvergenceEffect {
    /// Send this to the request's [`Request::group`].
    Multicast {
        /// A whole message.
        octets: Vec<u8>,
        /// IPv6 scopes of the group, the widest last; each interface uses those that its addresses allow (RFC 3111
        /// 4.2.2), and its widest in place of those that they do not.
        ipv6_scopes: &'static [u8],
    },
    /// The datagram of the event is a reply that was not heard before.
    Reply {
        /// Whether there is more of it than fits a datagram: to be had over TCP, under the same XID (RFC 2608 6.1).
        overflow: bool,
    },
    /// It is over.
    Over(ConvergenceEnd),
}

/// Why a request cannot be multicast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unsendable {
    /// A field of it is too long for any message.
    #[error(transparent)]
    Unencodable(#[from] Unencodable),
    /// There is no group for it: registrations go to one agent.
    #[error("registrations are not multicast")]
    NoGroup,
}

/// Why a convergence is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConvergenceEnd {
    /// A round brought nobody new.
    Converged,
    /// The first reply was enough.
    FirstReply,
    /// CONFIG_MC_MAX has passed.
    Time,
    /// With its PRList the request does not fit a datagram any more (RFC 2608 8.1).
    Full,
    /// As many replies, or octets of them, as are taken.
    Limit,
}

impl Convergence {
    /// Sends `request` under `xid`.
    ///
    /// # Errors
    /// A request with a field too long for any message, or without a group to send it to. One that does not fit a
    /// datagram is over at once, with [`ConvergenceEnd::Full`].
    pub fn begin(
        now: Instant,
        request: Request,
        xid: u16,
        timers: &Timers,
        limits: ConvergenceLimits,
        effects: &mut Vec<ConvergenceEffect>,
    ) -> Result<Self, Unsendable> {
        if request.group().is_none() {
            return Err(Unsendable::NoGroup);
        }
        let mut convergence = Self {
            answer: request.answer(),
            request,
            xid,
            limits,
            retransmission: Retransmission::new(now, timers.retry, timers.mc_max),
            responders: BTreeMap::new(),
            previous_responders: String::new(),
            progress: false,
            replies: 0,
            octets: 0,
            over: false,
        };
        let octets = convergence.encode()?;
        convergence.send(octets, NARROW_SCOPES, effects);
        Ok(convergence)
    }

    /// What is asked.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Addresses that have answered.
    pub fn responders(&self) -> impl Iterator<Item = IpAddr> {
        self.responders.keys().map(|(address, _)| *address)
    }

    /// When [`ConvergenceEvent::Timer`] is due; never, once it is over.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.over).then(|| self.retransmission.deadline())
    }

    /// Takes an event, and says what is to be done for it.
    pub fn handle(
        &mut self,
        now: Instant,
        event: ConvergenceEvent<'_>,
        effects: &mut Vec<ConvergenceEffect>,
    ) {
        if self.over {
            return;
        }
        match event {
            ConvergenceEvent::Received { from, octets } => self.receive(from, octets, effects),
            ConvergenceEvent::Timer => match self.retransmission.due(now) {
                Due::Nothing => {}
                Due::Again => self.next_round(effects),
                Due::End => self.end(ConvergenceEnd::Time, effects),
            },
        }
    }

    fn receive(&mut self, from: SocketAddr, octets: &[u8], effects: &mut Vec<ConvergenceEffect>) {
        let Some(message) = accept(octets, self.xid, self.answer) else {
            return;
        };
        let address = from.ip().to_canonical();
        let zone = match from {
            SocketAddr::V6(from) => from.scope_id(),
            SocketAddr::V4(_) => 0,
        };
        let is_new = !self.responders.contains_key(&(address, zone));
        if is_new && self.responders.len() >= self.limits.max_replies {
            return self.end(ConvergenceEnd::Limit, effects);
        }
        let said = self.responders.entry((address, zone)).or_default();
        if said.len() >= MAX_REPLIES_OF_ONE || !said.insert(hash(octets)) {
            return;
        }
        if is_new {
            self.progress = true;
            let comma = if self.previous_responders.is_empty() {
                ""
            } else {
                ","
            };
            // Writing to a string cannot fail.
            let _ = write!(self.previous_responders, "{comma}{address}");
        }
        if self.octets + octets.len() > self.limits.max_octets {
            return self.end(ConvergenceEnd::Limit, effects);
        }
        self.replies += 1;
        self.octets += octets.len();
        effects.push(ConvergenceEffect::Reply {
            overflow: message.header.flags.overflow,
        });
        if self.limits.first_reply_is_enough && has_content(&message.body) {
            self.end(ConvergenceEnd::FirstReply, effects);
        } else if self.replies >= self.limits.max_replies {
            self.end(ConvergenceEnd::Limit, effects);
        }
    }

    fn next_round(&mut self, effects: &mut Vec<ConvergenceEffect>) {
        // RFC 2608 6.3: until the PRList elicits no further answers. While there are none at all the request itself may
        // have been lost.
        if !self.progress && !self.responders.is_empty() {
            return self.end(ConvergenceEnd::Converged, effects);
        }
        match self.encode() {
            Ok(octets) => self.send(octets, WIDE_SCOPES, effects),
            Err(_) => self.end(ConvergenceEnd::Full, effects),
        }
    }

    fn encode(&self) -> Result<Vec<u8>, Unencodable> {
        self.request.encode(
            self.xid,
            Delivery::Multicast {
                previous_responders: &self.previous_responders,
            },
        )
    }

    fn send(
        &mut self,
        octets: Vec<u8>,
        ipv6_scopes: &'static [u8],
        effects: &mut Vec<ConvergenceEffect>,
    ) {
        if octets.len() > self.limits.mtu {
            return self.end(ConvergenceEnd::Full, effects);
        }
        self.progress = false;
        effects.push(ConvergenceEffect::Multicast {
            octets,
            ipv6_scopes,
        });
    }

    fn end(&mut self, end: ConvergenceEnd, effects: &mut Vec<ConvergenceEffect>) {
        self.over = true;
        effects.push(ConvergenceEffect::Over(end));
    }
}

fn hash(octets: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    octets.hash(&mut hasher);
    hasher.finish()
}
