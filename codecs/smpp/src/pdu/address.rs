use crate::text::COctetString;

/// An SME address: type of number, numbering plan and digits (SMPP 3.4 sections 5.2.5 to 5.2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Address<'a> {
    /// Type of number, SMPP 3.4 table 5-3.
    pub ton: u8,
    /// Numbering plan indicator, SMPP 3.4 table 5-4.
    pub npi: u8,
    /// `source_addr`, `destination_addr`...: digits, or letters where `ton` is 5; 20 octets, 64 in `data_sm`.
    pub digits: COctetString<'a>,
}
