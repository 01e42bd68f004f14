//! Two transaction layers and a network between them that loses, repeats, delays and reorders, in virtual time.
//!
//! Every run follows from its seed. A failure names the seed: [`run`] with it alone shows the same again.

mod two_layers;

use std::collections::HashMap;

use tollwire_sip::transaction::Transport;
use two_layers::{Chance, Network, Outcome, PUNCTUAL, Party, World};

fn run(seed: u64, network: Network) -> World {
    // The seed is printed with a failure alone.
    println!("seed {seed}: {network:?}");
    let mut world = World::new(seed, network);
    world.run();
    world.check();
    world
}

const QUIET: Network = Network {
    transport: Transport::Udp,
    lost: 0,
    repeated: 0,
    slowest: 100,
    lateness: 0,
};

#[test]
fn without_loss_every_call_ends_as_its_parties_mean_it() {
    for seed in 0..200 {
        let world = run(seed, QUIET);
        assert_eq!(
            world.sent(Party::Caller, "INVITE"),
            world.calls.len() as u64
        );
    }
}

#[test]
fn repeated_and_reordered_messages_change_nothing() {
    for seed in 0..200 {
        let network = Network {
            repeated: 50,
            slowest: PUNCTUAL,
            ..QUIET
        };
        run(seed, network);
    }
}

#[test]
fn calls_over_a_lossy_network() {
    let mut outcomes: HashMap<Outcome, u32> = HashMap::new();
    for seed in 0..600 {
        let mut chance = Chance(!seed);
        let network = Network {
            transport: Transport::Udp,
            lost: [5, 20, 40, 70][chance.below(4) as usize],
            repeated: chance.below(30),
            slowest: PUNCTUAL,
            lateness: chance.below(20),
        };
        let world = run(seed, network);
        for client in world.clients.values().filter(|client| client.is_invite) {
            *outcomes.entry(client.outcome.unwrap()).or_default() += 1;
        }
    }
    // The seeds are worth something: every end was met.
    for outcome in [200, 486, 487]
        .map(Outcome::Final)
        .into_iter()
        .chain([Outcome::TimedOut])
    {
        assert!(
            outcomes.get(&outcome).is_some_and(|count| *count > 10),
            "{outcomes:?}"
        );
    }
}

#[test]
fn messages_that_outlive_their_transactions() {
    for seed in 0..200 {
        let network = Network {
            lost: 30,
            repeated: 30,
            slowest: 8_000,
            ..QUIET
        };
        run(seed, network);
    }
}

#[test]
fn calls_over_streams() {
    for seed in 0..200 {
        let network = Network {
            transport: Transport::Tcp,
            slowest: 300,
            lateness: 20,
            ..QUIET
        };
        run(seed, network);
    }
}

#[test]
fn a_dead_network_ends_every_call_in_time() {
    for seed in 0..50 {
        let world = run(seed, Network { lost: 100, ..QUIET });
        assert!(world.servers.is_empty());
    }
}
