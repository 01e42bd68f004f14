//! Event charging with unit reservation (3GPP TS 32.299 5.2.3, RFC 8506 6) of one message: CCR-Initial holds its price,
//! CCR-Update holds it for longer, CCR-Termination takes it, or gives it back by using nothing.

use tollwire_diameter::base::TerminationCause;
use tollwire_diameter::credit_control::{
    CcMoney, CcRequestType, CreditControlAnswer, CreditControlRequest, RequestedServiceUnit,
    SubscriptionId, SubscriptionIdType, UnitValue, UsedServiceUnit,
};
use tollwire_diameter::{CommandFlags, Message, ResultCode, Time, dictionary};

use crate::effect::CreditRequest;
use crate::event::{CreditAction, CreditResult};

/// Service-Context-Id of short messages (3GPP TS 32.274).
const SERVICE_CONTEXT_ID: &str = "32274@3gpp.org";

/// Who asks, and whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// Origin-Host.
    pub origin_host: String,
    /// Origin-Realm.
    pub origin_realm: String,
    /// Destination-Realm.
    pub charging_realm: String,
}

/// The CCR.
pub fn request(parties: &Parties, order: &CreditRequest) -> Message {
    let ends = matches!(order.action, CreditAction::Debit | CreditAction::Release);
    let money = || CcMoney {
        unit_value: UnitValue::from_micro(order.amount_micro),
        currency_code: currency_code(order.currency),
        ..CcMoney::default()
    };
    let units = u64::from(order.message.segments);
    let request = CreditControlRequest {
        session_id: session_id(parties, order),
        origin_host: parties.origin_host.clone(),
        origin_realm: parties.origin_realm.clone(),
        destination_realm: parties.charging_realm.clone(),
        auth_application_id: dictionary::APPLICATION_CREDIT_CONTROL,
        service_context_id: SERVICE_CONTEXT_ID.into(),
        cc_request_type: match order.action {
            CreditAction::Reserve => CcRequestType::InitialRequest,
            CreditAction::Renew => CcRequestType::UpdateRequest,
            CreditAction::Debit | CreditAction::Release => CcRequestType::TerminationRequest,
        },
        cc_request_number: order.number,
        destination_host: None,
        user_name: None,
        cc_sub_session_id: None,
        acct_multi_session_id: None,
        origin_state_id: None,
        event_timestamp: Some(Time::from_unix_ms(order.message.accepted_unix_ms)),
        subscription_ids: vec![SubscriptionId::new(
            identity_type(&order.payer),
            &*order.payer,
        )],
        subscription_id_extensions: Vec::new(),
        service_identifier: None,
        termination_cause: ends.then_some(TerminationCause::Logout),
        requested_service_unit: (!ends).then(|| RequestedServiceUnit {
            cc_money: Some(money()),
            cc_service_specific_units: Some(units),
            ..RequestedServiceUnit::default()
        }),
        requested_action: None,
        used_service_units: (order.action == CreditAction::Debit)
            .then(|| UsedServiceUnit {
                cc_money: Some(money()),
                cc_service_specific_units: Some(units),
                ..UsedServiceUnit::default()
            })
            .into_iter()
            .collect(),
        multiple_services_indicator: None,
        multiple_services_credit_controls: Vec::new(),
        service_parameter_infos: Vec::new(),
        cc_correlation_id: None,
        user_equipment_info: None,
        user_equipment_info_extension: None,
        service_information: None,
        proxy_infos: Vec::new(),
        route_records: Vec::new(),
        extra: Vec::new(),
    };
    let mut message = request.encode(0, 0);
    if order.repeated {
        // RFC 6733 3: it may have been sent before.
        message.flags = message.flags.with(CommandFlags::RETRANSMITTED);
    }
    message
}

/// Session-Id (RFC 6733 8.8). The time of acceptance keeps it unique when the spool was begun anew and ids with it.
fn session_id(parties: &Parties, order: &CreditRequest) -> String {
    format!(
        "{};{};{};{}",
        parties.origin_host, order.message.accepted_unix_ms, order.message.id, order.reservation
    )
}

fn identity_type(payer: &str) -> SubscriptionIdType {
    let digits = payer.strip_prefix('+').unwrap_or(payer);
    if !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit()) {
        SubscriptionIdType::EndUserE164
    } else if payer.starts_with("sip:") || payer.starts_with("sips:") {
        SubscriptionIdType::EndUserSipUri
    } else {
        SubscriptionIdType::EndUserPrivate
    }
}

/// Currency-Code is the number of ISO 4217 (RFC 8506 8.11).
fn currency_code(currency: [u8; 3]) -> Option<u32> {
    let code = std::str::from_utf8(&currency).ok()?;
    iso_currency::Currency::from_code(code).map(|currency| u32::from(currency.numeric()))
}

/// What the CCA says.
pub fn answer(action: CreditAction, order_micro: i64, message: &Message) -> CreditResult {
    let code = message
        .result_code()
        .unwrap_or(ResultCode::UNABLE_TO_COMPLY);
    if code.is_success() {
        if matches!(action, CreditAction::Debit | CreditAction::Release) {
            return CreditResult::Granted;
        }
        let granted = CreditControlAnswer::decode(message)
            .ok()
            .and_then(|answer| answer.granted_service_unit)
            .and_then(|units| units.cc_money)
            .and_then(|money| money.unit_value.micro());
        // Part of a message's price buys nothing.
        return match granted {
            Some(micro) if micro >= order_micro => CreditResult::Granted,
            _ => CreditResult::Refused(ResultCode::CREDIT_LIMIT_REACHED.0),
        };
    }
    match code {
        ResultCode::UNKNOWN_SESSION_ID => CreditResult::UnknownSession,
        ResultCode::END_USER_SERVICE_DENIED | ResultCode::CREDIT_LIMIT_REACHED => {
            CreditResult::Refused(code.0)
        }
        // Permanent failures (RFC 6733 7.1.5); protocol errors and the transient ones may pass.
        ResultCode(5000..=5999) => CreditResult::Refused(code.0),
        _ => CreditResult::Unavailable,
    }
}
