//! The limiter's client of one call (Rx, 3GPP TS 29.214): one session per
//! call, one order outstanding at a time, later changes coalesced into one.
//!
//! Every change of the wanted state has a revision; what waits for the kernel
//! waits for the confirmation of its revision.

use super::{Component, Gate};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Longest Session-Timeout asked for, 30 days: keeps the sums of instants in range.
const MAX_TIMEOUT_SECONDS: u32 = 30 * 86_400;

/// What the limiter is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaOrder {
    /// AA-Request: the whole state wanted from now on.
    Authorise {
        /// It opens the session; otherwise it changes it.
        initial: bool,
        /// All streams, removed ones included.
        components: Vec<Component>,
        /// Session-Timeout in seconds from now.
        timeout_seconds: u32,
        /// Octets that may pass in all.
        octet_quota: Option<u64>,
    },
    /// Session-Termination-Request.
    Close,
}

/// What passed, in octets of IP payload as the limiter counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MediaUsage {
    /// From the caller to the callee.
    pub from_caller: u64,
    /// From the callee to the caller.
    pub to_caller: u64,
}

/// What an AAA said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaAnswer {
    /// Result-Code (or Experimental-Result-Code).
    pub result_code: u32,
    /// What passed so far.
    pub usage: MediaUsage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnderWay {
    Authorise { revision: u64, expires: Instant },
    Close,
}

/// The state of a call's limiter session.
#[derive(Debug, Clone)]
pub struct Media {
    /// The limiter may hold state of ours.
    open: bool,
    closed: bool,
    components: Vec<Component>,
    timeout: Timeout,
    octet_quota: Option<u64>,
    /// Of the wanted state.
    revision: u64,
    sent: u64,
    confirmed: u64,
    under_way: Option<UnderWay>,
    retry_at: Option<Instant>,
    /// When the kernel shuts everything by itself.
    expires: Option<Instant>,
    /// The same, had every order been carried out.
    latest: Option<Instant>,
    usage: MediaUsage,
}

/// When the limiter shuts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// This long after the order is sent: the call is not answered yet.
    After(Duration),
    /// At the end of the grant.
    At(Instant),
}

impl Media {
    /// No session.
    pub fn new() -> Self {
        Self {
            open: false,
            closed: false,
            components: Vec::new(),
            timeout: Timeout::After(Duration::ZERO),
            octet_quota: None,
            revision: 0,
            sent: 0,
            confirmed: 0,
            under_way: None,
            retry_at: None,
            expires: None,
            latest: None,
            usage: MediaUsage::default(),
        }
    }

    /// Whether the limiter may hold state of this call.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether nothing is owed to the limiter.
    pub fn is_settled(&self) -> bool {
        !self.open && self.under_way.is_none()
    }

    /// What passed, as far as the limiter told.
    pub fn usage(&self) -> MediaUsage {
        self.usage
    }

    /// Takes over counters from an unasked report.
    pub fn note_usage(&mut self, usage: MediaUsage) {
        self.usage.from_caller = self.usage.from_caller.max(usage.from_caller);
        self.usage.to_caller = self.usage.to_caller.max(usage.to_caller);
    }

    /// The streams wanted last.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// The revision the limiter confirmed.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// The revision wanted.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// When the kernel shuts everything by itself.
    pub fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// When an order has to be sent again.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Wants these streams until `timeout`. `None`: nothing changes, or the
    /// order goes out after the one under way. Streams that were authorised
    /// and are no longer listed are removed.
    pub fn want(
        &mut self,
        now: Instant,
        mut components: Vec<Component>,
        timeout: Timeout,
        octet_quota: Option<u64>,
    ) -> Option<MediaOrder> {
        if self.closed {
            return None;
        }
        for old in &self.components {
            if !components.iter().any(|new| new.number == old.number) {
                components.push(Component {
                    gate: Gate::Removed,
                    ..old.clone()
                });
            }
        }
        if components == self.components
            && timeout == self.timeout
            && octet_quota == self.octet_quota
            && self.revision > 0
        {
            return None;
        }
        self.components = components;
        self.timeout = timeout;
        self.octet_quota = octet_quota;
        self.revision += 1;
        self.send(now)
    }

    /// Closes the session. `None`: there is none, or it is being closed.
    pub fn close(&mut self) -> Option<MediaOrder> {
        self.closed = true;
        self.retry_at = None;
        if !self.open || self.under_way == Some(UnderWay::Close) {
            return None;
        }
        // Orders are carried out as they arrive: no need to wait for the AAA.
        self.under_way = Some(UnderWay::Close);
        Some(MediaOrder::Close)
    }

    /// The AAA came. `Ok`: the order to send next, if more was wanted meanwhile.
    pub fn handle_answer(
        &mut self,
        now: Instant,
        answer: &MediaAnswer,
    ) -> Result<Option<MediaOrder>, u32> {
        self.note_usage(answer.usage);
        let Some(UnderWay::Authorise { revision, expires }) = self.under_way else {
            return Ok(None);
        };
        self.under_way = None;
        if !(2000..3000).contains(&answer.result_code) {
            if self.confirmed == 0 {
                self.open = false;
            }
            return Err(answer.result_code);
        }
        self.confirmed = revision;
        self.expires = Some(expires);
        Ok(if self.revision > self.sent {
            self.send(now)
        } else {
            None
        })
    }

    /// The STA came.
    pub fn handle_closed(&mut self, usage: MediaUsage) {
        self.note_usage(usage);
        if self.under_way == Some(UnderWay::Close) {
            self.under_way = None;
            self.open = false;
            self.retry_at = None;
        }
    }

    /// No answer came. Returns whether it was an order to close.
    pub fn handle_failure(&mut self, now: Instant, sent: bool, retry: Duration) -> bool {
        match self.under_way.take() {
            Some(UnderWay::Close) => {
                // The kernel shuts at its timeout; after that there is nothing left to close.
                if self.latest.is_some_and(|latest| latest > now) {
                    self.retry_at = Some(now + retry);
                } else {
                    self.open = false;
                }
                true
            }
            Some(UnderWay::Authorise { .. }) => {
                if !sent && self.confirmed == 0 {
                    self.open = false;
                }
                false
            }
            None => false,
        }
    }

    /// Sends again what was not answered.
    pub fn retry_at(&mut self, at: Instant) {
        self.retry_at = Some(at);
    }

    /// Sends what is due.
    pub fn tick(&mut self, now: Instant) -> Option<MediaOrder> {
        if self.retry_at.is_none_or(|at| at > now) || self.under_way.is_some() {
            return None;
        }
        self.retry_at = None;
        if self.closed {
            if !self.open {
                return None;
            }
            self.under_way = Some(UnderWay::Close);
            return Some(MediaOrder::Close);
        }
        self.sent = 0;
        self.send(now)
    }

    /// Stops repeating the order to close: its session died with its timeout.
    pub fn abandon(&mut self) {
        self.open = false;
        self.under_way = None;
        self.retry_at = None;
    }

    /// Continues after a restart.
    pub fn restore(
        open: bool,
        components: Vec<Component>,
        octet_quota: Option<u64>,
        expires: Option<Instant>,
        usage: MediaUsage,
    ) -> Self {
        Self {
            open,
            components,
            octet_quota,
            expires,
            latest: expires,
            usage,
            timeout: expires.map_or(Timeout::After(Duration::ZERO), Timeout::At),
            revision: 1,
            sent: 1,
            confirmed: 1,
            ..Self::new()
        }
    }

    fn send(&mut self, now: Instant) -> Option<MediaOrder> {
        if self.under_way.is_some() {
            return None;
        }
        let left = match self.timeout {
            Timeout::After(duration) => duration,
            Timeout::At(at) => at.saturating_duration_since(now),
        };
        // Session-Timeout is in whole seconds: round up, never cut a paid second.
        let seconds = u32::try_from(left.as_millis().div_ceil(1000))
            .unwrap_or(u32::MAX)
            .clamp(1, MAX_TIMEOUT_SECONDS);
        let initial = !self.open;
        self.open = true;
        self.sent = self.revision;
        let expires = now + Duration::from_secs(u64::from(seconds));
        self.latest = Some(self.latest.map_or(expires, |latest| latest.max(expires)));
        self.under_way = Some(UnderWay::Authorise {
            revision: self.revision,
            expires,
        });
        Some(MediaOrder::Authorise {
            initial,
            components: self.components.clone(),
            timeout_seconds: seconds,
            octet_quota: self.octet_quota,
        })
    }
}

impl Default for Media {
    fn default() -> Self {
        Self::new()
    }
}
