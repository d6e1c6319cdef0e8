"""Several runs may use one server, and what a killed run left there is removed by the next one."""

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.support.databases import change, plain_owner, rows, scratch_database
from tests.support.names import RUN, living, own
from tests.support.processes import ROOT

DEAD, OTHER = "suite_0000dead", "suite_0000beef"
FOREIGN = "suite_of_somebody_else"
LEFT = (
    "SELECT datname::text AS name FROM pg_database WHERE datname LIKE 'suite%' "
    "UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE 'suite%'"
)
# Takes a fixed name for what all databases of a server share, or changes that. What `own` names is a placeholder here.
SHARED = re.compile(r"\b(?:CREATE|ALTER) (?:(?:ROLE|USER|DATABASE) (?!consumer_$)\w|SYSTEM)")
# They have servers of their own, or none.
ALONE = re.compile(r"lone_server_url|mark\.lone_server|embedded\.server\(|^tests/(?:faults|mutants)/")


def left(url: str) -> set[str]:
    return {str(row["name"]) for row in rows(url, LEFT)}


@contextmanager
def things(url: str, run: str) -> Iterator[set[str]]:
    """A database with an owner, as a run makes them; the owner has rights on another database as well."""
    database, owner = f"{run}_database", f"{run}_owner"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {owner}")
        conn.execute(f"CREATE DATABASE {database} OWNER {owner}")
        conn.execute(f"GRANT CONNECT ON DATABASE {conn.info.dbname} TO {owner}")
        yield {database, owner}
        conn.execute(f"DROP DATABASE IF EXISTS {database}")
        if conn.execute("SELECT FROM pg_roles WHERE rolname = %s", [owner]).fetchall():
            conn.execute(f"DROP OWNED BY {owner}; DROP ROLE {owner}")


def test_a_new_run_removes_what_the_dead_left_and_nothing_else(lone_server_url: str) -> None:
    with (
        things(lone_server_url, DEAD) as dead,
        things(lone_server_url, OTHER) as other,
        things(lone_server_url, FOREIGN) as foreign,
        psycopg.connect(lone_server_url, application_name=OTHER),
    ):
        before = left(lone_server_url)
        with living(lone_server_url):
            assert left(lone_server_url) == before - dead
        assert dead | other | foreign <= before


def test_what_cannot_be_removed_is_left_and_fails_nobody(lone_server_url: str) -> None:
    with things(lone_server_url, DEAD) as dead:
        change(lone_server_url, f"ALTER DATABASE {DEAD}_database IS_TEMPLATE true")
        with living(lone_server_url):
            assert dead <= left(lone_server_url)
        change(lone_server_url, f"ALTER DATABASE {DEAD}_database IS_TEMPLATE false")


def test_a_run_is_seen_to_live_until_it_ends(lone_server_url: str) -> None:
    asked = f"SELECT FROM pg_stat_activity WHERE application_name = '{RUN}'"
    before = len(rows(lone_server_url, asked))
    with living(lone_server_url):
        assert len(rows(lone_server_url, asked)) == before + 1


def test_databases_and_logins_have_names_of_the_run_and_are_gone_afterwards(server_url: str) -> None:
    with scratch_database(server_url, "named") as url, plain_owner(url, "namer") as owner_url:
        made = rows(owner_url, "SELECT current_database()::text AS database, session_user::text AS login")

    assert made == [{"database": own("named"), "login": own("namer")}]
    assert re.fullmatch(r"suite_[0-9a-f]{8}_named", own("named"))
    assert not {own("named"), own("namer")} & left(server_url)


def test_a_file_with_fixed_names_for_what_a_server_shares_has_a_server_of_its_own() -> None:
    found = {}
    for file in ROOT.glob("tests/**/*.py"):
        name, text = str(file.relative_to(ROOT)), file.read_text()
        strings = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
        fixed = [each for each in strings if isinstance(each, str) and SHARED.search(each)]
        if fixed and not ALONE.search(name) and not ALONE.search(text):
            found[name] = fixed

    assert found == {}
