"""The long work that an operator starts: replay, prune."""
