//! When packets last passed, as far as counters tell.

use std::time::Duration;

use tollwire_runtime::clock::Now;

use super::session::Session;
use crate::flow::Usage;

/// Milliseconds between two looks that are enough to tell a pace.
const SHORTEST_PACE: i64 = 400;

pub(super) fn take_counts(session: &mut Session, now: Now, counters: &[Usage]) {
    for (flow, counter) in session.flows.iter_mut().zip(counters) {
        flow.usage = *counter;
    }
    note_activity(session, now);
}

pub(super) fn note_activity(session: &mut Session, now: Now) {
    let packets = session.media_packets();
    let grown = packets.saturating_sub(session.packets);
    let since = now.unix_ms.saturating_sub(session.looked_unix_ms).max(0);
    if grown > 0 {
        // A counter does not say when: fewer packets than at the pace before say that they stopped on the way.
        let (before, time) = session.pace;
        let took = (i128::from(grown) * i128::from(time))
            .checked_div(i128::from(before))
            .and_then(|took| i64::try_from(took).ok())
            .map_or(since, |took| took.min(since));
        let at = session.looked_unix_ms.saturating_add(took);
        session.last_packet_unix_ms =
            Some(session.last_packet_unix_ms.map_or(at, |old| old.max(at)));
        session.packets = packets;
        let ago = Duration::from_millis(u64::try_from(since - took).unwrap_or(0));
        session.active_at = now.instant.checked_sub(ago).unwrap_or(now.instant);
        session.loss_reported = false;
    }
    if since >= SHORTEST_PACE {
        session.pace = (grown, since);
    }
    session.looked_unix_ms = now.unix_ms;
}
