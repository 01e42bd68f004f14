//! The cursor over a PDU's body, and its writer: every field knows its name, its place and its status.

use tollwire_wire::{Reader, ShortBuffer};

use crate::framing::HEADER_LENGTH;
use crate::pdu::Address;
use crate::refusal::{Fault, Unencodable};
use crate::status;
use crate::text::COctetString;
use crate::tlv::{self, Tlvs};

/// What a C-Octet String field may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    pub(crate) field: &'static str,
    /// Octets at most, the NUL among them.
    pub(crate) most: usize,
    /// For a string that does not end in time.
    pub(crate) command_status: u32,
}

/// The three fields of an SME address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddressFields {
    ton: &'static str,
    npi: &'static str,
    addr: Text,
}

macro_rules! texts {
    ($($name:ident = $field:literal, $most:literal, $status:ident;)*) => {
        $(pub(crate) const $name: Text = Text {
            field: $field,
            most: $most,
            command_status: status::$status,
        };)*
    };
}

// SMPP 3.4 section 5.2.
texts! {
    SYSTEM_ID = "system_id", 16, ESME_RINVSYSID;
    PASSWORD = "password", 9, ESME_RINVPASWD;
    SYSTEM_TYPE = "system_type", 13, ESME_RINVSYSTYP;
    SERVICE_TYPE = "service_type", 6, ESME_RINVSERTYP;
    MESSAGE_ID = "message_id", 65, ESME_RINVMSGID;
    DL_NAME = "dl_name", 21, ESME_RINVDLNAME;
    SCHEDULE_DELIVERY_TIME = "schedule_delivery_time", 17, ESME_RINVSCHED;
    VALIDITY_PERIOD = "validity_period", 17, ESME_RINVEXPIRY;
    FINAL_DATE = "final_date", 17, ESME_RUNKNOWNERR;
}

macro_rules! addresses {
    ($($name:ident = $ton:literal, $npi:literal, $addr:literal, $most:literal, $status:ident;)*) => {
        $(pub(crate) const $name: AddressFields = AddressFields {
            ton: $ton,
            npi: $npi,
            addr: Text { field: $addr, most: $most, command_status: status::$status },
        };)*
    };
}

addresses! {
    ADDRESS_RANGE = "addr_ton", "addr_npi", "address_range", 41, ESME_RBINDFAIL;
    SOURCE = "source_addr_ton", "source_addr_npi", "source_addr", 21, ESME_RINVSRCADR;
    DESTINATION = "dest_addr_ton", "dest_addr_npi", "destination_addr", 21, ESME_RINVDSTADR;
    LONG_SOURCE = "source_addr_ton", "source_addr_npi", "source_addr", 65, ESME_RINVSRCADR;
    LONG_DESTINATION = "dest_addr_ton", "dest_addr_npi", "destination_addr", 65, ESME_RINVDSTADR;
    ESME = "esme_addr_ton", "esme_addr_npi", "esme_addr", 65, ESME_RINVDSTADR;
}

/// How closely the optional part is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// It consists of TLVs.
    Stream,
    /// And those of the specification have the length that it gives them.
    Lengths,
}

/// A body that is being read.
pub(crate) struct Body<'a> {
    octets: &'a [u8],
    reader: Reader<'a>,
}

impl<'a> Body<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self {
            octets,
            reader: Reader::new(octets),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reader.is_empty()
    }

    /// Octets from the start of the PDU.
    pub(crate) fn offset(&self) -> usize {
        HEADER_LENGTH + self.reader.position()
    }

    /// Octets from the start of the body.
    pub(crate) fn position(&self) -> usize {
        self.reader.position()
    }

    /// What was read since `position`.
    pub(crate) fn since(&self, position: usize) -> &'a [u8] {
        self.octets
            .get(position..self.reader.position())
            .unwrap_or_default()
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, Fault> {
        self.reader.u8().map_err(cut_off(field))
    }

    /// An octet that `allowed` takes.
    pub(crate) fn checked_u8(
        &mut self,
        field: &'static str,
        command_status: u32,
        allowed: impl Fn(u8) -> bool,
    ) -> Result<u8, Fault> {
        let offset = self.offset();
        let octet = self.u8(field)?;
        if allowed(octet) {
            Ok(octet)
        } else {
            Err(Fault {
                field,
                offset,
                command_status,
            })
        }
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, Fault> {
        self.reader.u32().map_err(cut_off(field))
    }

    pub(crate) fn octets(
        &mut self,
        field: &'static str,
        length: u8,
        command_status: u32,
    ) -> Result<&'a [u8], Fault> {
        self.reader.take(length.into()).map_err(|short| Fault {
            field,
            offset: HEADER_LENGTH + short.offset,
            command_status,
        })
    }

    pub(crate) fn text(&mut self, text: Text) -> Result<COctetString<'a>, Fault> {
        let fault = |offset, command_status| Fault {
            field: text.field,
            offset,
            command_status,
        };
        let offset = self.offset();
        let window = self.reader.remaining().min(text.most);
        let ahead = self.reader.clone().take(window).unwrap_or_default();
        let Some(length) = ahead.iter().position(|octet| *octet == 0) else {
            // The PDU ends inside the string, or the string does not end in time.
            let command_status = if window < text.most {
                status::ESME_RINVCMDLEN
            } else {
                text.command_status
            };
            return Err(fault(offset, command_status));
        };
        let octets = self
            .reader
            .take(length)
            .map_err(|_| fault(offset, status::ESME_RINVCMDLEN))?;
        self.reader
            .skip(1)
            .map_err(|_| fault(offset, status::ESME_RINVCMDLEN))?;
        Ok(COctetString(octets))
    }

    /// A time: nothing, or 16 characters (SMPP 3.4 section 7.1.1).
    pub(crate) fn time(&mut self, text: Text) -> Result<COctetString<'a>, Fault> {
        let offset = self.offset();
        let time = self.text(text)?;
        if matches!(time.len(), 0 | 16) {
            Ok(time)
        } else {
            Err(Fault {
                field: text.field,
                offset,
                command_status: text.command_status,
            })
        }
    }

    pub(crate) fn address(&mut self, fields: AddressFields) -> Result<Address<'a>, Fault> {
        Ok(Address {
            ton: self.u8(fields.ton)?,
            npi: self.u8(fields.npi)?,
            digits: self.text(fields.addr)?,
        })
    }

    /// `sm_length` and `short_message`.
    pub(crate) fn short_message(&mut self) -> Result<&'a [u8], Fault> {
        let sm_length = self.u8("sm_length")?;
        self.octets("short_message", sm_length, status::ESME_RINVMSGLEN)
    }

    /// The optional part: all that is left.
    pub(crate) fn tlvs(&mut self, strictness: Strictness) -> Result<Tlvs<'a>, Fault> {
        let offset = self.offset();
        Tlvs::read(self.reader.rest(), strictness == Strictness::Lengths).map_err(|fault| Fault {
            field: tlv::name(fault.tag).unwrap_or("optional parameter"),
            offset: offset + fault.offset,
            command_status: fault.command_status,
        })
    }

    /// The optional part of a PDU that has none in SMPP 3.4: octets there that are no TLVs are a wrong length.
    pub(crate) fn extra_tlvs(&mut self) -> Result<Tlvs<'a>, Fault> {
        self.tlvs(Strictness::Stream).map_err(|fault| Fault {
            command_status: status::ESME_RINVCMDLEN,
            ..fault
        })
    }
}

fn cut_off(field: &'static str) -> impl Fn(ShortBuffer) -> Fault {
    move |short| Fault {
        field,
        offset: HEADER_LENGTH + short.offset,
        command_status: status::ESME_RINVCMDLEN,
    }
}

/// A PDU that is being written behind what `out` holds.
pub(crate) struct BodyWriter<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> BodyWriter<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    pub(crate) fn u8(&mut self, octet: u8) {
        self.out.push(octet);
    }

    pub(crate) fn octets(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    pub(crate) fn u32(&mut self, word: u32) {
        self.octets(&word.to_be_bytes());
    }

    pub(crate) fn text(&mut self, text: Text, value: COctetString<'_>) -> Result<(), Unencodable> {
        if value.len() >= text.most || value.0.contains(&0) {
            return Err(Unencodable { field: text.field });
        }
        self.octets(value.0);
        self.u8(0);
        Ok(())
    }

    pub(crate) fn time(&mut self, text: Text, value: COctetString<'_>) -> Result<(), Unencodable> {
        if matches!(value.len(), 0 | 16) {
            self.text(text, value)
        } else {
            Err(Unencodable { field: text.field })
        }
    }

    pub(crate) fn address(
        &mut self,
        fields: AddressFields,
        value: Address<'_>,
    ) -> Result<(), Unencodable> {
        self.u8(value.ton);
        self.u8(value.npi);
        self.text(fields.addr, value.digits)
    }

    pub(crate) fn short_message(&mut self, octets: &[u8]) -> Result<(), Unencodable> {
        let sm_length = u8::try_from(octets.len()).map_err(|_| Unencodable {
            field: "short_message",
        })?;
        self.u8(sm_length);
        self.octets(octets);
        Ok(())
    }

    pub(crate) fn tlvs(&mut self, tlvs: Tlvs<'_>) {
        self.octets(tlvs.as_bytes());
    }
}
