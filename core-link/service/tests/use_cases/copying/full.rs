//! A store with a row in every table: by people who use it as far as that goes, and by hand where it takes others.

use crate::{
    mfa::support::Member,
    support::{Core, configured, key, new_device, start},
};

/// Beside what joe and ann do. Text that means something to SQL or to COPY, bytes of every kind, numbers at their ends,
/// and numbers of rows that are gone.
const ROWS: &str = r"
    INSERT INTO people (id, login, email, first_name, last_name, phone, is_admin, disabled_at, created_at) VALUES
        (9223372036854775000, 'zoë', 'zoë@example.org', 'Zoë ''\N\.', char(9) || 'a' || char(10) || char(13) || '\', '', 1,
            -9223372036854775807 - 1, 9223372036854775807),
        (900, 'gone', 'gone@example.org', '', '', NULL, 0, NULL, 1);
    DELETE FROM people WHERE id IN (900, 9223372036854775000);
    UPDATE sqlite_sequence SET seq = 901 WHERE name = 'people';
    INSERT INTO people (id, login, email, first_name, last_name, phone, is_admin, disabled_at, created_at) VALUES
        (800, 'zoë', 'zoë@example.org', 'Zoë ''\N\.', char(9) || 'a' || char(10) || char(13) || '\', '', 1,
            -9223372036854775807 - 1, 9223372036854775807);
    INSERT INTO released_addresses VALUES (1, 0, 200, 5);
    INSERT INTO authority VALUES (1, X'', X'000a0d095c4e', 1);
    INSERT INTO edges VALUES (1, 'edge-1', '192.0.2.1:50051', 1, NULL, X'01', X'02', X'03', 6);
    INSERT INTO edges VALUES (2, 'edge-2', '[2001:db8::1]:50051', 0, 7, X'01', X'02', X'03', 6);
    INSERT INTO mails (name, kind, person_id, allowance, sealed_content, outcome, attempts, next_attempt_at, created_at,
            expires_at)
        VALUES (X'01', 'invitation', 1, 'invitation', X'00ff', 'waiting', 0, 9223372036854775807, 2, 3),
               (X'02', 'invitation', 1, 'invitation', NULL, 'sent', 1, 1, 2, 3);
    INSERT INTO password_resets (person_id, digest, created_at, expires_at) VALUES (1, X'01', 1, 9223372036854775807);
    INSERT INTO mail_factors VALUES (1, 1, NULL, NULL, X'01', 5);
    INSERT INTO mail_codes SELECT MIN(id), X'0b' FROM mfa_sessions;
    INSERT INTO openid_identities VALUES ('https://id.example.org', 'subject', 1, 1);
    INSERT INTO openid_nonces VALUES (X'0c', 9223372036854775807);
    INSERT INTO phone_keys SELECT MIN(id), X'0d', 1 FROM devices;
    INSERT INTO device_posture SELECT MIN(id), '{\}', 1, 2 FROM devices;
    INSERT INTO web_certificate VALUES (1, 'PEM', X'0e', NULL, 1, NULL, NULL);
    INSERT INTO acme_account VALUES (1, X'0f', 1);
    INSERT INTO changes VALUES ('weather', 4);
    INSERT INTO leases VALUES ('nothing', 'nobody', 3, 4);
    INSERT INTO devices (name, created_at) VALUES ('host-1', 1);
    INSERT INTO enrollment_tokens (host_id, digest, created_at, expires_at)
        SELECT id, X'10', 1, 9223372036854775807 FROM devices WHERE person_id IS NULL;";

/// Joe can log in, poll, and begin a login; ann has been invited.
pub(super) async fn full_store() -> (Core, Member) {
    let (core, joe) = Core::with_member().await;
    crate::mfa::support::passed(core.show(&joe, &core.code(&joe.seed)).await);
    core.wait(30);
    core.begin(&joe.key).await;
    core.add_person("ann").await;
    let ann = core.invite("ann").await;
    core.ask_as("operation-1", start(&ann)).await.unwrap();
    configured(core.ask_as("operation-2", new_device(&ann, "laptop", &key(50))).await);
    super::reading::change(&core.folder().join("core.db"), ROWS).await;
    (core, joe)
}
