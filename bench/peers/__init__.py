"""How fast peers drain and receive the same events on the same PostgreSQL (docs/PEERS.md)."""
