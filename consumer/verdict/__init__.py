"""One verdict on an installation: what is observed, and what it means."""
