//! The core: sessions, queues and charging in memory; events in, effects out.

use std::time::Duration;

use tollwire_runtime::clock::Now;

use crate::effect::Effect;
use crate::entry::Recovered;
use crate::event::Event;
use crate::settings::Settings;

/// The SMSC.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
}

impl Core {
    /// A core that knows what the spool remembers; what it begins with goes to `effects`.
    pub fn new(
        _now: Now,
        settings: Settings,
        _recovered: Recovered,
        _effects: &mut Vec<Effect>,
    ) -> Self {
        Self { settings }
    }

    /// The one door.
    pub fn handle(&mut self, _now: Now, event: Event, _effects: &mut Vec<Effect>) {
        if let Event::Reloaded(settings) = event {
            self.settings = *settings;
        }
    }

    /// How long until [`Event::Tick`] is due; zero if it is, `None` if nothing waits for time.
    pub fn next_deadline(&self, _now: Now) -> Option<Duration> {
        None
    }
}
