//! The daemon as a process, over its sockets, with billing servers that the test plays.

mod acknowledgements;
mod bank;
mod buying;
mod crash;
mod delivery;
mod discovery;
#[path = "../../../slp-agent/tests/agent/fake.rs"]
#[allow(dead_code)]
mod fake;
mod forms;
mod peers;
mod shop;
#[path = "../../../peer-provider/tests/provider/stage.rs"]
#[allow(dead_code)]
mod stage;
mod upstream;
