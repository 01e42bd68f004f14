//! Each PDU to who knows what to do with it.

use tollwire_runtime::clock::Now;
use tollwire_smpp::session::{Received, is_message};

use super::Core;
use super::link::Role;
use crate::effect::Effect;
use crate::event::{Frame, LinkId};
use crate::wire::{command, status};

impl Core {
    pub(super) fn frame(&mut self, now: Now, id: LinkId, frame: &Frame, effects: &mut Vec<Effect>) {
        let Some(link) = self.links.get_mut(&id.0) else {
            return;
        };
        if link.closing {
            return;
        }
        let sequence_number = frame.sequence_number;
        match link.session.receive(now.instant, frame) {
            Received::Request => self.request(now, id, frame, effects),
            Received::Response { token, request } => {
                self.response(now, id, token, request, frame, effects);
            }
            Received::Refused(command_status) => {
                self.counters.refused += u64::from(is_message(frame.command_id));
                self.counters.throttled += u64::from(command_status == status::ESME_RTHROTTLED);
                self.counters.malformed += u64::from(command_status == status::ESME_RINVCMDID);
                // SMPP 3.4 section 4.3.1: generic_nack for what is not recognised.
                if let Some(response) = command::response_to(frame.command_id) {
                    self.write_header(id, response, command_status, sequence_number);
                }
            }
            // Too late, or never asked: nothing waits for it.
            Received::Unexpected => {}
        }
    }

    fn request(&mut self, now: Now, id: LinkId, frame: &Frame, effects: &mut Vec<Effect>) {
        let Some(link) = self.links.get(&id.0) else {
            return;
        };
        let server = matches!(link.role, Role::Server { .. });
        let command_id = frame.command_id;
        let sequence_number = frame.sequence_number;
        match command_id {
            command::ENQUIRE_LINK => {
                self.answer(id, command::ENQUIRE_LINK_RESP, 0, sequence_number);
            }
            command::SUBMIT_SM | command::SUBMIT_MULTI => self.submit(now, id, frame, effects),
            command::DATA_SM if server => self.submit(now, id, frame, effects),
            command::DELIVER_SM | command::DATA_SM => {
                self.upstream_delivers(now, id, frame, effects);
            }
            command::QUERY_SM => self.query_sm(id, frame),
            command::CANCEL_SM => self.cancel_sm(now, id, frame, effects),
            command::REPLACE_SM => self.replace_sm(now, id, frame, effects),
            command::UNBIND => {
                self.answer(id, command::UNBIND_RESP, 0, sequence_number);
                self.close(now, id, effects);
            }
            command::BIND_TRANSMITTER | command::BIND_RECEIVER | command::BIND_TRANSCEIVER => {
                self.bind(now, id, frame, effects)
            }
            // alert_notification has no answer (SMPP 3.4 section 4.12), and outbind neither (section 4.1.7): we bind
            // to our upstreams without being asked.
            command::ALERT_NOTIFICATION | command::OUTBIND => {}
            _ => {
                // broadcast_sm and its like: we have no cells to broadcast to.
                self.counters.refused += 1;
                let response = command_id | command::RESPONSE;
                self.answer(id, response, status::ESME_RPROHIBITED, sequence_number);
            }
        }
    }

    /// The stream is broken: it is said, and the connection ends, because nothing after it can be trusted (SMPP 3.4
    /// section 4.3.1).
    pub(super) fn framing_failed(
        &mut self,
        now: Now,
        id: LinkId,
        sequence_number: Option<u32>,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.malformed += 1;
        self.answer(
            id,
            command::GENERIC_NACK,
            status::ESME_RINVCMDLEN,
            sequence_number.unwrap_or(0),
        );
        self.close(now, id, effects);
    }

    fn response(
        &mut self,
        now: Now,
        id: LinkId,
        token: u64,
        request: u32,
        frame: &Frame,
        effects: &mut Vec<Effect>,
    ) {
        let nack = frame.command_id == command::GENERIC_NACK;
        match request {
            command::BIND_TRANSMITTER | command::BIND_RECEIVER | command::BIND_TRANSCEIVER => {
                self.bind_answered(now, id, effects)
            }
            request if is_message(request) && nack => {
                // The message was not taken.
                let status = match frame.command_status {
                    status::ESME_ROK => status::ESME_RUNKNOWNERR,
                    status => status,
                };
                self.message_refused(now, token, status, effects);
            }
            request if is_message(request) => {
                self.message_answered(now, id, token, frame, effects);
            }
            _ => {}
        }
        self.mark_link(id);
        self.link_may_have_room(id);
    }
}
