use crate::avp::Avp;
use crate::base::{ExperimentalResult, FailedAvp};
use crate::error::DecodeError;
use crate::message::Message;
use crate::result_code::ResultCode;
use crate::value::AvpData;

/// The answer-message of RFC 6733 7.2: what an answer with the E bit holds, whatever its command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorAnswer {
    /// The session, if the request had one.
    pub session_id: Option<String>,
    /// The node that answers.
    pub origin_host: Option<String>,
    /// The error.
    pub result_code: ResultCode,
    /// The vendor's error, if it is one.
    pub experimental_result: Option<ExperimentalResult>,
    /// The error in words.
    pub error_message: Option<String>,
    /// The node that found the error, if it is not the one that answers.
    pub error_reporting_host: Option<String>,
    /// What was at fault.
    pub failed_avp: Option<FailedAvp>,
    /// The whole answer.
    pub avps: Vec<Avp>,
}

impl ErrorAnswer {
    /// Reads any answer for its error; AVPs that cannot be read are taken as absent, since an
    /// error about an error helps nobody.
    ///
    /// # Errors
    /// 5005 if there is neither Result-Code nor Experimental-Result.
    pub fn decode(message: &Message) -> Result<Self, DecodeError> {
        use crate::dictionary as d;
        let result_code = message
            .result_code()
            .ok_or(crate::error::Fault::MissingAvp(&d::RESULT_CODE))?;
        Ok(Self {
            session_id: read(message, &d::SESSION_ID),
            origin_host: read(message, &d::ORIGIN_HOST),
            result_code,
            experimental_result: read(message, &d::EXPERIMENTAL_RESULT),
            error_message: read(message, &d::ERROR_MESSAGE),
            error_reporting_host: read(message, &d::ERROR_REPORTING_HOST),
            failed_avp: read(message, &d::FAILED_AVP),
            avps: message.avps.clone(),
        })
    }
}

fn read<T: AvpData>(message: &Message, definition: &crate::dictionary::Definition) -> Option<T> {
    message.find(definition)?.value().ok()
}
