//! Responses on their way back (RFC 3261 16.7), and Timer C (16.8).

use super::ClientUse;
use super::context::Supervision;
use crate::core::{Core, own_response};
use crate::effect::Effect;
use crate::services::Services;
use crate::supervision::HeldItem;
use tollwire_runtime::clock::Now;
use tollwire_sip::transaction::{ClientTransactionId, ServerTransactionId};
use tollwire_sip::{HeaderName, Message, Method};

impl<S: Services> Core<S> {
    pub(crate) fn response(
        &mut self,
        now: Now,
        client: ClientTransactionId,
        mut message: Message,
        effects: &mut Vec<Effect>,
    ) {
        let Some(ClientUse::Branch { server, call, .. }) = self.clients.get(&client).copied()
        else {
            return;
        };
        let Some(status) = message.status() else {
            return;
        };
        message.remove_first(HeaderName::Via);
        if status == 100 {
            self.note_provisional(now, client, server, false);
            return;
        }
        if message.check().is_err() {
            // 16.7 step 3: without a Via below ours it was for us; a broken one is dropped.
            self.counters.strays += 1;
            return;
        }
        if status < 200 {
            self.note_provisional(now, client, server, true);
            self.pass_provisional(now, client, server, message, effects);
            return;
        }
        self.stop_timer_c(client, server);
        if status < 300 {
            self.success(now, client, server, call, message, effects);
            return;
        }
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        let is_global = status >= 600;
        if is_global {
            // 16.7 step 5: no further branches.
            context.cancelled = true;
        }
        if let Some(branch) = context
            .branches
            .iter_mut()
            .find(|branch| branch.client == client)
        {
            if branch.done {
                return;
            }
            branch.done = true;
            branch.response = Some(message);
        }
        if is_global {
            self.cancel_branches(now, server);
        }
        self.advance(now, server, effects);
    }

    /// A copy got no answer (408), or could not be sent (503).
    pub(crate) fn branch_failed(
        &mut self,
        now: Now,
        client: ClientTransactionId,
        status: u16,
        effects: &mut Vec<Effect>,
    ) {
        let Some(ClientUse::Branch { server, .. }) = self.clients.get(&client).copied() else {
            return;
        };
        self.stop_timer_c(client, server);
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        // RFC 4320 4.1: nobody is told of the time-out of anything but an INVITE.
        let silent = status == 408 && *context.request.method() != Method::Invite;
        let response =
            (!silent).then(|| own_response(&self.policy, &context.request, status, "", None));
        if let Some(branch) = context
            .branches
            .iter_mut()
            .find(|branch| branch.client == client)
        {
            if branch.done {
                return;
            }
            branch.done = true;
            branch.response = response;
        }
        self.advance(now, server, effects);
    }

    /// A final response came: the next group, or the end.
    fn advance(&mut self, now: Now, server: ServerTransactionId, effects: &mut Vec<Effect>) {
        let Some(context) = self.contexts.get(&server) else {
            return;
        };
        if !context.is_done() || context.holding {
            return;
        }
        if context.answered {
            self.contexts.remove(&server);
            return;
        }
        self.forward_next_group(now, server, effects);
    }

    /// Every copy has its final response and none was a success.
    pub(crate) fn finish_context(
        &mut self,
        now: Now,
        server: ServerTransactionId,
        effects: &mut Vec<Effect>,
    ) {
        let Some(context) = self.contexts.get_mut(&server) else {
            return;
        };
        if !context.is_done() || context.holding {
            return;
        }
        if context.answered {
            self.contexts.remove(&server);
            return;
        }
        context.answered = true;
        let is_invite = *context.request.method() == Method::Invite;
        let tried = !context.branches.is_empty();
        let best = match context.best_response() {
            // 16.7 step 6: the 503 of one way on is not the caller's to wait for.
            Some(best) if best.status() == Some(503) => {
                Some(own_response(&self.policy, &context.request, 500, "", None))
            }
            Some(best) => Some(best),
            None if tried && !is_invite => None,
            None if context.cancelled => {
                Some(own_response(&self.policy, &context.request, 487, "", None))
            }
            None => Some(own_response(&self.policy, &context.request, 480, "", None)),
        };
        let supervision = context.supervision;
        let Some(best) = best else {
            self.contexts.remove(&server);
            return;
        };
        self.pass_final(now, server, supervision, best, effects);
        self.contexts.remove(&server);
    }

    /// A 2xx: sent on at once (16.7 step 5), all other copies are cancelled (step 10).
    fn success(
        &mut self,
        now: Now,
        client: ClientTransactionId,
        server: ServerTransactionId,
        call: Option<crate::calls::CallNumber>,
        message: Message,
        effects: &mut Vec<Effect>,
    ) {
        let is_invite = *message.method() == Method::Invite;
        let mut flow = None;
        let mut supervision = call.map_or(Supervision::None, Supervision::Setup);
        if let Some(context) = self.contexts.get_mut(&server) {
            supervision = context.supervision;
            context.cancelled = true;
            context.remaining.clear();
            context.holding = !context.answered && matches!(supervision, Supervision::Setup(_));
            if let Some(branch) = context
                .branches
                .iter_mut()
                .find(|branch| branch.client == client)
            {
                branch.done = true;
                flow = Some(branch.flow);
            }
            if is_invite {
                self.cancel_others(now, server, client);
            }
        }
        self.pass_success(now, client, server, supervision, flow, message, effects);
        if let Some(context) = self.contexts.get_mut(&server)
            && !context.holding
        {
            context.answered = true;
            if context.is_done() {
                self.contexts.remove(&server);
            }
        }
    }

    /// Sends a response on that nobody supervises, or that was let go.
    pub(crate) fn send_up(&mut self, now: Now, server: ServerTransactionId, message: Message) {
        self.respond(now, server, message);
    }

    fn note_provisional(
        &mut self,
        now: Now,
        client: ClientTransactionId,
        server: ServerTransactionId,
        restarts: bool,
    ) {
        let timer_c = self.policy.timer_c;
        let Some(branch) = self.contexts.get_mut(&server).and_then(|context| {
            context
                .branches
                .iter_mut()
                .find(|branch| branch.client == client)
        }) else {
            return;
        };
        branch.proceeding = true;
        // 16.7 step 2: 101 to 199 start it again.
        if restarts && let Some(old) = branch.timer_c {
            let new = now.instant + timer_c;
            branch.timer_c = Some(new);
            self.timer_c.remove(&(old, client));
            self.timer_c.insert((new, client));
        }
    }

    fn stop_timer_c(&mut self, client: ClientTransactionId, server: ServerTransactionId) {
        let old = self.contexts.get_mut(&server).and_then(|context| {
            context
                .branches
                .iter_mut()
                .find(|branch| branch.client == client)
                .and_then(|branch| branch.timer_c.take())
        });
        if let Some(old) = old {
            self.timer_c.remove(&(old, client));
        }
    }

    /// 16.8: CANCEL what answered provisionally; the rest counts as 408.
    pub(crate) fn timer_c_fired(
        &mut self,
        now: Now,
        client: ClientTransactionId,
        effects: &mut Vec<Effect>,
    ) {
        let Some(ClientUse::Branch { server, .. }) = self.clients.get(&client).copied() else {
            return;
        };
        let proceeding = self.contexts.get_mut(&server).and_then(|context| {
            context
                .branches
                .iter_mut()
                .find(|branch| branch.client == client)
                .map(|branch| {
                    branch.timer_c = None;
                    branch.proceeding
                })
        });
        match proceeding {
            Some(true) => self.with_layer(|layer, out| layer.cancel(now.instant, client, out)),
            Some(false) => self.branch_failed(now, client, 408, effects),
            None => {}
        }
    }

    pub(crate) fn client_terminated(&mut self, client: ClientTransactionId) {
        if let Some(ClientUse::Branch { server, .. }) = self.clients.remove(&client) {
            self.stop_timer_c(client, server);
        }
    }

    pub(crate) fn server_terminated(&mut self, server: ServerTransactionId) {
        let over = self
            .contexts
            .get(&server)
            .is_some_and(|context| context.is_done() && context.answered);
        if over {
            self.contexts.remove(&server);
        }
    }

    /// Marks a branch whose 2xx got ACK and BYE; whether it was marked before.
    pub(crate) fn mark_dismissed(&mut self, client: ClientTransactionId) -> bool {
        match self.clients.get_mut(&client) {
            Some(ClientUse::Branch { dismissed, .. }) => std::mem::replace(dismissed, true),
            _ => false,
        }
    }

    /// Keeps a response for the supervision.
    pub(crate) fn keep_response(
        &mut self,
        server: ServerTransactionId,
        client: Option<ClientTransactionId>,
        flow: Option<tollwire_sip::transaction::Flow>,
        message: Message,
    ) -> crate::calls::Held {
        self.held.keep(HeldItem::Response {
            server,
            client,
            flow,
            message,
        })
    }
}
