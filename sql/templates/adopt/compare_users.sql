SELECT
    o.{key}::text AS id,
    d.column_name
FROM ours AS o
LEFT JOIN {table} AS t ON t.{key} = o.{key}
CROSS JOIN LATERAL (VALUES {user_differences}) AS d (column_name, differs)
WHERE d.differs{lacks_nothing}
