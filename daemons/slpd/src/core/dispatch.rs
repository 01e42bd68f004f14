//! A message comes in: what it is, whether it may ask, who answers it.

use std::net::IpAddr;

use tollwire_runtime::clock::Now;
use tollwire_slp::{
    Body, DecodeError, DecodeErrorKind, ErrorCode, Flags, Function, Header, Message, WireHeader,
    decode, encode, v1,
};
use tollwire_wire::Reader;

use super::Core;
use super::v1::{Old, answer_of_v2};
use crate::effect::Effect;
use crate::event::{Arrived, Channel};
use crate::limits::counted_off_link;

/// A request, and how its answer goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// How it came.
    pub channel: &'a Channel,
    /// Its header.
    pub header: Header<'a>,
    /// What is asked.
    pub function: Function,
    /// Octets of the whole request.
    pub length: usize,
    /// Sent to more than one: only those answer who have something to say.
    pub to_many: bool,
    /// The attributes are wanted too (RFC 3059).
    pub with_attributes: bool,
    /// What it has as a request of SLPv1.
    pub old: Option<Old>,
}

/// What becomes of a request.
pub(super) enum Outcome {
    /// This is sent.
    Answer(Vec<u8>),
    /// This error is told, if it may be.
    Error(ErrorCode),
    /// This error of SLPv1 is told, if it may be.
    Old(v1::ErrorCode),
    /// Nothing is said.
    Silence,
}

impl From<ErrorCode> for Outcome {
    fn from(error: ErrorCode) -> Self {
        Self::Error(error)
    }
}

impl Core {
    pub(super) fn arrived(&mut self, now: Now, arrived: &Arrived, effects: &mut Vec<Effect>) {
        let channel = &arrived.channel;
        let octets = arrived.octets.as_ref();
        if let Some(remote) = channel.remote()
            && !channel.is_local()
            && !(self
                .requests
                .take(now.instant, self.counted(channel, remote.ip()), 1)
                && self.total_requests.take(now.instant, 1))
        {
            self.counters.dropped_rate += 1;
            if self.may_log(now) {
                tracing::info!(%remote, "dropped: it asks more than limits let it");
            }
            // On a stream silence would be waited for.
            if let (Channel::Tcp { .. }, Some(asked)) = (channel, unreadable(octets, channel)) {
                self.answer(now, &asked, ErrorCode::DA_BUSY_NOW.into(), effects);
            }
            return;
        }
        if self.is_v1(octets) {
            return self.arrived_v1(now, octets, channel, effects);
        }
        match decode(octets) {
            Ok(message) => self.message(now, &message, octets, channel, effects),
            Err(error) => self.undecodable(now, &error, octets, channel, effects),
        }
    }

    fn message(
        &mut self,
        now: Now,
        message: &Message<'_>,
        octets: &[u8],
        channel: &Channel,
        effects: &mut Vec<Effect>,
    ) {
        let function = message.body.function();
        if let Body::DaAdvert(_) | Body::SrvAck(_) = message.body {
            self.heard(now, message, octets, channel, effects);
            return;
        }
        if function.answer().is_none() || matches!(channel, Channel::Outgoing { .. }) {
            self.counters.dropped_malformed += 1;
            if self.may_log(now) {
                tracing::info!(remote = ?channel.remote(), function = function.name(), "dropped: an answer to nothing");
            }
            return;
        }
        // Some send to the group without the flag, some set the flag in unicast: either means that others answer too.
        let to_many = channel.is_multicast() || message.header.flags.multicast;
        if channel.is_multicast() && !message.header.flags.multicast {
            self.counters.unflagged_multicast += 1;
        }
        let asked = Asked {
            channel,
            header: message.header,
            function,
            length: octets.len(),
            to_many,
            with_attributes: message.extensions.iter().any(|extension| {
                matches!(extension, tollwire_slp::Extension::AttributeList { .. })
            }),
            old: None,
        };
        let unknown = message
            .extensions
            .iter()
            .any(tollwire_slp::Extension::is_mandatory_and_unknown);
        let outcome = match &message.body {
            _ if unknown => Outcome::Error(ErrorCode::OPTION_NOT_UNDERSTOOD),
            Body::SrvRqst(request) => self.service_request(now, &asked, request),
            Body::AttrRqst(request) => self.attribute_request(now, &asked, request),
            Body::SrvTypeRqst(request) => self.type_request(&asked, request),
            Body::SrvReg(registration) => self.registration(now, &asked, registration, effects),
            Body::SrvDeReg(deregistration) => {
                self.deregistration(now, &asked, deregistration, effects)
            }
            _ => Outcome::Silence,
        };
        self.answer(now, &asked, outcome, effects);
    }

    /// Octets that are no message: told by the code of what is wrong, if at least who asks what is known.
    fn undecodable(
        &mut self,
        now: Now,
        error: &DecodeError,
        octets: &[u8],
        channel: &Channel,
        effects: &mut Vec<Effect>,
    ) {
        if self.may_log(now) {
            tracing::info!(remote = ?channel.remote(), %error, "not a message");
        }
        let asked = match error.kind {
            // Whose length is wrong is whose XID may be anybody's.
            DecodeErrorKind::Length { .. } => None,
            DecodeErrorKind::Version(_) => of_another_version(octets, channel),
            _ => unreadable(octets, channel),
        };
        match asked {
            Some(asked) => {
                let outcome = Outcome::Error(error.error_code());
                self.answer(now, &asked, outcome, effects);
            }
            None => self.counters.dropped_malformed += 1,
        }
    }

    pub(super) fn answer(
        &mut self,
        now: Now,
        asked: &Asked<'_>,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        let remote = asked
            .channel
            .remote()
            .map(|remote| self.counted(asked.channel, remote.ip()));
        let octets = match outcome {
            Outcome::Silence => return,
            Outcome::Answer(octets) => octets,
            Outcome::Error(_) | Outcome::Old(_) if asked.to_many => {
                // RFC 2608 7: "errors are only returned for unicast requests".
                self.counters.dropped_multicast += 1;
                return;
            }
            Outcome::Error(_) | Outcome::Old(_) => {
                let told = asked.channel.is_local()
                    || remote.is_none_or(|remote| self.errors.take(now.instant, remote, 1));
                if !told {
                    self.counters.dropped_rate += 1;
                    return;
                }
                self.counters.errors += 1;
                let octets = match (outcome, &asked.old) {
                    (Outcome::Error(error), _) => error_answer(asked, error),
                    (Outcome::Old(error), Some(old)) => {
                        v1::refusal(&old.header, asked.function, error)
                    }
                    _ => None,
                };
                match octets {
                    Some(octets) => octets,
                    None => return,
                }
            }
        };
        let octets = match &asked.old {
            Some(old) if octets.first() != Some(&v1::VERSION) => {
                let is_stream = !matches!(asked.channel, Channel::Datagram { .. });
                match answer_of_v2(old, &octets, self.room(asked), is_stream) {
                    Some(octets) => octets,
                    None => return,
                }
            }
            _ => octets,
        };
        // Large answers count as so many small ones.
        self.charge(now, asked, octets.len() / tollwire_slp::DEFAULT_MTU);
        if matches!(asked.channel, Channel::Datagram { .. }) && !self.is_trusted(asked.channel) {
            // Who pretends to be somebody else gets nobody more than the pretence costs.
            let octets = u32::try_from(octets.len()).unwrap_or(u32::MAX);
            let paid = remote.is_some_and(|remote| self.off_link.take(now.instant, remote, octets));
            if asked.length < octets as usize || !paid {
                self.counters.dropped_off_link += 1;
                if self.may_log(now) {
                    tracing::info!(
                        ?remote,
                        "dropped: an answer off our links above what is allowed"
                    );
                }
                return;
            }
        }
        effects.push(Effect::Answer {
            channel: *asked.channel,
            octets,
        });
    }

    /// Whose requests these are counted as.
    fn counted(&self, channel: &Channel, address: IpAddr) -> IpAddr {
        let near = match channel {
            Channel::Datagram { on_link, .. } => *on_link,
            _ => self.links.contains(address),
        };
        match near {
            true => address,
            false => counted_off_link(address),
        }
    }

    /// What a request costs beyond the least is taken from what its source may ask.
    pub(super) fn charge(&mut self, now: Now, asked: &Asked<'_>, requests: usize) {
        if let Some(remote) = asked.channel.remote()
            && !asked.channel.is_local()
        {
            let requests = u32::try_from(requests).unwrap_or(u32::MAX);
            let source = self.counted(asked.channel, remote.ip());
            self.requests.charge(now.instant, source, requests);
        }
    }

    /// Octets that the answer may have: a datagram never more than the MTU, and off our links never more than the
    /// request.
    pub(super) fn room(&self, asked: &Asked<'_>) -> usize {
        match asked.channel {
            Channel::Datagram {
                on_link,
                interface,
                remote,
                ..
            } => {
                let mtu = self.mtu_of(*interface, remote.is_ipv4());
                match *on_link || self.is_trusted(asked.channel) {
                    true => mtu,
                    false => mtu.min(asked.length),
                }
            }
            _ => self.settings.reply_octets,
        }
    }

    /// Whether the sender is on a network of ours, or on one that the operator has named: there, a sender's address is
    /// believed.
    fn is_trusted(&self, channel: &Channel) -> bool {
        match channel {
            Channel::Datagram { on_link: true, .. } => true,
            channel => channel.remote().is_some_and(|remote| {
                let address = remote.ip().to_canonical();
                let mut allowed = self.settings.allowed_networks.iter();
                allowed.any(|network| network.contains(&address))
            }),
        }
    }

    /// Octets of SLP in a datagram by this interface: what the link carries in one piece.
    fn mtu_of(&self, interface: u32, ipv4: bool) -> usize {
        let link = self
            .attachments
            .iter()
            .find(|own| own.interface == interface && own.address.is_ipv4() == ipv4)
            .map_or(usize::MAX, |own| own.mtu);
        self.settings.mtu.min(link)
    }
}

/// The header of an answer: what the request's repeats, and no flag of it.
pub(super) fn reply_header<'a>(asked: &Asked<'a>) -> Header<'a> {
    Header {
        flags: Flags::default(),
        xid: asked.header.xid,
        language: asked.header.language,
    }
}

/// Whether an answer says no error.
pub(super) fn says_ok(body: &Body<'_>) -> bool {
    tollwire_slp::agent::error_of(body) == ErrorCode::OK
}

fn error_answer(asked: &Asked<'_>, error: ErrorCode) -> Option<Vec<u8>> {
    use tollwire_slp::message::{AttrRply, SrvAck, SrvRply, SrvTypeRply};
    let body = match asked.function.answer()? {
        Function::SrvRply => Body::SrvRply(SrvRply {
            error,
            urls: Vec::new(),
        }),
        Function::AttrRply => Body::AttrRply(AttrRply {
            error,
            ..AttrRply::default()
        }),
        Function::SrvTypeRply => Body::SrvTypeRply(SrvTypeRply {
            error,
            service_types: "",
        }),
        _ => Body::SrvAck(SrvAck { error }),
    };
    let message = Message {
        header: reply_header(asked),
        body,
        extensions: Vec::new(),
    };
    let mut octets = Vec::new();
    encode(&message, &mut octets).ok()?;
    Some(octets)
}

/// Who asked what, out of a message whose body cannot be read.
fn unreadable<'a>(octets: &'a [u8], channel: &'a Channel) -> Option<Asked<'a>> {
    let wire = WireHeader::read(&mut Reader::new(octets)).ok()?;
    let complete = wire.length == octets.len();
    // A function that there is not is answered as the least that an answer can be (RFC 2608 7).
    let function = match Function::from_id(wire.function) {
        Some(function) => function,
        None => Function::SrvReg,
    };
    (complete && function.answer().is_some()).then_some(Asked {
        channel,
        header: wire.header,
        function,
        length: octets.len(),
        to_many: channel.is_multicast() || wire.header.flags.multicast,
        with_attributes: false,
        old: None,
    })
}

/// The same out of a message of another version. All known ones have the function and the XID in the same place.
fn of_another_version<'a>(octets: &'a [u8], channel: &'a Channel) -> Option<Asked<'a>> {
    let mut reader = Reader::new(octets);
    reader.skip(1).ok()?;
    let function = Function::from_id(reader.u8().ok()?)?;
    reader.skip(8).ok()?;
    let xid = reader.u16().ok()?;
    function.answer()?;
    Some(Asked {
        channel,
        header: Header {
            flags: Flags::default(),
            xid,
            language: "en",
        },
        function,
        length: octets.len(),
        to_many: channel.is_multicast(),
        with_attributes: false,
        old: None,
    })
}
