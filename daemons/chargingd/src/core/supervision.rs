//! Sessions end: by their client, or because it fell silent (Tcc, RFC 8506 13).

use tollwire_cdr::{ChargeRecord, EndCause, Timestamp};
use tollwire_runtime::clock::Now;

use super::Core;
use crate::effect::{Effect, Mutation};
use crate::session::{Late, Session};

impl Core {
    pub(super) fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
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
            released_micro = before.held_micro,
            "a client fell silent: its session is closed and its reservation released"
        );
        let mut session = before.clone();
        session.late = Some(Late::of(before));
        if session.of_money.is_some() {
            // The record is the client's, and it has nothing to abort: it hears of it with its next request.
            self.set_held(&session.account, session.held_micro, 0);
            session.held_micro = 0;
            session.closed_unix_ms = Some(now.unix_ms);
            return self.put(Some(before), session, effects);
        }
        session.facts.end_cause = Some(EndCause::SupervisionExpired);
        session.facts.end_unix_ms = Some(now.unix_ms);
        self.set_held(&session.account, session.held_micro, 0);
        session.held_micro = 0;
        session.granted_seconds = 0;
        self.closing(now, &mut session, effects);
        self.put(Some(before), session, effects);
        effects.push(Effect::Abort {
            session_id: before.id.clone(),
            origin_host: before.origin_host.clone(),
            origin_realm: before.origin_realm.clone(),
        });
    }

    /// Marks the session closed and makes its record.
    pub(super) fn closing(&mut self, now: Now, session: &mut Session, effects: &mut Vec<Effect>) {
        session.closed_unix_ms = Some(now.unix_ms);
        self.last_record += 1;
        self.counters.records += 1;
        let record = self.record(session, now);
        effects.push(Effect::Store(Mutation::Record(Box::new(record))));
    }

    pub(super) fn record(&self, session: &Session, now: Now) -> ChargeRecord {
        let facts = &session.facts;
        let end = facts.end_unix_ms.unwrap_or(now.unix_ms);
        let answered = facts
            .answer_unix_ms
            .or((session.used_seconds > 0).then_some(session.began_unix_ms));
        ChargeRecord {
            sequence_number: self.last_record,
            record_id: session.id.to_string(),
            service: "sip-call".to_owned(),
            call_id: facts.call_id.clone(),
            from: facts.from.clone(),
            to: facts.to.clone(),
            caller_address: facts.caller_address.clone(),
            callee_address: facts.callee_address.clone(),
            invite_time: Timestamp(facts.invite_unix_ms.unwrap_or(session.began_unix_ms)),
            answer_time: answered.map(Timestamp),
            end_time: Timestamp(end),
            duration_ms: answered.map_or(0, |answer| end.saturating_sub(answer).max(0)),
            charged_seconds: session.tariff.charged_seconds(session.used_seconds),
            octets_from_caller: facts.octets_from_caller,
            octets_to_caller: facts.octets_to_caller,
            account: session.account.to_string(),
            payment: self
                .accounts
                .get(&session.account)
                .map_or(tollwire_cdr::Payment::Prepaid, |account| account.payment),
            tariff: session.tariff.name.to_string(),
            currency: session.tariff.currency.code().to_owned(),
            amount_micro: session.charged_micro,
            end_cause: facts.end_cause.unwrap_or(EndCause::Unknown),
            origin_host: session.origin_host.to_string(),
        }
    }
}
