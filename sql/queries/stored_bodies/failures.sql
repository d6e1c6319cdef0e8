-- Replace what is recorded of the errors of these deliveries; their bodies are gone, and with them what the text is of.
UPDATE consumer.failures
SET error = %(error)b::text
WHERE seq = ANY(%(seqs)b::bigint[]) AND error <> %(error)b::text;
