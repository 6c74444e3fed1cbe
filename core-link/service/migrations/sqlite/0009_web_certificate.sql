-- The certificate that Edges show to browsers, if there is one.
CREATE TABLE web_certificate (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    -- PEM, the site's own certificate first. The key is sealed beside it.
    chain TEXT NOT NULL,
    sealed_key BLOB NOT NULL,
    -- The domain it was ordered for; NULL: an administrator brought it, and it is not renewed.
    ordered_for TEXT,
    stored_at INTEGER NOT NULL,
    -- The last try to renew it; why it failed.
    renewal_tried_at INTEGER,
    renewal_error TEXT
);

-- The account under which certificates are ordered.
CREATE TABLE acme_account (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    sealed_credentials BLOB NOT NULL,
    stored_at INTEGER NOT NULL
);
