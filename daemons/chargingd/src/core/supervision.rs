//! Sessions end: by their client, or because it fell silent (Tcc, RFC 8506 13).

use tollwire_cdr::{ChargeRecord, EndCause, Timestamp};
use tollwire_runtime::clock::Now;

use super::Core;
use super::late::charged_seconds;
use crate::effect::{Effect, Mutation};
use crate::rating::Measure;
use crate::session::{Late, Service, Session};

impl Core {
    pub(super) fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.calendar(now, effects);
        while let Some((due, id)) = self.due.first()
            && *due <= now.unix_ms
        {
            let Some(session) = self.sessions.get(id) else {
                break;
            };
            let before = session.clone();
            self.silent(now, &before, effects);
        }
        let oldest = now.unix_ms - i64::from(self.settings.remember_seconds) * 1000;
        let mut forgotten = false;
        while let Some((closed, id)) = self.closed.first()
            && *closed <= oldest
        {
            self.sessions.remove(id);
            self.closed.pop_first();
            forgotten = true;
        }
        if forgotten {
            effects.push(Effect::Store(Mutation::ForgetSessions(oldest)));
        }
    }

    /// The client did not report in time: what it did report stays charged, what was held is released, and a record
    /// says so.
    fn silent(&mut self, now: Now, before: &Session, effects: &mut Vec<Effect>) {
        self.counters.supervision_expired += 1;
        tracing::warn!(
            session = %before.id, client = %before.origin_host, account = %before.account,
            released_micro = before.held_micro(),
            "a client fell silent: its session is closed and its reservation released"
        );
        let mut session = before.clone();
        let of_money = session.is_of_money();
        for service in &mut session.services {
            self.release(&service.shares);
            service.late = Some(Late::of(service));
        }
        if of_money {
            // The record is the client's, and it has nothing to abort: it hears of it with its next request.
            session.closed_unix_ms = Some(now.unix_ms);
            return self.put(Some(before), session, effects);
        }
        session.facts.end_cause = Some(EndCause::SupervisionExpired);
        session.facts.end_unix_ms = Some(now.unix_ms);
        self.closing(now, &mut session, effects);
        self.put(Some(before), session, effects);
        effects.push(Effect::Abort {
            session_id: before.id.clone(),
            origin_host: before.origin_host.clone(),
            origin_realm: before.origin_realm.clone(),
        });
    }

    /// Marks the session closed and makes its records: one of each service.
    pub(super) fn closing(&mut self, now: Now, session: &mut Session, effects: &mut Vec<Effect>) {
        session.closed_unix_ms = Some(now.unix_ms);
        for service in &session.services {
            let record = self.record(session, service, now);
            self.write(record, effects);
        }
    }

    /// Gives a record its number and has it stored.
    pub(super) fn write(&mut self, mut record: ChargeRecord, effects: &mut Vec<Effect>) {
        self.last_record += 1;
        self.counters.records += 1;
        record.sequence_number = self.last_record;
        effects.push(Effect::Store(Mutation::Record(Box::new(record))));
    }

    /// The record of one service of a session, without its number.
    pub(super) fn record(&self, session: &Session, service: &Service, now: Now) -> ChargeRecord {
        let facts = &session.facts;
        let end = facts.end_unix_ms.unwrap_or(now.unix_ms);
        let answered = facts
            .answer_unix_ms
            .or(service.is_used().then_some(session.began_unix_ms));
        let alone = session.services.len() == 1;
        let mut record_id = session.id.to_string();
        if !alone {
            // What else names a service of the session.
            let group = service
                .rating_group
                .iter()
                .map(|group| format!("#rg{group}"));
            let identifiers = service.service_identifiers.iter();
            let identifiers = identifiers.map(|identifier| format!("#si{identifier}"));
            record_id.extend(group.chain(identifiers));
        }
        let is_call = !facts.call_id.is_empty()
            || service.rating_group.is_none() && service.price.measure() == Some(Measure::Time);
        // Octets of several services are known by service alone.
        let (octets_from_caller, octets_to_caller) = match alone {
            true if facts.octets_from_caller > 0 || facts.octets_to_caller > 0 => {
                (facts.octets_from_caller, facts.octets_to_caller)
            }
            _ => (service.used.octets, 0),
        };
        ChargeRecord {
            sequence_number: 0,
            record_id,
            service: match (&*facts.service, is_call) {
                ("", true) => "sip-call".to_owned(),
                ("", false) => service.price.about().service.to_string(),
                (named, _) => named.to_owned(),
            },
            call_id: facts.call_id.clone(),
            from: facts.from.clone(),
            to: facts.to.clone(),
            caller_address: facts.caller_address.clone(),
            callee_address: facts.callee_address.clone(),
            invite_time: Timestamp(facts.invite_unix_ms.unwrap_or(session.began_unix_ms)),
            answer_time: answered.map(Timestamp),
            end_time: Timestamp(end),
            duration_ms: answered.map_or(0, |answer| end.saturating_sub(answer).max(0)),
            charged_seconds: charged_seconds(service, service.used),
            octets_from_caller,
            octets_to_caller,
            account: session.account.to_string(),
            payment: self
                .accounts
                .get(&session.account)
                .map_or(tollwire_cdr::Payment::Prepaid, |account| account.payment),
            tariff: service.price.name().to_owned(),
            currency: service.price.currency().code().to_owned(),
            amount_micro: service.charged_micro,
            end_cause: facts.end_cause.unwrap_or(EndCause::Unknown),
            origin_host: session.origin_host.to_string(),
        }
    }
}
