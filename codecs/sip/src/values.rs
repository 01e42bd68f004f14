//! Small typed values: CSeq, RAck, Session-Expires, Min-SE, and the numbers.

use crate::error::Problem;
use crate::method::Method;
use crate::params::Params;
use crate::text;

/// CSeq (RFC 3261 20.16).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// The sequence number, below 2**31.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads `1*DIGIT LWS Method`. RFC 3261 8.1.1.5: the number is less than 2**31.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (number, method) = split_words(text)?;
        if !text::is_token(method) {
            return Err(Problem::Malformed);
        }
        Ok(Self {
            number: sequence_number(number)?,
            method: Method::from_token(method),
        })
    }
}

/// RAck (RFC 3262 7.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RAck {
    /// The RSeq of the response acknowledged.
    pub response_number: u32,
    /// The CSeq of the response acknowledged.
    pub cseq: CSeq,
}

impl RAck {
    /// Reads `response-num LWS CSeq-num LWS Method`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (number, cseq) = split_words(text)?;
        Ok(Self {
            response_number: number_u32(number)?,
            cseq: CSeq::parse(cseq)?,
        })
    }
}

/// Who refreshes a session (RFC 4028 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answers it.
    Uas,
}

/// Session-Expires (RFC 4028 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionExpires {
    /// Seconds until the session expires.
    pub seconds: u32,
    /// The `refresher` parameter.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads `delta-seconds *(SEMI se-params)`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (seconds, params) = seconds_and_params(text)?;
        let refresher = match params.value("refresher") {
            None => None,
            Some(side) if side.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(side) if side.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return Err(Problem::Malformed),
        };
        Ok(Self { seconds, refresher })
    }
}

impl std::fmt::Display for SessionExpires {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.seconds)?;
        match self.refresher {
            Some(Refresher::Uac) => formatter.write_str(";refresher=uac"),
            Some(Refresher::Uas) => formatter.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// Min-SE (RFC 4028 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MinSe {
    /// Seconds.
    pub seconds: u32,
}

impl MinSe {
    /// Reads `delta-seconds *(SEMI generic-param)`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        seconds_and_params(text).map(|(seconds, _)| Self { seconds })
    }
}

/// `delta-seconds`, at most 2**32 - 1 (RFC 3261 20.19).
pub(crate) fn number_u32(text: &str) -> Result<u32, Problem> {
    let text = text::trim(text);
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::Malformed);
    }
    text.parse().map_err(|_| Problem::OutOfRange)
}

/// The seconds of Retry-After, whose comment and parameters are passed over (RFC 3261 20.33).
pub(crate) fn retry_after(text: &str) -> Result<u32, Problem> {
    let end = text.find([' ', '\t', ';', '(']).unwrap_or(text.len());
    number_u32(text.get(..end).unwrap_or_default())
}

fn seconds_and_params(text: &str) -> Result<(u32, Params<'_>), Problem> {
    let end = text.find(';').unwrap_or(text.len());
    let (seconds, params) = text.split_at_checked(end).ok_or(Problem::Malformed)?;
    Ok((number_u32(seconds)?, Params::parse(params)?))
}

fn sequence_number(text: &str) -> Result<u32, Problem> {
    number_u32(text).and_then(|number| {
        if number < 1 << 31 {
            Ok(number)
        } else {
            Err(Problem::OutOfRange)
        }
    })
}

fn split_words(text: &str) -> Result<(&str, &str), Problem> {
    let (first, rest) = text::split_blank(text::trim(text)).ok_or(Problem::Malformed)?;
    Ok((first, text::trim_start(rest)))
}
