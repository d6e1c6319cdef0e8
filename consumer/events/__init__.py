"""Which events exist, and whether a body may ever be applied."""
