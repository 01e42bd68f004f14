//! `query_sm`, `cancel_sm`, `replace_sm` and `replace_if_present_flag`: an ESME's own messages, never another's.

use std::sync::Arc;

use bytes::Bytes;
use tollwire_runtime::clock::Now;
use tollwire_smpp::data_coding;
use tollwire_smpp::pdu::{self, CancelSm, QuerySm};
use tollwire_smpp::{COctetString, Pdu};

use super::Core;
use super::finish::Ending;
use super::stored::{Answer, Pending};
use crate::effect::Effect;
use crate::entry::{Cause, Entry};
use crate::event::{Frame, LinkId};
use crate::message::{Message, MessageId, MessageState};
use crate::queue::{Phase, Slot};
use crate::wire::read::{self, Status};
use crate::wire::{command, status, tag, time, write};

/// Messages that one `cancel_sm` without a message id takes back at most.
const MAX_CANCELLED: usize = 1000;

impl Core {
    pub(super) fn query_sm(&mut self, id: LinkId, frame: &Frame) {
        let response = command::QUERY_SM | command::RESPONSE;
        let found = read::pdu(frame).and_then(|pdu| match pdu {
            Pdu::QuerySm(query) => self.query(id, &query).map(|found| (query, found)),
            _ => Err(status::ESME_RQUERYFAIL),
        });
        let (query, (state, final_unix_ms, error)) = match found {
            Ok(found) => found,
            Err(status) => return self.answer(id, response, status, frame.sequence_number),
        };
        let Some(link) = self.links.get_mut(&id.0) else {
            return;
        };
        link.session.responded(command::QUERY_SM, status::ESME_ROK);
        // SMPP 3.4 table 4-18.
        let out = &mut link.out;
        let started = write::start(out, response, status::ESME_ROK, frame.sequence_number);
        out.extend_from_slice(query.message_id.as_bytes());
        out.push(0);
        if let Some(at) = final_unix_ms {
            out.extend_from_slice(&time::absolute(at));
        }
        out.push(0);
        out.extend_from_slice(&[state.number(), error]);
        write::finish(out, started);
        self.mark_link(id);
    }

    fn query(
        &self,
        link: LinkId,
        query: &QuerySm<'_>,
    ) -> Result<(MessageState, Option<i64>, u8), Status> {
        let id = message_id(query.message_id).ok_or(status::ESME_RQUERYFAIL)?;
        // error_code is a network's own octet (SMPP 3.4 section 5.2.31): what fits of the status.
        let code = |status: u32| u8::try_from(status).unwrap_or(0xFF);
        if let Some(item) = self.queue.find(id).and_then(|slot| self.queue.item(slot)) {
            self.check_own(link, &item.message, query.source)
                .map_err(|()| status::ESME_RQUERYFAIL)?;
            let state = if item.phase == Phase::Scheduled {
                MessageState::Scheduled
            } else {
                MessageState::Enroute
            };
            return Ok((state, None, code(item.progress.last_status)));
        }
        let ended = self.remembered.find(id).ok_or(status::ESME_RQUERYFAIL)?;
        self.check_own(link, &ended.message, query.source)
            .map_err(|()| status::ESME_RQUERYFAIL)?;
        Ok((ended.state, Some(ended.at_unix_ms), code(ended.status)))
    }

    /// Whether the message is one of the ESME behind the link, and was sent from `source` (SMPP 3.4 sections 4.8 to
    /// 4.10). A NULL source stands for the one that the ESME has by default.
    fn check_own(
        &self,
        link: LinkId,
        message: &Message,
        source: pdu::Address<'_>,
    ) -> Result<(), ()> {
        let peer = self
            .links
            .get(&link.0)
            .and_then(|link| link.peer)
            .and_then(|peer| self.peers.get(peer as usize))
            .ok_or(())?;
        let default = peer
            .esme()
            .and_then(|esme| esme.default_source.as_deref())
            .unwrap_or_default();
        let digits = if source.digits.is_empty() {
            default.into()
        } else {
            source.digits.to_text()
        };
        if peer.name == message.submitter
            && !message.is_receipt()
            && *message.source.digits == digits
        {
            Ok(())
        } else {
            Err(())
        }
    }

    pub(super) fn cancel_sm(
        &mut self,
        now: Now,
        id: LinkId,
        frame: &Frame,
        effects: &mut Vec<Effect>,
    ) {
        let response = command::CANCEL_SM | command::RESPONSE;
        let slots = self
            .store_status()
            .and_then(|()| read::pdu(frame))
            .and_then(|pdu| match pdu {
                Pdu::CancelSm(cancel) => self.cancellable(id, &cancel),
                _ => Err(status::ESME_RCANCELFAIL),
            });
        let slots = match slots {
            Ok(slots) => slots,
            Err(status) => return self.answer(id, response, status, frame.sequence_number),
        };
        let last = slots.len().saturating_sub(1);
        for (index, slot) in slots.into_iter().enumerate() {
            // The answer comes when the last is stored, and so are all before it.
            let answer = (index == last).then_some(Answer {
                link: id,
                command_id: response,
                sequence_number: frame.sequence_number,
            });
            self.finish(
                now,
                slot,
                Ending {
                    state: MessageState::Deleted,
                    cause: Cause::Cancelled,
                    status: status::ESME_ROK,
                },
                answer,
                effects,
            );
        }
    }

    /// What a `cancel_sm` takes back: one message, those of one `submit_multi`, or without an id all that match (SMPP
    /// 3.4 section 4.9).
    fn cancellable(&self, link: LinkId, cancel: &CancelSm<'_>) -> Result<Vec<Slot>, Status> {
        let failed = status::ESME_RCANCELFAIL;
        let slots: Vec<Slot> = if cancel.message_id.is_empty() {
            let peer = self
                .links
                .get(&link.0)
                .and_then(|link| link.peer)
                .ok_or(failed)?;
            let destination = super::submit::address(cancel.destination);
            let lane = self.router.find(peer, &destination.digits).ok_or(failed)?;
            self.queue
                .waiting(lane, &destination)
                .filter(|slot| {
                    self.queue.item(*slot).is_some_and(|item| {
                        self.check_own(link, &item.message, cancel.source).is_ok()
                            && (cancel.service_type.is_empty()
                                || *item.message.service_type == cancel.service_type.to_text())
                    })
                })
                .take(MAX_CANCELLED)
                .collect()
        } else {
            let first = message_id(cancel.message_id).ok_or(status::ESME_RINVMSGID)?;
            self.same_batch(first)
                .filter(|slot| {
                    self.queue.item(*slot).is_some_and(|item| {
                        is_at_rest(item.phase)
                            && self.check_own(link, &item.message, cancel.source).is_ok()
                            && (cancel.destination.digits.is_empty()
                                || *item.message.destination.digits
                                    == cancel.destination.digits.to_text())
                    })
                })
                .collect()
        };
        if slots.is_empty() {
            return Err(failed);
        }
        Ok(slots)
    }

    /// The message that an ESME knows by this id; after a `submit_multi`, all of them.
    fn same_batch(&self, first: MessageId) -> impl Iterator<Item = Slot> + '_ {
        // Its first message may be over already: then any of the next ones tells.
        (0..=u64::from(u8::MAX))
            .map_while(move |step| {
                let id = MessageId::new(first.number().checked_add(step)?)?;
                match self.queue.find(id) {
                    None => Some(None),
                    Some(slot) => {
                        let item = self.queue.item(slot)?;
                        (item.message.public_id() == first).then_some(Some(slot))
                    }
                }
            })
            .flatten()
    }

    pub(super) fn replace_sm(
        &mut self,
        now: Now,
        id: LinkId,
        frame: &Frame,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(status) = self.try_replace(now, id, frame, effects) {
            self.answer(
                id,
                command::REPLACE_SM | command::RESPONSE,
                status,
                frame.sequence_number,
            );
        }
    }

    fn try_replace(
        &mut self,
        now: Now,
        id: LinkId,
        frame: &Frame,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Status> {
        self.store_status()?;
        let Pdu::ReplaceSm(replace) = read::pdu(frame)? else {
            return Err(status::ESME_RREPLACEFAIL);
        };
        let failed = status::ESME_RREPLACEFAIL;
        let slot = message_id(replace.message_id)
            .and_then(|id| self.queue.find(id))
            .ok_or(failed)?;
        let item = self.queue.item(slot).ok_or(failed)?;
        if !matches!(item.phase, Phase::Waiting | Phase::Scheduled) {
            return Err(failed);
        }
        self.check_own(id, &item.message, replace.source)
            .map_err(|()| failed)?;
        if replace.sm_default_msg_id != 0 {
            return Err(status::ESME_RINVDFTMSGID);
        }
        // SMPP 5.0 section 4.5.3: message_payload in place of short_message.
        let payload = replace.tlvs.value(tag::MESSAGE_PAYLOAD);
        if payload.is_none() && replace.short_message.len() > 254 {
            return Err(status::ESME_RINVMSGLEN);
        }
        let mut message = (*item.message).clone();
        // SMPP 3.4 section 4.10.1: a NULL time leaves the one that it had.
        let max_validity = self.settings.timers.max_validity_ms;
        let schedule = replace.schedule_delivery_time.as_bytes();
        if let Some(at) = time::schedule_delivery_time(schedule, now.unix_ms)? {
            if at > now.unix_ms.saturating_add(max_validity) {
                return Err(status::ESME_RINVSCHED);
            }
            message.schedule_unix_ms = Some(at);
        }
        let validity = replace.validity_period.as_bytes();
        if let Some(at) = time::validity_period(validity, now.unix_ms)? {
            let from = message.schedule_unix_ms.unwrap_or(0).max(now.unix_ms);
            if at <= from {
                return Err(status::ESME_RINVEXPIRY);
            }
            message.expires_unix_ms = at.min(from.saturating_add(max_validity));
        }
        message.registered_delivery = replace.registered_delivery;
        let payload_octets = payload.unwrap_or(replace.short_message);
        message.payload = Bytes::copy_from_slice(payload_octets);
        message.segments =
            data_coding::segments(message.data_coding, message.esm_class, payload_octets);
        message.payload_as_tlv = payload.is_some();
        let answer = Answer {
            link: id,
            command_id: command::REPLACE_SM | command::RESPONSE,
            sequence_number: frame.sequence_number,
        };
        self.exchange(now, slot, message, answer, effects);
        Ok(())
    }

    /// A message of the same ESME, source, destination and `service_type` that waits (SMPP 3.4 section 5.2.18).
    pub(super) fn present(&self, lane: u32, message: &Message) -> Option<Slot> {
        self.queue.waiting(lane, &message.destination).find(|slot| {
            self.queue.item(*slot).is_some_and(|item| {
                let other = &item.message;
                other.submitter == message.submitter
                    && other.source == message.source
                    && other.service_type == message.service_type
                    && !other.is_receipt()
            })
        })
    }

    /// The message that waits gets the content of the new one and keeps its id and its place.
    pub(super) fn replace_present(
        &mut self,
        now: Now,
        slot: Slot,
        mut message: Message,
        answer: Answer,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Status> {
        let present = self.queue.item(slot).ok_or(status::ESME_RSUBMITFAIL)?;
        message.id = present.message.id;
        message.batch = present.message.batch;
        self.exchange(now, slot, message, answer, effects);
        Ok(())
    }

    /// The message does not move until its new content is stored.
    fn exchange(
        &mut self,
        now: Now,
        slot: Slot,
        message: Message,
        answer: Answer,
        effects: &mut Vec<Effect>,
    ) {
        self.mark_slot_target(slot);
        self.queue.leave(now.unix_ms, slot);
        if let Some(item) = self.queue.item_mut(slot) {
            item.phase = Phase::Storing;
        }
        let message = Arc::new(message);
        self.store(
            Entry::Replaced(message.clone()),
            Pending::Replaced { message, answer },
            effects,
        );
    }

    /// The new content is stored.
    pub(super) fn replaced(&mut self, now: Now, message: Arc<Message>, answer: Answer) {
        let id = message.public_id();
        if let Some(slot) = self.queue.find(message.id) {
            self.queue.replace(slot, message);
            self.admit(now, slot);
        }
        if answer.command_id == command::REPLACE_SM | command::RESPONSE {
            self.answer(
                answer.link,
                answer.command_id,
                status::ESME_ROK,
                answer.sequence_number,
            );
        } else {
            self.answer_with_id(answer, Some(id));
        }
    }
}

/// Whether nothing is under way that could not be undone.
fn is_at_rest(phase: Phase) -> bool {
    matches!(phase, Phase::Waiting | Phase::Scheduled | Phase::Stranded)
}

/// The message that this names, if it names one.
fn message_id(text: COctetString<'_>) -> Option<MessageId> {
    text.as_ascii()?.parse().ok()
}
