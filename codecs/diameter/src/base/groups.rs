use bytes::Bytes;
use tollwire_wire::Writer;

use crate::avp::{Avp, MAX_DEPTH};
use crate::error::{DataFault, DecodeError, Fault};
use crate::fields::{for_each_member, grouped};
use crate::result_code::ResultCode;
use crate::value::AvpData;

grouped! {
    /// Vendor-Specific-Application-Id (RFC 6733 6.11).
    pub struct VendorSpecificApplicationId {
        /// The vendor; several stood here in RFC 3588's grammar.
        vendor_ids: Vec<u32> = VENDOR_ID,
        /// The application, if it authorises.
        auth_application_id: Option<u32> = AUTH_APPLICATION_ID,
        /// The application, if it accounts.
        acct_application_id: Option<u32> = ACCT_APPLICATION_ID,
    }

    /// Experimental-Result (RFC 6733 7.6).
    pub struct ExperimentalResult {
        /// Whose code it is.
        vendor_id: u32 = VENDOR_ID,
        /// The code.
        experimental_result_code: ResultCode = EXPERIMENTAL_RESULT_CODE,
    }

    /// Proxy-Info (RFC 6733 6.7.2): returned unchanged in the answer.
    pub struct ProxyInfo {
        /// The proxy that added it.
        proxy_host: String = PROXY_HOST,
        /// Its own state.
        proxy_state: Bytes = PROXY_STATE,
    }
}

/// Failed-AVP (RFC 6733 7.5): what kept a request from being carried out.
///
/// The members are not judged: they are in error by definition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailedAvp {
    /// The AVPs at fault.
    pub avps: Vec<Avp>,
}

impl AvpData for FailedAvp {
    fn decode_data(data: &Bytes, depth: u8) -> Result<Self, DataFault> {
        if depth >= MAX_DEPTH {
            return Err(DecodeError::from(Fault::TooDeep).into());
        }
        let mut avps = Vec::new();
        for_each_member(data, depth, |avp| {
            avps.push(avp.clone());
            Ok(())
        })?;
        Ok(Self { avps })
    }

    fn encode_data(&self, out: &mut Writer) {
        for avp in &self.avps {
            avp.write(out);
        }
    }
}
