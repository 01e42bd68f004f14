//! CANCEL (RFC 3261 9.2, 16.10).

use super::context::Supervision;
use crate::calls::CallEvent;
use crate::core::Core;
use crate::effect::Effect;
use crate::services::Services;
use tollwire_runtime::clock::Now;
use tollwire_sip::Message;
use tollwire_sip::transaction::{ClientTransactionId, ServerTransactionId};

impl<S: Services> Core<S> {
    /// A CANCEL came. `invite`: the transaction it is for.
    pub(crate) fn cancel_request(
        &mut self,
        now: Now,
        id: ServerTransactionId,
        invite: Option<ServerTransactionId>,
        message: &Message,
        effects: &mut Vec<Effect>,
    ) {
        let Some(invite) = invite else {
            // 16.10 lets a proxy without context pass it on statelessly; every
            // INVITE that went through here had one.
            self.reply(now, id, message, 481, "Call/Transaction Does Not Exist");
            return;
        };
        self.reply(now, id, message, 200, "OK");
        let Some(context) = self.contexts.get_mut(&invite) else {
            return;
        };
        match context.supervision {
            Supervision::Setup(number) => {
                self.call_event(now, number, CallEvent::Cancelled, effects);
            }
            Supervision::None | Supervision::Dialog(..) => {
                context.cancelled = true;
                self.cancel_branches(now, invite);
            }
        }
    }

    /// CANCELs every copy that has no final response.
    pub(crate) fn cancel_branches(&mut self, now: Now, server: ServerTransactionId) {
        self.cancel_copies(now, server, None);
    }

    /// CANCELs every copy but one.
    pub(crate) fn cancel_others(
        &mut self,
        now: Now,
        server: ServerTransactionId,
        kept: ClientTransactionId,
    ) {
        self.cancel_copies(now, server, Some(kept));
    }

    fn cancel_copies(
        &mut self,
        now: Now,
        server: ServerTransactionId,
        kept: Option<ClientTransactionId>,
    ) {
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        context.cancelled = true;
        context.remaining.clear();
        let clients: Vec<_> = context
            .branches
            .iter()
            .filter(|branch| !branch.done && Some(branch.client) != kept)
            .map(|branch| branch.client)
            .collect();
        for client in clients {
            self.with_layer(|layer, out| layer.cancel(now.instant, client, out));
        }
    }
}
