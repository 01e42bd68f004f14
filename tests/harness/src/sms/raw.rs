//! One SMPP connection driven octet by octet, for what no decent library would send.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::wire::{self, Writer, command};
use crate::net::Host;
use crate::wait::PATIENCE;

/// A PDU that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// `command_id`.
    pub command_id: u32,
    /// `command_status`.
    pub command_status: u32,
    /// `sequence_number`.
    pub sequence_number: u32,
    /// What follows the header.
    pub body: Vec<u8>,
}

/// A connection.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Link {
    /// Connects from `host`.
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    #[track_caller]
    pub fn connect(host: &Host, to: SocketAddr) -> Self {
        let stream = host.tcp(to).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("a TCP option");
        Self {
            stream,
            input: Vec::new(),
        }
    }

    /// Connects and binds, and must be accepted.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    #[track_caller]
    pub fn bound(host: &Host, to: SocketAddr, command_id: u32, system_id: &str) -> Self {
        let mut link = Self::connect(host, to);
        link.send(&wire::bind(command_id, 1, system_id, super::PASSWORD));
        let answer = link.receive();
        assert_eq!(
            (answer.command_id, answer.command_status),
            (command_id | command::RESPONSE, 0),
            "bind of {system_id}"
        );
        link
    }

    /// Writes octets.
    ///
    /// # Panics
    /// When the other side has closed.
    #[track_caller]
    pub fn send(&mut self, octets: &[u8]) {
        self.stream
            .write_all(octets)
            .expect("the connection stands");
    }

    /// Like [`Link::send`]; false when the other side has closed.
    pub fn try_send(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).is_ok()
    }

    /// The next PDU.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn receive(&mut self) -> Received {
        match self.next(PATIENCE) {
            Next::Pdu(pdu) => pdu,
            other => panic!("no PDU, but {other:?}"),
        }
    }

    /// The next PDU that is not an `enquire_link`.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn request(&mut self, octets: &[u8]) -> Received {
        self.send(octets);
        loop {
            let pdu = self.receive();
            if pdu.command_id != command::ENQUIRE_LINK {
                return pdu;
            }
            let id = command::ENQUIRE_LINK | command::RESPONSE;
            let answer = Writer::new(id, 0, pdu.sequence_number).finish();
            self.send(&answer);
        }
    }

    /// Waits until the other side closes; gives what it said before.
    ///
    /// # Panics
    /// When it does not close.
    #[track_caller]
    pub fn expect_close(&mut self) -> Vec<Received> {
        let mut before = Vec::new();
        loop {
            match self.next(PATIENCE) {
                Next::Pdu(pdu) => before.push(pdu),
                Next::Closed => return before,
                Next::Nothing => panic!("still open after {before:?}"),
            }
        }
    }

    /// What comes within `patience`.
    ///
    /// # Panics
    /// When the socket takes no timeout.
    pub fn next(&mut self, patience: Duration) -> Next {
        self.stream
            .set_read_timeout(Some(patience))
            .expect("a timeout");
        let mut buffer = [0; 4096];
        loop {
            if let Some(pdu) = self.take() {
                return Next::Pdu(pdu);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Next::Closed,
                Ok(count) => self.input.extend_from_slice(&buffer[..count]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Next::Nothing;
                }
                Err(_) => return Next::Closed,
            }
        }
    }

    fn take(&mut self) -> Option<Received> {
        let length = self.input.get(..4)?.try_into().ok()?;
        let length = u32::from_be_bytes(length) as usize;
        let mut taken = None;
        wire::frames(self.input.get(..length)?, |frame| {
            taken = Some(Received {
                command_id: frame.command_id,
                command_status: frame.command_status,
                sequence_number: frame.sequence_number,
                body: frame.body.to_vec(),
            });
        });
        self.input.drain(..length);
        taken
    }
}

/// What [`Link::next`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A PDU.
    Pdu(Received),
    /// The end of the connection.
    Closed,
    /// Nothing in time.
    Nothing,
}
