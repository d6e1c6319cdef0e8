INSERT INTO {table} AS theirs ({names})
SELECT
    {columns}
FROM ours
{where}
ORDER BY {key}
ON CONFLICT ({key}) {on_conflict};
