//! The gate of a session: opened before its credential is given out, counted with each message, closed with the last.

use tollwire_peer::{Refusal, Word};

use super::{Core, Work};
use crate::peer::effect::{Effect, Reply};
use crate::peer::gate::{Outcome, What};

/// Attempts at counting what passed; then the provider's word is taken, and the session flagged.
const ATTEMPTS: u32 = 10;

impl Core {
    pub(super) fn gate(
        &mut self,
        now: i64,
        id: &str,
        what: Option<What>,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        match &outcome {
            Outcome::Stands(counted) | Outcome::Closed(Some(counted)) | Outcome::Spent(counted) => {
                open.counted = *counted;
                open.count_is_last |= matches!(outcome, Outcome::Closed(_));
            }
            Outcome::Closed(None) | Outcome::Refused(_) | Outcome::Unreachable => {}
        }
        match (open.work, what) {
            (Work::Opening, Some(What::Open)) => {
                open.work = Work::Idle;
                self.opened(id, outcome, effects);
            }
            (Work::Counting(sequence), Some(What::Count | What::Close)) => {
                open.work = Work::Idle;
                self.counted(now, id, (sequence, outcome), effects);
            }
            _ => return,
        }
        self.go_on(now, id, effects);
    }

    fn opened(&mut self, id: &str, outcome: Outcome, effects: &mut Vec<Effect>) {
        let refusal = match outcome {
            Outcome::Stands(_) => {
                if let Some(open) = self.open.get_mut(id) {
                    open.gate_open = true;
                }
                return;
            }
            Outcome::Refused(why) => Refusal::new(Word::Policy, format!("the gate: {why}")),
            Outcome::Closed(_) | Outcome::Spent(_) | Outcome::Unreachable => {
                Refusal::new(Word::Unavailable, "the gate cannot be opened: try again")
            }
        };
        tracing::warn!(session = id, why = %refusal, "the gate of a session is not opened");
        self.fail(id, refusal, false, effects);
    }

    fn counted(
        &mut self,
        now: i64,
        id: &str,
        (sequence, outcome): (i64, Outcome),
        effects: &mut Vec<Effect>,
    ) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let tries = open.tries;
        let Some(pending) = open.pending.get_mut(&sequence) else {
            return;
        };
        match outcome {
            Outcome::Stands(_) | Outcome::Closed(Some(_)) | Outcome::Spent(_) => {
                pending.counted = Some(true);
                open.tries = 0;
            }
            // Forgotten: only what was told at its end holds.
            Outcome::Closed(None) if open.count_is_last => {
                pending.counted = Some(true);
                open.tries = 0;
            }
            Outcome::Unreachable if tries < ATTEMPTS => {
                for client in std::mem::take(&mut pending.clients) {
                    let what = "the gate cannot be counted now: try again";
                    let reply = Reply::Refused(Refusal::new(Word::Unavailable, what));
                    effects.push(Effect::Reply { client, reply });
                }
                self.back_off(now, id);
            }
            Outcome::Closed(None) | Outcome::Unreachable | Outcome::Refused(_) => {
                tracing::warn!(
                    session = id,
                    "what passed a gate cannot be counted; the provider is believed"
                );
                pending.counted = Some(false);
                open.tries = 0;
            }
        }
    }
}
