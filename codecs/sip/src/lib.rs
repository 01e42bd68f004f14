//! SIP: RFC 3261 messages, transactions and dialogs, without I/O.
