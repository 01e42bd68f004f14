/// Command Flags of the Diameter header (RFC 6733 3).
///
/// ```text
///  0 1 2 3 4 5 6 7
/// +-+-+-+-+-+-+-+-+
/// |R P E T r r r r|
/// +-+-+-+-+-+-+-+-+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct CommandFlags(pub u8);

impl CommandFlags {
    /// R: the message is a request.
    pub const REQUEST: Self = Self(0x80);
    /// P: the message may be proxied, relayed or redirected.
    pub const PROXIABLE: Self = Self(0x40);
    /// E: the message contains a protocol error, so it need not match its command's grammar.
    pub const ERROR: Self = Self(0x20);
    /// T: possibly a retransmission, sent again after a link failover.
    pub const RETRANSMITTED: Self = Self(0x10);

    /// Whether every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// AVP Flags (RFC 6733 4.1), without the V bit: that one follows from the vendor id.
///
/// ```text
///  0 1 2 3 4 5 6 7
/// +-+-+-+-+-+-+-+-+
/// |V M P r r r r r|
/// +-+-+-+-+-+-+-+-+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct AvpFlags(u8);

impl AvpFlags {
    /// No bit set: a receiver that does not know the AVP ignores it.
    pub const NONE: Self = Self(0);
    /// M: a receiver that does not know the AVP rejects the message.
    pub const MANDATORY: Self = Self(0x40);

    pub(crate) const VENDOR: u8 = 0x80;

    /// The flags in `octet`; the V bit is dropped.
    pub const fn from_octet(octet: u8) -> Self {
        Self(octet & !Self::VENDOR)
    }

    /// The octet without the V bit.
    pub const fn octet(self) -> u8 {
        self.0
    }

    /// Whether M is set.
    pub const fn is_mandatory(self) -> bool {
        self.0 & Self::MANDATORY.0 != 0
    }
}
