use std::time::Instant;

use crate::base::{DisconnectCause, DisconnectPeerRequest};
use crate::dictionary::{self, APPLICATION_COMMON_MESSAGES, command};
use crate::message::{Malformed, Message};
use crate::peer::capabilities::commands_of;
use crate::peer::exchange::is_cea;
use crate::peer::machine::{Peer, State};
use crate::peer::{ConnectionId, Failure, PeerEffect};
use crate::result_code::ResultCode;

impl Peer {
    /// Rcv-Message, Rcv-CEA, Rcv-DWR, Rcv-DWA, Rcv-DPR and Rcv-DPA.
    pub(super) fn received(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        message: Message,
        effects: &mut Vec<PeerEffect>,
    ) {
        if !self.uses(connection) {
            return;
        }
        match &self.state {
            State::WaitICea { initiator } | State::WaitReturns { initiator, .. }
                if *initiator == connection =>
            {
                self.process_cea(now, &message, effects);
            }
            State::Open { .. } => self.received_open(now, connection, message, effects),
            // What was on its way when the DPR was sent still counts.
            State::Closing { .. } => self.received_closing(now, connection, message, effects),
            // A responder that talks before its CEA; the election decides what becomes of it.
            _ => {}
        }
    }

    pub(super) fn undecodable(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        malformed: &Malformed,
        effects: &mut Vec<PeerEffect>,
    ) {
        if !self.uses(connection) {
            return;
        }
        match &self.state {
            State::WaitICea { .. } | State::WaitReturns { .. } if is_cea(&malformed.received) => {
                self.process_cea(now, &malformed.received, effects);
            }
            State::Open { .. } => {
                if let Some(watchdog) = &mut self.watchdog {
                    watchdog.received(now);
                }
                if let Some(answer) = malformed.answer(&self.local.identity) {
                    write(connection, &answer, effects);
                } else {
                    self.fail_unreadable(malformed.received.hop_by_hop_id, effects);
                }
            }
            _ => {}
        }
    }

    fn received_open(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        message: Message,
        effects: &mut Vec<PeerEffect>,
    ) {
        self.heard_at = Some(now);
        let is_dwa = message.command_code == command::DEVICE_WATCHDOG && !message.is_request();
        if let Some(watchdog) = &mut self.watchdog {
            if is_dwa {
                watchdog.received_dwa(now);
            } else {
                watchdog.received(now);
            }
        }
        if !message.is_request() {
            self.answered(message, effects);
            return;
        }
        match message.command_code {
            command::DEVICE_WATCHDOG => {
                write(connection, &self.local.dwa(&message), effects);
            }
            command::DISCONNECT_PEER => {
                write(connection, &self.local.dpa(&message), effects);
                self.heed_cause(&message);
                self.enter_closing(now, connection, effects);
            }
            command::CAPABILITIES_EXCHANGE => {
                // RFC 6737's own command changes capabilities; a second CER does not.
                let answer = self.local.refuse_cer(
                    &message,
                    ResultCode::UNABLE_TO_COMPLY,
                    "capabilities are exchanged already",
                );
                write(connection, &answer, effects);
            }
            _ => self.requested(connection, message, effects),
        }
    }

    fn received_closing(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        message: Message,
        effects: &mut Vec<PeerEffect>,
    ) {
        match (message.is_request(), message.command_code) {
            (false, command::DISCONNECT_PEER) => {
                effects.push(PeerEffect::Close { connection });
                self.enter_closed(now, effects);
            }
            (false, _) => self.answered(message, effects),
            // Both sides disconnect at once: each gets its DPA.
            (true, command::DISCONNECT_PEER) => {
                write(connection, &self.local.dpa(&message), effects);
            }
            (true, _) => {
                let answer = message.refuse(
                    &self.local.identity,
                    ResultCode::UNABLE_TO_DELIVER,
                    None,
                    Some("the node is disconnecting"),
                );
                write(connection, &answer, effects);
            }
        }
    }

    fn answered(&mut self, message: Message, effects: &mut Vec<PeerEffect>) {
        if matches!(
            message.command_code,
            command::DEVICE_WATCHDOG | command::CAPABILITIES_EXCHANGE | command::DISCONNECT_PEER
        ) {
            return;
        }
        // RFC 6733 6.2.1: an answer that matches no request is dropped.
        if let Some(token) = self.pending.remove(message.hop_by_hop_id) {
            effects.push(PeerEffect::Answer { token, message });
        }
    }

    fn fail_unreadable(&mut self, hop_by_hop_id: u32, effects: &mut Vec<PeerEffect>) {
        if let Some(token) = self.pending.remove(hop_by_hop_id) {
            effects.push(PeerEffect::Failed {
                token,
                why: Failure::BadAnswer,
            });
        }
    }

    /// A request of an application: delivered, or refused for what the header and the routing
    /// AVPs already say (RFC 6733 6.1).
    fn requested(
        &mut self,
        connection: ConnectionId,
        message: Message,
        effects: &mut Vec<PeerEffect>,
    ) {
        let refusal = self.refusal(&message);
        effects.push(match refusal {
            None => PeerEffect::Request {
                connection,
                message,
            },
            Some((result_code, text)) => PeerEffect::Write {
                connection,
                frame: message
                    .refuse(&self.local.identity, result_code, None, text)
                    .encode(),
            },
        });
    }

    fn refusal(&self, message: &Message) -> Option<(ResultCode, Option<&'static str>)> {
        let application = message.application_id;
        if application == APPLICATION_COMMON_MESSAGES {
            return Some((ResultCode::COMMAND_UNSUPPORTED, None));
        }
        if !self.local.supports(application) {
            return Some((ResultCode::APPLICATION_UNSUPPORTED, None));
        }
        if commands_of(application)
            .is_some_and(|commands| !commands.contains(&message.command_code))
        {
            return Some((ResultCode::COMMAND_UNSUPPORTED, None));
        }
        let own = self.local.identity.origin_host.as_bytes();
        for avp in &message.avps {
            if avp.is(&dictionary::ROUTE_RECORD) && avp.data.eq_ignore_ascii_case(own) {
                return Some((ResultCode::LOOP_DETECTED, None));
            }
            // RFC 6733 6.1.4: this node is no agent; what is not for it goes nowhere.
            if avp.is(&dictionary::DESTINATION_HOST) && !avp.data.eq_ignore_ascii_case(own) {
                return Some((
                    ResultCode::UNABLE_TO_DELIVER,
                    Some("Destination-Host is another node"),
                ));
            }
            if avp.is(&dictionary::DESTINATION_REALM)
                && !std::str::from_utf8(&avp.data).is_ok_and(|realm| self.local.serves(realm))
            {
                return Some((ResultCode::REALM_NOT_SERVED, None));
            }
        }
        None
    }

    /// RFC 6733 5.4: a peer that does not want to talk is not bothered at once.
    fn heed_cause(&mut self, dpr: &Message) {
        let cause = DisconnectPeerRequest::decode(dpr).map(|dpr| dpr.disconnect_cause);
        if let (Ok(DisconnectCause::DoNotWantToTalkToYou | DisconnectCause::Busy), Some(backoff)) =
            (cause, self.settings.connect)
        {
            self.pause = Some(backoff.max);
            self.opened_at = None;
        }
    }
}

fn write(connection: ConnectionId, message: &Message, effects: &mut Vec<PeerEffect>) {
    effects.push(PeerEffect::Write {
        connection,
        frame: message.encode(),
    });
}
