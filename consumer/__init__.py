"""Stack Auth webhooks into your own Postgres."""
