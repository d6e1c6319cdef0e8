"""The keys of a user's metadata that name role, department and company, as the database records them."""

from psycopg.rows import tuple_row

from consumer.lookup.unfollowed import MetadataKeys
from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows


async def read(conn: Connection) -> MetadataKeys:
    """Return the recorded keys; empty ones, which no metadata has, before anything is recorded."""
    found = await rows(conn, tuple_row, "metadata_keys/read")
    return MetadataKeys(*found[0]) if found else MetadataKeys("", "", "")
