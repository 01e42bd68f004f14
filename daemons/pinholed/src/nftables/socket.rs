//! The netlink socket: batches out, acknowledgements and elements back.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, send, setsockopt,
    socket, sockopt,
};

use super::attributes::Attributes;

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
/// NFTA_SET_ELEM_LIST_ELEMENTS.
const SET_ELEMENTS: u16 = 3;
const HEADER: usize = 16;
const NFGENMSG: usize = 4;
/// nfgenmsg.nfgen_family of a table for both families (NFPROTO_INET).
const INET: u8 = 1;

/// Flags of a request.
pub(super) const CREATE: u16 = 0x400;
/// Of a read: every element.
pub(super) const DUMP: u16 = 0x300;

/// One nf_tables message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) attributes: Attributes,
    /// Set elements, written after the attributes as one list.
    pub(super) elements: Attributes,
}

impl Message {
    /// Takes the other's elements, if it says the same of them and there is room: a list's length has sixteen bits.
    pub(super) fn absorb(&mut self, other: &Self) -> bool {
        let same = !self.elements.octets().is_empty()
            && self.kind == other.kind
            && self.flags == other.flags
            && self.attributes == other.attributes
            && self.elements.octets().len() + other.elements.octets().len() < 1 << 15;
        if same {
            self.elements.append(&other.elements);
        }
        same
    }
}

/// What a batch came to: for each refused message its place in the batch and the error.
pub(super) type Refused = Vec<(usize, io::Error)>;

#[derive(Debug)]
pub(super) struct Socket {
    descriptor: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        let descriptor = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        nix::sys::socket::bind(descriptor.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        // The privileged variants pass rmem_max; CAP_NET_ADMIN is what they need, and we have.
        let _ = setsockopt(&descriptor, sockopt::SndBufForce, &(8 << 20));
        let _ = setsockopt(&descriptor, sockopt::RcvBufForce, &(8 << 20));
        let timeout = nix::sys::time::TimeVal::new(10, 0);
        setsockopt(&descriptor, sockopt::ReceiveTimeout, &timeout)?;
        Ok(Self {
            descriptor,
            sequence: 0,
            buffer: vec![0; 1 << 18],
        })
    }

    /// Sends `messages` as one transaction: all of them take effect, or none. Awaits the kernel's answers.
    pub(super) fn batch(&mut self, messages: &[Message]) -> io::Result<Refused> {
        let begin = self.next_sequence();
        let mut octets = Vec::with_capacity(256 * messages.len() + 64);
        boundary(&mut octets, NFNL_MSG_BATCH_BEGIN, begin);
        for (place, message) in messages.iter().enumerate() {
            let sequence = self.next_sequence();
            // Errors come unasked and in order; the acknowledgement of the last message ends them.
            let ack = if place + 1 == messages.len() {
                NLM_F_ACK
            } else {
                0
            };
            put(&mut octets, message, message.flags | ack, sequence);
        }
        let end = self.next_sequence();
        boundary(&mut octets, NFNL_MSG_BATCH_END, end);
        send(self.descriptor.as_raw_fd(), &octets, MsgFlags::empty())?;
        self.acknowledgements(begin, messages.len())
    }

    /// Sends one request and hands each message that answers it to `each`.
    pub(super) fn read(
        &mut self,
        request: &Message,
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let sequence = self.next_sequence();
        let mut octets = Vec::new();
        put(&mut octets, request, request.flags | NLM_F_ACK, sequence);
        send(self.descriptor.as_raw_fd(), &octets, MsgFlags::empty())?;
        loop {
            let length = recv(
                self.descriptor.as_raw_fd(),
                &mut self.buffer,
                MsgFlags::empty(),
            )?;
            for answer in Answers(self.buffer.get(..length).unwrap_or_default()) {
                if answer.sequence != sequence {
                    continue;
                }
                match answer.kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return answer.error().map_or(Ok(()), Err),
                    _ => each(answer.payload.get(NFGENMSG..).unwrap_or_default()),
                }
            }
        }
    }

    fn acknowledgements(&mut self, begin: u32, count: usize) -> io::Result<Refused> {
        let mut refused = Refused::new();
        let mut last = count == 0;
        while !last {
            let length = recv(
                self.descriptor.as_raw_fd(),
                &mut self.buffer,
                MsgFlags::empty(),
            )?;
            for answer in Answers(self.buffer.get(..length).unwrap_or_default()) {
                let place = answer.sequence.wrapping_sub(begin) as usize;
                if answer.kind != NLMSG_ERROR || place > count + 1 {
                    continue;
                }
                match (place.checked_sub(1), answer.error()) {
                    // The batch itself: without the privilege, or while another's transaction is under way.
                    (None, Some(error)) => return Err(error),
                    (None, None) => {}
                    (Some(place), error) => {
                        refused.extend(error.map(|error| (place, error)));
                        last |= place + 1 == count;
                    }
                }
            }
        }
        Ok(refused)
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}

fn put(octets: &mut Vec<u8>, message: &Message, flags: u16, sequence: u32) {
    let start = octets.len();
    header(
        octets,
        (NFNL_SUBSYS_NFTABLES << 8) | message.kind,
        flags,
        sequence,
    );
    octets.extend_from_slice(&[INET, 0, 0, 0]);
    octets.extend_from_slice(message.attributes.octets());
    if !message.elements.octets().is_empty() {
        let list = Attributes::new().nested(SET_ELEMENTS, &message.elements);
        octets.extend_from_slice(list.octets());
    }
    finish(octets, start);
}

fn boundary(octets: &mut Vec<u8>, kind: u16, sequence: u32) {
    let start = octets.len();
    header(octets, kind, 0, sequence);
    // nfgenmsg.res_id names the subsystem the batch is for.
    octets.extend_from_slice(&[0, 0]);
    octets.extend_from_slice(&NFNL_SUBSYS_NFTABLES.to_be_bytes());
    finish(octets, start);
}

fn header(octets: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32) {
    octets.extend_from_slice(&[0; 4]);
    octets.extend_from_slice(&kind.to_ne_bytes());
    octets.extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
    octets.extend_from_slice(&sequence.to_ne_bytes());
    octets.extend_from_slice(&[0; 4]);
}

fn finish(octets: &mut [u8], start: usize) {
    let length = u32::try_from(octets.len() - start).unwrap_or(u32::MAX);
    if let Some(place) = octets.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_ne_bytes());
    }
}

struct Answer<'a> {
    kind: u16,
    sequence: u32,
    payload: &'a [u8],
}

impl Answer<'_> {
    /// Of an NLMSG_ERROR: the error, if it is one and not an acknowledgement.
    fn error(&self) -> Option<io::Error> {
        let code = i32::from_ne_bytes(*self.payload.first_chunk()?);
        (code != 0).then(|| io::Error::from_raw_os_error(-code))
    }
}

struct Answers<'a>(&'a [u8]);

impl<'a> Iterator for Answers<'a> {
    type Item = Answer<'a>;

    fn next(&mut self) -> Option<Answer<'a>> {
        let head = self.0.first_chunk::<HEADER>()?;
        let word = |at: usize| -> Option<u32> {
            Some(u32::from_ne_bytes(head.get(at..at + 4)?.try_into().ok()?))
        };
        let length = word(0)? as usize;
        let payload = self.0.get(HEADER..length)?;
        let kind = u16::from_ne_bytes(head.get(4..6)?.try_into().ok()?);
        let sequence = word(8)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Answer {
            kind,
            sequence,
            payload,
        })
    }
}
