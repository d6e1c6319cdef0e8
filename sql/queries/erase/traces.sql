-- The names and the e-mail addresses of a user that tables hold, those of the audit included.
SELECT
    array_remove(array_agg(DISTINCT t.name), NULL) AS names,
    array_remove(array_agg(DISTINCT t.email), NULL) AS emails
FROM (
    SELECT
        m.stack_display_name AS name,
        m.stack_primary_email AS email
    FROM identity.stack_user_profiles AS m
    WHERE m.stack_user_id = %(user_id)b::uuid
    UNION ALL
    SELECT
        i.image ->> 'full_name' AS name,
        i.image ->> 'email' AS email
    FROM identity.profile_audit AS a
    CROSS JOIN unnest(ARRAY[a.previous_values, a.new_values]) AS i (image)
    WHERE a.user_id = %(user_id)b::uuid
) AS t;
