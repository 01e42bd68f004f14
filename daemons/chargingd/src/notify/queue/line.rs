//! One channel.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use tollwire_runtime::clock::Now;

use super::{Channel, Effect, End, Key, Limits, Outcome, State, Task, Waiting};

/// Contacts that wait in memory.
const READY: usize = 256;
/// Servers whose failures are remembered.
const MAX_SERVERS: usize = 10_000;
/// Accounts whose contacts are counted in an hour.
const MAX_ACCOUNTS: usize = 100_000;
/// The pause after the store failed.
const STORE_PAUSE_MS: i64 = 1000;
const HOUR_MS: i64 = 3_600_000;
/// Octets of an error that are kept.
const MAX_ERROR: usize = 300;

/// What is under way with a contact.
#[derive(Debug)]
enum Stage {
    /// An attempt.
    Sending(Task),
    /// Its effect is being stored; when it is, the next attempt is due at this time.
    Storing(Effect, Option<i64>),
}

#[derive(Debug, Default)]
struct Server {
    in_flight: usize,
    failures: u32,
    paused_until: Option<Instant>,
}

/// What becomes of the contact that is next.
enum Verdict {
    Send,
    GiveUp(String),
    /// Its server is left alone until then.
    Later(Instant),
    /// Its server has enough to do.
    Hold,
}

#[derive(Debug)]
pub(super) struct Line {
    channel: Channel,
    limits: Limits,
    ready: VecDeque<Task>,
    under_way: HashMap<Key, Stage>,
    /// Keys of `ready`.
    waiting: HashSet<Key>,
    servers: HashMap<Box<str>, Server>,
    /// Of them those that did not answer last.
    unreachable: usize,
    /// The store has more that is due.
    behind: bool,
    loading: bool,
    /// What was stored while the store is being read: it may be found there all the same.
    stored_meanwhile: HashSet<Key>,
    next_load_unix_ms: Option<i64>,
    unstored: Vec<Key>,
    store_again_at: Option<Instant>,
    /// Contacts told in this hour since 1970, by account.
    hour: (i64, HashMap<Box<str>, u32>),
    told: u64,
    failed: u64,
    given_up: u64,
    error: String,
}

const OFF: Limits = Limits {
    enabled: false,
    in_flight: 16,
    in_flight_per_server: 16,
    per_account_hour: 0,
    retry_first_ms: 1000,
    retry_most_ms: 1000,
    give_up_ms: 0,
};

impl Line {
    pub(super) fn new(channel: Channel, limits: Option<Limits>) -> Self {
        Self {
            channel,
            limits: limits.unwrap_or(OFF),
            ready: VecDeque::new(),
            under_way: HashMap::new(),
            waiting: HashSet::new(),
            servers: HashMap::new(),
            unreachable: 0,
            behind: true,
            loading: false,
            stored_meanwhile: HashSet::new(),
            next_load_unix_ms: None,
            unstored: Vec::new(),
            store_again_at: None,
            hour: (0, HashMap::new()),
            told: 0,
            failed: 0,
            given_up: 0,
            error: String::new(),
        }
    }

    pub(super) fn made(&mut self, task: Task) {
        if self.behind || self.ready.len() >= READY {
            self.behind = true;
        } else {
            self.add(task);
        }
    }

    /// Everything but what was counted: the store knows the rest.
    pub(super) fn forget(&mut self) {
        *self = Self {
            told: self.told,
            failed: self.failed,
            given_up: self.given_up,
            error: std::mem::take(&mut self.error),
            ..Self::new(self.channel, Some(self.limits.clone()))
        };
    }

    pub(super) fn behind(&mut self) {
        self.behind = true;
    }

    /// Takes a contact, unless it is known already.
    fn add(&mut self, task: Task) {
        let key = task.key();
        if !self.under_way.contains_key(&key) && self.waiting.insert(key) {
            self.ready.push_back(task);
        }
    }

    pub(super) fn loaded(&mut self, tasks: Vec<Task>, more: bool, next_unix_ms: Option<i64>) {
        self.loading = false;
        let stored = std::mem::take(&mut self.stored_meanwhile);
        self.behind |= more;
        for task in tasks {
            if stored.contains(&task.key()) {
                continue;
            }
            if self.ready.len() >= READY {
                self.behind = true;
                break;
            }
            self.add(task);
        }
        self.load_by(next_unix_ms);
    }

    pub(super) fn not_loaded(&mut self, now: Now) {
        self.loading = false;
        self.stored_meanwhile.clear();
        self.load_by(Some(now.unix_ms.saturating_add(STORE_PAUSE_MS)));
    }

    fn load_by(&mut self, unix_ms: Option<i64>) {
        self.next_load_unix_ms = [self.next_load_unix_ms, unix_ms]
            .into_iter()
            .flatten()
            .min();
    }

    pub(super) fn ended(
        &mut self,
        now: Now,
        key: &Key,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        let Some(Stage::Sending(mut task)) = self.under_way.remove(key) else {
            return;
        };
        let (pause, error) = match outcome {
            Outcome::Told => {
                self.answered(key);
                return self.end(key.clone(), End::Told, effects);
            }
            Outcome::Refused(error) => {
                self.answered(key);
                let why = format!("refused: {}", bounded(&error));
                return self.end(key.clone(), End::GivenUp(why), effects);
            }
            Outcome::Failed(error) => {
                self.answered(key);
                (Duration::ZERO, error)
            }
            Outcome::Unreachable(error) => (self.unanswered(now, key), error),
        };
        self.failed += 1;
        self.error = bounded(&error);
        task.attempts = task.attempts.saturating_add(1);
        let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let after = pause_ms.max(self.back_off_ms(task.attempts));
        let next = now.unix_ms.saturating_add(after);
        self.later(task, next, self.error.clone(), effects);
    }

    fn end(&mut self, key: Key, end: End, effects: &mut Vec<Effect>) {
        match &end {
            End::Told => self.told += 1,
            End::GivenUp(why) => {
                self.given_up += 1;
                self.error.clone_from(why);
            }
        }
        self.store(key.clone(), Effect::End(key, end), None, effects);
    }

    fn later(&mut self, task: Task, next_unix_ms: i64, error: String, effects: &mut Vec<Effect>) {
        let key = task.key();
        let effect = Effect::Later(Waiting {
            task,
            next_unix_ms,
            error,
        });
        self.store(key, effect, Some(next_unix_ms), effects);
    }

    fn store(&mut self, key: Key, effect: Effect, next: Option<i64>, effects: &mut Vec<Effect>) {
        effects.push(effect.clone());
        self.under_way.insert(key, Stage::Storing(effect, next));
    }

    pub(super) fn stored(&mut self, key: &Key) {
        if matches!(self.under_way.get(key), Some(Stage::Storing(..)))
            && let Some(Stage::Storing(_, next)) = self.under_way.remove(key)
        {
            self.load_by(next);
            if self.loading {
                self.stored_meanwhile.insert(key.clone());
            }
        }
    }

    pub(super) fn not_stored(&mut self, now: Now, key: Key) {
        self.unstored.push(key);
        let pause = Duration::from_millis(STORE_PAUSE_MS.unsigned_abs());
        self.store_again_at.get_or_insert(now.instant + pause);
    }

    /// The server spoke: it is alive.
    fn answered(&mut self, key: &Key) {
        let name = key.contact.server();
        if let Some(server) = self.servers.get_mut(&name) {
            server.in_flight = server.in_flight.saturating_sub(1);
            if server.failures > 0 {
                self.unreachable = self.unreachable.saturating_sub(1);
            }
            server.failures = 0;
            server.paused_until = None;
            if server.in_flight == 0 {
                self.servers.remove(&name);
            }
        }
    }

    /// The server did not: it is left alone for the time returned.
    fn unanswered(&mut self, now: Now, key: &Key) -> Duration {
        let (first, most) = (self.limits.retry_first_ms, self.limits.retry_most_ms);
        let Some(server) = self.servers.get_mut(&key.contact.server()) else {
            return Duration::ZERO;
        };
        server.in_flight = server.in_flight.saturating_sub(1);
        // Of several attempts that fail together one counts.
        if server.paused_until.is_none_or(|until| until <= now.instant) {
            self.unreachable += usize::from(server.failures == 0);
            server.failures = server.failures.saturating_add(1);
            let pause = back_off_ms(first, most, server.failures);
            let pause = Duration::from_millis(pause.unsigned_abs());
            server.paused_until = Some(now.instant + pause);
        }
        server.paused_until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(now.instant)
        })
    }

    fn back_off_ms(&self, failures: u32) -> i64 {
        back_off_ms(
            self.limits.retry_first_ms,
            self.limits.retry_most_ms,
            failures,
        )
    }

    /// Everything that can be done now.
    pub(super) fn go_on(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.store_again_at.is_some_and(|at| at <= now.instant) {
            self.store_again_at = None;
            for key in std::mem::take(&mut self.unstored) {
                if let Some(Stage::Storing(effect, _)) = self.under_way.get(&key) {
                    effects.push(effect.clone());
                }
            }
        }
        if self.next_load_unix_ms.is_some_and(|at| at <= now.unix_ms) {
            self.next_load_unix_ms = None;
            self.behind = true;
        }
        self.dispatch(now, effects);
        if self.behind && !self.loading && self.ready.len() <= READY / 2 {
            self.behind = false;
            self.loading = true;
            effects.push(Effect::Load {
                channel: self.channel,
                until_unix_ms: now.unix_ms,
                // What is in memory is found as well.
                limit: READY + self.ready.len() + self.under_way.len(),
            });
        }
    }

    fn dispatch(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let mut held = Vec::new();
        while self.under_way.len() < self.limits.in_flight
            && let Some(task) = self.ready.pop_front()
        {
            let key = task.key();
            match self.verdict(now, &task) {
                Verdict::Hold => {
                    held.push(task);
                    if self.channel.has_one_server() {
                        break;
                    }
                    continue;
                }
                Verdict::Send => {
                    self.count(now, &task.notification.account);
                    self.forget_servers();
                    let server = self.servers.entry(key.contact.server()).or_default();
                    server.in_flight += 1;
                    self.under_way
                        .insert(key.clone(), Stage::Sending(task.clone()));
                    effects.push(Effect::Send(task));
                }
                Verdict::GiveUp(why) => self.end(key.clone(), End::GivenUp(why), effects),
                Verdict::Later(until) => {
                    let pause = until.saturating_duration_since(now.instant).as_millis();
                    let pause = i64::try_from(pause).unwrap_or(i64::MAX);
                    let next = now.unix_ms.saturating_add(pause.max(1));
                    let error = "its server cannot be reached".into();
                    self.later(task, next, error, effects);
                }
            }
            self.waiting.remove(&key);
        }
        for task in held.into_iter().rev() {
            self.ready.push_front(task);
        }
    }

    fn verdict(&self, now: Now, task: &Task) -> Verdict {
        if !self.limits.enabled {
            return Verdict::GiveUp("the channel is off".into());
        }
        let notification = &task.notification;
        if now.unix_ms.saturating_sub(notification.unix_ms) > self.limits.give_up_ms {
            return Verdict::GiveUp(format!("too old after {} attempts", task.attempts));
        }
        let most = self.limits.per_account_hour;
        let (hour, told) = &self.hour;
        if task.attempts == 0
            && most > 0
            && *hour == now.unix_ms.div_euclid(HOUR_MS)
            && (told.get(&notification.account)).is_some_and(|told| *told >= most)
        {
            return Verdict::GiveUp(format!("more than {most} in this hour"));
        }
        let Some(server) = self.servers.get(&task.contact.server()) else {
            return Verdict::Send;
        };
        if let Some(until) = server.paused_until.filter(|until| *until > now.instant) {
            return match self.channel.has_one_server() {
                true => Verdict::Hold,
                false => Verdict::Later(until),
            };
        }
        // One that failed is tried with one, not with a crowd.
        let most = match (server.failures, self.channel.has_one_server()) {
            (1.., _) => 1,
            (0, true) => self.limits.in_flight,
            (0, false) => self.limits.in_flight_per_server,
        };
        if server.in_flight < most {
            Verdict::Send
        } else {
            Verdict::Hold
        }
    }

    fn count(&mut self, now: Now, account: &str) {
        let hour = now.unix_ms.div_euclid(HOUR_MS);
        if self.hour.0 != hour || self.hour.1.len() >= MAX_ACCOUNTS {
            self.hour = (hour, HashMap::new());
        }
        let told = self.hour.1.entry(account.into()).or_default();
        *told = told.saturating_add(1);
    }

    fn forget_servers(&mut self) {
        if self.servers.len() >= MAX_SERVERS {
            self.servers.retain(|_, server| server.in_flight > 0);
            let failing = |server: &&Server| server.failures > 0;
            self.unreachable = self.servers.values().filter(failing).count();
        }
    }

    pub(super) fn until_deadline(&self, now: Now) -> Option<Duration> {
        let until = |at: Instant| at.saturating_duration_since(now.instant);
        let load = self
            .next_load_unix_ms
            .map(|at| Duration::from_millis(at.saturating_sub(now.unix_ms).max(0).unsigned_abs()));
        // Where each contact names its own server, what waits for one waits in the store.
        let waits = self.channel.has_one_server() && !self.ready.is_empty();
        let pause = (self.servers.get("").filter(|_| waits))
            .and_then(|server| server.paused_until)
            .filter(|until| *until > now.instant)
            .map(until);
        [load, pause, self.store_again_at.map(until)]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn state(&self) -> State {
        State {
            channel: self.channel,
            enabled: self.limits.enabled,
            in_flight: self.under_way.len(),
            told: self.told,
            failed: self.failed,
            given_up: self.given_up,
            unreachable: self.unreachable,
            error: self.error.clone(),
        }
    }
}

/// `first` after one failure, twice as much after each further one, `most` at the most.
fn back_off_ms(first: i64, most: i64, failures: u32) -> i64 {
    let doubled = 1_i64 << failures.saturating_sub(1).min(40);
    first.saturating_mul(doubled).min(most).max(1)
}

fn bounded(error: &str) -> String {
    let mut kept = String::new();
    for character in error.chars() {
        if kept.len() + character.len_utf8() > MAX_ERROR {
            break;
        }
        kept.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    kept
}
