"""The long work that an operator starts: replay, backfill, refresh, prune."""
