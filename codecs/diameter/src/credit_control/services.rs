use bytes::Bytes;

use crate::credit_control::{
    CcUnitType, FinalUnitIndication, GrantedServiceUnit, QosFinalUnitIndication,
    RequestedServiceUnit, TariffChangeUsage, UnitValue, UsedServiceUnit,
};
use crate::fields::grouped;
use crate::result_code::ResultCode;

grouped! {
    /// Multiple-Services-Credit-Control (RFC 8506 8.16): units of one rating group or service.
    pub struct MultipleServicesCreditControl {
        /// In an answer: what may be used.
        granted_service_unit: Option<GrantedServiceUnit> = GRANTED_SERVICE_UNIT,
        /// In a request: what is wanted. Without it no new quota is given.
        requested_service_unit: Option<RequestedServiceUnit> = REQUESTED_SERVICE_UNIT,
        /// In a request: what was used.
        used_service_units: Vec<UsedServiceUnit> = USED_SERVICE_UNIT,
        /// In an answer: on which side of a tariff change the grant counts.
        tariff_change_usage: Option<TariffChangeUsage> = TARIFF_CHANGE_USAGE,
        /// The services.
        service_identifiers: Vec<u32> = SERVICE_IDENTIFIER,
        /// The rating group.
        rating_group: Option<u32> = RATING_GROUP,
        /// Credit pools that the grant draws on.
        g_s_u_pool_references: Vec<GsuPoolReference> = G_S_U_POOL_REFERENCE,
        /// Seconds until the next request is due.
        validity_time: Option<u32> = VALIDITY_TIME,
        /// The outcome for these services.
        result_code: Option<ResultCode> = RESULT_CODE,
        /// What happens after the last units.
        final_unit_indication: Option<FinalUnitIndication> = FINAL_UNIT_INDICATION,
        /// The same with QoS filters.
        qos_final_unit_indication: Option<QosFinalUnitIndication> = QOS_FINAL_UNIT_INDICATION,
        /// Seconds left of the grant at which to ask for more (TS 32.299 7.2).
        time_quota_threshold: Option<u32> = TIME_QUOTA_THRESHOLD,
        /// Octets left of the grant at which to ask for more (TS 32.299 7.2).
        volume_quota_threshold: Option<u32> = VOLUME_QUOTA_THRESHOLD,
        /// Seconds without use after which the grant is returned (TS 32.299 7.2).
        quota_holding_time: Option<u32> = QUOTA_HOLDING_TIME,
    }

    /// G-S-U-Pool-Reference (RFC 8506 8.30).
    pub struct GsuPoolReference {
        /// The pool.
        g_s_u_pool_identifier: u32 = G_S_U_POOL_IDENTIFIER,
        /// The unit pooled.
        cc_unit_type: CcUnitType = CC_UNIT_TYPE,
        /// Multiplier from units to the pool's abstract units.
        unit_value: UnitValue = UNIT_VALUE,
    }

    /// Service-Parameter-Info (RFC 8506 8.43).
    pub struct ServiceParameterInfo {
        /// The parameter, as the Service-Context-Id's specification numbers it.
        service_parameter_type: u32 = SERVICE_PARAMETER_TYPE,
        /// Its value.
        service_parameter_value: Bytes = SERVICE_PARAMETER_VALUE,
    }
}
