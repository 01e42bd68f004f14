//! One message of every command, with every AVP its grammar names.
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use tollwire_diameter::accounting::*;
use tollwire_diameter::avp::Avp;
use tollwire_diameter::base::*;
use tollwire_diameter::credit_control::*;
use tollwire_diameter::dictionary::{
    self, APPLICATION_BASE_ACCOUNTING, APPLICATION_CREDIT_CONTROL, APPLICATION_RX, VENDOR_3GPP,
};
use tollwire_diameter::rx::*;
use tollwire_diameter::{Address, Identity, Ipv6Prefix, Message, ResultCode, Time};

const HOP_BY_HOP: u32 = 0x1122_3344;
const END_TO_END: u32 = 0x5566_7788;

/// Every sample with its name.
pub fn all() -> Vec<(&'static str, Message)> {
    let mut samples = base_samples();
    samples.extend(credit_control_samples());
    samples.extend(accounting_samples());
    samples.extend(rx_samples());
    samples
}

fn proxy_infos() -> Vec<ProxyInfo> {
    vec![ProxyInfo {
        proxy_host: "proxy.example".into(),
        proxy_state: Bytes::from_static(b"state"),
        ..ProxyInfo::default()
    }]
}

fn failed_avp() -> FailedAvp {
    FailedAvp {
        avps: vec![Avp::new(&dictionary::CC_TIME, &0_u32)],
    }
}

fn vendor_specific() -> Vec<VendorSpecificApplicationId> {
    vec![VendorSpecificApplicationId {
        vendor_ids: vec![VENDOR_3GPP],
        auth_application_id: Some(APPLICATION_RX),
        ..VendorSpecificApplicationId::default()
    }]
}

pub fn cer() -> CapabilitiesExchangeRequest {
    CapabilitiesExchangeRequest {
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        host_ip_addresses: vec![
            Address::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Address::Ip("2001:db8::1".parse().unwrap()),
        ],
        vendor_id: 0,
        product_name: "Tollwire".into(),
        origin_state_id: Some(1_700_000_000),
        supported_vendor_ids: vec![VENDOR_3GPP],
        auth_application_ids: vec![4],
        inband_security_ids: vec![0],
        acct_application_ids: vec![3],
        vendor_specific_application_ids: vendor_specific(),
        firmware_revision: Some(1),
        extra: Vec::new(),
    }
}

fn base_samples() -> Vec<(&'static str, Message)> {
    let cer = cer().encode(HOP_BY_HOP, END_TO_END);
    let cea = CapabilitiesExchangeAnswer {
        result_code: ResultCode::SUCCESS,
        origin_host: "chargingd.example".into(),
        origin_realm: "example".into(),
        host_ip_addresses: vec![Address::default()],
        vendor_id: Some(0),
        product_name: Some("Tollwire".into()),
        origin_state_id: Some(1),
        error_message: Some("none".into()),
        failed_avp: Some(failed_avp()),
        supported_vendor_ids: vec![VENDOR_3GPP],
        auth_application_ids: vec![4],
        inband_security_ids: vec![0],
        acct_application_ids: vec![3],
        vendor_specific_application_ids: vendor_specific(),
        firmware_revision: Some(1),
        extra: Vec::new(),
    };
    let dwr = DeviceWatchdogRequest {
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        origin_state_id: Some(1),
        extra: Vec::new(),
    }
    .encode(HOP_BY_HOP, END_TO_END);
    let dwa = DeviceWatchdogAnswer {
        result_code: ResultCode::SUCCESS,
        origin_host: "chargingd.example".into(),
        origin_realm: "example".into(),
        error_message: Some("none".into()),
        failed_avp: Some(failed_avp()),
        origin_state_id: Some(1),
        extra: Vec::new(),
    };
    let dpr = DisconnectPeerRequest {
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        disconnect_cause: DisconnectCause::Rebooting,
        extra: Vec::new(),
    }
    .encode(HOP_BY_HOP, END_TO_END);
    let dpa = DisconnectPeerAnswer {
        result_code: ResultCode::SUCCESS,
        origin_host: "chargingd.example".into(),
        origin_realm: "example".into(),
        error_message: Some("none".into()),
        failed_avp: Some(failed_avp()),
        extra: Vec::new(),
    };
    let mut samples = vec![
        ("CEA", cea.answer(&cer)),
        ("CER", cer),
        ("DWA", dwa.answer(&dwr)),
        ("DWR", dwr),
        ("DPA", dpa.answer(&dpr)),
        ("DPR", dpr),
    ];
    samples.extend(session_samples());
    samples
}

fn session_samples() -> Vec<(&'static str, Message)> {
    let rar = ReAuthRequest {
        session_id: "chargingd.example;1;2".into(),
        origin_host: "chargingd.example".into(),
        origin_realm: "example".into(),
        destination_realm: "example".into(),
        destination_host: "sipd.example".into(),
        auth_application_id: APPLICATION_CREDIT_CONTROL,
        re_auth_request_type: ReAuthRequestType::AuthorizeOnly,
        user_name: Some("alice".into()),
        origin_state_id: Some(1),
        proxy_infos: proxy_infos(),
        route_records: vec!["relay.example".into()],
        extra: Vec::new(),
    }
    .encode(HOP_BY_HOP, END_TO_END);
    let raa = ReAuthAnswer {
        session_id: "chargingd.example;1;2".into(),
        result_code: ResultCode::LIMITED_SUCCESS,
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        user_name: Some("alice".into()),
        origin_state_id: Some(1),
        error_message: Some("none".into()),
        error_reporting_host: Some("relay.example".into()),
        failed_avp: Some(failed_avp()),
        redirect_hosts: vec!["aaa://other.example:3868".into()],
        redirect_host_usage: Some(RedirectHostUsage::AllSession),
        redirect_max_cache_time: Some(60),
        extra: Vec::new(),
    };
    let str = SessionTerminationRequest {
        session_id: "sipd.example;1;2".into(),
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        destination_realm: "example".into(),
        auth_application_id: APPLICATION_CREDIT_CONTROL,
        termination_cause: TerminationCause::Logout,
        user_name: Some("alice".into()),
        destination_host: Some("chargingd.example".into()),
        classes: vec![Bytes::from_static(b"class")],
        origin_state_id: Some(1),
        proxy_infos: proxy_infos(),
        route_records: vec!["relay.example".into()],
        extra: Vec::new(),
    }
    .encode(HOP_BY_HOP, END_TO_END);
    let sta = SessionTerminationAnswer {
        session_id: "sipd.example;1;2".into(),
        result_code: ResultCode::SUCCESS,
        origin_host: "chargingd.example".into(),
        origin_realm: "example".into(),
        user_name: Some("alice".into()),
        classes: vec![Bytes::from_static(b"class")],
        error_message: Some("none".into()),
        error_reporting_host: Some("relay.example".into()),
        failed_avp: Some(failed_avp()),
        origin_state_id: Some(1),
        redirect_hosts: vec!["aaa://other.example:3868".into()],
        redirect_host_usage: Some(RedirectHostUsage::DontCache),
        redirect_max_cache_time: Some(60),
        extra: Vec::new(),
    };
    let asr = AbortSessionRequest {
        session_id: "sipd.example;1;2".into(),
        origin_host: "chargingd.example".into(),
        origin_realm: "example".into(),
        destination_realm: "example".into(),
        destination_host: "sipd.example".into(),
        auth_application_id: APPLICATION_CREDIT_CONTROL,
        user_name: Some("alice".into()),
        origin_state_id: Some(1),
        proxy_infos: proxy_infos(),
        route_records: vec!["relay.example".into()],
        extra: Vec::new(),
    }
    .encode(HOP_BY_HOP, END_TO_END);
    let asa = AbortSessionAnswer {
        session_id: "sipd.example;1;2".into(),
        result_code: ResultCode::UNKNOWN_SESSION_ID,
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        user_name: Some("alice".into()),
        origin_state_id: Some(1),
        error_message: Some("none".into()),
        error_reporting_host: Some("relay.example".into()),
        failed_avp: Some(failed_avp()),
        redirect_hosts: vec!["aaa://other.example:3868".into()],
        redirect_host_usage: Some(RedirectHostUsage::AllUser),
        redirect_max_cache_time: Some(60),
        extra: Vec::new(),
    };
    vec![
        ("RAA", raa.answer(&rar)),
        ("RAR", rar),
        ("STA", sta.answer(&str)),
        ("STR", str),
        ("ASA", asa.answer(&asr)),
        ("ASR", asr),
    ]
}

fn money() -> CcMoney {
    CcMoney {
        unit_value: UnitValue::from_micro(1_250_000),
        currency_code: Some(978),
        ..CcMoney::default()
    }
}

fn used() -> UsedServiceUnit {
    UsedServiceUnit {
        tariff_change_usage: Some(TariffChangeUsage::UnitBeforeTariffChange),
        cc_time: Some(61),
        cc_money: Some(money()),
        cc_total_octets: Some(3_000),
        cc_input_octets: Some(1_000),
        cc_output_octets: Some(2_000),
        cc_service_specific_units: Some(50),
        extra: Vec::new(),
    }
}

fn requested() -> RequestedServiceUnit {
    RequestedServiceUnit {
        cc_time: Some(60),
        cc_money: Some(money()),
        cc_total_octets: Some(1 << 40),
        cc_input_octets: Some(1),
        cc_output_octets: Some(2),
        cc_service_specific_units: Some(3),
        extra: Vec::new(),
    }
}

fn granted() -> GrantedServiceUnit {
    GrantedServiceUnit {
        tariff_time_change: Some(Time::from_unix_ms(1_700_000_000_000)),
        cc_time: Some(60),
        cc_money: Some(money()),
        cc_total_octets: Some(1 << 40),
        cc_input_octets: Some(1),
        cc_output_octets: Some(2),
        cc_service_specific_units: Some(3),
        extra: Vec::new(),
    }
}

fn final_unit_indication() -> FinalUnitIndication {
    FinalUnitIndication {
        final_unit_action: FinalUnitAction::Redirect,
        restriction_filter_rules: vec!["permit in 17 from any to 192.0.2.9 53".parse().unwrap()],
        filter_ids: vec!["portal".into()],
        redirect_server: Some(RedirectServer {
            redirect_address_type: RedirectAddressType::Url,
            redirect_server_address: "http://portal.example/".into(),
            ..RedirectServer::default()
        }),
        extra: Vec::new(),
    }
}

fn services() -> MultipleServicesCreditControl {
    MultipleServicesCreditControl {
        granted_service_unit: Some(granted()),
        requested_service_unit: Some(requested()),
        used_service_units: vec![used(), used()],
        tariff_change_usage: Some(TariffChangeUsage::UnitAfterTariffChange),
        service_identifiers: vec![1, 2],
        rating_group: Some(100),
        g_s_u_pool_references: vec![GsuPoolReference {
            g_s_u_pool_identifier: 1,
            cc_unit_type: CcUnitType::Time,
            unit_value: UnitValue {
                value_digits: 1,
                exponent: None,
                extra: Vec::new(),
            },
            extra: Vec::new(),
        }],
        validity_time: Some(3_600),
        result_code: Some(ResultCode::SUCCESS),
        final_unit_indication: Some(final_unit_indication()),
        qos_final_unit_indication: None,
        time_quota_threshold: Some(5),
        volume_quota_threshold: Some(1_000),
        quota_holding_time: Some(30),
        extra: Vec::new(),
    }
}

pub fn service_information() -> ServiceInformation {
    ServiceInformation {
        subscription_ids: vec![SubscriptionId::new(
            SubscriptionIdType::EndUserSipUri,
            "sip:alice@example",
        )],
        ims_information: Some(ImsInformation {
            event_type: Some(EventType {
                sip_method: Some("INVITE".into()),
                event: Some("reg".into()),
                expires: Some(3_600),
                extra: Vec::new(),
            }),
            role_of_node: Some(RoleOfNode::OriginatingRole),
            node_functionality: Some(NodeFunctionality::ApplicationServer),
            user_session_id: Some("a84b4c76e66710@client.example".into()),
            outgoing_session_id: Some("b84b4c76e66710@client.example".into()),
            calling_party_addresses: vec!["sip:alice@example".into(), "tel:+15550100".into()],
            called_party_address: Some("sip:bob@example".into()),
            requested_party_address: Some("sip:bob@example".into()),
            time_stamps: Some(TimeStamps::from_unix_ms(
                1_700_000_000_123,
                Some(1_700_000_004_567),
            )),
            inter_operator_identifiers: vec![InterOperatorIdentifier {
                originating_ioi: Some("a.example".into()),
                terminating_ioi: Some("b.example".into()),
                extra: Vec::new(),
            }],
            ims_charging_identifier: Some("icid".into()),
            sdp_session_descriptions: vec!["v=0".into()],
            sdp_media_components: vec![SdpMediaComponent {
                sdp_media_name: Some("m=audio 40000 RTP/AVP 0".into()),
                sdp_media_descriptions: vec!["a=sendrecv".into()],
                extra: Vec::new(),
            }],
            served_party_ip_address: Some(Address::Ip("192.0.2.1".parse().unwrap())),
            cause_code: Some(CauseCode::NormalEndOfSession),
            reason_headers: vec!["Q.850;cause=16".into()],
            access_network_informations: vec![Bytes::from_static(b"IEEE-802.11")],
            // tshark 4.0 takes From-Address for an IP address; TS 32.299 has it as text.
            from_address: None,
            extra: Vec::new(),
        }),
        extra: Vec::new(),
    }
}

pub fn ccr() -> CreditControlRequest {
    CreditControlRequest {
        session_id: "sipd.example;1700000000;1".into(),
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        destination_realm: "example".into(),
        auth_application_id: APPLICATION_CREDIT_CONTROL,
        service_context_id: "32260@3gpp.org".into(),
        cc_request_type: CcRequestType::UpdateRequest,
        cc_request_number: 1,
        destination_host: Some("chargingd.example".into()),
        user_name: Some("alice".into()),
        cc_sub_session_id: Some(1),
        acct_multi_session_id: Some("multi".into()),
        origin_state_id: Some(1),
        event_timestamp: Some(Time::from_unix_ms(1_700_000_000_000)),
        subscription_ids: vec![
            SubscriptionId::new(SubscriptionIdType::EndUserSipUri, "sip:alice@example"),
            SubscriptionId::new(SubscriptionIdType::EndUserE164, "15550100"),
        ],
        subscription_id_extensions: vec![SubscriptionIdExtension {
            subscription_id_sip_uri: Some("sip:alice@example".into()),
            ..SubscriptionIdExtension::default()
        }],
        service_identifier: Some(1),
        termination_cause: Some(TerminationCause::Logout),
        requested_service_unit: Some(requested()),
        requested_action: Some(RequestedAction::DirectDebiting),
        used_service_units: vec![used()],
        multiple_services_indicator: Some(MultipleServicesIndicator::MultipleServicesSupported),
        multiple_services_credit_controls: vec![services()],
        service_parameter_infos: vec![ServiceParameterInfo {
            service_parameter_type: 1,
            service_parameter_value: Bytes::from_static(b"value"),
            extra: Vec::new(),
        }],
        cc_correlation_id: Some(Bytes::from_static(b"correlation")),
        user_equipment_info: Some(UserEquipmentInfo {
            user_equipment_info_type: UserEquipmentInfoType::Mac,
            user_equipment_info_value: Bytes::from_static(&[0, 1, 2, 3, 4, 5]),
            extra: Vec::new(),
        }),
        user_equipment_info_extension: Some(UserEquipmentInfoExtension {
            user_equipment_info_imei: Some(Bytes::from_static(b"123456789012345")),
            ..UserEquipmentInfoExtension::default()
        }),
        service_information: Some(service_information()),
        proxy_infos: proxy_infos(),
        route_records: vec!["relay.example".into()],
        extra: Vec::new(),
    }
}

fn credit_control_samples() -> Vec<(&'static str, Message)> {
    let ccr = ccr().encode(HOP_BY_HOP, END_TO_END);
    let cca = CreditControlAnswer {
        session_id: "sipd.example;1700000000;1".into(),
        result_code: Some(ResultCode::SUCCESS),
        experimental_result: None,
        origin_host: "chargingd.example".into(),
        origin_realm: "example".into(),
        auth_application_id: APPLICATION_CREDIT_CONTROL,
        cc_request_type: CcRequestType::UpdateRequest,
        cc_request_number: 1,
        user_name: Some("alice".into()),
        cc_session_failover: Some(CcSessionFailover::FailoverSupported),
        cc_sub_session_id: Some(1),
        acct_multi_session_id: Some("multi".into()),
        origin_state_id: Some(1),
        event_timestamp: Some(Time::from_unix_ms(1_700_000_000_000)),
        granted_service_unit: Some(granted()),
        multiple_services_credit_controls: vec![services()],
        cost_information: Some(CostInformation {
            unit_value: UnitValue::from_micro(500_000),
            currency_code: 978,
            cost_unit: Some("minute".into()),
            extra: Vec::new(),
        }),
        final_unit_indication: Some(final_unit_indication()),
        qos_final_unit_indication: Some(QosFinalUnitIndication {
            final_unit_action: FinalUnitAction::RestrictAccess,
            filter_rules: Vec::new(),
            filter_ids: vec!["portal".into()],
            redirect_server_extension: Some(RedirectServerExtension {
                redirect_address_ip_address: Some(Address::default()),
                redirect_address_url: Some("http://portal.example/".into()),
                redirect_address_sip_uri: Some("sip:portal@example".into()),
                extra: Vec::new(),
            }),
            extra: Vec::new(),
        }),
        check_balance_result: Some(CheckBalanceResult::EnoughCredit),
        credit_control_failure_handling: Some(CreditControlFailureHandling::Continue),
        direct_debiting_failure_handling: Some(DirectDebitingFailureHandling::TerminateOrBuffer),
        validity_time: Some(3_600),
        redirect_hosts: vec!["aaa://other.example:3868".into()],
        redirect_host_usage: Some(RedirectHostUsage::AllRealm),
        redirect_max_cache_time: Some(60),
        error_message: Some("none".into()),
        failed_avps: vec![failed_avp()],
        route_records: vec!["relay.example".into()],
        extra: Vec::new(),
    };
    let identity = Identity {
        origin_host: "chargingd.example".into(),
        origin_realm: "example".into(),
    };
    let refusal = ccr.refuse(
        &identity,
        ResultCode::TOO_BUSY,
        Some(Avp::new(&dictionary::CC_TIME, &0_u32)),
        Some("the disk is full"),
    );
    vec![
        ("CCA", cca.answer(&ccr)),
        ("CCA with the E bit", refusal),
        ("CCR", ccr),
    ]
}

pub fn acr() -> AccountingRequest {
    AccountingRequest {
        session_id: "sipd.example;1700000000;1".into(),
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        destination_realm: "example".into(),
        accounting_record_type: AccountingRecordType::InterimRecord,
        accounting_record_number: 1,
        acct_application_id: Some(APPLICATION_BASE_ACCOUNTING),
        vendor_specific_application_id: None,
        user_name: Some("alice".into()),
        destination_host: Some("chargingd.example".into()),
        accounting_sub_session_id: Some(1 << 40),
        acct_session_id: Some(Bytes::from_static(b"\x00\xffradius")),
        acct_multi_session_id: Some("sipd.example;1700000000;0".into()),
        acct_interim_interval: Some(300),
        accounting_realtime_required: Some(AccountingRealtimeRequired::GrantAndStore),
        origin_state_id: Some(1),
        event_timestamp: Some(Time::from_unix_ms(1_700_000_000_000)),
        service_context_id: Some("32260@3gpp.org".into()),
        service_information: Some(service_information()),
        service_specific_infos: vec![ServiceSpecificInfo {
            service_specific_data: Some("{\"sequence_number\":1}".into()),
            service_specific_type: Some(1),
            extra: Vec::new(),
        }],
        proxy_infos: proxy_infos(),
        route_records: vec!["relay.example".into()],
        extra: Vec::new(),
    }
}

pub fn aca() -> AccountingAnswer {
    AccountingAnswer {
        session_id: "sipd.example;1700000000;1".into(),
        result_code: Some(ResultCode::SUCCESS),
        experimental_result: None,
        origin_host: "chargingd.example".into(),
        origin_realm: "example".into(),
        accounting_record_type: AccountingRecordType::InterimRecord,
        accounting_record_number: 1,
        acct_application_id: Some(APPLICATION_BASE_ACCOUNTING),
        vendor_specific_application_id: None,
        user_name: Some("alice".into()),
        accounting_sub_session_id: Some(1 << 40),
        acct_session_id: Some(Bytes::from_static(b"\x00\xffradius")),
        acct_multi_session_id: Some("sipd.example;1700000000;0".into()),
        error_message: Some("none".into()),
        error_reporting_host: Some("relay.example".into()),
        failed_avp: Some(failed_avp()),
        acct_interim_interval: Some(300),
        accounting_realtime_required: Some(AccountingRealtimeRequired::DeliverAndGrant),
        origin_state_id: Some(1),
        event_timestamp: Some(Time::from_unix_ms(1_700_000_000_000)),
        extra: Vec::new(),
    }
}

fn accounting_samples() -> Vec<(&'static str, Message)> {
    let acr = acr().encode(HOP_BY_HOP, END_TO_END);
    let vendors = AccountingRequest {
        acct_application_id: None,
        vendor_specific_application_id: Some(VendorSpecificApplicationId {
            vendor_ids: vec![VENDOR_3GPP],
            acct_application_id: Some(APPLICATION_BASE_ACCOUNTING),
            ..VendorSpecificApplicationId::default()
        }),
        ..self::acr()
    }
    .encode(HOP_BY_HOP, END_TO_END);
    let identity = Identity {
        origin_host: "chargingd.example".into(),
        origin_realm: "example".into(),
    };
    let refusal = acr.refuse(
        &identity,
        ResultCode::OUT_OF_SPACE,
        None,
        Some("the disk is full"),
    );
    vec![
        ("ACA", aca().answer(&acr)),
        ("ACA that refuses", refusal),
        ("ACR of a vendor's application", vendors),
        ("ACR", acr),
    ]
}

fn media() -> Vec<MediaComponentDescription> {
    vec![MediaComponentDescription {
        media_component_number: 1,
        media_sub_components: vec![
            MediaSubComponent {
                flow_number: 1,
                flow_descriptions: vec![
                    "permit in 17 from 192.0.2.1 40000 to 192.0.2.9 30000"
                        .parse()
                        .unwrap(),
                    "permit out 17 from 192.0.2.9 30000 to 192.0.2.1 40000"
                        .parse()
                        .unwrap(),
                ],
                flow_status: Some(FlowStatus::Enabled),
                flow_usage: Some(FlowUsage::NoInformation),
                max_requested_bandwidth_ul: Some(80_000),
                max_requested_bandwidth_dl: Some(80_000),
                used_service_unit: Some(used()),
                extra: Vec::new(),
            },
            MediaSubComponent {
                flow_number: 2,
                flow_usage: Some(FlowUsage::Rtcp),
                ..MediaSubComponent::default()
            },
        ],
        af_application_identifier: Some(Bytes::from_static(b"sip-call")),
        media_type: Some(MediaType::Audio),
        max_requested_bandwidth_ul: Some(80_000),
        max_requested_bandwidth_dl: Some(80_000),
        flow_status: Some(FlowStatus::Enabled),
        rr_bandwidth: Some(1_000),
        rs_bandwidth: Some(1_000),
        codec_data: vec!["uplink\noffer\nm=audio 40000 RTP/AVP 0\n".into()],
        extra: Vec::new(),
    }]
}

fn sponsored() -> SponsoredConnectivityData {
    SponsoredConnectivityData {
        sponsor_identity: Some("sponsor".into()),
        application_service_provider_identity: Some("provider".into()),
        granted_service_unit: Some(granted()),
        used_service_unit: Some(used()),
        extra: Vec::new(),
    }
}

pub fn aar() -> AaRequest {
    AaRequest {
        session_id: "sipd.example;1700000000;2".into(),
        auth_application_id: APPLICATION_RX,
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        destination_realm: "example".into(),
        destination_host: Some("pinholed.example".into()),
        af_application_identifier: Some(Bytes::from_static(b"sip-call")),
        media_component_descriptions: media(),
        service_info_status: Some(ServiceInfoStatus::FinalServiceInformation),
        af_charging_identifier: Some(Bytes::from_static(b"a84b4c76e66710@client.example")),
        sip_forking_indication: Some(SipForkingIndication::SingleDialogue),
        specific_actions: vec![
            SpecificAction::IndicationOfLossOfBearer,
            SpecificAction::IndicationOfOutOfCredit,
        ],
        subscription_ids: vec![SubscriptionId::new(
            SubscriptionIdType::EndUserSipUri,
            "sip:alice@example",
        )],
        supported_features: vec![SupportedFeatures {
            vendor_id: VENDOR_3GPP,
            feature_list_id: 1,
            feature_list: 3,
            extra: Vec::new(),
        }],
        framed_ip_address: Some(Ipv4Addr::new(192, 0, 2, 1)),
        framed_ipv6_prefix: Some(Ipv6Prefix {
            address: "2001:db8::".parse().unwrap(),
            length: 64,
        }),
        called_station_id: Some("ims".into()),
        service_urn: Some(Bytes::from_static(b"sos")),
        sponsored_connectivity_data: Some(sponsored()),
        rx_request_type: Some(RxRequestType::InitialRequest),
        session_timeout: Some(60),
        event_timestamp: Some(Time::from_unix_ms(1_700_000_000_000)),
        origin_state_id: Some(1),
        proxy_infos: proxy_infos(),
        route_records: vec!["relay.example".into()],
        extra: Vec::new(),
    }
}

fn rx_samples() -> Vec<(&'static str, Message)> {
    let aar = aar().encode(HOP_BY_HOP, END_TO_END);
    let aaa = AaAnswer {
        session_id: "sipd.example;1700000000;2".into(),
        auth_application_id: APPLICATION_RX,
        origin_host: "pinholed.example".into(),
        origin_realm: "example".into(),
        experimental_result: Some(experimental_result(FILTER_RESTRICTIONS)),
        sponsored_connectivity_data: Some(sponsored()),
        media_component_descriptions: media(),
        session_timeout: Some(60),
        failed_avps: vec![failed_avp()],
        ..AaAnswer::default()
    };
    let rar = RxReAuthRequest {
        session_id: "sipd.example;1700000000;2".into(),
        auth_application_id: APPLICATION_RX,
        origin_host: "pinholed.example".into(),
        origin_realm: "example".into(),
        destination_realm: "example".into(),
        destination_host: "sipd.example".into(),
        specific_actions: vec![SpecificAction::IndicationOfLossOfBearer],
        flows: vec![Flows {
            media_component_number: 1,
            flow_numbers: vec![1, 2],
            final_unit_action: Some(FinalUnitAction::Terminate),
            extra: Vec::new(),
        }],
        abort_cause: Some(AbortCause::BearerReleased),
        sponsored_connectivity_data: Some(sponsored()),
        media_component_descriptions: media(),
        event_timestamp: Some(Time::from_unix_ms(1_700_000_000_000)),
        ..RxReAuthRequest::default()
    }
    .encode(HOP_BY_HOP, END_TO_END);
    let raa = RxReAuthAnswer {
        session_id: "sipd.example;1700000000;2".into(),
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        result_code: Some(ResultCode::SUCCESS),
        ..RxReAuthAnswer::default()
    };
    let str = RxSessionTerminationRequest {
        session_id: "sipd.example;1700000000;2".into(),
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        destination_realm: "example".into(),
        auth_application_id: APPLICATION_RX,
        termination_cause: TerminationCause::Logout,
        ..RxSessionTerminationRequest::default()
    }
    .encode(HOP_BY_HOP, END_TO_END);
    let sta = RxSessionTerminationAnswer {
        session_id: "sipd.example;1700000000;2".into(),
        origin_host: "pinholed.example".into(),
        origin_realm: "example".into(),
        result_code: Some(ResultCode::SUCCESS),
        sponsored_connectivity_data: Some(sponsored()),
        media_component_descriptions: media(),
        event_timestamp: Some(Time::from_unix_ms(1_700_000_000_000)),
        ..RxSessionTerminationAnswer::default()
    };
    let asr = RxAbortSessionRequest {
        session_id: "sipd.example;1700000000;2".into(),
        origin_host: "pinholed.example".into(),
        origin_realm: "example".into(),
        destination_realm: "example".into(),
        destination_host: "sipd.example".into(),
        auth_application_id: APPLICATION_RX,
        abort_cause: Some(AbortCause::InsufficientServerResources),
        ..RxAbortSessionRequest::default()
    }
    .encode(HOP_BY_HOP, END_TO_END);
    let asa = RxAbortSessionAnswer {
        session_id: "sipd.example;1700000000;2".into(),
        origin_host: "sipd.example".into(),
        origin_realm: "example".into(),
        result_code: Some(ResultCode::SUCCESS),
        ..RxAbortSessionAnswer::default()
    };
    vec![
        ("Rx AAA", aaa.answer(&aar)),
        ("Rx AAR", aar),
        ("Rx RAA", raa.answer(&rar)),
        ("Rx RAR", rar),
        ("Rx STA", sta.answer(&str)),
        ("Rx STR", str),
        ("Rx ASA", asa.answer(&asr)),
        ("Rx ASR", asr),
    ]
}
