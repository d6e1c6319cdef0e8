"""Settings, read once at the start from the environment and its files."""
