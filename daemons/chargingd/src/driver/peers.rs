//! The accounting manager of peers is a credit-control client in this process: its requests go the way of others'.

use tokio::sync::mpsc;
use tollwire_runtime::clock::Now;
use tollwire_runtime::metrics::{Gauges, Metrics};

use super::{Driver, TURN, Waiting};
use crate::ask;
use crate::config::Config;
use crate::effect::Effect;
use crate::event::Event;
use crate::peer::manager::{Charge, Command, Manager};
use crate::peer::{figures, gate};

/// The way to the manager.
pub(super) struct Peers {
    origin_host: String,
    commands: mpsc::UnboundedSender<Command>,
}

/// What `/metrics` shows of it.
pub(super) struct Shown {
    figures: Gauges<figures::Figures>,
    gates: Gauges<gate::Figures>,
}

impl Peers {
    pub(super) fn of(config: &Config, manager: &Manager) -> Option<Self> {
        Some(Self {
            origin_host: config.peers_parties().origin_host,
            commands: manager.commands()?,
        })
    }

    /// Whether the manager is the client of this Origin-Host.
    pub(super) fn is(&self, origin_host: &str) -> bool {
        self.origin_host == origin_host
    }

    /// What billing asks of a session of the manager's.
    pub(super) fn tell(&self, session_id: &str, what: &ask::What<'_>) -> Waiting {
        let command = match what {
            ask::What::Abort => Command::Aborted(session_id.into()),
            ask::What::ReAuthorize { .. } => Command::Refresh(session_id.into()),
        };
        Waiting::Peers(self.commands.clone(), command)
    }

    pub(super) fn reload(&self, config: &Config) {
        let command = Command::Reload(Box::new(config.peers.clone()));
        let _ = self.commands.send(command);
    }
}

impl Shown {
    pub(super) fn register(metrics: &Metrics) -> Self {
        Self {
            figures: Gauges::register(metrics, figures::ROWS),
            gates: Gauges::register(metrics, gate::GAUGE_ROWS),
        }
    }

    pub(super) fn set(&self, manager: &Manager) {
        let figures = manager.figures();
        self.figures.set(&figures);
        self.gates.set(&figures.gates);
    }
}

impl Driver {
    /// Requests of the manager's that are there.
    pub(super) fn charge_all(
        &mut self,
        first: Charge,
        more: &mut mpsc::Receiver<Charge>,
        effects: &mut Vec<Effect>,
    ) {
        self.charge(first, effects);
        for _ in 1..TURN {
            match more.try_recv() {
                Ok(next) => self.charge(next, effects),
                Err(_) => break,
            }
        }
    }

    fn charge(&mut self, charge: Charge, effects: &mut Vec<Effect>) {
        // Who waits hears that nothing was done.
        if !self.is_active() {
            return;
        }
        let token = self.next_token();
        self.charges.insert(token, charge.answer);
        let request = charge.request;
        let event = Event::CreditControl { token, request };
        self.core.handle(Now::read(), event, effects);
    }

    /// The manager ends; who waits for a charge hears that there is none now.
    pub(super) async fn end_peers(&mut self, manager: Option<Manager>) {
        self.charges.clear();
        self.peers = None;
        if let Some(manager) = manager {
            manager.stop().await;
        }
    }
}
