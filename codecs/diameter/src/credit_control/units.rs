use crate::credit_control::{CcMoney, TariffChangeUsage};
use crate::fields::grouped;
use crate::value::Time;

grouped! {
    /// Granted-Service-Unit (RFC 8506 8.17): the units that may be used before the next request.
    pub struct GrantedServiceUnit {
        /// When the tariff changes.
        tariff_time_change: Option<Time> = TARIFF_TIME_CHANGE,
        /// Seconds.
        cc_time: Option<u32> = CC_TIME,
        /// Money.
        cc_money: Option<CcMoney> = CC_MONEY,
        /// Octets of both directions.
        cc_total_octets: Option<u64> = CC_TOTAL_OCTETS,
        /// Octets from the user.
        cc_input_octets: Option<u64> = CC_INPUT_OCTETS,
        /// Octets to the user.
        cc_output_octets: Option<u64> = CC_OUTPUT_OCTETS,
        /// Units of the service's own.
        cc_service_specific_units: Option<u64> = CC_SERVICE_SPECIFIC_UNITS,
    }

    /// Requested-Service-Unit (RFC 8506 8.18): empty leaves the amount to the server.
    pub struct RequestedServiceUnit {
        /// Seconds.
        cc_time: Option<u32> = CC_TIME,
        /// Money.
        cc_money: Option<CcMoney> = CC_MONEY,
        /// Octets of both directions.
        cc_total_octets: Option<u64> = CC_TOTAL_OCTETS,
        /// Octets from the user.
        cc_input_octets: Option<u64> = CC_INPUT_OCTETS,
        /// Octets to the user.
        cc_output_octets: Option<u64> = CC_OUTPUT_OCTETS,
        /// Units of the service's own.
        cc_service_specific_units: Option<u64> = CC_SERVICE_SPECIFIC_UNITS,
    }

    /// Used-Service-Unit (RFC 8506 8.19): the units used since the last report. May exceed the grant.
    pub struct UsedServiceUnit {
        /// On which side of a tariff change they were used.
        tariff_change_usage: Option<TariffChangeUsage> = TARIFF_CHANGE_USAGE,
        /// Seconds.
        cc_time: Option<u32> = CC_TIME,
        /// Money.
        cc_money: Option<CcMoney> = CC_MONEY,
        /// Octets of both directions.
        cc_total_octets: Option<u64> = CC_TOTAL_OCTETS,
        /// Octets from the user.
        cc_input_octets: Option<u64> = CC_INPUT_OCTETS,
        /// Octets to the user.
        cc_output_octets: Option<u64> = CC_OUTPUT_OCTETS,
        /// Units of the service's own.
        cc_service_specific_units: Option<u64> = CC_SERVICE_SPECIFIC_UNITS,
    }
}
