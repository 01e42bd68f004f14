//! What becomes of replies, and of their absence.

use std::net::SocketAddr;
use std::time::Instant;

use super::legs::{Leg, Purpose, Work};
use super::machine::UserAgent;
use super::sending::sent;
use super::{Effect, LegId};
use crate::agent::convergence::{ConvergenceEffect, ConvergenceEnd, ConvergenceEvent};
use crate::agent::directory_agents::Origin;
use crate::agent::exchange::{ExchangeEffect, ExchangeEvent};
use crate::agent::reply::{accept, error_of, peek};
use crate::agent::request::Delivery;
use crate::error::ErrorCode;
use crate::header::Function;
use crate::message::{Body, decode};
use crate::scope::ScopeList;

impl UserAgent {
    pub(super) fn datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        octets: &[u8],
        effects: &mut Vec<Effect>,
    ) {
        match peek(octets) {
            // RFC 2608 12.2: zero is the XID of adverts that nobody asked for.
            Some((0, Function::DaAdvert)) if self.settings.discover => {
                self.hear(now, from, octets, Origin::Passive, effects);
            }
            Some((xid, _)) => {
                let mut legs = self.legs.iter();
                let asked = legs.find(|(_, leg)| leg.xid == xid && !leg.is_of_one_agent());
                if let Some(id) = asked.map(|(id, _)| *id) {
                    let event = ConvergenceEvent::Received { from, octets };
                    self.converge(now, id, event, effects);
                }
            }
            None => {}
        }
    }

    pub(super) fn converge(
        &mut self,
        now: Instant,
        id: LegId,
        event: ConvergenceEvent<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(mut leg) = self.legs.remove(&id) else {
            return;
        };
        let Work::Convergence(convergence) = &mut leg.work else {
            self.legs.insert(id, leg);
            return;
        };
        let mut wanted = Vec::new();
        convergence.handle(now, event, &mut wanted);
        let purpose = leg.purpose.clone();
        let mut over = None;
        for wanted in wanted {
            match wanted {
                ConvergenceEffect::Over(end) => over = Some(end),
                ConvergenceEffect::Reply { overflow } => {
                    let ConvergenceEvent::Received { from, octets } = event else {
                        continue;
                    };
                    self.replied(now, &leg, from, octets, overflow, effects);
                }
                sending => effects.extend(match &leg.work {
                    Work::Convergence(convergence) => sent(convergence, sending),
                    _ => None,
                }),
            }
        }
        let Some(end) = over else {
            self.legs.insert(id, leg);
            return;
        };
        match purpose {
            Purpose::Query(query_id, _) => {
                if let Some(query) = self.queries.get_mut(&query_id) {
                    query.legs = query.legs.saturating_sub(1);
                    query.outcome.truncated |=
                        matches!(end, ConvergenceEnd::Full | ConvergenceEnd::Limit);
                }
                self.advance(now, query_id, effects);
            }
            Purpose::Discovery | Purpose::Introduction => {
                self.discovering = None;
                self.discovery.ended(self.knows_any(now));
                self.wake(now, |_, _| true, effects);
            }
        }
    }

    /// Somebody answered a multicast.
    fn replied(
        &mut self,
        now: Instant,
        leg: &Leg,
        from: SocketAddr,
        octets: &[u8],
        overflow: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Purpose::Query(id, _) = leg.purpose else {
            self.hear(now, from, octets, Origin::Active, effects);
            return;
        };
        let may_stream = self.may_stream();
        let Some(query) = self.queries.get_mut(&id) else {
            return;
        };
        // Nobody answers a multicast with an error (RFC 2608 7); who does so nevertheless is not heard.
        if decode(octets).is_ok_and(|reply| error_of(&reply.body) != ErrorCode::OK) {
            return;
        }
        if !overflow || !may_stream {
            query.outcome.answers += 1;
            query.outcome.truncated |= overflow;
            let octets = octets.to_vec();
            return effects.push(Effect::Answer { id, from, octets });
        }
        // RFC 2608 6.1: the whole reply is to be had over TCP, under the same XID.
        let Work::Convergence(convergence) = &leg.work else {
            return;
        };
        let request = convergence.request();
        let Ok(asked) = request.encode(leg.xid, Delivery::Unicast) else {
            return;
        };
        query.legs += 1;
        let mut to = from;
        to.set_port(self.settings.directory_agents.port);
        let work = self.stream(now, to, request.answer(), Some(octets.to_vec()));
        let name = self.name();
        effects.push(Effect::Stream {
            leg: name,
            to,
            octets: asked,
        });
        let leg = Leg {
            purpose: Purpose::Query(id, ScopeList::default()),
            xid: leg.xid,
            work,
        };
        self.legs.insert(name, leg);
    }

    fn hear(
        &mut self,
        now: Instant,
        from: SocketAddr,
        octets: &[u8],
        origin: Origin,
        effects: &mut Vec<Effect>,
    ) {
        let Ok(message) = decode(octets) else {
            return;
        };
        if let Body::DaAdvert(advert) = &message.body {
            let heard = self.agents.hear(from, advert, origin);
            self.heard(now, heard, effects);
        }
    }

    pub(super) fn answered(
        &mut self,
        now: Instant,
        id: LegId,
        octets: &[u8],
        effects: &mut Vec<Effect>,
    ) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        match &leg.work {
            Work::Exchange { .. } => {
                self.exchange(now, id, ExchangeEvent::Received(octets), effects);
            }
            Work::Stream { to, answer, .. } => {
                let to = *to;
                match accept(octets, leg.xid, *answer) {
                    Some(message) => {
                        let error = error_of(&message.body);
                        effects.push(Effect::Close(id));
                        self.agents.answered(to);
                        // OVERFLOW has no meaning on a stream.
                        self.deliver(now, id, to, octets, error, false, effects);
                    }
                    // On a stream of its own nothing else can be due.
                    None => self.unreachable(now, id, effects),
                }
            }
            Work::Convergence(_) => {}
        }
    }

    pub(super) fn unreachable(&mut self, now: Instant, id: LegId, effects: &mut Vec<Effect>) {
        match self.legs.get_mut(&id).map(|leg| &mut leg.work) {
            Some(Work::Exchange { .. }) => {
                self.exchange(now, id, ExchangeEvent::Unreachable, effects);
            }
            Some(Work::Stream { to, partial, .. }) => {
                let (to, partial) = (*to, partial.take());
                effects.push(Effect::Close(id));
                match partial {
                    Some(octets) => {
                        self.deliver(now, id, to, &octets, ErrorCode::OK, true, effects);
                    }
                    None => self.undelivered(now, id, to, effects),
                }
            }
            Some(Work::Convergence(_)) | None => {}
        }
    }

    pub(super) fn exchange(
        &mut self,
        now: Instant,
        id: LegId,
        event: ExchangeEvent<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let may_stream = self.may_stream();
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let Work::Exchange { to, exchange } = &mut leg.work else {
            return;
        };
        let to = *to;
        let mut wanted = Vec::new();
        exchange.handle(now, event, &mut wanted);
        let asked = exchange.octets().to_vec();
        for wanted in wanted {
            match (wanted, event) {
                (ExchangeEffect::Send(octets), _) => effects.push(Effect::Unicast {
                    leg: id,
                    to,
                    octets,
                }),
                (
                    ExchangeEffect::Answered {
                        error: ErrorCode::OK,
                        overflow: true,
                    },
                    ExchangeEvent::Received(octets),
                ) if may_stream => {
                    // RFC 2608 6.1: the whole reply is to be had over TCP, under the same XID.
                    let answer = peek(octets).map_or(Function::SrvRply, |(_, function)| function);
                    let work = self.stream(now, to, answer, Some(octets.to_vec()));
                    if let Some(leg) = self.legs.get_mut(&id) {
                        leg.work = work;
                    }
                    effects.push(Effect::Stream {
                        leg: id,
                        to,
                        octets: asked.clone(),
                    });
                }
                (ExchangeEffect::Answered { error, overflow }, ExchangeEvent::Received(octets)) => {
                    effects.push(Effect::Close(id));
                    self.agents.answered(to);
                    self.deliver(now, id, to, octets, error, overflow, effects);
                }
                (ExchangeEffect::Answered { .. } | ExchangeEffect::Unanswered, _) => {
                    effects.push(Effect::Close(id));
                    self.undelivered(now, id, to, effects);
                }
            }
        }
    }

    /// The agent that a leg asked answered: the leg is over.
    #[expect(
        clippy::too_many_arguments,
        reason = "what there is to know of an answer"
    )]
    fn deliver(
        &mut self,
        now: Instant,
        id: LegId,
        from: SocketAddr,
        octets: &[u8],
        error: ErrorCode,
        truncated: bool,
        effects: &mut Vec<Effect>,
    ) {
        match self.legs.remove(&id).map(|leg| leg.purpose) {
            Some(Purpose::Query(id, scopes)) => {
                let Some(query) = self.queries.get_mut(&id) else {
                    return;
                };
                query.legs = query.legs.saturating_sub(1);
                if error == ErrorCode::OK {
                    query.outcome.answers += 1;
                    query.outcome.truncated |= truncated;
                    let octets = octets.to_vec();
                    effects.push(Effect::Answer { id, from, octets });
                } else {
                    let asks_another = query.refused(from, error, &scopes);
                    // RFC 2608 7: "exponential back off".
                    if asks_another && error == ErrorCode::DA_BUSY_NOW {
                        self.agents.failed(now, from);
                    }
                }
                self.advance(now, id, effects);
            }
            Some(Purpose::Introduction) => {
                let Ok(message) = decode(octets) else {
                    return;
                };
                if let Body::DaAdvert(advert) = &message.body {
                    let heard = self.agents.introduced(from, advert);
                    self.heard(now, heard, effects);
                }
            }
            Some(Purpose::Discovery) | None => {}
        }
    }

    /// The agent that a leg asked did not answer: the leg is over, and the agent is left alone for a while.
    fn undelivered(&mut self, now: Instant, id: LegId, to: SocketAddr, effects: &mut Vec<Effect>) {
        self.agents.failed(now, to);
        if let Some(Purpose::Query(id, scopes)) = self.legs.remove(&id).map(|leg| leg.purpose) {
            if let Some(query) = self.queries.get_mut(&id) {
                query.legs = query.legs.saturating_sub(1);
                query.unanswered(to, &scopes);
            }
            self.advance(now, id, effects);
        }
    }
}
