//! What the tests share; not every one of them uses all of it.
#![allow(dead_code)]

pub mod lossy;
pub mod postgres;
pub mod ro;
