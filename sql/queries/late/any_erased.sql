-- Whether any user is erased: each erasure is a delivery with such a message id. Most installations have none, and a
-- list of users costs a batch more than this. Not asked of the mirror: before its first ANALYZE the planner expects
-- every second user to be erased, and reads the whole table.
SELECT exists(
    SELECT FROM consumer.outbox
    WHERE source = 'operator' AND message_id >= 'erase:' AND message_id < 'erase;'
);
