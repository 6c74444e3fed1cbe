-- A person's authenticator app, and how often somebody guessed. One row, so that one statement accepts a code, spends it
-- and forgets the failures before it.
CREATE TABLE authenticators (
    person_id INTEGER NOT NULL PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,
    -- NULL: none is confirmed.
    sealed_seed BLOB,
    -- The session it was confirmed in; only there it can be set up once more.
    confirmed_in INTEGER REFERENCES enrollment_tokens (id) ON DELETE SET NULL,
    confirmed_at INTEGER,
    -- A set-up that was begun and not finished, and the session it belongs to.
    sealed_pending_seed BLOB,
    pending_in INTEGER REFERENCES enrollment_tokens (id) ON DELETE SET NULL,
    -- Number of the newest 30 seconds of which a code was accepted.
    last_step INTEGER NOT NULL DEFAULT 0,
    -- Failures in a row, counted apart: from all networks where this person has proved to be before (each has its own
    -- count as well), and from elsewhere.
    familiar_failures INTEGER NOT NULL DEFAULT 0,
    elsewhere_failures INTEGER NOT NULL DEFAULT 0,
    elsewhere_retry_at INTEGER NOT NULL DEFAULT 0
);
-- Without them each enrollment token that is forgotten would be looked for in every row.
CREATE INDEX authenticators_by_confirming_session ON authenticators (confirmed_in) WHERE confirmed_in IS NOT NULL;
CREATE INDEX authenticators_by_pending_session ON authenticators (pending_in) WHERE pending_in IS NOT NULL;

CREATE TABLE recovery_codes (
    person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (person_id, digest)
);

-- Networks (an IPv4 address, or an IPv6 /64) from which a person has shown a secret that a stranger does not have.
CREATE TABLE familiar_networks (
    person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    network TEXT NOT NULL,
    -- 0: only counted here, because a device polls from there.
    seen_at INTEGER NOT NULL,
    -- In a row, from this network.
    failures INTEGER NOT NULL DEFAULT 0,
    retry_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (person_id, network)
);

-- Logins under way. Anybody who knows a device's public key can begin one, so one never replaces another.
CREATE TABLE mfa_sessions (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    location_id INTEGER NOT NULL REFERENCES locations (id) ON DELETE CASCADE,
    -- Begun from a familiar network of the device's person.
    is_familiar INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX mfa_sessions_by_device ON mfa_sessions (device_id, is_familiar, id);
CREATE INDEX mfa_sessions_by_location ON mfa_sessions (location_id);
CREATE INDEX mfa_sessions_by_expiry ON mfa_sessions (expires_at);

-- What a passed login is worth: until when a device may be in a location, and under which key.
CREATE TABLE authorisations (
    device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    location_id INTEGER NOT NULL REFERENCES locations (id) ON DELETE CASCADE,
    sealed_preshared_key BLOB NOT NULL,
    authorised_at INTEGER NOT NULL,
    authorised_until INTEGER NOT NULL,
    PRIMARY KEY (device_id, location_id)
);
CREATE INDEX authorisations_by_location ON authorisations (location_id, authorised_until);
