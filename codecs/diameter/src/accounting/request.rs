use bytes::Bytes;

use super::{AccountingRealtimeRequired, AccountingRecordType, ServiceSpecificInfo};
use crate::avp::Avp;
use crate::base::{ProxyInfo, VendorSpecificApplicationId};
use crate::credit_control::ServiceInformation;
use crate::dictionary::{
    ACCT_APPLICATION_ID, APPLICATION_BASE_ACCOUNTING, VENDOR_SPECIFIC_APPLICATION_ID,
};
use crate::error::{DecodeError, Fault};
use crate::fields::command;
use crate::flags::CommandFlags;
use crate::value::Time;

command! {
    /// Accounting-Request (RFC 6733 9.7.1, TS 32.299 6.2.2).
    ///
    /// Exactly one of `acct_application_id` and `vendor_specific_application_id` is to be given:
    /// [`AccountingRequest::application_id`] judges it.
    pub struct AccountingRequest: request ACCOUNTING, |this| this.application_id().unwrap_or(APPLICATION_BASE_ACCOUNTING), CommandFlags::PROXIABLE, {
        /// The session; with `accounting_record_number` it names the record.
        session_id: String = SESSION_ID,
        /// Who made the record.
        origin_host: String = ORIGIN_HOST,
        /// Its realm.
        origin_realm: String = ORIGIN_REALM,
        /// The realm it is meant for.
        destination_realm: String = DESTINATION_REALM,
        /// Event, start, interim or stop.
        accounting_record_type: AccountingRecordType = ACCOUNTING_RECORD_TYPE,
        /// The record within its session.
        accounting_record_number: u32 = ACCOUNTING_RECORD_NUMBER,
        /// 3, or another application that accounts.
        acct_application_id: Option<u32> = ACCT_APPLICATION_ID,
        /// A vendor's application that accounts.
        vendor_specific_application_id: Option<VendorSpecificApplicationId> = VENDOR_SPECIFIC_APPLICATION_ID,
        /// The user.
        user_name: Option<String> = USER_NAME,
        /// The node it is meant for.
        destination_host: Option<String> = DESTINATION_HOST,
        /// The sub-session, if there are any.
        accounting_sub_session_id: Option<u64> = ACCOUNTING_SUB_SESSION_ID,
        /// The session as RADIUS called it.
        acct_session_id: Option<Bytes> = ACCT_SESSION_ID,
        /// Ties several sessions together.
        acct_multi_session_id: Option<String> = ACCT_MULTI_SESSION_ID,
        /// Seconds between interim records.
        acct_interim_interval: Option<u32> = ACCT_INTERIM_INTERVAL,
        /// Whether the service goes on while records cannot be delivered.
        accounting_realtime_required: Option<AccountingRealtimeRequired> = ACCOUNTING_REALTIME_REQUIRED,
        /// Grows with each restart of the client.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// When what is recorded happened.
        event_timestamp: Option<Time> = EVENT_TIMESTAMP,
        /// The specification that rules what follows: `32260@3gpp.org`.
        service_context_id: Option<String> = SERVICE_CONTEXT_ID,
        /// What the service was (TS 32.299).
        service_information: Option<ServiceInformation> = SERVICE_INFORMATION,
        /// What the service alone understands.
        service_specific_infos: Vec<ServiceSpecificInfo> = SERVICE_SPECIFIC_INFO,
        /// States of the proxies on the way, to be returned.
        proxy_infos: Vec<ProxyInfo> = PROXY_INFO,
        /// Identities of the nodes on the way.
        route_records: Vec<String> = ROUTE_RECORD,
    }
}

impl AccountingRequest {
    /// The application that the AVPs name.
    ///
    /// # Errors
    /// 5005 if none does; 5009 with the second one if both stand and disagree (RFC 6733 9.7.1 asks for one of them;
    /// the same said twice does no harm).
    pub fn application_id(&self) -> Result<u32, DecodeError> {
        let vendors = match &self.vendor_specific_application_id {
            None => None,
            Some(group) => Some(
                group
                    .acct_application_id
                    .ok_or(Fault::MissingAvp(&ACCT_APPLICATION_ID))?,
            ),
        };
        match (self.acct_application_id, vendors) {
            (Some(one), Some(other)) if one != other => {
                let group = self
                    .vendor_specific_application_id
                    .clone()
                    .unwrap_or_default();
                let second = Avp::new(&VENDOR_SPECIFIC_APPLICATION_ID, &group);
                Err(Fault::AvpOccursTooManyTimes(second).into())
            }
            (Some(id), _) | (None, Some(id)) => Ok(id),
            (None, None) => Err(Fault::MissingAvp(&ACCT_APPLICATION_ID).into()),
        }
    }
}
