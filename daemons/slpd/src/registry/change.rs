//! Registering, updating and deregistering (RFC 2608 8.3, 9.3, 10.6).

use std::sync::Arc;
use std::time::Duration;

use tollwire_runtime::clock::Now;
use tollwire_slp::service_type::check_url;
use tollwire_slp::{
    AttributeList, AuthenticationBlock, ErrorCode, ScopeList, ServiceType, TagList,
};

use super::entry::{Change, Entry, Expiry, Snapshot, Source, StoredBlock};
use super::postings::EntryId;
use super::{Registry, Usage};

/// What is to be registered.
#[derive(Debug, Clone)]
pub struct Registration<'a> {
    /// The URL.
    pub url: &'a str,
    /// Language tag.
    pub language: &'a str,
    /// Service type, which wins over the URL's (RFC 2608 8.3).
    pub service_type: &'a str,
    /// Comma list of scopes.
    pub scopes: &'a str,
    /// Attribute list.
    pub attributes: &'a str,
    /// Seconds; nothing is for ever, for what stands in a file.
    pub lifetime: Option<u16>,
    /// Signatures of the URL.
    pub url_blocks: &'a [AuthenticationBlock<'a>],
    /// Signatures of the attribute list.
    pub attribute_blocks: &'a [AuthenticationBlock<'a>],
    /// The FRESH flag: replaces what is there, instead of updating it.
    pub fresh: bool,
    /// Who says so.
    pub source: Source,
    /// Index of the interface it came by; zero is none.
    pub interface: u32,
    /// Whether its signatures were verified, so that who says so does not matter.
    pub verified: bool,
}

/// What is to be deregistered.
#[derive(Debug, Clone)]
pub struct Deregistration<'a> {
    /// The URL.
    pub url: &'a str,
    /// Language tag: whose attributes, if there are tags.
    pub language: &'a str,
    /// Comma list of the scopes it is registered in.
    pub scopes: &'a str,
    /// Attributes to remove; empty removes the service in all languages.
    pub tags: &'a str,
    /// Signatures of the URL.
    pub url_blocks: &'a [AuthenticationBlock<'a>],
    /// Who says so.
    pub source: Source,
    /// Whether its signatures were verified.
    pub verified: bool,
}

impl Registry {
    /// Registers a service, or updates it.
    ///
    /// # Errors
    /// The SrvAck's code (RFC 2608 7, 8.3, 9.3): PARSE_ERROR, INVALID_REGISTRATION, INVALID_UPDATE,
    /// SCOPE_NOT_SUPPORTED for an update under other scopes, AUTHENTICATION_ABSENT when it is another's or lacks an SPI
    /// it had, AUTHENTICATION_FAILED for an update of what is signed, REFRESH_REJECTED, and DA_BUSY_NOW when the quota
    /// is used up.
    pub fn register(
        &mut self,
        now: Now,
        registration: &Registration<'_>,
    ) -> Result<EntryId, ErrorCode> {
        if registration.lifetime == Some(0) || registration.language.is_empty() {
            return Err(ErrorCode::INVALID_REGISTRATION);
        }
        let known = self.may_change(
            registration.url,
            registration.source,
            registration.verified,
            registration.url_blocks,
        )?;
        let of_language = known
            .into_iter()
            .find(|id| self.is_in_language(*id, registration.language));
        if let Some(id) = of_language
            && self.refresh(now, id, registration)?
        {
            return Ok(id);
        }
        check_url(registration.url).map_err(|error| error.error_code())?;
        let service_type =
            ServiceType::parse(registration.service_type).map_err(|error| error.error_code())?;
        let scopes = ScopeList::parse(registration.scopes).map_err(|error| error.error_code())?;
        if scopes.is_empty() {
            return Err(ErrorCode::SCOPE_NOT_SUPPORTED);
        }
        let mut attributes =
            AttributeList::parse(registration.attributes).map_err(|error| error.error_code())?;
        let mut text: Box<str> = registration.attributes.into();
        if !registration.fresh {
            let known = of_language
                .and_then(|id| self.get(id))
                .ok_or(ErrorCode::INVALID_UPDATE)?;
            if *known.service_type != service_type {
                return Err(ErrorCode::INVALID_UPDATE);
            }
            if !known.scopes.same_set(&scopes) {
                return Err(ErrorCode::SCOPE_NOT_SUPPORTED);
            }
            // What was signed is the whole list (RFC 2608 9.3).
            if !known.url_blocks.is_empty() || !known.attribute_blocks.is_empty() {
                return Err(ErrorCode::AUTHENTICATION_FAILED);
            }
            if self.is_too_soon(now, known) {
                return Err(ErrorCode::REFRESH_REJECTED);
            }
            let mut whole = known.attributes.clone();
            whole.update(attributes);
            attributes = whole;
            text = attributes.to_string().into();
        }
        let stored =
            |blocks: &[AuthenticationBlock<'_>]| blocks.iter().map(StoredBlock::of).collect();
        let mut entry = Entry {
            url: registration.url.into(),
            language: registration.language.into(),
            service_type: self.shared_type(service_type),
            scopes: Arc::new(scopes),
            text,
            attributes,
            expires: expiry(now, registration)?,
            source: registration.source,
            interface: registration.interface,
            url_blocks: stored(registration.url_blocks),
            attribute_blocks: stored(registration.attribute_blocks),
            refreshed: now.instant,
        };
        self.admit(&entry, of_language)?;
        if let Some(id) = of_language {
            self.take(id);
        }
        let scopes = Arc::unwrap_or_clone(entry.scopes);
        entry.scopes = self.shared_scopes(scopes);
        Ok(self.insert(entry))
    }

    /// A registration that says what is there already: only its time is new. False if it says something else.
    fn refresh(
        &mut self,
        now: Now,
        id: EntryId,
        registration: &Registration<'_>,
    ) -> Result<bool, ErrorCode> {
        let Some(entry) = self.slots.get(id as usize).and_then(Option::as_ref) else {
            return Ok(false);
        };
        let same_blocks = |stored: &[StoredBlock], blocks: &[AuthenticationBlock<'_>]| {
            stored.len() == blocks.len()
                && stored.iter().zip(blocks).all(|(s, b)| s.as_block() == *b)
        };
        let same = registration.fresh
            && *entry.text == *registration.attributes
            && entry.scopes.as_str() == registration.scopes
            && entry.service_type.as_str() == registration.service_type
            && *entry.language == *registration.language
            && entry.source == registration.source
            && same_blocks(&entry.url_blocks, registration.url_blocks)
            && same_blocks(&entry.attribute_blocks, registration.attribute_blocks);
        if !same {
            return Ok(false);
        }
        let expires = expiry(now, registration)?;
        if let Some(entry) = self.slots.get_mut(id as usize).and_then(Option::as_mut) {
            if let Some(old) = entry.expires {
                self.expiries.remove(&(old.instant, id));
            }
            if let Some(new) = expires {
                self.expiries.insert((new.instant, id));
            }
            entry.expires = expires;
            entry.refreshed = now.instant;
        }
        Ok(true)
    }

    /// Deregisters a service in all languages in which it has these scopes, or removes attributes of it in one. What is not registered is
    /// deregistered: a repeated request gets the first one's answer.
    ///
    /// The URLs and languages that have changed, and whether they are gone.
    ///
    /// # Errors
    /// As [`Registry::register`].
    pub fn deregister(
        &mut self,
        now: Now,
        deregistration: &Deregistration<'_>,
    ) -> Result<Vec<Change>, ErrorCode> {
        let scopes = ScopeList::parse(deregistration.scopes).map_err(|error| error.error_code())?;
        let tags = TagList::parse(deregistration.tags).map_err(|error| error.error_code())?;
        let known = self.may_change(
            deregistration.url,
            deregistration.source,
            deregistration.verified,
            deregistration.url_blocks,
        )?;
        // With a tag list it is of one language alone (RFC 2608 10.6).
        let meant: Vec<EntryId> = known
            .into_iter()
            .filter(|id| tags.is_empty() || self.is_in_language(*id, deregistration.language))
            .collect();
        let same = |id: &EntryId| {
            self.get(*id)
                .is_some_and(|entry| entry.scopes.same_set(&scopes))
        };
        let (of_scopes, others): (Vec<EntryId>, Vec<EntryId>) = meant.into_iter().partition(same);
        // A language that is registered in other scopes is another registration.
        if of_scopes.is_empty() && !others.is_empty() {
            return Err(ErrorCode::SCOPE_NOT_SUPPORTED);
        }
        let mut changes = Vec::new();
        for id in of_scopes {
            match tags.is_empty() {
                true => changes.extend(self.take(id).map(|entry| removal(&entry))),
                false => changes.push(self.remove_attributes(now, id, &tags)?),
            }
        }
        Ok(changes)
    }

    fn remove_attributes(
        &mut self,
        now: Now,
        id: EntryId,
        tags: &TagList,
    ) -> Result<Change, ErrorCode> {
        let entry = self.get(id).ok_or(ErrorCode::INTERNAL_ERROR)?;
        // Its signatures are of the whole list.
        if !entry.attribute_blocks.is_empty() {
            return Err(ErrorCode::AUTHENTICATION_FAILED);
        }
        if self.is_too_soon(now, entry) {
            return Err(ErrorCode::REFRESH_REJECTED);
        }
        let mut entry = self.take(id).ok_or(ErrorCode::INTERNAL_ERROR)?;
        entry.attributes.remove(tags);
        entry.text = entry.attributes.to_string().into();
        entry.refreshed = now.instant;
        let scopes = Arc::unwrap_or_clone(entry.scopes);
        entry.scopes = self.shared_scopes(scopes);
        let change = put(&entry);
        self.insert(entry);
        Ok(change)
    }

    /// Removes an entry whoever registered it: one that a file no longer has.
    pub fn withdraw(&mut self, id: EntryId) -> Option<Entry> {
        self.take(id)
    }

    /// Puts back what was kept on disk, for as long as it has left. Nothing if it is over or means nothing.
    pub fn restore(&mut self, now: Now, snapshot: &Snapshot) -> Option<EntryId> {
        let left = snapshot.expires_unix_ms.checked_sub(now.unix_ms)?;
        // A calendar that was set back lengthens no life beyond what a registration can say.
        let left = u64::try_from(left).ok()?.min(u64::from(u16::MAX) * 1_000);
        if left == 0 {
            return None;
        }
        let blocks = |stored: &[StoredBlock]| stored.to_vec();
        let service_type = ServiceType::parse(&snapshot.service_type).ok()?;
        let entry = Entry {
            url: snapshot.url.as_str().into(),
            language: snapshot.language.as_str().into(),
            service_type: self.shared_type(service_type),
            scopes: Arc::new(ScopeList::parse(&snapshot.scopes).ok()?),
            text: snapshot.attributes.as_str().into(),
            attributes: AttributeList::parse(&snapshot.attributes).ok()?,
            expires: Some(Expiry {
                instant: now.instant + Duration::from_millis(left),
                unix_ms: snapshot.expires_unix_ms,
            }),
            source: snapshot.source,
            interface: 0,
            url_blocks: blocks(&snapshot.url_blocks),
            attribute_blocks: blocks(&snapshot.attribute_blocks),
            refreshed: now.instant,
        };
        let twice = self.of_url(&snapshot.url).map(|(id, _)| id);
        let twice: Vec<EntryId> = twice.collect();
        if twice
            .into_iter()
            .any(|id| self.is_in_language(id, &snapshot.language))
        {
            return None;
        }
        let mut entry = entry;
        let scopes = Arc::unwrap_or_clone(entry.scopes);
        entry.scopes = self.shared_scopes(scopes);
        Some(self.insert(entry))
    }

    /// The entries of a URL, if this source may change them.
    fn may_change(
        &self,
        url: &str,
        source: Source,
        verified: bool,
        blocks: &[AuthenticationBlock<'_>],
    ) -> Result<Vec<EntryId>, ErrorCode> {
        let mut known = Vec::new();
        for (id, entry) in self.of_url(url) {
            // Every SPI used before has to be there again (RFC 2608 8.3, 10.6).
            let has_spi = |stored: &StoredBlock| {
                let same = |block: &AuthenticationBlock<'_>| {
                    tollwire_slp::text::equal(block.spi, &stored.spi)
                };
                blocks.iter().any(same)
            };
            let signed = !entry.url_blocks.is_empty() && verified;
            if !entry.url_blocks.iter().all(has_spi) || (entry.source != source && !signed) {
                return Err(ErrorCode::AUTHENTICATION_ABSENT);
            }
            known.push(id);
        }
        Ok(known)
    }

    fn is_in_language(&self, id: EntryId, language: &str) -> bool {
        self.get(id)
            .is_some_and(|entry| entry.language.eq_ignore_ascii_case(language))
    }

    fn is_too_soon(&self, now: Now, entry: &Entry) -> bool {
        now.instant.saturating_duration_since(entry.refreshed) < self.min_refresh
    }

    /// Whether the quota has room for `entry` in the place of `old`.
    fn admit(&self, entry: &Entry, old: Option<EntryId>) -> Result<(), ErrorCode> {
        if entry.source == Source::File {
            return Ok(());
        }
        let octets = entry.octets();
        let old = old.and_then(|id| self.get(id));
        let freed = |same_source: bool| match old {
            Some(old) if !same_source || old.source == entry.source => Usage {
                entries: 1,
                octets: old.octets(),
            },
            _ => Usage::default(),
        };
        let fits = |used: Usage, freed: Usage, entries: usize, limit: usize| {
            used.entries - freed.entries < entries && used.octets - freed.octets + octets <= limit
        };
        let of_source = self.usage.get(&entry.source).copied().unwrap_or_default();
        let quota = self.quota;
        let total = fits(self.total, freed(false), quota.entries, quota.octets);
        let source = !matches!(entry.source, Source::Address(_))
            || fits(
                of_source,
                freed(true),
                quota.entries_per_source,
                quota.octets_per_source,
            );
        match total && source {
            true => Ok(()),
            false => Err(ErrorCode::DA_BUSY_NOW),
        }
    }
}

/// When a registration ends: with its lifetime, or with the signature of its URL (RFC 2608 12.1).
fn expiry(now: Now, registration: &Registration<'_>) -> Result<Option<Expiry>, ErrorCode> {
    let Some(lifetime) = registration.lifetime else {
        return Ok(None);
    };
    let mut left = i64::from(lifetime) * 1_000;
    for block in registration.url_blocks {
        left = left.min(i64::from(block.timestamp) * 1_000 - now.unix_ms);
    }
    match u64::try_from(left) {
        Ok(millis) if millis > 0 => Ok(Some(Expiry {
            instant: now.instant + Duration::from_millis(millis),
            unix_ms: now.unix_ms.saturating_add(left),
        })),
        _ => Err(ErrorCode::AUTHENTICATION_FAILED),
    }
}

/// What is kept of an entry that is gone.
pub(crate) fn removal(entry: &Entry) -> Change {
    Change::Remove {
        url: entry.url.to_string(),
        language: entry.language.to_string(),
    }
}

/// What is kept of an entry.
pub(crate) fn put(entry: &Entry) -> Change {
    Change::Put(Box::new(Snapshot {
        url: entry.url.to_string(),
        language: entry.language.to_string(),
        service_type: entry.service_type.to_string(),
        scopes: entry.scopes.to_string(),
        attributes: entry.text.to_string(),
        expires_unix_ms: entry.expires.map_or(i64::MAX, |expires| expires.unix_ms),
        source: entry.source,
        url_blocks: entry.url_blocks.clone(),
        attribute_blocks: entry.attribute_blocks.clone(),
    }))
}

impl Entry {
    /// What is kept of it.
    pub fn as_change(&self) -> Change {
        put(self)
    }

    /// What is kept when it is gone.
    pub fn as_removal(&self) -> Change {
        removal(self)
    }
}
