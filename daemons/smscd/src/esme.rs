//! Peers: ESMEs that may bind to us, and upstreams that we bind to.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use tollwire_smpp::tariff::Format;

use crate::event::LinkId;
use crate::message::{MessageId, Payer};
use crate::settings::{EsmeSettings, OnBadTariff, UpstreamSettings};

/// A limit of messages a second: a bucket that a second fills.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    /// Thousandths of a message.
    level: i64,
    filled_unix_ms: i64,
}

impl Bucket {
    /// Takes one message at `rate` a second; 0 is no limit.
    pub fn take(&mut self, rate: u32, now_ms: i64) -> bool {
        if rate == 0 {
            return true;
        }
        let rate = i64::from(rate);
        let full = rate.saturating_mul(1000);
        let passed = now_ms.saturating_sub(self.filled_unix_ms);
        // The clock may have been set back: then the bucket starts anew, full.
        let gained = if passed < 0 {
            full
        } else {
            passed.saturating_mul(rate)
        };
        self.level = self.level.saturating_add(gained).min(full);
        self.filled_unix_ms = now_ms;
        if self.level < 1000 {
            return false;
        }
        self.level -= 1000;
        true
    }

    /// Milliseconds until there is one again, after [`Self::take`] gave none.
    pub fn wait_ms(&self, rate: u32) -> i64 {
        let rate = i64::from(rate.max(1));
        (1000_i64.saturating_sub(self.level).saturating_add(rate - 1) / rate).max(1)
    }
}

/// What a peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerKind {
    /// It binds to us.
    Esme(EsmeSettings),
    /// We bind to it.
    Upstream(UpstreamSettings),
}

/// A receipt that came before the answer that names its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlyReceipt {
    /// The state that it reports.
    pub state: crate::message::MessageState,
    /// Its error.
    pub error: u32,
}

/// What an upstream has of ours.
#[derive(Debug, Default)]
pub struct Awaited {
    /// Messages by the upstream's id.
    pub by_id: HashMap<Box<str>, MessageId>,
    /// Receipts whose message is not known yet.
    pub early: HashMap<Box<str>, EarlyReceipt>,
    early_order: VecDeque<Box<str>>,
}

/// Receipts kept for messages that are not known yet.
const EARLY_RECEIPTS: usize = 1024;

impl Awaited {
    /// Keeps a receipt for a message that is not known yet, in place of the oldest if there are too many.
    pub fn keep_early(&mut self, id: &str, receipt: EarlyReceipt) {
        if self.early_order.len() >= EARLY_RECEIPTS
            && let Some(oldest) = self.early_order.pop_front()
        {
            self.early.remove(&oldest);
        }
        if self.early.insert(id.into(), receipt).is_none() {
            self.early_order.push_back(id.into());
        }
    }
}

/// A peer with what is known of it now.
#[derive(Debug)]
pub struct Peer {
    /// `system_id` of an ESME, name of an upstream.
    pub name: Arc<str>,
    /// What it is.
    pub kind: PeerKind,
    /// Its links.
    pub links: Vec<LinkId>,
    /// Links that may have room for another message, next first.
    pub free: VecDeque<LinkId>,
    /// Targets that it belongs to.
    pub targets: Vec<u32>,
    /// Its messages and receipts that are kept.
    pub messages: u32,
    /// What it may submit.
    pub inbound: Bucket,
    /// What it may be given.
    pub outbound: Bucket,
    /// Nothing is sent to it before this (unix ms).
    pub paused_until: i64,
    /// What it has of ours.
    pub awaited: Awaited,
    /// Failures to connect since the last success, for each bind.
    pub failures: Vec<u32>,
}

impl Peer {
    /// A peer that is not connected.
    pub fn new(name: Arc<str>, kind: PeerKind) -> Self {
        Self {
            name,
            kind,
            links: Vec::new(),
            free: VecDeque::new(),
            targets: Vec::new(),
            messages: 0,
            inbound: Bucket::default(),
            outbound: Bucket::default(),
            paused_until: 0,
            awaited: Awaited::default(),
            failures: Vec::new(),
        }
    }

    /// Its settings, if it is an ESME.
    pub fn esme(&self) -> Option<&EsmeSettings> {
        match &self.kind {
            PeerKind::Esme(settings) => Some(settings),
            PeerKind::Upstream(_) => None,
        }
    }

    /// Its settings, if it is an upstream.
    pub fn upstream(&self) -> Option<&UpstreamSettings> {
        match &self.kind {
            PeerKind::Esme(_) => None,
            PeerKind::Upstream(settings) => Some(settings),
        }
    }

    /// Requests of one link that may wait for an answer.
    pub fn window(&self) -> u32 {
        match &self.kind {
            PeerKind::Esme(settings) => settings.window,
            PeerKind::Upstream(settings) => settings.window,
        }
        .max(1)
    }

    /// Messages a second that it may submit; 0 is no limit.
    pub fn inbound_rate(&self) -> u32 {
        self.esme().map_or(0, |esme| esme.throughput)
    }

    /// Messages a second that it is given; 0 is no limit.
    pub fn outbound_rate(&self) -> u32 {
        self.upstream().map_or(0, |upstream| upstream.throughput)
    }

    /// Messages of it that may be kept.
    pub fn max_messages(&self) -> u32 {
        self.esme().map_or(u32::MAX, |esme| esme.max_messages)
    }

    /// Tag, format and what becomes of a bad one, if it sends tariffs.
    pub fn tariff(&self) -> Option<(u16, &Format, OnBadTariff)> {
        match &self.kind {
            PeerKind::Esme(settings) => Some((
                settings.tariff_tag?,
                &settings.tariff_format,
                settings.on_bad_tariff,
            )),
            PeerKind::Upstream(settings) => Some((
                settings.tariff_tag?,
                &settings.tariff_format,
                settings.on_bad_tariff,
            )),
        }
    }

    /// Whether its tariffs may name this payer.
    pub fn may_name(&self, payer: &Payer) -> bool {
        let allowed = match &self.kind {
            PeerKind::Esme(settings) => &settings.allowed_payers,
            PeerKind::Upstream(settings) => &settings.allowed_payers,
        };
        let is = |name: &str| allowed.iter().any(|allowed| **allowed == *name);
        match payer {
            Payer::Receiver => is("receiver"),
            Payer::Sender => is("sender"),
            // An account of that name is none of the two parties.
            Payer::ThirdParty(account) => {
                is("*") || (!matches!(&**account, "receiver" | "sender") && is(account))
            }
        }
    }

    /// Whether it may use this source address.
    pub fn may_send_as(&self, digits: &str) -> bool {
        let Some(esme) = self.esme() else {
            return true;
        };
        esme.allowed_sources.is_empty()
            || esme
                .allowed_sources
                .iter()
                .any(|allowed| match allowed.strip_suffix('$') {
                    Some(whole) => whole == digits,
                    None => digits.starts_with(&**allowed),
                })
    }

    /// Whether it may connect from there.
    pub fn may_connect_from(&self, remote: IpAddr) -> bool {
        self.esme().is_some_and(|esme| {
            esme.allowed_networks.is_empty()
                || esme
                    .allowed_networks
                    .iter()
                    .any(|network| network.contains(&remote.to_canonical()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_and_a_second_ahead() {
        let mut bucket = Bucket::default();
        let taken = |bucket: &mut Bucket, now| (0..1000).filter(|_| bucket.take(10, now)).count();
        assert_eq!(taken(&mut bucket, 1_000_000), 10);
        assert_eq!(taken(&mut bucket, 1_000_250), 2);
        assert_eq!(taken(&mut bucket, 1_000_300), 1);
        assert_eq!(taken(&mut bucket, 2_000_000), 10);
        assert_eq!(taken(&mut bucket, 1_000_000), 10, "the clock was set back");
        assert!((0..1000).all(|_| bucket.take(0, 0)));
    }

    #[test]
    fn sources_by_prefix_and_whole() {
        let peer = Peer::new(
            "a".into(),
            PeerKind::Esme(EsmeSettings {
                allowed_sources: vec!["155".into(), "Shop$".into()],
                ..EsmeSettings::default()
            }),
        );
        assert!(peer.may_send_as("15512"));
        assert!(peer.may_send_as("Shop"));
        assert!(!peer.may_send_as("Shopper"));
        assert!(!peer.may_send_as(""));
    }

    #[test]
    fn early_receipts_do_not_grow() {
        let mut awaited = Awaited::default();
        for number in 0..5000 {
            awaited.keep_early(
                &number.to_string(),
                EarlyReceipt {
                    state: crate::message::MessageState::Delivered,
                    error: 0,
                },
            );
        }
        assert_eq!(awaited.early.len(), EARLY_RECEIPTS);
        assert!(awaited.early.contains_key("4999"));
    }
}
