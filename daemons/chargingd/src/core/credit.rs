//! Credit control (RFC 8506 5): sessions of one or several services, grants, debits, repeated requests.

use tollwire_cdr::Payment;
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlRequest, MultipleServicesIndicator, SubscriptionIdType,
};
use tollwire_runtime::clock::Now;

use super::Core;
use super::fund::Beyond;
use super::money::is_of_money;
use super::pool::held_units;
use super::purse::Keys;
use super::request::{Asked, learn};
use crate::account::{Account, is_name};
use crate::effect::Effect;
use crate::part::Sought;
use crate::peer;
use crate::rating::{Measure, Query, Used};
use crate::session::{
    Answered, Facts, Outcome, Price, Service, ServiceOutcome, Session, split, units_of,
};

/// Reports may lie this much beyond the wall clock: two clocks, and whole started seconds.
const CLOCK_TOLERANCE_SECONDS: u64 = 2;
/// Services of one session, at most.
const MOST_SERVICES: usize = 32;

impl Core {
    /// The answer to a CCR, and what it changes.
    pub(super) fn credit_control(
        &mut self,
        now: Now,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        if request.multiple_services_credit_controls.len() > MOST_SERVICES {
            return Outcome::refused(ResultCode::UNABLE_TO_COMPLY.0);
        }
        if request.cc_request_type == CcRequestType::EventRequest {
            return self.one_time_event(now, request, effects);
        }
        let session = self.sessions.get(request.session_id.as_str());
        if session.map_or_else(|| is_of_money(request), Session::is_of_money) {
            return self.money(now, request, effects);
        }
        if let Some(repeated) = session.and_then(|session| repeated(session, request)) {
            self.counters.repeated += 1;
            return repeated;
        }
        match (request.cc_request_type, session) {
            (CcRequestType::InitialRequest, None) => self.initial(now, request, effects),
            // Another session under a name that is in use, or a number that was not the next.
            (CcRequestType::InitialRequest, Some(_)) => {
                Outcome::refused(ResultCode::UNABLE_TO_COMPLY.0)
            }
            (_, Some(session)) if session.closed_unix_ms.is_none() => {
                if request.cc_request_number <= session.last.number {
                    return Outcome::refused(ResultCode::UNABLE_TO_COMPLY.0);
                }
                let session = session.clone();
                self.report(now, session, request, effects)
            }
            (_, Some(session)) if Self::is_late(session, request) => {
                let session = session.clone();
                self.late_report(now, session, request, effects)
            }
            // Closed, or never begun here (a CCR-T that overtook its CCR-I).
            (_, _) => Outcome::refused(ResultCode::UNKNOWN_SESSION_ID.0),
        }
    }

    fn initial(
        &mut self,
        now: Now,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        if self.due.len() >= self.settings.max_sessions {
            return Outcome::refused(ResultCode::TOO_BUSY.0);
        }
        // A peer is known by the name in his certificate, which may be his account's.
        let account = match request.service_context_id == peer::ro::CONTEXT {
            true => self.payer(request),
            false => self.subscriber(request),
        };
        let Some(account) = account else {
            return Outcome::refused(ResultCode::USER_UNKNOWN.0);
        };
        if account.blocked {
            return Outcome::refused(ResultCode::END_USER_SERVICE_DENIED.0);
        }
        let mut facts = Facts::default();
        learn(&mut facts, request);
        facts.invite_unix_ms = facts.invite_unix_ms.or(Some(now.unix_ms));
        let asked = Asked::all(request);
        let multiple_services = !request.multiple_services_credit_controls.is_empty()
            || request.multiple_services_indicator
                == Some(MultipleServicesIndicator::MultipleServicesSupported);
        let mut session = Session {
            multiple_services,
            facts,
            ..Session::begin(request, account.name.clone(), Vec::new(), now.unix_ms)
        };
        let mut outcomes = Vec::new();
        for asked in &asked {
            outcomes.push(self.begin_service(now, &mut session, asked, effects));
        }
        let outcome = self.outcome(&session, outcomes);
        // RFC 8506 4.1.2: a client of several services may begin without any.
        if outcome.result_code != ResultCode::SUCCESS.0 {
            self.drop_holds(&session);
            return outcome;
        }
        // The grant begins to count when the service begins.
        session.due_unix_ms = self
            .due(now, &session)
            .saturating_add(i64::from(self.settings.setup_seconds) * 1000);
        session.last.outcome = outcome.clone();
        self.put(None, session, effects);
        outcome
    }

    /// CCR-Update and CCR-Terminate.
    fn report(
        &mut self,
        now: Now,
        mut session: Session,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let before = session.clone();
        learn(&mut session.facts, request);
        let is_update = request.cc_request_type == CcRequestType::UpdateRequest;
        let mut keys = Keys::of(now, session.entry_key(request.cc_request_number));
        let blocked = self
            .accounts
            .get(&session.account)
            .is_none_or(|account| account.blocked);
        let mut outcomes = Vec::new();
        let all = Asked::of_session(&session, request);
        // All that was used, before anything is granted anew: services of one pool use what others hold.
        for asked in &all {
            if let Some(index) = place(&session, asked) {
                self.debit(now, &mut session, index, asked, &mut keys, effects);
            }
        }
        for asked in &all {
            let Some(index) = place(&before, asked) else {
                if is_update && !blocked {
                    outcomes.push(self.begin_service(now, &mut session, asked, effects));
                } else {
                    let code = match is_update {
                        true => ResultCode::END_USER_SERVICE_DENIED,
                        false => ResultCode::RATING_FAILED,
                    };
                    outcomes.push(asked.outcome(code));
                }
                continue;
            };
            let Some(mut service) = session.services.get(index).cloned() else {
                continue;
            };
            let outcome = if !is_update {
                asked.outcome(ResultCode::SUCCESS)
            } else if blocked {
                service.valid_until_unix_ms = now.unix_ms;
                self.leave_pool(&mut session, &mut service);
                asked.outcome(ResultCode::END_USER_SERVICE_DENIED)
            } else {
                self.go_on(now, &mut session, &mut service, asked, effects)
            };
            if let Some(place) = session.services.get_mut(index) {
                *place = service;
            }
            outcomes.push(outcome);
        }
        if is_update {
            session.due_unix_ms = self.due(now, &session);
        } else {
            let reported = request.event_timestamp.map(|time| time.unix_ms());
            session.facts.end_unix_ms = Some(end_time(now.unix_ms, reported));
            self.end_services(&mut session, &mut keys, effects);
            self.closing(now, &mut session, effects);
        }
        let outcome = self.outcome(&session, outcomes);
        session.last = Answered::to(request, outcome.clone());
        self.put(Some(&before), session, effects);
        outcome
    }

    /// A service that the session did not have.
    fn begin_service(
        &mut self,
        now: Now,
        session: &mut Session,
        asked: &Asked,
        effects: &mut Vec<Effect>,
    ) -> ServiceOutcome {
        if session.services.len() >= MOST_SERVICES {
            return asked.outcome(ResultCode::TOO_BUSY);
        }
        if session
            .services
            .iter()
            .any(|service| service.is(asked.rating_group, &asked.service_identifiers))
        {
            return asked.outcome(ResultCode::UNABLE_TO_COMPLY);
        }
        let Some(account) = self.accounts.get(&session.account) else {
            return asked.outcome(ResultCode::USER_UNKNOWN);
        };
        let query = Query {
            called: &session.facts.to,
            calling: &session.facts.from,
            rating_group: asked.rating_group,
            service_identifier: asked.service_identifiers.first().copied(),
            currency: account.currency,
            at_unix_ms: now.unix_ms,
        };
        let Some(tariff) = self.tariffs.find(&query) else {
            return asked.outcome(ResultCode::RATING_FAILED);
        };
        let mut service = Service::new(
            asked.rating_group,
            asked.service_identifiers.clone(),
            Price::Tariff(tariff.clone()),
        );
        let outcome = self.grant(now, session, &mut service, asked, effects);
        if outcome.result_code == ResultCode::SUCCESS.0 {
            session.services.push(service);
        }
        outcome
    }

    /// Debits what was used of a service.
    fn debit(
        &mut self,
        now: Now,
        session: &mut Session,
        index: usize,
        asked: &Asked,
        keys: &mut Keys,
        effects: &mut Vec<Effect>,
    ) {
        let Some(mut service) = session.services.get(index).cloned() else {
            return;
        };
        let facts = &mut session.facts;
        facts.octets_from_caller =
            (facts.octets_from_caller).saturating_add(asked.octets_from_caller);
        facts.octets_to_caller = (facts.octets_to_caller).saturating_add(asked.octets_to_caller);
        let gathered = Self::gather(session, &mut service);
        let (believed, beyond) = self.believed(now, session, &service, asked.used);
        if believed != asked.used {
            self.counters.excessive_reports += 1;
            tracing::warn!(
                session = %session.id, client = %session.origin_host, reported = ?asked.used, charged = ?believed,
                "a client reported more than it was granted or than time has passed; charged the lesser"
            );
        }
        let answer = session.facts.answer_unix_ms;
        let account = session.account.clone();
        let report = split(believed, asked.after);
        let how = (answer, beyond);
        self.consume(&account, &mut service, report, how, keys, effects);
        if let Some(gathered) = gathered {
            let measure = service.price.measure().unwrap_or(Measure::Events);
            let units = units_of(measure, asked.used);
            self.scatter(session, &mut service, (gathered, units));
        }
        if let Some(place) = session.services.get_mut(index) {
            *place = service;
        }
    }

    /// What is believed of a report: never more than was granted or its pool holds, nor more seconds than have passed. A
    /// post-paid client may have gone on without us, and is held to the clock alone.
    fn believed(
        &self,
        now: Now,
        session: &Session,
        service: &Service,
        reported: Used,
    ) -> (Used, Beyond) {
        let elapsed = u64::try_from(now.unix_ms.saturating_sub(session.began_unix_ms)).unwrap_or(0);
        let by_clock =
            (elapsed / 1000 + CLOCK_TOLERANCE_SECONDS).saturating_sub(service.used.seconds);
        let account = self.accounts.get(&session.account);
        let on_its_own = self.settings.postpaid_continues
            && account.is_some_and(|account| account.payment == Payment::Postpaid);
        let mut believed = reported;
        let granted = match service.pool {
            Some(_) => held_units(now, service),
            None => service.granted,
        };
        match service.price.measure() {
            Some(Measure::Time | Measure::Combined) => {
                believed.seconds = match on_its_own {
                    true => reported.seconds.min(by_clock),
                    false => (reported.seconds)
                        .min(granted)
                        .min(by_clock.max(granted.min(1))),
                };
            }
            Some(Measure::Volume) if !on_its_own => believed.octets = reported.octets.min(granted),
            Some(Measure::Events) if !on_its_own => believed.events = reported.events.min(granted),
            _ => {}
        }
        let beyond = match on_its_own {
            true => Beyond::Owed,
            false => Beyond::Available,
        };
        (believed, beyond)
    }

    /// What a CCR-Terminate does not mention ends too.
    fn end_services(&mut self, session: &mut Session, keys: &mut Keys, effects: &mut Vec<Effect>) {
        let account = session.account.clone();
        for service in &mut session.services {
            if !service.shares.is_empty() {
                let how = (None, Beyond::Nothing);
                let nothing = (Used::default(), Used::default());
                self.consume(&account, service, nothing, how, keys, effects);
            }
        }
    }

    /// Gives back what a session that does not come about holds.
    pub(super) fn drop_holds(&mut self, session: &Session) {
        for service in &session.services {
            self.release(&service.shares);
        }
    }

    /// The answer of a session with these services.
    pub(super) fn outcome(&self, session: &Session, services: Vec<ServiceOutcome>) -> Outcome {
        let success = ResultCode::SUCCESS.0;
        let result_code = match services
            .iter()
            .any(|service| service.result_code == success)
        {
            true => success,
            false => services
                .first()
                .map_or(success, |service| service.result_code),
        };
        let account = self.accounts.get(&session.account);
        let postpaid = account.is_some_and(|account| account.payment == Payment::Postpaid);
        Outcome {
            result_code,
            services,
            cost: account.map(|account| {
                (
                    session.charged_micro(),
                    Self::currency_number(account.currency),
                )
            }),
            enough_credit: None,
            continue_without_us: postpaid && self.settings.postpaid_continues,
            multiple_services: session.multiple_services,
        }
    }

    /// When the client must have reported (Tcc): when the first of its services has to, and some grace.
    pub(super) fn due(&self, now: Now, session: &Session) -> i64 {
        let granted = session
            .services
            .iter()
            .map(|service| service.valid_until_unix_ms);
        let first = granted.filter(|until| *until > 0).min();
        let idle = match session.multiple_services {
            // Whose services all rest holds nothing, and need not come back before it is used again.
            true => i64::from(self.settings.idle_seconds),
            false => 0,
        };
        let until = first.unwrap_or_else(|| now.unix_ms.saturating_add(idle.saturating_mul(1000)));
        until.saturating_add(i64::from(self.settings.grace_seconds) * 1000)
    }

    /// Whether the request is of a session or an account that is here.
    pub(crate) fn concerns(&self, request: &CreditControlRequest) -> bool {
        self.sessions.contains_key(request.session_id.as_str()) || self.payer(request).is_some()
    }

    /// Where to look for its subscriber, if he is not here.
    pub(crate) fn sought(request: &CreditControlRequest) -> Sought {
        let names = request.subscription_ids.iter();
        let named = names
            .filter(|id| id.subscription_id_type == SubscriptionIdType::EndUserPrivate)
            .find(|id| is_name(&id.subscription_id_data));
        Sought {
            identities: super::request::identities(request),
            account: named.map(|id| id.subscription_id_data.as_str().into()),
        }
    }

    /// The account that an identity of the request belongs to.
    pub(super) fn subscriber(&self, request: &CreditControlRequest) -> Option<&Account> {
        super::request::identities(request)
            .iter()
            .find_map(|identity| self.identities.get(identity))
            .and_then(|name| self.accounts.get(name))
    }
}

/// Where a session has the service that is asked for.
pub(super) fn place(session: &Session, asked: &Asked) -> Option<usize> {
    match session.multiple_services {
        // There is but one, however the request names it.
        false => (!session.services.is_empty()).then_some(0),
        true => session
            .services
            .iter()
            .position(|service| service.is(asked.rating_group, &asked.service_identifiers)),
    }
}

/// The answer given before to the same request (RFC 8506 6.5, RFC 6733 3: the pair of Session-Id and
/// CC-Request-Number names it).
fn repeated(session: &Session, request: &CreditControlRequest) -> Option<Outcome> {
    let last = &session.last;
    (last.number == request.cc_request_number
        && last.request_type == request.cc_request_type.number())
    .then(|| last.outcome.clone())
}

/// When the service ended: the client's Event-Timestamp has whole seconds alone, so it counts only where it tells of
/// an older event than the request's own arrival.
fn end_time(now_unix_ms: i64, reported: Option<i64>) -> i64 {
    match reported {
        Some(reported) if reported < now_unix_ms - 2000 => reported,
        _ => now_unix_ms,
    }
}
