//! One registered service.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollwire_runtime::clock::Now;
use tollwire_slp::{AttributeList, AuthenticationBlock, ScopeList, ServiceType, UrlEntry};

/// Who registered a service: only the same source may change or remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The file of services; nobody on the wire changes it.
    File,
    /// A program of this host.
    Local,
    /// A host on the network.
    Address(IpAddr),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => formatter.write_str("file"),
            Self::Local => formatter.write_str("local"),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

/// An authentication block that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBlock {
    /// Block Structure Descriptor.
    pub block_structure_descriptor: u16,
    /// Seconds since 1970.
    pub timestamp: u32,
    /// SLP SPI, as it was spelled.
    pub spi: Box<str>,
    /// The signature.
    pub body: Box<[u8]>,
}

impl StoredBlock {
    /// A copy of `block`.
    pub fn of(block: &AuthenticationBlock<'_>) -> Self {
        Self {
            block_structure_descriptor: block.block_structure_descriptor,
            timestamp: block.timestamp,
            spi: block.spi.into(),
            body: block.body.into(),
        }
    }

    /// As a message has it.
    pub fn as_block(&self) -> AuthenticationBlock<'_> {
        AuthenticationBlock {
            block_structure_descriptor: self.block_structure_descriptor,
            timestamp: self.timestamp,
            spi: &self.spi,
            body: &self.body,
        }
    }
}

/// When an entry ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// On the clock that never steps.
    pub instant: std::time::Instant,
    /// On the calendar, for what outlives the process: milliseconds since 1970.
    pub unix_ms: i64,
}

/// A registered service in one language.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The URL as it was spelled.
    pub url: Box<str>,
    /// Language tag as it was spelled.
    pub language: Box<str>,
    /// Folded.
    pub service_type: Arc<ServiceType>,
    /// The scopes it is in.
    pub scopes: Arc<ScopeList>,
    /// The attribute list as it was spelled, for as long as nothing has changed it.
    pub text: Box<str>,
    /// What the text means.
    pub attributes: AttributeList,
    /// When it ends; never for one out of the file.
    pub expires: Option<Expiry>,
    /// Who registered it.
    pub source: Source,
    /// Index of the interface that it was registered by; zero is none.
    pub interface: u32,
    /// Signatures of the URL.
    pub url_blocks: Vec<StoredBlock>,
    /// Signatures of the attribute list.
    pub attribute_blocks: Vec<StoredBlock>,
    /// When it was last registered or updated, for `min-refresh-interval`.
    pub refreshed: std::time::Instant,
}

impl Entry {
    /// Seconds that it has left, as a URL entry says them.
    pub fn lifetime(&self, now: Now) -> u16 {
        match self.expires {
            None => u16::MAX,
            Some(expires) => {
                let left = expires.instant.saturating_duration_since(now.instant);
                // Rounded up: an entry that is there has a lifetime, and zero has no meaning in a reply.
                let seconds = left.as_millis().div_ceil(1_000);
                u16::try_from(seconds).unwrap_or(u16::MAX)
            }
        }
    }

    /// Whether it is a service of this host.
    pub fn is_local(&self) -> bool {
        !matches!(self.source, Source::Address(_))
    }

    /// Whether its time is over.
    pub fn is_over(&self, now: Now) -> bool {
        self.expires
            .is_some_and(|expires| expires.instant <= now.instant)
    }

    /// The block of this SPI among those of the URL.
    pub fn url_block(&self, spi: &str) -> Option<&StoredBlock> {
        block_of(&self.url_blocks, spi)
    }

    /// The block of this SPI among those of the attribute list.
    pub fn attribute_block(&self, spi: &str) -> Option<&StoredBlock> {
        block_of(&self.attribute_blocks, spi)
    }

    /// As a reply says it, with the block of `spi` if one is asked for.
    pub fn url_entry(&self, now: Now, spi: &str) -> UrlEntry<'_> {
        let block = match spi {
            "" => None,
            spi => self.url_block(spi),
        };
        UrlEntry {
            lifetime: self.lifetime(now),
            url: &self.url,
            authentication: block.map(StoredBlock::as_block).into_iter().collect(),
        }
    }

    /// Octets that it is counted with.
    pub fn octets(&self) -> usize {
        let blocks = self.url_blocks.iter().chain(&self.attribute_blocks);
        self.url.len()
            + self.text.len()
            + self.language.len()
            + self.scopes.as_str().len()
            + blocks
                .map(|block| 10 + block.spi.len() + block.body.len())
                .sum::<usize>()
    }
}

fn block_of<'a>(blocks: &'a [StoredBlock], spi: &str) -> Option<&'a StoredBlock> {
    blocks
        .iter()
        .find(|block| tollwire_slp::text::equal(&block.spi, spi))
}

/// An entry as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The URL.
    pub url: String,
    /// Language tag.
    pub language: String,
    /// Service type.
    pub service_type: String,
    /// Comma list of scopes.
    pub scopes: String,
    /// Attribute list.
    pub attributes: String,
    /// When it ends: milliseconds since 1970.
    pub expires_unix_ms: i64,
    /// Who registered it.
    pub source: Source,
    /// Signatures of the URL.
    pub url_blocks: Vec<StoredBlock>,
    /// Signatures of the attribute list.
    pub attribute_blocks: Vec<StoredBlock>,
}

/// What has to be kept after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// This entry is as it says now.
    Put(Box<Snapshot>),
    /// This entry is no more.
    Remove {
        /// Its URL.
        url: String,
        /// Its language tag.
        language: String,
    },
}
