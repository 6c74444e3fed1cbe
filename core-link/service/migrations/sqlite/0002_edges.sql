-- The authority that signs every identity. Its key opens only with the master key.
CREATE TABLE authority (
    singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    certificate BLOB NOT NULL,
    sealed_key BLOB NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE edges (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL UNIQUE,
    enabled INTEGER NOT NULL,
    -- NULL: its identity was sent, and whether it arrived is not known yet.
    adopted_at INTEGER,
    -- DER; the Edge is recognised by the whole of it.
    certificate BLOB NOT NULL,
    -- With these Core dials this Edge. The key is sealed beside its certificate.
    client_certificate BLOB NOT NULL,
    sealed_client_key BLOB NOT NULL,
    created_at INTEGER NOT NULL
);
