//! `[[route]]`

use std::sync::Arc;

use serde::Deserialize;
use tollwire_runtime::config::Invalid;

use super::Config;
use crate::message::Charge;
use crate::settings::{Charging, FinalOn, RecordRole, RouteSettings, Target, TariffOnNextHop};
use crate::tariff::payer_of;

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name.
    pub name: Box<str>,
    /// Digits that a destination begins with; empty is every destination.
    #[serde(default)]
    pub destination_prefix: Box<str>,
    /// ESMEs or upstreams whose messages it is for; empty is all.
    #[serde(default)]
    pub source_esmes: Vec<Box<str>>,
    /// ESMEs that take its messages.
    #[serde(default)]
    pub receivers: Vec<Box<str>>,
    /// Upstreams that do.
    #[serde(default)]
    pub upstreams: Vec<Box<str>>,
    /// The charge of a message without a tariff.
    pub default_charge: Option<DefaultCharge>,
    /// Whether the money is asked for.
    #[serde(default)]
    pub charging: Charging,
    /// Who writes the record.
    #[serde(default)]
    pub record: RecordRole,
    /// What the next hop sees of the tariff.
    #[serde(default)]
    pub tariff_on_next_hop: TariffOnNextHop,
    /// What makes a message final at an upstream.
    #[serde(default)]
    pub final_on: FinalOn,
    /// Messages to one destination under way at once.
    #[serde(default = "one")]
    pub destination_window: u32,
    /// Whether messages go as `data_sm`.
    #[serde(default)]
    pub data_sm: bool,
}

fn one() -> u32 {
    1
}

/// The charge of a message without a tariff.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultCharge {
    /// Micro-units.
    pub amount_micro: i64,
    /// ISO 4217 code.
    pub currency: Box<str>,
    /// `receiver`, `sender` or an account.
    pub payer: Box<str>,
}

impl DefaultCharge {
    fn charge(&self) -> Option<Charge> {
        let currency = iso_currency::Currency::from_code(&self.currency)?;
        Some(Charge {
            amount_micro: self.amount_micro,
            currency: *currency.code().as_bytes().first_chunk()?,
            class: None,
            payer: payer_of(&self.payer).ok()?,
        })
    }
}

impl Route {
    /// Whether it asks for the money.
    pub(super) fn is_online(&self) -> bool {
        self.charging == Charging::Online
    }

    pub(super) fn validate(&self, config: &Config) -> Result<(), Invalid> {
        let name = &self.name;
        let refuse = |what: String| Err(Invalid::new("route", format!("{name:?}: {what}")));
        if self.receivers.is_empty() == self.upstreams.is_empty() {
            return refuse("either `receivers` or `upstreams`".into());
        }
        let esme = |id: &str| config.esme.iter().any(|esme| *esme.system_id == *id);
        let upstream = |id: &str| config.upstream.iter().any(|upstream| *upstream.name == *id);
        for receiver in &self.receivers {
            if !esme(receiver) {
                return refuse(format!(
                    "receivers: no [[esme]] has the system_id {receiver:?}"
                ));
            }
        }
        for target in &self.upstreams {
            if !upstream(target) {
                return refuse(format!("upstreams: no [[upstream]] is called {target:?}"));
            }
        }
        for source in &self.source_esmes {
            if !esme(source) && !upstream(source) {
                return refuse(format!(
                    "source_esmes: no [[esme]] or [[upstream]] is {source:?}"
                ));
            }
        }
        if self.destination_window == 0 {
            return refuse("destination_window is at least 1".into());
        }
        if self.is_online() && config.diameter.charging.is_none() {
            return refuse("charging \"online\" needs `diameter.charging`".into());
        }
        if let Some(default) = &self.default_charge
            && (default.amount_micro < 0 || default.charge().is_none())
        {
            return refuse(
                "default_charge: an amount of 0 or more, an ISO 4217 code, and \"receiver\", \"sender\" or an account of 1 to 64 octets".into(),
            );
        }
        Ok(())
    }

    pub(super) fn settings(&self) -> RouteSettings {
        let names = |names: &[Box<str>]| -> Vec<Arc<str>> {
            names.iter().map(|name| name.as_ref().into()).collect()
        };
        RouteSettings {
            name: (&*self.name).into(),
            destination_prefix: self.destination_prefix.clone(),
            source_esmes: names(&self.source_esmes),
            target: if self.upstreams.is_empty() {
                Target::Receivers(names(&self.receivers))
            } else {
                Target::Upstreams(names(&self.upstreams))
            },
            default_charge: self.default_charge.as_ref().and_then(DefaultCharge::charge),
            charging: self.charging,
            record: self.record,
            tariff_on_next_hop: self.tariff_on_next_hop,
            final_on: self.final_on,
            destination_window: self.destination_window,
            data_sm: self.data_sm,
        }
    }
}
