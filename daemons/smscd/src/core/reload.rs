//! New settings, and what a crash left.

use std::sync::Arc;

use tollwire_runtime::clock::Now;

use super::Core;
use crate::credit::Settling;
use crate::effect::Effect;
use crate::entry::Recovered;
use crate::esme::{Peer, PeerKind};
use crate::event::LinkId;
use crate::message::Message;
use crate::queue::{Phase, Slot};
use crate::router::Router;
use crate::settings::Settings;

impl Core {
    /// Other settings. Peers keep their numbers, and those that are gone lose their links.
    pub(super) fn reload(&mut self, now: Now, settings: Settings, effects: &mut Vec<Effect>) {
        let mut connect = Vec::new();
        let mut before: Vec<Arc<str>> = self.esmes.keys().cloned().collect();
        before.retain(|name| settings.esmes.iter().all(|esme| esme.system_id != *name));
        for name in before {
            if let Some(index) = self.esmes.remove(&name) {
                self.drop_links(now, index, effects);
            }
        }
        for esme in &settings.esmes {
            let kind = PeerKind::Esme(esme.clone());
            match self.esmes.get(&esme.system_id) {
                Some(index) => {
                    if let Some(peer) = self.peers.get_mut(*index as usize) {
                        peer.kind = kind;
                    }
                }
                None => {
                    let index = self.add_peer(&esme.system_id, kind);
                    self.esmes.insert(esme.system_id.clone(), index);
                }
            }
        }
        let mut before: Vec<Arc<str>> = self.upstreams.keys().cloned().collect();
        before.retain(|name| settings.upstreams.iter().all(|other| other.name != *name));
        for name in before {
            if let Some(index) = self.upstreams.remove(&name) {
                self.drop_links(now, index, effects);
            }
        }
        for upstream in &settings.upstreams {
            let kind = PeerKind::Upstream(upstream.clone());
            let index = match self.upstreams.get(&upstream.name) {
                Some(index) => *index,
                None => {
                    let index = self.add_peer(&upstream.name, kind.clone());
                    self.upstreams.insert(upstream.name.clone(), index);
                    index
                }
            };
            let Some(peer) = self.peers.get_mut(index as usize) else {
                continue;
            };
            peer.kind = kind;
            for bind in peer.failures.len()..upstream.binds as usize {
                peer.failures.push(0);
                connect.push((
                    upstream.name.clone(),
                    u32::try_from(bind).unwrap_or(u32::MAX),
                ));
            }
            peer.failures.truncate(upstream.binds as usize);
        }
        self.settings = settings;
        self.reshape(now);
        for (upstream, index) in connect {
            effects.push(Effect::Connect {
                upstream,
                index,
                after: std::time::Duration::ZERO,
            });
        }
        let links: Vec<LinkId> = self.links.values().map(|link| link.id).collect();
        for id in links {
            // Its timers may be others now.
            if let Some(link) = self.links.get_mut(&id.0) {
                link.timer = None;
            }
            self.mark_link(id);
            self.link_may_have_room(id);
        }
    }

    fn add_peer(&mut self, name: &Arc<str>, kind: PeerKind) -> u32 {
        let index = u32::try_from(self.peers.len()).unwrap_or(u32::MAX);
        self.peers.push(Peer::new(name.clone(), kind));
        index
    }

    fn drop_links(&mut self, now: Now, index: u32, effects: &mut Vec<Effect>) {
        let links = self
            .peers
            .get(index as usize)
            .map(|peer| peer.links.clone())
            .unwrap_or_default();
        for link in links {
            self.disconnect(now, link, effects);
        }
    }

    /// New routes: every message that waits finds its place anew.
    fn reshape(&mut self, now: Now) {
        let peers: Vec<u32> = (0..).zip(&self.peers).map(|(index, _)| index).collect();
        let (esmes, upstreams) = (&self.esmes, &self.upstreams);
        self.router = Router::new(self.settings.routes.clone(), &peers, |name, upstream| {
            let table = if upstream { upstreams } else { esmes };
            table.get(name).copied()
        });
        let held = &self.held;
        let lanes = self.router.lanes(&peers, |name| held.contains(name));
        self.queue.reshape(lanes, self.router.targets());
        self.target_is_dirty = vec![false; self.router.targets()];
        self.dirty_targets.clear();
        self.credit_blocked.clear();
        for peer in &mut self.peers {
            peer.targets.clear();
        }
        for target in 0..self.router.targets() {
            let target = u32::try_from(target).unwrap_or(u32::MAX);
            for peer in self.router.peers(target) {
                if let Some(peer) = self.peers.get_mut(*peer as usize) {
                    peer.targets.push(target);
                }
            }
        }
        let mut waiting: Vec<(u64, Slot, Phase)> = self
            .queue
            .items()
            .map(|(slot, item)| (item.order(), slot, item.phase))
            .collect();
        waiting.sort_by_key(|(order, _, _)| *order);
        for (_, slot, phase) in waiting {
            match phase {
                Phase::Waiting | Phase::Scheduled | Phase::Stranded => self.admit(now, slot),
                // Under way: its destination counts it again, so that it can be put back or leave.
                Phase::Reserving | Phase::InFlight => self.rejoin(slot),
                Phase::Storing | Phase::AwaitingReceipt => {}
            }
        }
    }

    fn rejoin(&mut self, slot: Slot) {
        let Some(item) = self.queue.item(slot) else {
            return;
        };
        let lane = if item.message.is_receipt() {
            Some(self.router.receipts_lane(item.owner))
        } else {
            self.router
                .find(item.owner, &item.message.destination.digits)
        };
        if let Some(lane) = lane {
            self.queue.rejoin(slot, lane);
        }
    }

    /// The reservation before this one was to be given back; whether that was said before the crash is not known.
    fn release_before(&mut self, message: Arc<Message>, reservation: u32, at_unix_ms: i64) {
        let Some(before) = reservation.checked_sub(1) else {
            return;
        };
        self.settlements.add(
            message.id,
            before,
            Settling {
                message,
                debit: false,
                at_unix_ms,
                last: false,
                asked: 0,
                repeated: true,
            },
        );
    }

    /// What the spool remembers goes on where it stood.
    pub(super) fn recover(&mut self, now: Now, recovered: Recovered, effects: &mut Vec<Effect>) {
        for (message, progress) in recovered.unfinished {
            let owner = self
                .esmes
                .get(&message.submitter)
                .or_else(|| self.upstreams.get(&message.submitter))
                .copied()
                .unwrap_or(u32::MAX);
            let slot = self.insert(message, owner);
            let Some(item) = self.queue.item_mut(slot) else {
                continue;
            };
            item.progress = progress;
            // Money may be held for it: it is asked for again under the same name.
            item.maybe_reserved = true;
            let id = item.message.id;
            let (message, reservation) = (item.message.clone(), item.progress.reservation);
            let awaited = item
                .progress
                .upstream_message_id
                .clone()
                .zip(item.progress.next_hop.clone());
            match awaited {
                Some((theirs, hop)) => {
                    item.phase = Phase::AwaitingReceipt;
                    item.lane = self
                        .router
                        .find(owner, &item.message.destination.digits)
                        .unwrap_or(u32::MAX);
                    if let Some(peer) = self
                        .upstreams
                        .get(&hop)
                        .and_then(|peer| self.peers.get_mut(*peer as usize))
                    {
                        peer.awaited.by_id.insert(theirs, id);
                    }
                    // How long its money is still held is not known: it is renewed at once.
                    self.queue.set_due(slot, now.unix_ms);
                }
                None => self.admit(now, slot),
            }
            self.release_before(message, reservation, now.unix_ms);
        }
        for owed in recovered.owed {
            if let Some(settlement) = owed.done.settlement.filter(|_| !owed.settled) {
                self.settlements.add(
                    owed.message.id,
                    settlement.reservation,
                    Settling {
                        message: owed.message.clone(),
                        debit: settlement.debit,
                        at_unix_ms: owed.done.at_unix_ms,
                        last: true,
                        asked: 0,
                        repeated: true,
                    },
                );
                self.release_before(
                    owed.message.clone(),
                    settlement.reservation,
                    owed.done.at_unix_ms,
                );
            }
            if !owed.record_written {
                self.record(owed.message, owed.done, effects);
            }
        }
    }
}
