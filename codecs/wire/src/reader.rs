use thiserror::Error;

/// A read asked for more octets than the buffer has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("at octet {offset}: {needed} octets needed, {available} left")]
pub struct ShortBuffer {
    /// Where the read began, from the start of the outermost buffer.
    pub offset: usize,
    /// Octets the read asked for.
    pub needed: usize,
    /// Octets that were left.
    pub available: usize,
}

/// A cursor over a borrowed buffer.
///
/// Offsets are counted from the start of the outermost buffer, also in a
/// reader made by [`Reader::sub`], so that an error names the octet a capture shows.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `buffer`.
    pub fn new(buffer: &'a [u8]) -> Self {
        Self {
            rest: buffer,
            position: 0,
        }
    }

    /// Octets consumed, from the start of the outermost buffer.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Octets left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` octets.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ShortBuffer> {
        let Some((head, tail)) = self.rest.split_at_checked(count) else {
            return Err(ShortBuffer {
                offset: self.position,
                needed: count,
                available: self.rest.len(),
            });
        };
        self.rest = tail;
        self.position += count;
        Ok(head)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.position += self.rest.len();
        std::mem::take(&mut self.rest)
    }

    /// A cursor over the next `count` octets alone: a length-prefixed part.
    pub fn sub(&mut self, count: usize) -> Result<Reader<'a>, ShortBuffer> {
        let position = self.position;
        Ok(Reader {
            rest: self.take(count)?,
            position,
        })
    }

    /// Passes over `count` octets.
    pub fn skip(&mut self, count: usize) -> Result<(), ShortBuffer> {
        self.take(count).map(drop)
    }

    /// One octet.
    pub fn u8(&mut self) -> Result<u8, ShortBuffer> {
        self.array().map(u8::from_be_bytes)
    }

    /// Two octets.
    pub fn u16(&mut self) -> Result<u16, ShortBuffer> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three octets.
    pub fn u24(&mut self) -> Result<u32, ShortBuffer> {
        self.array()
            .map(|[high, middle, low]| u32::from_be_bytes([0, high, middle, low]))
    }

    /// Four octets.
    pub fn u32(&mut self) -> Result<u32, ShortBuffer> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight octets.
    pub fn u64(&mut self) -> Result<u64, ShortBuffer> {
        self.array().map(u64::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ShortBuffer> {
        let Some((head, tail)) = self.rest.split_first_chunk() else {
            return Err(ShortBuffer {
                offset: self.position,
                needed: N,
                available: self.rest.len(),
            });
        };
        self.rest = tail;
        self.position += N;
        Ok(*head)
    }
}
