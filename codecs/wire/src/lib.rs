//! Bounds-checked cursor over octets, shared by the binary codecs.
