//! Who pays, and what credit control still owes an answer for.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::effect::CreditRequest;
use crate::event::CreditAction;
use crate::message::{Message, MessageId, Payer};

/// The question about the charge of `message`, if it has one that costs something. `account` pays for a sender that
/// has one. `at_unix_ms` is when it was reason to ask: the same for a repetition.
pub fn request(
    action: CreditAction,
    message: &Arc<Message>,
    reservation: u32,
    at_unix_ms: i64,
    account: Option<&str>,
    repeated: bool,
) -> Option<Box<CreditRequest>> {
    let charge = message
        .charge
        .as_ref()
        .filter(|charge| charge.amount_micro > 0)?;
    let payer = payer(message, account)?;
    Some(Box::new(CreditRequest {
        action,
        message: message.clone(),
        reservation,
        number: number(action, message, at_unix_ms),
        payer: payer.into(),
        amount_micro: charge.amount_micro,
        currency: charge.currency,
        repeated,
    }))
}

/// Who pays for a message that has a charge: digits of a number, or an account. `account` pays for a sender that has
/// one.
pub fn payer<'a>(message: &'a Message, account: Option<&'a str>) -> Option<&'a str> {
    Some(match &message.charge.as_ref()?.payer {
        Payer::Receiver => &message.destination.digits,
        Payer::Sender => account.unwrap_or(&message.source.digits),
        Payer::ThirdParty(account) => account,
    })
}

/// CC-Request-Number from the time alone, so that a crash does not lose it: renewals are at least a second apart, and
/// come before the end.
fn number(action: CreditAction, message: &Message, at_unix_ms: i64) -> u32 {
    let seconds = at_unix_ms.saturating_sub(message.accepted_unix_ms).max(0) / 1000;
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX - 2);
    match action {
        CreditAction::Reserve => 0,
        CreditAction::Renew => seconds.saturating_add(1),
        CreditAction::Debit | CreditAction::Release => seconds.saturating_add(2),
    }
}

/// Whether the message costs something.
pub fn costs(message: &Message) -> bool {
    message
        .charge
        .as_ref()
        .is_some_and(|charge| charge.amount_micro > 0)
}

/// A debit or release that credit control has not answered.
#[derive(Debug)]
pub struct Settling {
    /// The message.
    pub message: Arc<Message>,
    /// Debit or release.
    pub debit: bool,
    /// When that was decided.
    pub at_unix_ms: i64,
    /// Whether the spool awaits it: the message is final.
    pub last: bool,
    /// Times asked.
    pub asked: u32,
    /// Whether an earlier run of the daemon may have asked.
    pub repeated: bool,
}

/// All of them. Each stays until it is answered.
#[derive(Debug, Default)]
pub struct Settlements {
    open: HashMap<(MessageId, u32), Settling>,
    ready: VecDeque<(MessageId, u32)>,
    later: BTreeSet<(i64, MessageId, u32)>,
}

impl Settlements {
    /// Adds one, to be asked as soon as may be.
    pub fn add(&mut self, id: MessageId, reservation: u32, settling: Settling) {
        self.open.insert((id, reservation), settling);
        self.ready.push_back((id, reservation));
    }

    /// The next to ask about.
    pub fn take_ready(&mut self) -> Option<(u32, &mut Settling)> {
        while let Some(key) = self.ready.pop_front() {
            // Two look-ups: a borrow that is returned from a loop would last until its end.
            if self.open.contains_key(&key) {
                return self.open.get_mut(&key).map(|settling| (key.1, settling));
            }
        }
        None
    }

    /// It is answered.
    pub fn answered(&mut self, id: MessageId, reservation: u32) -> Option<Settling> {
        self.open.remove(&(id, reservation))
    }

    /// Times that it was asked.
    pub fn asked(&self, id: MessageId, reservation: u32) -> u32 {
        self.open
            .get(&(id, reservation))
            .map_or(0, |settling| settling.asked)
    }

    /// It is to be asked again then.
    pub fn ask_again(&mut self, id: MessageId, reservation: u32, at_ms: i64) {
        if self.open.contains_key(&(id, reservation)) {
            self.later.insert((at_ms, id, reservation));
        }
    }

    /// Moves what is due.
    pub fn tick(&mut self, now_ms: i64) {
        while let Some(first) = self.later.first().copied()
            && first.0 <= now_ms
        {
            self.later.remove(&first);
            self.ready.push_back((first.1, first.2));
        }
    }

    /// When [`Self::tick`] is due.
    pub fn next_due(&self) -> Option<i64> {
        self.later.first().map(|(at, _, _)| *at)
    }

    /// Whether one can be asked about now.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Not yet answered.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether all are answered.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}
