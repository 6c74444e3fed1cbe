-- What several Cores on one database tell each other.

-- Grows with each change of what Cores hold in memory, in the transaction of that change.
CREATE TABLE changes (
    topic TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
);

-- Jobs that one Core at a time does.
CREATE TABLE leases (
    job TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- The instance id of a Core's run, as on the wire.
    holder TEXT COLLATE "C" NOT NULL,
    -- Grows with each new holder. What is done under a lease shows it.
    fencing BIGINT NOT NULL,
    -- By the database's clock.
    expires_at BIGINT NOT NULL
);

-- The number of the newest wait for this login's approval, at whichever Core that is. 0: nobody has waited yet.
ALTER TABLE mfa_sessions ADD COLUMN waiter BIGINT NOT NULL DEFAULT 0;
