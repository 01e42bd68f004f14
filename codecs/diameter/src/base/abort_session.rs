use crate::base::{FailedAvp, ProxyInfo, RedirectHostUsage};
use crate::fields::command;
use crate::flags::CommandFlags;
use crate::result_code::ResultCode;

command! {
    /// Abort-Session-Request (RFC 6733 8.5.1): the server asks the client to end the session.
    pub struct AbortSessionRequest: request ABORT_SESSION, |this| this.auth_application_id, CommandFlags::PROXIABLE, {
        /// The session.
        session_id: String = SESSION_ID,
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// The realm it is meant for.
        destination_realm: String = DESTINATION_REALM,
        /// The node it is meant for.
        destination_host: String = DESTINATION_HOST,
        /// The application of the session.
        auth_application_id: u32 = AUTH_APPLICATION_ID else |message| message.application_id,
        /// The user.
        user_name: Option<String> = USER_NAME,
        /// Grows with each restart of the sender.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// States of the proxies on the way, to be returned.
        proxy_infos: Vec<ProxyInfo> = PROXY_INFO,
        /// Identities of the nodes on the way.
        route_records: Vec<String> = ROUTE_RECORD,
    }
}

command! {
    /// Abort-Session-Answer (RFC 6733 8.5.2).
    pub struct AbortSessionAnswer: answer ABORT_SESSION, |this| Some(this.result_code), {
        /// The session.
        session_id: String = SESSION_ID,
        /// The outcome.
        result_code: ResultCode = RESULT_CODE,
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// The user.
        user_name: Option<String> = USER_NAME,
        /// Grows with each restart of the sender.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// The error in words.
        error_message: Option<String> = ERROR_MESSAGE,
        /// The node that set the result, if it is not the sender.
        error_reporting_host: Option<String> = ERROR_REPORTING_HOST,
        /// What was at fault.
        failed_avp: Option<FailedAvp> = FAILED_AVP,
        /// Where to send the request instead.
        redirect_hosts: Vec<String> = REDIRECT_HOST,
        /// What else goes there.
        redirect_host_usage: Option<RedirectHostUsage> = REDIRECT_HOST_USAGE,
        /// For how many seconds.
        redirect_max_cache_time: Option<u32> = REDIRECT_MAX_CACHE_TIME,
    }
}
