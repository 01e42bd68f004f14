//! The table as a whole: made, adopted, changed, read.

use std::collections::HashMap;
use std::io;

use super::attributes::Attributes;
use super::element::{self, Set};
use super::socket::{CREATE, Message, Refused, Socket};
use super::{Change, Done, Job};
use crate::flow::{Family, FlowKey, Usage};

const NEWTABLE: u16 = 0;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
const NEWRULE: u16 = 6;
const NEWSET: u16 = 9;
const GETSET: u16 = 10;

const NFT_SET_TIMEOUT: u32 = 0x10;
/// nft's own numbers of the types in a key, six bits each; they make `nft list` print addresses.
const TYPE_IPV4_ADDR: u32 = 7;
const TYPE_IPV6_ADDR: u32 = 8;
const TYPE_INET_SERVICE: u32 = 13;
/// The first of the sixteen 32-bit registers.
const REGISTER: u32 = 8;
const REGISTER_VERDICT: u32 = 0;
const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
const NF_INET_FORWARD: u32 = 2;
const UDP: u8 = 17;
const FAMILIES: [Family; 2] = [Family::Ip4, Family::Ip6];
/// Keys in one request for counters.
const READ_AT_ONCE: usize = 500;
/// Changes in one transaction; a socket buffer holds them.
const CHANGES_AT_ONCE: usize = 2000;

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
}

/// Our table, open for changes.
#[derive(Debug)]
pub struct Table {
    socket: Socket,
    name: String,
    /// Whether the kernel knows DESTROYSETELEM.
    tolerant: bool,
}

impl Table {
    /// Takes over the table if it stands and `adopt` is set, else makes it anew. Returns what was found in it.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_ADMIN; else the kernel's.
    pub fn open(settings: &TableSettings, adopt: bool) -> io::Result<(Self, Vec<Adopted>)> {
        let mut table = Self {
            socket: Socket::open()?,
            name: settings.name.clone(),
            tolerant: false,
        };
        let mut adopted = Vec::new();
        if adopt && table.stands() {
            adopted = table.flows()?;
        }
        // The frame is made again in the same transaction as the elements go back in, so that changed settings take effect
        // and no packet sees a table without its gates.
        let mut messages = vec![
            Message {
                kind: NEWTABLE,
                flags: CREATE,
                attributes: Attributes::new().text(1, &table.name),
            },
            Message {
                kind: DELTABLE,
                flags: 0,
                attributes: Attributes::new().text(1, &table.name),
            },
        ];
        messages.extend(frame(settings));
        for flow in &adopted {
            if let Some(left) = flow.open_ms {
                messages.push(element::open_gate(&table.name, flow.key, left, None));
            }
        }
        if adopt && !adopted.is_empty() {
            // Counters would start again at zero: the table stays as it is, and its frame with it.
            table.tolerant = table.probe();
            return Ok((table, adopted));
        }
        one_error(table.socket.batch(&messages)?)?;
        table.tolerant = table.probe();
        Ok((table, adopted))
    }

    /// Carries jobs out: the changes of all of them in one transaction, then their counters in one read. If the kernel
    /// refuses a change, the jobs are tried one by one, and only those at fault fail.
    pub fn run(&mut self, jobs: &[Job]) -> Vec<Done> {
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
        let afterwards: Vec<&Change> = jobs.iter().flat_map(|job| &job.afterwards).collect();
        if let Err(error) = self.apply(&afterwards) {
            tracing::warn!(%error, "old counters could not be taken out of the table");
        }
        jobs.iter()
            .zip(done)
            .map(|(job, done)| {
                done?;
                let counters = counters
                    .as_ref()
                    .map_err(|error| io::Error::from(error.kind()))?;
                Ok(job
                    .read
                    .iter()
                    .map(|key| counters.get(key).copied().unwrap_or_default())
                    .collect())
            })
            .collect()
    }

    fn apply(&mut self, changes: &[&Change]) -> io::Result<()> {
        for part in changes.chunks(CHANGES_AT_ONCE) {
            let messages: Vec<Message> = part
                .iter()
                .flat_map(|change| self.messages(change))
                .collect();
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
            } => vec![
                element::remove(table, Set::Gate, *key, tolerant),
                element::open_gate(table, *key, *timeout_ms, *quota),
            ],
            Change::CloseGate { key } => vec![element::remove(table, Set::Gate, *key, tolerant)],
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
        };
        self.socket.read(&request, |_| {}).is_ok()
    }

    fn flows(&mut self) -> io::Result<Vec<Adopted>> {
        let mut flows = Vec::new();
        for family in FAMILIES {
            let mut open = HashMap::new();
            let gates = element::get_all(&self.name, Set::Gate, family);
            self.socket.read(&gates, |answer| {
                open.extend(
                    element::found(answer)
                        .into_iter()
                        .map(|found| (found.key, found.expires_ms)),
                );
            })?;
            let usage = element::get_all(&self.name, Set::Usage, family);
            self.socket.read(&usage, |answer| {
                flows.extend(element::found(answer).into_iter().map(|found| Adopted {
                    open_ms: open.get(&found.key).copied().flatten(),
                    key: found.key,
                    label: found.label.unwrap_or_default(),
                    usage: found.usage,
                }));
            })?;
        }
        Ok(flows)
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

fn one_error(refused: Refused) -> io::Result<()> {
    refused
        .into_iter()
        .next()
        .map_or(Ok(()), |(_, error)| Err(error))
}

/// Table, sets, chain and rules.
fn frame(settings: &TableSettings) -> Vec<Message> {
    let name = settings.name.as_str();
    let create = |kind, attributes| Message {
        kind,
        flags: CREATE,
        attributes,
    };
    let mut messages = vec![create(NEWTABLE, Attributes::new().text(1, name))];
    for family in FAMILIES {
        for set in [Set::Gate, Set::Usage] {
            messages.push(create(NEWSET, new_set(settings, set, family)));
        }
    }
    let hook = Attributes::new()
        .u32(1, NF_INET_FORWARD)
        .bytes(2, &settings.priority.to_be_bytes());
    let chain = Attributes::new()
        .text(1, name)
        .text(3, "forward")
        .nested(4, hook)
        .u32(5, NF_ACCEPT)
        .text(7, "filter");
    messages.push(create(NEWCHAIN, chain));
    let rule = |expressions: Attributes| {
        // NLM_F_APPEND.
        let attributes = Attributes::new()
            .text(1, name)
            .text(2, "forward")
            .nested(4, expressions);
        Message {
            kind: NEWRULE,
            flags: CREATE | 0x800,
            attributes,
        }
    };
    for family in FAMILIES {
        let key = load_key(guarded(settings, Some(family)), family);
        let passed = lookup(lookup(key, Set::Gate, family), Set::Usage, family);
        messages.push(rule(verdict(passed, NF_ACCEPT)));
    }
    let dropped = expression(guarded(settings, None), "counter", Attributes::new());
    messages.push(rule(verdict(dropped, NF_DROP)));
    messages
}

fn new_set(settings: &TableSettings, set: Set, family: Family) -> Attributes {
    let (address, length) = match family {
        Family::Ip4 => (TYPE_IPV4_ADDR, 16),
        Family::Ip6 => (TYPE_IPV6_ADDR, 40),
    };
    let kind = (((address << 6 | TYPE_INET_SERVICE) << 6) | address) << 6 | TYPE_INET_SERVICE;
    let attributes = Attributes::new()
        .text(1, &settings.name)
        .text(2, element::set_name(set, family))
        .u32(4, kind)
        .u32(5, length)
        .nested(9, Attributes::new().u32(1, settings.size))
        // NFTA_SET_ID must be there; nothing refers to it.
        .u32(10, 1);
    match set {
        Set::Gate => attributes.u32(3, NFT_SET_TIMEOUT),
        Set::Usage => {
            let counter = Attributes::new()
                .text(1, "counter")
                .nested(2, Attributes::new());
            attributes.u32(3, 0).nested(17, counter)
        }
    }
}

fn expression(list: Attributes, name: &str, data: Attributes) -> Attributes {
    list.nested(1, Attributes::new().text(1, name).nested(2, data))
}

/// `meta KEY` into the first register.
fn meta(list: Attributes, key: u32) -> Attributes {
    expression(list, "meta", Attributes::new().u32(1, REGISTER).u32(2, key))
}

/// Compares the first register; 0 is equal, 3 at most, 5 at least.
fn compare(list: Attributes, operator: u32, value: &[u8]) -> Attributes {
    let data = Attributes::new()
        .u32(1, REGISTER)
        .u32(2, operator)
        .nested(3, Attributes::new().bytes(1, value));
    expression(list, "cmp", data)
}

/// Octets of the packet into a register; base 1 is the network header, 2 the transport header.
fn payload(list: Attributes, register: u32, base: u32, offset: u32, length: u32) -> Attributes {
    let data = Attributes::new()
        .u32(1, register)
        .u32(2, base)
        .u32(3, offset)
        .u32(4, length);
    expression(list, "payload", data)
}

/// UDP to a guarded port.
fn guarded(settings: &TableSettings, family: Option<Family>) -> Attributes {
    let mut list = Attributes::new();
    if let Some(family) = family {
        // NFT_META_NFPROTO: 2 is IPv4, 10 is IPv6.
        let protocol = if family == Family::Ip4 { 2 } else { 10 };
        list = compare(meta(list, 15), 0, &[protocol]);
    }
    list = compare(meta(list, 16), 0, &[UDP]);
    let (first, last) = settings.ports;
    list = payload(list, REGISTER, 2, 2, 2);
    list = compare(list, 5, &first.to_be_bytes());
    compare(list, 3, &last.to_be_bytes())
}

/// The set's key into the registers from the first on.
fn load_key(list: Attributes, family: Family) -> Attributes {
    // Offsets of the addresses in the headers, and registers of four octets that each takes.
    let (source, destination, length) = match family {
        Family::Ip4 => (12, 16, 4),
        Family::Ip6 => (8, 24, 16),
    };
    let words = length / 4;
    let list = payload(list, REGISTER, 1, source, length);
    let list = payload(list, REGISTER + words, 2, 0, 2);
    let list = payload(list, REGISTER + words + 1, 1, destination, length);
    payload(list, REGISTER + 2 * words + 1, 2, 2, 2)
}

fn lookup(list: Attributes, set: Set, family: Family) -> Attributes {
    let data = Attributes::new()
        .text(1, element::set_name(set, family))
        .u32(2, REGISTER);
    expression(list, "lookup", data)
}

fn verdict(list: Attributes, code: u32) -> Attributes {
    let data = Attributes::new().u32(1, REGISTER_VERDICT).nested(
        2,
        Attributes::new().nested(2, Attributes::new().u32(1, code)),
    );
    expression(list, "immediate", data)
}
