//! The core in a world that loses answers and is killed at any step.

mod simulation;
mod steps;
pub(crate) mod world;
