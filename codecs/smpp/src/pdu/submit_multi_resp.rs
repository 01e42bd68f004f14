use super::{Address, Part};
use crate::body::{Body, BodyWriter, DESTINATION, MESSAGE_ID, Strictness};
use crate::refusal::{Fault, Unencodable};
use crate::text::COctetString;
use crate::tlv::Tlvs;

/// `submit_multi_resp` (SMPP 3.4 section 4.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubmitMultiResp<'a> {
    /// `message_id`, up to 64 octets; empty if the body is missing, as it is in an error's.
    pub message_id: COctetString<'a>,
    /// `no_unsuccess` and `unsuccess_sme(s)`.
    pub unsuccess_smes: UnsuccessSmes<'a>,
    /// SMPP 5.0: `congestion_state`...
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for SubmitMultiResp<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            message_id: body.text(MESSAGE_ID)?,
            unsuccess_smes: UnsuccessSmes::read(body)?,
            tlvs: body.tlvs(Strictness::Stream)?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(MESSAGE_ID, self.message_id)?;
        writer.u8(self.unsuccess_smes.count);
        writer.octets(self.unsuccess_smes.octets);
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}

/// A destination to which the message was not submitted (SMPP 3.4 section 4.5.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsuccessSme<'a> {
    /// `dest_addr_ton`, `dest_addr_npi` and `destination_addr` (up to 20 octets).
    pub destination: Address<'a>,
    /// `error_status_code`, a `command_status`.
    pub error_status_code: u32,
}

impl<'a> UnsuccessSme<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            destination: body.address(DESTINATION)?,
            error_status_code: body.u32("error_status_code")?,
        })
    }
}

/// Those destinations: a view of octets that are known to be whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnsuccessSmes<'a> {
    count: u8,
    octets: &'a [u8],
}

impl<'a> UnsuccessSmes<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        let count = body.u8("no_unsuccess")?;
        let start = body.position();
        for _ in 0..count {
            UnsuccessSme::read(body)?;
        }
        let octets = body.since(start);
        Ok(Self { count, octets })
    }

    /// `no_unsuccess`
    pub fn count(self) -> usize {
        self.count.into()
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = UnsuccessSme<'a>> {
        let mut body = Body::new(self.octets);
        (0..self.count).map_while(move |_| UnsuccessSme::read(&mut body).ok())
    }
}

/// A list of them that is being put together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnsuccessSmesBuffer {
    count: u8,
    octets: Vec<u8>,
}

impl UnsuccessSmesBuffer {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one behind the others.
    ///
    /// # Errors
    /// There are 255, or the address does not fit; nothing was added.
    pub fn push(&mut self, sme: UnsuccessSme<'_>) -> Result<&mut Self, Unencodable> {
        let count = self.count.checked_add(1).ok_or(Unencodable {
            field: "no_unsuccess",
        })?;
        let start = self.octets.len();
        let mut writer = BodyWriter::new(&mut self.octets);
        if let Err(unencodable) = writer.address(DESTINATION, sme.destination) {
            self.octets.truncate(start);
            return Err(unencodable);
        }
        writer.u32(sme.error_status_code);
        self.count = count;
        Ok(self)
    }

    /// What was added.
    pub fn as_unsuccess_smes(&self) -> UnsuccessSmes<'_> {
        UnsuccessSmes {
            count: self.count,
            octets: &self.octets,
        }
    }
}
