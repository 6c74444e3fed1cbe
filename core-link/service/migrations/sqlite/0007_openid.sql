-- Who a person is at an OpenID provider. Nothing but issuer and subject names anybody: e-mail addresses and user names
-- are handed on to others.
CREATE TABLE openid_identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person_id INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
);
-- One identity of each provider, so that a second account there never gets in beside the first.
CREATE UNIQUE INDEX openid_identities_by_person ON openid_identities (person_id, issuer);

-- Sign-ins that have ended: each nonce is worth one.
CREATE TABLE openid_nonces (
    digest BLOB NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
);
CREATE INDEX openid_nonces_by_expiry ON openid_nonces (expires_at);

-- When the person of this login proved to be themselves at the OpenID provider.
ALTER TABLE mfa_sessions ADD COLUMN openid_passed_at INTEGER;
