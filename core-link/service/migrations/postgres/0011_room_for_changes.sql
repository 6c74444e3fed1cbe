-- Room beside each row for its next version, which then needs no new entry in any index: an entry that is put into a page
-- of an index collides with everybody who looked for another row on it. Each login changes its person's rows, and each
-- operation the row that claimed it.
ALTER TABLE authenticators SET (fillfactor = 50);
ALTER TABLE familiar_networks SET (fillfactor = 50);
ALTER TABLE operations SET (fillfactor = 40);
