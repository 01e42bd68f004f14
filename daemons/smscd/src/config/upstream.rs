//! `[[upstream]]`

use std::path::PathBuf;

use serde::Deserialize;
use tollwire_runtime::config::Invalid;

use crate::net::{Destination, tls};
use crate::settings::{OnBadTariff, UpstreamSettings, default_payers};
use crate::tariff::TariffFormat;

/// An SMSC that we bind to.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its name.
    pub name: Box<str>,
    /// Host and port.
    pub address: Box<str>,
    /// Authorities that vouch for its certificate, PEM; with it the connection is TLS.
    pub tls_authorities: Option<PathBuf>,
    /// The name in its certificate; the host of `address` if absent.
    pub tls_name: Option<Box<str>>,
    /// `system_id` to bind with.
    pub system_id: Box<str>,
    /// Password to bind with.
    #[serde(default)]
    pub password: Box<str>,
    /// `system_type` to bind with.
    #[serde(default)]
    pub system_type: Box<str>,
    /// Binds held at once.
    #[serde(default = "defaults::binds")]
    pub binds: u32,
    /// `bind_transmitter` rather than `bind_transceiver`.
    #[serde(default)]
    pub transmitter_only: bool,
    /// Requests of a bind without an answer.
    #[serde(default = "defaults::window")]
    pub window: u32,
    /// Messages a second over all binds; 0 is no limit.
    #[serde(default)]
    pub throughput: u32,
    /// Milliseconds before the first new try to connect.
    #[serde(default = "defaults::reconnect_first_ms")]
    pub reconnect_first_ms: u32,
    /// The longest pause between tries.
    #[serde(default = "defaults::reconnect_most_ms")]
    pub reconnect_most_ms: u32,
    /// How its tariff TLV is written.
    #[serde(default)]
    pub tariff_format: TariffFormat,
    /// The tag of it; 0: it sends none.
    #[serde(default = "defaults::tariff_tag")]
    pub tariff_tag: u16,
    /// Who its tariffs may name to pay.
    #[serde(default = "default_payers")]
    pub allowed_payers: Vec<Box<str>>,
    /// What becomes of a tariff that cannot be read.
    #[serde(default)]
    pub on_bad_tariff: OnBadTariff,
    /// Whether its ids are hexadecimal in answers and decimal in receipts.
    #[serde(default)]
    pub hexadecimal_ids: bool,
}

/// Without the password.
impl std::fmt::Debug for Upstream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Upstream")
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

mod defaults {
    pub fn binds() -> u32 {
        1
    }
    pub fn window() -> u32 {
        100
    }
    pub fn reconnect_first_ms() -> u32 {
        1000
    }
    pub fn reconnect_most_ms() -> u32 {
        60_000
    }
    pub fn tariff_tag() -> u16 {
        tollwire_smpp::tariff::DEFAULT_TAG
    }
}

impl Upstream {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let refuse = |what: String| Err(Invalid::new("upstream", what));
        let name = &self.name;
        if name.is_empty() {
            return refuse("each has a name".into());
        }
        if self.system_id.len() > 15 || self.password.len() > 8 || self.system_type.len() > 12 {
            return refuse(format!(
                "{name:?}: system_id, password and system_type have at most 15, 8 and 12 characters (SMPP 3.4 section 4.1.1)"
            ));
        }
        if let Err(what) = self.tariff_format.format() {
            return refuse(format!("tariff_format of {name:?}: {what}"));
        }
        if self.binds == 0 || self.window == 0 || self.reconnect_first_ms == 0 {
            return refuse(format!(
                "{name:?}: binds, window and reconnect_first_ms are at least 1"
            ));
        }
        if self.address.rsplit_once(':').is_none() {
            return refuse(format!("address of {name:?}: host:port"));
        }
        Ok(())
    }

    pub(super) fn destination(&self) -> Result<Destination, String> {
        let tls = match &self.tls_authorities {
            None => None,
            Some(authorities) => {
                let host = self.address.rsplit_once(':').map_or("", |(host, _)| host);
                let name = self.tls_name.as_deref().unwrap_or(host);
                let name = tls::ServerName::try_from(name.to_owned())
                    .map_err(|error| format!("upstream {:?}: {error}", self.name))?;
                Some((tls::connector(authorities)?, name))
            }
        };
        Ok(Destination {
            address: (&*self.address).into(),
            tls,
        })
    }

    pub(super) fn settings(&self) -> UpstreamSettings {
        UpstreamSettings {
            name: (&*self.name).into(),
            system_id: self.system_id.clone(),
            password: self.password.clone(),
            system_type: self.system_type.clone(),
            binds: self.binds,
            transmitter_only: self.transmitter_only,
            window: self.window,
            throughput: self.throughput,
            reconnect_first_ms: self.reconnect_first_ms,
            reconnect_most_ms: self.reconnect_most_ms,
            tariff_format: self.tariff_format.format().unwrap_or_default(),
            tariff_tag: (self.tariff_tag != 0).then_some(self.tariff_tag),
            allowed_payers: self.allowed_payers.clone(),
            on_bad_tariff: self.on_bad_tariff,
            hexadecimal_ids: self.hexadecimal_ids,
        }
    }
}
