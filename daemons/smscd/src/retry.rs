//! When a delivery that failed is tried again.

use crate::settings::{ErrorClass, RetrySettings, Schedule};
use crate::wire::status;

/// What comes after a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another try after this pause, milliseconds.
    Retry(i64),
    /// All tries of the class are used up.
    Exhausted,
    /// It is useless.
    Permanent,
}

/// The class of a `command_status` in an answer of the next hop.
pub fn class_of(settings: &RetrySettings, command_status: u32) -> ErrorClass {
    if let Some((_, class)) = settings
        .classes
        .iter()
        .find(|(configured, _)| *configured == command_status)
    {
        return *class;
    }
    match command_status {
        status::ESME_RTHROTTLED | status::ESME_RMSGQFUL => ErrorClass::Busy,
        // SMPP 3.4 table 5-2: errors of the system or "temporary"; the others name a fault of the message.
        status::ESME_RSYSERR
        | status::ESME_RX_T_APPN
        | status::ESME_RSUBMITFAIL
        | status::ESME_RINVBNDSTS
        | status::ESME_RDELIVERYFAILURE
        | status::ESME_RUNKNOWNERR => ErrorClass::Temporary,
        _ => ErrorClass::Permanent,
    }
}

/// What comes after try number `attempts` (from 1) failed with `class`.
pub fn next(settings: &RetrySettings, class: ErrorClass, attempts: u32) -> Next {
    let schedule = match class {
        ErrorClass::Absent => &settings.absent,
        ErrorClass::Busy => &settings.busy,
        ErrorClass::Temporary => &settings.temporary,
        ErrorClass::Charging => &settings.charging,
        ErrorClass::Permanent => return Next::Permanent,
    };
    if schedule.max_attempts > 0 && attempts >= schedule.max_attempts {
        return Next::Exhausted;
    }
    Next::Retry(pause(schedule, attempts))
}

/// The pause after try number `attempts` (from 1), milliseconds.
pub fn pause(schedule: &Schedule, attempts: u32) -> i64 {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    schedule
        .pauses_ms
        .get(index)
        .or(schedule.pauses_ms.last())
        // Without any pause a dead receiver would be asked without end.
        .map_or(1000, |pause| i64::from(*pause).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pause_goes_on_until_the_tries_are_used_up() {
        let settings = RetrySettings {
            busy: Schedule {
                pauses_ms: vec![10, 20],
                max_attempts: 4,
            },
            ..RetrySettings::default()
        };
        let after = |attempts| next(&settings, ErrorClass::Busy, attempts);
        assert_eq!(after(1), Next::Retry(10));
        assert_eq!(after(2), Next::Retry(20));
        assert_eq!(after(3), Next::Retry(20));
        assert_eq!(after(4), Next::Exhausted);
        assert_eq!(next(&settings, ErrorClass::Permanent, 1), Next::Permanent);
    }

    #[test]
    fn a_configured_class_comes_before_the_usual_one() {
        let mut settings = RetrySettings::default();
        assert_eq!(
            class_of(&settings, status::ESME_RINVDSTADR),
            ErrorClass::Permanent
        );
        settings
            .classes
            .push((status::ESME_RINVDSTADR, ErrorClass::Absent));
        assert_eq!(
            class_of(&settings, status::ESME_RINVDSTADR),
            ErrorClass::Absent
        );
    }
}
