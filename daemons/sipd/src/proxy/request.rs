//! New requests: validation, route preprocessing, and whom they are for
//! (RFC 3261 16.3 to 16.5).

use super::branch::{is_loop, loop_token};
use super::context::{Context, Supervision};
use super::record_route::OwnRoute;
use super::session_timer;
use crate::core::{Core, own_response};
use crate::effect::Effect;
use crate::services::{Services, Verdict};
use smallvec::SmallVec;
use std::collections::VecDeque;
use tollwire_runtime::clock::Now;
use tollwire_sip::transaction::{Flow, ServerTransactionId};
use tollwire_sip::{
    Capabilities, HeaderName, Host, Message, Method, NameAddr, Rejection, Role, Uri,
};

impl<S: Services> Core<S> {
    /// A BYE has room of its own: it frees what an overloaded proxy holds, and its call costs until then.
    fn most_contexts(&self, method: &Method) -> usize {
        let all = self.policy.max_contexts;
        match method {
            Method::Bye => all.saturating_add(all.div_ceil(8)),
            _ => all,
        }
    }

    pub(crate) fn new_request(
        &mut self,
        now: Now,
        id: ServerTransactionId,
        flow: Flow,
        message: Message,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(rejection) = self.validate(&message) {
            if let Some(response) = rejection.response(&message) {
                self.respond(now, id, response);
            }
            return;
        }
        if self.contexts.len() >= self.most_contexts(message.method()) {
            self.reply(now, id, &message, 503, "Service Unavailable");
            return;
        }
        let mut request = message;
        let own = self.preprocess_route(&mut request);
        let in_dialog = request.to().is_ok_and(|to| to.tag().is_some());
        match own {
            Some(OwnRoute::Call(number)) if in_dialog => {
                self.in_dialog(now, id, flow, request, number, effects);
                return;
            }
            Some(OwnRoute::Dialog(proof)) if in_dialog && self.is_proven(proof, &request) => {
                self.forward_in_dialog(now, id, flow, request, Supervision::None, None, effects);
                return;
            }
            _ if in_dialog && !self.is_for_self(&request) => {
                // A dialog that was not made here, or is over: nothing of it is relayed.
                self.reply(now, id, &request, 481, "Call/Transaction Does Not Exist");
                return;
            }
            _ => {}
        }
        // RFC 5393 4.2: a copy of ours that came back unchanged.
        let token = loop_token(&request);
        if is_loop(&request, token, |host, port| {
            self.listeners.is_own(host, port)
        }) {
            self.reply(now, id, &request, 482, "Loop Detected");
            return;
        }
        match request.method() {
            Method::Register => self.register(now, id, flow, &request),
            Method::Options if self.is_for_self(&request) => self.options(now, id, &request),
            _ => self.initial(now, id, flow, request, effects),
        }
    }

    /// Answers a request ourselves.
    pub(crate) fn reply(
        &mut self,
        now: Now,
        id: ServerTransactionId,
        request: &Message,
        status: u16,
        reason: &str,
    ) {
        let retry_after = (status == 503).then_some(self.policy.settings.retry_after);
        let response = own_response(&self.policy, request, status, reason, retry_after);
        self.respond(now, id, response);
    }

    fn validate(&self, message: &Message) -> Result<(), Rejection> {
        message.check().map_err(|fault| fault.rejection())?;
        let for_self = *message.method() == Method::Register || self.is_for_self(message);
        // 16.3 step 3: an OPTIONS that ends here is answered whatever is left of Max-Forwards.
        if for_self && matches!(message.method(), Method::Options | Method::Register) {
            return Ok(());
        }
        message
            .check_for(&Capabilities {
                role: Role::Proxy,
                methods: &[],
                extensions: &[],
                media_types: &[],
                tel: true,
            })
            .map_err(|fault| fault.rejection())
    }

    /// Whether the Request-URI names this proxy itself and no user of it.
    pub(crate) fn is_for_self(&self, request: &Message) -> bool {
        let uri = request.request_uri().map(Uri::parse);
        let Some(Ok(Uri::Sip(uri))) = uri else {
            return false;
        };
        uri.user.is_none()
            && match uri.host {
                Host::Name(name) => self.policy.is_local_domain(name),
                host => self.listeners.is_own(host, uri.port_or_default()),
            }
    }

    /// RFC 3261 16.4. Returns what our own entry said, if there was one.
    pub(crate) fn preprocess_route(&self, request: &mut Message) -> Option<OwnRoute> {
        // A strict router put our Record-Route URI into the Request-URI; what
        // belongs there is the last Route.
        let replaced = request.request_uri().and_then(|uri| self.own_uri(uri));
        let mut found = None;
        if let Some(own @ (OwnRoute::Call(_) | OwnRoute::Dialog(_))) = replaced {
            let last = request.headers(HeaderName::Route).last();
            if let Some(last) = last.and_then(|value| NameAddr::parse(value).ok()) {
                let uri = last.uri.to_owned();
                request.set_request_uri(&uri);
                request.remove_last(HeaderName::Route);
                found = Some(own);
            }
        }
        // Two of ours follow each other where the request changes transport.
        for _ in 0..2 {
            let top = request.headers(HeaderName::Route).next();
            let Some(own) = top.and_then(|value| self.own_route(value)) else {
                break;
            };
            request.remove_first(HeaderName::Route);
            if found.is_none() || found == Some(OwnRoute::Plain) {
                found = Some(own);
            }
        }
        found
    }

    fn register(&mut self, now: Now, id: ServerTransactionId, flow: Flow, request: &Message) {
        let uri = request.request_uri().map(Uri::parse);
        let local = matches!(&uri, Some(Ok(Uri::Sip(uri))) if match uri.host {
            Host::Name(name) => self.policy.is_local_domain(name),
            host => self.listeners.is_own(host, uri.port_or_default())
                || self.policy.is_local_domain(&host.to_string()),
        });
        if !local {
            self.reply(now, id, request, 403, "Domain Not Served Here");
            return;
        }
        if let Some(response) = self.services.register(now, id, request, flow) {
            self.respond(now, id, response);
        }
    }

    fn options(&mut self, now: Now, id: ServerTransactionId, request: &Message) {
        // RFC 3261 11.2.
        let response = Message::response_to(request, 200, "")
            .stateless_to_tag()
            .header(
                HeaderName::Allow,
                "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE",
            )
            .header(HeaderName::Accept, "application/sdp")
            .header(HeaderName::Supported, "path")
            .build();
        self.respond(now, id, response);
    }

    /// A request outside of any dialog, to be forwarded.
    fn initial(
        &mut self,
        now: Now,
        id: ServerTransactionId,
        flow: Flow,
        mut request: Message,
        effects: &mut Vec<Effect>,
    ) {
        // No relay for strangers: every request has somebody who answers for it.
        let trusted = self.policy.trusted_identity(flow.remote.ip());
        let identity: Box<str> = match trusted {
            Some(identity) => identity.into(),
            None => match self.services.authenticate(now, &request, flow.remote) {
                Verdict::Known { identity } => {
                    // RFC 3325 5: what a stranger asserts is not passed on.
                    request.remove_all(HeaderName::PAssertedIdentity);
                    request.remove_all(HeaderName::ProxyAuthorization);
                    identity
                }
                Verdict::Answer(response) => {
                    self.respond(now, id, response);
                    return;
                }
            },
        };
        if request.headers(HeaderName::Route).next().is_some() {
            // A preloaded route to somewhere else would lead around supervision.
            self.reply(now, id, &request, 403, "Route Not Allowed");
            return;
        }
        let remaining = match self.targets(now, &request) {
            Ok(remaining) => remaining,
            Err(none) => {
                self.reply(now, id, &request, none.status, none.reason);
                return;
            }
        };
        let Some(breadth) = self.breadth(&request) else {
            self.reply(now, id, &request, 440, "Max-Breadth Exceeded");
            return;
        };
        if *request.method() == Method::Invite {
            if let Err(refused) = session_timer::ask(&mut request, &self.policy.settings) {
                let response = Message::response_to(&request, 422, "Session Interval Too Small")
                    .stateless_to_tag()
                    .header(HeaderName::MinSe, &refused.min_se.to_string())
                    .build();
                self.respond(now, id, response);
                return;
            }
            self.begin_call(
                now, id, flow, request, identity, remaining, breadth, effects,
            );
            return;
        }
        self.contexts.insert(
            id,
            context(request, flow, remaining, Supervision::None, breadth),
        );
        self.forward_next_group(now, id, effects);
    }

    /// RFC 5393 5.3.3: how many copies may exist; `None`: none may.
    fn breadth(&self, request: &Message) -> Option<u32> {
        let asked = request
            .header_named("Max-Breadth")
            .and_then(|text| text.trim().parse::<u32>().ok());
        match asked.unwrap_or(self.policy.max_breadth) {
            0 => None,
            breadth => Some(breadth.min(self.policy.max_breadth)),
        }
    }
}

/// A context without copies.
pub(crate) fn context(
    request: Message,
    flow: Flow,
    remaining: VecDeque<Vec<crate::services::Target>>,
    supervision: Supervision,
    breadth: u32,
) -> Context {
    Context {
        request,
        flow,
        branches: SmallVec::new(),
        remaining,
        supervision,
        breadth,
        answered: false,
        holding: false,
        cancelled: false,
    }
}
