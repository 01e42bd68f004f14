//! Any value is written and read back as itself.

use bytes::Bytes;
use proptest::prelude::*;
use tollwire_diameter::accounting::{
    AccountingAnswer, AccountingRealtimeRequired, AccountingRecordType, AccountingRequest,
    ServiceSpecificInfo,
};
use tollwire_diameter::base::VendorSpecificApplicationId;
use tollwire_diameter::credit_control::{
    CcMoney, CcRequestType, CreditControlRequest, MultipleServicesCreditControl,
    RequestedServiceUnit, SubscriptionId, SubscriptionIdType, TariffChangeUsage, UnitValue,
    UsedServiceUnit,
};
use tollwire_diameter::rx::{
    AaRequest, FlowStatus, FlowUsage, MediaComponentDescription, MediaSubComponent, SpecificAction,
};
use tollwire_diameter::value::AvpData;
use tollwire_diameter::{
    Address, Avp, AvpFlags, CommandFlags, FilterAction, FilterAddress, FilterDirection,
    FilterEndpoint, IpFilterRule, Ipv6Prefix, Message, ResultCode, Time, dictionary,
};

fn avp() -> impl Strategy<Value = Avp> {
    (
        any::<u32>(),
        proptest::option::of(1..=u32::MAX),
        any::<u8>(),
        proptest::collection::vec(any::<u8>(), 0..64),
    )
        .prop_map(|(code, vendor_id, flags, data)| Avp {
            code,
            vendor_id,
            flags: AvpFlags::from_octet(flags),
            data: data.into(),
        })
}

/// An AVP that every receiver keeps.
fn optional_avp() -> impl Strategy<Value = Avp> {
    avp().prop_map(|avp| Avp {
        code: avp.code | 0x8000_0000,
        flags: AvpFlags::NONE,
        ..avp
    })
}

prop_compose! {
    fn message()(
        // Not the E bit, which no request may have.
        flags in any::<u8>().prop_map(|flags| CommandFlags(flags & !CommandFlags::ERROR.0)),
        command_code in 0..1_u32 << 24,
        application_id in any::<u32>(),
        hop_by_hop_id in any::<u32>(),
        end_to_end_id in any::<u32>(),
        avps in proptest::collection::vec(avp(), 0..20),
    ) -> Message {
        Message { flags, command_code, application_id, hop_by_hop_id, end_to_end_id, avps }
    }
}

prop_compose! {
    fn money()(
        value_digits in any::<i64>(),
        exponent in any::<Option<i32>>(),
        currency_code in any::<Option<u32>>(),
    ) -> CcMoney {
        CcMoney {
            unit_value: UnitValue { value_digits, exponent, extra: Vec::new() },
            currency_code,
            extra: Vec::new(),
        }
    }
}

prop_compose! {
    fn used()(
        usage in proptest::option::of(proptest::sample::select(TariffChangeUsage::ALL)),
        cc_time in any::<Option<u32>>(),
        cc_money in proptest::option::of(money()),
        cc_total_octets in any::<Option<u64>>(),
        cc_input_octets in any::<Option<u64>>(),
        cc_output_octets in any::<Option<u64>>(),
        cc_service_specific_units in any::<Option<u64>>(),
        extra in proptest::collection::vec(optional_avp(), 0..3),
    ) -> UsedServiceUnit {
        UsedServiceUnit {
            tariff_change_usage: usage,
            cc_time, cc_money, cc_total_octets, cc_input_octets, cc_output_octets,
            cc_service_specific_units, extra,
        }
    }
}

prop_compose! {
    fn services()(
        rating_group in any::<Option<u32>>(),
        service_identifiers in proptest::collection::vec(any::<u32>(), 0..3),
        used_service_units in proptest::collection::vec(used(), 0..3),
        cc_time in any::<Option<u32>>(),
        validity_time in any::<Option<u32>>(),
        extra in proptest::collection::vec(optional_avp(), 0..3),
    ) -> MultipleServicesCreditControl {
        MultipleServicesCreditControl {
            rating_group, service_identifiers, used_service_units, validity_time, extra,
            requested_service_unit: Some(RequestedServiceUnit { cc_time, ..Default::default() }),
            ..Default::default()
        }
    }
}

prop_compose! {
    fn ccr()(
        session_id in ".{0,40}",
        service_context_id in ".{0,40}",
        kind in proptest::sample::select(CcRequestType::ALL),
        cc_request_number in any::<u32>(),
        seconds in any::<Option<u32>>(),
        subscription in ".{0,40}",
        subscription_type in proptest::sample::select(SubscriptionIdType::ALL),
        services in proptest::collection::vec(services(), 0..3),
        extra in proptest::collection::vec(optional_avp(), 0..3),
    ) -> CreditControlRequest {
        CreditControlRequest {
            session_id, service_context_id, cc_request_number,
            cc_request_type: kind,
            event_timestamp: seconds.map(Time),
            subscription_ids: vec![SubscriptionId::new(subscription_type, subscription)],
            multiple_services_credit_controls: services,
            extra,
            ..Default::default()
        }
    }
}

prop_compose! {
    fn acr()(
        session_id in ".{0,40}",
        record_type in proptest::sample::select(AccountingRecordType::ALL),
        accounting_record_number in any::<u32>(),
        application in any::<u32>(),
        of_a_vendor in any::<bool>(),
        accounting_sub_session_id in any::<Option<u64>>(),
        acct_session_id in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        acct_multi_session_id in proptest::option::of(".{0,40}"),
        acct_interim_interval in any::<Option<u32>>(),
        realtime in proptest::option::of(proptest::sample::select(AccountingRealtimeRequired::ALL)),
        seconds in any::<Option<u32>>(),
        infos in proptest::collection::vec((proptest::option::of(".{0,40}"), any::<Option<u32>>()), 0..3),
        extra in proptest::collection::vec(optional_avp(), 0..3),
    ) -> AccountingRequest {
        AccountingRequest {
            session_id, accounting_record_number, accounting_sub_session_id,
            acct_multi_session_id, acct_interim_interval, extra,
            accounting_record_type: record_type,
            acct_application_id: (!of_a_vendor).then_some(application),
            vendor_specific_application_id: of_a_vendor.then(|| VendorSpecificApplicationId {
                vendor_ids: vec![10_415],
                acct_application_id: Some(application),
                ..Default::default()
            }),
            acct_session_id: acct_session_id.map(Bytes::from),
            accounting_realtime_required: realtime,
            event_timestamp: seconds.map(Time),
            service_specific_infos: infos.into_iter().map(|(data, kind)| ServiceSpecificInfo {
                service_specific_data: data,
                service_specific_type: kind,
                extra: Vec::new(),
            }).collect(),
            ..Default::default()
        }
    }
}

prop_compose! {
    fn endpoint()(
        inverted in any::<bool>(),
        address in prop_oneof![
            Just(FilterAddress::Any),
            Just(FilterAddress::Assigned),
            (any::<std::net::Ipv4Addr>(), 0..=32_u8).prop_map(|(address, length)| {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                let address = std::net::Ipv4Addr::from_bits(address.to_bits() & mask);
                FilterAddress::Prefix { address: address.into(), length }
            }),
            (any::<std::net::Ipv6Addr>(), 0..=128_u8).prop_map(|(address, length)| {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                let address = std::net::Ipv6Addr::from_bits(address.to_bits() & mask);
                FilterAddress::Prefix { address: address.into(), length }
            }),
        ],
        ports in proptest::collection::vec((any::<u16>(), any::<u16>()), 0..4),
    ) -> FilterEndpoint {
        let ports = ports.into_iter().map(|(a, b)| a.min(b)..=a.max(b)).collect();
        FilterEndpoint { inverted, address, ports }
    }
}

prop_compose! {
    fn rule()(
        action in proptest::sample::select(&[FilterAction::Permit, FilterAction::Deny][..]),
        direction in proptest::sample::select(&[FilterDirection::In, FilterDirection::Out][..]),
        protocol in any::<Option<u8>>(),
        source in endpoint(),
        destination in endpoint(),
        options in proptest::sample::select(&["", "frag", "established setup"][..]),
    ) -> IpFilterRule {
        let options = options.to_owned();
        IpFilterRule { action, direction, protocol, source, destination, options }
    }
}

prop_compose! {
    fn flow()(
        flow_number in any::<u32>(),
        flow_descriptions in proptest::collection::vec(rule(), 0..3),
        flow_status in proptest::option::of(proptest::sample::select(FlowStatus::ALL)),
        flow_usage in proptest::option::of(proptest::sample::select(FlowUsage::ALL)),
        used_service_unit in proptest::option::of(used()),
    ) -> MediaSubComponent {
        MediaSubComponent {
            flow_number, flow_descriptions, flow_status, flow_usage, used_service_unit,
            ..Default::default()
        }
    }
}

prop_compose! {
    fn aar()(
        session_id in ".{0,40}",
        number in any::<u32>(),
        flows in proptest::collection::vec(flow(), 0..4),
        actions in proptest::collection::vec(any::<i32>().prop_map(SpecificAction::from_number), 0..4),
        framed_ip_address in any::<Option<std::net::Ipv4Addr>>(),
        prefix in proptest::option::of((any::<u128>(), 0..=128_u8)),
        session_timeout in any::<Option<u32>>(),
    ) -> AaRequest {
        AaRequest {
            session_id, framed_ip_address, session_timeout,
            auth_application_id: dictionary::APPLICATION_RX,
            media_component_descriptions: vec![MediaComponentDescription {
                media_component_number: number,
                media_sub_components: flows,
                ..Default::default()
            }],
            specific_actions: actions,
            framed_ipv6_prefix: prefix.map(|(bits, length)| Ipv6Prefix {
                address: std::net::Ipv6Addr::from_bits(
                    bits & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0),
                ),
                length,
            }),
            ..Default::default()
        }
    }
}

fn survives<T: AvpData + PartialEq + std::fmt::Debug>(value: &T) {
    let avp = Avp::new(&dictionary::CLASS, value);
    assert_eq!(avp.value::<T>().as_ref(), Ok(value));
}

proptest! {
    #[test]
    fn messages(message in message()) {
        let octets = message.encode();
        prop_assert_eq!(octets.len(), message.encoded_len());
        prop_assert_eq!(Message::decode(octets), Ok(message));
    }

    #[test]
    fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(message) = Message::decode(Bytes::from(octets)) {
            prop_assert_eq!(Message::decode(message.encode()), Ok(message));
        }
    }

    #[test]
    fn credit_control_requests(request in ccr()) {
        let message = Message::decode(request.encode(1, 2).encode()).unwrap();
        prop_assert_eq!(CreditControlRequest::decode(&message), Ok(request));
    }

    #[test]
    fn accounting_requests(request in acr()) {
        let message = Message::decode(request.encode(1, 2).encode()).unwrap();
        prop_assert_eq!(message.application_id, request.application_id().unwrap());
        prop_assert_eq!(AccountingRequest::decode(&message), Ok(request));
    }

    #[test]
    fn accounting_answers(request in acr(), code in any::<u32>()) {
        let answer = AccountingAnswer {
            session_id: request.session_id.clone(),
            result_code: Some(ResultCode(code)),
            accounting_record_type: request.accounting_record_type,
            accounting_record_number: request.accounting_record_number,
            acct_session_id: request.acct_session_id.clone(),
            acct_interim_interval: request.acct_interim_interval,
            accounting_realtime_required: request.accounting_realtime_required,
            ..AccountingAnswer::default()
        };
        let message = answer.answer(&request.encode(1, 2));
        let message = Message::decode(message.encode()).unwrap();
        prop_assert_eq!(AccountingAnswer::decode(&message), Ok(answer));
    }

    #[test]
    fn aa_requests(request in aar()) {
        let message = Message::decode(request.encode(1, 2).encode()).unwrap();
        prop_assert_eq!(AaRequest::decode(&message), Ok(request));
    }

    #[test]
    fn filter_rules(rule in rule()) {
        prop_assert_eq!(rule.to_string().parse(), Ok(rule.clone()));
        survives(&rule);
    }

    #[test]
    fn any_text_is_a_filter_rule_or_refused(text in "(permit|deny) (in|out) (ip|17) from .{0,20} to .{0,20}") {
        if let Ok(rule) = text.parse::<IpFilterRule>() {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    #[test]
    fn basic_values(
        number in any::<i64>(),
        text in ".*",
        address in any::<std::net::IpAddr>(),
        family in 3..=u16::MAX,
        octets in proptest::collection::vec(any::<u8>(), 0..32),
    ) {
        survives(&number);
        survives(&text);
        survives(&Address::Ip(address));
        survives(&Address::Other { family, octets: octets.into() });
    }

    #[test]
    fn money_in_micro_units_survives(amount in any::<i64>()) {
        prop_assert_eq!(UnitValue::from_micro(amount).micro(), Some(amount));
    }

    #[test]
    fn times_survive_to_the_second(unix_ms in -60_000_000_000_i64..=4_200_000_000_000) {
        let expected = unix_ms.div_euclid(1000) * 1000;
        prop_assert_eq!(Time::from_unix_ms(unix_ms).unix_ms(), expected);
    }
}
