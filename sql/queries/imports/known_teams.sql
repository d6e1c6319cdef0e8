-- Those of the listed teams whose company shows the same by an event of its own.
WITH listed AS (
    SELECT
        l.team_id,
        l.document::jsonb -> 'data' AS data
    FROM unnest(%(team_ids)b::uuid[], %(documents)b::text[]) AS l (team_id, document)
)

SELECT l.team_id
FROM listed AS l
INNER JOIN identity.companies AS c ON l.team_id = c.id
WHERE
    c.version >= '1'
    AND c.name = coalesce(l.data ->> 'display_name', 'Unnamed team')
    AND c.logo_url IS NOT DISTINCT FROM l.data ->> 'profile_image_url';
