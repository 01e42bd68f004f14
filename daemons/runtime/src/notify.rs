//! What systemd is told (sd_notify(3)). Without a NOTIFY_SOCKET every call does nothing.

use std::sync::LazyLock;
use std::time::Duration;

use sd_notify::NotifyState;

/// The daemon serves.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] ends it.
pub fn reloading() {
    // systemd.service(5), Type=notify-reload: the monotonic time orders it among other messages.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The daemon drains and will end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// One line for `systemctl status`.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// The daemon lives; due at least every [`watchdog_interval`].
pub fn alive() {
    // The socket blocks when its reader is slow: nobody is told what nobody waits for.
    static WATCHED: LazyLock<bool> = LazyLock::new(|| watchdog_interval().is_some());
    if *WATCHED {
        tell(&[NotifyState::Watchdog]);
    }
}

/// Half of the unit's WatchdogSec, if it has one.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
