-- Whether any stored delivery concerns this user.
SELECT EXISTS (
    SELECT
    FROM consumer.outbox
    WHERE user_id = %(user_id)b::uuid
);
