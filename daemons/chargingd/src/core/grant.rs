//! Grants, and what happens when there is nothing to grant (RFC 8506 5.6).

use tollwire_diameter::ResultCode;
use tollwire_runtime::clock::Now;

use super::Core;
use super::fund::MOST_STINTS;
use super::purse::Payers;
use super::request::Asked;
use crate::class::{Class, WhenShort};
use crate::effect::Effect;
use crate::notify::Kind;
use crate::rating::{Measure, Stint, Tariff, Used};
use crate::session::{Granted, Price, Service, ServiceOutcome, Session};

/// Changes of price while a call rings that are looked at.
const MOST_BASES: usize = 8;

/// How a class's services are granted.
struct Portion {
    quantum: u64,
    validity_seconds: u32,
    quota_holding_seconds: Option<u32>,
    threshold: Option<u32>,
    /// When the price of octets or events changes before the client has to ask again.
    change_unix_ms: Option<i64>,
}

impl Core {
    /// Holds what the next grant may cost.
    pub(super) fn grant(
        &mut self,
        now: Now,
        session: &mut Session,
        service: &mut Service,
        asked: &Asked,
        effects: &mut Vec<Effect>,
    ) -> ServiceOutcome {
        let Price::Tariff(tariff) = service.price.clone() else {
            return asked.outcome(ResultCode::UNABLE_TO_COMPLY);
        };
        let payers = match self.payers(
            &session.account,
            service.rating_group,
            &service.service_identifiers,
        ) {
            Ok(payers) => payers,
            Err(code) => {
                self.leave_pool(session, service);
                return asked.outcome(code);
            }
        };
        let measure = tariff.measure();
        begin_stint(service, &tariff, now.unix_ms);
        let portion = self.portion(service, measure, &tariff, now.unix_ms);
        let want = asked
            .wanted
            .and_then(|units| units.of(measure))
            .filter(|units| *units > 0)
            .map_or(portion.quantum, |units| units.min(portion.quantum));
        let account = session.account.clone();
        let pooled = self.pooled(session, service, &payers);
        let reserved = match &pooled {
            Some(pooled) => self.reserve_in_pool(now, session, service, (pooled, want), effects),
            None => {
                self.leave_pool(session, service);
                let bases = self.bases(now, session, service, (&tariff, portion.change_unix_ms));
                self.reserve(now, &account, service, &payers, (want, &bases), effects)
            }
        };
        for share in reserved.shares {
            service.add_share(share);
        }
        service.free = reserved.free;
        service.granted = reserved.units + reserved.free;
        service.asked_back = false;
        // What others hold of its pool is a service's too.
        if service.granted == 0 && service.pool.is_none() {
            return self.nothing(now, &account, service, (payers, want), &portion, effects);
        }
        let restricted = is_restriction(service.short.take().as_ref());
        if std::mem::take(&mut service.told) && restricted {
            let subject = payer(&account, &payers.purses);
            self.tell(now, &subject, Kind::Restored, 0, effects);
        }
        let mut final_unit = None;
        if !reserved.more {
            match &payers.when_short {
                WhenShort::Deny => {}
                WhenShort::GoOn => {
                    service.free = want - service.granted.min(want);
                    service.granted = service.granted.max(want);
                }
                rule => final_unit = Some(rule.clone()),
            }
            service.short = Some(payers.when_short.clone());
            self.short.insert(account);
        }
        let mut outcome = self.granting(now, service, &portion, final_unit);
        outcome.pool = pooled
            .zip(service.pool)
            .map(|(pooled, id)| pooled.reference(id));
        outcome
    }

    /// The answer to an update of a service that goes on.
    pub(super) fn go_on(
        &mut self,
        now: Now,
        session: &mut Session,
        service: &mut Service,
        asked: &Asked,
        effects: &mut Vec<Effect>,
    ) -> ServiceOutcome {
        let restricted = is_restriction(service.short.as_ref());
        // RFC 8506 5.6.2: the final units are used and the action has begun: nothing is reserved.
        if asked.wanted.is_none() && asked.reported && (session.multiple_services || restricted) {
            service.valid_until_unix_ms = 0;
            self.leave_pool(session, service);
            let mut outcome = asked.outcome(ResultCode::SUCCESS);
            if restricted {
                self.restrict(now, service, &mut outcome);
            }
            return outcome;
        }
        self.grant(now, session, service, asked, effects)
    }

    /// Nothing is left for a service: what its rule says.
    fn nothing(
        &mut self,
        now: Now,
        account: &str,
        service: &mut Service,
        (payers, want): (Payers, u64),
        portion: &Portion,
        effects: &mut Vec<Effect>,
    ) -> ServiceOutcome {
        let Payers {
            purses,
            when_short: rule,
            ..
        } = payers;
        let answer = |code: ResultCode| {
            ServiceOutcome::of(service.rating_group, &service.service_identifiers, code.0)
        };
        let subject = payer(account, &purses);
        // Once for a session: before its first unit there is nothing new in an empty account.
        let news = service.is_used() && !service.told;
        // A client that is refused ends the service, or has to be given up.
        service.valid_until_unix_ms = now.unix_ms;
        let outcome = match &rule {
            WhenShort::Deny | WhenShort::Terminate | WhenShort::MainAccount => {
                // RFC 8506 8.34: no Final-Unit-Indication beside this result.
                answer(ResultCode::CREDIT_LIMIT_REACHED)
            }
            WhenShort::EndSubscription => {
                for name in &purses {
                    self.change_service_account(name, effects, |own| own.closed = true);
                }
                answer(ResultCode::END_USER_SERVICE_DENIED)
            }
            WhenShort::Redirect { .. } | WhenShort::Restrict { .. } => {
                let mut outcome = answer(ResultCode::SUCCESS);
                outcome.final_unit = Some(rule.clone());
                self.restrict(now, service, &mut outcome);
                outcome
            }
            WhenShort::GoOn => {
                service.free = want;
                service.granted = want;
                self.granting(now, service, portion, None)
            }
        };
        if news {
            let kind = match is_restriction(Some(&rule)) {
                true => Kind::Restricted,
                false => Kind::Exhausted,
            };
            service.told = true;
            self.tell(now, &subject, kind, 0, effects);
        }
        service.short = Some(rule);
        self.short.insert(account.into());
        outcome
    }

    fn restrict(&self, now: Now, service: &mut Service, outcome: &mut ServiceOutcome) {
        let seconds = self.settings.restricted_seconds;
        outcome.validity_seconds = Some(seconds);
        service.valid_until_unix_ms = after(now.unix_ms, seconds);
    }

    fn granting(
        &self,
        now: Now,
        service: &mut Service,
        portion: &Portion,
        final_unit: Option<WhenShort>,
    ) -> ServiceOutcome {
        let measure = service.price.measure().unwrap_or(Measure::Events);
        let units = service.granted;
        let seconds = u32::try_from(units).unwrap_or(u32::MAX);
        let (granted, validity) = match measure {
            // In a pool there are more for it than these.
            Measure::Time if service.pool.is_some() => {
                (Granted::Seconds(seconds), portion.validity_seconds)
            }
            Measure::Time | Measure::Combined => (Granted::Seconds(seconds), seconds),
            Measure::Volume => (Granted::Octets(units), portion.validity_seconds),
            Measure::Events => (Granted::Units(units), portion.validity_seconds),
        };
        service.granted_unix_ms = now.unix_ms;
        service.change_unix_ms = portion.change_unix_ms;
        service.valid_until_unix_ms = after(now.unix_ms, validity);
        ServiceOutcome {
            granted: Some(granted),
            final_unit,
            validity_seconds: Some(validity),
            quota_holding_seconds: portion.quota_holding_seconds,
            // A threshold is of units of the service's own.
            threshold: portion.threshold.filter(|_| service.pool.is_none()),
            tariff_change_unix_ms: portion.change_unix_ms,
            ..ServiceOutcome::of(
                service.rating_group,
                &service.service_identifiers,
                ResultCode::SUCCESS.0,
            )
        }
    }

    fn portion(&self, service: &Service, measure: Measure, tariff: &Tariff, now: i64) -> Portion {
        let class = self
            .classes
            .find(service.rating_group, &service.service_identifiers);
        let own = |field: fn(&Class) -> Option<u32>| class.and_then(field);
        let quantum = class.and_then(|class| class.quantum);
        let validity =
            own(|class| class.validity_seconds).unwrap_or(self.settings.validity_seconds);
        // Octets carry no time: the client reports those behind a change of their price apart (RFC 8506 8.20, 8.27).
        let until = after(now, validity);
        let change_unix_ms = match measure {
            Measure::Volume | Measure::Events => tariff.next_change_unix_ms(now),
            Measure::Time | Measure::Combined => None,
        }
        .filter(|change| *change < until);
        Portion {
            quantum: quantum.unwrap_or(match measure {
                Measure::Time | Measure::Combined => self.settings.quantum_seconds.into(),
                Measure::Volume => self.settings.quantum_octets,
                Measure::Events => self.settings.quantum_events,
            }),
            validity_seconds: validity,
            quota_holding_seconds: own(|class| class.quota_holding_seconds),
            threshold: own(|class| class.threshold),
            change_unix_ms,
        }
    }

    /// The stints that the units of a grant may be used in, as far as their price depends on that.
    fn bases(
        &self,
        now: Now,
        session: &Session,
        service: &Service,
        (tariff, change): (&Tariff, Option<i64>),
    ) -> Vec<Vec<Stint>> {
        let mut bases = vec![service.stints_from(now.unix_ms)];
        if let Some(from_unix_ms) = change {
            let mut behind = service.stints.clone();
            behind.push(Stint {
                from_unix_ms,
                used: Used::default(),
            });
            bases.push(behind);
        }
        let of_time = matches!(tariff.measure(), Measure::Time | Measure::Combined);
        let ringing = session.facts.answer_unix_ms.is_none() && !service.is_used();
        if of_time && ringing {
            let last = after(now.unix_ms, self.settings.setup_seconds);
            let mut at = now.unix_ms;
            while let Some(change) = tariff.next_change_unix_ms(at)
                && change <= last
                && bases.len() < MOST_BASES
            {
                bases.push(service.stints_from(change));
                at = change;
            }
        }
        bases
    }
}

/// So many seconds behind a moment, milliseconds since 1970.
pub(super) fn after(unix_ms: i64, seconds: u32) -> i64 {
    unix_ms.saturating_add(i64::from(seconds).saturating_mul(1000))
}

fn is_restriction(rule: Option<&WhenShort>) -> bool {
    matches!(
        rule,
        Some(WhenShort::Redirect { .. } | WhenShort::Restrict { .. })
    )
}

/// Whom a shortage is about: the last service account, or the main one.
fn payer(account: &str, purses: &[Box<str>]) -> Box<str> {
    purses.last().cloned().unwrap_or_else(|| account.into())
}

/// Octets and events are priced by the period that they are used in: where the price has changed, a stint begins.
fn begin_stint(service: &mut Service, tariff: &Tariff, now_unix_ms: i64) {
    if matches!(tariff.measure(), Measure::Volume | Measure::Events)
        && let Some(last) = service.stints.last()
        && tariff
            .next_change_unix_ms(last.from_unix_ms)
            .is_some_and(|change| change <= now_unix_ms)
        && service.stints.len() < MOST_STINTS
    {
        service.stints.push(Stint {
            from_unix_ms: now_unix_ms,
            used: Used::default(),
        });
    }
}
