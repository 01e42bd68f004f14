use crate::base::{ExperimentalResult, FailedAvp, RedirectHostUsage};
use crate::credit_control::{
    CcRequestType, CcSessionFailover, CheckBalanceResult, CostInformation,
    CreditControlFailureHandling, DirectDebitingFailureHandling, FinalUnitIndication,
    GrantedServiceUnit, MultipleServicesCreditControl, QosFinalUnitIndication,
};
use crate::fields::command;
use crate::result_code::ResultCode;
use crate::value::Time;

command! {
    /// Credit-Control-Answer (RFC 8506 3.2).
    ///
    /// An answer with the E bit need not have these AVPs: read it as a
    /// [`crate::base::ErrorAnswer`].
    pub struct CreditControlAnswer: answer CREDIT_CONTROL, |this| this.result_code, {
        /// The session.
        session_id: String = SESSION_ID,
        /// The outcome; required by the grammar, but TS 32.299 lets `experimental_result` stand for it.
        result_code: Option<ResultCode> = RESULT_CODE,
        /// The outcome, if it is a vendor's.
        experimental_result: Option<ExperimentalResult> = EXPERIMENTAL_RESULT,
        /// The server.
        origin_host: String = ORIGIN_HOST,
        /// The server's realm.
        origin_realm: String = ORIGIN_REALM,
        /// 4.
        auth_application_id: u32 = AUTH_APPLICATION_ID else |message| message.application_id,
        /// As in the request.
        cc_request_type: CcRequestType = CC_REQUEST_TYPE,
        /// As in the request.
        cc_request_number: u32 = CC_REQUEST_NUMBER,
        /// The user.
        user_name: Option<String> = USER_NAME,
        /// Whether the session may move to another server.
        cc_session_failover: Option<CcSessionFailover> = CC_SESSION_FAILOVER,
        /// The sub-session, if there are any.
        cc_sub_session_id: Option<u64> = CC_SUB_SESSION_ID,
        /// Ties several sessions together.
        acct_multi_session_id: Option<String> = ACCT_MULTI_SESSION_ID,
        /// Grows with each restart of the server.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// When the server answered.
        event_timestamp: Option<Time> = EVENT_TIMESTAMP,
        /// What may be used, outside MSCC.
        granted_service_unit: Option<GrantedServiceUnit> = GRANTED_SERVICE_UNIT,
        /// Units per rating group or service.
        multiple_services_credit_controls: Vec<MultipleServicesCreditControl> = MULTIPLE_SERVICES_CREDIT_CONTROL,
        /// What the service costs, or has cost so far.
        cost_information: Option<CostInformation> = COST_INFORMATION,
        /// What happens after the last units, outside MSCC.
        final_unit_indication: Option<FinalUnitIndication> = FINAL_UNIT_INDICATION,
        /// The same with QoS filters.
        qos_final_unit_indication: Option<QosFinalUnitIndication> = QOS_FINAL_UNIT_INDICATION,
        /// Whether the account covers the service.
        check_balance_result: Option<CheckBalanceResult> = CHECK_BALANCE_RESULT,
        /// What to do when no server can be reached.
        credit_control_failure_handling: Option<CreditControlFailureHandling> = CREDIT_CONTROL_FAILURE_HANDLING,
        /// The same for direct debiting.
        direct_debiting_failure_handling: Option<DirectDebitingFailureHandling> = DIRECT_DEBITING_FAILURE_HANDLING,
        /// Seconds until the next request is due, outside MSCC.
        validity_time: Option<u32> = VALIDITY_TIME,
        /// Where to send the request instead.
        redirect_hosts: Vec<String> = REDIRECT_HOST,
        /// What else goes there.
        redirect_host_usage: Option<RedirectHostUsage> = REDIRECT_HOST_USAGE,
        /// For how many seconds.
        redirect_max_cache_time: Option<u32> = REDIRECT_MAX_CACHE_TIME,
        /// The error in words.
        error_message: Option<String> = ERROR_MESSAGE,
        /// What was at fault.
        failed_avps: Vec<FailedAvp> = FAILED_AVP,
        /// Identities of the nodes on the way.
        route_records: Vec<String> = ROUTE_RECORD,
    }
}
