"""Your own backend: the payloads of the events that it signs."""
