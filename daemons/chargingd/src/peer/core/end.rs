//! Sessions end: by their provider, by silence, by the account or its operator.

use tollwire_peer::{Cause, Reason, Word};

use super::{Change, Core, Open, Work, pause, refuse, wait};
use crate::peer::effect::{Effect, Reply};
use crate::peer::event::ClientId;
use crate::peer::session::{Kind, Revocation, State};

impl Core {
    /// When something is due, if there is anything.
    pub(super) fn deadline(&self, id: &str) -> Option<i64> {
        let open = self.open.get(id)?;
        let again = match open.work {
            Work::Later(at) => Some(at),
            _ => None,
        };
        let revoke = (open.session.owes_revocation() && !open.revoking && !open.wants.taken)
            .then_some(open.revoke_ms);
        [again, revoke, self.silent_at(open)]
            .into_iter()
            .flatten()
            .min()
    }

    fn silent_at(&self, open: &Open) -> Option<i64> {
        let waits = open.session.state == State::Open
            && open.work == Work::Idle
            && open.pending.is_empty()
            && !open.wants.silent;
        waits.then(|| self.allowed_until(open))
    }

    fn allowed_until(&self, open: &Open) -> i64 {
        let pace = i64::from(open.session.terms.max_seconds_between_messages) * 1000;
        let allowed = pace.saturating_add(self.settings.grace_ms);
        // Behind its lifetime a final message is awaited, however many others come; and nobody is heard while nobody is here.
        let over = open.session.not_after.saturating_mul(1000);
        let from = open.heard_ms.min(over).max(open.since_ms);
        from.saturating_add(allowed)
    }

    pub(super) fn tick(&mut self, now: i64, effects: &mut Vec<Effect>) {
        while let Some((at, id)) = self.due.first().cloned()
            && at <= now
        {
            self.due.pop_first();
            self.on_time(now, &id, effects);
            self.go_on(now, &id, effects);
        }
    }

    fn on_time(&mut self, now: i64, id: &str, effects: &mut Vec<Effect>) {
        let silent = self.open.get(id).and_then(|open| self.silent_at(open));
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        open.due_ms = None;
        if let Work::Later(at) = open.work
            && at <= now
        {
            open.work = Work::Idle;
            if let Some(change) = open.redo.take() {
                open.work = Work::Disk;
                effects.push(Effect::Store(change));
            }
        }
        if silent.is_some_and(|at| at <= now) {
            open.wants.silent = true;
        }
        let due = open.session.owes_revocation() && !open.revoking && !open.wants.taken;
        if due
            && open.revoke_ms <= now
            && let Some(revocation) = open.session.revocation
        {
            let pace = i64::from(open.session.terms.max_seconds_between_messages) * 1000;
            let useless = open
                .session
                .not_after
                .saturating_mul(1000)
                .saturating_add(pace);
            if open.session.state == State::Closed && now > useless {
                // Its credential is void by itself.
                open.wants.taken = true;
                return;
            }
            open.revoking = true;
            effects.push(Effect::Revoke {
                id: open.session.id.clone(),
                url: open.session.terms.credentials_url.clone(),
                reason: revocation.reason,
            });
        }
    }

    pub(super) fn revoked(&mut self, now: i64, id: &str, taken: bool, effects: &mut Vec<Effect>) {
        let wait = match self.open.get(id) {
            Some(open) => pause(&self.settings, open.revoke_tries.saturating_add(1)),
            None => return,
        };
        if let Some(open) = self.open.get_mut(id) {
            open.revoking = false;
            open.wants.taken |= taken;
            open.revoke_tries = open.revoke_tries.saturating_add(1);
            open.revoke_ms = now.saturating_add(wait);
        }
        self.go_on(now, id, effects);
    }

    /// The provider is told to stop, and to say its last word.
    pub(super) fn revoke(&mut self, now: i64, id: &str, reason: Reason, effects: &mut Vec<Effect>) {
        self.want(now, id, |wants| wants.revoke = Some(reason), effects);
    }

    /// Stores a revocation that is wanted; whether there was one.
    pub(super) fn note_revocation(&mut self, id: &str, effects: &mut Vec<Effect>) -> bool {
        let Some(open) = self.open.get_mut(id) else {
            return false;
        };
        let Some(reason) = open.wants.revoke.take() else {
            return false;
        };
        if open.session.revocation.is_some() {
            for client in std::mem::take(&mut open.closing) {
                let reply = Reply::Closed;
                effects.push(Effect::Reply { client, reply });
            }
            return false;
        }
        let mut session = open.session.clone();
        session.revocation = Some(Revocation {
            reason,
            taken: false,
        });
        session.last = true;
        self.store(Change::of(session), effects);
        true
    }

    pub(super) fn note_taken(&mut self, id: &str, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let mut session = open.session.clone();
        if let Some(revocation) = &mut session.revocation {
            revocation.taken = true;
        }
        self.store(Change::of(session), effects);
    }

    /// The provider has said nothing for too long: what is known is charged, the rest given back.
    pub(super) fn fall_silent(&mut self, now: i64, id: &str, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let mut session = open.session.clone();
        tracing::warn!(
            session = id, provider = %session.terms.provider, silent_ms = now.saturating_sub(open.heard_ms),
            "a provider fell silent: its session is closed with what is known"
        );
        self.counters.silent += 1;
        session.flags.silent = true;
        session.cause = Some(Cause::Lost);
        session.revocation.get_or_insert(Revocation {
            reason: Reason::Operator,
            taken: false,
        });
        session.give_order(Kind::Terminate, session.charged, None);
        self.store(Change::of(session), effects);
    }

    /// The account may have more, or less: it is asked for anew.
    pub(super) fn refresh(&mut self, now: i64, id: &str, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let mut session = open.session.clone();
        if !session.may_go_on(now) {
            return;
        }
        session.give_order(Kind::Update, session.charged, None);
        self.store(Change::of(session), effects);
    }

    pub(super) fn close(
        &mut self,
        now: i64,
        client: ClientId,
        id: &str,
        effects: &mut Vec<Effect>,
    ) {
        let Some(open) = self.open.get_mut(id) else {
            return refuse(
                client,
                Word::UnknownSession,
                "no session of this name runs",
                effects,
            );
        };
        wait(&mut open.closing, client, effects);
        self.revoke(now, id, Reason::Operator, effects);
    }
}
