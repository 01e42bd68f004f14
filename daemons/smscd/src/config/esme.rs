//! `[[esme]]`

use ipnet::IpNet;
use serde::Deserialize;
use tollwire_runtime::config::Invalid;

use crate::password;
use crate::settings::{BindModes, EsmeSettings, OnBadTariff, default_payers};
use crate::tariff::TariffFormat;

/// An application that may bind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Esme {
    /// `system_id`
    pub system_id: Box<str>,
    /// What `tollctl sms hash-password` says.
    pub password_hash: Box<str>,
    /// Where it may connect from; empty is anywhere.
    #[serde(default)]
    pub allowed_networks: Vec<IpNet>,
    /// Digits that its sources begin with, whole ones with a final `$`; empty is any.
    #[serde(default)]
    pub allowed_sources: Vec<Box<str>>,
    /// Source of messages without one.
    pub default_source: Option<Box<str>>,
    /// The binds it may make.
    #[serde(default)]
    pub modes: BindModes,
    /// Binds at once.
    #[serde(default = "defaults::max_binds")]
    pub max_binds: u32,
    /// Requests of a bind without an answer, each way.
    #[serde(default = "defaults::window")]
    pub window: u32,
    /// Messages a second; 0 is no limit.
    #[serde(default)]
    pub throughput: u32,
    /// Messages kept at once.
    #[serde(default = "defaults::max_messages")]
    pub max_messages: u32,
    /// How its tariff TLV is written.
    #[serde(default)]
    pub tariff_format: TariffFormat,
    /// The tag of it; 0 if it sends none.
    #[serde(default = "defaults::tariff_tag")]
    pub tariff_tag: u16,
    /// Who its tariffs may name to pay.
    #[serde(default = "default_payers")]
    pub allowed_payers: Vec<Box<str>>,
    /// What becomes of a tariff that cannot be read.
    #[serde(default)]
    pub on_bad_tariff: OnBadTariff,
    /// Account that pays when the sender does.
    pub account: Option<Box<str>>,
}

mod defaults {
    pub fn max_binds() -> u32 {
        10
    }
    pub fn tariff_tag() -> u16 {
        tollwire_smpp::tariff::DEFAULT_TAG
    }
    pub fn window() -> u32 {
        100
    }
    pub fn max_messages() -> u32 {
        200_000
    }
}

impl Esme {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let refuse = |what: String| Err(Invalid::new("esme", what));
        let name = &self.system_id;
        if name.is_empty() || name.len() > 15 || !name.is_ascii() {
            return refuse(format!(
                "system_id {name:?}: 1 to 15 ASCII characters (SMPP 3.4 section 5.2.1)"
            ));
        }
        if !password::is_hash(&self.password_hash) {
            return refuse(format!(
                "password_hash of {name:?}: not a hash; `tollctl sms hash-password` makes one"
            ));
        }
        if let Err(what) = self.tariff_format.format() {
            return refuse(format!("tariff_format of {name:?}: {what}"));
        }
        if self.window == 0 || self.max_binds == 0 || self.max_messages == 0 {
            return refuse(format!(
                "{name:?}: window, max_binds and max_messages are at least 1"
            ));
        }
        Ok(())
    }

    pub(super) fn settings(&self) -> EsmeSettings {
        EsmeSettings {
            system_id: (&*self.system_id).into(),
            password_hash: (&*self.password_hash).into(),
            allowed_networks: self.allowed_networks.clone(),
            allowed_sources: self.allowed_sources.clone(),
            default_source: self.default_source.clone(),
            modes: self.modes,
            max_binds: self.max_binds,
            window: self.window,
            throughput: self.throughput,
            max_messages: self.max_messages,
            tariff_format: self.tariff_format.format().unwrap_or_default(),
            tariff_tag: (self.tariff_tag != 0).then_some(self.tariff_tag),
            allowed_payers: self.allowed_payers.clone(),
            on_bad_tariff: self.on_bad_tariff,
            account: self.account.clone(),
        }
    }
}
