//! The stage for tests with real programs: network namespaces, processes, captures, phones, media.
//!
//! A [`net::Net`] is a router and any number of hosts around it, each a network namespace of its
//! own. [`daemons::Daemons`] runs `sipd`, `pinholed` and `chargingd` in the router. Phones are
//! [`sipp::Sipp`] (an independent peer driven by a scenario) or [`phone::Phone`] (a SIP endpoint
//! that a test moves step by step), and [`media`] sends RTP and counts what arrives. [`charging`] runs `chargingd` alone. [`sms`] has the
//! peers and the scene of short messages, [`slp`] those of service discovery, [`told`] those that
//! `chargingd` tells what happens to accounts, [`shop`] those of billing by discovery, [`peer`] those of peer-to-peer
//! accounting. [`web`] has a browser and its judges.
//!
//! Everything here belongs to tests: a failed step panics with what it waited for and with the end
//! of the logs. Whatever a test started or created is gone when its values are dropped, and what a
//! killed run left behind is removed by the next one.

pub mod baresip;
pub mod capture;
pub mod charging;
pub mod daemons;
pub mod disk;
mod launch;
pub mod media;
pub mod net;
pub mod peer;
pub mod phone;
pub mod process;
pub mod scene;
pub mod shop;
pub mod sipp;
pub mod slp;
pub mod sms;
pub mod told;
pub mod wait;
pub mod web;
