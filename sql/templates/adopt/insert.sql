-- Users that give a unique value up come before those that may take it.
INSERT INTO {table} AS theirs ({names})
SELECT
    {columns}
FROM ours
{where}
ORDER BY turn, {key}
ON CONFLICT ({key}) {on_conflict};
