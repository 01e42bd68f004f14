//! Answers on the wire.

use std::net::IpAddr;

use tollwire_diameter::base::FailedAvp;
use tollwire_diameter::credit_control::{
    CcMoney, CcUnitType, CheckBalanceResult, CostInformation, CreditControlAnswer,
    CreditControlFailureHandling, CreditControlRequest, FinalUnitAction, FinalUnitIndication,
    GrantedServiceUnit, GsuPoolReference, MultipleServicesCreditControl, RedirectAddressType,
    RedirectServer, UnitValue,
};
use tollwire_diameter::{DecodeError, Fault, Identity, Message, ResultCode, Time, dictionary};

use crate::class::WhenShort;
use crate::session::{Granted, Outcome, PoolReference, ServiceOutcome};

/// The CCA for `outcome`.
pub fn credit_control(
    identity: &Identity,
    message: &Message,
    request: &CreditControlRequest,
    outcome: &Outcome,
) -> Message {
    let result_code = ResultCode(outcome.result_code);
    if result_code.is_protocol_error() {
        return message.refuse(identity, result_code, None, None);
    }
    let mut answer = CreditControlAnswer {
        session_id: request.session_id.clone(),
        result_code: Some(result_code),
        experimental_result: None,
        origin_host: identity.origin_host.clone(),
        origin_realm: identity.origin_realm.clone(),
        auth_application_id: request.auth_application_id,
        cc_request_type: request.cc_request_type,
        cc_request_number: request.cc_request_number,
        user_name: None,
        cc_session_failover: None,
        cc_sub_session_id: request.cc_sub_session_id,
        acct_multi_session_id: None,
        origin_state_id: None,
        event_timestamp: None,
        granted_service_unit: None,
        multiple_services_credit_controls: Vec::new(),
        cost_information: outcome.cost.map(|(micro, currency_code)| CostInformation {
            unit_value: UnitValue::from_micro(micro),
            currency_code,
            cost_unit: None,
            extra: Vec::new(),
        }),
        final_unit_indication: None,
        qos_final_unit_indication: None,
        check_balance_result: outcome.enough_credit.map(|enough| match enough {
            true => CheckBalanceResult::EnoughCredit,
            false => CheckBalanceResult::NoCredit,
        }),
        credit_control_failure_handling: Some(if outcome.continue_without_us {
            CreditControlFailureHandling::Continue
        } else {
            CreditControlFailureHandling::Terminate
        }),
        direct_debiting_failure_handling: None,
        validity_time: None,
        redirect_hosts: Vec::new(),
        redirect_host_usage: None,
        redirect_max_cache_time: None,
        error_message: None,
        failed_avps: failed_avps(result_code),
        route_records: Vec::new(),
        extra: Vec::new(),
    };
    if outcome.multiple_services {
        answer.multiple_services_credit_controls =
            outcome.services.iter().map(service_of).collect();
    } else if let Some(service) = outcome.services.first() {
        let MultipleServicesCreditControl {
            granted_service_unit,
            validity_time,
            final_unit_indication,
            ..
        } = service_of(service);
        answer.granted_service_unit = granted_service_unit;
        answer.validity_time = validity_time;
        answer.final_unit_indication = final_unit_indication;
    }
    answer.answer(message)
}

fn service_of(service: &ServiceOutcome) -> MultipleServicesCreditControl {
    let mut unit = GrantedServiceUnit {
        tariff_time_change: service.tariff_change_unix_ms.map(Time::from_unix_ms),
        ..GrantedServiceUnit::default()
    };
    let mut time_quota_threshold = None;
    let mut volume_quota_threshold = None;
    match service.granted {
        Some(Granted::Seconds(seconds)) => {
            unit.cc_time = Some(seconds);
            time_quota_threshold = service.threshold;
        }
        Some(Granted::Octets(octets)) => {
            unit.cc_total_octets = Some(octets);
            volume_quota_threshold = service.threshold;
        }
        Some(Granted::Units(units)) => unit.cc_service_specific_units = Some(units),
        Some(Granted::Sum(sum)) => {
            unit.cc_money = Some(CcMoney {
                unit_value: UnitValue::from_micro(sum.amount_micro),
                currency_code: Some(sum.currency),
                ..CcMoney::default()
            });
            unit.cc_service_specific_units = Some(sum.units);
        }
        None => {}
    }
    MultipleServicesCreditControl {
        granted_service_unit: service.granted.map(|_| unit),
        g_s_u_pool_references: service
            .pool
            .zip(service.granted)
            .map(pool_of)
            .into_iter()
            .collect(),
        service_identifiers: service.service_identifiers.clone(),
        rating_group: service.rating_group,
        validity_time: service.validity_seconds,
        result_code: Some(ResultCode(service.result_code)),
        final_unit_indication: service.final_unit.as_ref().map(final_unit),
        time_quota_threshold,
        volume_quota_threshold,
        quota_holding_time: service.quota_holding_seconds,
        ..MultipleServicesCreditControl::default()
    }
}

/// RFC 8506 8.30: where the units beside it belong.
fn pool_of((pool, granted): (PoolReference, Granted)) -> GsuPoolReference {
    GsuPoolReference {
        g_s_u_pool_identifier: pool.id,
        cc_unit_type: match granted {
            Granted::Seconds(_) => CcUnitType::Time,
            Granted::Octets(_) => CcUnitType::TotalOctets,
            Granted::Units(_) => CcUnitType::ServiceSpecificUnits,
            Granted::Sum(_) => CcUnitType::Money,
        },
        unit_value: UnitValue {
            value_digits: pool.value_digits,
            // RFC 8506 8.8: without one it is 0.
            exponent: Some(pool.exponent).filter(|exponent| *exponent != 0),
            extra: Vec::new(),
        },
        extra: Vec::new(),
    }
}

/// RFC 8506 8.34: what happens when the units beside it are used, or at once if there are none.
fn final_unit(rule: &WhenShort) -> FinalUnitIndication {
    let mut indication = FinalUnitIndication {
        final_unit_action: FinalUnitAction::Terminate,
        restriction_filter_rules: Vec::new(),
        filter_ids: Vec::new(),
        redirect_server: None,
        extra: Vec::new(),
    };
    match rule {
        WhenShort::Redirect { address } => {
            indication.final_unit_action = FinalUnitAction::Redirect;
            indication.redirect_server = Some(RedirectServer {
                redirect_address_type: address_type(address),
                redirect_server_address: address.to_string(),
                extra: Vec::new(),
            });
        }
        WhenShort::Restrict {
            filters,
            filter_ids,
        } => {
            indication.final_unit_action = FinalUnitAction::RestrictAccess;
            // Checked when the rule was read.
            indication.restriction_filter_rules = filters
                .iter()
                .filter_map(|filter| filter.parse().ok())
                .collect();
            indication.filter_ids = filter_ids.iter().map(ToString::to_string).collect();
        }
        _ => {}
    }
    indication
}

/// Redirect-Address-Type (RFC 8506 8.38).
fn address_type(address: &str) -> RedirectAddressType {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => RedirectAddressType::Ipv4Address,
        Ok(IpAddr::V6(_)) => RedirectAddressType::Ipv6Address,
        Err(_) if address.starts_with("sip:") || address.starts_with("sips:") => {
            RedirectAddressType::SipUri
        }
        Err(_) => RedirectAddressType::Url,
    }
}

/// What is missing: an event without its Requested-Action is the only request that is refused so (RFC 6733 7.1.5).
fn failed_avps(result_code: ResultCode) -> Vec<FailedAvp> {
    match result_code {
        ResultCode::MISSING_AVP => {
            let missing = DecodeError::from(Fault::MissingAvp(&dictionary::REQUESTED_ACTION));
            let avps = missing.failed_avp().into_iter().collect();
            vec![FailedAvp { avps }]
        }
        _ => Vec::new(),
    }
}
