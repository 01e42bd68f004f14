//! Closings beside the core: one at a time, when the operator wants one or when the month is over.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tollwire_runtime::clock::Now;

use super::Invoice;
use super::close::{self, CloseError, Settings};
use super::config::Config;
use super::period::{Month, date, zone};
use super::rows::{PeriodRow, Row, month_of};
use crate::audit::Entry;
use crate::effect::{Mutation, Refusal};
use crate::role::Role;
use crate::store::{self, Cause, Place};

/// How often it is looked whether a month is to be closed.
const ROUND: Duration = Duration::from_secs(60);
/// Who closes a month on `invoices.close_day`, in the audit log.
const ITSELF: &str = "invoices.close_day";
/// After a closing that failed.
const PAUSE: Duration = Duration::from_secs(900);

/// Rows to be stored, and who waits for it.
#[derive(Debug)]
pub(crate) struct Keep {
    /// The rows.
    pub(crate) mutations: Vec<Mutation>,
    /// Told whether they are stored; dropped if nobody can say.
    pub(crate) done: std::sync::mpsc::SyncSender<bool>,
}

/// How far a closing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(crate) enum State {
    /// Invoices are being made.
    Closing {
        /// The month.
        period: Month,
        /// Customers that are done.
        customers: u64,
    },
    /// The period is closed.
    Closed {
        /// The month.
        period: Month,
        /// Invoices.
        invoices: i64,
        /// Settlements.
        settlements: i64,
        /// When, milliseconds since 1970.
        closed_unix_ms: i64,
    },
    /// It is not, and stays as it was.
    Failed {
        /// The month.
        period: Month,
        /// Why, and what to do.
        error: String,
        /// The operator may want something else; otherwise the store is away.
        refused: bool,
    },
}

impl State {
    fn is_closing(&self) -> bool {
        matches!(self, Self::Closing { .. })
    }

    /// Of a closed period.
    pub(crate) fn of(row: &PeriodRow) -> Option<Self> {
        Some(Self::Closed {
            period: month_of(row.month)?,
            invoices: row.invoices,
            settlements: row.settlements,
            closed_unix_ms: row.closed_unix_ms,
        })
    }
}

/// The way to closings and previews.
#[derive(Debug, Clone)]
pub(crate) struct Closer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    place: Place,
    config: RwLock<(Config, Settings)>,
    keeps: mpsc::Sender<Keep>,
    running: Mutex<Option<watch::Receiver<State>>>,
    role: watch::Receiver<Role>,
}

impl Closer {
    /// Over the store at `place`; `keeps` leads to whoever stores, and `role` says whether that may be now.
    ///
    /// # Errors
    /// The key of the configuration that does not do, and why.
    pub(crate) fn new(
        place: Place,
        config: Config,
        keeps: mpsc::Sender<Keep>,
        role: watch::Receiver<Role>,
    ) -> Result<Self, (&'static str, String)> {
        let settings = config.settings()?;
        Ok(Self(Arc::new(Shared {
            place,
            config: RwLock::new((config, settings)),
            keeps,
            running: Mutex::new(None),
            role,
        })))
    }

    /// From now on by this configuration; a closing that runs goes on with its own.
    pub(crate) fn configure(&self, config: Config) {
        if let Ok(settings) = config.settings() {
            let mut current = self
                .0
                .config
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            *current = (config, settings);
        }
    }

    /// Why nothing is closed here now, if so.
    pub(crate) fn elsewhere(&self) -> Option<Refusal> {
        self.0.role.borrow().refuse_operator()
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0.place
    }

    pub(crate) fn language(&self) -> String {
        self.config().0.language
    }

    fn config(&self) -> (Config, Settings) {
        let config = self.0.config.read();
        config.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins to close `month` because `who` wants it, or looks at the closing of it that runs.
    ///
    /// # Errors
    /// The month whose closing runs.
    pub(crate) fn close(&self, month: Month, who: &str) -> Result<watch::Receiver<State>, Month> {
        let mut running = self
            .0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = &*running {
            let state = watch.borrow().clone();
            match state {
                State::Closing { period, .. } if period == month => return Ok(watch.clone()),
                State::Closing { period, .. } => return Err(period),
                _ => {}
            }
        }
        let (sender, receiver) = watch::channel(State::Closing {
            period: month,
            customers: 0,
        });
        *running = Some(receiver.clone());
        let closer = self.clone();
        let who: Box<str> = who.into();
        tokio::task::spawn_blocking(move || {
            let state = closer.run(month, &who, &sender);
            match &state {
                State::Failed { error, .. } => {
                    tracing::error!(period = %month, error, "not closed")
                }
                State::Closed {
                    invoices,
                    settlements,
                    ..
                } => {
                    tracing::info!(period = %month, invoices, settlements, "the period is closed");
                }
                State::Closing { .. } => {}
            }
            sender.send_replace(state);
        });
        Ok(receiver)
    }

    fn run(&self, month: Month, who: &str, sender: &watch::Sender<State>) -> State {
        let (_, settings) = self.config();
        let progress = |customers| {
            sender.send_replace(State::Closing {
                period: month,
                customers,
            });
            // The daemon is stopping when nobody stores any more.
            !self.0.keeps.is_closed()
        };
        let now = Now::read().unix_ms;
        let log = |outcome: &str| Mutation::Audit(Box::new(entry(now, who, month, outcome)));
        let mut is_new = false;
        let outcome = self.0.place.ask(|store| {
            let keep = &mut |mut mutations: Vec<Mutation>| {
                // The line of the log is stored with what makes the period closed, or with nothing.
                if mutations.iter().any(closes) {
                    mutations.push(log("done"));
                    is_new = true;
                }
                self.keep(mutations)
            };
            match close::close(store, keep, &settings, month, now, &progress) {
                Ok(row) => Ok(Ok(row)),
                Err(CloseError::Refused(error)) => Ok(Err(error)),
                Err(CloseError::Store(cause)) => Err(cause),
            }
        });
        let failed = |error, refused| State::Failed {
            period: month,
            error,
            refused,
        };
        let state = match outcome {
            Ok(Ok(row)) => {
                State::of(&row).unwrap_or_else(|| failed("the period has no month".into(), false))
            }
            Ok(Err(error)) => failed(error, true),
            Err(error) => failed(error.to_string(), false),
        };
        let otherwise = match &state {
            State::Failed { error, .. } => Some(error.as_str()),
            _ if is_new => None,
            _ => Some("it was closed already"),
        };
        if let Some(outcome) = otherwise
            && let Err(error) = self.keep(vec![log(outcome)])
        {
            tracing::warn!(%error, who, period = %month, outcome, "the audit log lacks a line");
        }
        state
    }

    fn keep(&self, mutations: Vec<Mutation>) -> Result<(), Cause> {
        let (done, kept) = std::sync::mpsc::sync_channel(1);
        let keep = Keep { mutations, done };
        if self.0.keeps.blocking_send(keep).is_err() {
            return Err("the daemon is stopping".into());
        }
        match kept.recv() {
            Ok(true) => Ok(()),
            _ => Err("not stored: see the log, and close the period again".into()),
        }
    }

    /// What the customer's next invoice would be now. Blocks.
    ///
    /// # Errors
    /// [`CloseError`]
    pub(crate) fn preview(
        &self,
        account: &str,
        month: Option<Month>,
    ) -> Result<Invoice, CloseError> {
        let (_, settings) = self.config();
        let now = Now::read().unix_ms;
        let asked =
            self.0.place.ask(
                |store| match close::preview(store, &settings, account, month, now) {
                    Err(CloseError::Store(cause)) => Err(cause),
                    other => Ok(other),
                },
            );
        asked.unwrap_or_else(|error| Err(CloseError::Store(error.to_string().into())))
    }

    /// Closes each month by itself when the configuration says so; until the task is dropped.
    pub(crate) async fn close_when_due(self) {
        loop {
            tokio::time::sleep(ROUND).await;
            let closer = self.clone();
            let looked = tokio::task::spawn_blocking(move || closer.due(Now::read().unix_ms));
            let month = match looked.await {
                Ok(Ok(Some(month))) => month,
                Ok(Ok(None)) => continue,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "it cannot be told whether a month is to be closed");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(_) => return,
            };
            if let Ok(mut watch) = self.close(month, ITSELF)
                && let Ok(state) = watch
                    .wait_for(|state| !state.is_closing())
                    .await
                    .map(|state| state.clone())
                && matches!(state, State::Failed { .. })
            {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// The month that is to be closed now.
    fn due(&self, now_unix_ms: i64) -> Result<Option<Month>, Cause> {
        let (config, _) = self.config();
        if config.close_day == 0 || self.elsewhere().is_some() {
            return Ok(None);
        }
        let (operators, _) = zone(&config.time_zone);
        let last = self.0.place.ask(|store| store::periods(store, 1))?.pop();
        let last = last.and_then(|last| month_of(last.month));
        Ok(due(now_unix_ms, &operators, config.close_day, last))
    }
}

fn closes(mutation: &Mutation) -> bool {
    matches!(mutation, Mutation::Invoicing(row) if matches!(**row, Row::Period(_)))
}

/// Of the audit log.
fn entry(unix_ms: i64, who: &str, month: Month, outcome: &str) -> Entry {
    Entry {
        unix_ms,
        who: who.into(),
        operation: "close-period".into(),
        account: "".into(),
        detail: serde_json::json!({ "period": month }).to_string().into(),
        outcome: outcome.into(),
    }
}

/// The month that is to be closed at `now_unix_ms`, after `last`; each on the `day` of the month after it, and when it
/// is over everywhere.
fn due(now_unix_ms: i64, zone: &TimeZone, day: u8, last: Option<Month>) -> Option<Month> {
    let this = Month::of(now_unix_ms, zone)?;
    let mut latest = this.previous()?;
    if i16::from(date(now_unix_ms, zone)?.day()) < i16::from(day)
        || now_unix_ms < latest.ends_everywhere()?.1
    {
        latest = latest.previous()?;
        // Without a closing before, nothing says that the operator wanted that one.
        last?;
    }
    let next = match last {
        Some(last) => last.next()?,
        None => latest,
    };
    (next <= latest).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_closed_on_their_day_and_none_is_left_out() {
        let (berlin, _) = zone("Europe/Berlin");
        let closed = |at: &str, day, last: Option<&str>| {
            let at: jiff::Timestamp = at.parse().unwrap();
            let last = last.map(|last| last.parse().unwrap());
            due(at.as_millisecond(), &berlin, day, last).map(|month| month.to_string())
        };
        let october = Some("2026-10".to_owned());
        assert_eq!(closed("2026-11-02T22:59:59Z", 3, None), None);
        assert_eq!(closed("2026-11-02T23:00:00Z", 3, None), october);
        assert_eq!(closed("2026-11-02T23:00:00Z", 3, Some("2026-09")), october);
        assert_eq!(closed("2026-11-02T23:00:00Z", 3, Some("2026-10")), None);
        assert_eq!(closed("2026-11-01T11:59:59Z", 1, Some("2026-09")), None);
        assert_eq!(closed("2026-11-01T12:00:00Z", 1, Some("2026-09")), october);
        assert_eq!(
            closed("2026-11-01T00:00:00Z", 3, Some("2026-08")).as_deref(),
            Some("2026-09")
        );
        assert_eq!(closed("2027-01-05T00:00:00Z", 3, Some("2026-09")), october);
    }
}
