-- Postpone the users of a company, from one id to another, until the delay is over.
INSERT INTO consumer.rehome (company_id, next_user_id, last_user_id, attempts, seq, due_at)
VALUES (
    %(company_id)b::uuid,
    %(first_user_id)b::uuid,
    %(last_user_id)b::uuid,
    %(attempts)b::integer,
    %(seq)b::bigint,
    now() + %(delay)b::interval
);
