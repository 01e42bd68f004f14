//! Messages that other implementations sent, byte for byte, and what is made of them.

use bytes::Bytes;
use tollwire_diameter::base::CapabilitiesExchangeRequest;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlRequest, RoleOfNode, SubscriptionIdType,
};
use tollwire_diameter::{Avp, Message, ResultCode, dictionary};

/// The octets of a file of hexadecimal digits.
fn captured(hexadecimal: &str) -> Message {
    let digits: Vec<u32> = hexadecimal
        .chars()
        .filter_map(|it| it.to_digit(16))
        .collect();
    let octets: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect();
    Message::decode(Bytes::from(octets)).unwrap()
}

#[test]
fn kamailios_cer() {
    let message = captured(include_str!(
        "captured/kamailio-5.6.3-capabilities-exchange.hex"
    ));
    let cer = CapabilitiesExchangeRequest::decode(&message).unwrap();
    assert_eq!(cer.origin_host, "kam.example");
    let vendors_credit_control = cer
        .vendor_specific_application_ids
        .iter()
        .any(|it| it.vendor_ids == [10415] && it.auth_application_id == Some(4));
    assert!(vendors_credit_control || cer.auth_application_ids.contains(&4));
}

/// It says Origin-Host and Origin-Realm twice, and its application only inside
/// Vendor-Specific-Application-Id.
#[test]
fn kamailios_initial_ccr() {
    let message = captured(include_str!(
        "captured/kamailio-5.6.3-credit-control-initial.hex"
    ));
    let hosts = message
        .avps
        .iter()
        .filter(|avp| avp.is(&dictionary::ORIGIN_HOST));
    assert_eq!(hosts.count(), 2);
    assert!(message.find(&dictionary::AUTH_APPLICATION_ID).is_none());
    let ccr = CreditControlRequest::decode(&message).unwrap();
    assert_eq!(ccr.auth_application_id, 4);
    assert_eq!(ccr.cc_request_type, CcRequestType::InitialRequest);
    assert_eq!(ccr.service_context_id, "ext.01.001.8.32260@3gpp.org");
    assert_eq!(ccr.subscription_ids.len(), 1);
    let subscription = &ccr.subscription_ids[0];
    assert_eq!(
        subscription.subscription_id_type,
        SubscriptionIdType::EndUserSipUri
    );
    assert_eq!(
        subscription.subscription_id_data,
        "sip:sipp@127.0.0.1:15080"
    );
    let services = &ccr.multiple_services_credit_controls[0];
    assert_eq!(services.rating_group, Some(100));
    let requested = services.requested_service_unit.as_ref().unwrap();
    assert_eq!(requested.cc_time, Some(10));
    let information = ccr.service_information.as_ref().unwrap();
    assert_eq!(&information.subscription_ids, &ccr.subscription_ids);
    let ims = information.ims_information.as_ref().unwrap();
    assert_eq!(ims.role_of_node, Some(RoleOfNode::OriginatingRole));
    assert_eq!(
        ims.called_party_address.as_deref(),
        Some("sip:123@127.0.0.1")
    );
    assert!(
        ims.time_stamps
            .as_ref()
            .unwrap()
            .request_unix_ms()
            .is_some()
    );
}

#[test]
fn kamailios_terminating_ccr() {
    let message = captured(include_str!(
        "captured/kamailio-5.6.3-credit-control-termination.hex"
    ));
    let ccr = CreditControlRequest::decode(&message).unwrap();
    assert_eq!(ccr.cc_request_type, CcRequestType::TerminationRequest);
    assert_eq!(ccr.cc_request_number, 1);
    assert!(ccr.termination_cause.is_some());
}

/// Saying the same twice is forgiven; saying something else is not.
#[test]
fn an_origin_host_that_contradicts_the_first_is_refused() {
    let mut message = captured(include_str!(
        "captured/kamailio-5.6.3-credit-control-initial.hex"
    ));
    message.avps.push(Avp::new(
        &dictionary::ORIGIN_HOST,
        &"other.example".to_owned(),
    ));
    let error = CreditControlRequest::decode(&message).unwrap_err();
    assert_eq!(error.result_code(), ResultCode::AVP_OCCURS_TOO_MANY_TIMES);
}
