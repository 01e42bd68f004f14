//! SMPP 3.4 octets written and read by hand, for peers that must be fast or wrong. Independent of
//! the daemon's own codec on purpose.

/// `command_id` (SMPP 3.4 section 5.1.2.1). A response has the highest bit set besides.
pub mod command {
    #![allow(missing_docs)]
    pub const GENERIC_NACK: u32 = 0x8000_0000;
    pub const BIND_RECEIVER: u32 = 1;
    pub const BIND_TRANSMITTER: u32 = 2;
    pub const QUERY_SM: u32 = 3;
    pub const SUBMIT_SM: u32 = 4;
    pub const DELIVER_SM: u32 = 5;
    pub const UNBIND: u32 = 6;
    pub const REPLACE_SM: u32 = 7;
    pub const CANCEL_SM: u32 = 8;
    pub const BIND_TRANSCEIVER: u32 = 9;
    pub const OUTBIND: u32 = 0x0b;
    pub const ENQUIRE_LINK: u32 = 0x15;
    pub const SUBMIT_MULTI: u32 = 0x21;
    pub const ALERT_NOTIFICATION: u32 = 0x102;
    pub const DATA_SM: u32 = 0x103;
    pub const RESPONSE: u32 = 0x8000_0000;
}

/// `command_status` (SMPP 3.4 section 5.1.3).
pub mod status {
    #![allow(missing_docs)]
    pub const ESME_ROK: u32 = 0;
    pub const ESME_RINVMSGLEN: u32 = 1;
    pub const ESME_RINVCMDLEN: u32 = 2;
    pub const ESME_RINVCMDID: u32 = 3;
    pub const ESME_RINVBNDSTS: u32 = 4;
    pub const ESME_RALYBND: u32 = 5;
    pub const ESME_RSYSERR: u32 = 8;
    pub const ESME_RINVSRCADR: u32 = 0x0a;
    pub const ESME_RINVDSTADR: u32 = 0x0b;
    pub const ESME_RINVMSGID: u32 = 0x0c;
    pub const ESME_RBINDFAIL: u32 = 0x0d;
    pub const ESME_RINVPASWD: u32 = 0x0e;
    pub const ESME_RCANCELFAIL: u32 = 0x11;
    pub const ESME_RREPLACEFAIL: u32 = 0x13;
    pub const ESME_RMSGQFUL: u32 = 0x14;
    pub const ESME_RINVSERTYP: u32 = 0x15;
    pub const ESME_RINVNUMDESTS: u32 = 0x33;
    pub const ESME_RINVDESTFLAG: u32 = 0x40;
    pub const ESME_RINVDLNAME: u32 = 0x34;
    pub const ESME_RTHROTTLED: u32 = 0x58;
    pub const ESME_RINVSCHED: u32 = 0x61;
    pub const ESME_RINVEXPIRY: u32 = 0x62;
    pub const ESME_RX_T_APPN: u32 = 0x64;
    pub const ESME_RX_P_APPN: u32 = 0x65;
    pub const ESME_RX_R_APPN: u32 = 0x66;
    pub const ESME_RQUERYFAIL: u32 = 0x67;
    pub const ESME_RINVTLVSTREAM: u32 = 0xc0;
    pub const ESME_RINVPARLEN: u32 = 0xc2;
    pub const ESME_RINVOPTPARAMVAL: u32 = 0xc4;
}

/// A PDU being written.
#[derive(Clone, Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// The header; the length is filled in at the end.
    #[must_use]
    pub fn new(command_id: u32, command_status: u32, sequence_number: u32) -> Self {
        let mut octets = vec![0; 4];
        octets.extend(command_id.to_be_bytes());
        octets.extend(command_status.to_be_bytes());
        octets.extend(sequence_number.to_be_bytes());
        Self(octets)
    }

    /// Integers of one octet.
    #[must_use]
    pub fn octets(mut self, octets: &[u8]) -> Self {
        self.0.extend_from_slice(octets);
        self
    }

    /// A C-Octet String.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.octets(text.as_bytes()).octets(&[0])
    }

    /// A TLV.
    ///
    /// # Panics
    /// When the value is longer than a TLV can be.
    #[must_use]
    pub fn tlv(self, tag: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len()).expect("two octets of length");
        self.octets(&tag.to_be_bytes())
            .octets(&length.to_be_bytes())
            .octets(value)
    }

    /// The whole PDU.
    ///
    /// # Panics
    /// When it is longer than four octets can say.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).expect("four octets of length");
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

/// `bind_transmitter`, `bind_receiver` or `bind_transceiver` (section 4.1).
#[must_use]
pub fn bind(command_id: u32, sequence_number: u32, system_id: &str, password: &str) -> Vec<u8> {
    Writer::new(command_id, 0, sequence_number)
        .text(system_id)
        .text(password)
        .text("")
        .octets(&[0x34, 0, 0])
        .text("")
        .finish()
}

/// `submit_sm` (section 4.4.1) of type 1/1 addresses.
///
/// # Panics
/// When the text is longer than 255 octets.
#[must_use]
pub fn submit_sm(
    sequence_number: u32,
    source: &str,
    destination: &str,
    registered_delivery: u8,
    text: &[u8],
    tlvs: &[(u16, Vec<u8>)],
) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("short");
    let message = Writer::new(command::SUBMIT_SM, 0, sequence_number)
        .text("")
        .octets(&[1, 1])
        .text(source)
        .octets(&[1, 1])
        .text(destination)
        .octets(&[0, 0, 0])
        .text("")
        .text("")
        .octets(&[registered_delivery, 0, 0, 0, length])
        .octets(text);
    tlvs.iter()
        .fold(message, |message, (tag, value)| message.tlv(*tag, value))
        .finish()
}

/// A PDU that was read.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// `command_id`.
    pub command_id: u32,
    /// `command_status`.
    pub command_status: u32,
    /// `sequence_number`.
    pub sequence_number: u32,
    /// What follows the header.
    pub body: &'a [u8],
}

/// The whole PDUs at the beginning of `octets`, one after the other; gives how many octets they are.
///
/// # Panics
/// When a length is absurd: the other side lost its framing.
pub fn frames<'a>(octets: &'a [u8], mut each: impl FnMut(Frame<'a>)) -> usize {
    let mut at = 0;
    while let Some(header) = octets.get(at..at + 16) {
        let word = |index: usize| {
            let four = header[4 * index..4 * index + 4].try_into();
            u32::from_be_bytes(four.expect("four octets"))
        };
        let length = word(0) as usize;
        assert!((16..=70_000).contains(&length), "a PDU of {length} octets");
        let Some(body) = octets.get(at + 16..at + length) else {
            break;
        };
        each(Frame {
            command_id: word(1),
            command_status: word(2),
            sequence_number: word(3),
            body,
        });
        at += length;
    }
    at
}

/// The `deliver_sm` fields that peers look at (section 4.6.1).
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// Where to.
    pub destination: &'a [u8],
    /// `esm_class`; bit 2 marks a delivery receipt (section 5.2.12).
    pub esm_class: u8,
    /// The text.
    pub short_message: &'a [u8],
}

/// Reads the body of a `deliver_sm`; `None` when it is not one.
#[must_use]
pub fn delivery(body: &[u8]) -> Option<Delivery<'_>> {
    let (_, rest) = text(body)?;
    let (_, rest) = text(rest.get(2..)?)?;
    let (destination, rest) = text(rest.get(2..)?)?;
    let esm_class = *rest.first()?;
    let (_, rest) = text(rest.get(3..)?)?;
    let (_, rest) = text(rest)?;
    let length = usize::from(*rest.get(4)?);
    Some(Delivery {
        destination,
        esm_class,
        short_message: rest.get(5..5 + length)?,
    })
}

/// A C-Octet String and what follows it.
#[must_use]
pub fn text(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = octets.iter().position(|octet| *octet == 0)?;
    Some((octets.get(..end)?, octets.get(end + 1..)?))
}

/// Whether `esm_class` says that this is a delivery receipt of the SMSC (bits 5 to 2: 0001) or an
/// intermediate notification (1000).
#[must_use]
pub fn is_receipt(esm_class: u8) -> bool {
    matches!(esm_class & 0x3c, 0x04 | 0x20)
}
