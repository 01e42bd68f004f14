//! Several servers of one service, all connected at once: which of them a request goes to. Pure, as [`Peer`] is.
//!
//! - What is not known to belong elsewhere goes to the first server, until it is gone, redirects, or is too busy while
//!   it serves nothing: then to the next one, and nobody goes back by himself.
//! - What a lost server had not answered goes to another one, with the T bit (RFC 6733 5.5.4).
//! - A redirection is followed to the server of that name (6.12), and with ALL_SESSION so are the session's later
//!   requests, until its time is up or that server is gone (6.13, 6.14).
//! - A request is asked of each server once. If all of them sent it on to one that is not there, it waits for the one
//!   that will take over: 100 ms at first, then longer, and at most as long as it lives.
//!
//! [`Peer`]: crate::peer::Peer

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::base::RedirectHostUsage;
use crate::dictionary::{self, Definition};
use crate::flags::CommandFlags;
use crate::message::Message;
use crate::peer::routes::Routes;
use crate::peer::{Failure, Refused};
use crate::result_code::ResultCode;
use crate::value::AvpData;

/// A server that served a request so lately is not left for refusing another.
const SERVING: Duration = Duration::from_secs(1);
/// How long a request that nobody takes waits at first, and how often that doubles.
const PAUSE: Duration = Duration::from_millis(100);
const DOUBLINGS: u32 = 3;
/// Redirections of one request at the most.
const MOST_REDIRECTIONS: u32 = 64;

/// Servers of one pool.
pub const MOST_MEMBERS: usize = 64;

/// What is set for a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// How many servers there are; [`MOST_MEMBERS`] at the most, others are left out.
    pub members: usize,
    /// Time for an answer, over all servers.
    pub request_timeout: Duration,
    /// Requests that may wait for an answer.
    pub max_pending: usize,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum PoolEffect {
    /// Hand the request to this server's peer under `key`; if it is refused, [`Pool::unsent`] is told.
    Send {
        /// Counted from 0.
        member: usize,
        /// The pool's name for the request.
        key: u64,
        /// The request, with its End-to-End Identifier.
        request: Message,
    },
    /// The request was answered.
    Answer {
        /// As given to [`Pool::send`].
        token: u64,
        /// The answer.
        message: Message,
    },
    /// No answer will come.
    Failed {
        /// As given to [`Pool::send`].
        token: u64,
        /// Why.
        why: Failure,
    },
}

/// The servers of one service.
#[derive(Debug)]
pub struct Pool {
    settings: PoolSettings,
    members: Vec<Member>,
    /// Where requests go that have no route.
    first: usize,
    /// Some server was there once.
    known: bool,
    stopped: bool,
    requests: HashMap<u64, Waiting>,
    /// All have the same time to live, so the order of sending is the order of their deadlines.
    deadlines: VecDeque<(Instant, u64)>,
    /// Those that nobody takes now, by when they are tried again.
    parked: BTreeSet<(Instant, u64)>,
    routes: Routes,
    next_key: u64,
    next_end_to_end_id: u32,
}

#[derive(Debug, Default)]
struct Member {
    open: bool,
    /// As it was when it was last open.
    origin_host: Option<String>,
    /// When it last served a request.
    served_at: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    token: u64,
    request: Message,
    /// The server that has it.
    at: Option<usize>,
    /// When it is tried again, if nobody has it.
    parked: Option<Instant>,
    /// Servers asked in this round, a bit each.
    tried: u64,
    /// Somebody says that another serves it.
    redirected: bool,
    redirections: u32,
    rounds: u32,
    /// A server that was lost may have acted on it.
    unanswered: bool,
}

impl Pool {
    /// A pool without connections. `unix_ms` and `random` begin the End-to-End Identifiers, as for a peer.
    pub fn new(settings: PoolSettings, unix_ms: i64, random: u64) -> Self {
        let seconds = unix_ms.div_euclid(1000).rem_euclid(1 << 12);
        let high = u32::try_from(seconds).unwrap_or(0) << 20;
        let low = u32::try_from(random & 0x000f_ffff).unwrap_or(0);
        Self {
            settings,
            members: (0..settings.members.min(MOST_MEMBERS))
                .map(|_| Member::default())
                .collect(),
            first: 0,
            known: false,
            stopped: false,
            requests: HashMap::new(),
            deadlines: VecDeque::new(),
            parked: BTreeSet::new(),
            routes: Routes::default(),
            next_key: 0,
            next_end_to_end_id: high | low,
        }
    }

    /// Takes a request, also while no server is there, if there was one once.
    ///
    /// # Errors
    /// [`Refused`]: nothing follows. Otherwise [`PoolEffect::Answer`] or [`PoolEffect::Failed`] does, with `token`.
    pub fn send(
        &mut self,
        now: Instant,
        token: u64,
        mut request: Message,
        effects: &mut Vec<PoolEffect>,
    ) -> Result<(), Refused> {
        if !self.known || self.stopped {
            return Err(Refused::Unreachable);
        }
        if self.requests.len() >= self.settings.max_pending {
            return Err(Refused::Full);
        }
        if request.end_to_end_id == 0 {
            request.end_to_end_id = self.next_end_to_end_id.max(1);
            self.next_end_to_end_id = request.end_to_end_id.wrapping_add(1);
        }
        let key = self.next_key;
        self.next_key += 1;
        let deadline = now + self.settings.request_timeout;
        self.deadlines.push_back((deadline, key));
        let waiting = Waiting {
            token,
            request,
            at: None,
            parked: None,
            tried: 0,
            redirected: false,
            redirections: 0,
            rounds: 0,
            unanswered: false,
        };
        self.requests.insert(key, waiting);
        self.dispatch(now, key, None, effects);
        Ok(())
    }

    /// A server can be asked; `true` if it is the only one.
    pub fn opened(
        &mut self,
        now: Instant,
        member: usize,
        origin_host: &str,
        effects: &mut Vec<PoolEffect>,
    ) -> bool {
        let was_open = self.is_open();
        if let Some(it) = self.members.get_mut(member) {
            it.open = true;
            it.origin_host = Some(origin_host.to_owned());
            it.served_at = None;
        }
        self.known = true;
        // Before anything is asked, the order that they are named in counts, not who is there sooner.
        if !was_open || (self.next_key == 0 && member < self.first) {
            self.first = member;
        }
        // It may be the one that was waited for.
        let parked = std::mem::take(&mut self.parked);
        for (_, key) in parked {
            self.try_again(now, key, effects);
        }
        !was_open
    }

    /// A server is gone, and forgets what it was asked; `true` if none is left.
    pub fn closed(&mut self, now: Instant, member: usize, effects: &mut Vec<PoolEffect>) -> bool {
        if let Some(it) = self.members.get_mut(member) {
            it.open = false;
        }
        self.routes.forget(member);
        self.leave(member);
        let mut lost: Vec<u64> = (self.requests.iter())
            .filter(|(_, waiting)| waiting.at == Some(member))
            .map(|(key, _)| *key)
            .collect();
        lost.sort_unstable();
        for key in lost {
            if let Some(waiting) = self.requests.get_mut(&key) {
                waiting.unanswered = true;
            }
            self.dispatch(now, key, None, effects);
        }
        !self.is_open()
    }

    /// What a server answered to the request of this key.
    pub fn answered(
        &mut self,
        now: Instant,
        key: u64,
        message: Message,
        effects: &mut Vec<PoolEffect>,
    ) {
        let Some(waiting) = self.requests.get_mut(&key) else {
            return;
        };
        let Some(member) = waiting.at.take() else {
            return;
        };
        let waits_for_another = waiting.redirected;
        let code = message.is_error().then(|| message.result_code()).flatten();
        match code {
            Some(ResultCode::REDIRECT_INDICATION) => {
                waiting.redirected = true;
                waiting.redirections += 1;
                let is_last = waiting.redirections > MOST_REDIRECTIONS;
                let target = self.redirection(now, member, key, &message);
                let everybody_is_there = self.members.iter().all(|it| it.open);
                let is_here = target.is_some() && target != Some(member);
                // A name that none of the servers has is nobody to wait for.
                if is_last || (!is_here && everybody_is_there && self.next_of(key).is_none()) {
                    return self.deliver(key, message, effects);
                }
                self.dispatch(now, key, target, effects);
            }
            Some(ResultCode::TOO_BUSY | ResultCode::UNABLE_TO_DELIVER)
                if !self.serves(now, member) =>
            {
                if let Some(waiting) = self.requests.get(&key)
                    && let Some(session) = waiting.request.session_id()
                {
                    self.routes.forget_session(session);
                }
                self.leave(member);
                if self.next_of(key).is_none() && !waits_for_another {
                    return self.deliver(key, message, effects);
                }
                self.dispatch(now, key, None, effects);
            }
            Some(ResultCode::TOO_BUSY | ResultCode::UNABLE_TO_DELIVER) => {
                self.deliver(key, message, effects);
            }
            _ => {
                if let Some(it) = self.members.get_mut(member) {
                    it.served_at = Some(now);
                }
                self.deliver(key, message, effects);
            }
        }
    }

    /// A server will not answer the request of this key.
    pub fn failed(&mut self, key: u64, why: Failure, effects: &mut Vec<PoolEffect>) {
        if let Some(waiting) = self.remove(key) {
            let token = waiting.token;
            effects.push(PoolEffect::Failed { token, why });
        }
    }

    /// A server did not take the request of this key.
    pub fn unsent(&mut self, now: Instant, key: u64, effects: &mut Vec<PoolEffect>) {
        self.dispatch(now, key, None, effects);
    }

    /// Nothing is sent any more.
    pub fn stop(&mut self, effects: &mut Vec<PoolEffect>) {
        self.stopped = true;
        let mut keys: Vec<u64> = self.requests.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            self.failed(key, Failure::Stopped, effects);
        }
    }

    /// When [`Pool::tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadline = self.deadlines.front().map(|(at, _)| *at);
        let again = self.parked.first().map(|(at, _)| *at);
        [deadline, again].into_iter().flatten().min()
    }

    /// The moment of [`Pool::next_deadline`] has come.
    pub fn tick(&mut self, now: Instant, effects: &mut Vec<PoolEffect>) {
        while let Some(&(at, key)) = self.deadlines.front() {
            if at > now {
                break;
            }
            self.deadlines.pop_front();
            self.failed(key, Failure::Timeout, effects);
        }
        while let Some(&(at, key)) = self.parked.first() {
            if at > now {
                break;
            }
            self.parked.pop_first();
            self.try_again(now, key, effects);
        }
    }

    /// Whether any server can be asked.
    pub fn is_open(&self) -> bool {
        self.members.iter().any(|member| member.open)
    }

    /// Requests that wait for their answer.
    pub fn pending(&self) -> usize {
        self.requests.len()
    }

    /// To `wanted`, to where its session is, to the first server or the next ones, whichever is there and was not asked;
    /// if there is none, later.
    fn dispatch(
        &mut self,
        now: Instant,
        key: u64,
        wanted: Option<usize>,
        effects: &mut Vec<PoolEffect>,
    ) {
        let wanted = wanted.filter(|member| self.may_ask(key, *member));
        let member = wanted
            .or_else(|| self.route_of(now, key))
            .or_else(|| self.next_of(key));
        let Some(waiting) = self.requests.get_mut(&key) else {
            return;
        };
        match member {
            Some(member) => {
                waiting.at = Some(member);
                waiting.tried |= bit(member);
                let mut request = waiting.request.clone();
                if waiting.unanswered {
                    request.flags.0 |= CommandFlags::RETRANSMITTED.0;
                }
                effects.push(PoolEffect::Send {
                    member,
                    key,
                    request,
                });
            }
            None => {
                let pause = PAUSE * 2u32.pow(waiting.rounds.min(DOUBLINGS));
                waiting.at = None;
                waiting.parked = Some(now + pause);
                self.parked.insert((now + pause, key));
            }
        }
    }

    fn try_again(&mut self, now: Instant, key: u64, effects: &mut Vec<PoolEffect>) {
        if let Some(waiting) = self.requests.get_mut(&key) {
            waiting.parked = None;
            waiting.tried = 0;
            waiting.redirected = false;
            waiting.rounds += 1;
            self.dispatch(now, key, None, effects);
        }
    }

    fn route_of(&mut self, now: Instant, key: u64) -> Option<usize> {
        let session = self.requests.get(&key)?.request.session_id()?;
        let member = self.routes.find(now, session)?;
        self.may_ask(key, member).then_some(member)
    }

    /// The first server from the first one on that may be asked.
    fn next_of(&self, key: u64) -> Option<usize> {
        let count = self.members.len();
        (0..count)
            .map(|step| (self.first + step) % count)
            .find(|member| self.may_ask(key, *member))
    }

    fn may_ask(&self, key: u64, member: usize) -> bool {
        let untried =
            (self.requests.get(&key)).is_some_and(|waiting| waiting.tried & bit(member) == 0);
        untried && self.members.get(member).is_some_and(|it| it.open)
    }

    fn serves(&self, now: Instant, member: usize) -> bool {
        let served_at = self.members.get(member).and_then(|it| it.served_at);
        served_at.is_some_and(|at| now.saturating_duration_since(at) < SERVING)
    }

    /// The next one that is there is the first from now on, if `member` was.
    fn leave(&mut self, member: usize) {
        let count = self.members.len();
        let next = (1..count)
            .map(|step| (member + step) % count)
            .find(|next| self.members.get(*next).is_some_and(|it| it.open));
        if let (true, Some(next)) = (self.first == member, next) {
            self.first = next;
        }
    }

    /// The server that `from` redirects to, if it is one of these; what follows of that for other requests is kept.
    fn redirection(
        &mut self,
        now: Instant,
        from: usize,
        key: u64,
        answer: &Message,
    ) -> Option<usize> {
        let hosts = (answer.avps.iter())
            .filter(|avp| avp.is(&dictionary::REDIRECT_HOST))
            .filter_map(|avp| std::str::from_utf8(&avp.data).ok())
            .map(host_of);
        let target = hosts.into_iter().find_map(|host| {
            self.members.iter().position(|member| {
                let name = member.origin_host.as_deref();
                name.is_some_and(|name| name.eq_ignore_ascii_case(host))
            })
        });
        let number = |definition: &Definition| {
            let avp = answer.find(definition)?;
            u32::decode_data(&avp.data, 0).ok()
        };
        let usage = number(&dictionary::REDIRECT_HOST_USAGE);
        let is_of_session = usage == u32::try_from(RedirectHostUsage::AllSession.number()).ok();
        let session = (self.requests.get(&key)).and_then(|it| it.request.session_id());
        let is_there = target.filter(|it| self.members.get(*it).is_some_and(|it| it.open));
        if is_of_session {
            let seconds = number(&dictionary::REDIRECT_MAX_CACHE_TIME);
            if let (Some(session), Some(target), Some(seconds)) = (session, is_there, seconds) {
                let until = now + Duration::from_secs(seconds.into());
                self.routes.remember(session, target, until);
            }
        } else {
            // Whoever says so stands by: it serves nothing itself.
            if let Some(session) = session {
                self.routes.forget_session(session);
            }
            if let (true, Some(target)) = (self.first == from, is_there) {
                self.first = target;
            }
        }
        target
    }

    fn deliver(&mut self, key: u64, message: Message, effects: &mut Vec<PoolEffect>) {
        if let Some(waiting) = self.remove(key) {
            let token = waiting.token;
            effects.push(PoolEffect::Answer { token, message });
        }
    }

    fn remove(&mut self, key: u64) -> Option<Waiting> {
        let waiting = self.requests.remove(&key)?;
        if let Some(at) = waiting.parked {
            self.parked.remove(&(at, key));
        }
        while let Some((_, front)) = self.deadlines.front() {
            if self.requests.contains_key(front) {
                break;
            }
            self.deadlines.pop_front();
        }
        // One request that is never answered must not keep all later ones' entries.
        if self.deadlines.len() > 2 * self.requests.len() + 64 {
            let requests = &self.requests;
            self.deadlines.retain(|(_, key)| requests.contains_key(key));
        }
        Some(waiting)
    }
}

fn bit(member: usize) -> u64 {
    u32::try_from(member).map_or(0, |shift| 1u64.checked_shl(shift).unwrap_or(0))
}

/// The host of a DiameterURI (RFC 6733 4.3.1): `aaa://host.example:3868;transport=tcp`.
fn host_of(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.split([':', ';']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_its_host() {
        for (uri, host) in [
            ("aaa://a.example", "a.example"),
            ("aaas://a.example:5658;transport=tcp", "a.example"),
            ("aaa://a.example;protocol=diameter", "a.example"),
            ("a.example", "a.example"),
            ("", ""),
        ] {
            assert_eq!(host_of(uri), host, "{uri}");
        }
    }
}
