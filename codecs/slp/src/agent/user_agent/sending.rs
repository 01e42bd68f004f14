//! How requests leave.

use std::net::SocketAddr;
use std::time::Instant;

use super::legs::{Leg, Purpose, Work};
use super::machine::UserAgent;
use super::query::Query;
use super::{Effect, Impossible, LegId};
use crate::agent::convergence::{Convergence, ConvergenceEffect, ConvergenceLimits};
use crate::agent::exchange::{Exchange, ExchangeEffect};
use crate::agent::request::{Delivery, Request};
use crate::agent::retransmission::later;
use crate::header::Function;
use crate::scope::ScopeList;

impl UserAgent {
    pub(super) fn ask_one(
        &mut self,
        now: Instant,
        query: &mut Query,
        to: SocketAddr,
        scopes: ScopeList,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Impossible> {
        let request = with_scopes(&query.ask.request, &scopes);
        let purpose = Purpose::Query(query.ask.id, scopes);
        self.unicast(now, to, &request, purpose, effects)?;
        query.legs += 1;
        Ok(())
    }

    pub(super) fn ask_everybody(
        &mut self,
        now: Instant,
        query: &mut Query,
        scopes: ScopeList,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Impossible> {
        let request = with_scopes(&query.ask.request, &scopes);
        let limits = ConvergenceLimits {
            first_reply_is_enough: query.ask.first_reply_is_enough,
            ..self.settings.convergence
        };
        query.outcome.multicast = true;
        let purpose = Purpose::Query(query.ask.id, scopes);
        match self.multicast(now, request, purpose, limits, effects)? {
            Some(_) => query.legs += 1,
            // It does not fit a datagram.
            None => query.outcome.truncated = true,
        }
        Ok(())
    }

    pub(super) fn unicast(
        &mut self,
        now: Instant,
        to: SocketAddr,
        request: &Request,
        purpose: Purpose,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Impossible> {
        let xid = self.xid()?;
        let octets = request
            .encode(xid, Delivery::Unicast)
            .map_err(|unencodable| Impossible::Unsendable(unencodable.into()))?;
        let id = self.name();
        let answer = request.answer();
        let work = if octets.len() > self.settings.convergence.mtu {
            // RFC 2608 6.2: what does not fit a datagram goes by TCP.
            effects.push(Effect::Stream {
                leg: id,
                to,
                octets,
            });
            self.stream(now, to, answer, None)
        } else {
            let mut wanted = Vec::new();
            let timers = &self.settings.timers;
            let exchange = Exchange::begin(now, octets, xid, answer, timers, &mut wanted);
            effects.extend(wanted.into_iter().filter_map(|wanted| match wanted {
                ExchangeEffect::Send(octets) => Some(Effect::Unicast {
                    leg: id,
                    to,
                    octets,
                }),
                ExchangeEffect::Answered { .. } | ExchangeEffect::Unanswered => None,
            }));
            Work::Exchange { to, exchange }
        };
        self.legs.insert(id, Leg { purpose, xid, work });
        Ok(())
    }

    /// Nothing, if the request is over at once for its length.
    pub(super) fn multicast(
        &mut self,
        now: Instant,
        request: Request,
        purpose: Purpose,
        limits: ConvergenceLimits,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<LegId>, Impossible> {
        let xid = self.xid()?;
        let id = self.name();
        let mut wanted = Vec::new();
        let timers = &self.settings.timers;
        let convergence = Convergence::begin(now, request, xid, timers, limits, &mut wanted)
            .map_err(Impossible::Unsendable)?;
        if convergence.deadline().is_none() {
            return Ok(None);
        }
        for wanted in wanted {
            effects.extend(sent(&convergence, wanted));
        }
        let work = Work::Convergence(Box::new(convergence));
        self.legs.insert(id, Leg { purpose, xid, work });
        Ok(Some(id))
    }

    pub(super) fn stream(
        &self,
        now: Instant,
        to: SocketAddr,
        answer: Function,
        partial: Option<Vec<u8>>,
    ) -> Work {
        Work::Stream {
            to,
            answer,
            end: later(now, self.settings.timers.retry_max),
            partial,
        }
    }

    fn xid(&mut self) -> Result<u16, Impossible> {
        let legs = &self.legs;
        self.xids
            .draw(|xid| legs.values().any(|leg| leg.xid == xid))
            .ok_or(Impossible::Busy)
    }

    pub(super) fn name(&mut self) -> LegId {
        self.last_leg += 1;
        LegId(self.last_leg)
    }

    pub(super) fn may_stream(&self) -> bool {
        self.legs.values().filter(|leg| leg.is_stream()).count() < self.settings.max_streams
    }
}

fn with_scopes(request: &Request, scopes: &ScopeList) -> Request {
    let mut request = request.clone();
    if !scopes.is_empty() {
        request.scopes = scopes.as_str().into();
    }
    request
}

pub(super) fn sent(convergence: &Convergence, wanted: ConvergenceEffect) -> Option<Effect> {
    match wanted {
        ConvergenceEffect::Multicast {
            octets,
            ipv6_scopes,
        } => Some(Effect::Multicast {
            group: convergence.request().group()?,
            octets,
            ipv6_scopes,
        }),
        ConvergenceEffect::Reply { .. } | ConvergenceEffect::Over(_) => None,
    }
}
