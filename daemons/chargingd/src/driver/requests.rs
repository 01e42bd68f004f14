//! Requests of clients, and whether they are for this instance.

use tollwire_diameter::credit_control::CreditControlRequest;
use tollwire_diameter::{Message, ResultCode, dictionary};
use tollwire_runtime::clock::Now;
use tollwire_runtime::diameter::ReplyTo;

use super::{Asked, Driver};
use crate::core::Core;
use crate::effect::Effect;
use crate::event::Event;
use crate::part::Whereabouts;
use crate::role;

/// Octets of the longest request but for an Accounting-Request: what it says has to fit into one of those.
const LONGEST_REQUEST: usize = 65_536;
/// Octets of the longest Session-Id: what an index can hold.
const LONGEST_SESSION_ID: usize = 1024;

/// A request that is not of an account here, and where its subscriber is.
pub(super) struct Placed {
    reply_to: ReplyTo,
    message: Message,
    request: CreditControlRequest,
    whereabouts: Whereabouts,
}

impl Driver {
    pub(super) fn request(
        &mut self,
        reply_to: ReplyTo,
        message: Message,
        effects: &mut Vec<Effect>,
    ) {
        if message.command_code == dictionary::command::ACCOUNTING
            && let Some(recorder) = &self.recorder
        {
            recorder.request(&self.node, reply_to, message);
            return;
        }
        if message.command_code != dictionary::command::CREDIT_CONTROL {
            let refusal = message.refuse(
                self.node.identity(),
                ResultCode::COMMAND_UNSUPPORTED,
                None,
                None,
            );
            self.node.answer(reply_to, &refusal);
            return;
        }
        let elsewhere = self.role.borrow().refuse(self.node.identity(), &message);
        if let Some(refusal) = elsewhere {
            self.node.answer(reply_to, &refusal);
            return;
        }
        if message.encoded_len() > LONGEST_REQUEST {
            let refusal = message.refuse(
                self.node.identity(),
                ResultCode::INVALID_MESSAGE_LENGTH,
                None,
                None,
            );
            self.node.answer(reply_to, &refusal);
            return;
        }
        match CreditControlRequest::decode(&message) {
            Err(error) => {
                let refusal = message.refuse_undecodable(self.node.identity(), &error);
                self.node.answer(reply_to, &refusal);
            }
            Ok(request) if !is_storable(&request.session_id) => {
                let offender = message.find(&dictionary::SESSION_ID).cloned();
                let code = ResultCode::INVALID_AVP_VALUE;
                let refusal = message.refuse(self.node.identity(), code, offender, None);
                self.node.answer(reply_to, &refusal);
            }
            Ok(request) => self.place(reply_to, message, request, effects),
        }
    }

    /// A request of an account that is here is served; whose another is, the database knows.
    fn place(
        &mut self,
        reply_to: ReplyTo,
        message: Message,
        request: CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) {
        let sought = match &self.overview {
            Some(overview) if !self.core.concerns(&request) => {
                let sought = Core::sought(&request);
                sought.is_somebody().then_some((overview, sought))
            }
            _ => None,
        };
        let Some((overview, sought)) = sought else {
            return self.serve(reply_to, message, request, effects);
        };
        let busy = message.refuse(self.node.identity(), ResultCode::TOO_BUSY, None, None);
        let places = self.places.clone();
        let waits = overview.seek(sought, move |whereabouts| {
            let _ = places.send(Placed {
                reply_to,
                message,
                request,
                whereabouts,
            });
        });
        if !waits {
            self.node.answer(reply_to, &busy);
        }
    }

    pub(super) fn placed(&mut self, placed: Placed, effects: &mut Vec<Effect>) {
        let Placed {
            reply_to,
            message,
            request,
            whereabouts,
        } = placed;
        let identity = self.node.identity();
        let elsewhere = self.role.borrow().refuse(identity, &message);
        let elsewhere = elsewhere.or_else(|| match (whereabouts, &self.overview) {
            (Whereabouts::Part(part), Some(overview)) if part != overview.division().part() => {
                let active = overview.active(part);
                Some(role::send_on(identity, &message, active.as_deref()))
            }
            (Whereabouts::Unknown, _) => {
                Some(message.refuse(identity, ResultCode::TOO_BUSY, None, None))
            }
            _ => None,
        });
        match elsewhere {
            Some(answer) => drop(self.node.answer(reply_to, &answer)),
            None => self.serve(reply_to, message, request, effects),
        }
    }

    fn serve(
        &mut self,
        reply_to: ReplyTo,
        message: Message,
        request: CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) {
        let token = self.next_token();
        let event = Event::CreditControl {
            token,
            request: Box::new(request.clone()),
        };
        self.asked.insert(
            token,
            Asked {
                reply_to,
                message,
                request,
            },
        );
        self.core.handle(Now::read(), event, effects);
    }
}

/// Whether every database can find a session by this name.
fn is_storable(session_id: &str) -> bool {
    session_id.len() <= LONGEST_SESSION_ID && !session_id.contains('\0')
}
