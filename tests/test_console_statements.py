"""The slowest statements on the system page, with the real pg_stat_statements: ours by name, no text of anybody."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.console.system import STATEMENTS, StatementsAccess
from consumer.embedded import server as embedded
from consumer.postgres import migrations
from consumer.postgres.connections import connect, operator_access
from consumer.postgres.privileges import differences
from consumer.postgres.queries import names
from tests.support.cli import arrive, facts, work
from tests.support.console import running
from tests.support.databases import change, record_settings, rows
from tests.support.factories import user_updated

# It starts one itself.
pytestmark = pytest.mark.lone_server

TOKEN = "kanarie"
PRELOAD = "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'"
RESET = "SELECT count(stats.pg_stat_statements_reset())"
SELECT = (
    "GRANT SELECT ON stats.pg_stat_statements TO consumer_masker; "
    "GRANT EXECUTE ON FUNCTION stats.pg_stat_statements TO consumer_masker"
)
GRANT = "GRANT pg_read_all_stats TO consumer_masker WITH INHERIT TRUE"


class Panel(NamedTuple):
    """The panel of the statements, and the queries in its table."""

    text: str
    queries: list[str]

    @property
    def codes(self) -> list[str]:
        """What can be typed of its sentence."""
        return [unescape(code) for code in re.findall("<code>(.*?)</code>", self.text[self.text.index("<p ") :])]


def panel(url: str, role: str = "viewer") -> Panel:
    with running(url) as desk:
        page = desk.as_(role).get("/system").text  # type: ignore[arg-type]  # A role.
    assert TOKEN not in page.lower()
    text = page[page.index("<h2>Slowest statements") :]
    text = text[: text.index("</section>")]
    return Panel(text, re.findall("<tr><td><code>(.*?)</code>", text))


@pytest.fixture(scope="module")
def preloaded() -> Iterator[tuple[str, Panel]]:
    """A migrated database of a server that loads the library, and the panel of before, when it did not."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with embedded.server(Path(folder) / "postgres", create=True) as url:
            change(url, PRELOAD)
            migrations.apply(url, "consumer")
            before = panel(url)
        with embedded.server(Path(folder) / "postgres", create=True) as url:
            record_settings(url)
            # The administrator chooses a schema that not everybody may enter.
            change(url, "CREATE SCHEMA stats")
            yield url, before


@pytest.fixture
def counted(preloaded: tuple[str, Panel]) -> str:
    """The database with the extension in a schema of its own, readable, and nothing counted yet."""
    url, _ = preloaded
    for grant in ("GRANT USAGE ON SCHEMA stats TO consumer_masker", GRANT):
        change(url, grant)
    with suppress(psycopg.errors.DuplicateObject):
        change(url, "CREATE EXTENSION pg_stat_statements SCHEMA stats")
    change(url, SELECT)
    rows(url, RESET)
    return url


def test_each_cure_that_the_page_names_leads_to_the_next_and_the_last_to_the_statements(
    preloaded: tuple[str, Panel],
) -> None:
    url, before = preloaded
    cures = [before.codes[1]]
    while (seen := panel(url)) and not seen.queries:
        cures.append(seen.codes[-1])
        change(url, cures[-1].replace("EXTENSION pg_stat_statements", "EXTENSION pg_stat_statements SCHEMA stats"))
        if len(cures) == 2:
            # What a cautious administrator takes from everybody.
            change(url, "REVOKE ALL ON stats.pg_stat_statements FROM PUBLIC")
            change(url, "REVOKE ALL ON FUNCTION stats.pg_stat_statements FROM PUBLIC")
            rows(url, RESET)
        assert len(cures) < 7

    assert cures == [
        PRELOAD,
        "CREATE EXTENSION pg_stat_statements",
        "GRANT USAGE ON SCHEMA stats TO consumer_masker",
        SELECT,
        GRANT,
    ]


def test_the_slowest_are_ours_by_name_the_slowest_first(counted: str) -> None:
    arrive(counted, user_updated())
    work(counted)
    change(counted, "SET ROLE consumer_operator; SELECT pg_sleep(0.2) /* consumer prune/users */")

    seen = panel(counted)

    assert seen.queries[0] == "prune/users"
    assert len(seen.queries) == STATEMENTS
    assert set(seen.queries) <= set(names())
    assert re.search(r"prune/users</code></td><td class=.r.>2\d\d.ms", seen.text)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_no_text_of_a_statement_comes_through(counted: str, role: str) -> None:
    """The server keeps the values of utility statements, and our names may stand behind anybody's text."""
    for text in (
        f"CREATE ROLE {TOKEN}; DROP ROLE {TOKEN}",
        f"COMMENT ON DATABASE stack IS '{TOKEN}'",
        f"COMMENT ON DATABASE stack IS '{TOKEN}' /* consumer queue/claim */",
        f"COMMENT ON DATABASE stack IS '/* consumer {TOKEN} */'",
        f"SET ROLE consumer_operator; SELECT pg_sleep(0.2) /* consumer {TOKEN}/{TOKEN} */",
        f"SET ROLE consumer_operator; SELECT pg_sleep(0.2), 1 AS {TOKEN} /* consumer queue/claim */",
    ):
        change(counted, text)

    seen = panel(counted, role)
    with psycopg.connect(counted, autocommit=True) as conn:
        conn.execute("SET ROLE consumer_viewer")
        by_function = str(conn.execute("SELECT * FROM consumer_masked.statements()").fetchall())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT query FROM stats.pg_stat_statements")

    assert seen.queries[0] == "queue/claim"
    assert "COMMENT" not in by_function
    assert by_function.count(TOKEN) == by_function.count(f"'{TOKEN}/{TOKEN}'") * 2 == 2


def test_statements_of_another_database_or_of_a_stranger_are_not_ours(counted: str) -> None:
    change(counted, "DROP ROLE IF EXISTS stranger")
    change(counted, "CREATE ROLE stranger")
    with psycopg.connect(make_conninfo(counted, dbname="template1"), autocommit=True) as conn:
        conn.execute("SELECT pg_sleep(0.1) /* consumer queue/claim */")
    change(counted, "SET ROLE stranger; SELECT pg_sleep(0.1) /* consumer queue/bury */; SELECT 1")

    assert not {"queue/claim", "queue/bury"} & set(panel(counted).queries)


async def test_the_next_migration_leaves_the_grant_and_the_doctor_finds_nothing_in_it(counted: str) -> None:
    mended = await asyncio.to_thread(facts, counted, "migrate")
    async with await connect(counted, operator_access("consumer")) as conn:
        further = (await differences(conn, "consumer")).further

    assert (mended["mended"], further) == ([], [])
    assert panel(counted).queries


def test_before_version_16_the_role_itself_inherits() -> None:
    access = StatementsAccess(True, True, True, True, True, False, "acme_masker", "public", 150_000)

    assert "`GRANT pg_read_all_stats TO acme_masker; ALTER ROLE acme_masker INHERIT`" in (access.problem() or "")


def test_an_extension_that_is_older_than_its_library_is_named() -> None:
    access = StatementsAccess(True, True, False, True, True, True, "consumer_masker", "public", 180_000)

    assert "`ALTER EXTENSION pg_stat_statements UPDATE`" in (access.problem() or "")
