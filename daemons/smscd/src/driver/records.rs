//! The thread that writes charge records.

use std::io;

use tokio::sync::mpsc::UnboundedSender;

use crate::config::Config;
use crate::effect::RecordFacts;
use crate::event::Event;

pub(super) struct Records {
    told: UnboundedSender<Event>,
    taken: u64,
    said: u64,
}

impl Records {
    pub(super) fn start(_: &Config, told: UnboundedSender<Event>) -> io::Result<Self> {
        Ok(Self {
            told,
            taken: 0,
            said: 0,
        })
    }

    pub(super) fn write(&mut self, _: Box<RecordFacts>) {
        self.taken += 1;
    }

    pub(super) fn flush(&mut self) {
        if self.taken > self.said {
            self.said = self.taken;
            let _ = self.told.send(Event::RecordsStored { up_to: self.taken });
        }
    }
}
