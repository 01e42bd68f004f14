//! Credit pools (RFC 8506 5.1.2): services of one session that the same purse pays, any of which may use what all of them
//! were granted.
//!
//! What a service holds stays its own, so that holds are counted as everywhere; the pool is their sum. A report is paid from
//! what its service holds, then from what the others do. Unlike elsewhere, what it did not use remains (RFC 8506 A.9, steps 11
//! and 12: the client takes what was used from the pool, and adds the new grant to the rest), and the new grant brings what
//! the service holds back to a quantum. A service that leaves the pool leaves its rest to the others.

use tollwire_runtime::clock::Now;

use super::Core;
use super::fund::{Reserved, most};
use super::purse::Payers;
use crate::class::WhenShort;
use crate::effect::Effect;
use crate::rating::{Multiplier, micro_of_parts, parts_of_micro};
use crate::session::{Late, Pool, PoolReference, Price, Service, Session, Share};

/// The pool that a service may draw on.
pub(super) struct Pooled {
    purse: Box<str>,
    multiplier: Multiplier,
}

/// What services of one pool hold, while a report is paid from it.
pub(super) struct Gathered {
    id: u32,
    purse: Box<str>,
    /// Each one's place in the session and micro-units, in the order in which they pay.
    lent: Vec<(usize, i64)>,
    own_micro: i64,
    charged_micro: i64,
}

impl Core {
    /// The pool for a service: if its class is to have one, one purse of money pays for it, and each of its units costs the same.
    pub(super) fn pooled(
        &self,
        session: &Session,
        service: &Service,
        payers: &Payers,
    ) -> Option<Pooled> {
        let class = self
            .classes
            .find(service.rating_group, &service.service_identifiers)?;
        // What goes on at nobody's expense has no bounds that others could share.
        if !class.pool || !session.multiple_services || payers.when_short == WhenShort::GoOn {
            return None;
        }
        let purse = match (payers.purses.as_slice(), payers.main) {
            ([], true) => &session.account,
            ([one], false) if self.commodity(one)?.currency().is_some() => one,
            _ => return None,
        };
        Some(Pooled {
            purse: purse.clone(),
            multiplier: service.multiplier()?,
        })
    }

    /// Holds up to `want` units of a service for the pool, less what the service holds of it already. A service that neither
    /// this nor the others' part gives a unit is not in the pool afterwards.
    pub(super) fn reserve_in_pool(
        &mut self,
        now: Now,
        session: &mut Session,
        service: &mut Service,
        (pooled, want): (&Pooled, u64),
        effects: &mut Vec<Effect>,
    ) -> Reserved {
        let Pooled { purse, multiplier } = pooled;
        let known = session.pools.iter().find(|pool| pool.purse == *purse);
        let (id, left) = known.map_or((None, 0), |pool| (Some(pool.id), pool.left));
        if service.pool != id {
            self.leave_pool(session, service);
        }
        let own = service.held_micro();
        let (mut held, mut rounding) = (own, i64::from(!multiplier.is_whole()));
        for (_, other) in id
            .iter()
            .flat_map(|id| session.others_in_pool(*id, service))
        {
            held = held.saturating_add(other.held_micro());
            rounding += i64::from(other.multiplier().is_some_and(|price| !price.is_whole()));
        }
        // The price of what a service used is rounded up once: less than a micro-unit beyond what it is worth in the pool.
        let cost = |units: u64| {
            micro_of_parts(left.saturating_add(multiplier.worth(units)))
                .saturating_add(rounding)
                .saturating_sub(held)
                .max(0)
        };
        let has = multiplier.units(parts_of_micro(own));
        // Never nothing, which clients take for the end; never more than twice what is to be.
        let least = u64::from(has < want.saturating_mul(2));
        let units = want.saturating_sub(has).max(least);
        self.fill(now, purse, cost(units), effects);
        let available = self.available(purse);
        let budget = available.saturating_add(held).saturating_sub(rounding);
        let affordable = multiplier.units(parts_of_micro(budget).saturating_sub(left));
        let granted = units.min(affordable);
        let mut reserved = Reserved {
            units: granted,
            more: affordable > units || self.can_fill(purse),
            ..Reserved::default()
        };
        let may_draw = multiplier.units(left) > 0 && cost(0) <= available;
        if granted == 0 && !may_draw {
            self.leave_pool(session, service);
            return reserved;
        }
        self.take_hold(purse, cost(granted), false, &mut reserved.shares);
        let id = id.unwrap_or_else(|| session.begin_pool(purse));
        if let Some(pool) = session.pool_mut(id) {
            pool.left = left.saturating_add(multiplier.worth(granted));
        }
        service.pool = Some(id);
        reserved
    }

    /// A service draws on its pool no more: what is left of what it holds is the others', or free if there are none.
    pub(super) fn leave_pool(&mut self, session: &mut Session, service: &mut Service) {
        let Some(id) = service.pool.take() else {
            return;
        };
        let rest = std::mem::take(&mut service.shares);
        let heir = session.others_in_pool(id, service).next();
        match heir.map(|(index, _)| index) {
            Some(index) => {
                if let Some(heir) = session.services.get_mut(index) {
                    rest.into_iter().for_each(|share| heir.add_share(share));
                }
            }
            None => {
                // A client may still count its rest: who comes next begins another pool.
                session.pools.retain(|pool| pool.id != id);
                self.release(&rest);
            }
        }
    }

    /// What the services of a pool hold becomes the one's that reports, its own first.
    pub(super) fn gather(session: &mut Session, service: &mut Service) -> Option<Gathered> {
        let id = service.pool?;
        let purse = session.pool_mut(id)?.purse.clone();
        let own_micro = service.held_micro();
        let mut lent = Vec::new();
        for (index, other) in session.services.iter_mut().enumerate() {
            if other.pool == Some(id)
                && !other.is(service.rating_group, &service.service_identifiers)
            {
                lent.push((index, other.held_micro()));
                for share in std::mem::take(&mut other.shares) {
                    service.add_share(share);
                }
            }
        }
        Some(Gathered {
            id,
            purse,
            lent,
            own_micro,
            charged_micro: service.charged_micro,
        })
    }

    /// What a report of so many units has left of a pool is held on, by those who held it.
    pub(super) fn scatter(
        &mut self,
        session: &mut Session,
        service: &mut Service,
        (gathered, units): (Gathered, u64),
    ) {
        let worth = service
            .multiplier()
            .map_or(0, |multiplier| multiplier.worth(units));
        if let Some(pool) = session.pool_mut(gathered.id) {
            pool.left = pool.left.saturating_sub(worth);
        }
        let mut spent = service.charged_micro.saturating_sub(gathered.charged_micro);
        let mut hold = |micro: i64, shares: &mut Vec<Share>| {
            let taken = spent.min(micro);
            spent -= taken;
            self.take_hold(&gathered.purse, micro - taken, false, shares);
        };
        hold(gathered.own_micro, &mut service.shares);
        for (index, micro) in gathered.lent {
            if let Some(other) = session.services.get_mut(index) {
                hold(micro, &mut other.shares);
            }
        }
    }
}

/// Units that what a service holds pays for beyond what it has used.
pub(super) fn held_units(now: Now, service: &Service) -> u64 {
    match &service.price {
        Price::Tariff(tariff) => most(
            tariff,
            &[service.stints_from(now.unix_ms)],
            service,
            service.held_micro(),
        ),
        Price::Sum { .. } => 0,
    }
}

impl Pooled {
    /// What the answer says of a pool.
    pub(super) fn reference(&self, id: u32) -> PoolReference {
        let (value_digits, exponent) = self.multiplier.unit_value();
        PoolReference {
            id,
            value_digits,
            exponent,
        }
    }
}

impl Session {
    /// The services of a pool but for one, and their places.
    fn others_in_pool(&self, id: u32, but: &Service) -> impl Iterator<Item = (usize, &Service)> {
        let services = self.services.iter().enumerate();
        services.filter(move |(_, other)| {
            other.pool == Some(id) && !other.is(but.rating_group, &but.service_identifiers)
        })
    }

    /// What was held for a service that reports late; all that was held for its pool, if it had one.
    pub(super) fn gather_late(&mut self, service: &Service, own: Vec<Share>) -> Vec<Share> {
        let mut all = own;
        for other in self.of_late_pool(service) {
            all.append(&mut other.shares);
        }
        all
    }

    /// What a late report has left of its pool is the next one's.
    pub(super) fn scatter_late(&mut self, service: &Service, held: Vec<Share>, spent: i64) {
        let Some(other) = self.of_late_pool(service).next() else {
            return;
        };
        let mut spent = spent;
        for mut share in held {
            let taken = spent.min(share.amount);
            spent -= taken;
            share.amount -= taken;
            other.shares.push(share);
        }
    }

    fn of_late_pool(&mut self, service: &Service) -> impl Iterator<Item = &mut Late> {
        let (pool, services) = (service.pool, self.services.iter_mut());
        let fellows = services.filter(move |other| pool.is_some() && other.pool == pool);
        fellows.filter_map(|other| other.late.as_mut())
    }

    fn pool_mut(&mut self, id: u32) -> Option<&mut Pool> {
        self.pools.iter_mut().find(|pool| pool.id == id)
    }

    fn begin_pool(&mut self, purse: &str) -> u32 {
        self.last_pool = self.last_pool.saturating_add(1);
        self.pools.push(Pool {
            id: self.last_pool,
            purse: purse.into(),
            left: 0,
        });
        self.last_pool
    }
}

impl Service {
    fn multiplier(&self) -> Option<Multiplier> {
        match &self.price {
            Price::Tariff(tariff) => tariff.multiplier(),
            Price::Sum { .. } => None,
        }
    }

    /// Holds a share more.
    pub(super) fn add_share(&mut self, share: Share) {
        let same = |known: &&mut Share| known.purse == share.purse && known.units == share.units;
        match self.shares.iter_mut().find(same) {
            Some(known) => known.amount = known.amount.saturating_add(share.amount),
            None => self.shares.push(share),
        }
    }
}
