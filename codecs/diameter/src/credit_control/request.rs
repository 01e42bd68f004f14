use bytes::Bytes;

use crate::base::{ProxyInfo, TerminationCause};
use crate::credit_control::{
    CcRequestType, MultipleServicesCreditControl, MultipleServicesIndicator, RequestedAction,
    RequestedServiceUnit, ServiceInformation, ServiceParameterInfo, SubscriptionId,
    SubscriptionIdExtension, UsedServiceUnit, UserEquipmentInfo, UserEquipmentInfoExtension,
};
use crate::dictionary::APPLICATION_CREDIT_CONTROL;
use crate::fields::command;
use crate::flags::CommandFlags;
use crate::value::Time;

command! {
    /// Credit-Control-Request (RFC 8506 3.1).
    pub struct CreditControlRequest: request CREDIT_CONTROL, |_this| APPLICATION_CREDIT_CONTROL, CommandFlags::PROXIABLE, {
        /// The session; with `cc_request_number` it names the request.
        session_id: String = SESSION_ID,
        /// The client.
        origin_host: String = ORIGIN_HOST,
        /// The client's realm.
        origin_realm: String = ORIGIN_REALM,
        /// The server's realm.
        destination_realm: String = DESTINATION_REALM,
        /// 4.
        auth_application_id: u32 = AUTH_APPLICATION_ID else |message| message.application_id,
        /// The specification that rules the request: `32260@3gpp.org`.
        service_context_id: String = SERVICE_CONTEXT_ID,
        /// Initial, update, termination or event.
        cc_request_type: CcRequestType = CC_REQUEST_TYPE,
        /// Grows by one within the session.
        cc_request_number: u32 = CC_REQUEST_NUMBER,
        /// The server.
        destination_host: Option<String> = DESTINATION_HOST,
        /// The user.
        user_name: Option<String> = USER_NAME,
        /// The sub-session, if there are any.
        cc_sub_session_id: Option<u64> = CC_SUB_SESSION_ID,
        /// Ties several sessions together.
        acct_multi_session_id: Option<String> = ACCT_MULTI_SESSION_ID,
        /// Grows with each restart of the client.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// When what is reported happened.
        event_timestamp: Option<Time> = EVENT_TIMESTAMP,
        /// Whose account.
        subscription_ids: Vec<SubscriptionId> = SUBSCRIPTION_ID,
        /// Whose account, in RFC 8506's own form.
        subscription_id_extensions: Vec<SubscriptionIdExtension> = SUBSCRIPTION_ID_EXTENSION,
        /// The service.
        service_identifier: Option<u32> = SERVICE_IDENTIFIER,
        /// Why the session ended.
        termination_cause: Option<TerminationCause> = TERMINATION_CAUSE,
        /// What is wanted, outside MSCC.
        requested_service_unit: Option<RequestedServiceUnit> = REQUESTED_SERVICE_UNIT,
        /// What an event asks for.
        requested_action: Option<RequestedAction> = REQUESTED_ACTION,
        /// What was used, outside MSCC.
        used_service_units: Vec<UsedServiceUnit> = USED_SERVICE_UNIT,
        /// Whether the client handles MSCC.
        multiple_services_indicator: Option<MultipleServicesIndicator> = MULTIPLE_SERVICES_INDICATOR,
        /// Units per rating group or service.
        multiple_services_credit_controls: Vec<MultipleServicesCreditControl> = MULTIPLE_SERVICES_CREDIT_CONTROL,
        /// Parameters that the service context defines.
        service_parameter_infos: Vec<ServiceParameterInfo> = SERVICE_PARAMETER_INFO,
        /// Ties requests of different components together.
        cc_correlation_id: Option<Bytes> = CC_CORRELATION_ID,
        /// The device.
        user_equipment_info: Option<UserEquipmentInfo> = USER_EQUIPMENT_INFO,
        /// The device, in RFC 8506's own form.
        user_equipment_info_extension: Option<UserEquipmentInfoExtension> = USER_EQUIPMENT_INFO_EXTENSION,
        /// What the service was (TS 32.299).
        service_information: Option<ServiceInformation> = SERVICE_INFORMATION,
        /// States of the proxies on the way, to be returned.
        proxy_infos: Vec<ProxyInfo> = PROXY_INFO,
        /// Identities of the nodes on the way.
        route_records: Vec<String> = ROUTE_RECORD,
    }
}
