use bytes::Bytes;

use crate::base::{ExperimentalResult, FailedAvp, ProxyInfo, RedirectHostUsage};
use crate::fields::command;
use crate::flags::CommandFlags;
use crate::result_code::ResultCode;
use crate::rx::AbortCause;

command! {
    /// Abort-Session-Request of Rx (TS 29.214 5.6.7): the limiter ends the session.
    pub struct RxAbortSessionRequest: request ABORT_SESSION, |this| this.auth_application_id, CommandFlags::PROXIABLE, {
        /// The Rx session.
        session_id: String = SESSION_ID,
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// The realm it is meant for.
        destination_realm: String = DESTINATION_REALM,
        /// The node it is meant for.
        destination_host: String = DESTINATION_HOST,
        /// 16777236.
        auth_application_id: u32 = AUTH_APPLICATION_ID else |message| message.application_id,
        /// Why; required by the grammar.
        abort_cause: Option<AbortCause> = ABORT_CAUSE,
        /// What the server gave to be returned.
        classes: Vec<Bytes> = CLASS,
        /// Grows with each restart of the sender.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// States of the proxies on the way, to be returned.
        proxy_infos: Vec<ProxyInfo> = PROXY_INFO,
        /// Identities of the nodes on the way.
        route_records: Vec<String> = ROUTE_RECORD,
    }
}

command! {
    /// Abort-Session-Answer of Rx (TS 29.214 5.6.8).
    pub struct RxAbortSessionAnswer: answer ABORT_SESSION, |this| this.result_code, {
        /// The Rx session.
        session_id: String = SESSION_ID,
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// The outcome; either this or `experimental_result`.
        result_code: Option<ResultCode> = RESULT_CODE,
        /// The outcome, if it is one of TS 29.214's own.
        experimental_result: Option<ExperimentalResult> = EXPERIMENTAL_RESULT,
        /// What the server gave to be returned.
        classes: Vec<Bytes> = CLASS,
        /// The error in words.
        error_message: Option<String> = ERROR_MESSAGE,
        /// The node that set the result, if it is not the sender.
        error_reporting_host: Option<String> = ERROR_REPORTING_HOST,
        /// What was at fault.
        failed_avps: Vec<FailedAvp> = FAILED_AVP,
        /// Grows with each restart of the sender.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// Where to send the request instead.
        redirect_hosts: Vec<String> = REDIRECT_HOST,
        /// What else goes there.
        redirect_host_usage: Option<RedirectHostUsage> = REDIRECT_HOST_USAGE,
        /// For how many seconds.
        redirect_max_cache_time: Option<u32> = REDIRECT_MAX_CACHE_TIME,
    }
}
