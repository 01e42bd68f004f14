//! Reading: views of a body that borrow from it.

use super::{status, tag};

/// Why a body does not do: the status for the answer.
pub type Status = u32;

/// An address in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressView<'a> {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan indicator.
    pub npi: u8,
    /// Without the final NUL.
    pub digits: &'a str,
}

/// Optional parameters, already found to be whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tlvs<'a>(&'a [u8]);

impl<'a> Tlvs<'a> {
    fn new(octets: &'a [u8]) -> Result<Self, Status> {
        let mut rest = octets;
        while !rest.is_empty() {
            // SMPP 3.4 table 5-2: ESME_RINVOPTPARSTREAM, "error in the optional part of the PDU body".
            rest = split_tlv(rest).ok_or(status::ESME_RINVOPTPARSTREAM)?.2;
        }
        Ok(Self(octets))
    }

    /// Tag and value of each, in order.
    pub fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (tag, value, after) = split_tlv(rest)?;
            rest = after;
            Some((tag, value))
        })
    }

    /// The first with this tag.
    pub fn find(self, wanted: u16) -> Option<&'a [u8]> {
        self.iter()
            .find_map(|(tag, value)| (tag == wanted).then_some(value))
    }
}

fn split_tlv(octets: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (tag, rest) = octets.split_first_chunk::<2>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((u16::from_be_bytes(*tag), value, rest))
}

/// Body of `submit_sm` and `deliver_sm` (SMPP 3.4 tables 4-10 and 4-12), of `data_sm` (table 4-14), and what
/// `submit_multi` shares with them.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// `service_type`
    pub service_type: &'a str,
    /// `source_addr`
    pub source: AddressView<'a>,
    /// `destination_addr`; empty for `submit_multi`.
    pub destination: AddressView<'a>,
    /// Destinations of `submit_multi`, still to be read with [`Destinations`].
    pub destinations: Destinations<'a>,
    /// `esm_class`
    pub esm_class: u8,
    /// `protocol_id`
    pub protocol_id: u8,
    /// `priority_flag`
    pub priority_flag: u8,
    /// `schedule_delivery_time`
    pub schedule_delivery_time: &'a str,
    /// `validity_period`
    pub validity_period: &'a str,
    /// `registered_delivery`
    pub registered_delivery: u8,
    /// `replace_if_present_flag`
    pub replace_if_present_flag: u8,
    /// `data_coding`
    pub data_coding: u8,
    /// `sm_default_msg_id`
    pub sm_default_msg_id: u8,
    /// `short_message`
    pub short_message: &'a [u8],
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

/// Destinations of a `submit_multi`, SMPP 3.4 table 4-11 and section 4.5.1.1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Destinations<'a> {
    /// `number_of_dests`
    pub count: u8,
    octets: &'a [u8],
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// `dest_flag` 1
    Address(AddressView<'a>),
    /// `dest_flag` 2
    DistributionList(&'a str),
}

impl<'a> Destinations<'a> {
    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Destination<'a>> {
        let mut cursor = Cursor(self.octets);
        (0..self.count).map_while(move |_| cursor.destination().ok())
    }
}

/// Octets not yet read.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    fn octet(&mut self) -> Result<u8, Status> {
        let (octet, rest) = self.0.split_first().ok_or(status::ESME_RINVCMDLEN)?;
        self.0 = rest;
        Ok(*octet)
    }

    /// A C-Octet String of at most `most` octets with its NUL (SMPP 3.4 section 3.1); `fault` if it is longer or is
    /// not ASCII.
    fn text(&mut self, most: usize, fault: Status) -> Result<&'a str, Status> {
        let window = self.0.get(..most).unwrap_or(self.0);
        let Some(end) = window.iter().position(|octet| *octet == 0) else {
            return Err(if window.len() < most {
                status::ESME_RINVCMDLEN
            } else {
                fault
            });
        };
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        if text.is_ascii() {
            std::str::from_utf8(text).map_err(|_| fault)
        } else {
            Err(fault)
        }
    }

    fn address(&mut self, most: usize, fault: Status) -> Result<AddressView<'a>, Status> {
        Ok(AddressView {
            ton: self.octet()?,
            npi: self.octet()?,
            digits: self.text(most, fault)?,
        })
    }

    fn octets(&mut self, length: usize, fault: Status) -> Result<&'a [u8], Status> {
        let (octets, rest) = self.0.split_at_checked(length).ok_or(fault)?;
        self.0 = rest;
        Ok(octets)
    }

    fn destination(&mut self) -> Result<Destination<'a>, Status> {
        match self.octet()? {
            1 => self
                .address(21, status::ESME_RINVDSTADR)
                .map(Destination::Address),
            2 => self
                .text(21, status::ESME_RINVDLNAME)
                .map(Destination::DistributionList),
            _ => Err(status::ESME_RINVDESTFLAG),
        }
    }

    /// A time: empty, or 16 characters.
    fn time(&mut self, fault: Status) -> Result<&'a str, Status> {
        let text = self.text(17, fault)?;
        if matches!(text.len(), 0 | 16) {
            Ok(text)
        } else {
            Err(fault)
        }
    }
}

const NOWHERE: AddressView<'static> = AddressView {
    ton: 0,
    npi: 0,
    digits: "",
};

/// Reads a `submit_sm` or a `deliver_sm`.
///
/// # Errors
/// The status for the answer.
pub fn submit_sm(body: &[u8]) -> Result<Submission<'_>, Status> {
    let mut cursor = Cursor(body);
    let service_type = cursor.text(6, status::ESME_RINVSERTYP)?;
    let source = cursor.address(21, status::ESME_RINVSRCADR)?;
    let destination = cursor.address(21, status::ESME_RINVDSTADR)?;
    submission(
        cursor,
        service_type,
        source,
        destination,
        Destinations::default(),
    )
}

/// Reads a `submit_multi`.
///
/// # Errors
/// The status for the answer.
pub fn submit_multi(body: &[u8]) -> Result<Submission<'_>, Status> {
    let mut cursor = Cursor(body);
    let service_type = cursor.text(6, status::ESME_RINVSERTYP)?;
    let source = cursor.address(21, status::ESME_RINVSRCADR)?;
    let count = cursor.octet()?;
    let octets = cursor.0;
    for _ in 0..count {
        cursor.destination()?;
    }
    let destinations = Destinations { count, octets };
    submission(cursor, service_type, source, NOWHERE, destinations)
}

fn submission<'a>(
    mut cursor: Cursor<'a>,
    service_type: &'a str,
    source: AddressView<'a>,
    destination: AddressView<'a>,
    destinations: Destinations<'a>,
) -> Result<Submission<'a>, Status> {
    let esm_class = cursor.octet()?;
    let protocol_id = cursor.octet()?;
    let priority_flag = cursor.octet()?;
    let schedule_delivery_time = cursor.time(status::ESME_RINVSCHED)?;
    let validity_period = cursor.time(status::ESME_RINVEXPIRY)?;
    let registered_delivery = cursor.octet()?;
    let replace_if_present_flag = cursor.octet()?;
    let data_coding = cursor.octet()?;
    let sm_default_msg_id = cursor.octet()?;
    let sm_length = usize::from(cursor.octet()?);
    let short_message = cursor.octets(sm_length, status::ESME_RINVMSGLEN)?;
    Ok(Submission {
        service_type,
        source,
        destination,
        destinations,
        esm_class,
        protocol_id,
        priority_flag,
        schedule_delivery_time,
        validity_period,
        registered_delivery,
        replace_if_present_flag,
        data_coding,
        sm_default_msg_id,
        short_message,
        tlvs: Tlvs::new(cursor.0)?,
    })
}

/// Reads a `data_sm`.
///
/// # Errors
/// The status for the answer.
pub fn data_sm(body: &[u8]) -> Result<Submission<'_>, Status> {
    let mut cursor = Cursor(body);
    Ok(Submission {
        service_type: cursor.text(6, status::ESME_RINVSERTYP)?,
        source: cursor.address(65, status::ESME_RINVSRCADR)?,
        destination: cursor.address(65, status::ESME_RINVDSTADR)?,
        destinations: Destinations::default(),
        esm_class: cursor.octet()?,
        protocol_id: 0,
        priority_flag: 0,
        schedule_delivery_time: "",
        validity_period: "",
        registered_delivery: cursor.octet()?,
        replace_if_present_flag: 0,
        data_coding: cursor.octet()?,
        sm_default_msg_id: 0,
        short_message: &[],
        tlvs: Tlvs::new(cursor.0)?,
    })
}

/// A bind request, SMPP 3.4 tables 4-1, 4-3 and 4-5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// `system_id`
    pub system_id: &'a str,
    /// `password`
    pub password: &'a str,
    /// `interface_version`
    pub interface_version: u8,
}

/// Reads a bind request.
///
/// # Errors
/// The status for the answer.
pub fn bind(body: &[u8]) -> Result<Bind<'_>, Status> {
    let mut cursor = Cursor(body);
    // A system_id that does not even fit is answered as any other that does not belong to the password.
    let system_id = cursor.text(16, status::ESME_RINVPASWD)?;
    let password = cursor.text(9, status::ESME_RINVPASWD)?;
    cursor.text(13, status::ESME_RBINDFAIL)?;
    let interface_version = cursor.octet()?;
    cursor.address(41, status::ESME_RBINDFAIL)?;
    Ok(Bind {
        system_id,
        password,
        interface_version,
    })
}

/// `query_sm`, SMPP 3.4 table 4-17, and what `cancel_sm` and `replace_sm` begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// `message_id`
    pub message_id: &'a str,
    /// `source_addr`
    pub source: AddressView<'a>,
}

/// Reads a `query_sm`.
///
/// # Errors
/// The status for the answer.
pub fn query_sm(body: &[u8]) -> Result<Query<'_>, Status> {
    let mut cursor = Cursor(body);
    cursor.query()
}

impl<'a> Cursor<'a> {
    fn query(&mut self) -> Result<Query<'a>, Status> {
        Ok(Query {
            message_id: self.text(65, status::ESME_RINVMSGID)?,
            source: self.address(21, status::ESME_RINVSRCADR)?,
        })
    }
}

/// `cancel_sm`, SMPP 3.4 table 4-19.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel<'a> {
    /// `service_type`
    pub service_type: &'a str,
    /// `message_id` and `source_addr`
    pub query: Query<'a>,
    /// `destination_addr`
    pub destination: AddressView<'a>,
}

/// Reads a `cancel_sm`.
///
/// # Errors
/// The status for the answer.
pub fn cancel_sm(body: &[u8]) -> Result<Cancel<'_>, Status> {
    let mut cursor = Cursor(body);
    Ok(Cancel {
        service_type: cursor.text(6, status::ESME_RINVSERTYP)?,
        query: cursor.query()?,
        destination: cursor.address(21, status::ESME_RINVDSTADR)?,
    })
}

/// `replace_sm`, SMPP 3.4 table 4-21; the optional part is SMPP 5.0's.
#[derive(Debug, Clone, Copy)]
pub struct Replace<'a> {
    /// `message_id` and `source_addr`
    pub query: Query<'a>,
    /// `schedule_delivery_time`
    pub schedule_delivery_time: &'a str,
    /// `validity_period`
    pub validity_period: &'a str,
    /// `registered_delivery`
    pub registered_delivery: u8,
    /// `sm_default_msg_id`
    pub sm_default_msg_id: u8,
    /// `short_message` or `message_payload`
    pub short_message: &'a [u8],
    /// Whether it came as `message_payload`.
    pub as_tlv: bool,
}

/// Reads a `replace_sm`.
///
/// # Errors
/// The status for the answer.
pub fn replace_sm(body: &[u8]) -> Result<Replace<'_>, Status> {
    let mut cursor = Cursor(body);
    let query = cursor.query()?;
    let schedule_delivery_time = cursor.time(status::ESME_RINVSCHED)?;
    let validity_period = cursor.time(status::ESME_RINVEXPIRY)?;
    let registered_delivery = cursor.octet()?;
    let sm_default_msg_id = cursor.octet()?;
    let length = usize::from(cursor.octet()?);
    let short_message = cursor.octets(length, status::ESME_RINVMSGLEN)?;
    let payload = Tlvs::new(cursor.0)?.find(tag::MESSAGE_PAYLOAD);
    Ok(Replace {
        query,
        schedule_delivery_time,
        validity_period,
        registered_delivery,
        sm_default_msg_id,
        short_message: payload.unwrap_or(short_message),
        as_tlv: payload.is_some(),
    })
}

/// `message_id` of a `submit_sm_resp`, `data_sm_resp` or `submit_multi_resp`; empty if it has none.
pub fn message_id(body: &[u8]) -> &str {
    Cursor(body)
        .text(65, status::ESME_RINVMSGID)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_truncation_is_refused_or_read_without_the_rest() {
        let mut body = Vec::new();
        body.extend_from_slice(b"CMT\0\x01\x0112345\0\x01\x0167890\0\x03\x00\x01");
        body.extend_from_slice(b"\0\0\x01\0\x08\0\x02\x00A");
        let whole = body.len();
        body.extend_from_slice(&[0x02, 0x04, 0, 2, 0, 7]);
        let read = submit_sm(&body).unwrap();
        assert_eq!(read.short_message, b"\x00A");
        assert_eq!(read.source.digits, "12345");
        assert_eq!(
            read.tlvs.iter().collect::<Vec<_>>(),
            [(tag::USER_MESSAGE_REFERENCE, &[0, 7][..])]
        );
        for length in 0..body.len() {
            let result = submit_sm(&body[..length]).map(|read| read.tlvs.iter().count());
            if length == whole {
                assert_eq!(result, Ok(0));
            } else {
                assert!(result.is_err(), "{length}");
            }
        }
        assert_eq!(
            submit_sm(&body[..whole - 1]).unwrap_err(),
            status::ESME_RINVMSGLEN
        );
        assert_eq!(
            submit_sm(&body[..whole + 5]).unwrap_err(),
            status::ESME_RINVOPTPARSTREAM
        );
    }

    #[test]
    fn what_is_too_long_is_named() {
        assert_eq!(submit_sm(b"LONGER\0").unwrap_err(), status::ESME_RINVSERTYP);
        assert_eq!(
            submit_sm(b"\0\x01\x01123456789012345678901\0").unwrap_err(),
            status::ESME_RINVSRCADR
        );
        assert_eq!(
            submit_sm(b"\0\x01\x01\xE9\0").unwrap_err(),
            status::ESME_RINVSRCADR
        );
        assert_eq!(
            bind(b"a\x00123456789\0\0\x34\0\0\0").unwrap_err(),
            status::ESME_RINVPASWD
        );
    }

    #[test]
    fn destinations_of_a_submit_multi() {
        let mut body = b"\0\0\0\0\x03\x01\x01\x0111\0\x02list\0\x01\x01\x0122\0".to_vec();
        body.extend_from_slice(b"\0\0\0\0\0\0\0\0\0\x01x");
        let read = submit_multi(&body).unwrap();
        assert_eq!(
            read.destinations.iter().collect::<Vec<_>>(),
            [
                Destination::Address(AddressView {
                    ton: 1,
                    npi: 1,
                    digits: "11"
                }),
                Destination::DistributionList("list"),
                Destination::Address(AddressView {
                    ton: 1,
                    npi: 1,
                    digits: "22"
                }),
            ]
        );
        assert_eq!(read.short_message, b"x");
        let mut wrong = body.clone();
        wrong[5] = 3;
        assert_eq!(submit_multi(&wrong).unwrap_err(), status::ESME_RINVDESTFLAG);
    }
}
