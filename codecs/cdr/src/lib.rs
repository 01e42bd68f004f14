//! The charge record and its file encodings, without I/O.
