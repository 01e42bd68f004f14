use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use crate::flags::CommandFlags;

/// Where the Command Flags stand in a frame.
const FLAGS_OFFSET: usize = 4;

/// Requests that wait for their answer, by Hop-by-Hop Identifier.
///
/// All have the same time to live, so the order of sending is the order of their deadlines.
#[derive(Debug, Default)]
pub(super) struct Pending {
    requests: HashMap<u32, Waiting>,
    /// Answered ones stay until their deadline reaches the front, or they outnumber the others.
    deadlines: VecDeque<(Instant, u32)>,
}

#[derive(Debug)]
struct Waiting {
    token: u64,
    frame: Bytes,
    deadline: Instant,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn contains(&self, hop_by_hop_id: u32) -> bool {
        self.requests.contains_key(&hop_by_hop_id)
    }

    pub(super) fn insert(
        &mut self,
        hop_by_hop_id: u32,
        token: u64,
        frame: Bytes,
        deadline: Instant,
    ) {
        self.deadlines.push_back((deadline, hop_by_hop_id));
        self.requests.insert(
            hop_by_hop_id,
            Waiting {
                token,
                frame,
                deadline,
            },
        );
    }

    /// The token of the request that an answer with `hop_by_hop_id` is for.
    pub(super) fn remove(&mut self, hop_by_hop_id: u32) -> Option<u64> {
        let token = self.requests.remove(&hop_by_hop_id)?.token;
        self.drop_answered();
        Some(token)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    /// The token of a request whose time is up.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<u64> {
        while let Some(&(deadline, hop_by_hop_id)) = self.deadlines.front() {
            if deadline > now {
                return None;
            }
            self.deadlines.pop_front();
            if self.is_current(deadline, hop_by_hop_id) {
                return self.requests.remove(&hop_by_hop_id).map(|it| it.token);
            }
        }
        None
    }

    /// All frames in the order they were first sent, marked as possible retransmissions.
    pub(super) fn retransmissions(&self) -> Vec<Bytes> {
        let mut frames = Vec::with_capacity(self.requests.len());
        for (deadline, hop_by_hop_id) in &self.deadlines {
            let waiting = self.requests.get(hop_by_hop_id);
            let Some(waiting) = waiting.filter(|waiting| waiting.deadline == *deadline) else {
                continue;
            };
            let mut frame = waiting.frame.to_vec();
            if let Some(flags) = frame.get_mut(FLAGS_OFFSET) {
                *flags |= CommandFlags::RETRANSMITTED.0;
            }
            frames.push(Bytes::from(frame));
        }
        frames
    }

    /// Every token, oldest first; nothing waits afterwards.
    pub(super) fn drain(&mut self) -> Vec<u64> {
        let tokens = self
            .deadlines
            .iter()
            .filter_map(|(deadline, hop_by_hop_id)| {
                let waiting = self.requests.get(hop_by_hop_id)?;
                (waiting.deadline == *deadline).then_some(waiting.token)
            })
            .collect();
        self.requests.clear();
        self.deadlines.clear();
        tokens
    }

    fn is_current(&self, deadline: Instant, hop_by_hop_id: u32) -> bool {
        self.requests
            .get(&hop_by_hop_id)
            .is_some_and(|waiting| waiting.deadline == deadline)
    }

    fn drop_answered(&mut self) {
        while let Some(&(deadline, hop_by_hop_id)) = self.deadlines.front() {
            if self.is_current(deadline, hop_by_hop_id) {
                break;
            }
            self.deadlines.pop_front();
        }
        // One request that is never answered must not keep all later ones' entries.
        if self.deadlines.len() > 2 * self.requests.len() + 64 {
            let requests = &self.requests;
            self.deadlines.retain(|(deadline, hop_by_hop_id)| {
                requests
                    .get(hop_by_hop_id)
                    .is_some_and(|waiting| waiting.deadline == *deadline)
            });
        }
    }
}
