//! What a session wants of the table.

use std::time::Duration;

use super::request;
use super::session::{Flow, Session, Volume};
use crate::flow::FlowKey;
use crate::nftables::{Change, Job};

/// Counts of flows that are gone, kept one by one; older ones are added up.
const MAX_PAST: usize = 64;

/// Puts the component in the place of the one of its number. Flows that stay keep their counters; of those that go,
/// the gate is closed and the count so far is kept.
pub(super) fn replace_component(
    session: &mut Session,
    component: request::Component,
    job: &mut Job,
) {
    let limited = session.volume.is_some();
    let (old, others): (Vec<Flow>, Vec<Flow>) = std::mem::take(&mut session.flows)
        .into_iter()
        .partition(|flow| flow.place.component == component.number);
    session.flows = others;
    for mut flow in component.flows {
        if session.flows.iter().any(|other| other.key == flow.key) {
            continue;
        }
        let stays = |other: &Flow| other.key == flow.key;
        if let Some(old) = old.iter().find(|old| stays(old)) {
            flow.usage = old.usage;
        } else if let Some(place) = job
            .afterwards
            .iter()
            .position(|change| matches!(change, Change::RemoveUsage { key } if *key == flow.key))
        {
            // It left another component in this very request: its counter moves with it.
            job.afterwards.remove(place);
            job.read.retain(|key| *key != flow.key);
            session.past.retain(|past| past.1 != flow.key);
        } else {
            job.changes.push(Change::AddUsage {
                key: flow.key,
                label: format!("{} {}", flow.place, session.id),
            });
        }
        session.flows.push(flow);
    }
    for flow in old {
        if session.flows.iter().any(|kept| kept.key == flow.key) {
            continue;
        }
        if session.past.len() >= MAX_PAST {
            session.merge_oldest_past();
        }
        session.past.push((flow.place, flow.key, flow.usage));
        // Its last count comes with this job.
        job.read.push(flow.key);
        job.changes.push(Change::CloseGate {
            key: flow.key,
            limited,
        });
        job.afterwards.push(Change::RemoveUsage { key: flow.key });
    }
}

/// Opens and closes the gates as the session has them, for `timeout` from now. `granted`: octets in all, if the client
/// named them.
pub(super) fn set_gates(
    session: &mut Session,
    granted: Option<u64>,
    was_spent: bool,
    timeout: Duration,
    job: &mut Job,
) {
    if let Some(octets) = granted {
        set_quota(session, octets, was_spent, job);
    }
    let quota = session.quota_name();
    let new = new_flows(job);
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    for flow in &session.flows {
        job.changes.push(if flow.open && !session.spent {
            Change::OpenGate {
                key: flow.key,
                timeout_ms,
                quota: quota.clone(),
                new: new.contains(&flow.key),
            }
        } else {
            Change::CloseGate {
                key: flow.key,
                limited: quota.is_some(),
            }
        });
    }
}

/// The flows whose counters begin with this job.
pub(super) fn new_flows(job: &Job) -> Vec<FlowKey> {
    let new = |change: &Change| match change {
        Change::AddUsage { key, .. } => Some(*key),
        _ => None,
    };
    job.changes.iter().filter_map(new).collect()
}

fn set_quota(session: &mut Session, octets: u64, was_spent: bool, job: &mut Job) {
    let used = session.usage().octets;
    let old_name = session.quota_name();
    let generation = match &mut session.volume {
        Some(volume) if !was_spent => {
            if volume.granted == octets {
                return;
            }
            // In place, while packets pass: what it counted stays.
            volume.granted = octets;
            let size = octets.saturating_sub(volume.before);
            if let Some(name) = old_name {
                job.changes.push(Change::SetQuota { name, octets: size });
            }
            return;
        }
        // A spent quota has counted what it refused: a new one begins at what passed. The gates are shut, so that is
        // known exactly.
        Some(volume) => volume.generation.saturating_add(1),
        None => {
            // They go over to the set of gates with a quota.
            let unlimited = session.flows.iter().map(|flow| Change::CloseGate {
                key: flow.key,
                limited: false,
            });
            job.changes.extend(unlimited);
            1
        }
    };
    if let Some(name) = old_name {
        job.afterwards.push(Change::RemoveQuota { name });
    }
    session.volume = Some(Volume {
        granted: octets,
        before: used,
        generation,
    });
    if let Some(name) = session.quota_name() {
        let octets = octets.saturating_sub(used);
        job.changes.push(Change::SetQuota { name, octets });
    }
}

/// Closes every gate.
pub(super) fn close_gates(session: &Session) -> Vec<Change> {
    let limited = session.volume.is_some();
    let close = |flow: &Flow| Change::CloseGate {
        key: flow.key,
        limited,
    };
    session.flows.iter().map(close).collect()
}

/// Closes every gate, reads the counters, and takes them out of the table.
pub(super) fn closing(session: &Session) -> Job {
    let keys = || session.flows.iter().map(|flow| flow.key);
    let counters = keys().map(|key| Change::RemoveUsage { key });
    let quota = session.quota_name();
    Job {
        changes: close_gates(session),
        read: keys().collect(),
        afterwards: counters
            .chain(quota.map(|name| Change::RemoveQuota { name }))
            .collect(),
        ..Job::default()
    }
}
