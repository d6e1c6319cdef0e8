-- Take an exclusive lock on each company that the batch creates, deletes or may revive, and a shared lock on each that
-- it only refers to, until the transaction ends. Otherwise one transaction could join a user to a company that it reads
-- as active, while another deletes the company and re-homes only the members that it sees.
-- Run it after the mirror rows are locked. It locks each stripe once, in order, in the strongest mode needed. Only
-- later statements may read rows that depend on a company.
-- The mode follows from a look before the lock. Return what the batch names and shares: see companies/was_misjudged.
WITH claimed AS MATERIALIZED (
    SELECT
        team_id,
        event_type
    FROM consumer.outbox
    WHERE seq = ANY(%(seqs)b::bigint[])
),

named AS (
    SELECT
        team_id AS company_id,
        event_type = 'team.deleted' AS is_deleted
    FROM claimed
    UNION ALL
    SELECT
        unnest(%(selected)b::uuid[]) AS company_id,
        FALSE AS is_deleted
),

referred AS (
    SELECT
        n.company_id,
        n.is_deleted OR c.id IS NULL OR c.missing_at IS NOT NULL AS is_exclusive,
        TRUE AS is_named
    FROM named AS n
    LEFT JOIN identity.companies AS c ON n.company_id = c.id
    UNION ALL
    SELECT
        m.source_company_id,
        FALSE AS is_exclusive,
        FALSE AS is_named
    FROM identity.stack_user_profiles AS m
    WHERE m.stack_user_id = ANY(%(user_ids)b::uuid[])
    UNION ALL
    SELECT
        e.value::uuid AS company_id,
        FALSE AS is_exclusive,
        FALSE AS is_named
    FROM consumer.edits AS e
    WHERE e.user_id = ANY(%(user_ids)b::uuid[]) AND e.field = 'company_id'
    UNION ALL
    SELECT
        f.company_id,
        FALSE AS is_exclusive,
        FALSE AS is_named
    FROM consumer.memberships AS f
    WHERE f.user_id = ANY(%(user_ids)b::uuid[])
    UNION ALL
    SELECT
        s.default_company_id,
        FALSE AS is_exclusive,
        FALSE AS is_named
    FROM consumer.settings AS s
),

-- OFFSET 0 keeps the locks above the sort.
stripes AS (
    SELECT
        consumer.company_stripe(company_id) AS stripe,
        bool_or(is_exclusive) AS is_exclusive,
        array_agg(company_id) FILTER (WHERE is_named) AS named_ids
    FROM referred
    WHERE company_id IS NOT NULL
    GROUP BY consumer.company_stripe(company_id)
    ORDER BY stripe
    OFFSET 0
)

SELECT
    CASE
        WHEN is_exclusive THEN pg_advisory_xact_lock(hashtext('consumer.companies'), stripe)
        ELSE pg_advisory_xact_lock_shared(hashtext('consumer.companies'), stripe)
    END AS locked,
    CASE WHEN NOT is_exclusive THEN named_ids END AS shared_ids
FROM stripes;
