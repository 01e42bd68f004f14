//! Acknowledgements on their way to shops.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Core, Work};
use crate::effect::{Change, Effect};
use crate::event::PostResult;
use crate::payment::{PaymentId, State};

/// After an acknowledgement is void its shop may still think that it is good for so long, seconds: clocks differ.
const SKEW: i64 = 300;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    ready: VecDeque<PaymentId>,
    posting: HashSet<PaymentId>,
    per_host: HashMap<Box<str>, usize>,
}

impl Core {
    /// Puts an acknowledgement in the queue, or gives it up if it is void.
    pub(super) fn offer(&mut self, now: i64, id: &PaymentId, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let lifetime = self.settings.acknowledgement_seconds;
        let void = open.payment.acknowledgement_expires(lifetime);
        if now / 1000 > void.saturating_add(SKEW) {
            self.counters.expired += 1;
            tracing::warn!(
                payment = %id, shop = %open.order.invoice.iss,
                "the shop has not answered while its acknowledgement was good: it is paid back"
            );
            let change = Change::To {
                state: State::Refunding,
                cause: 0,
            };
            return self.store(now, id, change, effects);
        }
        if now / 1000 > void {
            // Void, but perhaps not by the shop's clock: neither sent again nor paid back yet.
            let at = void.saturating_add(SKEW + 1).saturating_mul(1000);
            return self.schedule(id, at);
        }
        open.work = Work::Turn;
        self.outbox.ready.push_back(id.clone());
    }

    /// Sends those whose turn it is.
    pub(super) fn post_what_may(&mut self, _now: i64, effects: &mut Vec<Effect>) {
        let mut passed_over = VecDeque::new();
        while self.outbox.posting.len() < self.settings.max_posts
            && let Some(id) = self.outbox.ready.pop_front()
        {
            let Some(open) = self.open.get_mut(&id) else {
                continue;
            };
            let (State::Paid, Work::Turn) = (open.payment.state, open.work) else {
                continue;
            };
            let Some(acknowledgement) = open.payment.acknowledgement.clone() else {
                continue;
            };
            let url = &open.order.invoice.acknowledgement_url;
            let host = host_of(url);
            let under_way = self.outbox.per_host.entry(host.into()).or_default();
            if *under_way >= self.settings.max_posts_per_host {
                passed_over.push_back(id);
                continue;
            }
            *under_way += 1;
            self.outbox.posting.insert(id.clone());
            open.work = Work::Answer;
            open.tries = open.tries.saturating_add(1);
            self.counters.posts += 1;
            effects.push(Effect::Post {
                id,
                url: url.as_str().into(),
                acknowledgement,
            });
        }
        passed_over.append(&mut self.outbox.ready);
        self.outbox.ready = passed_over;
    }

    pub(super) fn posted(
        &mut self,
        now: i64,
        id: &PaymentId,
        result: PostResult,
        effects: &mut Vec<Effect>,
    ) {
        let was_posting = self.outbox.posting.remove(id);
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        if was_posting {
            let host = host_of(&open.order.invoice.acknowledgement_url);
            if let Some(under_way) = self.outbox.per_host.get_mut(host) {
                *under_way = under_way.saturating_sub(1);
                if *under_way == 0 {
                    self.outbox.per_host.remove(host);
                }
            }
        }
        if open.payment.state != State::Paid || open.work != Work::Answer {
            return;
        }
        let to = |state, cause: u16| Change::To {
            state,
            cause: cause.into(),
        };
        match result {
            PostResult::Status {
                status: 200..=299, ..
            } => self.store(now, id, to(State::Acknowledged, 0), effects),
            PostResult::Status {
                status,
                already_paid,
            } if refuses(status, already_paid, open.unheard) => {
                tracing::warn!(
                    payment = %id, status, shop = %open.order.invoice.iss,
                    "the shop refuses an acknowledgement: it is paid back"
                );
                self.store(now, id, to(State::Refunding, status), effects);
            }
            PostResult::Impossible if !open.unheard => {
                tracing::warn!(
                    payment = %id, url = open.order.invoice.acknowledgement_url,
                    "the shop cannot be told: it is paid back"
                );
                self.store(now, id, to(State::Refunding, 0), effects);
            }
            result => {
                // It may have been taken although no word of that came.
                open.unheard |= result != PostResult::Impossible;
                tracing::debug!(payment = %id, ?result, tries = open.tries, "an acknowledgement is sent again");
                self.back_off(now, id);
            }
        }
    }
}

/// Whether a shop that says so will not deliver. One that took an earlier copy answers 2xx to each later one, so 409 and 410
/// decide; anything else may come of what stands before a shop, and decides only if no earlier copy may have got through.
fn refuses(status: u16, already_paid: bool, unheard: bool) -> bool {
    match status {
        409 => already_paid,
        410 => true,
        400 | 403 => !unheard,
        _ => false,
    }
}

/// `host:port` of a URL that was checked.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}
