-- Whether superseded deliveries were ever removed.
SELECT exists(
    SELECT FROM consumer.settings
    WHERE pruned_until IS NOT NULL
);
