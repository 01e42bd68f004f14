//! The tables.

/// By number, from 1; only ever appended to.
pub const MIGRATIONS: &[&str] = &["
CREATE TABLE payments (
    id               TEXT PRIMARY KEY,
    token            TEXT NOT NULL UNIQUE,
    invoice          TEXT NOT NULL,
    shop_key         TEXT NOT NULL,
    reference        TEXT NOT NULL,
    provider         TEXT NOT NULL,
    fee_micro        INTEGER NOT NULL,
    amount_micro     INTEGER NOT NULL,
    currency         TEXT NOT NULL,
    login            TEXT NOT NULL,
    account          TEXT,
    number           TEXT,
    rating_group     INTEGER,
    state            TEXT NOT NULL,
    attempt          INTEGER NOT NULL,
    cause            INTEGER NOT NULL,
    created_ms       INTEGER NOT NULL,
    paid_ms          INTEGER,
    changed_ms       INTEGER NOT NULL,
    acknowledgement  TEXT,
    onward           TEXT,
    onward_reference TEXT UNIQUE,
    UNIQUE (shop_key, reference),
    CHECK ((account IS NULL) <> (number IS NULL)),
    CHECK (state NOT IN ('paid', 'acknowledged') OR acknowledgement IS NOT NULL)
) STRICT;
CREATE INDEX payments_open ON payments (created_ms) WHERE state IN ('charging', 'paid', 'refunding');
CREATE INDEX payments_created ON payments (created_ms);
CREATE INDEX payments_changed ON payments (changed_ms);
CREATE TABLE customers (
    login        TEXT PRIMARY KEY,
    secret_hash  TEXT NOT NULL,
    kind         TEXT NOT NULL,
    account      TEXT,
    number       TEXT,
    rating_group INTEGER,
    blocked      INTEGER NOT NULL,
    created_ms   INTEGER NOT NULL,
    CHECK ((account IS NULL) <> (number IS NULL))
) STRICT;
", "
CREATE INDEX payments_forwarded ON payments (created_ms) WHERE state = 'forwarded';
", "
CREATE TABLE passkeys (
    id         BLOB PRIMARY KEY,
    login      TEXT NOT NULL,
    handle     BLOB NOT NULL,
    key        BLOB NOT NULL,
    state      BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    used_ms    INTEGER
) STRICT;
CREATE INDEX passkeys_login ON passkeys (login);
"];
