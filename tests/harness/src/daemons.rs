//! The daemons under test, in the router of a [`crate::net::Net`].
