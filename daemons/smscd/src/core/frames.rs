//! Each PDU to who knows what to do with it.

use tollwire_runtime::clock::Now;

use super::Core;
use super::link::{Mode, Role, State};
use crate::effect::Effect;
use crate::event::{Frame, LinkId};
use crate::wire::{command, status};

impl Core {
    pub(super) fn frame(&mut self, now: Now, id: LinkId, frame: &Frame, effects: &mut Vec<Effect>) {
        let Some(link) = self.links.get_mut(&id.0) else {
            return;
        };
        if link.state == State::Closing {
            return;
        }
        link.heard(now.instant);
        let sequence_number = frame.sequence_number;
        if frame.command_id & command::RESPONSE != 0 {
            return self.response(now, id, frame, effects);
        }
        let server = matches!(link.role, Role::Server { .. });
        let may_submit = server && link.may_submit();
        let from_upstream = !server && matches!(link.state, State::Bound(_));
        match frame.command_id {
            command::ENQUIRE_LINK => {
                self.answer(
                    id,
                    command::ENQUIRE_LINK | command::RESPONSE,
                    0,
                    sequence_number,
                );
            }
            command::SUBMIT_SM | command::SUBMIT_MULTI if may_submit => {
                self.submit(now, id, frame, effects);
            }
            command::DATA_SM if may_submit => self.submit(now, id, frame, effects),
            command::DELIVER_SM | command::DATA_SM if from_upstream => {
                self.upstream_delivers(now, id, frame, effects);
            }
            command::QUERY_SM if may_submit => self.query_sm(id, frame),
            command::CANCEL_SM if may_submit => self.cancel_sm(now, id, frame, effects),
            command::REPLACE_SM if may_submit => self.replace_sm(now, id, frame, effects),
            command::UNBIND if matches!(link.state, State::Bound(_)) => {
                self.answer(id, command::UNBIND | command::RESPONSE, 0, sequence_number);
                self.close(now, id, effects);
            }
            // alert_notification has no answer (SMPP 3.4 section 4.12); outbind neither (section 4.1.7).
            command::ALERT_NOTIFICATION | command::OUTBIND => {}
            command_id => {
                if let Some(mode) = Mode::from_command(command_id) {
                    return self.bind(now, id, mode, frame, effects);
                }
                let known = matches!(
                    command_id,
                    command::SUBMIT_SM
                        | command::SUBMIT_MULTI
                        | command::DATA_SM
                        | command::DELIVER_SM
                        | command::QUERY_SM
                        | command::CANCEL_SM
                        | command::REPLACE_SM
                        | command::UNBIND
                );
                if known {
                    let response = command_id | command::RESPONSE;
                    self.answer(id, response, status::ESME_RINVBNDSTS, sequence_number);
                } else {
                    // SMPP 3.4 section 4.3.1: generic_nack for what is not recognised.
                    self.counters.malformed += 1;
                    self.answer(
                        id,
                        command::GENERIC_NACK,
                        status::ESME_RINVCMDID,
                        sequence_number,
                    );
                }
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

    fn response(&mut self, now: Now, id: LinkId, frame: &Frame, effects: &mut Vec<Effect>) {
        let Some(link) = self.links.get_mut(&id.0) else {
            return;
        };
        let Some(token) = link.answered(frame.sequence_number) else {
            // Too late, or never asked: nothing waits for it.
            return;
        };
        let state = link.state;
        match frame.command_id & !command::RESPONSE {
            command::SUBMIT_SM | command::DELIVER_SM | command::DATA_SM => {
                self.message_answered(now, id, token, frame, effects);
            }
            request => {
                if token != 0 {
                    // generic_nack, or an answer to something else: the message was not taken.
                    let status = match frame.command_status {
                        status::ESME_ROK => status::ESME_RUNKNOWNERR,
                        status => status,
                    };
                    self.message_refused(now, token, status, effects);
                } else if let State::Binding(mode) = state {
                    if Mode::from_command(request).is_some() {
                        self.bind_answered(now, id, mode, frame, effects);
                    } else {
                        self.close(now, id, effects);
                    }
                }
            }
        }
        self.mark_link(id);
        self.link_may_have_room(id);
    }
}
