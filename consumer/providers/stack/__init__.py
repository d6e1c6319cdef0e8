"""Stack Auth: its payloads and its message ids."""
