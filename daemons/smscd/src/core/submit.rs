//! `submit_sm`, `submit_multi` and `data_sm` of ESMEs, and what upstreams deliver to us.

use std::sync::Arc;

use bytes::Bytes;
use tollwire_runtime::clock::Now;
use tollwire_smpp::data_coding;
use tollwire_smpp::pdu::{self, DestAddress};

use super::Core;
use super::stored::{Answer, Pending, Unsuccessful};
use crate::effect::Effect;
use crate::entry::Entry;
use crate::esme::EarlyReceipt;
use crate::event::{Frame, LinkId, StoreFailure};
use crate::message::{Address, Batch, Charge, Kind, Message, MessageId, Progress, Tlv};
use crate::queue::{Phase, Slot, footprint};
use crate::receipt;
use crate::settings::OnBadTariff;
use crate::wire::read::{self, Status, Submission};
use crate::wire::{command, status, tag, time};

/// Most octets of `short_message` (SMPP 3.4 section 5.2.21).
const MAX_SHORT_MESSAGE: usize = 254;

/// A request that submits.
#[derive(Debug, Clone, Copy)]
struct Origin {
    link: LinkId,
    peer: u32,
    command_id: u32,
    sequence_number: u32,
}

impl Origin {
    fn answer(self) -> Answer {
        Answer {
            link: self.link,
            command_id: self.command_id | command::RESPONSE,
            sequence_number: self.sequence_number,
        }
    }
}

impl Core {
    /// A request of an ESME that submits.
    pub(super) fn submit(
        &mut self,
        now: Now,
        link: LinkId,
        frame: &Frame,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(status) = self.try_submit(now, link, frame, effects) {
            self.refuse(link, frame, status);
        }
    }

    /// A `deliver_sm` or `data_sm` of an upstream: a receipt, or a message for somebody here.
    pub(super) fn upstream_delivers(
        &mut self,
        now: Now,
        id: LinkId,
        frame: &Frame,
        effects: &mut Vec<Effect>,
    ) {
        let result = match read::submission(frame) {
            Ok(submission)
                if submission.esm_class & receipt::ESM_CLASS_TYPE == receipt::ESM_CLASS_RECEIPT =>
            {
                self.upstream_receipt(now, id, frame, &submission, effects)
            }
            // An intermediate notification changes nothing here; the final receipt follows.
            Ok(submission) if submission.esm_class & receipt::ESM_CLASS_INTERMEDIATE != 0 => {
                Err(status::ESME_ROK)
            }
            Ok(_) => self.try_submit(now, id, frame, effects),
            Err(status) => Err(status),
        };
        if let Err(status) = result {
            self.refuse(id, frame, status);
        }
    }

    fn refuse(&mut self, id: LinkId, frame: &Frame, status: Status) {
        if status != status::ESME_ROK {
            self.counters.refused += 1;
            self.counters.throttled += u64::from(status == status::ESME_RTHROTTLED);
        }
        let response = frame.command_id | command::RESPONSE;
        // SMPP 3.4 section 4.6.2: deliver_sm_resp always has a (NULL) message_id; the others have no body with an
        // error.
        if status == status::ESME_ROK {
            self.answer_with_id(
                Answer {
                    link: id,
                    command_id: response,
                    sequence_number: frame.sequence_number,
                },
                None,
            );
        } else {
            self.answer(id, response, status, frame.sequence_number);
        }
    }

    /// The status for the answer of a request that comes while nothing can be stored.
    pub(super) fn store_status(&self) -> Result<(), Status> {
        match self.store_failure {
            None => Ok(()),
            Some(StoreFailure::Full) => Err(status::ESME_RMSGQFUL),
            Some(StoreFailure::Broken) => Err(status::ESME_RSYSERR),
        }
    }

    fn try_submit(
        &mut self,
        now: Now,
        id: LinkId,
        frame: &Frame,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Status> {
        let link = self.links.get_mut(&id.0).ok_or(status::ESME_RINVBNDSTS)?;
        let peer_index = link.peer.ok_or(status::ESME_RINVBNDSTS)?;
        self.store_status()?;
        if self.space_low {
            return Err(status::ESME_RMSGQFUL);
        }
        let limits = &self.settings.limits;
        let peer = self
            .peers
            .get_mut(peer_index as usize)
            .ok_or(status::ESME_RINVBNDSTS)?;
        if self.pending.len() >= limits.max_unstored as usize
            || !peer.inbound.take(peer.inbound_rate(), now.unix_ms)
        {
            return Err(status::ESME_RTHROTTLED);
        }
        let origin = Origin {
            link: id,
            peer: peer_index,
            command_id: frame.command_id,
            sequence_number: frame.sequence_number,
        };
        let submission = read::submission(frame)?;
        if frame.command_id == command::SUBMIT_MULTI {
            return self.accept_multi(now, origin, &submission, effects);
        }
        if submission.destination.digits.is_empty() {
            return Err(status::ESME_RINVDSTADR);
        }
        let mut message = self.draft(now, origin, &submission)?;
        message.destination = address(submission.destination);
        let lane = self.admissible(&mut message, origin.peer, 1)?;
        if submission.replace_if_present_flag == 1
            && let Some(present) = self.present(lane, &message)
        {
            return self.replace_present(now, present, message, origin.answer(), effects);
        }
        message.id = self.take_id();
        let message = Arc::new(message);
        let slot = self.insert(message.clone(), origin.peer);
        self.count_received(origin.link);
        self.store(
            Entry::Accepted(message),
            Pending::Accepted {
                slot,
                answer: Some(origin.answer()),
            },
            effects,
        );
        Ok(())
    }

    fn accept_multi(
        &mut self,
        now: Now,
        origin: Origin,
        submission: &Submission<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Status> {
        let count = submission.destinations.count();
        if count == 0 || count > usize::from(self.settings.limits.max_destinations) {
            return Err(status::ESME_RINVNUMDESTS);
        }
        let draft = self.draft(now, origin, submission)?;
        let mut messages = Vec::with_capacity(count);
        let mut unsuccessful = Unsuccessful::default();
        for destination in submission.destinations.iter() {
            let (view, result) = match destination {
                // Distribution lists are kept by no SMSC of ours.
                DestAddress::DistributionList(_) => (None, Err(status::ESME_RINVDLNAME)),
                DestAddress::Sme(view) if view.digits.is_empty() => {
                    (Some(view), Err(status::ESME_RINVDSTADR))
                }
                DestAddress::Sme(view) => {
                    let mut message = draft.clone();
                    message.destination = address(view);
                    let more = u32::try_from(messages.len()).unwrap_or(u32::MAX);
                    let result = self
                        .admissible(&mut message, origin.peer, more.saturating_add(1))
                        .map(|_| message);
                    (Some(view), result)
                }
            };
            match result {
                Ok(message) => messages.push(message),
                Err(status) => unsuccessful.add(view, status),
            }
        }
        let Some(accepted) = u8::try_from(messages.len()).ok().filter(|count| *count > 0) else {
            // SMPP 3.4 section 4.5: none was taken.
            return Err(unsuccessful
                .first_status()
                .unwrap_or(status::ESME_RSUBMITFAIL));
        };
        let first = self.take_id();
        let mut slots = Vec::with_capacity(messages.len());
        let messages: Box<[Arc<Message>]> = messages
            .into_iter()
            .enumerate()
            .map(|(index, mut message)| {
                message.id = if index == 0 { first } else { self.take_id() };
                message.batch = Some(Batch {
                    first,
                    count: accepted,
                });
                let message = Arc::new(message);
                slots.push(self.insert(message.clone(), origin.peer));
                message
            })
            .collect();
        self.count_received(origin.link);
        self.store(
            Entry::AcceptedTogether(messages),
            Pending::AcceptedTogether {
                slots: slots.into(),
                answer: origin.answer(),
                unsuccessful: Box::new(unsuccessful),
            },
            effects,
        );
        Ok(())
    }

    /// The message that a submission makes, but for its id, destination and charge.
    fn draft(
        &self,
        now: Now,
        origin: Origin,
        submission: &Submission<'_>,
    ) -> Result<Message, Status> {
        let peer = self
            .peers
            .get(origin.peer as usize)
            .ok_or(status::ESME_RSYSERR)?;
        check_flags(submission)?;
        let mut source = address(submission.source);
        if source.digits.is_empty()
            && let Some(default) = peer.esme().and_then(|esme| esme.default_source.clone())
        {
            source.digits = default;
        }
        if !peer.may_send_as(&source.digits) {
            return Err(status::ESME_RINVSRCADR);
        }
        let (schedule_unix_ms, expires_unix_ms) = self.times(now, submission)?;
        let from_tlv = submission.tlvs.value(tag::MESSAGE_PAYLOAD);
        let payload = match from_tlv {
            Some(payload) if submission.short_message.is_empty() => payload,
            // SMPP 3.4 section 5.3.2.32: one or the other.
            Some(_) => return Err(status::ESME_ROPTPARNOTALLWD),
            None => submission.short_message,
        };
        if from_tlv.is_none() && payload.len() > MAX_SHORT_MESSAGE {
            return Err(status::ESME_RINVMSGLEN);
        }
        let (tariff_tag, on_bad_tariff) = match peer.tariff() {
            Some((tag, _, on_bad)) => (Some(tag), on_bad),
            None => (None, OnBadTariff::Refuse),
        };
        let mut tlvs = Vec::new();
        let mut advice = None;
        for tollwire_smpp::Tlv { tag, value } in submission.tlvs {
            let tlv = || Tlv {
                tag,
                value: Bytes::copy_from_slice(value),
            };
            if Some(tag) == tariff_tag {
                if advice.is_none() {
                    advice = Some(tlv());
                } else if on_bad_tariff == OnBadTariff::Carry {
                    tlvs.push(tlv());
                } else {
                    // Two tariffs are no tariff: which one counts would be a guess.
                    return Err(status::ESME_RINVOPTPARAMVAL);
                }
            } else if !matches!(tag, tag::MESSAGE_PAYLOAD | tag::QOS_TIME_TO_LIVE) {
                tlvs.push(tlv());
            }
        }
        Ok(Message {
            id: MessageId::MAX,
            batch: None,
            submitter: peer.name.clone(),
            kind: Kind::Short,
            service_type: submission.service_type.to_text().into(),
            source,
            destination: Address {
                ton: 0,
                npi: 0,
                digits: Box::default(),
            },
            esm_class: submission.esm_class,
            protocol_id: submission.protocol_id,
            priority_flag: submission.priority_flag,
            registered_delivery: submission.registered_delivery,
            data_coding: submission.data_coding,
            sm_default_msg_id: 0,
            segments: data_coding::segments(submission.data_coding, submission.esm_class, payload),
            payload: Bytes::copy_from_slice(payload),
            payload_as_tlv: from_tlv.is_some(),
            data_sm: origin.command_id == command::DATA_SM,
            tlvs,
            advice,
            accepted_unix_ms: now.unix_ms,
            schedule_unix_ms,
            expires_unix_ms,
            charge: None,
        })
    }

    /// When it is to be delivered first, and the end of its validity.
    fn times(&self, now: Now, submission: &Submission<'_>) -> Result<(Option<i64>, i64), Status> {
        let timers = &self.settings.timers;
        let schedule = time::schedule_delivery_time(
            submission.schedule_delivery_time.as_bytes(),
            now.unix_ms,
        )?;
        if schedule.is_some_and(|at| at > now.unix_ms.saturating_add(timers.max_validity_ms)) {
            return Err(status::ESME_RINVSCHED);
        }
        let schedule = schedule.filter(|at| *at > now.unix_ms);
        let from = schedule.unwrap_or(now.unix_ms);
        let latest = from.saturating_add(timers.max_validity_ms);
        // SMPP 3.4 section 5.3.2.18: for data_sm, whose PDU has no validity_period; SMPP 5.0 lets it win everywhere.
        let seconds = match submission.tlvs.find(tag::QOS_TIME_TO_LIVE) {
            None => None,
            Some(tlv) => Some(tlv.u32().map_err(|invalid| invalid.command_status)?),
        };
        let validity = time::validity_period(submission.validity_period.as_bytes(), now.unix_ms)?;
        let expires = match (seconds, validity) {
            (Some(seconds), _) => now.unix_ms.saturating_add(i64::from(seconds) * 1000),
            (None, Some(at)) => at,
            (None, None) => from.saturating_add(timers.default_validity_ms),
        };
        if expires <= from {
            return Err(status::ESME_RINVEXPIRY);
        }
        Ok((schedule, expires.min(latest)))
    }

    /// Whether there is a route and room; sets the charge. Returns the lane.
    fn admissible(&self, message: &mut Message, peer: u32, more: u32) -> Result<u32, Status> {
        let lane = self
            .router
            .find(peer, &message.destination.digits)
            .ok_or(status::ESME_RINVDSTADR)?;
        let route = self.router.route(lane).ok_or(status::ESME_RINVDSTADR)?;
        message.charge = self.charge(message, peer, route.settings.default_charge.as_ref())?;
        let limits = &self.settings.limits;
        let peer = self.peers.get(peer as usize).ok_or(status::ESME_RSYSERR)?;
        let full = self.kept().saturating_add(more as usize) > limits.max_messages as usize
            || self.queue.octets().saturating_add(footprint(message)) > limits.max_octets
            || peer.messages.saturating_add(more) > peer.max_messages()
            || self.queue.depth(lane, &message.destination) >= limits.max_per_destination;
        if full {
            return Err(status::ESME_RMSGQFUL);
        }
        Ok(lane)
    }

    /// What the message costs: by its tariff, or by its route.
    fn charge(
        &self,
        message: &Message,
        peer: u32,
        default: Option<&Charge>,
    ) -> Result<Option<Charge>, Status> {
        let peer = self.peers.get(peer as usize).ok_or(status::ESME_RSYSERR)?;
        let (Some(advice), Some((_, format, on_bad))) = (message.advice.as_ref(), peer.tariff())
        else {
            return Ok(default.cloned());
        };
        if message.tlvs.iter().any(|tlv| tlv.tag == advice.tag) {
            return Ok(None);
        }
        let tariffs = &self.settings.tariffs;
        match tariffs.charge(format, &advice.value, message.accepted_unix_ms) {
            Ok(charge) if peer.may_name(&charge.payer) => Ok(Some(charge)),
            // Who may not be named is not charged, whatever becomes of tariffs that cannot be read.
            Ok(_) => Err(status::ESME_RINVOPTPARAMVAL),
            Err(_) if on_bad == OnBadTariff::Carry => Ok(None),
            Err(_) => Err(status::ESME_RINVOPTPARAMVAL),
        }
    }

    fn take_id(&mut self) -> MessageId {
        let id = MessageId::new(self.next_id).unwrap_or(MessageId::MAX);
        self.next_id = self.next_id.saturating_add(1);
        id
    }

    /// A name for a receipt.
    pub(super) fn receipt_id(&mut self) -> MessageId {
        self.take_id()
    }

    /// Keeps a message that is on its way to the disk.
    pub(super) fn insert(&mut self, message: Arc<Message>, owner: u32) -> Slot {
        let carried = message.advice.is_some() && message.charge.is_none();
        let slot = self
            .queue
            .insert(message, Progress::default(), Phase::Storing);
        if let Some(item) = self.queue.item_mut(slot) {
            item.owner = owner;
        }
        if let Some(peer) = self.peers.get_mut(owner as usize) {
            peer.messages = peer.messages.saturating_add(1);
        }
        self.counters.bad_tariffs += u64::from(carried);
        slot
    }

    pub(super) fn count_received(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id.0) {
            link.received = link.received.saturating_add(1);
        }
    }

    /// The receipt of an upstream for a message of ours.
    fn upstream_receipt(
        &mut self,
        now: Now,
        id: LinkId,
        frame: &Frame,
        submission: &Submission<'_>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Status> {
        self.store_status()?;
        let peer = self
            .links
            .get(&id.0)
            .and_then(|link| link.peer)
            .and_then(|peer| self.peers.get_mut(peer as usize))
            .ok_or(status::ESME_RSYSERR)?;
        let Some(received) = receipt::read(submission) else {
            self.counters.receipts_unmatched += 1;
            return Err(status::ESME_ROK);
        };
        if !received.state.is_final() {
            return Err(status::ESME_ROK);
        }
        let Some(message) = peer.awaited.by_id.get(&*received.id).copied() else {
            // It may have overtaken the answer that names its message.
            peer.awaited.keep_early(
                &received.id,
                EarlyReceipt {
                    state: received.state,
                    error: received.error,
                },
            );
            self.counters.receipts_unmatched += 1;
            return Err(status::ESME_ROK);
        };
        let answer = Answer {
            link: id,
            command_id: frame.command_id | command::RESPONSE,
            sequence_number: frame.sequence_number,
        };
        self.count_received(id);
        self.next_hop_reported(
            now,
            message,
            received.state,
            received.error,
            Some(answer),
            effects,
        );
        Ok(())
    }
}

/// What the flags may not be here, beyond what the codec refuses.
fn check_flags(submission: &Submission<'_>) -> Result<(), Status> {
    // Transaction mode would have the answer wait for the delivery; we store and forward.
    if submission.esm_class & 0x03 == 2 {
        return Err(status::ESME_RINVESMCLASS);
    }
    // No messages are predefined here.
    if submission.sm_default_msg_id != 0 {
        return Err(status::ESME_RINVDFTMSGID);
    }
    Ok(())
}

pub(super) fn address(view: pdu::Address<'_>) -> Address {
    Address {
        ton: view.ton,
        npi: view.npi,
        digits: view.digits.to_text().into(),
    }
}
