-- Theirs as they stand{locked}: what Stack and edits have never named stays the application's.
known AS MATERIALIZED (
    SELECT
        {known}
    FROM {table} AS t
    WHERE t.{key} IN (SELECT their_key FROM changed)
    {lock}
)
