-- Your rows as they are now{locked}: a value that neither Stack nor an edit has ever named stays yours.
known AS MATERIALIZED (
    SELECT
        {known}
    FROM {table} AS t
    WHERE t.{key} IN (SELECT their_key FROM changed)
    {lock}
)
