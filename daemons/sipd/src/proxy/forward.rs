//! Copies of a request on their way (RFC 3261 16.6).

use super::ClientUse;
use super::branch::{branch, loop_token};
use super::context::{Branch, Supervision};
use crate::calls::CallNumber;
use crate::core::{Core, makes_dialog};
use crate::effect::Effect;
use crate::listeners::Listener;
use crate::services::{Services, Target};
use tollwire_runtime::clock::Now;
use tollwire_sip::transaction::{ClientTransactionId, Flow, ServerTransactionId, Transport};
use tollwire_sip::{HeaderName, Message, Method, NameAddr, Uri};

/// Max-Forwards given to a request that has none (16.6 step 3).
const MAX_FORWARDS: u8 = 70;

impl<S: Services> Core<S> {
    /// Sends copies to the next group of targets. Where none can be sent to,
    /// tries the next; at the end the best of what is known is the answer.
    pub(crate) fn forward_next_group(
        &mut self,
        now: Now,
        server: ServerTransactionId,
        effects: &mut Vec<Effect>,
    ) {
        loop {
            let Some(context) = self.contexts.get_mut(&server) else {
                return;
            };
            let group = if context.cancelled {
                None
            } else {
                context.remaining.pop_front()
            };
            let Some(group) = group else {
                self.finish_context(now, server, effects);
                return;
            };
            let share = usize::try_from(context.breadth).unwrap_or(usize::MAX);
            let count = group.len().min(share).max(1);
            // RFC 5393 5.3.3: the copies share what the request was allowed.
            let breadth = context.breadth / u32::try_from(count).unwrap_or(u32::MAX).max(1);
            let mut sent = false;
            for target in group.into_iter().take(count) {
                sent |= self.forward_to(now, server, &target, breadth.max(1));
            }
            if sent {
                return;
            }
        }
    }

    fn forward_to(
        &mut self,
        now: Now,
        server: ServerTransactionId,
        target: &Target,
        breadth: u32,
    ) -> bool {
        let Some(context) = self.contexts.get(&server) else {
            return false;
        };
        let came = context.flow;
        let call = match context.supervision {
            Supervision::Setup(number) => Some(number),
            _ => None,
        };
        let mut copy = context.request.clone();
        copy.set_request_uri(&target.uri);
        for value in target.path.iter().rev() {
            copy.push_front(HeaderName::Route, value);
        }
        let next = next_hop(&mut copy);
        let Some(flow) = self.flow_for(&next, target.flow) else {
            return false;
        };
        let Some(out) = self.listeners.of(&flow).copied() else {
            return false;
        };
        if copy.header_named("Max-Breadth").is_some() {
            copy.remove_named("Max-Breadth");
            copy.append_named("Max-Breadth", &breadth.to_string());
        }
        if makes_dialog(copy.method()) {
            self.record_route(&mut copy, &came, &out, call);
        }
        self.send_copy(now, server, copy, flow, &out, call);
        true
    }

    /// The last steps of 16.6: Max-Forwards, Via, Timer C, and off it goes.
    pub(crate) fn send_copy(
        &mut self,
        now: Now,
        server: ServerTransactionId,
        mut copy: Message,
        flow: Flow,
        out: &Listener,
        call: Option<CallNumber>,
    ) {
        count_hop(&mut copy);
        // The loop token is that of the request as it came to us, before target and Route changed.
        let token = self
            .contexts
            .get(&server)
            .map_or(0, |context| loop_token(&context.request));
        self.add_via(&mut copy, out, token);
        copy.ensure_content_length();
        let is_invite = *copy.method() == Method::Invite;
        let client = self.with_layer(|layer, out| layer.send_request(now.instant, flow, copy, out));
        let timer_c = is_invite.then_some(now.instant + self.policy.timer_c);
        if let Some(deadline) = timer_c {
            self.timer_c.insert((deadline, client));
        }
        self.clients.insert(
            client,
            ClientUse::Branch {
                server,
                call,
                dismissed: false,
            },
        );
        if let Some(context) = self.contexts.get_mut(&server) {
            context.branches.push(Branch {
                client,
                flow,
                response: None,
                done: false,
                proceeding: false,
                timer_c,
            });
        }
    }

    /// Sends a request of our own, or one that is nobody's transaction (an ACK).
    pub(crate) fn send_own(
        &mut self,
        now: Now,
        mut request: Message,
        known: Option<Flow>,
        effects: &mut Vec<Effect>,
    ) -> Option<ClientTransactionId> {
        let next = next_hop(&mut request);
        let flow = self.flow_for(&next, known)?;
        let out = self.listeners.of(&flow).copied()?;
        let token = loop_token(&request);
        self.add_via(&mut request, &out, token);
        request.ensure_content_length();
        if *request.method() == Method::Ack {
            effects.push(Effect::Send {
                flow,
                bytes: request.to_bytes(),
            });
            return None;
        }
        let client =
            self.with_layer(|layer, out| layer.send_request(now.instant, flow, request, out));
        self.clients.insert(client, ClientUse::Own);
        Some(client)
    }

    fn add_via(&mut self, copy: &mut Message, out: &Listener, token: u64) {
        let transport = match out.transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        };
        let branch = branch(self.tokens.next(), token);
        // RFC 3581 3: the answer comes back to the port it was asked from.
        let value = format!(
            "SIP/2.0/{transport} {};rport;branch={branch}",
            out.advertised
        );
        copy.push_front(HeaderName::Via, &value);
    }
}

/// One hop less to go.
pub(crate) fn count_hop(copy: &mut Message) {
    let left = match copy.max_forwards() {
        Ok(Some(left)) => left.saturating_sub(1),
        _ => MAX_FORWARDS,
    };
    copy.set(HeaderName::MaxForwards, &left.to_string());
}

/// 16.6 step 6 and 7: the URI that decides where the copy goes; a strict
/// router on top of Route gets the Request-URI it expects.
pub(crate) fn next_hop(copy: &mut Message) -> String {
    let request_uri = copy.request_uri().unwrap_or_default().to_owned();
    let top = copy
        .headers(HeaderName::Route)
        .next()
        .and_then(|value| NameAddr::parse(value).ok())
        .map(|address| address.uri.to_owned());
    let Some(top) = top else {
        return request_uri;
    };
    let loose = match Uri::parse(&top) {
        Ok(Uri::Sip(uri)) => uri.is_loose_router(),
        _ => true,
    };
    if !loose {
        copy.append(HeaderName::Route, &format!("<{request_uri}>"));
        copy.remove_first(HeaderName::Route);
        copy.set_request_uri(&top);
    }
    top
}
