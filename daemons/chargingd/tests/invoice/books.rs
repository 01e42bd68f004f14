//! A store with customers and entries, as the core would have written them.

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use chargingd::account::{Account, Payment, Profile};
use chargingd::effect::Mutation;
use chargingd::invoice::close::{CloseError, Settings, close};
use chargingd::invoice::rows::PeriodRow;
use chargingd::invoice::{Invoice, Pattern, Settlement};
use chargingd::ledger::{About, Commodity, Entry};
use chargingd::store::{self, After, Group, Notice, Opened, Place, Store};
use iso_currency::Currency;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(60);

/// A folder that is gone with its test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("invoices-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn place(&self) -> Place {
        Place::File(self.0.join("chargingd.db"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Fate(Sender<bool>);

impl After for Fate {
    fn stored(self) {
        let _ = self.0.send(true);
    }

    fn refused(self) {
        let _ = self.0.send(false);
    }
}

/// An open store.
pub struct Books {
    pub place: Place,
    store: Store<Fate>,
    epoch: u64,
    keys: u64,
}

pub fn settings() -> Settings {
    Settings {
        number: Pattern::read("{year}-{number:06}").unwrap(),
        first_number: 1,
        due_days: 14,
        time_zone: "Europe/Berlin".into(),
        issuer: crate::made::issuer(),
    }
}

pub fn customer(name: &str, payment: Payment, currency: Currency, zone: &str) -> Mutation {
    Mutation::Account(Account {
        name: name.into(),
        payment,
        currency,
        balance_micro: 0,
        credit_limit_micro: 0,
        blocked: false,
        held_micro: 0,
        profile: Profile {
            time_zone: zone.into(),
            address: format!("{name}'s house").into(),
            ..Profile::default()
        },
    })
}

/// `owner/name`
pub fn service_account(owner: &str, name: &str, currency: Currency) -> Mutation {
    let account = json!({ "name": format!("{owner}/{name}"), "account": owner, "unit": currency.code(), "balance": 0 });
    Mutation::ServiceAccount(serde_json::from_value(account).unwrap())
}

impl Books {
    pub fn open(place: &Place) -> Self {
        let (notice, notices) = channel();
        let Opened {
            store,
            notice: first,
        } = Store::open(place, |_| (), move |it| drop(notice.send(it))).unwrap();
        let mut said = first;
        let epoch = loop {
            match said {
                Notice::Active { epoch, .. } => break epoch,
                _ => said = notices.recv_timeout(DEADLINE).unwrap(),
            }
        };
        Self {
            place: place.clone(),
            store,
            epoch,
            keys: 0,
        }
    }

    pub fn write(&self, mutations: Vec<Mutation>) {
        let (fate, known) = channel();
        self.store.submit(Group {
            epoch: self.epoch,
            mutations,
            after: vec![Fate(fate)],
        });
        assert!(known.recv_timeout(DEADLINE).unwrap());
    }

    /// An entry under a key of its own.
    pub fn entry(
        &mut self,
        debit: &str,
        credit: &str,
        amount: i64,
        commodity: Commodity,
        unix_ms: i64,
        about: About,
    ) -> Mutation {
        self.keys += 1;
        Mutation::Entry(Entry {
            key: format!("top-up x {}", self.keys),
            debit: debit.into(),
            credit: credit.into(),
            amount,
            commodity,
            unix_ms,
            about,
        })
    }

    /// Closes with a store that fails after `good` groups.
    pub fn close_with(
        &self,
        settings: &Settings,
        month: &str,
        now_unix_ms: i64,
        mut good: usize,
    ) -> Result<PeriodRow, CloseError> {
        let keep = &mut |mutations| {
            if good == 0 {
                return Err("the disk is full".into());
            }
            good -= 1;
            self.write(mutations);
            Ok(())
        };
        let month = month.parse().unwrap();
        let closed = self
            .place
            .ask(|store| Ok(close(store, keep, settings, month, now_unix_ms, &|_| true)));
        closed.unwrap()
    }

    pub fn close(&self, month: &str, now: &str) -> Result<PeriodRow, CloseError> {
        self.close_with(&settings(), month, crate::made::at(now), usize::MAX)
    }

    /// All that count, the oldest first, as they are stored.
    pub fn invoices(&self) -> Vec<String> {
        let found = self
            .place
            .ask(|store| store::invoices(store, None, None, (0, u32::MAX)));
        let mut found = found.unwrap();
        found.reverse();
        found
    }

    pub fn read(&self) -> Vec<Invoice> {
        let found = self.invoices();
        found
            .iter()
            .map(|json| serde_json::from_str(json).unwrap())
            .collect()
    }

    pub fn settlements(&self, month: &str) -> Vec<Settlement> {
        let month = month.parse().unwrap();
        let found = self
            .place
            .ask(|store| store::settlements(store, month))
            .unwrap();
        found
            .iter()
            .map(|json| serde_json::from_str(json).unwrap())
            .collect()
    }

    pub fn periods(&self) -> Vec<PeriodRow> {
        self.place.ask(|store| store::periods(store, 1000)).unwrap()
    }
}
