-- The companies come first. A company's new name arrives with the next change of one of its users.
companies AS (
    INSERT INTO {table} AS theirs ({names})
    SELECT
        {company_values}
    FROM identity.companies AS p
    WHERE
        p.id IN (SELECT h.company_id FROM changed INNER JOIN identity.profiles AS h ON changed.user_id = h.user_id)
        AND NOT EXISTS (
            SELECT FROM {table} AS t
            WHERE row({stored}) IS NOT DISTINCT FROM row({offered})
        )
    ORDER BY p.id
    ON CONFLICT ({key}) {on_conflict}
)
