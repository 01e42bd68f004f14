/// Builds a message front to back; a length that is known late is patched.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    buffer: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `capacity` octets.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            buffer: Vec::with_capacity(capacity),
        }
    }

    /// Octets written.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// What was written.
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    /// What was written, owned.
    pub fn into_vec(self) -> Vec<u8> {
        self.buffer
    }

    /// Octets as they are.
    pub fn bytes(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// One octet.
    pub fn u8(&mut self, value: u8) {
        self.buffer.push(value);
    }

    /// Two octets.
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// The low three octets of `value`.
    pub fn u24(&mut self, value: u32) {
        let [_, low @ ..] = value.to_be_bytes();
        self.bytes(&low);
    }

    /// Four octets.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Eight octets.
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Overwrites two octets at `at`; does nothing if they were not written yet.
    pub fn patch_u16(&mut self, at: usize, value: u16) {
        self.patch(at, &value.to_be_bytes());
    }

    /// Overwrites three octets at `at`; does nothing if they were not written yet.
    pub fn patch_u24(&mut self, at: usize, value: u32) {
        let [_, low @ ..] = value.to_be_bytes();
        self.patch(at, &low);
    }

    /// Overwrites four octets at `at`; does nothing if they were not written yet.
    pub fn patch_u32(&mut self, at: usize, value: u32) {
        self.patch(at, &value.to_be_bytes());
    }

    fn patch(&mut self, at: usize, octets: &[u8]) {
        let end = at.saturating_add(octets.len());
        if let Some(place) = self.buffer.get_mut(at..end) {
            place.copy_from_slice(octets);
        }
    }
}

/// Goes on behind what `buffer` holds already.
impl From<Vec<u8>> for Writer {
    fn from(buffer: Vec<u8>) -> Self {
        Self { buffer }
    }
}
