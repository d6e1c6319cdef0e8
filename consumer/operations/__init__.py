"""What an operator starts: replay, discard, prune."""
