use crate::base::{FailedAvp, VendorSpecificApplicationId};
use crate::dictionary::APPLICATION_COMMON_MESSAGES;
use crate::fields::command;
use crate::flags::CommandFlags;
use crate::result_code::ResultCode;
use crate::value::Address;

command! {
    /// Capabilities-Exchange-Request (RFC 6733 5.3.1): the first message of a connection.
    pub struct CapabilitiesExchangeRequest: request CAPABILITIES_EXCHANGE, |_this| APPLICATION_COMMON_MESSAGES, CommandFlags(0), {
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// The sender's addresses. At least one by the grammar; none is tolerated, as some senders
        /// leave it out.
        host_ip_addresses: Vec<Address> = HOST_IP_ADDRESS,
        /// Enterprise number of the sender's maker.
        vendor_id: u32 = VENDOR_ID,
        /// Name of the sender's software.
        product_name: String = PRODUCT_NAME,
        /// Grows with each restart of the sender.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// Vendors whose AVPs the sender knows.
        supported_vendor_ids: Vec<u32> = SUPPORTED_VENDOR_ID,
        /// Application ids of applications that authorise.
        auth_application_ids: Vec<u32> = AUTH_APPLICATION_ID,
        /// Security mechanisms, as RFC 3588 had them; 0 is none, 1 is TLS.
        inband_security_ids: Vec<u32> = INBAND_SECURITY_ID,
        /// Application ids of applications that account.
        acct_application_ids: Vec<u32> = ACCT_APPLICATION_ID,
        /// Applications of vendors.
        vendor_specific_application_ids: Vec<VendorSpecificApplicationId> = VENDOR_SPECIFIC_APPLICATION_ID,
        /// The sender's software revision.
        firmware_revision: Option<u32> = FIRMWARE_REVISION,
    }
}

command! {
    /// Capabilities-Exchange-Answer (RFC 6733 5.3.2).
    pub struct CapabilitiesExchangeAnswer: answer CAPABILITIES_EXCHANGE, |this| Some(this.result_code), {
        /// The outcome.
        result_code: ResultCode = RESULT_CODE,
        /// The sender.
        origin_host: String = ORIGIN_HOST,
        /// The sender's realm.
        origin_realm: String = ORIGIN_REALM,
        /// The sender's addresses. At least one by the grammar; none is tolerated, as some senders
        /// leave it out.
        host_ip_addresses: Vec<Address> = HOST_IP_ADDRESS,
        /// Enterprise number of the sender's maker; absent in a refusal.
        vendor_id: Option<u32> = VENDOR_ID,
        /// Name of the sender's software; absent in a refusal.
        product_name: Option<String> = PRODUCT_NAME,
        /// Grows with each restart of the sender.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// The error in words.
        error_message: Option<String> = ERROR_MESSAGE,
        /// What was at fault.
        failed_avp: Option<FailedAvp> = FAILED_AVP,
        /// Vendors whose AVPs the sender knows.
        supported_vendor_ids: Vec<u32> = SUPPORTED_VENDOR_ID,
        /// Application ids of applications that authorise.
        auth_application_ids: Vec<u32> = AUTH_APPLICATION_ID,
        /// Security mechanisms, as RFC 3588 had them; 0 is none, 1 is TLS.
        inband_security_ids: Vec<u32> = INBAND_SECURITY_ID,
        /// Application ids of applications that account.
        acct_application_ids: Vec<u32> = ACCT_APPLICATION_ID,
        /// Applications of vendors.
        vendor_specific_application_ids: Vec<VendorSpecificApplicationId> = VENDOR_SPECIFIC_APPLICATION_ID,
        /// The sender's software revision.
        firmware_revision: Option<u32> = FIRMWARE_REVISION,
    }
}
