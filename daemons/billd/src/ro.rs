//! One-time events of credit control (RFC 8506 6): a payment is a direct debit, and what the shop does not deliver is refunded.
//!
//! What it is for goes in [`InvoiceParameters`]; a refund has the Session-Id of its debit beside, as parameter 6.

use tollwire_diameter::credit_control::{
    CcMoney, CcRequestType, CreditControlRequest, INVOICE_CONTEXT, InvoiceParameters,
    MultipleServicesCreditControl, MultipleServicesIndicator, RequestedAction,
    RequestedServiceUnit, SubscriptionId, SubscriptionIdType, UnitValue,
};
use tollwire_diameter::{CommandFlags, Message, ResultCode, Time, dictionary};

use crate::effect::CreditOrder;
use crate::event::{CreditAction, CreditResult};
use crate::payment::{Order, Subscription};

/// Octets of a text in a parameter.
const LONGEST_PARAMETER: usize = 256;

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
pub fn request(parties: &Parties, credit: &CreditOrder) -> Message {
    let order = &*credit.order;
    let invoice = &order.invoice;
    let money = CcMoney {
        unit_value: UnitValue::from_micro(invoice.amount_micro),
        currency_code: Some(invoice.currency.numeric().into()),
        ..CcMoney::default()
    };
    let units = RequestedServiceUnit {
        cc_money: Some(money),
        ..RequestedServiceUnit::default()
    };
    let services = order.payer.rating_group.map(|rating_group| {
        vec![MultipleServicesCreditControl {
            rating_group: Some(rating_group),
            requested_service_unit: Some(units.clone()),
            ..MultipleServicesCreditControl::default()
        }]
    });
    let services = services.unwrap_or_default();
    let in_services = !services.is_empty();
    let debit = session_id(parties, order, credit.attempt);
    let refund = credit.action == CreditAction::Refund;
    let parameters = InvoiceParameters {
        service: cut(&invoice.title, LONGEST_PARAMETER).into(),
        provider: cut(&order.provider, LONGEST_PARAMETER).into(),
        fee_micro: order.fee_micro,
        tax_basis_points: invoice.tax_basis_points,
        reference: invoice.reference.clone(),
        debit: refund.then(|| debit.clone()),
    }
    .to_infos();
    let request = CreditControlRequest {
        session_id: match refund {
            true => format!("{debit};refund"),
            false => debit,
        },
        origin_host: parties.origin_host.clone(),
        origin_realm: parties.origin_realm.clone(),
        destination_realm: parties.charging_realm.clone(),
        auth_application_id: dictionary::APPLICATION_CREDIT_CONTROL,
        service_context_id: INVOICE_CONTEXT.into(),
        cc_request_type: CcRequestType::EventRequest,
        cc_request_number: 0,
        event_timestamp: Some(Time::from_unix_ms(invoice.iat.saturating_mul(1000))),
        subscription_ids: vec![subscription(&order.payer.subscription)],
        requested_service_unit: (!in_services).then_some(units),
        requested_action: Some(match credit.action {
            CreditAction::Debit => RequestedAction::DirectDebiting,
            CreditAction::Refund => RequestedAction::RefundAccount,
        }),
        multiple_services_indicator: in_services
            .then_some(MultipleServicesIndicator::MultipleServicesSupported),
        multiple_services_credit_controls: services,
        service_parameter_infos: parameters,
        ..CreditControlRequest::default()
    };
    let mut message = request.encode(0, 0);
    if credit.repeated {
        // RFC 6733 3: it may have been sent before.
        message.flags = message.flags.with(CommandFlags::RETRANSMITTED);
    }
    message
}

/// Session-Id (RFC 6733 8.8) of a debit: the same for a repetition, whenever that is.
pub fn session_id(parties: &Parties, order: &Order, attempt: u32) -> String {
    format!("{};billing;{};{attempt}", parties.origin_host, order.id)
}

fn subscription(subscription: &Subscription) -> SubscriptionId {
    match subscription {
        Subscription::Account(name) => {
            SubscriptionId::new(SubscriptionIdType::EndUserPrivate, &**name)
        }
        Subscription::Number(number) => {
            let digits = number.strip_prefix('+').unwrap_or(number);
            SubscriptionId::new(SubscriptionIdType::EndUserE164, digits)
        }
    }
}

/// So much of a text as has at most so many octets.
pub(crate) fn cut(text: &str, octets: usize) -> &str {
    let mut ends = (0..=octets.min(text.len())).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// What the CCA says. `repeated`: an earlier copy may have been carried out.
pub fn answer(repeated: bool, message: &Message) -> CreditResult {
    let code = message
        .result_code()
        .unwrap_or(ResultCode::UNABLE_TO_COMPLY);
    match code {
        code if code.is_success() => CreditResult::Granted,
        // It cannot now, and did nothing; what an earlier copy did it does not say.
        ResultCode::OUT_OF_SPACE | ResultCode(3000..=3999) => match repeated {
            true => CreditResult::Unknown,
            false => CreditResult::NotSent,
        },
        // It looks for what it knows of the session before it looks for the account: so there was no debit before.
        ResultCode::END_USER_SERVICE_DENIED
        | ResultCode::CREDIT_LIMIT_REACHED
        | ResultCode::USER_UNKNOWN => CreditResult::Refused(code.0),
        ResultCode(5000..=5999) if !repeated => CreditResult::Refused(code.0),
        _ => CreditResult::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tollwire_diameter::credit_control::SubscriptionIdType;

    use super::*;
    use crate::core::fixture;

    fn parties() -> Parties {
        Parties {
            origin_host: "billd.example".into(),
            origin_realm: "example".into(),
            charging_realm: "example".into(),
        }
    }

    fn order(change: impl FnOnce(&mut Order)) -> CreditOrder {
        let mut order = fixture::order(1, "ada");
        change(&mut order);
        CreditOrder {
            action: CreditAction::Debit,
            order: Arc::new(order),
            attempt: 2,
            repeated: false,
        }
    }

    fn read(order: &CreditOrder) -> (CreditControlRequest, Message) {
        let message = request(&parties(), order);
        (CreditControlRequest::decode(&message).unwrap(), message)
    }

    #[test]
    fn a_debit_and_its_refund_have_names_of_their_own_and_say_what_for() {
        let mut credit = order(|_| ());
        let (debit, message) = read(&credit);
        assert_eq!(
            debit.session_id,
            format!("billd.example;billing;{};2", credit.order.id)
        );
        assert_eq!(
            debit.requested_action,
            Some(RequestedAction::DirectDebiting)
        );
        assert!(!message.is_retransmitted());
        let told = InvoiceParameters::of(&debit).unwrap().unwrap();
        assert_eq!((told.fee_micro, told.tax_basis_points), (49_750, 1900));
        assert_eq!(told.provider, "key:K");
        let money = debit.requested_service_unit.unwrap().cc_money.unwrap();
        assert_eq!(money.unit_value.micro(), Some(fixture::PRICE));
        assert_eq!(money.currency_code, Some(978));
        credit.action = CreditAction::Refund;
        credit.repeated = true;
        let (refund, message) = read(&credit);
        assert_eq!(refund.session_id, format!("{};refund", debit.session_id));
        assert!(message.is_retransmitted());
        let of = refund.service_parameter_infos.last().unwrap();
        assert_eq!(of.service_parameter_value, debit.session_id);
        assert!(InvoiceParameters::of(&refund).unwrap().is_some());
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        let credit = order(|order| {
            let invoice = Arc::make_mut(&mut order.invoice);
            invoice.title = "ü".repeat(1000);
        });
        let told = InvoiceParameters::of(&read(&credit).0).unwrap().unwrap();
        assert_eq!(told.service, "ü".repeat(128));
        assert_eq!(cut("aü", 2), "a");
    }

    #[test]
    fn numbers_and_service_accounts_are_asked_for_as_such() {
        let number = order(|order| {
            order.payer.subscription = Subscription::Number("+49301".into());
            order.payer.rating_group = Some(7);
        });
        let (asked, _) = read(&number);
        let id = &asked.subscription_ids[0];
        assert_eq!(id.subscription_id_type, SubscriptionIdType::EndUserE164);
        assert_eq!(id.subscription_id_data, "49301");
        assert!(asked.requested_service_unit.is_none());
        let service = &asked.multiple_services_credit_controls[0];
        assert_eq!(service.rating_group, Some(7));
        assert!(
            service
                .requested_service_unit
                .as_ref()
                .unwrap()
                .cc_money
                .is_some()
        );
    }

    #[test]
    fn only_what_did_certainly_nothing_is_a_refusal() {
        let request = request(&parties(), &order(|_| ()));
        let said = |code, repeated| {
            let answer = request.refuse(
                &tollwire_diameter::Identity {
                    origin_host: "c".into(),
                    origin_realm: "r".into(),
                },
                ResultCode(code),
                None,
                None,
            );
            super::answer(repeated, &answer)
        };
        use CreditResult::{Granted, NotSent, Refused, Unknown};
        for (code, first, again) in [
            (2001, Granted, Granted),
            (4012, Refused(4012), Refused(4012)),
            (5030, Refused(5030), Refused(5030)),
            (4010, Refused(4010), Refused(4010)),
            (5031, Refused(5031), Unknown),
            (5012, Refused(5012), Unknown),
            (3002, NotSent, Unknown),
            (3004, NotSent, Unknown),
            (4002, NotSent, Unknown),
            (4001, Unknown, Unknown),
        ] {
            assert_eq!(
                (said(code, false), said(code, true)),
                (first, again),
                "{code}"
            );
        }
    }
}
