"""The REST API of Stack, and the list of messages that Svix keeps: read over HTTP, and no row of the database."""
