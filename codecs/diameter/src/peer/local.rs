use std::net::IpAddr;

use crate::avp::Avp;
use crate::base::{
    CapabilitiesExchangeAnswer, CapabilitiesExchangeRequest, DeviceWatchdogAnswer,
    DeviceWatchdogRequest, DisconnectCause, DisconnectPeerAnswer, DisconnectPeerRequest, FailedAvp,
    VendorSpecificApplicationId,
};
use crate::dictionary::VENDOR_3GPP;
use crate::message::{Identity, Message};
use crate::result_code::ResultCode;
use crate::value::Address;

/// Application ids from here on belong to vendors (RFC 6733 11.3).
const FIRST_VENDOR_APPLICATION: u32 = 0x0100_0000;

/// What this node says of itself, to every peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalNode {
    /// Origin-Host and Origin-Realm.
    pub identity: Identity,
    /// Realms whose requests are for this node, besides its own.
    pub served_realms: Vec<String>,
    /// Host-IP-Address; loopback if empty, as the grammar wants one.
    pub host_ip_addresses: Vec<IpAddr>,
    /// Enterprise number of the maker; 0 for none.
    pub vendor_id: u32,
    /// Product-Name.
    pub product_name: String,
    /// Grows with each restart: seconds since 1970 serve.
    pub origin_state_id: Option<u32>,
    /// Applications that authorise.
    pub auth_application_ids: Vec<u32>,
    /// Applications that account: 3 is base accounting.
    pub acct_application_ids: Vec<u32>,
}

impl LocalNode {
    pub(super) fn cer(&self) -> CapabilitiesExchangeRequest {
        CapabilitiesExchangeRequest {
            origin_host: self.identity.origin_host.clone(),
            origin_realm: self.identity.origin_realm.clone(),
            host_ip_addresses: self.addresses(),
            vendor_id: self.vendor_id,
            product_name: self.product_name.clone(),
            origin_state_id: self.origin_state_id,
            supported_vendor_ids: self.vendors(),
            auth_application_ids: below_vendors(&self.auth_application_ids),
            acct_application_ids: below_vendors(&self.acct_application_ids),
            vendor_specific_application_ids: self.vendor_applications(),
            ..CapabilitiesExchangeRequest::default()
        }
    }

    pub(super) fn cea(
        &self,
        result_code: ResultCode,
        error_message: Option<String>,
        failed_avp: Option<Avp>,
    ) -> CapabilitiesExchangeAnswer {
        CapabilitiesExchangeAnswer {
            result_code,
            origin_host: self.identity.origin_host.clone(),
            origin_realm: self.identity.origin_realm.clone(),
            host_ip_addresses: self.addresses(),
            vendor_id: Some(self.vendor_id),
            product_name: Some(self.product_name.clone()),
            origin_state_id: self.origin_state_id,
            error_message,
            failed_avp: failed_avp.map(|avp| FailedAvp { avps: vec![avp] }),
            supported_vendor_ids: self.vendors(),
            auth_application_ids: below_vendors(&self.auth_application_ids),
            acct_application_ids: below_vendors(&self.acct_application_ids),
            vendor_specific_application_ids: self.vendor_applications(),
            ..CapabilitiesExchangeAnswer::default()
        }
    }

    /// The CEA that refuses the CER of an incoming connection.
    pub fn refuse_cer(&self, cer: &Message, result_code: ResultCode, text: &str) -> Message {
        self.cea(result_code, Some(text.to_owned()), None)
            .answer(cer)
    }

    pub(super) fn dwr(&self) -> DeviceWatchdogRequest {
        DeviceWatchdogRequest {
            origin_host: self.identity.origin_host.clone(),
            origin_realm: self.identity.origin_realm.clone(),
            origin_state_id: self.origin_state_id,
            extra: Vec::new(),
        }
    }

    pub(super) fn dwa(&self, dwr: &Message) -> Message {
        DeviceWatchdogAnswer {
            result_code: ResultCode::SUCCESS,
            origin_host: self.identity.origin_host.clone(),
            origin_realm: self.identity.origin_realm.clone(),
            origin_state_id: self.origin_state_id,
            ..DeviceWatchdogAnswer::default()
        }
        .answer(dwr)
    }

    pub(super) fn dpr(&self, disconnect_cause: DisconnectCause) -> DisconnectPeerRequest {
        DisconnectPeerRequest {
            origin_host: self.identity.origin_host.clone(),
            origin_realm: self.identity.origin_realm.clone(),
            disconnect_cause,
            extra: Vec::new(),
        }
    }

    pub(super) fn dpa(&self, dpr: &Message) -> Message {
        DisconnectPeerAnswer {
            result_code: ResultCode::SUCCESS,
            origin_host: self.identity.origin_host.clone(),
            origin_realm: self.identity.origin_realm.clone(),
            ..DisconnectPeerAnswer::default()
        }
        .answer(dpr)
    }

    /// Whether requests to `realm` are for this node.
    pub(super) fn serves(&self, realm: &str) -> bool {
        self.identity.origin_realm.eq_ignore_ascii_case(realm)
            || self
                .served_realms
                .iter()
                .any(|served| served.eq_ignore_ascii_case(realm))
    }

    fn addresses(&self) -> Vec<Address> {
        if self.host_ip_addresses.is_empty() {
            return vec![Address::Ip(std::net::Ipv4Addr::LOCALHOST.into())];
        }
        self.host_ip_addresses
            .iter()
            .map(|address| Address::Ip(*address))
            .collect()
    }

    /// Whether an application of either kind is `application_id`.
    pub(super) fn supports(&self, application_id: u32) -> bool {
        self.application_ids().any(|id| id == application_id)
    }

    /// Applications of both kinds.
    pub(super) fn application_ids(&self) -> impl Iterator<Item = u32> {
        (self.auth_application_ids.iter().copied()).chain(self.acct_application_ids.iter().copied())
    }

    fn vendor_applications(&self) -> Vec<VendorSpecificApplicationId> {
        let auth = vendors(&self.auth_application_ids).map(|id| VendorSpecificApplicationId {
            vendor_ids: vec![VENDOR_3GPP],
            auth_application_id: Some(id),
            ..VendorSpecificApplicationId::default()
        });
        let acct = vendors(&self.acct_application_ids).map(|id| VendorSpecificApplicationId {
            vendor_ids: vec![VENDOR_3GPP],
            acct_application_id: Some(id),
            ..VendorSpecificApplicationId::default()
        });
        auth.chain(acct).collect()
    }

    // The AVPs of TS 32.299 may stand in the messages of credit control too.
    fn vendors(&self) -> Vec<u32> {
        vec![VENDOR_3GPP]
    }
}

fn below_vendors(ids: &[u32]) -> Vec<u32> {
    ids.iter()
        .copied()
        .filter(|id| *id < FIRST_VENDOR_APPLICATION)
        .collect()
}

fn vendors(ids: &[u32]) -> impl Iterator<Item = u32> {
    ids.iter()
        .copied()
        .filter(|id| *id >= FIRST_VENDOR_APPLICATION)
}
