use crate::base::{FailedAvp, ProxyInfo, ReAuthRequestType, RedirectHostUsage};
use crate::fields::command;
use crate::flags::CommandFlags;
use crate::result_code::ResultCode;

command! {
    /// Re-Auth-Request (RFC 6733 8.3.1): the server asks the client to authorise the session again.
    pub struct ReAuthRequest: request RE_AUTH, |this| this.auth_application_id, CommandFlags::PROXIABLE, {
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
        /// Whether the user has to authenticate too.
        re_auth_request_type: ReAuthRequestType = RE_AUTH_REQUEST_TYPE,
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
    /// Re-Auth-Answer (RFC 6733 8.3.2).
    pub struct ReAuthAnswer: answer RE_AUTH, |this| Some(this.result_code), {
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
