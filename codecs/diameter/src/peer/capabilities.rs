use crate::base::{
    CapabilitiesExchangeAnswer, CapabilitiesExchangeRequest, VendorSpecificApplicationId,
};
use crate::dictionary::{
    APPLICATION_BASE_ACCOUNTING, APPLICATION_CREDIT_CONTROL, APPLICATION_RELAY, APPLICATION_RX,
    command,
};
use crate::peer::local::LocalNode;

/// What a peer said of itself in its CER or CEA.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remote {
    /// Origin-Host.
    pub origin_host: String,
    /// Origin-Realm.
    pub origin_realm: String,
    /// Product-Name.
    pub product_name: String,
    /// Grew if the peer restarted: its sessions are then gone (RFC 6733 8.6).
    pub origin_state_id: Option<u32>,
    /// Applications, those of vendors included.
    pub application_ids: Vec<u32>,
}

impl Remote {
    pub(super) fn from_cer(cer: &CapabilitiesExchangeRequest) -> Self {
        Self {
            origin_host: cer.origin_host.clone(),
            origin_realm: cer.origin_realm.clone(),
            product_name: cer.product_name.clone(),
            origin_state_id: cer.origin_state_id,
            application_ids: applications(
                &cer.auth_application_ids,
                &cer.acct_application_ids,
                &cer.vendor_specific_application_ids,
            ),
        }
    }

    pub(super) fn from_cea(cea: &CapabilitiesExchangeAnswer) -> Self {
        Self {
            origin_host: cea.origin_host.clone(),
            origin_realm: cea.origin_realm.clone(),
            product_name: cea.product_name.clone().unwrap_or_default(),
            origin_state_id: cea.origin_state_id,
            application_ids: applications(
                &cea.auth_application_ids,
                &cea.acct_application_ids,
                &cea.vendor_specific_application_ids,
            ),
        }
    }

    /// Whether the peer handles `application_id`; a relay handles all (RFC 6733 2.4).
    pub fn supports(&self, application_id: u32) -> bool {
        self.application_ids
            .iter()
            .any(|id| *id == application_id || *id == APPLICATION_RELAY)
    }

    pub(super) fn has_common_application(&self, local: &LocalNode) -> bool {
        // RFC 6733 5.3: a relay on either side has every application in common.
        local
            .application_ids()
            .any(|id| self.supports(id) || id == APPLICATION_RELAY)
    }
}

fn applications(
    auth: &[u32],
    acct: &[u32],
    vendor_specific: &[VendorSpecificApplicationId],
) -> Vec<u32> {
    let mut ids: Vec<u32> = auth.iter().chain(acct).copied().collect();
    for application in vendor_specific {
        ids.extend(application.auth_application_id);
        ids.extend(application.acct_application_id);
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The commands of an application known here; `None` leaves the judgement to the application.
pub fn commands_of(application_id: u32) -> Option<&'static [u32]> {
    match application_id {
        APPLICATION_BASE_ACCOUNTING => Some(&[command::ACCOUNTING]),
        APPLICATION_CREDIT_CONTROL => Some(&[
            command::CREDIT_CONTROL,
            command::RE_AUTH,
            command::ABORT_SESSION,
        ]),
        APPLICATION_RX => Some(&[
            command::AA,
            command::RE_AUTH,
            command::ABORT_SESSION,
            command::SESSION_TERMINATION,
        ]),
        _ => None,
    }
}
