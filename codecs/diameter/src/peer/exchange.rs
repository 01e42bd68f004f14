use std::cmp::Ordering;
use std::time::Instant;

use crate::base::{CapabilitiesExchangeAnswer, CapabilitiesExchangeRequest};
use crate::dictionary::command;
use crate::message::Message;
use crate::peer::machine::{Peer, Responder, State};
use crate::peer::{ConnectionId, PeerEffect, Remote};
use crate::result_code::ResultCode;

/// The capabilities exchange (RFC 6733 5.3) and the election (5.6.4).
impl Peer {
    /// What the CER says, unless it is refused, with its CEA sent and the connection closed.
    pub(super) fn process_cer(
        &self,
        connection: ConnectionId,
        cer: &Message,
        effects: &mut Vec<PeerEffect>,
    ) -> Option<Remote> {
        let (result_code, text, failed_avp) = match CapabilitiesExchangeRequest::decode(cer) {
            Err(error) => (error.result_code(), error.to_string(), error.failed_avp()),
            Ok(request) => {
                let remote = Remote::from_cer(&request);
                // RFC 3588's in-band TLS is not offered; a peer that wants nothing else is refused.
                let security = &request.inband_security_ids;
                if !security.is_empty() && !security.contains(&0) {
                    (ResultCode::NO_COMMON_SECURITY, String::new(), None)
                } else if !self.is_expected(&remote) {
                    (ResultCode::UNKNOWN_PEER, String::new(), None)
                } else if !remote.has_common_application(&self.local) {
                    (ResultCode::NO_COMMON_APPLICATION, String::new(), None)
                } else {
                    return Some(remote);
                }
            }
        };
        let text = (!text.is_empty()).then_some(text);
        let cea = self.local.cea(result_code, text, failed_avp).answer(cer);
        effects.push(PeerEffect::Write {
            connection,
            frame: cea.encode(),
        });
        effects.push(PeerEffect::Close { connection });
        None
    }

    fn is_expected(&self, remote: &Remote) -> bool {
        let own = &self.local.identity.origin_host;
        // Two nodes of one name could not hold an election.
        !remote.origin_host.is_empty()
            && !remote.origin_host.eq_ignore_ascii_case(own)
            && self
                .settings
                .origin_host
                .as_ref()
                .is_none_or(|expected| expected.eq_ignore_ascii_case(&remote.origin_host))
    }

    /// RFC 6733 5.6.4, run by the responder.
    pub(super) fn elect(
        &mut self,
        now: Instant,
        initiator: ConnectionId,
        responder: Responder,
        effects: &mut Vec<PeerEffect>,
    ) {
        let local = &self.local.identity.origin_host;
        if compare_identities(local, &responder.remote.origin_host) == Ordering::Greater {
            // Win-Election: "The winner of the election MUST close the connection it initiated."
            effects.push(PeerEffect::Close {
                connection: initiator,
            });
            self.open_responder(now, responder, effects);
        } else {
            self.state = State::WaitReturns {
                initiator,
                responder,
            };
        }
    }

    pub(super) fn send_cer(
        &mut self,
        now: Instant,
        initiator: ConnectionId,
        effects: &mut Vec<PeerEffect>,
    ) {
        self.state_deadline = Some(now + self.settings.connect_timeout);
        let cer = self
            .local
            .cer()
            .encode(self.new_hop_by_hop_id(), self.new_end_to_end_id());
        effects.push(PeerEffect::Write {
            connection: initiator,
            frame: cer.encode(),
        });
    }

    /// R-Snd-CEA, R-Open.
    pub(super) fn open_responder(
        &mut self,
        now: Instant,
        responder: Responder,
        effects: &mut Vec<PeerEffect>,
    ) {
        let cea = self.local.cea(ResultCode::SUCCESS, None, None);
        effects.push(PeerEffect::Write {
            connection: responder.connection,
            frame: cea.answer(&responder.cer).encode(),
        });
        self.open(now, responder.connection, responder.remote, effects);
    }

    /// I-Rcv-CEA or I-Rcv-Non-CEA, while a CEA is awaited on `initiator`.
    pub(super) fn process_cea(
        &mut self,
        now: Instant,
        message: &Message,
        effects: &mut Vec<PeerEffect>,
    ) {
        let remote = match CapabilitiesExchangeAnswer::decode(message) {
            Ok(cea) if cea.result_code.is_success() => Some(Remote::from_cea(&cea)),
            _ => None,
        };
        let remote = remote.filter(|remote| {
            self.is_expected(remote) && remote.has_common_application(&self.local)
        });
        match (std::mem::replace(&mut self.state, State::Closed), remote) {
            (State::WaitICea { initiator }, Some(remote)) => {
                self.open(now, initiator, remote, effects);
            }
            (
                State::WaitReturns {
                    initiator,
                    responder,
                },
                Some(remote),
            ) => {
                effects.push(PeerEffect::Close {
                    connection: responder.connection,
                });
                self.open(now, initiator, remote, effects);
            }
            (State::WaitICea { initiator }, None) => {
                effects.push(PeerEffect::Close {
                    connection: initiator,
                });
                self.enter_closed(now, effects);
            }
            (
                State::WaitReturns {
                    initiator,
                    responder,
                },
                None,
            ) => {
                effects.push(PeerEffect::Close {
                    connection: initiator,
                });
                self.open_responder(now, responder, effects);
            }
            (other, _) => self.state = other,
        }
    }
}

/// Whether a message is a CEA.
pub(super) fn is_cea(message: &Message) -> bool {
    message.command_code == command::CAPABILITIES_EXCHANGE && !message.is_request()
}

/// RFC 6733 5.6.4: octet by octet, letters without regard to case.
fn compare_identities(left: &str, right: &str) -> Ordering {
    let lower = |octet: u8| octet.to_ascii_lowercase();
    left.bytes().map(lower).cmp(right.bytes().map(lower))
}
