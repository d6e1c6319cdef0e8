-- The newest complete run of a kind, if it ended within a time and something that it suspects is open.
SELECT r.id
FROM consumer.runs AS r
WHERE
    r.kind = %(kind)b::text
    AND r.finished_at > now() - %(within)b::interval
    AND NOT EXISTS (
        SELECT FROM consumer.runs AS later
        WHERE later.kind = r.kind AND later.begun_at > r.begun_at AND later.abandoned_at IS NULL
    )
    AND EXISTS (
        SELECT FROM consumer.suspects AS s
        WHERE
            s.run_id = r.id
            AND s.kind NOT IN ('listed_user', 'listed_team')
            AND (s.confirmed_at IS NULL OR %(is_fixing)b::boolean)
    );
