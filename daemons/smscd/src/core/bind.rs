//! Connections and binds, both ways.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tollwire_runtime::clock::Now;
use tollwire_smpp::Pdu;

use super::Core;
use super::link::{BindRequest, Link, NO_MESSAGE, Role};
use crate::effect::Effect;
use crate::event::{Frame, LinkId};
use crate::wire::{command, read, status, tag, write};

/// Version that we speak (SMPP 3.4 section 5.2.4).
const INTERFACE_VERSION: u8 = 0x34;
/// Addresses whose wrong passwords are counted at once.
const MAX_WATCHED_ADDRESSES: usize = 10_000;

impl Core {
    pub(super) fn accepted(
        &mut self,
        now: Now,
        id: LinkId,
        remote: IpAddr,
        effects: &mut Vec<Effect>,
    ) {
        let limits = &self.settings.limits;
        let here = self.links_by_address.get(&remote).copied().unwrap_or(0);
        if self.links.len() >= limits.max_links as usize || here >= limits.max_links_per_address {
            effects.push(Effect::Close { link: id });
            return;
        }
        *self.links_by_address.entry(remote).or_default() += 1;
        self.links.insert(
            id.0,
            Link::new(
                id,
                Role::Server { remote },
                &self.settings.timers,
                now.instant,
            ),
        );
        self.mark_link(id);
    }

    pub(super) fn connected(
        &mut self,
        now: Now,
        id: LinkId,
        upstream: &Arc<str>,
        index: u32,
        effects: &mut Vec<Effect>,
    ) {
        let peer_index = self.upstreams.get(upstream).copied();
        let Some((peer_index, settings)) = peer_index
            .and_then(|peer| Some((peer, self.peers.get(peer as usize)?.upstream()?)))
            .filter(|(_, settings)| index < settings.binds)
        else {
            // Reloaded settings no longer have it.
            effects.push(Effect::Close { link: id });
            return;
        };
        let bind = if settings.transmitter_only {
            command::BIND_TRANSMITTER
        } else {
            command::BIND_TRANSCEIVER
        };
        let timers = &self.settings.timers;
        let mut link = Link::new(id, Role::Client { index }, timers, now.instant);
        link.peer = Some(peer_index);
        let window = window(settings.window);
        link.session.set_windows(window, window);
        let Ok(sequence_number) = link.session.send_request(now.instant, bind, NO_MESSAGE) else {
            return;
        };
        let out = &mut link.out;
        let started = write::start(out, bind, 0, sequence_number);
        write::text(out, &settings.system_id);
        write::text(out, &settings.password);
        write::text(out, &settings.system_type);
        // interface_version, addr_ton, addr_npi, address_range: "not known" (SMPP 3.4 section 5.2.7).
        out.extend_from_slice(&[INTERFACE_VERSION, 0, 0, 0]);
        write::finish(out, started);
        if let Some(peer) = self.peers.get_mut(peer_index as usize) {
            peer.links.push(id);
        }
        self.links.insert(id.0, link);
        self.mark_link(id);
    }

    /// A new try, after a pause that doubles.
    pub(super) fn reconnect(&mut self, upstream: &Arc<str>, index: u32, effects: &mut Vec<Effect>) {
        let Some(peer) = self
            .upstreams
            .get(upstream)
            .and_then(|peer| self.peers.get_mut(*peer as usize))
        else {
            return;
        };
        let Some(settings) = peer.upstream().filter(|settings| index < settings.binds) else {
            return;
        };
        let (first, most) = (settings.reconnect_first_ms, settings.reconnect_most_ms);
        let Some(failures) = peer.failures.get_mut(index as usize) else {
            return;
        };
        let pause = first
            .max(1)
            .saturating_mul(1 << (*failures).min(20))
            .min(most.max(first));
        *failures = failures.saturating_add(1);
        effects.push(Effect::Connect {
            upstream: upstream.clone(),
            index,
            after: Duration::from_millis(pause.into()),
        });
    }

    pub(super) fn closed(&mut self, now: Now, id: LinkId, effects: &mut Vec<Effect>) {
        self.close(now, id, effects);
        let Some(link) = self.links.remove(&id.0) else {
            return;
        };
        if let Some(remote) = Self::remote(&link)
            && let Some(count) = self.links_by_address.get_mut(&remote)
        {
            *count -= 1;
            if *count == 0 {
                self.links_by_address.remove(&remote);
            }
        }
        let Some(peer) = link.peer.and_then(|peer| self.peers.get_mut(peer as usize)) else {
            return;
        };
        peer.links.retain(|other| *other != id);
        peer.free.retain(|other| *other != id);
        if let Role::Client { index } = link.role {
            let name = peer.name.clone();
            self.reconnect(&name, index, effects);
        }
    }

    /// A bind request of an ESME.
    pub(super) fn bind(&mut self, now: Now, id: LinkId, frame: &Frame, effects: &mut Vec<Effect>) {
        let sequence_number = frame.sequence_number;
        let response = frame.command_id | command::RESPONSE;
        let Some(link) = self.links.get_mut(&id.0) else {
            return;
        };
        let Some(remote) = Self::remote(link) else {
            return;
        };
        let request = match read::pdu(frame) {
            Ok(
                Pdu::BindTransmitter(request)
                | Pdu::BindReceiver(request)
                | Pdu::BindTransceiver(request),
            ) => request,
            Ok(_) => return,
            Err(status) => {
                self.counters.malformed += 1;
                self.answer(id, response, status, sequence_number);
                return self.close(now, id, effects);
            }
        };
        link.bind = Some(BindRequest {
            command_id: frame.command_id,
            sequence_number,
            interface_version: request.interface_version,
        });
        if self.is_barred(now, remote) {
            return self.refuse_later(now, id);
        }
        // A system_id that nobody has, or that may not connect from there, is checked like any other, so that the
        // answer and its time tell nothing.
        let esme = self
            .esmes
            .get(&*request.system_id.to_text())
            .copied()
            .filter(|index| {
                self.peers
                    .get(*index as usize)
                    .is_some_and(|peer| peer.may_connect_from(remote))
            });
        let hash = esme
            .and_then(|index| self.peers.get(index as usize)?.esme())
            .map(|esme| esme.password_hash.clone());
        if let Some(link) = self.links.get_mut(&id.0) {
            link.peer = esme;
        }
        self.mark_link(id);
        effects.push(Effect::CheckPassword {
            link: id,
            hash,
            password: request.password.to_text().into(),
        });
    }

    pub(super) fn password_checked(
        &mut self,
        now: Now,
        id: LinkId,
        ok: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(link) = self.links.get_mut(&id.0) else {
            return;
        };
        let (Some(request), Some(remote), false) = (link.bind, Self::remote(link), link.closing)
        else {
            return;
        };
        let peer = link.peer.filter(|_| ok);
        let Some(index) = peer else {
            link.peer = None;
            self.count_wrong_password(now, remote);
            return self.refuse_later(now, id);
        };
        let limit = self
            .peers
            .get(index as usize)
            .and_then(|peer| {
                let esme = peer.esme()?;
                let allowed = match request.command_id {
                    command::BIND_TRANSMITTER => esme.modes.transmitter,
                    command::BIND_RECEIVER => esme.modes.receiver,
                    _ => esme.modes.transceiver,
                };
                Some(if !allowed {
                    status::ESME_RBINDFAIL
                } else if peer.links.len() >= esme.max_binds as usize {
                    status::ESME_RALYBND
                } else {
                    status::ESME_ROK
                })
            })
            .unwrap_or(status::ESME_RBINDFAIL);
        let response = request.command_id | command::RESPONSE;
        if limit != status::ESME_ROK {
            link.peer = None;
            self.counters.binds_refused += 1;
            self.answer(id, response, limit, request.sequence_number);
            return self.close(now, id, effects);
        }
        link.bind = None;
        link.optional = request.interface_version >= INTERFACE_VERSION;
        if let Some(peer) = self.peers.get(index as usize) {
            let window = window(peer.window());
            link.session.set_windows(window, window);
        }
        link.session.responded(request.command_id, status::ESME_ROK);
        let started = write::start(
            &mut link.out,
            response,
            status::ESME_ROK,
            request.sequence_number,
        );
        write::text(&mut link.out, &self.settings.system_id);
        if link.optional {
            write::tlv(
                &mut link.out,
                tag::SC_INTERFACE_VERSION,
                &[INTERFACE_VERSION],
            );
        }
        write::finish(&mut link.out, started);
        if let Some(peer) = self.peers.get_mut(index as usize) {
            peer.links.push(id);
        }
        self.counters.binds += 1;
        self.mark_link(id);
        self.link_may_have_room(id);
    }

    /// The answer of an upstream to our bind; the session knows what it was.
    pub(super) fn bind_answered(&mut self, now: Now, id: LinkId, effects: &mut Vec<Effect>) {
        let Some(link) = self.links.get_mut(&id.0) else {
            return;
        };
        let Role::Client { index } = link.role else {
            return;
        };
        if !link.session.state().is_bound() {
            return self.close(now, id, effects);
        }
        link.optional = true;
        if let Some(peer) = link.peer.and_then(|peer| self.peers.get_mut(peer as usize))
            && let Some(failures) = peer.failures.get_mut(index as usize)
        {
            *failures = 0;
        }
    }

    /// A refused bind is answered.
    pub(super) fn refuse_bind(&mut self, now: Now, id: LinkId, effects: &mut Vec<Effect>) {
        let Some(request) = self.links.get_mut(&id.0).and_then(|link| link.bind.take()) else {
            return;
        };
        self.counters.binds_refused += 1;
        self.answer(
            id,
            request.command_id | command::RESPONSE,
            status::ESME_RINVPASWD,
            request.sequence_number,
        );
        self.close(now, id, effects);
    }

    fn refuse_later(&mut self, now: Now, id: LinkId) {
        let delay = Duration::from_millis(self.settings.limits.password_delay_ms.into());
        if let Some(link) = self.links.get_mut(&id.0) {
            link.refuse_at = Some(now.instant + delay);
        }
        self.mark_link(id);
    }

    fn is_barred(&self, now: Now, remote: IpAddr) -> bool {
        let limits = &self.settings.limits;
        let period = Duration::from_millis(limits.password_period_ms.into());
        self.wrong_passwords
            .get(&remote)
            .is_some_and(|(count, since)| {
                *count >= limits.password_tries
                    && now.instant.saturating_duration_since(*since) < period
            })
    }

    fn count_wrong_password(&mut self, now: Now, remote: IpAddr) {
        let period = Duration::from_millis(self.settings.limits.password_period_ms.into());
        if self.wrong_passwords.len() >= MAX_WATCHED_ADDRESSES
            && !self.wrong_passwords.contains_key(&remote)
        {
            self.wrong_passwords
                .retain(|_, (_, since)| now.instant.saturating_duration_since(*since) < period);
            if self.wrong_passwords.len() >= MAX_WATCHED_ADDRESSES {
                // Tens of thousands of addresses at once: each of their tries still waits its delay.
                return;
            }
        }
        let entry = self
            .wrong_passwords
            .entry(remote)
            .or_insert((0, now.instant));
        if now.instant.saturating_duration_since(entry.1) >= period {
            *entry = (0, now.instant);
        }
        entry.0 = entry.0.saturating_add(1);
    }
}

/// A window as the session takes it.
fn window(window: u32) -> u16 {
    u16::try_from(window).unwrap_or(u16::MAX)
}
