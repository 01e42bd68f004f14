use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// Sessions that are remembered at the most, the newest.
const MOST: usize = 65_536;

/// Where sessions are that a server sent on (RFC 6733 6.13).
#[derive(Debug, Default)]
pub(super) struct Routes {
    by_session: HashMap<Box<str>, (usize, Instant)>,
    /// Each that was put there, the oldest first; some are gone already.
    order: VecDeque<Box<str>>,
}

impl Routes {
    /// The session's requests go to `member` until this time.
    pub(super) fn remember(&mut self, session: &str, member: usize, until: Instant) {
        if let Some(known) = self.by_session.get_mut(session) {
            *known = (member, until);
            return;
        }
        while self.order.len() >= MOST {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.by_session.remove(&oldest));
        }
        self.order.push_back(session.into());
        self.by_session.insert(session.into(), (member, until));
    }

    pub(super) fn find(&mut self, now: Instant, session: &str) -> Option<usize> {
        let (member, until) = *self.by_session.get(session)?;
        if until <= now {
            self.by_session.remove(session);
            return None;
        }
        Some(member)
    }

    /// RFC 6733 6.14: a host that cannot be reached is nobody's any more.
    pub(super) fn forget(&mut self, member: usize) {
        self.by_session.retain(|_, (at, _)| *at != member);
        let known = &self.by_session;
        self.order.retain(|session| known.contains_key(session));
    }

    pub(super) fn forget_session(&mut self, session: &str) {
        self.by_session.remove(session);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn there_are_never_more_than_so_many_and_the_oldest_go() {
        let now = Instant::now();
        let until = now + Duration::from_secs(9);
        let mut routes = Routes::default();
        for number in 0..MOST + 3 {
            routes.remember(&format!("s{number}"), number % 2, until);
        }
        assert_eq!((routes.by_session.len(), routes.order.len()), (MOST, MOST));
        assert_eq!(routes.find(now, "s2"), None);
        assert_eq!(routes.find(now, "s3"), Some(1));
        assert_eq!(routes.find(until, "s3"), None);
        routes.forget(0);
        assert_eq!(routes.by_session.len(), MOST / 2 - 1);
        assert_eq!(routes.find(now, "s4"), None);
    }
}
