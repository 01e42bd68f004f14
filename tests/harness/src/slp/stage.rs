//! A directory agent, and a hand to ask it with.

use std::net::UdpSocket;

use super::agent::Agent;
use super::lan::Lan;
use super::wire::{self, FRESH, Reply, ask};
use crate::process::Scratch;

/// A directory agent on the first host of a link, and a socket on the second.
#[derive(Debug)]
pub struct Stage {
    /// The link.
    pub lan: Lan,
    /// Its files.
    pub scratch: Scratch,
    /// The directory agent.
    pub agent: Agent,
    /// On the second host.
    pub socket: UdpSocket,
    xid: u16,
}

impl Stage {
    /// One with this configuration.
    #[must_use]
    pub fn new(config: &str) -> Self {
        let lan = Lan::new(2);
        let scratch = Scratch::new();
        let agent = Agent::start(lan.host(0), &scratch, "da", config);
        let socket = lan.host(1).udp(0);
        Self {
            lan,
            scratch,
            agent,
            socket,
            xid: 100,
        }
    }

    /// An XID that was not used.
    pub fn next_xid(&mut self) -> u16 {
        self.xid += 1;
        self.xid
    }

    /// The error that a registration gets.
    #[track_caller]
    pub fn register(&mut self, url: &str, attributes: &str) -> u16 {
        let xid = self.next_xid();
        let message = wire::registration(xid, FRESH, "en", url, 600, "DEFAULT", attributes);
        self.told(&message)
    }

    /// The error that an answer says.
    #[track_caller]
    pub fn told(&mut self, message: &[u8]) -> u16 {
        ask(&self.socket, self.agent.address(), message).error()
    }

    /// The answer to a request for services.
    #[track_caller]
    pub fn find(&mut self, kind: &str, predicate: &str) -> Reply {
        let xid = self.next_xid();
        let message = wire::service_request(0, xid, "", kind, "DEFAULT", predicate);
        ask(&self.socket, self.agent.address(), &message)
    }
}
