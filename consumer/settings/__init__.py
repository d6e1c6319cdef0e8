"""Settings, read once at the door from the environment and its files."""
