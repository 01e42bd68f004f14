//! Messages to their next hop, and what the next hop says.

use std::sync::Arc;

use tollwire_runtime::clock::Now;

use super::Core;
use super::finish::Ending;
use super::link::Role;
use super::stored::{Answer, Pending};
use crate::credit;
use crate::effect::Effect;
use crate::entry::{Cause, Entry};
use crate::event::{Frame, LinkId};
use crate::message::{Message, MessageId, MessageState};
use crate::queue::{Phase, Slot};
use crate::receipt::{self, Report};
use crate::retry::{self, Next};
use crate::router::Route;
use crate::settings::{Charging, ErrorClass, FinalOn, RecordRole, TariffOnNextHop};
use crate::tariff;
use crate::wire::write::{self, Outgoing};
use crate::wire::{command, read, status, time};

/// The longest address of a PDU other than `data_sm`, without its NUL (SMPP 3.4 section 5.2.8).
const LONGEST_ADDRESS: usize = 20;
/// The longest payload that fits `short_message`.
const LONGEST_SHORT_MESSAGE: usize = 254;
/// Pause for a peer that said ESME_RTHROTTLED.
const THROTTLED_PAUSE_MS: i64 = 1000;

impl Core {
    /// Sends what is ready for `target`, as long as there is room.
    pub(super) fn pump(&mut self, now: Now, target: u32, effects: &mut Vec<Effect>) {
        // Without the disk a delivery could not be remembered, and would be made again after a crash.
        if self.store_failure.is_some() {
            return;
        }
        while self.queue.has_ready(target) {
            let Some((peer, link)) = self.pick(now, target) else {
                return;
            };
            let Some(slot) = self.queue.take(now.unix_ms, target) else {
                return;
            };
            let Some(item) = self.queue.item(slot) else {
                continue;
            };
            if item.message.expires_unix_ms <= now.unix_ms {
                self.expire(now, slot, effects);
                continue;
            }
            if item.reserved_at.is_none() && self.is_charged_online(slot) {
                if self.credit_is_away(now) {
                    // Others of the target, which need no credit, go on.
                    self.wait_for_credit(now, slot);
                } else if self.may_ask() {
                    self.reserve(slot, effects);
                } else {
                    self.queue.put_back(now.unix_ms, slot);
                    self.credit_blocked.push(target);
                    return;
                }
                continue;
            }
            self.send(now, slot, peer, link, effects);
        }
    }

    /// A link with room, of the target's peers in turn and of their links in turn.
    fn pick(&mut self, now: Now, target: u32) -> Option<(u32, LinkId)> {
        let peers = self.router.peers(target);
        let max_backlog = self.settings.limits.max_backlog_octets;
        for step in 0..peers.len() {
            let index = *peers.get(self.turn.wrapping_add(step) % peers.len())?;
            let peer = self.peers.get_mut(index as usize)?;
            // Farther ahead it is only if the clock was set back.
            if (1..=THROTTLED_PAUSE_MS).contains(&peer.paused_until.saturating_sub(now.unix_ms)) {
                continue;
            }
            while let Some(id) = peer.free.front().copied() {
                match self.links.get_mut(&id.0) {
                    Some(link) if link.has_room(max_backlog) => return Some((index, id)),
                    Some(link) => link.free = false,
                    None => {}
                }
                peer.free.pop_front();
            }
        }
        None
    }

    fn send(
        &mut self,
        now: Now,
        slot: Slot,
        peer_index: u32,
        id: LinkId,
        effects: &mut Vec<Effect>,
    ) {
        let (Some(item), Some(link), Some(peer)) = (
            self.queue.item_mut(slot),
            self.links.get_mut(&id.0),
            self.peers.get_mut(peer_index as usize),
        ) else {
            return;
        };
        let rate = peer.outbound_rate();
        if !peer.outbound.take(rate, now.unix_ms) {
            let until = now.unix_ms.saturating_add(peer.outbound.wait_ms(rate));
            self.queue.put_back(now.unix_ms, slot);
            return self.pause_peer(peer_index, until);
        }
        let message = item.message.clone();
        let route = self.router.route(item.lane);
        let upstream = matches!(link.role, Role::Client { .. });
        let Some(outgoing) = outgoing(&message, route, upstream, link.optional) else {
            // The receiver speaks version 3.3 and cannot be given this.
            item.progress.last_status = status::ESME_RINVMSGLEN;
            return self.finish(
                now,
                slot,
                Ending {
                    state: MessageState::Undeliverable,
                    cause: Cause::NextHopRefused,
                    status: status::ESME_RINVMSGLEN,
                },
                None,
                effects,
            );
        };
        let token = message.id.number();
        let request = link
            .session
            .send_request(now.instant, outgoing.command_id, token);
        let Ok(sequence_number) = request else {
            return self.queue.put_back(now.unix_ms, slot);
        };
        item.progress.attempts = item.progress.attempts.saturating_add(1);
        if item
            .progress
            .next_hop
            .as_ref()
            .is_none_or(|hop| !Arc::ptr_eq(hop, &peer.name))
        {
            item.progress.next_hop = Some(peer.name.clone());
        }
        item.phase = Phase::InFlight;
        item.link = Some(id);
        self.counters.sent += 1;
        self.counters.repeated += u64::from(item.progress.attempts > 1);
        let resolved = match route.map(|route| route.settings.tariff_on_next_hop) {
            Some(TariffOnNextHop::Resolved) => tariff::resolved(&message),
            _ => None,
        };
        let advice = match route.map(|route| route.settings.tariff_on_next_hop) {
            Some(TariffOnNextHop::Unchanged) => message.advice.as_ref(),
            Some(TariffOnNextHop::Resolved) => resolved.as_ref(),
            Some(TariffOnNextHop::Removed) | None => None,
        };
        let validity = if upstream {
            &time::absolute(message.expires_unix_ms)[..]
        } else {
            &[]
        };
        write::message(
            &mut link.out,
            &message,
            Outgoing {
                sequence_number,
                validity_period: validity,
                advice,
                ..outgoing
            },
        );
        // The next message takes another link of this peer, and another peer.
        self.turn = self.turn.wrapping_add(1);
        if peer.free.len() > 1 {
            peer.free.rotate_left(1);
        }
        self.mark_link(id);
    }

    /// Nothing goes to the peer before `until`.
    fn pause_peer(&mut self, index: u32, until: i64) {
        if let Some(peer) = self.peers.get_mut(index as usize)
            && peer.paused_until < until
        {
            self.paused.remove(&(peer.paused_until, index));
            peer.paused_until = until;
            self.paused.insert((until, index));
        }
    }

    /// The next hop answers `deliver_sm`, `submit_sm` or `data_sm`.
    pub(super) fn message_answered(
        &mut self,
        now: Now,
        id: LinkId,
        token: u64,
        frame: &Frame,
        effects: &mut Vec<Effect>,
    ) {
        let Some(slot) = MessageId::new(token).and_then(|id| self.queue.find(id)) else {
            return;
        };
        if frame.command_status != status::ESME_ROK {
            if frame.command_status == status::ESME_RTHROTTLED
                && let Some(peer) = self.links.get(&id.0).and_then(|link| link.peer)
            {
                self.pause_peer(peer, now.unix_ms.saturating_add(THROTTLED_PAUSE_MS));
            }
            return self.message_refused(now, token, frame.command_status, effects);
        }
        let Some(link) = self.links.get_mut(&id.0) else {
            return;
        };
        link.delivered = link.delivered.saturating_add(1);
        let upstream = matches!(link.role, Role::Client { .. });
        let peer = link.peer;
        let Some(item) = self.queue.item(slot) else {
            return;
        };
        if item.phase != Phase::InFlight {
            return;
        }
        let final_on = self
            .router
            .route(item.lane)
            .map_or(FinalOn::Response, |route| route.settings.final_on);
        if upstream
            && final_on == FinalOn::Receipt
            && !item.message.is_receipt()
            && let Some(peer) = peer
        {
            let theirs = read::message_id(frame).to_text();
            if !theirs.is_empty() {
                return self.upstream_has_it(now, slot, peer, &theirs, effects);
            }
            // Without an id no receipt can be told to be its: the answer is all that will be known.
        }
        self.finish(
            now,
            slot,
            Ending {
                state: MessageState::Delivered,
                cause: Cause::Acknowledged,
                status: status::ESME_ROK,
            },
            None,
            effects,
        );
    }

    fn upstream_has_it(
        &mut self,
        now: Now,
        slot: Slot,
        peer_index: u32,
        theirs: &str,
        effects: &mut Vec<Effect>,
    ) {
        let (Some(peer), Some(item)) = (
            self.peers.get_mut(peer_index as usize),
            self.queue.item_mut(slot),
        ) else {
            return;
        };
        let hexadecimal = peer
            .upstream()
            .is_some_and(|upstream| upstream.hexadecimal_ids);
        let theirs: Box<str> = if hexadecimal {
            match u128::from_str_radix(theirs, 16) {
                Ok(number) => number.to_string().into(),
                Err(_) => theirs.into(),
            }
        } else {
            theirs.into()
        };
        let id = item.message.id;
        item.progress.upstream_message_id = Some(theirs.clone());
        item.progress.last_status = status::ESME_ROK;
        let progress = item.progress.clone();
        let reserved_at = item.reserved_at;
        let early = peer.awaited.early.remove(&theirs);
        peer.awaited.by_id.insert(theirs, id);
        self.queue.leave(now.unix_ms, slot);
        if let Some(item) = self.queue.item_mut(slot) {
            item.phase = Phase::AwaitingReceipt;
        }
        self.time_receipt(slot, reserved_at.unwrap_or(i64::MAX));
        self.mark_slot_target(slot);
        self.store(
            Entry::Progress { id, progress },
            Pending::Progress {
                id,
                release: None,
                resume: false,
            },
            effects,
        );
        if let Some(early) = early {
            self.next_hop_reported(now, id, early.state, early.error, None, effects);
        }
    }

    /// Sets when a message whose receipt is awaited is looked at: to renew its reservation of `reserved_at`, or at the
    /// end of the wait.
    pub(super) fn time_receipt(&mut self, slot: Slot, reserved_at: i64) {
        let end = self.receipt_end(slot);
        self.queue
            .set_due(slot, end.min(reserved_at.saturating_add(self.renewal_ms())));
    }

    /// When the receipt of an upstream is no longer waited for.
    pub(super) fn receipt_end(&self, slot: Slot) -> i64 {
        self.queue.item(slot).map_or(0, |item| {
            item.message
                .expires_unix_ms
                .saturating_add(self.settings.timers.upstream_receipt_ms)
        })
    }

    /// The destination of the message may be ready for the next.
    pub(super) fn mark_slot_target(&mut self, slot: Slot) {
        if let Some(target) = self.queue.target(slot) {
            self.mark_target(target);
        }
    }

    /// An upstream has reported the end of a message.
    pub(super) fn next_hop_reported(
        &mut self,
        now: Now,
        id: MessageId,
        state: MessageState,
        error: u32,
        answer: Option<Answer>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(slot) = self.queue.find(id) else {
            return;
        };
        let delivered = matches!(state, MessageState::Delivered | MessageState::Accepted);
        let (cause, status) = if delivered {
            (Cause::Acknowledged, status::ESME_ROK)
        } else {
            (Cause::NextHopFailed, error)
        };
        self.finish(
            now,
            slot,
            Ending {
                state,
                cause,
                status,
            },
            answer,
            effects,
        );
    }

    /// The next hop did not take the message.
    pub(super) fn message_refused(
        &mut self,
        now: Now,
        token: u64,
        command_status: u32,
        effects: &mut Vec<Effect>,
    ) {
        let Some(slot) = MessageId::new(token).and_then(|id| self.queue.find(id)) else {
            return;
        };
        let class = retry::class_of(&self.settings.retry, command_status);
        self.failed(now, slot, class, command_status, effects);
    }

    /// No answer came in time.
    pub(super) fn message_unanswered(&mut self, now: Now, token: u64, effects: &mut Vec<Effect>) {
        self.counters.unanswered += 1;
        if let Some(slot) = MessageId::new(token).and_then(|id| self.queue.find(id)) {
            self.failed(
                now,
                slot,
                ErrorClass::Temporary,
                status::ESME_RUNKNOWNERR,
                effects,
            );
        }
    }

    /// The link over which it was sent is gone.
    pub(super) fn link_lost(&mut self, now: Now, token: u64, effects: &mut Vec<Effect>) {
        let Some(slot) = MessageId::new(token).and_then(|id| self.queue.find(id)) else {
            return;
        };
        self.failed(
            now,
            slot,
            ErrorClass::Absent,
            status::ESME_RINVBNDSTS,
            effects,
        );
    }

    fn failed(
        &mut self,
        now: Now,
        slot: Slot,
        class: ErrorClass,
        command_status: u32,
        effects: &mut Vec<Effect>,
    ) {
        let Some(item) = self.queue.item_mut(slot) else {
            return;
        };
        if item.phase != Phase::InFlight {
            return;
        }
        item.link = None;
        item.progress.last_status = command_status;
        let attempts = item.progress.attempts;
        let next = retry::next(&self.settings.retry, class, attempts);
        let pause = match next {
            Next::Retry(pause) => pause,
            Next::Exhausted | Next::Permanent => {
                let state = if command_status == status::ESME_RX_R_APPN {
                    MessageState::Rejected
                } else {
                    MessageState::Undeliverable
                };
                let cause = if next == Next::Permanent {
                    Cause::NextHopRefused
                } else {
                    Cause::AttemptsExhausted
                };
                return self.finish(
                    now,
                    slot,
                    Ending {
                        state,
                        cause,
                        status: command_status,
                    },
                    None,
                    effects,
                );
            }
        };
        if item.message.expires_unix_ms <= now.unix_ms {
            return self.expire(now, slot, effects);
        }
        // A link that broke says nothing against the message: the first time it is tried again at once.
        let pause = if class == ErrorClass::Absent && attempts <= 1 {
            0
        } else {
            pause
        };
        item.progress.next_attempt_unix_ms = now.unix_ms.saturating_add(pause);
        let release = (item.reserved_at.is_some() && pause > self.settings.timers.credit_hold_ms)
            .then_some(item.progress.reservation);
        if release.is_some() {
            item.progress.reservation = item.progress.reservation.saturating_add(1);
            item.reserved_at = None;
            item.maybe_reserved = false;
        }
        let id = item.message.id;
        let progress = item.progress.clone();
        let message = item.message.clone();
        let owner = item.owner;
        self.queue.put_back(now.unix_ms, slot);
        self.mark_slot_target(slot);
        self.store(
            Entry::Progress { id, progress },
            Pending::Progress {
                id,
                release,
                resume: false,
            },
            effects,
        );
        if attempts == 1
            && pause > 0
            && !message.is_receipt()
            && receipt::is_intermediate_wanted(message.registered_delivery)
        {
            self.notify(now, &message, owner, command_status, effects);
        }
    }

    /// An intermediate notification (SMPP 3.4 section 5.2.17): the first try failed, more follow.
    fn notify(
        &mut self,
        now: Now,
        message: &Arc<Message>,
        owner: u32,
        command_status: u32,
        effects: &mut Vec<Effect>,
    ) {
        if self
            .peers
            .get(owner as usize)
            .is_none_or(|peer| peer.esme().is_none())
        {
            return;
        }
        let id = self.receipt_id();
        let receipt = Report {
            message,
            state: MessageState::Enroute,
            status: command_status,
            at_unix_ms: now.unix_ms,
        }
        .into_receipt(id, self.settings.timers.receipt_validity_ms);
        self.counters.receipts += 1;
        let slot = self.insert(receipt.clone(), owner);
        self.store(
            Entry::Accepted(receipt),
            Pending::Accepted { slot, answer: None },
            effects,
        );
    }

    /// Whether credit control must hold its price before it may go.
    pub(super) fn is_charged_online(&self, slot: Slot) -> bool {
        self.queue.item(slot).is_some_and(|item| {
            credit::costs(&item.message)
                && self.router.route(item.lane).is_some_and(|route| {
                    route.settings.charging == Charging::Online
                        && route.settings.record == RecordRole::Here
                })
        })
    }
}

/// How the message goes out, if it can go there at all. Sequence number, validity and tariff are filled in later.
fn outgoing<'a>(
    message: &Message,
    route: Option<&Route>,
    upstream: bool,
    optional: bool,
) -> Option<Outgoing<'a>> {
    let long_address = message.source.digits.len() > LONGEST_ADDRESS
        || message.destination.digits.len() > LONGEST_ADDRESS;
    let data_sm = long_address || route.is_some_and(|route| route.settings.data_sm);
    if !optional && (data_sm || message.payload.len() > LONGEST_SHORT_MESSAGE) {
        return None;
    }
    let command_id = if data_sm {
        command::DATA_SM
    } else if upstream {
        command::SUBMIT_SM
    } else {
        command::DELIVER_SM
    };
    // SME acknowledgements (bits 2 and 3) are asked of the receiver; receipts (the rest) are our concern, and that
    // of the upstream only if we wait for its own.
    let acknowledgements = message.registered_delivery & 0x0C;
    let wants_receipt = upstream
        && route.is_some_and(|route| route.settings.final_on == FinalOn::Receipt)
        && !message.is_receipt();
    Some(Outgoing {
        command_id,
        sequence_number: 0,
        // SMPP 3.4 section 5.2.12: the messaging mode does not apply to deliver_sm.
        esm_class: if upstream {
            message.esm_class
        } else {
            message.esm_class & !0x03
        },
        registered_delivery: acknowledgements | u8::from(wants_receipt),
        validity_period: &[],
        advice: None,
        optional,
    })
}
