//! What the operator decides about supervision.

use std::time::Duration;

/// Which early media may pass before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EarlyMedia {
    /// None: the first packet passes with the answer.
    None,
    /// Announcements and tones from the callee; nothing the caller says.
    ToCaller,
    /// Both directions, as the descriptions say.
    Both,
}

/// Timers and policies shared by all calls.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Early media policy.
    pub early_media: EarlyMedia,
    /// How long early media may pass: the limiter's timeout before the answer.
    pub early_timeout: Duration,
    /// Part of a grant that is used before more is asked for, in percent.
    pub update_at_percent: u32,
    /// How long the BYE waits for the limiter's answer to the closing order.
    pub close_deadline: Duration,
    /// Between attempts at an order that its server did not answer.
    pub retry_interval: Duration,
    /// How long a 2xx may go without its ACK (RFC 3261 13.3.1.4: 64*T1).
    pub ack_timeout: Duration,
    /// Session-Expires asked for where the parties did not (RFC 4028); `None`: only theirs is watched.
    pub session_expires: Option<u32>,
    /// Smallest session interval accepted, in seconds (RFC 4028 Min-SE).
    pub min_se: u32,
    /// Seconds taken as granted where the charging system granted units other than time.
    pub default_grant_seconds: u32,
    /// Retry-After of a 503, in seconds.
    pub retry_after: u32,
    /// Whether accounting records are made.
    pub accounting: bool,
    /// The interval of interim records that the accounting server asks for; `None`: one with each grant.
    pub interim: Option<Duration>,
    /// How long a call may take from INVITE to answer before it is given up.
    pub setup_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            early_media: EarlyMedia::ToCaller,
            early_timeout: Duration::from_secs(180),
            update_at_percent: 80,
            close_deadline: Duration::from_millis(500),
            retry_interval: Duration::from_secs(2),
            ack_timeout: Duration::from_secs(32),
            session_expires: Some(1800),
            min_se: 90,
            default_grant_seconds: 3600,
            retry_after: 10,
            accounting: false,
            interim: None,
            setup_timeout: Duration::from_secs(300),
        }
    }
}
