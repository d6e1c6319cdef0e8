-- The deliveries by state, the age of the oldest due one, and the rates of arrival and of application.
SELECT
    pending,
    retrying,
    dead,
    done,
    oldest_due_seconds,
    received_last_minute,
    applied_last_minute
FROM consumer.queue_stats;
