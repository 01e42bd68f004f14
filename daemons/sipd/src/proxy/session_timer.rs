//! Session timers as a proxy asks for and keeps them (RFC 4028 8).

use crate::calls::Settings;
use tollwire_sip::{HeaderName, Message, Method, Refresher, SessionExpires};

/// The option tag of RFC 4028.
const TIMER: &str = "timer";

/// The interval asked for is below the smallest accepted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooSmall {
    /// Min-SE of the 422.
    pub(crate) min_se: u32,
}

/// RFC 4028 8.1: asks for a timer where the caller did not. An interval below
/// the smallest is refused to a caller who knows the extension, and raised for
/// one who does not.
pub(crate) fn ask(request: &mut Message, settings: &Settings) -> Result<(), TooSmall> {
    let Some(preferred) = settings.session_expires else {
        return Ok(());
    };
    match request.session_expires() {
        Ok(Some(asked)) if asked.seconds < settings.min_se => {
            if request.lists(HeaderName::Supported, TIMER) {
                return Err(TooSmall {
                    min_se: settings.min_se,
                });
            }
            let raised = SessionExpires {
                seconds: settings.min_se,
                ..asked
            };
            request.set(HeaderName::SessionExpires, &raised.to_string());
            request.set(HeaderName::MinSe, &settings.min_se.to_string());
        }
        Ok(None) => {
            // 8.1: never below the Min-SE that stands in the request.
            let least = request.min_se().ok().flatten();
            let asked = least.map_or(preferred, |least| preferred.max(least.seconds));
            request.append(HeaderName::SessionExpires, &asked.to_string());
        }
        Ok(Some(_)) | Err(_) => {}
    }
    Ok(())
}

/// RFC 4028 8.2: a callee that does not know the extension answers without
/// Session-Expires; a caller that does then refreshes, if it is told to.
/// `kept`: the interval in force, for a 2xx that is repeated.
pub(crate) fn keep(
    response: &mut Message,
    request: Option<&Message>,
    kept: Option<u32>,
    settings: &Settings,
) {
    let is_timed = matches!(response.method(), Method::Invite | Method::Update);
    if !is_timed || !matches!(response.session_expires(), Ok(None)) {
        return;
    }
    let Some(preferred) = settings.session_expires else {
        return;
    };
    let interval = match request {
        Some(request) if request.lists(HeaderName::Supported, TIMER) => {
            let asked = request.session_expires().ok().flatten();
            let least = request.min_se().ok().flatten();
            asked
                .map_or(preferred, |asked| asked.seconds)
                .max(least.map_or(0, |least| least.seconds))
        }
        Some(_) => return,
        None => match kept {
            Some(kept) => kept,
            None => return,
        },
    };
    let agreed = SessionExpires {
        seconds: interval,
        refresher: Some(Refresher::Uac),
    };
    response.append(HeaderName::SessionExpires, &agreed.to_string());
    response.append(HeaderName::Require, TIMER);
}
