-- Remove the reports that are older than this.
DELETE FROM consumer.reports
WHERE at < now() - %(kept)b::interval;
