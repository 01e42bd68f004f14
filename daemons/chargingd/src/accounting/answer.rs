//! The Accounting-Answer: the same for a repetition as for the first.

use tollwire_diameter::accounting::{
    AccountingAnswer, AccountingRealtimeRequired, AccountingRequest,
};
use tollwire_diameter::{Identity, Message, ResultCode};

/// What elements are told with each answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Acct-Interim-Interval, seconds; 0 leaves it out (RFC 6733 9.8.2).
    pub interim_seconds: u32,
    /// Accounting-Realtime-Required, if anything is said.
    pub realtime: Option<AccountingRealtimeRequired>,
}

impl Told {
    /// The answer that says what became of `request`, which `message` was.
    pub fn answer(
        &self,
        identity: &Identity,
        message: &Message,
        request: &AccountingRequest,
        result_code: ResultCode,
    ) -> Message {
        let kept = result_code.is_success();
        AccountingAnswer {
            session_id: request.session_id.clone(),
            result_code: Some(result_code),
            origin_host: identity.origin_host.clone(),
            origin_realm: identity.origin_realm.clone(),
            accounting_record_type: request.accounting_record_type,
            accounting_record_number: request.accounting_record_number,
            // RFC 6733 9.7.2: whichever of the two the request had.
            acct_application_id: request.acct_application_id,
            vendor_specific_application_id: request.vendor_specific_application_id.clone(),
            user_name: request.user_name.clone(),
            accounting_sub_session_id: request.accounting_sub_session_id,
            acct_session_id: request.acct_session_id.clone(),
            acct_multi_session_id: request.acct_multi_session_id.clone(),
            acct_interim_interval: (kept && self.interim_seconds > 0)
                .then_some(self.interim_seconds),
            accounting_realtime_required: self.realtime.filter(|_| kept),
            ..AccountingAnswer::default()
        }
        .answer(message)
    }
}
