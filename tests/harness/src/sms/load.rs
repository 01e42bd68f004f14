//! Many messages at once, from raw frames: what the tests of crashes and the bench put on a daemon.
//!
//! One thread moves every connection. It reads what there is, answers all of it in one write, and
//! counts; so it costs little beside the daemon it shares the machine with. Every message carries its
//! number, so that it is known afterwards what became of each.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::wire::{self, Frame, command, status};

/// Digits of a message's number at the beginning of its text.
const NUMBER_DIGITS: usize = 10;

/// What to send, and from how many connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the SMSC listens.
    pub server: SocketAddr,
    /// Who submits, and the password.
    pub submitter: (String, String),
    /// Who receives, and the password.
    pub receiver: (String, String),
    /// Transceivers that submit (and take receipts).
    pub submitters: usize,
    /// Receivers of messages.
    pub receivers: usize,
    /// Unanswered `submit_sm` per connection.
    pub window: u32,
    /// How many messages in all.
    pub messages: u32,
    /// Asks for delivery receipts, and waits for all of them.
    pub receipts: bool,
    /// Waits for the delivery of every accepted message.
    pub deliveries: bool,
    /// The numbers that messages go to begin with this; seven digits follow.
    pub prefix: String,
    /// Messages go to so many numbers in turn.
    pub destinations: u32,
    /// TLVs of every message.
    pub tlvs: Vec<(u16, Vec<u8>)>,
    /// Connects again when the SMSC goes away, and repeats what has no answer.
    pub persistent: bool,
    /// Gives up when nothing at all happens for so long.
    pub patience: Duration,
}

/// What became of the messages. Indexes are their numbers.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The id that the SMSC gave, when it answered ESME_ROK; the last one if it answered twice.
    pub message_ids: Vec<Option<String>>,
    /// How often each was delivered.
    pub delivered: Vec<u32>,
    /// The final receipts, by message id: the `stat` of each.
    pub receipts: HashMap<String, Vec<String>>,
    /// Refusals, by status; a refused message is sent again if it was for now.
    pub refused: HashMap<u32, u64>,
    /// How often messages were sent again because the connection was lost before the answer.
    pub repeated: u64,
    /// From the first submit to the last answer, delivery or receipt.
    pub seconds: f64,
}

impl Outcome {
    /// Messages that the SMSC accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.message_ids.iter().flatten().count()
    }
}

/// What the other threads may see and do while it runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// Messages accepted so far.
    pub accepted: AtomicU64,
    /// Deliveries so far.
    pub delivered: AtomicU64,
    /// Final receipts so far.
    pub receipts: AtomicU64,
    /// Refusals so far.
    pub refused: AtomicU64,
    /// Submits no more when set.
    pub stop: AtomicBool,
}

impl Progress {
    /// Ends the submitting after `time`; what was submitted is still waited for.
    pub fn stop_after(&self, time: Duration) {
        std::thread::sleep(time);
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Link {
    stream: Option<TcpStream>,
    submits: bool,
    bound: bool,
    retry_at: Instant,
    input: Vec<u8>,
    used: usize,
    output: Vec<u8>,
    written: usize,
    /// Messages submitted on this connection without an answer.
    unanswered: Vec<u32>,
}

impl Link {
    fn lost(&mut self, waiting: &mut Vec<u32>) -> u64 {
        self.stream = None;
        self.bound = false;
        self.used = 0;
        self.output.clear();
        self.written = 0;
        self.retry_at = Instant::now() + Duration::from_millis(20);
        waiting.extend(&self.unanswered);
        std::mem::take(&mut self.unanswered).len() as u64
    }
}

struct Load<'a> {
    settings: &'a Settings,
    progress: &'a Progress,
    template: Template,
    links: Vec<Link>,
    next: u32,
    /// To be sent again.
    again: Vec<u32>,
    outcome: Outcome,
    accepted: u64,
    delivered: u64,
    receipted: u64,
    failed: u64,
    last_event: Instant,
}

/// Sends all messages and waits for what the settings ask for.
///
/// # Panics
/// When the SMSC goes away and the settings do not allow it, or when nothing happens any more.
#[must_use]
pub fn run(settings: &Settings, progress: &Progress) -> Outcome {
    let count = settings.messages as usize;
    let link = |submits| Link {
        stream: None,
        submits,
        bound: false,
        retry_at: Instant::now(),
        input: vec![0; 1 << 18],
        used: 0,
        output: Vec::new(),
        written: 0,
        unanswered: Vec::new(),
    };
    let receivers = (0..settings.receivers).map(|_| link(false));
    let submitters = (0..settings.submitters).map(|_| link(true));
    let mut load = Load {
        settings,
        progress,
        template: Template::new(settings),
        links: receivers.chain(submitters).collect(),
        next: 0,
        again: Vec::new(),
        outcome: Outcome {
            message_ids: vec![None; count],
            delivered: vec![0; count],
            ..Outcome::default()
        },
        accepted: 0,
        delivered: 0,
        receipted: 0,
        failed: 0,
        last_event: Instant::now(),
    };
    // The clock starts when everybody is bound.
    load.turn_until(|load| load.links.iter().all(|link| link.bound));
    let started = Instant::now();
    load.next = 1;
    load.turn_until(Load::is_finished);
    load.outcome.seconds = started.elapsed().as_secs_f64();
    load.outcome
}

impl Load<'_> {
    fn turn_until(&mut self, finished: impl Fn(&Self) -> bool) {
        self.last_event = Instant::now();
        while !finished(self) {
            self.turn();
            assert!(
                self.last_event.elapsed() < self.settings.patience,
                "nothing happens: {} of {} accepted, {} delivered, {} receipts, refused {:?}",
                self.accepted,
                self.settings.messages,
                self.delivered,
                self.receipted,
                self.outcome.refused
            );
        }
    }

    fn is_finished(&self) -> bool {
        let all_sent = self.progress.stop.load(Ordering::Relaxed)
            || (self.next > self.settings.messages && self.again.is_empty());
        all_sent
            && self.links.iter().all(|link| link.unanswered.is_empty())
            && (!self.settings.deliveries || self.delivered + self.failed >= self.accepted)
            && (!self.settings.receipts || self.receipted >= self.accepted)
            && (!self.settings.persistent || self.nothing_is_missing())
    }

    /// Whether each accepted message, by itself, has had what the settings wait for. Counts do not
    /// tell once messages are repeated.
    fn nothing_is_missing(&self) -> bool {
        let outcome = &self.outcome;
        let ids = outcome.message_ids.iter().zip(&outcome.delivered);
        ids.filter_map(|(id, delivered)| Some((id.as_ref()?, *delivered)))
            .all(|(id, delivered)| {
                let receipts = outcome.receipts.get(id);
                let failed = receipts.is_some_and(|all| all.iter().any(|stat| stat != "DELIVRD"));
                (!self.settings.receipts || receipts.is_some())
                    && (!self.settings.deliveries || delivered > 0 || failed)
            })
    }

    fn turn(&mut self) {
        for index in 0..self.links.len() {
            if self.links[index].stream.is_none() && self.links[index].retry_at <= Instant::now() {
                self.connect(index);
            }
            self.fill(index);
            self.write(index);
        }
        let mut indexes = Vec::with_capacity(self.links.len());
        let mut waiting = Vec::with_capacity(self.links.len());
        for (index, link) in self.links.iter().enumerate() {
            let Some(stream) = &link.stream else { continue };
            let mut flags = PollFlags::POLLIN;
            if link.written < link.output.len() {
                flags |= PollFlags::POLLOUT;
            }
            indexes.push(index);
            waiting.push(PollFd::new(stream.as_fd(), flags));
        }
        poll(&mut waiting, PollTimeout::from(10_u8)).expect("poll");
        let has_events = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        let ready: Vec<usize> = indexes
            .into_iter()
            .zip(&waiting)
            .filter_map(|(index, fd)| has_events(fd).then_some(index))
            .collect();
        for index in ready {
            self.read(index);
        }
    }

    fn connect(&mut self, index: usize) {
        let settings = self.settings;
        let link = &mut self.links[index];
        let patience = Duration::from_secs(5);
        let stream = match TcpStream::connect_timeout(&settings.server, patience) {
            Ok(stream) => stream,
            Err(error) => {
                assert!(settings.persistent, "{}: {error}", settings.server);
                link.retry_at = Instant::now() + Duration::from_millis(20);
                return;
            }
        };
        stream.set_nodelay(true).expect("a TCP option");
        stream.set_nonblocking(true).expect("a socket option");
        let (kind, (system_id, password)) = if link.submits {
            (command::BIND_TRANSCEIVER, &settings.submitter)
        } else {
            (command::BIND_RECEIVER, &settings.receiver)
        };
        link.output
            .extend(wire::bind(kind, u32::MAX >> 1, system_id, password));
        link.stream = Some(stream);
    }

    /// As many submits as the window allows.
    fn fill(&mut self, index: usize) {
        let link = &mut self.links[index];
        // Message numbers begin at 1, and so does the sending.
        if !link.submits || !link.bound || self.next == 0 {
            return;
        }
        while link.unanswered.len() < self.settings.window as usize {
            if self.progress.stop.load(Ordering::Relaxed) {
                return;
            }
            let number = match self.again.pop() {
                Some(number) => number,
                None if self.next <= self.settings.messages => {
                    self.next += 1;
                    self.next - 1
                }
                None => return,
            };
            self.template.write(number, &mut link.output);
            link.unanswered.push(number);
        }
    }

    fn write(&mut self, index: usize) {
        let link = &mut self.links[index];
        let Some(stream) = &mut link.stream else {
            return;
        };
        while let Some(rest) = link
            .output
            .get(link.written..)
            .filter(|rest| !rest.is_empty())
        {
            match stream.write(rest) {
                Ok(count) => link.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    self.lost(index, &error.to_string());
                    return;
                }
            }
        }
        link.output.clear();
        link.written = 0;
    }

    fn lost(&mut self, index: usize, why: &str) {
        assert!(self.settings.persistent, "the SMSC closed: {why}");
        self.outcome.repeated += self.links[index].lost(&mut self.again);
    }

    fn read(&mut self, index: usize) {
        let link = &mut self.links[index];
        let Some(stream) = &mut link.stream else {
            return;
        };
        match stream.read(&mut link.input[link.used..]) {
            Ok(0) => return self.lost(index, "end of stream"),
            Ok(count) => link.used += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => return self.lost(index, &error.to_string()),
        }
        self.last_event = Instant::now();
        let input = std::mem::take(&mut self.links[index].input);
        let used = self.links[index].used;
        let done = wire::frames(&input[..used], |frame| self.take(index, frame));
        let link = &mut self.links[index];
        link.input = input;
        link.input.copy_within(done..used, 0);
        link.used = used - done;
        let progress = self.progress;
        progress.accepted.store(self.accepted, Ordering::Relaxed);
        progress.delivered.store(self.delivered, Ordering::Relaxed);
        progress.receipts.store(self.receipted, Ordering::Relaxed);
    }

    fn take(&mut self, index: usize, frame: Frame<'_>) {
        const SUBMIT_SM_RESP: u32 = command::SUBMIT_SM | command::RESPONSE;
        match frame.command_id {
            SUBMIT_SM_RESP => self.answered(index, frame),
            command::DELIVER_SM => {
                self.deliver(frame.body);
                let answer = EmptyAnswer::new(command::DELIVER_SM, frame.sequence_number);
                self.links[index].output.extend_from_slice(&answer.0);
            }
            command::ENQUIRE_LINK => {
                let id = command::ENQUIRE_LINK | command::RESPONSE;
                let answer = wire::Writer::new(id, 0, frame.sequence_number).finish();
                self.links[index].output.extend(answer);
            }
            id if id & !command::RESPONSE <= command::BIND_TRANSCEIVER
                && frame.sequence_number == u32::MAX >> 1 =>
            {
                if frame.command_status == status::ESME_ROK {
                    self.links[index].bound = true;
                } else {
                    let why = format!("bind refused with {:#x}", frame.command_status);
                    self.lost(index, &why);
                }
            }
            _ => {}
        }
    }

    fn answered(&mut self, index: usize, frame: Frame<'_>) {
        let number = frame.sequence_number;
        let link = &mut self.links[index];
        // Answers come in order nearly always, so the first entries are looked at first.
        let at = link
            .unanswered
            .iter()
            .position(|waiting| *waiting == number);
        let Some(at) = at else {
            panic!("an answer to {number}, which is not waiting for one");
        };
        link.unanswered.remove(at);
        if frame.command_status == status::ESME_ROK {
            self.accepted += 1;
            let id = wire::text(frame.body).map(|(id, _)| id).unwrap_or_default();
            let id = String::from_utf8_lossy(id).into_owned();
            self.outcome.message_ids[number as usize - 1] = Some(id);
        } else {
            let count = self.outcome.refused.entry(frame.command_status);
            *count.or_default() += 1;
            self.progress.refused.fetch_add(1, Ordering::Relaxed);
            if self.settings.persistent {
                self.again.push(number);
            }
        }
    }

    fn deliver(&mut self, body: &[u8]) {
        let delivery = wire::delivery(body).expect("a deliver_sm");
        if wire::is_receipt(delivery.esm_class) {
            let text = String::from_utf8_lossy(delivery.short_message);
            let field = |name: &str| {
                let (_, rest) = text.split_once(name)?;
                rest.split(' ').next()
            };
            let (Some(id), Some(stat)) = (field("id:"), field("stat:")) else {
                return;
            };
            let (id, stat) = (id.to_owned(), stat.to_owned());
            if stat != "ACCEPTD" && stat != "ENROUTE" {
                self.receipted += 1;
                if stat != "DELIVRD" {
                    self.failed += 1;
                }
                self.outcome.receipts.entry(id).or_default().push(stat);
            }
        } else {
            let number = delivery
                .short_message
                .get(..NUMBER_DIGITS)
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .and_then(|digits| digits.parse::<usize>().ok());
            // A message that somebody else sent to the receiver is taken, and does not count.
            let Some(number) =
                number.filter(|number| (1..=self.outcome.delivered.len()).contains(number))
            else {
                return;
            };
            let count = &mut self.outcome.delivered[number - 1];
            *count += 1;
            // Repeated deliveries do not stand for others.
            if *count == 1 {
                self.delivered += 1;
            }
        }
    }
}

/// A response with an empty `message_id` (17 octets).
struct EmptyAnswer([u8; 17]);

impl EmptyAnswer {
    fn new(command_id: u32, sequence_number: u32) -> Self {
        let mut octets = [0; 17];
        octets[3] = 17;
        octets[4..8].copy_from_slice(&(command_id | command::RESPONSE).to_be_bytes());
        octets[12..16].copy_from_slice(&sequence_number.to_be_bytes());
        Self(octets)
    }
}

/// A submit_sm with holes for its numbers.
struct Template {
    octets: Vec<u8>,
    text_at: usize,
    destination_at: usize,
    destinations: u32,
}

impl Template {
    fn new(settings: &Settings) -> Self {
        let text = format!("{:0>NUMBER_DIGITS$} your ticket is on its way", 0);
        let destination = format!("{}{:07}", settings.prefix, 0);
        let octets = wire::submit_sm(
            0,
            "4900",
            &destination,
            u8::from(settings.receipts),
            text.as_bytes(),
            &settings.tlvs,
        );
        let find = |text: &str| {
            let found = octets
                .windows(text.len())
                .position(|at| at == text.as_bytes());
            found.expect("it is in there")
        };
        Self {
            text_at: find(&text),
            destination_at: find(&destination) + settings.prefix.len(),
            destinations: settings.destinations,
            octets,
        }
    }

    fn write(&mut self, number: u32, output: &mut Vec<u8>) {
        let from = output.len();
        output.extend_from_slice(&self.octets);
        let frame = &mut output[from..];
        frame[12..16].copy_from_slice(&number.to_be_bytes());
        digits(
            number,
            &mut frame[self.text_at..self.text_at + NUMBER_DIGITS],
        );
        let destination = number % self.destinations;
        let at = self.destination_at;
        digits(destination, &mut frame[at..at + 7]);
    }
}

fn digits(mut number: u32, into: &mut [u8]) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
    }
}
