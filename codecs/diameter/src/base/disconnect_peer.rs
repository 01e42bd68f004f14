use crate::base::{DisconnectCause, FailedAvp};
use crate::dictionary::APPLICATION_COMMON_MESSAGES;
use crate::fields::command;
use crate::flags::CommandFlags;
use crate::result_code::ResultCode;

command! {
    /// Disconnect-Peer-Request (RFC 6733 5.4.1).
    pub struct DisconnectPeerRequest: request DISCONNECT_PEER, |_this| APPLICATION_COMMON_MESSAGES, CommandFlags(0), {
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// Why the connection goes down.
        disconnect_cause: DisconnectCause = DISCONNECT_CAUSE,
    }
}

command! {
    /// Disconnect-Peer-Answer (RFC 6733 5.4.2).
    pub struct DisconnectPeerAnswer: answer DISCONNECT_PEER, |this| Some(this.result_code), {
        /// The outcome.
        result_code: ResultCode = RESULT_CODE,
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// The error in words.
        error_message: Option<String> = ERROR_MESSAGE,
        /// What was at fault.
        failed_avp: Option<FailedAvp> = FAILED_AVP,
    }
}
