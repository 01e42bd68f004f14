//! Tollwire: all three daemons, with pinholes and charging.

use tollwire_harness::scene::{MICRO_PER_SECOND, Scene, Setup};

use super::System;
use super::load;
use super::report::Report;

/// Enough for every call of a run.
const BALANCE: i64 = 1_000_000_000 * MICRO_PER_SECOND;

struct Tollwire<'a> {
    scene: &'a Scene,
}

impl System for Tollwire<'_> {
    fn name(&self) -> &'static str {
        "Tollwire"
    }

    fn processes(&self) -> Vec<u32> {
        self.scene.daemons.ids()
    }
}

/// Starts it in a network of its own and measures it.
pub fn measure() -> Report {
    let scene = Scene::new(setup());
    let system = Tollwire { scene: &scene };
    load::measure(&scene.net, &scene.scratch, scene.daemons.sip(), &system)
}

fn setup() -> Setup {
    Setup {
        balance_micro: BALANCE,
        algorithms: &["MD5"],
        phones_register: false,
        ..Setup::default()
    }
}
