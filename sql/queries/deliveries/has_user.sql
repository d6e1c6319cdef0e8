-- Whether any stored delivery concerns this user.
SELECT exists(
    SELECT FROM consumer.outbox
    WHERE user_id = %(user_id)b::uuid
);
