use bytes::Bytes;

use crate::credit_control::{SubscriptionIdType, UserEquipmentInfoType};
use crate::fields::grouped;

grouped! {
    /// Subscription-Id (RFC 8506 8.46): whose account.
    pub struct SubscriptionId {
        /// The kind of identifier.
        subscription_id_type: SubscriptionIdType = SUBSCRIPTION_ID_TYPE,
        /// The identifier.
        subscription_id_data: String = SUBSCRIPTION_ID_DATA,
    }

    /// Subscription-Id-Extension (RFC 8506 8.58).
    pub struct SubscriptionIdExtension {
        /// An E.164 number.
        subscription_id_e164: Option<String> = SUBSCRIPTION_ID_E164,
        /// An IMSI.
        subscription_id_imsi: Option<String> = SUBSCRIPTION_ID_IMSI,
        /// A SIP URI.
        subscription_id_sip_uri: Option<String> = SUBSCRIPTION_ID_SIP_URI,
        /// A Network Access Identifier.
        subscription_id_nai: Option<String> = SUBSCRIPTION_ID_NAI,
        /// An identifier of the server's own.
        subscription_id_private: Option<String> = SUBSCRIPTION_ID_PRIVATE,
    }

    /// User-Equipment-Info (RFC 8506 8.49).
    pub struct UserEquipmentInfo {
        /// The kind of identifier.
        user_equipment_info_type: UserEquipmentInfoType = USER_EQUIPMENT_INFO_TYPE,
        /// The identifier.
        user_equipment_info_value: Bytes = USER_EQUIPMENT_INFO_VALUE,
    }

    /// User-Equipment-Info-Extension (RFC 8506 8.52).
    pub struct UserEquipmentInfoExtension {
        /// IMEI and software version.
        user_equipment_info_imeisv: Option<Bytes> = USER_EQUIPMENT_INFO_IMEISV,
        /// MAC address.
        user_equipment_info_mac: Option<Bytes> = USER_EQUIPMENT_INFO_MAC,
        /// EUI-64.
        user_equipment_info_eui64: Option<Bytes> = USER_EQUIPMENT_INFO_EUI64,
        /// Modified EUI-64.
        user_equipment_info_modified_eui64: Option<Bytes> = USER_EQUIPMENT_INFO_MODIFIED_EUI64,
        /// IMEI.
        user_equipment_info_imei: Option<Bytes> = USER_EQUIPMENT_INFO_IMEI,
    }
}

impl SubscriptionId {
    /// An identifier of one kind.
    pub fn new(kind: SubscriptionIdType, data: impl Into<String>) -> Self {
        Self {
            subscription_id_type: kind,
            subscription_id_data: data.into(),
            extra: Vec::new(),
        }
    }
}
