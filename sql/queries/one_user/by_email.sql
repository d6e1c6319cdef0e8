-- The users with this e-mail address at the sender, in any case of its letters; at most `size`.
SELECT found.user_id
FROM consumer_masked.users_by_email(%(email)b::text) AS found (user_id)
ORDER BY found.user_id
LIMIT %(size)b::integer;
