-- Who gives a unique value up comes before whoever may take it.
INSERT INTO {table} AS theirs ({names})
SELECT
    {columns}
FROM ours
{where}
ORDER BY turn, {key}
ON CONFLICT ({key}) {on_conflict};
