use bytes::Bytes;

use crate::base::{ExperimentalResult, FailedAvp, ProxyInfo};
use crate::fields::command;
use crate::flags::CommandFlags;
use crate::result_code::ResultCode;
use crate::rx::{
    AbortCause, Flows, MediaComponentDescription, ServiceInfoStatus, SpecificAction,
    SponsoredConnectivityData,
};
use crate::value::Time;

command! {
    /// Re-Auth-Request of Rx (TS 29.214 5.6.3): the limiter reports an event.
    pub struct RxReAuthRequest: request RE_AUTH, |this| this.auth_application_id, CommandFlags::PROXIABLE, {
        /// The Rx session.
        session_id: String = SESSION_ID,
        /// 16777236.
        auth_application_id: u32 = AUTH_APPLICATION_ID else |message| message.application_id,
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// The realm it is meant for.
        destination_realm: String = DESTINATION_REALM,
        /// The node it is meant for.
        destination_host: String = DESTINATION_HOST,
        /// What happened.
        specific_actions: Vec<SpecificAction> = SPECIFIC_ACTION,
        /// The flows it happened to; none is all.
        flows: Vec<Flows> = FLOWS,
        /// Why flows were aborted.
        abort_cause: Option<AbortCause> = ABORT_CAUSE,
        /// Octet quota, or use in all.
        sponsored_connectivity_data: Option<SponsoredConnectivityData> = SPONSORED_CONNECTIVITY_DATA,
        /// Use per flow.
        media_component_descriptions: Vec<MediaComponentDescription> = MEDIA_COMPONENT_DESCRIPTION,
        /// When what is reported happened.
        event_timestamp: Option<Time> = EVENT_TIMESTAMP,
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
    /// Re-Auth-Answer of Rx (TS 29.214 5.6.4).
    pub struct RxReAuthAnswer: answer RE_AUTH, |this| this.result_code, {
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
        /// The media, where the event asks for it.
        media_component_descriptions: Vec<MediaComponentDescription> = MEDIA_COMPONENT_DESCRIPTION,
        /// Whether the answer is known yet.
        service_info_status: Option<ServiceInfoStatus> = SERVICE_INFO_STATUS,
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
    }
}
