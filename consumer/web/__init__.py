"""The HTTP server: its limits, health and common answers."""
