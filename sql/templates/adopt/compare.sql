WITH differing AS (
    {differing}
)

SELECT
    column_name::text AS column_name,
    count(*) AS rows,
    (array_agg(id ORDER BY id))[1:{ids_max}] AS ids
FROM differing
GROUP BY column_name;
