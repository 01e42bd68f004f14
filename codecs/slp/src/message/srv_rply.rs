use tollwire_wire::{Reader, Writer};

use crate::error::{DecodeError, ErrorCode, Unencodable};
use crate::field;
use crate::header::{self, Flags, Function, Header, MAX_LENGTH};
use crate::url_entry::UrlEntry;

/// Answers a SrvRqst (RFC 2608 8.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SrvRply<'a> {
    /// Zero, or why there is nothing.
    pub error: ErrorCode,
    /// The services.
    pub urls: Vec<UrlEntry<'a>>,
}

impl<'a> SrvRply<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let error = ErrorCode(field::u16(reader, "Error Code")?);
        // Behind a nonzero code nothing need follow (RFC 2608 7).
        if error != ErrorCode::OK && reader.is_empty() {
            return Ok(Self {
                error,
                ..Self::default()
            });
        }
        let count = field::u16(reader, "URL Entry count")?;
        // Grows as entries are there, not by the count.
        let mut urls = Vec::new();
        for _ in 0..count {
            urls.push(UrlEntry::read(reader)?);
        }
        Ok(Self { error, urls })
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Unencodable> {
        let count = u16::try_from(self.urls.len()).map_err(|_| Unencodable {
            field: "URL Entry count",
            length: self.urls.len(),
        })?;
        writer.u16(self.error.0);
        writer.u16(count);
        for entry in &self.urls {
            entry.write(writer)?;
        }
        Ok(())
    }
}

/// Writes a SrvRply entry by entry, and never beyond a length (RFC 2608 6.1).
#[derive(Debug)]
pub struct SrvRplyWriter {
    writer: Writer,
    count_at: usize,
    count: u16,
    limit: usize,
    reserved: usize,
    flags: Flags,
    overflow: bool,
}

impl SrvRplyWriter {
    /// Begins a reply of at most `limit` octets under `header`.
    ///
    /// # Errors
    /// A language tag that is too long for any message.
    pub fn new(header: &Header<'_>, limit: usize) -> Result<Self, Unencodable> {
        let mut writer = Writer::with_capacity(256);
        header::begin(&mut writer, header, Function::SrvRply)?;
        writer.u16(ErrorCode::OK.0);
        let count_at = writer.len();
        writer.u16(0);
        Ok(Self {
            writer,
            count_at,
            count: 0,
            limit: limit.min(MAX_LENGTH),
            reserved: 0,
            flags: header.flags,
            overflow: false,
        })
    }

    /// Adds an entry, and keeps room for `extension` octets that belong to it.
    ///
    /// False when it does not fit: no further entry is taken.
    pub fn push(&mut self, entry: &UrlEntry<'_>, extension: usize) -> bool {
        if self.overflow {
            return false;
        }
        let reserved = self.reserved + extension;
        let length = self.writer.len() + entry.encoded_length() + reserved;
        if length > self.limit || self.count == u16::MAX || entry.write(&mut self.writer).is_err() {
            self.overflow = true;
            return false;
        }
        self.count += 1;
        self.reserved = reserved;
        true
    }

    /// Entries so far.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether an entry did not fit.
    pub fn overflowed(&self) -> bool {
        self.overflow
    }

    /// The whole message, with the OVERFLOW flag if there is more: it has no meaning on a stream (RFC 2608 6.2).
    ///
    /// # Errors
    /// As [`crate::encode`], for what the extensions hold.
    pub fn finish(
        mut self,
        overflow: bool,
        extensions: &[crate::Extension<'_>],
    ) -> Result<Vec<u8>, Unencodable> {
        self.writer.patch_u16(self.count_at, self.count);
        if overflow {
            header::set_overflow(&mut self.writer, 0, self.flags);
        }
        crate::extension::write_chain(&mut self.writer, 0, extensions)?;
        header::finish(&mut self.writer, 0)?;
        Ok(self.writer.into_vec())
    }
}
