//! The timers of RFC 2608 13.

use std::time::Duration;

/// Every interval of RFC 2608 13, under its name there without `CONFIG_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// CONFIG_MC_MAX: how long a multicast request looks for answers.
    pub mc_max: Duration,
    /// CONFIG_START_WAIT: upper end of the random wait before the first discovery after a start.
    pub start_wait: Duration,
    /// CONFIG_RETRY: the first wait before a request is sent again; each later one is twice as long.
    pub retry: Duration,
    /// CONFIG_RETRY_MAX: how long a unicast request waits for an answer, over all its repetitions.
    pub retry_max: Duration,
    /// CONFIG_DA_BEAT: between the unsolicited adverts of a directory agent.
    pub da_beat: Duration,
    /// CONFIG_DA_FIND: at least so long between two discoveries.
    pub da_find: Duration,
    /// CONFIG_REG_PASSIVE: upper end of the random wait before registering with an agent that was overheard.
    pub reg_passive: Duration,
    /// CONFIG_REG_ACTIVE: upper end of the random wait before registering with an agent that was looked for.
    pub reg_active: Duration,
    /// CONFIG_CLOSE_CONN: how long an idle TCP connection is kept.
    pub close_conn: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            mc_max: Duration::from_secs(15),
            start_wait: Duration::from_secs(3),
            retry: Duration::from_secs(2),
            retry_max: Duration::from_secs(15),
            da_beat: Duration::from_secs(3 * 60 * 60),
            da_find: Duration::from_secs(900),
            reg_passive: Duration::from_secs(3),
            reg_active: Duration::from_secs(3),
            close_conn: Duration::from_secs(5 * 60),
        }
    }
}
