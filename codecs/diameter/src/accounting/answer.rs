use bytes::Bytes;

use super::{AccountingRealtimeRequired, AccountingRecordType};
use crate::base::{ExperimentalResult, FailedAvp, VendorSpecificApplicationId};
use crate::fields::command;
use crate::result_code::ResultCode;
use crate::value::Time;

command! {
    /// Accounting-Answer (RFC 6733 9.7.2): the record is kept by who answers, or it is not.
    ///
    /// An answer with the E bit need not have these AVPs: read it as a
    /// [`crate::base::ErrorAnswer`].
    pub struct AccountingAnswer: answer ACCOUNTING, |this| this.result_code, {
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
        /// As in the request.
        accounting_record_type: AccountingRecordType = ACCOUNTING_RECORD_TYPE,
        /// As in the request.
        accounting_record_number: u32 = ACCOUNTING_RECORD_NUMBER,
        /// As in the request.
        acct_application_id: Option<u32> = ACCT_APPLICATION_ID,
        /// As in the request.
        vendor_specific_application_id: Option<VendorSpecificApplicationId> = VENDOR_SPECIFIC_APPLICATION_ID,
        /// The user.
        user_name: Option<String> = USER_NAME,
        /// The sub-session, if there are any.
        accounting_sub_session_id: Option<u64> = ACCOUNTING_SUB_SESSION_ID,
        /// The session as RADIUS called it.
        acct_session_id: Option<Bytes> = ACCT_SESSION_ID,
        /// Ties several sessions together.
        acct_multi_session_id: Option<String> = ACCT_MULTI_SESSION_ID,
        /// The error in words.
        error_message: Option<String> = ERROR_MESSAGE,
        /// The node that set the result, if it is not the sender.
        error_reporting_host: Option<String> = ERROR_REPORTING_HOST,
        /// What was at fault.
        failed_avp: Option<FailedAvp> = FAILED_AVP,
        /// Seconds between the interim records that are wanted; 0 is none.
        acct_interim_interval: Option<u32> = ACCT_INTERIM_INTERVAL,
        /// Whether the service goes on while records cannot be delivered.
        accounting_realtime_required: Option<AccountingRealtimeRequired> = ACCOUNTING_REALTIME_REQUIRED,
        /// Grows with each restart of the server.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// When the server answered.
        event_timestamp: Option<Time> = EVENT_TIMESTAMP,
    }
}
