use std::net::Ipv4Addr;

use bytes::Bytes;

use crate::base::{ExperimentalResult, FailedAvp, ProxyInfo, RedirectHostUsage};
use crate::credit_control::SubscriptionId;
use crate::fields::command;
use crate::flags::CommandFlags;
use crate::result_code::ResultCode;
use crate::rx::{
    MediaComponentDescription, RxRequestType, ServiceInfoStatus, SipForkingIndication,
    SpecificAction, SponsoredConnectivityData, SupportedFeatures,
};
use crate::value::{Ipv6Prefix, Time};

command! {
    /// AA-Request (TS 29.214 5.6.1): opens, changes or renews the session's pinholes.
    pub struct AaRequest: request AA, |this| this.auth_application_id, CommandFlags::PROXIABLE, {
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
        destination_host: Option<String> = DESTINATION_HOST,
        /// The service.
        af_application_identifier: Option<Bytes> = AF_APPLICATION_IDENTIFIER,
        /// The media. With an existing session a component replaces the one of its number.
        media_component_descriptions: Vec<MediaComponentDescription> = MEDIA_COMPONENT_DESCRIPTION,
        /// Whether the answer is known yet.
        service_info_status: Option<ServiceInfoStatus> = SERVICE_INFO_STATUS,
        /// Ties the session to its charging: the Call-ID or ICID.
        af_charging_identifier: Option<Bytes> = AF_CHARGING_IDENTIFIER,
        /// Whether the call forked.
        sip_forking_indication: Option<SipForkingIndication> = SIP_FORKING_INDICATION,
        /// What to report by RAR.
        specific_actions: Vec<SpecificAction> = SPECIFIC_ACTION,
        /// Whose session.
        subscription_ids: Vec<SubscriptionId> = SUBSCRIPTION_ID,
        /// Optional features of the client.
        supported_features: Vec<SupportedFeatures> = SUPPORTED_FEATURES,
        /// The user's IPv4 address.
        framed_ip_address: Option<Ipv4Addr> = FRAMED_IP_ADDRESS,
        /// The user's IPv6 prefix.
        framed_ipv6_prefix: Option<Ipv6Prefix> = FRAMED_IPV6_PREFIX,
        /// The access point.
        called_station_id: Option<String> = CALLED_STATION_ID,
        /// An emergency service.
        service_urn: Option<Bytes> = SERVICE_URN,
        /// Octet quota, or use in all.
        sponsored_connectivity_data: Option<SponsoredConnectivityData> = SPONSORED_CONNECTIVITY_DATA,
        /// First request or change.
        rx_request_type: Option<RxRequestType> = RX_REQUEST_TYPE,
        /// Seconds from now after which every flow closes. A grant, renewed by a further AAR.
        session_timeout: Option<u32> = SESSION_TIMEOUT,
        /// When what is reported happened.
        event_timestamp: Option<Time> = EVENT_TIMESTAMP,
        /// Grows with each restart of the sender.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// States of the proxies on the way, to be returned.
        proxy_infos: Vec<ProxyInfo> = PROXY_INFO,
        /// Identities of the nodes on the way.
        route_records: Vec<String> = ROUTE_RECORD,
    }
}

command! {
    /// AA-Answer (TS 29.214 5.6.2).
    pub struct AaAnswer: answer AA, |this| this.result_code, {
        /// The Rx session.
        session_id: String = SESSION_ID,
        /// 16777236.
        auth_application_id: u32 = AUTH_APPLICATION_ID else |message| message.application_id,
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// The outcome; either this or `experimental_result`.
        result_code: Option<ResultCode> = RESULT_CODE,
        /// The outcome, if it is one of TS 29.214's own.
        experimental_result: Option<ExperimentalResult> = EXPERIMENTAL_RESULT,
        /// Optional features of the server.
        supported_features: Vec<SupportedFeatures> = SUPPORTED_FEATURES,
        /// Octet quota, or use in all.
        sponsored_connectivity_data: Option<SponsoredConnectivityData> = SPONSORED_CONNECTIVITY_DATA,
        /// Use per flow.
        media_component_descriptions: Vec<MediaComponentDescription> = MEDIA_COMPONENT_DESCRIPTION,
        /// Seconds granted.
        session_timeout: Option<u32> = SESSION_TIMEOUT,
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
