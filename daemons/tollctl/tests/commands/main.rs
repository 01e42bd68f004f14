//! Each command against a daemon that only remembers what it was asked: the request, the output, the exit code.

mod account;
mod accounting;
mod ca;
mod calls;
mod daemons;
mod invoice;
mod notify;
#[path = "../../../peer-user/tests/user/parties.rs"]
mod parties;
mod peer;
mod records;
mod service_account;
mod slp;
mod standing;
mod subscriber;
mod voucher;
