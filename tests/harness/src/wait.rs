//! Waiting for a condition: no test sleeps for a time it guessed.

use std::time::{Duration, Instant};

/// How long a step may take that normally takes milliseconds. Generous, because CI machines stall.
pub const PATIENCE: Duration = Duration::from_secs(20);

const STEP: Duration = Duration::from_millis(5);

/// Asks `condition` until it gives a value, or gives up after `patience`.
pub fn poll<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(STEP);
    }
}

/// Like [`poll`], but the test fails, saying what it waited for.
///
/// # Panics
/// When `patience` runs out.
#[track_caller]
pub fn wait_for<T>(what: &str, patience: Duration, condition: impl FnMut() -> Option<T>) -> T {
    match poll(patience, condition) {
        Some(value) => value,
        None => panic!("waited {} s in vain for {what}", patience.as_secs_f32()),
    }
}

/// Like [`wait_for`], for a condition that is only true or false.
///
/// # Panics
/// When `patience` runs out.
#[track_caller]
pub fn wait_until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, patience, || condition().then_some(()));
}
