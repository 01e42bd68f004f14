//! The gates that are wanted: asks and answers in, requests and news out. Pure.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use tollwire_runtime::clock::Now;
use tollwire_runtime::diameter::Address;

use super::{Answer, Ask, Counted, Order, Outcome, Request, Told, What};

/// Gates at once: as many as a `pinholed` has sessions.
const MOST: usize = 100_000;
/// How long until a limiter that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long after its time a gate that could not be closed is nobody's concern: the limiter has forgotten it.
const FORGOTTEN_MS: i64 = 15 * 60 * 1000;

/// What happens.
#[derive(Debug)]
pub enum Event {
    /// A gate that stood when the daemon ended.
    Standing(Order),
    /// The manager asks.
    Ask(Ask),
    /// A limiter answers.
    Answered {
        /// The request.
        ticket: u64,
        /// What it says.
        answer: Answer,
    },
    /// It cannot be asked, or does not answer.
    Failed {
        /// The request.
        ticket: u64,
    },
    /// It can be asked.
    Open(Address),
    /// It reports (RAR).
    Report(Report),
    /// A deadline may have passed.
    Tick,
}

/// An RAR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The link's name for it.
    pub reply: u64,
    /// The session.
    pub session: String,
    /// Octets that have passed, if it says that the gate is shut.
    pub spent: Option<u64>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask a limiter; [`Event::Answered`] or [`Event::Failed`] follows.
    Send {
        /// Names the request.
        ticket: u64,
        /// Of which gate.
        order: Order,
        /// What is asked.
        request: Request,
    },
    /// Tell the manager.
    Tell(Told),
    /// Answer a report.
    Reply {
        /// Which.
        reply: u64,
        /// Whether the session is known; a limiter forgets those that are not.
        known: bool,
    },
}

/// What `/metrics` shows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Gates that are to stand.
    pub standing: u64,
    /// Gates that are still to be closed.
    pub closing: u64,
    /// Gates opened since the start.
    pub opened: u64,
    /// Orders that a limiter refused.
    pub refused: u64,
    /// Requests that a limiter did not answer.
    pub unreachable: u64,
    /// Gates that the kernel shut: time or octets.
    pub spent: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To stand.
    Wanted,
    /// To go. `quiet`: nobody waits to hear of it.
    Unwanted { quiet: bool },
    /// Gone before the manager closed it, for its time was over.
    Gone,
}

#[derive(Debug)]
struct Gate {
    order: Order,
    counted: Counted,
    state: State,
    /// Its limiter has had it.
    stood: bool,
    /// Shut by the kernel, so that nothing passes.
    shut: bool,
    /// What had passed when it was shut too early.
    early: Option<u64>,
    again: Option<Instant>,
}

#[derive(Debug)]
struct Ticket {
    session: String,
    /// Who waits for it.
    token: Option<u64>,
    what: What,
}

/// Every gate.
#[derive(Debug)]
pub struct Gates {
    gates: HashMap<String, Gate>,
    tickets: HashMap<u64, Ticket>,
    ticket: u64,
    due: BTreeSet<(Instant, String)>,
    figures: Figures,
}

impl Default for Gates {
    fn default() -> Self {
        Self::new()
    }
}

impl Gates {
    /// None.
    pub fn new() -> Self {
        Self {
            gates: HashMap::new(),
            tickets: HashMap::new(),
            ticket: 0,
            due: BTreeSet::new(),
            figures: Figures::default(),
        }
    }

    /// The one door.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            // It is asked for when its limiter is there.
            Event::Standing(order) => {
                let session = order.session.clone();
                self.keep(order, State::Wanted);
                if let Some(gate) = self.gates.get_mut(&session) {
                    gate.stood = true;
                }
            }
            Event::Ask(ask) => self.ask(now, ask, effects),
            Event::Answered { ticket, answer } => self.answered(now, ticket, answer, effects),
            Event::Failed { ticket } => self.failed(now, ticket, effects),
            Event::Open(pinholed) => self.open(now, &pinholed, effects),
            Event::Report(report) => self.report(now, report, effects),
            Event::Tick => self.tick(now, effects),
        }
    }

    /// When [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// What has passed the gate of a session, as far as it was told.
    pub fn gate(&self, session: &str) -> Option<Counted> {
        self.gates.get(session).map(|gate| gate.counted)
    }

    /// What was counted.
    pub fn figures(&self) -> Figures {
        let of = |wanted: fn(&State) -> bool| {
            let gates = self.gates.values();
            gates.filter(|gate| wanted(&gate.state)).count() as u64
        };
        Figures {
            standing: of(|state| *state == State::Wanted),
            closing: of(|state| matches!(state, State::Unwanted { .. })),
            ..self.figures
        }
    }

    /// Notes what is wanted now. What has been counted since it was first heard of stays. `false`: there is no room.
    fn keep(&mut self, order: Order, state: State) -> bool {
        if let Some(gate) = self.gates.get_mut(&order.session) {
            gate.order = order;
            gate.state = state;
            return true;
        }
        if self.gates.len() >= MOST {
            return false;
        }
        let gate = Gate {
            counted: order.counted,
            state,
            stood: false,
            shut: false,
            early: None,
            again: None,
            order,
        };
        self.gates.insert(gate.order.session.clone(), gate);
        true
    }

    fn ask(&mut self, now: Now, ask: Ask, effects: &mut Vec<Effect>) {
        let Ask { token, what, order } = ask;
        let session = order.session.clone();
        if let Some(gate) = self.gates.get(&session)
            && gate.state == State::Gone
        {
            let counted = gate.counted;
            if what == What::Close {
                self.gates.remove(&session);
            }
            let outcome = Outcome::Closed(Some(counted));
            return effects.push(tell(Some(token), session, outcome));
        }
        let state = match what {
            What::Close => State::Unwanted { quiet: false },
            What::Open | What::Move | What::Count => State::Wanted,
        };
        let refusal = if what == What::Open && seconds(now, &order).is_none() {
            Some("its time is over")
        } else if !self.keep(order, state) {
            Some("too many gates")
        } else {
            None
        };
        match refusal {
            Some(why) => {
                self.figures.refused += 1;
                effects.push(tell(Some(token), session, Outcome::Refused(why.into())));
            }
            None => self.send(now, &session, Some(token), what, effects),
        }
    }

    /// Asks the limiter for what is wanted of a gate.
    fn send(
        &mut self,
        now: Now,
        session: &str,
        token: Option<u64>,
        what: What,
        effects: &mut Vec<Effect>,
    ) {
        let Some(gate) = self.gates.get(session) else {
            return;
        };
        let left = seconds(now, &gate.order).filter(|_| gate.state == State::Wanted);
        let request = match left {
            Some(seconds) => Request::Authorise {
                initial: what == What::Open,
                seconds,
                // Of the counter that stands.
                octets: gate
                    .order
                    .octets
                    .map(|octets| octets.saturating_sub(gate.counted.before)),
            },
            // No second more than it was wanted for.
            None => Request::Terminate,
        };
        self.ticket += 1;
        let ticket = Ticket {
            session: session.to_owned(),
            token,
            what,
        };
        self.tickets.insert(self.ticket, ticket);
        effects.push(Effect::Send {
            ticket: self.ticket,
            order: gate.order.clone(),
            request,
        });
    }

    fn answered(&mut self, now: Now, ticket: u64, answer: Answer, effects: &mut Vec<Effect>) {
        let Some(ticket) = self.tickets.remove(&ticket) else {
            return;
        };
        let Some(gate) = self.gates.get_mut(&ticket.session) else {
            // Closed by an earlier answer to the same wish.
            effects.extend(ticket.told(Outcome::Closed(None)));
            return;
        };
        match answer {
            Answer::Stands { octets, begun } => {
                let mut another = begun && gate.stood;
                if another {
                    gate.counted.lose(gate.shut);
                }
                another |= gate.counted.read(octets, gate.shut);
                gate.stood = true;
                let limit = gate.order.octets;
                gate.shut = limit.is_some_and(|limit| limit <= gate.counted.total());
                if another && limit.is_some() && gate.state == State::Wanted {
                    // It began anew with the whole quota: less of it now.
                    let Ticket {
                        session,
                        token,
                        what,
                    } = ticket;
                    return self.send(now, &session, token, what, effects);
                }
                self.figures.opened += u64::from(ticket.what == What::Open);
                let outcome = Outcome::Stands(gate.counted);
                effects.push(tell(ticket.token, ticket.session, outcome));
            }
            Answer::Gone(octets) => {
                gate.counted.read(octets, gate.shut);
                (gate.stood, gate.shut) = (true, true);
                let counted = gate.counted;
                self.gone(ticket, Some(counted), effects);
            }
            Answer::Unknown => {
                // What passed since it was last read nobody knows.
                let counted = gate.stood.then(|| {
                    gate.counted.lose(gate.shut);
                    gate.counted
                });
                self.gone(ticket, counted, effects);
            }
            Answer::Refused(why) => {
                self.figures.refused += 1;
                match ticket.what {
                    What::Open => {
                        gate.state = State::Unwanted { quiet: true };
                        let session = ticket.session.clone();
                        effects.extend(ticket.told(Outcome::Refused(why)));
                        self.send(now, &session, None, What::Close, effects);
                    }
                    What::Move | What::Count => {
                        effects.extend(ticket.told(Outcome::Refused(why)));
                    }
                    What::Close => {
                        self.again(now, &ticket.session);
                        effects.extend(ticket.told(Outcome::Unreachable));
                    }
                }
            }
        }
    }

    /// The limiter has it no more.
    fn gone(&mut self, ticket: Ticket, counted: Option<Counted>, effects: &mut Vec<Effect>) {
        let state = self.gates.get(&ticket.session).map(|gate| gate.state);
        match state {
            // Wanted again meanwhile.
            Some(State::Wanted) if ticket.what == What::Close => {}
            Some(State::Wanted) => {
                if let Some(gate) = self.gates.get_mut(&ticket.session) {
                    gate.state = State::Gone;
                }
            }
            Some(State::Unwanted { quiet: true }) if ticket.token.is_none() => {
                self.gates.remove(&ticket.session);
                return;
            }
            Some(State::Unwanted { .. }) => drop(self.gates.remove(&ticket.session)),
            Some(State::Gone) | None => {}
        }
        effects.push(tell(ticket.token, ticket.session, Outcome::Closed(counted)));
    }

    fn failed(&mut self, now: Now, ticket: u64, effects: &mut Vec<Effect>) {
        let Some(ticket) = self.tickets.remove(&ticket) else {
            return;
        };
        self.figures.unreachable += 1;
        let session = ticket.session.clone();
        let opens = ticket.what == What::Open;
        effects.extend(ticket.told(Outcome::Unreachable));
        match self.gates.get_mut(&session) {
            Some(gate) if opens => {
                // The limiter may have heard it all the same, and the user comes again at once.
                gate.state = State::Unwanted { quiet: true };
                self.send(now, &session, None, What::Close, effects);
            }
            _ => self.again(now, &session),
        }
    }

    fn again(&mut self, now: Now, session: &str) {
        if let Some(gate) = self.gates.get_mut(session)
            && gate.again.is_none()
        {
            let due = now.instant + AGAIN;
            gate.again = Some(due);
            self.due.insert((due, session.to_owned()));
        }
    }

    /// A limiter is there, perhaps again, and perhaps without its table: it hears of every gate of its.
    fn open(&mut self, now: Now, pinholed: &Address, effects: &mut Vec<Effect>) {
        let of_it = |gate: &&Gate| gate.order.pinholed == *pinholed && gate.state != State::Gone;
        let gates = self.gates.values().filter(of_it);
        let mut sessions: Vec<String> = gates.map(|gate| gate.order.session.clone()).collect();
        sessions.sort_unstable();
        for session in sessions {
            self.repeat(now, &session, effects);
        }
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while self.due.first().is_some_and(|(due, _)| *due <= now.instant) {
            let Some((_, session)) = self.due.pop_first() else {
                return;
            };
            self.repeat(now, &session, effects);
        }
    }

    fn repeat(&mut self, now: Now, session: &str, effects: &mut Vec<Effect>) {
        let Some(gate) = self.gates.get_mut(session) else {
            return;
        };
        if let Some(due) = gate.again.take() {
            self.due.remove(&(due, session.to_owned()));
        }
        let over = now.unix_ms.saturating_sub(gate.order.not_after_unix_ms);
        let what = match gate.state {
            State::Gone => return,
            State::Unwanted { .. } if over > FORGOTTEN_MS => {
                self.gates.remove(session);
                return;
            }
            State::Unwanted { .. } => What::Close,
            State::Wanted => What::Move,
        };
        self.send(now, session, None, what, effects);
    }

    fn report(&mut self, now: Now, report: Report, effects: &mut Vec<Effect>) {
        let gate = self.gates.get_mut(&report.session);
        effects.push(Effect::Reply {
            reply: report.reply,
            known: gate.is_some(),
        });
        if let (Some(gate), Some(octets)) = (gate, report.spent) {
            gate.counted.now = gate.counted.now.max(octets);
            gate.shut = true;
            let passed = gate.counted.total();
            let is_early = seconds(now, &gate.order).is_some()
                && (gate.order.octets).is_none_or(|granted| passed < granted);
            if is_early && gate.state == State::Wanted && gate.early.replace(passed) != Some(passed)
            {
                // More was granted while the kernel refused what came, which counted against it: the rest is asked for anew,
                // unless no packet fits into it.
                return self.send(now, &report.session, None, What::Move, effects);
            }
            self.figures.spent += 1;
            let outcome = Outcome::Spent(gate.counted);
            effects.push(tell(None, report.session, outcome));
        }
    }
}

impl Ticket {
    /// Tells who waits, if anybody does.
    fn told(self, outcome: Outcome) -> Option<Effect> {
        let token = self.token?;
        Some(tell(Some(token), self.session, outcome))
    }
}

fn tell(token: Option<u64>, session: String, outcome: Outcome) -> Effect {
    Effect::Tell(Told {
        token,
        session,
        outcome,
    })
}

/// Whole seconds until the gate shuts, so that it is never open longer than it is wanted; `None` if there is none.
fn seconds(now: Now, order: &Order) -> Option<u32> {
    let left = order.not_after_unix_ms.saturating_sub(now.unix_ms) / 1000;
    let left = u32::try_from(left.min(u32::MAX.into())).unwrap_or(0);
    (left > 0).then_some(left)
}
