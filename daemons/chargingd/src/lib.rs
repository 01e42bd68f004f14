//! Accounts, rating, reservations, ledger and the Diameter Ro server.
