-- The newest dead deliveries, at most `look_max`, in groups alike in their error, or with `by_type` in their type; the
-- largest groups first, at most `size`; `total` is how many all groups hold. Each has its deaths in each of the last 24
-- hours, the latest hour last, and at most `named` of its reasons and of its event types, or with `by_type` errors, the
-- most frequent first.
WITH hour_starts AS MATERIALIZED (
    SELECT array_agg(now() - make_interval(hours => hours_ago) ORDER BY hours_ago DESC) AS at
    FROM generate_series(1, 24) AS n (hours_ago)
),

looked AS (
    SELECT
        f.seq,
        f.error,
        f.failed_at,
        CASE WHEN %(by_type)b::boolean THEN coalesce(f.event_type, 'unreadable') ELSE f.error_code END AS key,
        CASE WHEN %(by_type)b::boolean THEN f.error_code ELSE coalesce(f.event_type, 'unreadable') END AS other,
        24 - width_bucket(f.failed_at, (SELECT h.at FROM hour_starts AS h)) AS hours_ago
    FROM consumer_masked.failures AS f
    WHERE f.state = 'dead'
    ORDER BY f.seq DESC
    LIMIT %(look_max)b::integer
),

alike AS MATERIALIZED (
    SELECT
        key,
        other,
        error,
        hours_ago,
        count(*) AS deliveries,
        min(failed_at) AS first_at,
        max(failed_at) AS last_at,
        max(seq) AS last_seq
    FROM looked
    GROUP BY key, other, error, hours_ago
),

groups AS (
    SELECT
        key,
        sum(deliveries)::bigint AS deliveries,
        (sum(sum(deliveries)) OVER ())::bigint AS total,
        min(first_at) AS first_at,
        max(last_at) AS last_at,
        max(last_seq) AS last_seq
    FROM alike
    GROUP BY key
    ORDER BY deliveries DESC, last_seq DESC
    LIMIT %(size)b::integer
),

hours AS (
    SELECT
        key,
        hours_ago,
        sum(deliveries)::integer AS deaths
    FROM alike
    GROUP BY key, hours_ago
),

reasons AS (
    SELECT
        key,
        error,
        row_number() OVER (PARTITION BY key ORDER BY sum(deliveries) DESC, error) AS place
    FROM alike
    GROUP BY key, error
),

others AS (
    SELECT
        key,
        other,
        row_number() OVER (PARTITION BY key ORDER BY sum(deliveries) DESC, other) AS place
    FROM alike
    GROUP BY key, other
)

SELECT
    g.key,
    g.deliveries,
    g.total,
    g.first_at,
    g.last_at,
    g.last_seq,
    ARRAY(
        SELECT coalesce(h.deaths, 0)
        FROM generate_series(0, 23) AS n (hours_ago)
        LEFT JOIN hours AS h ON h.key = g.key AND n.hours_ago = h.hours_ago
        ORDER BY n.hours_ago DESC
    ) AS deaths,
    ARRAY(
        SELECT r.error
        FROM reasons AS r
        WHERE r.key = g.key AND r.place <= %(named)b::integer
        ORDER BY r.place
    ) AS reasons,
    ARRAY(
        SELECT o.other
        FROM others AS o
        WHERE o.key = g.key AND o.place <= %(named)b::integer
        ORDER BY o.place
    ) AS others
FROM groups AS g
ORDER BY g.deliveries DESC, g.last_seq DESC;
