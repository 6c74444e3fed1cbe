-- Times are seconds since 1970, UTC. Sealed values open only with the master key and only where they rest.

-- Proves that the master key at hand is the one of this database.
CREATE TABLE master_key_check (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    sealed BLOB NOT NULL
);

CREATE TABLE instance (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL
);

-- Keys that seal session cookies. All of them open; the one with the highest epoch seals.
CREATE TABLE session_keys (
    key_id BLOB NOT NULL PRIMARY KEY,
    sealed_key BLOB NOT NULL,
    -- NULL: not yet known to every Edge, so it only opens.
    primary_epoch INTEGER UNIQUE,
    created_at INTEGER NOT NULL
);

CREATE TABLE people (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    login TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL UNIQUE,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    phone TEXT,
    is_admin INTEGER NOT NULL,
    disabled_at INTEGER,
    -- Argon2id with its parameters, as a PHC string. NULL until the person has enrolled.
    password_hash TEXT,
    enrolled_at INTEGER,
    created_at INTEGER NOT NULL
);

-- One token opens one session of its own.
CREATE TABLE enrollment_tokens (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    digest BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    session_ends_at INTEGER,
    -- The person was activated in this session.
    activated_at INTEGER,
    -- Activations repeated with another password.
    mismatches INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX enrollment_tokens_by_person ON enrollment_tokens (person_id);
CREATE INDEX enrollment_tokens_by_expiry ON enrollment_tokens (expires_at);

CREATE TABLE locations (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    endpoint TEXT NOT NULL,
    public_key TEXT NOT NULL,
    -- Comma separated, as clients get them.
    allowed_ips TEXT NOT NULL,
    dns TEXT,
    mfa_mode TEXT NOT NULL CHECK (mfa_mode IN ('disabled', 'internal', 'external')),
    keepalive_seconds INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);

-- Addresses are handed out in order, by offset from the network's address; released ones only when those are used up.
CREATE TABLE location_ranges (
    location_id INTEGER NOT NULL REFERENCES locations (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    network TEXT NOT NULL,
    gateway_offset INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    last_offset INTEGER NOT NULL,
    PRIMARY KEY (location_id, position)
);

CREATE TABLE devices (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    public_key TEXT NOT NULL UNIQUE,
    -- The session that made it, so that a repeat within that session finds it.
    enrollment_token_id INTEGER REFERENCES enrollment_tokens (id) ON DELETE SET NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX devices_by_person ON devices (person_id);
CREATE INDEX devices_by_enrollment_token ON devices (enrollment_token_id);

CREATE TABLE device_addresses (
    location_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    host_offset INTEGER NOT NULL,
    device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    PRIMARY KEY (location_id, position, host_offset),
    FOREIGN KEY (location_id, position) REFERENCES location_ranges (location_id, position) ON DELETE CASCADE
);
CREATE UNIQUE INDEX device_addresses_by_device ON device_addresses (device_id, location_id, position);

CREATE TABLE released_addresses (
    location_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    host_offset INTEGER NOT NULL,
    released_at INTEGER NOT NULL,
    PRIMARY KEY (location_id, position, host_offset),
    FOREIGN KEY (location_id, position) REFERENCES location_ranges (location_id, position) ON DELETE CASCADE
);
CREATE INDEX released_addresses_by_age ON released_addresses (location_id, position, released_at, host_offset);

CREATE TABLE polling_tokens (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    digest BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);
CREATE INDEX polling_tokens_by_device ON polling_tokens (device_id, id);

-- The replay memory: one row for each operation of the last minutes.
CREATE TABLE operations (
    -- MAC of the operation's id, its kind and its payload.
    digest BLOB NOT NULL PRIMARY KEY,
    -- NULL only inside the transaction that claims the row.
    sealed_reply BLOB,
    expires_at INTEGER NOT NULL
);
CREATE INDEX operations_by_expiry ON operations (expires_at);

CREATE TABLE activity (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    subject TEXT NOT NULL,
    ip TEXT,
    edge_id INTEGER,
    outcome TEXT NOT NULL CHECK (outcome IN ('done', 'refused')),
    detail TEXT NOT NULL
);
CREATE TRIGGER activity_is_never_changed BEFORE UPDATE ON activity
BEGIN
    SELECT RAISE(ABORT, 'activity rows are never changed');
END;
CREATE TRIGGER activity_is_never_deleted BEFORE DELETE ON activity
BEGIN
    SELECT RAISE(ABORT, 'activity rows are never deleted');
END;
