use super::submit_sm::{esm_class, priority_flag, registered_delivery, replace_if_present_flag};
use super::{Address, Part};
use crate::body::{
    Body, BodyWriter, DESTINATION, DL_NAME, SCHEDULE_DELIVERY_TIME, SERVICE_TYPE, SOURCE,
    Strictness, VALIDITY_PERIOD,
};
use crate::refusal::{Fault, Unencodable};
use crate::status;
use crate::text::COctetString;
use crate::tlv::Tlvs;

/// `submit_multi` (SMPP 3.4 section 4.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubmitMulti<'a> {
    /// `service_type`, up to 5 octets; empty is the default.
    pub service_type: COctetString<'a>,
    /// `source_addr_ton`, `source_addr_npi` and `source_addr` (up to 20 octets).
    pub source: Address<'a>,
    /// `number_of_dests` and `dest_address(es)`.
    pub dest_addresses: DestAddresses<'a>,
    /// `esm_class` (SMPP 3.4 section 5.2.12).
    pub esm_class: u8,
    /// `protocol_id`, the network's own.
    pub protocol_id: u8,
    /// `priority_flag`, 0 to 4.
    pub priority_flag: u8,
    /// `schedule_delivery_time`: empty, or 16 characters ([`crate::time`]).
    pub schedule_delivery_time: COctetString<'a>,
    /// `validity_period`: empty, or 16 characters ([`crate::time`]).
    pub validity_period: COctetString<'a>,
    /// `registered_delivery` (SMPP 3.4 section 5.2.17).
    pub registered_delivery: u8,
    /// `replace_if_present_flag`, 0 or 1 (SMPP 3.4 reserves it here).
    pub replace_if_present_flag: u8,
    /// `data_coding` (SMPP 3.4 section 5.2.19).
    pub data_coding: u8,
    /// `sm_default_msg_id`: a message that the message centre knows, 0 for none.
    pub sm_default_msg_id: u8,
    /// `short_message`, up to 254 octets (255 in SMPP 5.0).
    pub short_message: &'a [u8],
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for SubmitMulti<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            service_type: body.text(SERVICE_TYPE)?,
            source: body.address(SOURCE)?,
            dest_addresses: DestAddresses::read(body)?,
            esm_class: esm_class(body)?,
            protocol_id: body.u8("protocol_id")?,
            priority_flag: priority_flag(body)?,
            schedule_delivery_time: body.time(SCHEDULE_DELIVERY_TIME)?,
            validity_period: body.time(VALIDITY_PERIOD)?,
            registered_delivery: registered_delivery(body)?,
            replace_if_present_flag: replace_if_present_flag(body)?,
            data_coding: body.u8("data_coding")?,
            sm_default_msg_id: body.u8("sm_default_msg_id")?,
            short_message: body.short_message()?,
            tlvs: body.tlvs(Strictness::Lengths)?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(SERVICE_TYPE, self.service_type)?;
        writer.address(SOURCE, self.source)?;
        if self.dest_addresses.count == 0 {
            return Err(Unencodable {
                field: "number_of_dests",
            });
        }
        writer.u8(self.dest_addresses.count);
        writer.octets(self.dest_addresses.octets);
        writer.u8(self.esm_class);
        writer.u8(self.protocol_id);
        writer.u8(self.priority_flag);
        writer.time(SCHEDULE_DELIVERY_TIME, self.schedule_delivery_time)?;
        writer.time(VALIDITY_PERIOD, self.validity_period)?;
        writer.u8(self.registered_delivery);
        writer.u8(self.replace_if_present_flag);
        writer.u8(self.data_coding);
        writer.u8(self.sm_default_msg_id);
        writer.short_message(self.short_message)?;
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}

/// One destination (SMPP 3.4 section 4.5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestAddress<'a> {
    /// `dest_flag` 1: an SME address.
    Sme(Address<'a>),
    /// `dest_flag` 2: `dl_name`, up to 20 octets.
    DistributionList(COctetString<'a>),
}

impl<'a> DestAddress<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        let offset = body.offset();
        match body.u8("dest_flag")? {
            1 => body.address(DESTINATION).map(Self::Sme),
            2 => body.text(DL_NAME).map(Self::DistributionList),
            _ => Err(Fault {
                field: "dest_flag",
                offset,
                command_status: status::ESME_RINVDESTFLAG,
            }),
        }
    }
}

/// The destinations: a view of octets that are known to be whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DestAddresses<'a> {
    count: u8,
    octets: &'a [u8],
}

impl<'a> DestAddresses<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        // SMPP 3.4 section 5.2.24: 1 to 254; SMPP 5.0 allows 255.
        let status = status::ESME_RINVNUMDESTS;
        let count = body.checked_u8("number_of_dests", status, |count| count > 0)?;
        let start = body.position();
        for _ in 0..count {
            DestAddress::read(body)?;
        }
        let octets = body.since(start);
        Ok(Self { count, octets })
    }

    /// `number_of_dests`
    pub fn count(self) -> usize {
        self.count.into()
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = DestAddress<'a>> {
        let mut body = Body::new(self.octets);
        (0..self.count).map_while(move |_| DestAddress::read(&mut body).ok())
    }
}

/// Destinations that are being put together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DestAddressesBuffer {
    count: u8,
    octets: Vec<u8>,
}

impl DestAddressesBuffer {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one behind the others.
    ///
    /// # Errors
    /// There are 255, or the address or the name does not fit; nothing was added.
    pub fn push(&mut self, destination: DestAddress<'_>) -> Result<&mut Self, Unencodable> {
        let count = self.count.checked_add(1).ok_or(Unencodable {
            field: "number_of_dests",
        })?;
        let start = self.octets.len();
        let mut writer = BodyWriter::new(&mut self.octets);
        let written = match destination {
            DestAddress::Sme(address) => {
                writer.u8(1);
                writer.address(DESTINATION, address)
            }
            DestAddress::DistributionList(dl_name) => {
                writer.u8(2);
                writer.text(DL_NAME, dl_name)
            }
        };
        if let Err(unencodable) = written {
            self.octets.truncate(start);
            return Err(unencodable);
        }
        self.count = count;
        Ok(self)
    }

    /// What was added.
    pub fn as_dest_addresses(&self) -> DestAddresses<'_> {
        DestAddresses {
            count: self.count,
            octets: &self.octets,
        }
    }
}
