//! One SMPP session (SMPP 3.4 section 2, SMPP 5.0 section 2), for either side: bind state, sequence numbers, the two
//! windows and the timers. It reads no clock and no socket; every call takes the time.
//!
//! ```text
//!            outbind                     bind_*_resp ESME_ROK
//!   Open ------------> Outbound   Open, Outbound ----------> BoundTx, BoundRx, BoundTrx
//!                                                                  |
//!            connection closed                  unbind_resp        v
//!   any -------------------------> Closed  <------------------ Unbound
//! ```
//!
//! The user asks [`Session::receive`] about every PDU that arrives, [`Session::send_request`] before it sends a request,
//! and tells [`Session::responded`] what it answered; [`Session::tick`] says what is due. Each of them takes constant time.

mod permission;
mod window;

use std::time::{Duration, Instant};

use crate::framing::Frame;
use crate::{command, status};

pub use permission::{is_allowed, is_message};
use window::Window;

/// A side of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The message centre: it accepts binds (or sends outbind).
    MessageCentre,
    /// The external short message entity: it binds.
    Esme,
}

impl Role {
    /// The other side.
    pub fn peer(self) -> Self {
        match self {
            Self::MessageCentre => Self::Esme,
            Self::Esme => Self::MessageCentre,
        }
    }
}

/// State of a session, SMPP 3.4 section 2.2 and SMPP 5.0 section 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Connected, not bound.
    Open,
    /// The message centre has asked the ESME to bind.
    Outbound,
    /// Bound as transmitter: the ESME submits.
    BoundTx,
    /// Bound as receiver: the message centre delivers.
    BoundRx,
    /// Bound as transceiver: both.
    BoundTrx,
    /// Unbound, still connected.
    Unbound,
    /// Not connected.
    Closed,
}

impl State {
    /// Whether it is one of the three bound states.
    pub fn is_bound(self) -> bool {
        matches!(self, Self::BoundTx | Self::BoundRx | Self::BoundTrx)
    }

    /// The state that a bind request leads to.
    fn after_bind(bind: u32) -> Option<Self> {
        match bind {
            command::BIND_TRANSMITTER => Some(Self::BoundTx),
            command::BIND_RECEIVER => Some(Self::BoundRx),
            command::BIND_TRANSCEIVER => Some(Self::BoundTrx),
            _ => None,
        }
    }
}

/// Limits of a session. A timer that is `None` is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Requests of ours that may wait for their response, 1 to 65,535; `enquire_link`, `unbind` and the binds are not
    /// counted (SMPP 5.0 section 2.6.1).
    pub window: u16,
    /// Requests of the peer's that may wait for our response; the next is refused with ESME_RTHROTTLED.
    pub peer_window: u16,
    /// Silence of the peer's after which it is asked with `enquire_link` (SMPP 3.4 section 7.2: `enquire_link_timer`).
    pub enquire_link_interval: Option<Duration>,
    /// How long a request of ours waits (`response_timer`).
    pub response_timer: Option<Duration>,
    /// How long a session without any request but `enquire_link` lasts (`inactivity_timer`).
    pub inactivity_timer: Option<Duration>,
    /// How long a connection may stay open without being bound, before the bind and after `unbind` (`session_init_timer`).
    pub session_init_timer: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: 100,
            peer_window: 1000,
            enquire_link_interval: Some(Duration::from_secs(30)),
            response_timer: Some(Duration::from_secs(10)),
            inactivity_timer: None,
            session_init_timer: Some(Duration::from_secs(10)),
        }
    }
}

/// What a PDU of the peer's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A request that may be made now. It waits for [`Session::responded`] if it has a response.
    Request,
    /// A request that is answered with this `command_status` and forgotten: ESME_RINVBNDSTS, ESME_RALYBND,
    /// ESME_RTHROTTLED, ESME_RINVCMDID (by `generic_nack`; what else has no response is passed over).
    Refused(u32),
    /// The response to a request of ours, or a `generic_nack` for it.
    Response {
        /// As it was given to [`Session::send_request`].
        token: u64,
        /// `command_id` of the request.
        request: u32,
    },
    /// A response that nothing waits for: too late, twice, or to another kind of request. Nothing is sent.
    Unexpected,
}

/// Why a request cannot be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// Too many requests wait for their response.
    #[error("the window is full")]
    WindowFull,
    /// The state of the session does not allow it (SMPP 3.4 table 2-1).
    #[error("not in this state of the session")]
    WrongState,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Send `enquire_link` with this `sequence_number`.
    SendEnquireLink {
        /// `sequence_number`
        sequence_number: u32,
    },
    /// A request of ours was not answered. A response that still comes is unexpected.
    RequestTimedOut {
        /// As it was given to [`Session::send_request`].
        token: u64,
        /// `command_id` of the request.
        request: u32,
    },
    /// Close the connection; the session is closed.
    Close(CloseReason),
}

/// Why a connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// It was not bound in time.
    NotBound,
    /// It was unbound, and nobody closed it.
    Unbound,
    /// A request to bind or to unbind was not answered.
    NotAnswered,
    /// `enquire_link` was not answered.
    Dead,
    /// Nothing was asked for too long.
    Inactive,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    role: Role,
    state: State,
    settings: Settings,
    window: Window,
    /// The bind request that is under way, ours or the peer's.
    binding: Option<u32>,
    peer_unanswered: u32,
    opened: Instant,
    last_received: Instant,
    last_used: Instant,
    enquired: bool,
}

impl Session {
    /// A session on a connection that was just made.
    pub fn new(role: Role, settings: Settings, now: Instant) -> Self {
        Self {
            role,
            state: State::Open,
            settings,
            window: Window::new(settings.window),
            binding: None,
            peer_unanswered: 0,
            opened: now,
            last_received: now,
            last_used: now,
            enquired: false,
        }
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Our side of it.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Other windows, as a message centre learns them with the bind. Ours stays as it is while a request waits.
    pub fn set_windows(&mut self, window: u16, peer_window: u16) {
        self.settings.window = window;
        self.settings.peer_window = peer_window;
        self.window.set_limit(window);
    }

    /// Requests of ours that wait for their response, `enquire_link` among them.
    pub fn unanswered(&self) -> usize {
        self.window.len()
    }

    /// Requests of the peer's that wait for our response.
    pub fn peer_unanswered(&self) -> u32 {
        self.peer_unanswered
    }

    /// Whether a request may be sent now.
    ///
    /// # Errors
    /// Why not.
    pub fn may_send(&self, command_id: u32) -> Result<(), NotNow> {
        if !is_allowed(command_id, self.role, self.state) {
            return Err(NotNow::WrongState);
        }
        if State::after_bind(command_id).is_some() && self.binding.is_some() {
            return Err(NotNow::WrongState);
        }
        if is_message(command_id) && !self.window.has_room() {
            return Err(NotNow::WindowFull);
        }
        Ok(())
    }

    /// Takes the next `sequence_number`, 1 to 0x7FFFFFFF and round again, for a request. Its response brings `token` back.
    /// `outbind` and `alert_notification` have none, and their token is not kept.
    ///
    /// # Errors
    /// It may not be sent now.
    pub fn send_request(
        &mut self,
        now: Instant,
        command_id: u32,
        token: u64,
    ) -> Result<u32, NotNow> {
        self.may_send(command_id)?;
        if command_id != command::ENQUIRE_LINK {
            self.last_used = now;
        }
        match command_id {
            command::OUTBIND => self.state = State::Outbound,
            command::ALERT_NOTIFICATION => {}
            _ => {
                if State::after_bind(command_id).is_some() {
                    self.binding = Some(command_id);
                }
                return (self.window.insert(now, command_id, token)).ok_or(NotNow::WindowFull);
            }
        }
        Ok(self.window.next_sequence_number())
    }

    /// What a PDU that arrived is. Its body need not be read for that.
    pub fn receive(&mut self, now: Instant, frame: &Frame) -> Received {
        if self.state == State::Closed {
            return Received::Unexpected;
        }
        self.last_received = now;
        self.enquired = false;
        if command::is_response(frame.command_id) {
            self.response(now, frame)
        } else {
            self.request(now, frame.command_id)
        }
    }

    fn request(&mut self, now: Instant, command_id: u32) -> Received {
        if command::name(command_id).is_none() {
            return Received::Refused(status::ESME_RINVCMDID);
        }
        if command_id != command::ENQUIRE_LINK {
            self.last_used = now;
        }
        let bind = State::after_bind(command_id).is_some();
        // SMPP 3.4 table 5-2: ESME_RALYBND, "ESME already in bound state".
        if bind && (self.state.is_bound() || self.binding.is_some()) {
            return Received::Refused(status::ESME_RALYBND);
        }
        if !is_allowed(command_id, self.role.peer(), self.state) {
            return Received::Refused(status::ESME_RINVBNDSTS);
        }
        match command_id {
            command::OUTBIND => self.state = State::Outbound,
            command::ALERT_NOTIFICATION => {}
            _ if is_message(command_id) => {
                if self.peer_unanswered >= u32::from(self.settings.peer_window) {
                    return Received::Refused(status::ESME_RTHROTTLED);
                }
                self.peer_unanswered += 1;
            }
            _ if bind => self.binding = Some(command_id),
            _ => {}
        }
        Received::Request
    }

    fn response(&mut self, now: Instant, frame: &Frame) -> Received {
        let nack = frame.command_id == command::GENERIC_NACK;
        let matches = |request: u32| nack || frame.command_id == request | command::RESPONSE;
        let Some((request, token)) = self.window.remove(frame.sequence_number, matches) else {
            return Received::Unexpected;
        };
        if request != command::ENQUIRE_LINK {
            self.last_used = now;
        }
        let done = !nack && frame.command_status == status::ESME_ROK;
        self.answered(request, done);
        Received::Response { token, request }
    }

    /// Notes our response to a request for which [`Session::receive`] said [`Received::Request`]. A bind or an `unbind`
    /// takes effect with it.
    pub fn responded(&mut self, request: u32, command_status: u32) {
        if is_message(request) {
            self.peer_unanswered = self.peer_unanswered.saturating_sub(1);
        }
        self.answered(request, command_status == status::ESME_ROK);
    }

    fn answered(&mut self, request: u32, done: bool) {
        if let Some(bound) = State::after_bind(request) {
            if self.binding == Some(request) {
                self.binding = None;
                if done && matches!(self.state, State::Open | State::Outbound) {
                    self.state = bound;
                }
            }
        } else if request == command::UNBIND && done && self.state.is_bound() {
            self.state = State::Unbound;
        }
    }

    /// The connection is closed. What still waited for a response follows from [`Session::take_unanswered`].
    pub fn close(&mut self) {
        self.state = State::Closed;
        self.binding = None;
        self.peer_unanswered = 0;
    }

    /// Takes out a request that waits for its response: its token and `command_id`, oldest first. Called after
    /// [`Session::close`] until there is none.
    pub fn take_unanswered(&mut self) -> Option<(u64, u32)> {
        let (_, request, token) = self.window.oldest()?;
        self.window.remove_oldest();
        Some((token, request))
    }

    /// When [`Session::tick`] has something to say next.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.state == State::Closed {
            return None;
        }
        [
            self.response_deadline(),
            self.session_init_deadline(),
            self.inactivity_deadline(),
            self.enquire_link_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What is due now, one thing a call; call until it is `None`.
    pub fn tick(&mut self, now: Instant) -> Option<Due> {
        if self.state == State::Closed {
            return None;
        }
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(self.response_deadline()) {
            let (_, request, token) = self.window.oldest()?;
            self.window.remove_oldest();
            return Some(match request {
                command::ENQUIRE_LINK => self.end(CloseReason::Dead),
                request if is_message(request) => Due::RequestTimedOut { token, request },
                _ => self.end(CloseReason::NotAnswered),
            });
        }
        if passed(self.session_init_deadline()) {
            let reason = if self.state == State::Unbound {
                CloseReason::Unbound
            } else {
                CloseReason::NotBound
            };
            return Some(self.end(reason));
        }
        if passed(self.inactivity_deadline()) {
            return Some(self.end(CloseReason::Inactive));
        }
        if passed(self.enquire_link_deadline()) {
            self.enquired = true;
            let sequence_number = self.window.insert(now, command::ENQUIRE_LINK, 0)?;
            return Some(Due::SendEnquireLink { sequence_number });
        }
        None
    }

    fn end(&mut self, reason: CloseReason) -> Due {
        self.close();
        Due::Close(reason)
    }

    fn response_deadline(&self) -> Option<Instant> {
        let (sent, _, _) = self.window.oldest()?;
        Some(sent + self.settings.response_timer?)
    }

    fn session_init_deadline(&self) -> Option<Instant> {
        let timer = self.settings.session_init_timer?;
        match self.state {
            State::Open | State::Outbound => Some(self.opened + timer),
            State::Unbound => Some(self.last_used + timer),
            _ => None,
        }
    }

    fn inactivity_deadline(&self) -> Option<Instant> {
        let timer = self.settings.inactivity_timer?;
        let idle = self.state.is_bound() && self.peer_unanswered == 0;
        idle.then_some(self.last_used + timer)
    }

    fn enquire_link_deadline(&self) -> Option<Instant> {
        let interval = self.settings.enquire_link_interval?;
        (self.state.is_bound() && !self.enquired).then_some(self.last_received + interval)
    }
}
