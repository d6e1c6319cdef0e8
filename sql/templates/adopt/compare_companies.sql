SELECT
    p.id::text AS id,
    d.column_name
FROM identity.companies AS p
LEFT JOIN {table} AS t ON t.{key} = p.id{cast}
CROSS JOIN LATERAL (VALUES {company_differences}) AS d (column_name, differs)
WHERE
    d.differs
    AND (
        t.{key} IS NOT NULL
        OR (p.deleted_at IS NULL AND p.id IN (SELECT company_id FROM identity.profiles))
    )
