use bytes::Bytes;

use crate::base::{ExperimentalResult, FailedAvp, ProxyInfo, RedirectHostUsage, TerminationCause};
use crate::fields::command;
use crate::flags::CommandFlags;
use crate::result_code::ResultCode;
use crate::rx::{MediaComponentDescription, SponsoredConnectivityData};
use crate::value::Time;

command! {
    /// Session-Termination-Request of Rx (TS 29.214 5.6.5): closes the session's pinholes.
    pub struct RxSessionTerminationRequest: request SESSION_TERMINATION, |this| this.auth_application_id, CommandFlags::PROXIABLE, {
        /// The Rx session.
        session_id: String = SESSION_ID,
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// The realm it is meant for.
        destination_realm: String = DESTINATION_REALM,
        /// 16777236.
        auth_application_id: u32 = AUTH_APPLICATION_ID else |message| message.application_id,
        /// Why the session ends.
        termination_cause: TerminationCause = TERMINATION_CAUSE,
        /// The node it is meant for.
        destination_host: Option<String> = DESTINATION_HOST,
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
    /// Session-Termination-Answer of Rx (TS 29.214 5.6.6), with the final counts.
    pub struct RxSessionTerminationAnswer: answer SESSION_TERMINATION, |this| this.result_code, {
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
        /// Octet quota, or use in all.
        sponsored_connectivity_data: Option<SponsoredConnectivityData> = SPONSORED_CONNECTIVITY_DATA,
        /// Use per flow.
        media_component_descriptions: Vec<MediaComponentDescription> = MEDIA_COMPONENT_DESCRIPTION,
        /// When the last packet passed.
        event_timestamp: Option<Time> = EVENT_TIMESTAMP,
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
