-- The companies of the users: new rows for their homes; those with a row already follow, a deletion too, with the next
-- change of one of their users.
companies AS (
    INSERT INTO {table} AS theirs ({names})
    SELECT
        {company_values}
    FROM identity.companies AS p
    LEFT JOIN {table} AS t ON t.{key} = p.id{cast}
    WHERE
        p.id IN (
            SELECT h.company_id FROM changed INNER JOIN identity.profiles AS h ON changed.user_id = h.user_id
            UNION
            SELECT b.company_id FROM changed INNER JOIN identity.company_members AS b ON changed.user_id = b.user_id
            UNION
            SELECT m.source_company_id
            FROM changed INNER JOIN identity.stack_user_profiles AS m ON changed.user_id = m.stack_user_id
            UNION
            SELECT e.value::uuid
            FROM changed INNER JOIN consumer.edits AS e ON changed.user_id = e.user_id AND e.field = 'company_id'
        )
        AND (
            t.{key} IS NOT NULL
            OR (
                p.deleted_at IS NULL
                AND p.id IN (
                    SELECT h.company_id FROM changed INNER JOIN identity.profiles AS h ON changed.user_id = h.user_id
                )
            )
        )
        AND row({stored}) IS DISTINCT FROM row({offered})
    ORDER BY p.id
    ON CONFLICT ({key}) {on_conflict}
)
