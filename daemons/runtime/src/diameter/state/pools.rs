//! Services of several servers: a pool decides which of the peers a request goes to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tollwire_diameter::Message;
use tollwire_diameter::peer::{Pool, PoolEffect, PoolSettings, Refused};

use super::{Shared, State, beginning};
use crate::diameter::event::{NodeEvent, PeerId};

#[derive(Debug)]
pub(super) struct Pooled {
    pub(super) pool: Pool,
    pub(super) members: Vec<PeerId>,
}

impl Shared {
    pub(super) fn new_pool(&self, members: usize) -> Pool {
        let (unix_ms, random) = beginning();
        let settings = PoolSettings {
            members,
            request_timeout: self.config.request_timeout,
            max_pending: self.config.max_pending,
        };
        Pool::new(settings, unix_ms, random)
    }

    /// Tells a pool something, and carries out what follows.
    pub(super) fn ask_pool(
        self: &Arc<Self>,
        state: &mut State,
        name: &PeerId,
        events: &mut Vec<NodeEvent>,
        tell: impl FnOnce(&mut Pool, Instant, &mut Vec<PoolEffect>),
    ) {
        let now = Instant::now();
        let mut effects = Vec::new();
        let Some(pooled) = state.pools.get_mut(name) else {
            return;
        };
        tell(&mut pooled.pool, now, &mut effects);
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                PoolEffect::Send {
                    member,
                    key,
                    request,
                } => {
                    let id = state.member(name, member);
                    let sent = id.is_some_and(|id| self.send(state, &id, key, request).is_ok());
                    if !sent && let Some(pooled) = state.pools.get_mut(name) {
                        let mut more = Vec::new();
                        pooled.pool.unsent(now, key, &mut more);
                        effects.extend(more);
                    }
                }
                PoolEffect::Answer { token, message } => {
                    events.push(NodeEvent::Answer { token, message });
                }
                PoolEffect::Failed { token, why } => events.push(NodeEvent::Failed { token, why }),
            }
        }
        let deadline = state.pools.get(name).and_then(|it| it.pool.next_deadline());
        self.watch_deadline(state, deadline);
    }

    pub(super) fn send_to_pool(
        self: &Arc<Self>,
        state: &mut State,
        name: &PeerId,
        token: u64,
        request: Message,
    ) -> Result<(), Refused> {
        let mut taken = Err(Refused::Unreachable);
        // A request is never answered in the same breath.
        self.ask_pool(state, name, &mut Vec::new(), |pool, now, effects| {
            taken = pool.send(now, token, request, effects);
        });
        taken
    }

    /// Lets every pool whose time has come act on it.
    pub(super) fn tick_pools(
        self: &Arc<Self>,
        state: &mut State,
        now: Instant,
        events: &mut Vec<NodeEvent>,
    ) {
        let is_due = |pooled: &Pooled| pooled.pool.next_deadline().is_some_and(|at| at <= now);
        let due: Vec<PeerId> = (state.pools.iter())
            .filter(|(_, pooled)| is_due(pooled))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &due {
            self.ask_pool(state, name, events, |pool, now, effects| {
                pool.tick(now, effects);
            });
        }
    }

    pub(super) fn stop_pools(self: &Arc<Self>, state: &mut State, events: &mut Vec<NodeEvent>) {
        let pools: Vec<PeerId> = state.pools.keys().cloned().collect();
        for name in &pools {
            self.ask_pool(state, name, events, |pool, _, effects| pool.stop(effects));
        }
    }
}

impl State {
    fn member(&self, pool: &PeerId, number: usize) -> Option<PeerId> {
        self.pools.get(pool)?.members.get(number).cloned()
    }
}
