//! A world of virtual time: the tables are real, the manager is played.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tollwire_peer::{
    AccountingMessage, Cause, Data, Identifier, Kind, Measure, Nonce, Policies, UserAddress,
    UserCredential,
};
use tollwire_runtime::clock::Now;
use tollwire_web::database::rusqlite;

use crate::check::{Asked, Denied, Purpose};
use crate::core::{Answer, Core, Effect, Event, SessionId, Settings, Taken, Totals};
use crate::store::{self, Admission, Message, New};

/// 2026-11-21T14:00:00Z, a Saturday.
pub const BEGINNING: i64 = 1_795_269_600;
pub const USER: &str = "192.0.2.7";

pub fn settings() -> Settings {
    Settings {
        checkpoint: Duration::from_secs(5),
        checkpoint_octets: 1_000,
        lost: Duration::from_secs(60),
        idle: Some(Duration::from_secs(300)),
        retry: Duration::from_secs(1),
        longest_retry: Duration::from_secs(60),
        give_up: Duration::from_secs(86_400),
        most: 100,
        most_under_way: 4,
    }
}

pub fn policies() -> Policies {
    Policies {
        service: "weather".into(),
        not_before: BEGINNING,
        not_after: BEGINNING + 3_600,
        times_of_day: Vec::new(),
        max_requests: None,
        address_change: false,
        collect: Measure::ALL.to_vec(),
        max_seconds_between_messages: 10,
        granted: Data::default(),
    }
}

pub fn data(time_ms: Option<u64>, octets: Option<u64>, requests: Option<u64>) -> Data {
    Data {
        time_ms,
        octets,
        requests,
    }
}

/// A message that the manager heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub sequence: u64,
    pub data: Data,
    pub cause: Option<Cause>,
    pub at_ms: i64,
}

/// What the manager says to a message; nothing leaves the answer open.
type Manager = Box<dyn FnMut(&Heard) -> Option<Answer>>;

pub struct World {
    pub now: Now,
    pub core: Core,
    pub disk: Connection,
    pub id: SessionId,
    pub settings: Settings,
    /// Whether what is to be stored is.
    pub stores: bool,
    pub manager: Manager,
    pub heard: Vec<Heard>,
    /// Messages whose answer is open.
    pub open: Vec<(SessionId, u64)>,
    pub changed: usize,
    pub forgotten: bool,
}

pub fn granted(granted: Data, last: bool) -> Answer {
    Answer::Acknowledged {
        granted,
        last,
        closed: false,
    }
}

impl World {
    /// With one session of these policies; the manager acknowledges everything and grants nothing new.
    pub fn new(policies: Policies) -> Self {
        Self::with(policies, false)
    }

    pub fn with(policies: Policies, is_udp: bool) -> Self {
        let disk = Connection::open_in_memory().unwrap();
        disk.execute_batch(store::MIGRATIONS[0]).unwrap();
        let now = Now {
            instant: Instant::now(),
            unix_ms: BEGINNING * 1_000,
        };
        let limit = policies.granted;
        let credential = UserCredential {
            user_address: UserAddress {
                ip: USER.parse().unwrap(),
                udp_port: None,
            },
            accounting_session_id: Identifier::random().unwrap(),
            session_key: "sealed".into(),
            policies,
        };
        let new = New {
            digest: "digest".into(),
            manager: "manager.example".into(),
            is_udp,
            acknowledgement: "acknowledgement".into(),
            created_ms: now.unix_ms,
            forget_ms: now.unix_ms + 1,
            credential,
        };
        assert_eq!(store::accept(&disk, &new).unwrap(), store::Accepted::Stored);
        let stored = store::begun(&new);
        let id = stored.id.clone();
        Self {
            core: Core::new(now, settings(), vec![stored]),
            settings: settings(),
            now,
            disk,
            id,
            stores: true,
            manager: Box::new(move |_| Some(granted(limit, false))),
            heard: Vec::new(),
            open: Vec::new(),
            changed: 0,
            forgotten: false,
        }
    }

    /// `kill -9`, and another one on the same tables.
    pub fn crash(&mut self) {
        let stored = store::live(&self.disk).unwrap();
        let stored = stored.into_iter().map(|(stored, _)| stored).collect();
        self.open.clear();
        self.core = Core::new(self.now, self.settings, stored);
        self.feed(Event::Tick);
    }

    pub fn feed(&mut self, event: Event) {
        let mut events = vec![event];
        let mut turns = 0;
        while let Some(event) = events.pop() {
            turns += 1;
            assert!(turns < 1_000, "it spins: {event:?}");
            let mut effects = Vec::new();
            self.core.handle(self.now, event, &mut effects);
            for effect in effects {
                events.extend(self.carry_out(effect));
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Event> {
        let stored = self.stores;
        match effect {
            Effect::Message {
                id,
                sequence,
                cause,
                totals,
                replaces,
            } => {
                if stored {
                    let message = message(&id, sequence, cause, totals, self.now);
                    store::message(&self.disk, &message, totals, replaces).unwrap();
                }
                Some(Event::Message {
                    id,
                    sequence,
                    stored,
                })
            }
            Effect::Checkpoint { id, totals } => {
                if stored {
                    store::checkpoint(&self.disk, &id, totals).unwrap();
                }
                Some(Event::Checkpoint { id, totals, stored })
            }
            Effect::Post { id, sequence } => {
                let message = store::outgoing(&self.disk, &id, sequence).unwrap();
                let heard = Heard {
                    sequence,
                    data: message.claims.data,
                    cause: message.claims.cause,
                    at_ms: self.now.unix_ms - BEGINNING * 1_000,
                };
                let answer = (self.manager)(&heard);
                self.heard.push(heard);
                match answer {
                    Some(answer) => Some(Event::Answered {
                        id,
                        sequence,
                        answer,
                    }),
                    None => {
                        self.open.push((id, sequence));
                        None
                    }
                }
            }
            Effect::Settle {
                id,
                sequence,
                settled,
                is_done,
            } => {
                if stored {
                    store::settle(&self.disk, &id, sequence, &settled, is_done).unwrap();
                }
                Some(Event::Settled {
                    id,
                    sequence,
                    settled,
                    stored,
                })
            }
            Effect::Changed { .. } => {
                self.changed += 1;
                None
            }
            Effect::Forget { .. } => {
                self.forgotten = true;
                None
            }
        }
    }

    /// Time goes by, and what becomes due is done in time.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.instant + Duration::from_millis(ms);
        let mut turns = 0;
        while let Some(next) = self.core.next()
            && next <= end
        {
            self.set(next.max(self.now.instant));
            self.feed(Event::Tick);
            turns += 1;
            assert!(turns < 10_000, "it spins");
        }
        self.set(end);
    }

    fn set(&mut self, instant: Instant) {
        let span = instant - self.now.instant;
        // Whole milliseconds, as clocks of virtual time have them.
        self.now.unix_ms += i64::try_from(span.as_millis()).unwrap();
        self.now.instant = instant;
    }

    pub fn admit(&mut self, purpose: Purpose) -> Result<(), Denied> {
        self.admit_from(purpose, USER.parse().unwrap())
    }

    /// A request comes, and is stored.
    pub fn admit_from(&mut self, purpose: Purpose, source: IpAddr) -> Result<(), Denied> {
        let id = self.id.clone();
        let asked = Asked {
            method: "GET",
            target: "/weather/",
            source,
            service: (purpose == Purpose::Serve).then_some("weather"),
            purpose,
        };
        self.core.admit(self.now, &id, &asked)?;
        let admission = Admission {
            id: id.clone(),
            nonce: Identifier::random().unwrap().to_string(),
            until_ms: self.now.unix_ms,
            counts: purpose.counts(),
            opens: purpose.serves(),
            address: None,
        };
        if self.stores {
            assert!(store::admit(&self.disk, &admission).unwrap());
        }
        let served = self.core.admitted(self.now, &id, &asked, self.stores);
        assert_eq!(served, self.stores);
        self.feed(Event::Tick);
        Ok(())
    }

    pub fn take(&mut self, octets: usize) -> Taken {
        let id = self.id.clone();
        let taken = self.core.take(self.now, &id, octets);
        self.feed(Event::Tick);
        taken
    }

    pub fn release(&mut self) {
        let id = self.id.clone();
        self.core.release(self.now, &id);
        self.feed(Event::Tick);
    }

    pub fn end(&mut self, cause: Cause) {
        let id = self.id.clone();
        self.feed(Event::End { id, cause });
    }

    pub fn answer(&mut self, answer: &Answer) {
        for (id, sequence) in std::mem::take(&mut self.open) {
            let answer = answer.clone();
            self.feed(Event::Answered {
                id,
                sequence,
                answer,
            });
        }
    }

    pub fn used(&mut self) -> Totals {
        let id = self.id.clone();
        self.core.view(self.now, &id).unwrap().used
    }
}

fn message(
    id: &SessionId,
    sequence: u64,
    cause: Option<Cause>,
    totals: Totals,
    now: Now,
) -> Message {
    Message {
        claims: AccountingMessage {
            message_id: Identifier::random().unwrap(),
            accounting_session_id: Identifier::try_from(id.to_string()).unwrap(),
            sequence,
            kind: match cause {
                Some(_) => Kind::Final,
                None => Kind::Interim,
            },
            cause,
            data: totals.data(&Measure::ALL),
            nonce: Nonce::new(now.unix_ms / 1_000).unwrap(),
        },
        token: "token".into(),
        signed_ms: now.unix_ms,
    }
}
