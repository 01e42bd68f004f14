//! The thread that tells customers: the queue, and the world around it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tollwire_runtime::clock::Now;
use tollwire_runtime::metrics::{Counter, Family, Gauge, Metrics};

use super::deliver::{Deliverers, Letter};
use super::{
    Channel, Effect, End, Event, Key, Notification, Notifications, Outcome, Queue, QueueState,
    Texts,
};
use crate::effect::Mutation;
use crate::role::Role;
use crate::store::{self, Place};

/// Notifications that wait for the thread; more are found in the store.
const MADE: usize = 4096;
/// How long an attempt may last whatever its channel says: SIP's Timer F twice, and more.
const ATTEMPT: Duration = Duration::from_secs(400);
/// How often what waits is counted.
const COUNT: Duration = Duration::from_secs(15);
/// The longest sleep: the wall clock may be set.
const SLEEP: Duration = Duration::from_secs(60);

/// A change that the thread wants stored, and what it is about: see [`Handle::stored`].
pub(crate) type Write = (Key, Mutation);

/// What the thread is told.
enum Message {
    Event(Event),
    Made(Box<Notification>),
    Behind,
    Status(oneshot::Sender<Vec<Status>>),
    Waiting(Vec<(Channel, i64)>),
    Stop,
}

/// A channel as the operator sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    #[serde(flatten)]
    state: QueueState,
    /// Contacts that are to be told, as counted last.
    waiting: i64,
}

/// The way to the thread. Nothing here waits.
#[derive(Clone)]
pub(crate) struct Handle {
    messages: mpsc::UnboundedSender<Message>,
    made: Arc<AtomicUsize>,
    behind: Arc<AtomicBool>,
}

impl Handle {
    /// A notification is on disk.
    pub(crate) fn made(&self, notification: Box<Notification>) {
        if self.made.fetch_add(1, Ordering::AcqRel) < MADE {
            let _ = self.messages.send(Message::Made(notification));
        } else {
            self.made.fetch_sub(1, Ordering::AcqRel);
            if !self.behind.swap(true, Ordering::AcqRel) {
                let _ = self.messages.send(Message::Behind);
            }
        }
    }

    /// A [`Write`] is on disk.
    pub(crate) fn stored(&self, key: Key) {
        let _ = self.messages.send(Message::Event(Event::Stored(key)));
    }

    /// It is not.
    pub(crate) fn not_stored(&self, key: Key) {
        let _ = self.messages.send(Message::Event(Event::NotStored(key)));
    }

    /// Each channel; nothing if the thread has ended.
    pub(crate) async fn status(&self) -> Vec<Status> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.messages.send(Message::Status(sender));
        receiver.await.unwrap_or_default()
    }
}

/// The thread; ends when this is dropped.
pub(crate) struct Service {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Reads texts and secrets, and starts. What is to be stored goes to `writes`.
    ///
    /// # Errors
    /// The file, and what is wrong.
    pub(crate) fn start(
        settings: Notifications,
        place: Place,
        role: watch::Receiver<Role>,
        writes: mpsc::UnboundedSender<Vec<Write>>,
        metrics: &Metrics,
    ) -> Result<Self, String> {
        let texts = Texts::load(settings.texts.as_deref(), &settings.language)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let deliverers = {
            let _entered = runtime.enter();
            Deliverers::new(&settings)?
        };
        let (messages, inbox) = mpsc::unbounded_channel();
        let handle = Handle {
            messages,
            made: Arc::new(AtomicUsize::new(0)),
            behind: Arc::new(AtomicBool::new(false)),
        };
        let worker = Worker {
            queue: Queue::new(settings.limits()),
            texts,
            deliverers: Arc::new(deliverers),
            place,
            role,
            writes,
            handle: handle.clone(),
            waiting: Vec::new(),
            figures: Figures::register(metrics),
        };
        let thread = std::thread::Builder::new()
            .name("notify".into())
            .spawn(move || {
                runtime.block_on(worker.run(inbox));
                // A question to the store or a name that is looked up may still run.
                runtime.shutdown_background();
            })
            .map_err(|error: io::Error| error.to_string())?;
        Ok(Self {
            handle,
            thread: Some(thread),
        })
    }

    /// The way to it.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.handle.messages.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    queue: Queue,
    texts: Texts,
    deliverers: Arc<Deliverers>,
    place: Place,
    /// While another instance works, that one tells.
    role: watch::Receiver<Role>,
    writes: mpsc::UnboundedSender<Vec<Write>>,
    handle: Handle,
    waiting: Vec<(Channel, i64)>,
    figures: Figures,
}

impl Worker {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        let mut count = tokio::time::interval(COUNT);
        let mut effects = Vec::new();
        self.heed_role(&mut effects);
        loop {
            self.carry_out(&mut effects);
            self.figures.show(self.queue.states(), &self.waiting);
            let pause = self.queue.until_deadline(Now::read());
            let pause = pause.map_or(SLEEP, |pause| pause.min(SLEEP));
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(Message::Stop) | None => return,
                    Some(message) => self.message(message, &mut effects),
                },
                () = tokio::time::sleep(pause) => {
                    self.queue.handle(Now::read(), Event::Tick, &mut effects);
                }
                changed = self.role.changed() => match changed {
                    Ok(()) => self.heed_role(&mut effects),
                    // Nobody is left who could store what became of it.
                    Err(_) => return,
                },
                _ = count.tick() => self.count(),
            }
        }
    }

    /// Of several instances on one database the active one tells. One that has a database of its own knows best what it
    /// has told, also while it cannot be stored.
    fn heed_role(&mut self, effects: &mut Vec<Effect>) {
        self.role.mark_unchanged();
        let event = match self.is_active() || !self.place.is_shared() {
            true => Event::Resume,
            false => Event::Halt,
        };
        self.queue.handle(Now::read(), event, effects);
    }

    fn message(&mut self, message: Message, effects: &mut Vec<Effect>) {
        let event = match message {
            Message::Event(event) => event,
            Message::Made(notification) => {
                self.handle.made.fetch_sub(1, Ordering::AcqRel);
                Event::Made(notification)
            }
            Message::Behind => {
                self.handle.behind.store(false, Ordering::Release);
                Event::Behind
            }
            Message::Status(sender) => {
                let status = self.queue.states().map(|state| Status {
                    waiting: waiting(&self.waiting, state.channel),
                    state,
                });
                let _ = sender.send(status.collect());
                return;
            }
            Message::Waiting(waiting) => {
                self.waiting = waiting;
                return;
            }
            Message::Stop => return,
        };
        self.queue.handle(Now::read(), event, effects);
    }

    fn carry_out(&mut self, effects: &mut Vec<Effect>) {
        let mut writes = Vec::new();
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(task) => {
                    let rendered = self.texts.render(&task.notification);
                    self.send(Letter { task, rendered });
                }
                Effect::End(key, end) => {
                    if let End::GivenUp(why) = &end {
                        tracing::info!(notification = key.id, contact = %key.contact, why, "a customer is not told");
                    }
                    writes.push((key.clone(), Mutation::NotificationEnded(Box::new(key))));
                }
                Effect::Later(waiting) => {
                    let key = waiting.task.key();
                    tracing::debug!(notification = key.id, contact = %key.contact, attempts = waiting.task.attempts, error = waiting.error, "a customer is told later");
                    writes.push((key, Mutation::NotificationLater(Box::new(waiting))));
                }
                Effect::Load {
                    channel,
                    until_unix_ms,
                    limit,
                } => self.load(channel, until_unix_ms, limit),
            }
        }
        if !writes.is_empty() {
            // The daemon is stopping if nobody listens.
            let _ = self.writes.send(writes);
        }
    }

    fn send(&self, letter: Letter) {
        let deliverers = self.deliverers.clone();
        let messages = self.handle.messages.clone();
        tokio::spawn(async move {
            let key = letter.task.key();
            let attempt = tokio::time::timeout(ATTEMPT, deliverers.deliver(letter));
            let outcome = (attempt.await)
                .unwrap_or_else(|_| Outcome::Unreachable("no end of the attempt".into()));
            let _ = messages.send(Message::Event(Event::Ended(key, outcome)));
        });
    }

    /// Asks the store beside this thread.
    fn load(&self, channel: Channel, until_unix_ms: i64, limit: usize) {
        let messages = self.handle.messages.clone();
        if !self.is_active() {
            let _ = messages.send(Message::Event(Event::NotLoaded(channel)));
            return;
        }
        let place = self.place.clone();
        tokio::task::spawn_blocking(move || {
            let found = place.ask(|store| store::due(store, channel, until_unix_ms, limit));
            let event = match found {
                Ok((tasks, next_unix_ms)) => Event::Loaded {
                    channel,
                    more: tasks.len() >= limit,
                    tasks,
                    next_unix_ms,
                },
                Err(error) => {
                    tracing::error!(%error, "the notifications cannot be read; asked again in a second");
                    Event::NotLoaded(channel)
                }
            };
            let _ = messages.send(Message::Event(event));
        });
    }

    fn is_active(&self) -> bool {
        *self.role.borrow() == Role::Active
    }

    fn count(&self) {
        if !self.is_active() {
            return;
        }
        let place = self.place.clone();
        let messages = self.handle.messages.clone();
        tokio::task::spawn_blocking(move || {
            if let Ok(found) = place.ask(store::waiting_by_channel) {
                let counts = Channel::ALL.map(|channel| {
                    let waiting = found.get(channel.as_str()).copied();
                    (channel, waiting.unwrap_or(0))
                });
                let _ = messages.send(Message::Waiting(counts.into()));
            }
        });
    }
}

fn waiting(counts: &[(Channel, i64)], channel: Channel) -> i64 {
    let of = |(counted, count): &(Channel, i64)| (*counted == channel).then_some(*count);
    counts.iter().find_map(of).unwrap_or(0)
}

type Label = [(&'static str, &'static str); 1];

/// What `/metrics` shows.
struct Figures {
    told: Family<Label, Counter>,
    failed: Family<Label, Counter>,
    given_up: Family<Label, Counter>,
    waiting: Family<Label, Gauge>,
}

impl Figures {
    fn register(metrics: &Metrics) -> Self {
        let figures = Self {
            told: Family::default(),
            failed: Family::default(),
            given_up: Family::default(),
            waiting: Family::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "notifications_told",
                "Contacts that were told",
                figures.told.clone(),
            );
            registry.register(
                "notifications_failed",
                "Attempts to tell a contact that failed",
                figures.failed.clone(),
            );
            registry.register(
                "notifications_given_up",
                "Contacts that are told no more, and were not",
                figures.given_up.clone(),
            );
            registry.register(
                "notifications_waiting",
                "Contacts that are still to be told",
                figures.waiting.clone(),
            );
        });
        figures
    }

    fn show(&self, states: impl Iterator<Item = QueueState>, counts: &[(Channel, i64)]) {
        for state in states {
            let label = [("channel", state.channel.as_str())];
            let raise = |family: &Family<Label, Counter>, to: u64| {
                let counter = family.get_or_create(&label);
                counter.inc_by(to.saturating_sub(counter.get()));
            };
            raise(&self.told, state.told);
            raise(&self.failed, state.failed);
            raise(&self.given_up, state.given_up);
            let gauge = self.waiting.get_or_create(&label);
            gauge.set(waiting(counts, state.channel));
        }
    }
}
