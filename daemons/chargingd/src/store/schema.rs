//! The tables, in the words of SQLite.

/// Each brings the tables from one version to the next. Written once, never changed.
/// `entry` is only ever added to. `value` and `profile` are JSON.
pub(super) const MIGRATIONS: &[&str] = &[
    ACCOUNTS,
    SERVICE_ACCOUNTS,
    NOTIFICATIONS,
    SEVERAL_SERVICES,
    INVOICES,
    VOUCHERS,
    AUDIT,
];

/// Amounts are micro-units.
const ACCOUNTS: &str = r#"
CREATE TABLE IF NOT EXISTS account (
    name               TEXT PRIMARY KEY,
    payment            TEXT NOT NULL,
    currency           TEXT NOT NULL,
    balance_micro      INTEGER NOT NULL,
    credit_limit_micro INTEGER NOT NULL CHECK (credit_limit_micro >= 0),
    blocked            INTEGER NOT NULL CHECK (blocked IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS identity (
    identity TEXT PRIMARY KEY,
    account  TEXT NOT NULL REFERENCES account (name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
    id           INTEGER PRIMARY KEY,
    key          TEXT NOT NULL UNIQUE,
    debit        TEXT NOT NULL,
    credit       TEXT NOT NULL CHECK (credit <> debit),
    amount_micro INTEGER NOT NULL CHECK (amount_micro > 0),
    currency     TEXT NOT NULL,
    unix_ms      INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS session (
    id             TEXT PRIMARY KEY,
    closed_unix_ms INTEGER,
    value          TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    sequence_number INTEGER PRIMARY KEY,
    value           TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS last_record (
    "only"          INTEGER PRIMARY KEY CHECK ("only" = 0),
    sequence_number INTEGER NOT NULL
) STRICT;
"#;

/// Entries move units too, and say what they pay for.
const SERVICE_ACCOUNTS: &str = "
ALTER TABLE account ADD COLUMN profile TEXT NOT NULL DEFAULT '{}';
ALTER TABLE entry RENAME COLUMN amount_micro TO amount;
ALTER TABLE entry RENAME COLUMN currency TO commodity;
ALTER TABLE entry ADD COLUMN service TEXT NOT NULL DEFAULT '';
ALTER TABLE entry ADD COLUMN provider TEXT NOT NULL DEFAULT '';
ALTER TABLE entry ADD COLUMN tax_basis_points INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN commission_basis_points INTEGER NOT NULL DEFAULT 0;
CREATE INDEX entry_debit ON entry (debit, unix_ms);
CREATE INDEX entry_credit ON entry (credit, unix_ms);
CREATE TABLE service_account (
    name    TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (name),
    unit    TEXT NOT NULL,
    balance INTEGER NOT NULL,
    value   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// A row for each contact that is still to be told.
const NOTIFICATIONS: &str = "
CREATE TABLE notification (
    key          TEXT PRIMARY KEY,
    channel      TEXT NOT NULL,
    next_unix_ms INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    error        TEXT NOT NULL,
    value        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notification_due ON notification (channel, next_unix_ms);
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// A session has several services now: those of before end with their grants, and hold nothing any more.
const SEVERAL_SERVICES: &str = "DELETE FROM session;";

/// Closed periods. Rows of `invoice` and `settlement` count when their period has its row. `month` is counted from the
/// year 0; ids are the month and a count within it.
const INVOICES: &str = "
CREATE TABLE invoice (
    id            INTEGER PRIMARY KEY,
    month         INTEGER NOT NULL,
    ordinal       INTEGER NOT NULL,
    number        TEXT NOT NULL,
    account       TEXT NOT NULL,
    until_unix_ms INTEGER NOT NULL,
    through       INTEGER NOT NULL,
    closing_micro INTEGER NOT NULL,
    value         TEXT NOT NULL
) STRICT;
CREATE INDEX invoice_account ON invoice (account, id);
CREATE INDEX invoice_number ON invoice (number);
CREATE TABLE settlement (
    id            INTEGER PRIMARY KEY,
    month         INTEGER NOT NULL,
    ordinal       INTEGER NOT NULL,
    provider      TEXT NOT NULL,
    currency      TEXT NOT NULL,
    carried_micro INTEGER NOT NULL,
    value         TEXT NOT NULL
) STRICT;
CREATE INDEX settlement_provider ON settlement (provider, currency, id);
CREATE TABLE period (
    month                 INTEGER PRIMARY KEY,
    through               INTEGER NOT NULL,
    open_from             INTEGER NOT NULL,
    settled_until_unix_ms INTEGER NOT NULL,
    first_number          INTEGER NOT NULL,
    invoices              INTEGER NOT NULL,
    settlements           INTEGER NOT NULL,
    closed_unix_ms        INTEGER NOT NULL
) STRICT;
CREATE INDEX service_account_account ON service_account (account);
";

/// Codes are not stored: `hash` is SHA-256 of one. An account without a name has not redeemed it; 0 is no time.
const VOUCHERS: &str = "
CREATE TABLE voucher_batch (
    name            TEXT PRIMARY KEY,
    amount_micro    INTEGER NOT NULL,
    currency        TEXT NOT NULL,
    expires_unix_ms INTEGER NOT NULL,
    issued_unix_ms  INTEGER NOT NULL,
    voided_unix_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE voucher (
    hash      TEXT PRIMARY KEY,
    batch     TEXT NOT NULL REFERENCES voucher_batch (name),
    account   TEXT NOT NULL,
    reference TEXT NOT NULL,
    unix_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX voucher_batch_of ON voucher (batch, hash);
";

/// Who changed what. Only ever added to.
const AUDIT: &str = "
CREATE TABLE audit (
    id        INTEGER PRIMARY KEY,
    unix_ms   INTEGER NOT NULL,
    who       TEXT NOT NULL,
    operation TEXT NOT NULL,
    account   TEXT NOT NULL,
    detail    TEXT NOT NULL,
    outcome   TEXT NOT NULL
) STRICT;
CREATE INDEX audit_account ON audit (account, id);
";
