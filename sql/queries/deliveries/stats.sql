-- How many deliveries are in which state, how late the queue is, and how fast both ends move.
SELECT
    pending,
    retrying,
    dead,
    done,
    oldest_due_seconds,
    received_last_minute,
    applied_last_minute
FROM consumer.queue_stats;
