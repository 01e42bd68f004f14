//! The table as a whole: made, adopted, changed, read.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use super::attributes::Attributes;
use super::element::{self, Set};
use super::frame::{CHAIN, FAMILIES, NEWRULE, NEWTABLE, frame};
use super::socket::{CREATE, Message, Refused, Socket};
use super::{Change, Done, Job, Reading, quota};
use crate::flow::{Family, FlowKey, Usage};

const DELTABLE: u16 = 2;
const DELRULE: u16 = 8;
const GETSET: u16 = 10;

/// Keys in one request for counters.
const READ_AT_ONCE: usize = 500;
/// Changes in one transaction; a socket buffer holds them.
const CHANGES_AT_ONCE: usize = 2000;
/// How long unwanted quotas are gathered before the next attempt to remove them.
const SWEEP: Duration = Duration::from_secs(2);

/// What the table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSettings {
    /// Its name.
    pub name: String,
    /// The chain's priority on the forward hook.
    pub priority: i32,
    /// UDP destination ports that only gates open: first and last.
    pub ports: (u16, u16),
    /// Elements that each set may hold.
    pub size: u32,
}

/// A flow found in the table at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The flow.
    pub key: FlowKey,
    /// The label it was counted under.
    pub label: String,
    /// What passed.
    pub usage: Usage,
    /// Milliseconds until the gate shuts; `None` if it is shut.
    pub open_ms: Option<u64>,
    /// The quota it was opened with.
    pub quota: Option<String>,
}

/// A quota found in the table at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingQuota {
    /// Its name.
    pub name: String,
    /// Its size.
    pub octets: u64,
    /// What it has counted, what it refused included.
    pub consumed: u64,
}

/// What was in a table that stood at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Flows with a counter.
    pub flows: Vec<Adopted>,
    /// Quotas.
    pub quotas: Vec<StandingQuota>,
}

/// Our table, open for changes.
#[derive(Debug)]
pub struct Table {
    socket: Socket,
    name: String,
    /// Whether the kernel knows DESTROYSETELEM.
    tolerant: bool,
    /// Quotas to remove.
    unwanted: Vec<String>,
    /// When that was tried last.
    swept: Instant,
}

impl Table {
    /// Takes over the table if it stands and `adopt` is set, else makes it anew. Returns what was found in it.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_ADMIN; else the kernel's.
    pub fn open(settings: &TableSettings, adopt: bool) -> io::Result<(Self, Standing)> {
        let mut table = Self {
            socket: Socket::open()?,
            name: settings.name.clone(),
            tolerant: false,
            unwanted: Vec::new(),
            swept: Instant::now(),
        };
        if adopt && table.stands() {
            let standing = table.standing()?;
            table.renew_frame(settings)?;
            table.tolerant = table.probe();
            return Ok((table, standing));
        }
        let name = || Attributes::new().text(1, &settings.name);
        let mut messages = vec![
            Message {
                kind: NEWTABLE,
                flags: CREATE,
                attributes: name(),
                elements: Attributes::new(),
            },
            Message {
                kind: DELTABLE,
                flags: 0,
                attributes: name(),
                elements: Attributes::new(),
            },
        ];
        messages.extend(frame(settings));
        one_error(table.socket.batch(&messages)?)?;
        table.tolerant = table.probe();
        Ok((table, Standing::default()))
    }

    /// Makes the rules of a table that stands anew, as the settings have them now; its elements stay.
    fn renew_frame(&mut self, settings: &TableSettings) -> io::Result<()> {
        let chain = Attributes::new().text(1, &self.name).text(2, CHAIN);
        let mut messages = frame(settings);
        let rules = messages
            .iter()
            .position(|message| message.kind == NEWRULE)
            .unwrap_or(messages.len());
        let clear = Message {
            kind: DELRULE,
            flags: 0,
            attributes: chain,
            elements: Attributes::new(),
        };
        messages.insert(rules, clear);
        let Some((_, error)) = self.socket.batch(&messages)?.into_iter().next() else {
            return Ok(());
        };
        tracing::warn!(
            %error,
            "the table that stands keeps its priority, ports and sizes; on_start = \"flush\" would make it anew"
        );
        Ok(())
    }

    /// Carries jobs out: the changes of all of them in one transaction, then their counters in one read. If the kernel
    /// refuses a change, the jobs are tried one by one, and only those at fault fail.
    pub fn run(&mut self, jobs: &[Job]) -> Vec<Done> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        let mut rest = jobs;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(independent(rest));
            outcomes.extend(self.run_together(now));
            rest = later;
        }
        self.sweep();
        outcomes
    }

    fn run_together(&mut self, jobs: &[Job]) -> Vec<Done> {
        let all: Vec<&Change> = jobs.iter().flat_map(|job| &job.changes).collect();
        let done: Vec<io::Result<()>> = match self.apply(&all) {
            Ok(()) => jobs.iter().map(|_| Ok(())).collect(),
            Err(_) if jobs.len() > 1 => jobs
                .iter()
                .map(|job| self.apply(&job.changes.iter().collect::<Vec<_>>()))
                .collect(),
            Err(error) => vec![Err(error)],
        };
        let keys: Vec<FlowKey> = jobs
            .iter()
            .flat_map(|job| job.read.iter().copied())
            .collect();
        let counters = self.read(&keys);
        let readings: Vec<Done> = jobs
            .iter()
            .zip(done)
            .map(|(job, done)| {
                done?;
                let counters = counters
                    .as_ref()
                    .map_err(|error| io::Error::from(error.kind()))?;
                Ok(Reading {
                    counters: job
                        .read
                        .iter()
                        .map(|key| counters.get(key).copied().unwrap_or_default())
                        .collect(),
                    spent: job.quotas.iter().map(|name| self.spent(name)).collect(),
                })
            })
            .collect();
        // What could not be read is not removed either: it can be asked for again.
        let afterwards: Vec<&Change> = jobs
            .iter()
            .zip(&readings)
            .filter(|(_, reading)| reading.is_ok())
            .flat_map(|(job, _)| &job.afterwards)
            .collect();
        if let Err(error) = self.apply(&afterwards) {
            tracing::warn!(%error, "old counters could not be taken out of the table");
        }
        self.unwanted
            .extend(afterwards.iter().filter_map(|change| match change {
                Change::RemoveQuota { name } => Some(name.clone()),
                _ => None,
            }));
        readings
    }

    /// Whether nothing of a quota is left. What it counts includes what it refused: so it is spent, too, when a packet
    /// larger than the rest has come.
    fn spent(&mut self, name: &str) -> bool {
        let mut spent = false;
        let request = quota::get(&self.name, name);
        let read = self.socket.read(&request, |answer| {
            spent |= quota::found(answer).is_some_and(|quota| quota.consumed >= quota.octets);
        });
        read.is_ok() && spent
    }

    /// Removes unwanted quotas. A gate that ended by itself refers to its quota until the kernel collects it.
    fn sweep(&mut self) {
        if self.unwanted.is_empty() || self.swept.elapsed() < SWEEP {
            return;
        }
        self.swept = Instant::now();
        let names = std::mem::take(&mut self.unwanted);
        for name in names {
            let removal = quota::remove(&self.name, &name);
            match self.socket.batch(&[removal]) {
                Ok(refused)
                    if refused
                        .iter()
                        .any(|(_, error)| error.raw_os_error() == Some(libc::EBUSY)) =>
                {
                    self.unwanted.push(name);
                }
                _ => {}
            }
        }
    }

    fn apply(&mut self, changes: &[&Change]) -> io::Result<()> {
        for part in changes.chunks(CHANGES_AT_ONCE) {
            let mut messages: Vec<Message> = Vec::with_capacity(part.len());
            for message in part.iter().flat_map(|change| self.messages(change)) {
                let merged = self.tolerant
                    && messages
                        .last_mut()
                        .is_some_and(|last| last.absorb(&message));
                if !merged {
                    messages.push(message);
                }
            }
            let refused = self.socket.batch(&messages)?;
            if refused.is_empty() {
                continue;
            }
            let absent =
                |(_, error): &(usize, io::Error)| error.raw_os_error() == Some(libc::ENOENT);
            if self.tolerant || !refused.iter().all(absent) {
                return one_error(refused);
            }
            // A kernel before 6.3 complains about elements that have ended meanwhile: without their removal, again.
            let gone: Vec<usize> = refused.iter().map(|(place, _)| *place).collect();
            let rest: Vec<Message> = messages
                .into_iter()
                .enumerate()
                .filter(|(place, _)| !gone.contains(place))
                .map(|(_, message)| message)
                .collect();
            one_error(self.socket.batch(&rest)?)?;
        }
        Ok(())
    }

    fn messages(&self, change: &Change) -> Vec<Message> {
        let (table, tolerant) = (self.name.as_str(), self.tolerant);
        match change {
            // Removal and addition in one transaction: no packet sees the flow without its gate, and every kernel
            // then takes the new timeout and quota.
            Change::OpenGate {
                key,
                timeout_ms,
                quota,
                new,
            } => {
                let set = element::gates(quota.is_some());
                let open = element::open_gate(table, *key, *timeout_ms, quota.as_deref());
                if *new {
                    vec![open]
                } else {
                    vec![element::remove(table, set, *key, tolerant), open]
                }
            }
            Change::CloseGate { key, limited } => {
                vec![element::remove(
                    table,
                    element::gates(*limited),
                    *key,
                    tolerant,
                )]
            }
            Change::SetQuota { name, octets } => vec![quota::set(table, name, *octets)],
            // Not in a transaction with anything else: see `sweep`.
            Change::RemoveQuota { .. } => Vec::new(),
            Change::AddUsage { key, label } => vec![element::add_usage(table, *key, label)],
            Change::RemoveUsage { key } => vec![element::remove(table, Set::Usage, *key, tolerant)],
        }
    }

    /// The counters of `keys`; those that do not exist are missing.
    fn read(&mut self, keys: &[FlowKey]) -> io::Result<HashMap<FlowKey, Usage>> {
        let mut counters = HashMap::with_capacity(keys.len());
        for family in FAMILIES {
            let of_family: Vec<FlowKey> = keys
                .iter()
                .copied()
                .filter(|key| key.family() == family)
                .collect();
            for part in of_family.chunks(READ_AT_ONCE) {
                let whole = self.read_part(family, part, &mut counters);
                if whole.is_err() {
                    // One that is missing fails the request: each by itself.
                    for key in part {
                        match self.read_part(family, std::slice::from_ref(key), &mut counters) {
                            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => {
                                return Err(error);
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
        Ok(counters)
    }

    fn read_part(
        &mut self,
        family: Family,
        keys: &[FlowKey],
        counters: &mut HashMap<FlowKey, Usage>,
    ) -> io::Result<()> {
        let request = element::get_usage(&self.name, family, keys);
        self.socket.read(&request, |answer| {
            counters.extend(
                element::found(answer)
                    .into_iter()
                    .map(|found| (found.key, found.usage)),
            );
        })
    }

    /// Whether the table and its sets are there.
    fn stands(&mut self) -> bool {
        let request = Message {
            kind: GETSET,
            flags: 0,
            attributes: Attributes::new().text(1, &self.name).text(2, "usage6"),
            elements: Attributes::new(),
        };
        self.socket.read(&request, |_| {}).is_ok()
    }

    fn standing(&mut self) -> io::Result<Standing> {
        let mut standing = Standing::default();
        for family in FAMILIES {
            let mut open = HashMap::new();
            for set in [Set::Gate, Set::Volume] {
                let gates = element::get_all(&self.name, set, family);
                self.socket.read(&gates, |answer| {
                    open.extend(
                        element::found(answer)
                            .into_iter()
                            .map(|found| (found.key, (found.expires_ms, found.quota))),
                    );
                })?;
            }
            let usage = element::get_all(&self.name, Set::Usage, family);
            self.socket.read(&usage, |answer| {
                standing
                    .flows
                    .extend(element::found(answer).into_iter().map(|found| {
                        let (open_ms, quota) = open.get(&found.key).cloned().unwrap_or_default();
                        Adopted {
                            open_ms,
                            quota,
                            key: found.key,
                            label: found.label.unwrap_or_default(),
                            usage: found.usage,
                        }
                    }));
            })?;
        }
        let quotas = quota::get_all(&self.name);
        self.socket.read(&quotas, |answer| {
            standing
                .quotas
                .extend(quota::found(answer).map(|found| StandingQuota {
                    name: found.name,
                    octets: found.octets,
                    consumed: found.consumed,
                }));
        })?;
        Ok(standing)
    }

    /// Tries the removal of an element that is not there.
    fn probe(&mut self) -> bool {
        let nowhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
        let Some(key) = FlowKey::new(nowhere, nowhere) else {
            return false;
        };
        let message = element::remove(&self.name, Set::Gate, key, true);
        matches!(self.socket.batch(&[message]), Ok(refused) if refused.is_empty())
    }
}

/// How many of the first jobs can go together: as many as one transaction holds, so that none is done by half; and a
/// flow whose counter one of them takes away at its end begins anew with the next.
fn independent(jobs: &[Job]) -> usize {
    let mut leaving: HashSet<FlowKey> = HashSet::new();
    let mut changes = 0;
    for (place, job) in jobs.iter().enumerate() {
        changes += job.changes.len();
        if place > 0 && changes > CHANGES_AT_ONCE {
            return place;
        }
        let arrives = |change: &Change| matches!(change, Change::AddUsage { key, .. } if leaving.contains(key));
        if !leaving.is_empty() && job.changes.iter().any(arrives) {
            return place;
        }
        leaving.extend(job.afterwards.iter().filter_map(|change| match change {
            Change::RemoveUsage { key } => Some(*key),
            _ => None,
        }));
    }
    jobs.len()
}

fn one_error(refused: Refused) -> io::Result<()> {
    refused
        .into_iter()
        .next()
        .map_or(Ok(()), |(_, error)| Err(error))
}
