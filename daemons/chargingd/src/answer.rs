//! Answers on the wire.

use tollwire_diameter::base::FailedAvp;
use tollwire_diameter::credit_control::{
    CcMoney, CheckBalanceResult, CostInformation, CreditControlAnswer,
    CreditControlFailureHandling, CreditControlRequest, FinalUnitAction, FinalUnitIndication,
    GrantedServiceUnit, MultipleServicesCreditControl, UnitValue,
};
use tollwire_diameter::{DecodeError, Fault, Identity, Message, ResultCode, dictionary};

use crate::session::Outcome;

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
    let time = outcome.granted_seconds.map(|seconds| GrantedServiceUnit {
        cc_time: Some(seconds),
        ..GrantedServiceUnit::default()
    });
    let sum = outcome.granted_sum.map(|sum| GrantedServiceUnit {
        cc_money: Some(CcMoney {
            unit_value: UnitValue::from_micro(sum.amount_micro),
            currency_code: Some(sum.currency),
            ..CcMoney::default()
        }),
        cc_service_specific_units: Some(sum.units),
        ..GrantedServiceUnit::default()
    });
    let granted = time.or(sum);
    let final_unit = outcome.final_unit.then(|| FinalUnitIndication {
        final_unit_action: FinalUnitAction::Terminate,
        restriction_filter_rules: Vec::new(),
        filter_ids: Vec::new(),
        redirect_server: None,
        extra: Vec::new(),
    });
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
        answer.multiple_services_credit_controls = vec![MultipleServicesCreditControl {
            granted_service_unit: granted,
            rating_group: outcome.rating_group,
            validity_time: outcome.validity_seconds,
            result_code: Some(result_code),
            final_unit_indication: final_unit,
            ..MultipleServicesCreditControl::default()
        }];
    } else {
        answer.granted_service_unit = granted;
        answer.validity_time = outcome.validity_seconds;
        answer.final_unit_indication = final_unit;
    }
    answer.answer(message)
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
