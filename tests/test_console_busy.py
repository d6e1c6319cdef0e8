"""A console whose connections are in use, or too few: it says so, and never that the database is away."""

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from types import SimpleNamespace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.console import reading
from consumer.console.background import Background, going_on
from consumer.console.confirm import COUNT_TIME
from consumer.console.reading import open_database
from consumer.console.turns import Busy, Turns
from consumer.operations import background
from consumer.operations.actions import Action, Actor
from consumer.operations.background import Commit, Order, OrderWork, PageDone
from consumer.postgres.connections import Access, Connection, operator_access, transaction, viewer_access
from tests.support.cli import arrive
from tests.support.console import Desk, running
from tests.support.databases import change, end_sessions, rows, sessions
from tests.support.factories import user_updated
from tests.support.names import own
from tests.support.processes import until
from tests.test_console_states import words

pytest_plugins = ["tests.support.console"]

OPERATORS_WAIT = sessions("operator") + " AND wait_event_type = 'Lock'"
BUSY = "The console is busy"
HELD = "SELECT pid FROM pg_stat_activity WHERE usename = '{}'"


@pytest.fixture
def people() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(30) as people:
        yield people


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Let everybody wait who reads a table."""
    with psycopg.connect(url) as conn:
        conn.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def login(url: str) -> Iterator[tuple[str, str]]:
    """Make a login of an operator that the server can limit; yields its conninfo and name."""
    name = own("limited")
    change(url, f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE consumer_operator, consumer_viewer")
    try:
        yield make_conninfo(url, user=name, password="x"), name
    finally:
        change(url, f"DROP ROLE {name}")


def limit(url: str, name: str, connections: int) -> None:
    change(url, f"ALTER ROLE {name} CONNECTION LIMIT {connections}")


def test_one_person_s_flood_is_said_to_be_one_and_keeps_nobody_else_out(
    desk: Desk, people: ThreadPoolExecutor, emptied: str
) -> None:
    desk.get()
    with locked(emptied, "consumer.actions"):
        flood = [people.submit(desk.as_("viewer", "flood").get, "/actions") for _ in range(24)]
        until(lambda: rows(emptied, sessions("viewer") + " AND wait_event_type = 'Lock'"))
        other = [desk.as_("viewer", "lee").get("/deliveries") for _ in range(5)]
        overview = desk.get()
        pages = [each.result() for each in flood]

    assert [page.status for page in other] == [200] * 5
    assert "The database" not in words(overview.text)
    assert {page.status for page in pages} == {503}
    assert any(BUSY in page.text for page in pages)
    assert not [page for page in pages if "is away" in page.text]


def test_the_sampler_does_not_need_what_people_read_with(emptied: str) -> None:
    with login(emptied) as (url, name), running(url) as nobody:
        desk = nobody.as_("viewer")
        desk.get()
        until(lambda: rows(emptied, sessions("viewer")))
        limit(emptied, name, 1)
        end_sessions(emptied, "viewer")
        arrive(emptied, user_updated())
        overview = until(lambda: next((page for page in [desk.get()] if "user.updated" in page.text), None))
        page = desk.get("/deliveries")

    assert "The database" not in words(overview.text)
    assert (page.status, BUSY in page.text) == (503, True)


def test_a_connection_that_can_not_be_added_leaves_those_that_are_there(
    people: ThreadPoolExecutor, emptied: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "consumer")
    with login(emptied) as (url, name), running(url) as desk:
        viewer = desk.as_("viewer")
        viewer.get("/deliveries")
        # Its start may open more of them than one.
        end_sessions(emptied, "viewer")
        limit(emptied, name, 3)
        until(lambda: desk.as_("viewer").get("/deliveries").status == 200)
        held = len(rows(emptied, HELD.format(name)))
        caplog.clear()
        with locked(emptied, "consumer.actions"):
            waiting = people.submit(desk.as_("viewer", "one").get, "/actions")
            until(lambda: rows(emptied, sessions("viewer") + " AND wait_event_type = 'Lock'"))
            several = [people.submit(desk.as_("viewer", f"v{n}").get, "/deliveries") for n in range(6)]
            pages = [each.result() for each in several]
            waiting.result()
        overview = desk.as_("operator").get()

    assert held == 3
    assert [page.status for page in pages] == [200] * 6
    assert "The database" not in words(overview.text)
    assert "database_lost" not in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(("seconds", "is_told"), [(0, False), (0.9, False), (1, True)])
def test_a_connection_on_its_way_to_the_next_reader_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, seconds: float, *, is_told: bool
) -> None:
    told: list[Exception | None] = []
    failed, now = psycopg.OperationalError("too many connections"), [100.0]
    monkeypatch.setattr(reading, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(reading, "transaction", lambda *_: nullcontext())

    async def work(_: Connection) -> None:
        database._note(failed)

    async def read() -> None:
        await database._read_once(work)
        now[0] += seconds
        database._note(failed)

    database = reading.ConsoleDatabase("", viewer_access("consumer"), operator_access("consumer"), told.append)
    pool = SimpleNamespace(connection=nullcontext, get_stats=lambda: {"pool_available": 0})
    monkeypatch.setattr(database, "_pool", pool, raising=False)
    asyncio.run(read())

    assert told == [failed] * is_told


def test_a_login_with_too_few_connections_is_said_to_have_too_few(emptied: str) -> None:
    with login(emptied) as (url, name), running(url) as desk:
        until(lambda: rows(emptied, sessions("viewer")) and rows(emptied, sessions("console")))
        limit(emptied, name, len(rows(emptied, HELD.format(name))) - 1)
        end_sessions(emptied, "console")
        overview = desk.as_("operator").get()
        reading_page = desk.as_("operator").get("/deliveries")
        acting_page = desk.as_("operator").get("/dead/retry")

    assert "The database is out of connections for this console" in words(overview.text)
    assert "If it stays so, the connections of this console&#39;s login are too few." in words(overview.text)
    assert "Receivers answer 503" not in overview.text
    assert reading_page.status == 200
    assert (acting_page.status, BUSY in acting_page.text) == (503, True)


def test_who_counts_keeps_nobody_from_a_click(desk: Desk, people: ThreadPoolExecutor, emptied: str) -> None:
    """Three count at the same time, for as long as a lock lets them; the third of them has its turn."""
    desk.get()
    token = desk.signer().link("max", "viewer")
    with locked(emptied, "consumer.failures"):
        counts = [people.submit(desk.as_("operator", name).get, "/dead/retry") for name in ("kim", "lee", "mia")]
        until(lambda: len(rows(emptied, OPERATORS_WAIT)) == 2)
        opened = desk.as_("nobody").post("/open", {"token": token})
        still_wait = len(rows(emptied, OPERATORS_WAIT))
        pages = [each.result() for each in counts]

    assert (opened.status, still_wait) == (303, 2)
    assert ["The question took too long" in page.text for page in pages] == [True] * 3


class KnownLater(dict[str, OrderWork]):
    """What a console can do, but for its first look: then nothing can go on."""

    looks = 0

    def __iter__(self) -> Iterator[str]:
        self.looks += 1
        return iter(()) if self.looks == 1 else super().__iter__()


async def test_an_order_is_found_and_done_while_people_hold_all_that_reads(emptied: str) -> None:
    done, released, all_read, reads = asyncio.Event(), asyncio.Event(), asyncio.Event(), list[Connection]()
    viewer, operator = viewer_access("consumer"), operator_access("consumer")

    async def hold(conn: Connection) -> None:
        reads.append(conn)
        if len(reads) == reading.READERS_MAX:
            all_read.set()
        await released.wait()

    async def work(_: Connection, __: Access, ___: Order) -> Commit:
        async def commit(_: Connection) -> PageDone:
            done.set()
            return PageDone(None, 0, {})

        return commit

    async with open_database(emptied, viewer, operator, lambda _: None) as database:
        async with database.acting_alone() as (conn, access), transaction(conn, access):
            await background.put(conn, Action(Actor("kim", "console"), "retry", {"states": ["dead"]}))
        held = [asyncio.create_task(database.read(hold, name)) for name in ("kim", "lee", "mia")]
        await all_read.wait()
        async with going_on(Background(database, works := KnownLater(retry=work))):
            await done.wait()
            still_held = [not each.done() for each in held]
        released.set()
        await asyncio.gather(*held, return_exceptions=True)

    assert (still_held, works.looks) == ([True] * reading.READERS_MAX, 2)


def test_one_person_has_no_more_turns_than_one_person_may_have() -> None:
    async def work() -> tuple[int, list[str]]:
        turns, held, refused = Turns(3, 2, timedelta(seconds=0.05)), 0, list[str]()

        async def hold(person: str) -> None:
            nonlocal held
            try:
                async with turns.take(person):
                    held += 1
                    await asyncio.sleep(0.2)
            except Busy:
                refused.append(person)

        await asyncio.gather(*(hold("kim") for _ in range(5)), hold("lee"), hold("mia"))
        return held, sorted(refused)

    assert asyncio.run(work()) == (3, ["kim", "kim", "kim", "mia"])


def test_a_turn_that_was_waited_for_in_vain_is_free_again() -> None:
    async def work() -> int:
        turns, held = Turns(1, 1, timedelta(seconds=0.02)), 0
        async with turns.take("kim"):
            for person in ("kim", "lee", "lee"):
                with pytest.raises(Busy):
                    await turns.take(person).__aenter__()
        for person in ("lee", "kim", "lee"):
            async with turns.take(person):
                held += 1
        return held

    assert asyncio.run(work()) == 3


def test_the_turns_are_as_sizing_counts_them() -> None:
    """With the sampler, the background, a worker's for a check, and the reports."""
    assert reading.READERS_MAX + reading.ACTING_MAX + 4 == 10
    assert reading.READERS_EACH_MAX < reading.READERS_MAX
    assert reading.COUNTING_MAX < reading.ACTING_MAX
    assert reading.COUNT_WAIT > COUNT_TIME
