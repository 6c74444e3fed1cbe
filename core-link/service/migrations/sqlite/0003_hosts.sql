-- Hosts: devices that belong to nobody. A device and an enrollment token then have no person, and a host has no key until
-- it has enrolled. SQLite cannot relax a column, so both tables are made anew; nothing checks references meanwhile.

CREATE TABLE devices_new (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- NULL: a host.
    person_id INTEGER REFERENCES people (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- NULL: a host that was announced and has not enrolled yet.
    public_key TEXT UNIQUE,
    -- The session that made it, so that a repeat within that session finds it.
    enrollment_token_id INTEGER REFERENCES enrollment_tokens (id) ON DELETE SET NULL,
    created_at INTEGER NOT NULL,
    CHECK (person_id IS NULL OR public_key IS NOT NULL)
);
INSERT INTO devices_new (id, person_id, name, public_key, enrollment_token_id, created_at)
    SELECT id, person_id, name, public_key, enrollment_token_id, created_at FROM devices;
-- An id that was once given is never given again, so the counter moves along.
DELETE FROM sqlite_sequence WHERE name = 'devices_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'devices_new', seq FROM sqlite_sequence WHERE name = 'devices';
DROP TABLE devices;
ALTER TABLE devices_new RENAME TO devices;
CREATE INDEX devices_by_person ON devices (person_id);
CREATE INDEX devices_by_enrollment_token ON devices (enrollment_token_id);
CREATE UNIQUE INDEX hosts_by_name ON devices (name) WHERE person_id IS NULL;

CREATE TABLE enrollment_tokens_new (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    person_id INTEGER REFERENCES people (id) ON DELETE CASCADE,
    -- The host that this token is for, instead of a person.
    host_id INTEGER REFERENCES devices (id) ON DELETE CASCADE,
    digest BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    session_ends_at INTEGER,
    -- The person was activated in this session.
    activated_at INTEGER,
    -- Activations repeated with another password.
    mismatches INTEGER NOT NULL DEFAULT 0,
    CHECK ((person_id IS NULL) <> (host_id IS NULL))
);
INSERT INTO enrollment_tokens_new
        (id, person_id, digest, created_at, expires_at, session_ends_at, activated_at, mismatches)
    SELECT id, person_id, digest, created_at, expires_at, session_ends_at, activated_at, mismatches
    FROM enrollment_tokens;
DELETE FROM sqlite_sequence WHERE name = 'enrollment_tokens_new';
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'enrollment_tokens_new', seq FROM sqlite_sequence WHERE name = 'enrollment_tokens';
DROP TABLE enrollment_tokens;
ALTER TABLE enrollment_tokens_new RENAME TO enrollment_tokens;
CREATE INDEX enrollment_tokens_by_person ON enrollment_tokens (person_id);
CREATE INDEX enrollment_tokens_by_host ON enrollment_tokens (host_id);
CREATE INDEX enrollment_tokens_by_expiry ON enrollment_tokens (expires_at);
