//! Session descriptions as a gate for media reads them.
