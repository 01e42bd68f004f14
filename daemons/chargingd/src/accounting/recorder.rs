//! From the Diameter node to the storage, and back.

use tollwire_diameter::accounting::AccountingRequest;
use tollwire_diameter::{Message, ResultCode};
use tollwire_runtime::diameter::{NodeHandle, ReplyTo};
use tollwire_runtime::metrics::Reading;

use super::{After, Arrival, Config, Figures, Storage, Told, open};
use crate::store::Place;

/// Takes Accounting-Requests.
pub(crate) struct Recorder {
    storage: Storage<Waiting>,
    told: Told,
}

/// A request whose record is on its way to disk.
struct Waiting {
    node: NodeHandle,
    reply_to: ReplyTo,
    message: Message,
    request: AccountingRequest,
    told: Told,
}

impl After for Waiting {
    fn done(self, result_code: ResultCode) {
        let answer = self.told.answer(
            self.node.identity(),
            &self.message,
            &self.request,
            result_code,
        );
        // Gone with its connection: the element sends the record again, and it is known.
        self.node.answer(self.reply_to, &answer);
    }
}

impl Recorder {
    /// Opens the database at `place`; `None` if records are not to be kept.
    ///
    /// # Errors
    /// The database cannot be used.
    pub(crate) fn start(config: &Config, place: &Place) -> std::io::Result<Option<Self>> {
        if !config.enabled {
            return Ok(None);
        }
        let backend = open(place).map_err(|error| {
            std::io::Error::other(format!("accounting storage: {place}: {error}"))
        })?;
        Ok(Some(Self {
            storage: Storage::start(backend, config.limits(), config.keep())?,
            told: config.told(),
        }))
    }

    /// Takes `message`, an Accounting-Request; its answer follows once its record is kept.
    pub(crate) fn request(&self, node: &NodeHandle, reply_to: ReplyTo, message: Message) {
        match Arrival::read(&message) {
            Err(error) => {
                let refusal = message.refuse_undecodable(node.identity(), &error);
                node.answer(reply_to, &refusal);
            }
            Ok((arrival, request)) => {
                let waiting = Waiting {
                    node: node.clone(),
                    reply_to,
                    message,
                    request,
                    told: self.told,
                };
                self.storage.submit(arrival, waiting);
            }
        }
    }

    /// For `/metrics`.
    pub(crate) fn figures(&self) -> Figures {
        self.storage.figures()
    }
}

/// What `/metrics` shows.
pub(crate) const GAUGE_ROWS: &[(&str, &str, Reading<Figures>)] = &[
    (
        "accounting_records",
        "Accounting records kept since the start",
        |figures| figures.counters.stored,
    ),
    (
        "accounting_duplicates",
        "Accounting records that were kept already",
        |figures| figures.counters.duplicates,
    ),
    (
        "accounting_differing",
        "Repeated accounting records that said something else than the first",
        |figures| figures.counters.differing,
    ),
    (
        "accounting_reused_numbers",
        "Accounting records with a sequence number that another had before",
        |figures| figures.counters.reused,
    ),
    (
        "accounting_refused",
        "Accounting records refused",
        |figures| figures.counters.refused,
    ),
    (
        "accounting_elements",
        "Elements that sent accounting records",
        |figures| figures.elements,
    ),
    (
        "accounting_missing",
        "Sequence numbers that lack, of all elements",
        |figures| figures.missing,
    ),
];
