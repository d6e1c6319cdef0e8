-- Rows as the release with 0001 left them: a delivery in each state. pg_temp.id(n) is a UUID.
INSERT INTO consumer.settings (
    default_company_id, default_role, default_department, role_key, department_key, company_key, delete_policy
)
VALUES (pg_temp.id(10), 'guest', 'Nowhere', 'rank', 'unit', 'firm', 'anonymise');

INSERT INTO consumer.outbox (source, message_id, event_type, user_id, team_id, occurred_at, received_at, body)
SELECT
    source,
    message_id,
    event_type,
    pg_temp.id(user_number),
    pg_temp.id(team_number),
    '2026-11-22 12:00+00'::timestamptz + second * interval '1 s',
    '2026-11-22 12:01+00'::timestamptz + second * interval '1 s',
    convert_to(body, 'UTF8')
FROM (
    VALUES
    ('stack', 'msg_1', 'user.updated', 1, NULL, 1, '{"type": "user.updated", "data": {"id": "1"}}'),
    (
        'stack', 'msg_2', 'user.updated', 21, NULL, 2,
        '{"type": "user.updated", "data": {"id": "00000000-0000-0000-0000-000000000015", "display_name": "José Łuk",
        "primary_email": null, "primary_email_verified": false, "profile_image_url": null,
        "signed_up_at_millis": 1795330800123, "server_metadata": {"rank": "captain", "role": "none"}}}'
    ),
    ('stack', 'msg_3', 'user.deleted', 3, NULL, 3, '{"type": "user.deleted", "data": {"id": "3"}}'),
    ('stack', 'msg_4', NULL, NULL, NULL, 4, 'not JSON'),
    ('stack', 'msg_5', 'user.deleted', 4, NULL, 5, '{"type": "user.deleted", "data": {"id": "4"}}'),
    ('app', 'app_6', 'user.signed_in', 1, NULL, 6, '{"type": "user.signed_in", "data": {"id": "1"}}'),
    (
        'stack', 'msg_7', 'team.updated', NULL, 22, 7,
        '{"type": "team.updated", "data": {"id": "00000000-0000-0000-0000-000000000016", "display_name": "Late",
        "profile_image_url": null}}'
    )
) AS told (source, message_id, event_type, user_number, team_number, second, body)
ORDER BY second;

INSERT INTO consumer.pending (seq, has_failed)
SELECT
    seq,
    message_id = 'msg_7'
FROM consumer.outbox
WHERE message_id IN ('msg_2', 'msg_7');

INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error, failed_at)
SELECT
    o.seq,
    f.state,
    f.attempts,
    f.next_attempt_at::timestamptz,
    f.error_code,
    f.error,
    '2026-11-22 13:00+00'
FROM consumer.outbox AS o
INNER JOIN (
    VALUES
    ('msg_3', 'retrying', 3, '2999-01-01', '23505', 'UniqueViolation'),
    ('msg_4', 'dead', 1, NULL, 'not_json', '$: not JSON')
) AS f (message_id, state, attempts, next_attempt_at, error_code, error) ON o.message_id = f.message_id;

INSERT INTO consumer.outcomes (seq, outcome, at)
SELECT
    o.seq,
    d.outcome,
    '2026-11-22 12:30+00'
FROM consumer.outbox AS o
INNER JOIN (VALUES ('msg_1', 'applied'), ('msg_5', 'discarded'), ('app_6', 'stale')) AS d (message_id, outcome)
    ON o.message_id = d.message_id;

INSERT INTO consumer.exclusions (seq, excluded_by, reason, excluded_at)
SELECT
    seq,
    'somebody',
    'forged',
    '2026-11-22 14:00+00'
FROM consumer.outbox
WHERE message_id = 'msg_5';
