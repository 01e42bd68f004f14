//! What stood in the table at start, as sessions.

use std::collections::HashMap;
use std::time::Duration;

use tollwire_runtime::clock::Now;

use super::session::{Flow, Place, Session, Volume};
use super::{Core, Pending, new_session};
use crate::effect::Effect;
use crate::nftables::{Adopted, Change, Job, Standing, StandingQuota};

impl Core {
    pub(super) fn adopt(&mut self, now: Now, standing: Standing, effects: &mut Vec<Effect>) {
        let mut found: HashMap<String, Vec<(Place, Adopted)>> = HashMap::new();
        let mut foreign = 0;
        for adopted in standing.flows {
            match labelled(&adopted.label) {
                Some((place, id)) => found.entry(id).or_default().push((place, adopted)),
                None => foreign += 1,
            }
        }
        if foreign > 0 {
            tracing::warn!(foreign, "counters that are not ours stay in the table");
        }
        let mut unwanted = Vec::new();
        let mut quotas: HashMap<String, StandingQuota> = HashMap::new();
        for quota in standing.quotas {
            quotas.insert(quota.name.clone(), quota);
        }
        for (id, flows) in found {
            let session = adopted_session(&id, flows, now, self.settings.retention, &mut quotas);
            self.put(Box::new(session));
        }
        // Of sessions that ended while nobody looked.
        unwanted.extend(quotas.into_keys().map(|name| Change::RemoveQuota { name }));
        if !unwanted.is_empty() {
            let job = Job {
                afterwards: unwanted,
                ..Job::default()
            };
            self.start(job, Pending::Forget, effects);
        }
    }
}

fn labelled(label: &str) -> Option<(Place, String)> {
    let (place, id) = label.split_once(' ')?;
    Some((place.parse().ok()?, id.to_owned()))
}

fn adopted_session(
    id: &str,
    flows: Vec<(Place, Adopted)>,
    now: Now,
    retention: Duration,
    quotas: &mut HashMap<String, StandingQuota>,
) -> Session {
    let left = flows.iter().filter_map(|(_, flow)| flow.open_ms).max();
    // The client is the one that the Session-Id begins with (RFC 6733 8.8), until it is heard of.
    let origin_host = id.split(';').next().unwrap_or_default().to_owned();
    let mut session = Session {
        origin_realm: origin_host
            .split_once('.')
            .map_or_else(String::new, |(_, realm)| realm.to_owned()),
        origin_host,
        spent: left.is_none(),
        report_loss: true,
        report_credit: true,
        ends_at: now.instant + left.map_or(retention, Duration::from_millis),
        ..new_session(id, now)
    };
    // The quota of the session: the one its open gates name, else any of its name.
    let named = flows.iter().find_map(|(_, flow)| flow.quota.clone());
    let name = named.or_else(|| {
        let ours = |name: &&String| Volume::parse(name).is_some_and(|(_, of)| of == id);
        quotas.keys().find(ours).cloned()
    });
    for (place, adopted) in flows {
        session.flows.push(Flow {
            place,
            key: adopted.key,
            open: adopted.open_ms.is_some(),
            usage: adopted.usage,
        });
    }
    if let Some(quota) = name.and_then(|name| quotas.remove(&name))
        && let Some((generation, _)) = Volume::parse(&quota.name)
    {
        let before = session.usage().octets.saturating_sub(quota.consumed);
        session.volume = Some(Volume {
            granted: quota.octets.saturating_add(before),
            before,
            generation,
        });
    }
    session.packets = session.media_packets();
    session
}
