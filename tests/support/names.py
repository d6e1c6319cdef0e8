"""Names of this run's own for what a server's databases share, so that several runs may use one server."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.sql import SQL, Identifier

# Each process of xdist is a run too.
RUN = f"suite_{secrets.token_hex(4)}"
RUNS = "^suite_[0-9a-f]{8}"

LEFT = f"""
SELECT 'DATABASE' AS kind, datname::text AS name, substring(datname FROM '{RUNS}') AS run
FROM pg_database WHERE datname ~ '{RUNS}_'
UNION ALL
SELECT 'ROLE', rolname::text, substring(rolname FROM '{RUNS}') FROM pg_roles WHERE rolname ~ '{RUNS}_'
ORDER BY kind
"""
LIVING = f"SELECT DISTINCT application_name FROM pg_stat_activity WHERE application_name ~ '{RUNS}$'"


def own(name: str) -> str:
    """Return the name that a database or a login has in this run."""
    return f"{RUN}_{name}"


@contextmanager
def living(server_url: str) -> Iterator[None]:
    """Show other runs that this one lives, and remove first what dead runs left on the server."""
    # A connection ends with its process, however that ends. A run without one is dead.
    with psycopg.connect(server_url, autocommit=True, application_name=RUN) as conn:
        # A run makes nothing before it is connected, so what is found before the question is of the living or dead.
        left = conn.execute(LEFT).fetchall()
        runs = {run for (run,) in conn.execute(LIVING)}
        for kind, name, run in left:
            if run not in runs:
                _remove(conn, kind, name)
        yield


def _remove(conn: psycopg.Connection, kind: str, name: str) -> None:
    # Another run may be removing it too, and what cannot be removed disturbs nobody.
    with suppress(psycopg.Error):
        if kind == "DATABASE":
            conn.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
        else:
            conn.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
            conn.execute(SQL("DROP ROLE {}").format(Identifier(name)))
