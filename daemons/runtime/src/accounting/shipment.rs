//! The rules: what is sent, what is sent again, what is acknowledged. No I/O.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tollwire_diameter::peer::Backoff;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be sent.
    Ready,
    /// Waits for its answer.
    Sent,
    /// The storage has it; an earlier one is still awaited.
    Kept,
}

#[derive(Debug, Clone)]
struct Flight<R> {
    record: R,
    state: State,
    /// It may have been sent before: the T flag.
    again: bool,
}

/// A record that is to be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Its number; [`Shipment::record`] has it.
    pub number: u64,
    /// Whether it may have been sent before (RFC 6733 3, the T flag).
    pub again: bool,
}

/// The records on their way, oldest first.
///
/// Nothing is ever passed over: a record that is refused is sent again, after pauses that grow, and those behind the
/// window wait for it.
#[derive(Debug)]
pub struct Shipment<R> {
    window: usize,
    retry: Backoff,
    flights: BTreeMap<u64, Flight<R>>,
    acknowledged: u64,
    /// The last number taken in.
    taken: u64,
    /// Up to here an earlier process may have sent records without hearing their answers.
    suspect: u64,
    reachable: bool,
    pause: Option<Duration>,
    resume_at: Option<Instant>,
}

impl<R> Shipment<R> {
    /// A shipment that goes on behind `acknowledged`, `None` if nothing was ever sent. `spooled` records are there:
    /// an earlier process may have sent any of them, for what it wrote down of its progress was behind.
    pub fn new(acknowledged: Option<u64>, spooled: u64, window: usize, retry: Backoff) -> Self {
        let begin = acknowledged.unwrap_or(0);
        Self {
            window,
            retry,
            flights: BTreeMap::new(),
            acknowledged: begin,
            taken: begin,
            suspect: acknowledged.map_or(0, |_| spooled),
            reachable: false,
            pause: None,
            resume_at: None,
        }
    }

    /// How many records may be taken in, and behind which number they begin.
    pub fn room(&self) -> (usize, u64) {
        (self.window.saturating_sub(self.flights.len()), self.taken)
    }

    /// Takes records in, in their order.
    pub fn take(&mut self, records: impl IntoIterator<Item = (u64, R)>) {
        for (number, record) in records {
            debug_assert!(number > self.taken, "records come in their order");
            let flight = Flight {
                record,
                state: State::Ready,
                again: number <= self.suspect,
            };
            self.flights.insert(number, flight);
            self.taken = number;
        }
    }

    /// Whether requests can be sent to the storage.
    pub fn set_reachable(&mut self, reachable: bool) {
        self.reachable = reachable;
    }

    /// What is to be sent now. Each counts as sent.
    pub fn due(&mut self, now: Instant) -> Vec<Course> {
        if !self.reachable || self.resume_at.is_some_and(|at| at > now) {
            return Vec::new();
        }
        self.resume_at = None;
        let mut due = Vec::new();
        for (number, flight) in &mut self.flights {
            if flight.state == State::Ready {
                flight.state = State::Sent;
                due.push(Course {
                    number: *number,
                    again: flight.again,
                });
                flight.again = true;
            }
        }
        due
    }

    /// The record of a number that is on its way.
    pub fn record(&self, number: u64) -> Option<&R> {
        self.flights.get(&number).map(|flight| &flight.record)
    }

    /// The storage has the record.
    pub fn kept(&mut self, number: u64) {
        let Some(flight) = self.flights.get_mut(&number) else {
            return;
        };
        flight.state = State::Kept;
        self.pause = None;
        while let Some(entry) = self.flights.first_entry()
            && entry.get().state == State::Kept
        {
            self.acknowledged = *entry.key();
            entry.remove();
        }
    }

    /// The storage does not have the record, or may not. It is sent again after a pause, and with it all others that
    /// fail until then.
    pub fn failed(&mut self, now: Instant, number: u64) {
        let Some(flight) = self.flights.get_mut(&number) else {
            return;
        };
        if flight.state == State::Kept {
            return;
        }
        flight.state = State::Ready;
        if self.resume_at.is_none() {
            let pause = self
                .pause
                .map_or(self.retry.first, |pause| pause.saturating_mul(2))
                .min(self.retry.max);
            self.pause = Some(pause);
            self.resume_at = Some(now + pause);
        }
    }

    /// The record was not sent at all, for there is no connection: it is when there is one.
    pub fn unsent(&mut self, number: u64, again: bool) {
        if let Some(flight) = self.flights.get_mut(&number)
            && flight.state == State::Sent
        {
            flight.state = State::Ready;
            flight.again = again;
        }
    }

    /// Up to which number the storage has all records.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Records that are on their way.
    pub fn under_way(&self) -> usize {
        self.flights.len()
    }

    /// When something is to be sent again.
    pub fn resume_at(&self) -> Option<Instant> {
        self.resume_at
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const RETRY: Backoff = Backoff {
        first: Duration::from_secs(1),
        max: Duration::from_secs(4),
    };

    fn sent(shipment: &mut Shipment<()>, now: Instant) -> Vec<(u64, bool)> {
        let due = shipment.due(now);
        due.iter()
            .map(|course| (course.number, course.again))
            .collect()
    }

    #[test]
    fn records_leave_in_order_and_the_window_bounds_them() {
        let now = Instant::now();
        let mut shipment = Shipment::new(None, 9, 3, RETRY);
        assert_eq!(shipment.room(), (3, 0));
        shipment.take([(1, ()), (2, ()), (3, ())]);
        assert_eq!(sent(&mut shipment, now), [], "nobody is reached");
        shipment.set_reachable(true);
        assert_eq!(
            sent(&mut shipment, now),
            [(1, false), (2, false), (3, false)]
        );
        assert_eq!(sent(&mut shipment, now), []);
        shipment.kept(2);
        assert_eq!((shipment.acknowledged(), shipment.room()), (0, (0, 3)));
        shipment.kept(1);
        assert_eq!((shipment.acknowledged(), shipment.room()), (2, (2, 3)));
    }

    #[test]
    fn what_fails_is_sent_again_after_pauses_that_grow() {
        let begin = Instant::now();
        let mut shipment = Shipment::new(None, 9, 2, RETRY);
        shipment.set_reachable(true);
        shipment.take([(1, ()), (2, ())]);
        let mut now = begin;
        sent(&mut shipment, now);
        shipment.kept(2);
        for seconds in [1, 2, 4, 4] {
            shipment.failed(now, 1);
            assert_eq!(
                shipment.resume_at(),
                Some(now + Duration::from_secs(seconds))
            );
            assert_eq!(sent(&mut shipment, now), []);
            now += Duration::from_secs(seconds);
            assert_eq!(sent(&mut shipment, now), [(1, true)]);
        }
        shipment.kept(1);
        assert_eq!(shipment.acknowledged(), 2);
        shipment.take([(3, ())]);
        sent(&mut shipment, now);
        shipment.failed(now, 3);
        assert_eq!(
            shipment.resume_at(),
            Some(now + RETRY.first),
            "from the start"
        );
    }

    #[test]
    fn after_a_restart_what_may_have_been_sent_says_so() {
        let mut shipment = Shipment::new(Some(10), 12, 2, RETRY);
        shipment.set_reachable(true);
        shipment.take([(11, ()), (12, ())]);
        let now = Instant::now();
        assert_eq!(sent(&mut shipment, now), [(11, true), (12, true)]);
        shipment.kept(11);
        shipment.kept(12);
        // The spool has lost 13.
        shipment.take([(14, ())]);
        assert_eq!(sent(&mut shipment, now), [(14, false)]);
        shipment.unsent(14, false);
        assert_eq!(sent(&mut shipment, now), [(14, false)]);
        shipment.kept(14);
        assert_eq!(shipment.acknowledged(), 14);
    }

    /// What the world does next.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// The storage keeps and answers one that it has got: which, by its place.
        Answer(usize),
        /// It keeps one, and the answer is lost.
        KeepSilently(usize),
        /// It refuses one.
        Refuse(usize),
        /// This process dies, and the cursor is this far behind.
        Crash(u64),
        /// Time passes.
        Wait,
        /// The connection breaks or comes back.
        Reachable(bool),
        /// More records are spooled.
        Spool(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..8_usize).prop_map(Step::Answer),
            1 => (0..8_usize).prop_map(Step::KeepSilently),
            1 => (0..8_usize).prop_map(Step::Refuse),
            1 => (0..5_u64).prop_map(Step::Crash),
            2 => Just(Step::Wait),
            1 => any::<bool>().prop_map(Step::Reachable),
            2 => (1..5_u64).prop_map(Step::Spool),
        ]
    }

    proptest! {
        /// A set is the storage: whatever happens, it has all that is acknowledged; and in the end it has all.
        #[test]
        fn nothing_is_lost(steps in proptest::collection::vec(step(), 0..100)) {
            const WINDOW: usize = 4;
            let mut now = Instant::now();
            let mut spooled = 0_u64;
            let mut storage = BTreeSet::new();
            let mut on_the_wire: Vec<u64> = Vec::new();
            let mut heard: BTreeSet<u64> = BTreeSet::new();
            let mut shipment: Shipment<()> = Shipment::new(None, 0, WINDOW, RETRY);
            let mut cursor = None;
            let finish = std::iter::once(Step::Reachable(true))
                .chain(std::iter::repeat_n([Step::Wait, Step::Answer(0)], 500).flatten());
            for step in steps.into_iter().chain(finish) {
                let pick = |wire: &mut Vec<u64>, at: usize| {
                    (!wire.is_empty()).then(|| wire.remove(at % wire.len()))
                };
                match step {
                    Step::Answer(at) => {
                        if let Some(number) = pick(&mut on_the_wire, at) {
                            storage.insert(number);
                            heard.insert(number);
                            shipment.kept(number);
                        }
                    }
                    Step::KeepSilently(at) => {
                        if let Some(number) = pick(&mut on_the_wire, at) {
                            storage.insert(number);
                            shipment.failed(now, number);
                        }
                    }
                    Step::Refuse(at) => {
                        if let Some(number) = pick(&mut on_the_wire, at) {
                            shipment.failed(now, number);
                        }
                    }
                    Step::Crash(behind) => {
                        cursor = cursor.max(Some(shipment.acknowledged().saturating_sub(behind)));
                        on_the_wire.clear();
                        shipment = Shipment::new(cursor, spooled, WINDOW, RETRY);
                        shipment.set_reachable(true);
                    }
                    Step::Wait => now += RETRY.max,
                    Step::Reachable(reachable) => shipment.set_reachable(reachable),
                    Step::Spool(count) => spooled += count,
                }
                let (room, behind) = shipment.room();
                prop_assert!(shipment.under_way() <= WINDOW);
                let end = spooled.min(behind + room as u64);
                shipment.take((behind + 1..=end).map(|number| (number, ())));
                for course in shipment.due(now) {
                    prop_assert!(!on_the_wire.contains(&course.number));
                    // What the storage may have already says that it is a repetition.
                    prop_assert!(course.again || !storage.contains(&course.number));
                    on_the_wire.push(course.number);
                }
                prop_assert!((1..=shipment.acknowledged()).all(|number| heard.contains(&number)));
            }
            prop_assert_eq!(shipment.acknowledged(), spooled);
            prop_assert_eq!(storage.len() as u64, spooled);
        }
    }
}
