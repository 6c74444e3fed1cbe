-- Mails that wait for delivery, and for some days what became of them.
CREATE TABLE mails (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- Random. The content is sealed under it, and the mail carries it as its Message-ID, the same at every attempt.
    name BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    -- What its limit for each person counts.
    allowance TEXT NOT NULL,
    -- Recipient and values. NULL: nothing is left to send.
    sealed_content BLOB,
    outcome TEXT NOT NULL CHECK (outcome IN ('waiting', 'sent', 'failed', 'expired', 'withdrawn')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- After this it says nothing true any more, and is not sent.
    expires_at INTEGER NOT NULL,
    CHECK ((outcome = 'waiting') = (sealed_content IS NOT NULL))
);
CREATE INDEX mails_by_person ON mails (person_id, allowance, created_at);
CREATE INDEX mails_by_kind ON mails (kind, created_at);
CREATE INDEX mails_by_age ON mails (created_at);
CREATE INDEX mails_waiting ON mails (expires_at, next_attempt_at) WHERE outcome = 'waiting';

-- Tokens of links that reset a password. One token opens one session of its own.
CREATE TABLE password_resets (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    digest BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    session_ends_at INTEGER,
    -- The password was set in this session, and the token is worth nothing more.
    used_at INTEGER,
    -- Repeats with another password.
    mismatches INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX password_resets_by_person ON password_resets (person_id, id);
CREATE INDEX password_resets_by_expiry ON password_resets (expires_at);

-- People whose second factor is a code by e-mail. Their failures are counted beside those of an app.
CREATE TABLE mail_factors (
    person_id INTEGER NOT NULL PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,
    -- NULL: not confirmed.
    confirmed_at INTEGER,
    confirmed_in INTEGER REFERENCES enrollment_tokens (id) ON DELETE SET NULL,
    -- A set-up that was begun and not finished: the newest code, and the session it belongs to.
    pending_in INTEGER REFERENCES enrollment_tokens (id) ON DELETE SET NULL,
    pending_digest BLOB,
    pending_expires_at INTEGER
);
CREATE INDEX mail_factors_by_confirming_session ON mail_factors (confirmed_in) WHERE confirmed_in IS NOT NULL;
CREATE INDEX mail_factors_by_pending_session ON mail_factors (pending_in) WHERE pending_in IS NOT NULL;

-- The code that was mailed for a login, for as long as the login is open.
CREATE TABLE mail_codes (
    login_id INTEGER NOT NULL PRIMARY KEY REFERENCES mfa_sessions (id) ON DELETE CASCADE,
    digest BLOB NOT NULL
);
