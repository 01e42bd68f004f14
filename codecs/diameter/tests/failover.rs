//! One of several servers that falls silent is left (RFC 6733 5.5.4).

mod samples;
mod world;

use std::time::Duration;

use tollwire_diameter::peer::{Failure, PeerEvent, PeerSettings};
use world::{Side, World, local, settings};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn one_that_falls_silent_is_left_if_others_could_be_asked() {
    for has_alternatives in [true, false] {
        let client = PeerSettings {
            has_alternatives,
            ..settings(true)
        };
        let mut world = World::new(
            (local("client.example"), client),
            (local("server.example"), settings(false)),
        );
        world.tell(Side::A, PeerEvent::Start);
        world.run(SECOND * 2);
        assert!(world.is_open(Side::A));
        world.hears.insert(Side::B, false);
        let request = samples::ccr().encode(0, 0);
        world.send(Side::A, 1, request).unwrap();
        world.run(SECOND * 10 + Duration::from_millis(50));
        assert_eq!(world.heard(Side::A).failures, [(1, Failure::Timeout)]);
        assert_eq!(world.heard(Side::A).closed, usize::from(has_alternatives));
    }
}
