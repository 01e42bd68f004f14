use crate::base::FailedAvp;
use crate::dictionary::APPLICATION_COMMON_MESSAGES;
use crate::fields::command;
use crate::flags::CommandFlags;
use crate::result_code::ResultCode;

command! {
    /// Device-Watchdog-Request (RFC 6733 5.5.1).
    pub struct DeviceWatchdogRequest: request DEVICE_WATCHDOG, |_this| APPLICATION_COMMON_MESSAGES, CommandFlags(0), {
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// Grows with each restart of the sender.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
    }
}

command! {
    /// Device-Watchdog-Answer (RFC 6733 5.5.2).
    pub struct DeviceWatchdogAnswer: answer DEVICE_WATCHDOG, |this| Some(this.result_code), {
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
        /// Grows with each restart of the sender.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
    }
}
