-- The Ed25519 key of a phone's app, which a finger or a face unlocks. One for each device; a host has none.
CREATE TABLE phone_keys (
    device_id INTEGER NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    public_key BLOB NOT NULL,
    registered_at INTEGER NOT NULL
);

-- How a login is to be passed. One that a phone approved stays until its result was fetched.
ALTER TABLE mfa_sessions ADD COLUMN method TEXT NOT NULL DEFAULT 'totp'
    CHECK (method IN ('totp', 'email', 'openid', 'biometric', 'mobile_approval'));
-- NULL: not approved.
ALTER TABLE mfa_sessions ADD COLUMN sealed_preshared_key BLOB;
-- When the result was first handed over.
ALTER TABLE mfa_sessions ADD COLUMN delivered_at INTEGER;
-- What the device reported when it began the login.
ALTER TABLE mfa_sessions ADD COLUMN posture TEXT;
CREATE INDEX mfa_sessions_delivered ON mfa_sessions (delivered_at) WHERE delivered_at IS NOT NULL;

-- What devices last told about themselves, as JSON.
CREATE TABLE device_posture (
    device_id INTEGER NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    report TEXT NOT NULL,
    reported_at INTEGER NOT NULL,
    -- When a change was last recorded.
    recorded_at INTEGER NOT NULL
);
