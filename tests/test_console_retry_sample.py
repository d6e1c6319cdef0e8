"""What the page before a retry says of a sample, which is applied as a worker does and rolled back."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from consumer.console import retry_sample
from consumer.operations import replay
from consumer.outbox.deliveries import Selection
from consumer.postgres.connections import connect, operator_access, transaction, worker_access
from consumer.worker import dry_run
from tests.support.cli import arrive, work
from tests.support.confirming import order
from tests.support.console import Desk, running
from tests.support.console_pages import links, words
from tests.support.databases import change, rows, schema_change, sessions
from tests.support.dead import dead_at_the_door, three_dead
from tests.support.factories import user_updated
from tests.support.names import own
from tests.support.outbox import arrive as store
from tests.support.outbox import seqs, set_aside
from tests.support.processes import until

pytest_plugins = ["tests.support.console"]

__all__ = ["three_dead"]

SAMPLE = "/dead/retry?sample=1"
ADA, BOB = UUID(int=1), UUID(int=2)
REFUSING = """
    CREATE FUNCTION public.refusing() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN {body} RETURN NEW; END $$;
    CREATE TRIGGER refusing BEFORE INSERT ON identity.profiles FOR EACH ROW EXECUTE FUNCTION public.refusing();
"""
FREED = "DROP TRIGGER refusing ON identity.profiles; DROP FUNCTION public.refusing()"
TABLES = """
    SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
    WHERE schemaname IN ('consumer', 'identity', 'public')
"""


def tried(desk: Desk, path: str = SAMPLE) -> str:
    page = desk.get(path)
    assert page.status == 200, page.text
    said = words(page.text)
    return said[said.index("Tried now ") + 10 :]


def dead(url: str, *user_ids: UUID, code: str = "23505") -> None:
    stored = [user_updated(each) for each in user_ids]
    arrive(url, *stored)
    set_aside(url, stored, code=code)


def contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables, with the transaction that has written each; a process reports as ever."""
    with psycopg.connect(url) as conn:
        names = [str(name) for (name,) in conn.execute(TABLES.encode()) if name != "consumer.reports"]
        return {
            name: conn.execute(f"SELECT xmin::text, t::text FROM {name} AS t ORDER BY 2".encode()).fetchall()
            for name in names
        }


@contextmanager
def refusing(url: str, body: str) -> Iterator[None]:
    """Let a trigger of an application run its body for each new profile."""
    with schema_change(url, REFUSING.format(body=body), FREED):
        yield


def test_a_sample_says_what_would_be_applied_and_what_stays_dead(desk: Desk, three_dead: str) -> None:
    assert tried(desk).startswith("3 checked again: 2 would be applied, 1 would stay dead: bad_shape.")


def test_a_sample_writes_nothing(desk: Desk, three_dead: str) -> None:
    """Neither what is applied and rolled back, nor what is refused again, nor a reason found today."""
    with refusing(three_dead, f"IF NEW.user_id = '{ADA}' THEN RAISE EXCEPTION 'no'; END IF;"):
        dead(three_dead, ADA)
        before = contents(three_dead)
        said = tried(desk)
        after = contents(three_dead)

    assert "2 would be applied, 1 would fail again: P0001, 1 would stay dead" in said
    assert len(before) > 20
    assert after == before


def test_a_sample_counts_by_what_refuses_it(desk: Desk, emptied: str) -> None:
    body = f"RAISE EXCEPTION USING ERRCODE = CASE NEW.user_id WHEN '{ADA}' THEN '23505' ELSE '23503' END;"
    dead(emptied, ADA, BOB, UUID(int=3))

    with refusing(emptied, body):
        assert tried(desk).startswith("3 checked again: 3 would fail again: 23503 (2), 23505 (1).")


def test_what_a_newer_one_has_overtaken_would_be_stale(desk: Desk, emptied: str) -> None:
    older, newer = user_updated(ADA), user_updated(ADA)
    arrive(emptied, older, newer)
    set_aside(emptied, [older])
    work(emptied)

    assert "1 would end as stale: a newer one counts." in tried(desk)


def test_only_the_chosen_ones_are_tried(desk: Desk, three_dead: str) -> None:
    assert "1 checked again: 1 would be applied." in tried(desk, f"{SAMPLE}&seq={seqs(three_dead)['second']}")
    assert "1 checked again: 1 would stay dead: bad_shape." in tried(desk, f"{SAMPLE}&error=bad_shape")


def test_what_this_release_reads_otherwise_is_not_applied(desk: Desk, emptied: str) -> None:
    """A retry first stores what it reads, which the role of a worker may not."""
    usable = user_updated(ADA)
    arrive(emptied, dead_at_the_door("unknown", body=usable.body, event_type=None)._replace(user_id=None))
    change(emptied, "UPDATE consumer.failures SET error_code = 'unknown_type'")

    assert tried(desk).startswith("1 checked again: 1 can be used by this release.")


def test_a_page_without_a_sample_leads_to_one_and_asks_for_it(desk: Desk, three_dead: str) -> None:
    page = desk.get("/dead/retry?error=23514&type=user.*")
    address = "/dead/retry?error=23514&type=user.%2A&sample=1"

    [there] = [each for each in links(page.text) if "sample" in each]
    assert sorted(there.partition("?")[2].split("&")) == sorted(address.partition("?")[2].split("&"))
    assert page.text.count('hx-trigger="load"') == 1
    assert "2 checked again: 2 would be applied." in tried(desk, there)
    assert 'hx-trigger="load"' not in desk.get(there).text


@pytest.mark.parametrize("path", ["/dead/discard", "/deliveries/replay"])
def test_other_actions_take_no_sample(desk: Desk, three_dead: str, path: str) -> None:
    assert "Tried now" not in words(desk.get(f"{path}?sample=1").text)


def test_the_statement_of_an_application_runs_where_it_is_set(three_dead: str, tmp_path: Path) -> None:
    statement = tmp_path / "statement.sql"
    statement.write_text("SELECT 1 / 0 WHERE cardinality(%(user_ids)b::uuid[]) > 0")
    with running(three_dead) as without:
        said = tried(without.as_("operator"))
    with running(three_dead, CONSUMER_PROJECTION_SQL=str(statement)) as desk:
        refused = tried(desk.as_("operator"))

    assert f"2 would be applied, 1 would stay dead: bad_shape. {retry_sample.WITHOUT_STATEMENT}" in said
    assert "2 would fail again: 22012, 1 would stay dead: bad_shape." in refused
    assert retry_sample.WITHOUT_STATEMENT not in refused


def test_a_console_that_may_not_work_checks_by_this_release_alone(three_dead: str) -> None:
    """Its login has the operator's role alone, and gets no more."""
    name = own("lone_retry")
    login = f"CREATE ROLE {name} LOGIN PASSWORD 'x'; GRANT consumer_operator TO {name}"
    with schema_change(three_dead, login, f"DROP ROLE {name}"), running(f"{three_dead} user={name} password=x") as desk:
        said = tried(desk.as_("operator"))

    assert "3 checked again: 2 can be used by this release, 1 would stay dead: bad_shape. None was applied:" in said
    assert "may not act as consumer_worker" in said


def test_rows_that_others_hold_are_not_waited_for(desk: Desk, emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIME", "STATEMENT_TIMEOUT"):
        monkeypatch.setattr(dry_run, name, timedelta(seconds=60))
    arrive(emptied, user_updated(ADA))
    work(emptied)
    dead(emptied, ADA, BOB)

    with psycopg.connect(emptied) as other:
        other.execute("SELECT FROM identity.stack_user_profiles FOR UPDATE")
        began = time.perf_counter()
        said = tried(desk)
        took = time.perf_counter() - began

    assert "1 would be applied, 1 could not be tried: their rows are locked, or it takes too long." in said
    assert took < worker_access("consumer").lock_timeout.total_seconds()


def test_what_takes_too_long_is_given_up_and_leaves_nothing_locked(desk: Desk, emptied: str) -> None:
    dead(emptied, ADA, BOB, UUID(int=3))

    with refusing(emptied, "PERFORM pg_sleep(60);"):
        began = time.perf_counter()
        said = tried(desk)
        took = time.perf_counter() - began
    # A trigger can be dropped only when nobody holds the table.
    arrive(emptied, user_updated(ADA))
    work(emptied)

    assert said.startswith(retry_sample.NOT_IN_TIME)
    assert dry_run.TIME.total_seconds() <= took < 2 * dry_run.TIME.total_seconds()
    assert len(rows(emptied, "SELECT FROM identity.profiles")) == 1


def test_a_click_does_not_wait_for_a_sample(desk: Desk, emptied: str) -> None:
    dead(emptied, ADA, BOB, UUID(int=3))
    address, fields = order(desk.get("/dead/retry"))

    with refusing(emptied, "PERFORM pg_sleep(60);"), ThreadPoolExecutor(1) as beside:
        sample = beside.submit(tried, desk)
        until(lambda: bool(rows(emptied, sessions("worker") + " AND wait_event = 'PgSleep'")))
        clicked = desk.post(address, fields)
        was_done = sample.done()
        said = sample.result()

    assert (clicked.status, was_done) == (303, False)
    assert said.startswith(retry_sample.NOT_IN_TIME)


def test_a_sample_is_small_and_takes_little_time(desk: Desk, emptied: str) -> None:
    dead(emptied, *(UUID(int=n) for n in range(1, 46)))

    assert (retry_sample.SIZE, dry_run.TIME.total_seconds()) == (20, 2)
    assert (dry_run.LOCK_TIMEOUT.total_seconds(), dry_run.STATEMENT_TIMEOUT.total_seconds()) == (0.05, 1)
    assert tried(desk).startswith("20 checked again: 20 would be applied.")


def test_a_silent_sample_holds_its_locks_for_no_longer_than_it_may_take(desk: Desk, emptied: str) -> None:
    """The server ends it then."""
    idle = "current_setting('idle_in_transaction_session_timeout')"
    dead(emptied, ADA)

    with refusing(emptied, f"RAISE EXCEPTION USING ERRCODE = CASE {idle} WHEN '2s' THEN '23505' ELSE '23503' END;"):
        assert tried(desk).startswith("1 checked again: 1 would fail again: 23505.")


async def test_a_sample_is_spread_over_what_matches(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert replay.SPREAD_MAX == 10_000
    stored = [user_updated() for _ in range(45)]
    await store(emptied, *stored)
    set_aside(emptied, stored)
    numbers = [row["seq"] for row in rows(emptied, "SELECT seq FROM consumer.failures ORDER BY seq")]
    selection, access = Selection(states=("dead",)), operator_access("consumer")

    async with await connect(emptied, access) as conn, transaction(conn, access):
        few = await replay.sample(conn, selection, 60)
        spread = await replay.sample(conn, selection, 20)
        monkeypatch.setattr(replay, "SPREAD_MAX", 30)
        oldest = await replay.sample(conn, selection, 3)

    assert (few, oldest) == (numbers, numbers[0:30:10])
    assert (spread[0], len(set(spread)), spread[-1]) == (numbers[0], 20, numbers[42])
