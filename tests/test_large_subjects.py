"""No page about a team or user of any size reads over 100,000 rows, wherever in the log its deliveries lie."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from consumer.console import companies, users
from consumer.console import delivery as delivery_page
from consumer.lookup import audit, listing, one_delivery, one_user
from consumer.lookup.listing import ListFilter
from consumer.postgres import migrations
from consumer.postgres.connections import Connection, connect, transaction, viewer_access
from tests.support.databases import scratch_database
from tests.support.plans import rows_of_tables

pytestmark = pytest.mark.slow

VIEWER = viewer_access("consumer")
ROWS_MAX = 100_000
OLD, NEW, SMALL, BOT = (UUID(int=number) for number in (1, 2, 3, 4))
# Of the numbers to 320,000 a team has the first 110,000 and another one the last, and between them a user has as many.
# A small team has its deliveries at the beginning. The old ones are dead, and two hundred of the user's. Of the teams
# the first has most members.
FILL = """
    INSERT INTO consumer.outbox (source, message_id, event_type, user_id, team_id, occurred_at, body)
    SELECT
        'stack',
        'msg_' || lpad(n::text, 27, '0'),
        CASE WHEN n BETWEEN 110001 AND 210000 THEN 'user.updated' ELSE 'team.updated' END,
        CASE WHEN n BETWEEN 110001 AND 210000 THEN '00000000-0000-0000-0000-000000000004'::uuid END,
        CASE
            WHEN n % 30 = 0 AND n <= 110000 THEN '00000000-0000-0000-0000-000000000003'::uuid
            WHEN n <= 110000 THEN '00000000-0000-0000-0000-000000000001'::uuid
            WHEN n > 210000 THEN '00000000-0000-0000-0000-000000000002'::uuid
        END,
        now(),
        'x'
    FROM generate_series(1, 320000) AS n;
    INSERT INTO consumer.failures (seq, state, attempts, error_code, error, source, event_type)
    SELECT seq, 'dead', 0, '23514', 'x', source, event_type FROM consumer.outbox WHERE seq <= 110200;
    INSERT INTO consumer.outcomes (seq, outcome) SELECT seq, 'applied' FROM consumer.outbox WHERE seq > 110200;
    INSERT INTO identity.companies (id, name, version)
    SELECT lpad(n::text, 32, '0')::uuid, 'Crew', '1' FROM generate_series(1, 2000) AS n;
    INSERT INTO identity.company_members (company_id, user_id, joined_at)
    SELECT '00000000-0000-0000-0000-000000000001', md5(n::text)::uuid, now() FROM generate_series(1, 40000) AS n;
    INSERT INTO identity.company_members (company_id, user_id, joined_at)
    SELECT lpad((n % 1990 + 10)::text, 32, '0')::uuid, md5(n::text)::uuid, now() FROM generate_series(1, 10000) AS n;
    INSERT INTO identity.profile_audit (user_id, operation, changed_fields, source, message_id, seq)
    SELECT md5(n::text)::uuid, 'updated', '{company_id}', 'stack', 'm', 300000 FROM generate_series(1, 120000) AS n;
"""


@pytest.fixture(scope="module")
def crowded(server_url: str) -> Iterator[str]:
    """A log in which few have almost everything."""
    with scratch_database(server_url, "large") as url:
        migrations.apply(url, "consumer")
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(FILL.encode())
            conn.execute("VACUUM ANALYZE")
        yield url


def rows_read(url: str, work: Callable[[Connection], Awaitable[Any]]) -> int:
    """Return how many rows a page reads, as a viewer."""

    async def reading() -> int:
        async with await connect(url, VIEWER) as conn, transaction(conn, VIEWER):
            await work(conn)
            return await rows_of_tables(conn)

    return asyncio.run(reading())


async def delivery(conn: Connection, seq: int) -> object:
    found = await delivery_page.find(conn, seq)
    assert found
    return await delivery_page.shown(conn, found)


@pytest.mark.parametrize("before", [None, 290_000, 150_000, 60_000])
@pytest.mark.parametrize(
    "wanted",
    [
        *(ListFilter(team_id=each) for each in (OLD, NEW, SMALL)),
        *(ListFilter(team_id=each, event_type="team.deleted") for each in (OLD, NEW, SMALL)),
        ListFilter(team_id=OLD, states=["dead"], error_code="none"),
        ListFilter(user_ids=[BOT]),
        ListFilter(user_ids=[BOT], outcome="stale"),
        ListFilter(user_ids=[BOT], states=["dead"]),
        ListFilter(states=["dead"], event_type="user.updated"),
        ListFilter(states=["retrying"]),
    ],
    ids=lambda wanted: " ".join(str(value) for value in wanted.values().values() if value),
)
def test_a_list_of_any_filter_reads_no_more_than_a_look(crowded: str, wanted: ListFilter, before: int | None) -> None:
    read = rows_read(crowded, lambda conn: listing.page(conn, wanted, size=50, before=before))

    assert read <= 3 * listing.LOOK_MAX + listing.ABOUT_MAX + 1_000


@pytest.mark.parametrize("seq", [1, 55_000, 110_001, 160_000, 210_001, 300_000, 320_000])
def test_a_delivery_reads_little(crowded: str, seq: int) -> None:
    assert rows_read(crowded, lambda conn: delivery(conn, seq)) <= 2 * one_delivery.WINDOW + listing.ABOUT_MAX + 1_000


@pytest.mark.parametrize("company_id", [OLD, NEW, SMALL])
def test_a_company_reads_no_more_than_a_page_may(crowded: str, company_id: UUID) -> None:
    assert rows_read(crowded, lambda conn: companies._read(conn, company_id, None)) <= ROWS_MAX


def test_a_user_reads_no_more_than_a_page_may(crowded: str) -> None:
    assert rows_read(crowded, lambda conn: users.shown(conn, BOT)) <= ROWS_MAX


def test_what_a_delivery_changed_is_read_up_to_a_most(crowded: str) -> None:
    assert rows_read(crowded, lambda conn: audit.of_delivery(conn, 300_000, size=50)) <= 100


async def test_a_delivery_of_a_large_team_has_its_neighbours(crowded: str) -> None:
    async with await connect(crowded, VIEWER) as conn, transaction(conn, VIEWER):
        [one] = await one_delivery.find(conn, "300000")
        found = await one_delivery.neighbours(conn, one)

    assert [each.seq for each in found] == [300_003, 300_002, 300_001, 299_999, 299_998, 299_997]


async def test_a_user_with_many_deliveries_is_counted_with_those_that_wait(crowded: str) -> None:
    """The newest two hundred of the dead are of this user."""
    async with await connect(crowded, VIEWER) as conn, transaction(conn, VIEWER):
        many, none = await one_user.counts(conn, BOT), await one_user.counts(conn, UUID(int=99))

    assert (many.deliveries, many.is_more, many.dead, many.first_received_at) == (listing.ABOUT_MAX, True, 200, None)
    assert (none.deliveries, none.is_more, none.dead) == (0, False, 0)
