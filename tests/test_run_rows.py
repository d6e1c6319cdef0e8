"""Runs and what they keep, row by row: a run's own rows and those of others beside it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import scalar_row

from consumer.operations import runs
from consumer.operations.runs import PageCounts, Place
from consumer.postgres.connections import Connection, operator_access, transaction
from consumer.postgres.queries import query, rows
from tests.support.databases import change
from tests.support.databases import rows as read
from tests.support.factories import NOON
from tests.support.kept import kept

OPERATOR = operator_access("consumer")
ONE, TWO, THREE, FOUR = (UUID(int=n) for n in (1, 2, 3, 4))
HOUR = timedelta(hours=1)


@pytest.fixture
async def conn(emptied: str) -> AsyncIterator[Connection]:
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        yield conn


def begun(run_id: UUID, kind: str = "reconcile", **columns: str) -> str:
    """Return the statement that stores a run; a column's value is an expression of SQL."""
    facts = {"id": f"'{run_id}'", "kind": f"'{kind}'", "project_id": "'p'", "stage": "'users'", **columns}
    return f"INSERT INTO consumer.runs ({', '.join(facts)}) VALUES ({', '.join(facts.values())});"


def suspected(run_id: UUID, kind: str = "undeleted_user", user: UUID = ONE, confirmed: str = "NULL") -> str:
    asked = "NULL" if confirmed == "NULL" else "now()"
    return (
        "INSERT INTO consumer.suspects (run_id, kind, user_id, asked_at, confirmed_at) "
        f"VALUES ('{run_id}', '{kind}', '{user}', {asked}, {confirmed});"
    )


def ids(url: str, statement: str) -> list[int]:
    return sorted(next(iter(row.values())).int for row in read(url, statement))


async def test_a_run_is_read_with_the_teams_that_it_has_left(emptied: str, conn: Connection) -> None:
    numbers = ("users", "teams", "memberships", "permissions", "stored", "unusable", "calls", "restarts")
    counts = {name: str(place) for place, name in enumerate(numbers, 1)}
    place = {"cursor": "'c'", "cursor_millis": "11", "newest_millis": "12", "listed_at": f"'{NOON}'"}
    times = {"begun_at": f"'{NOON}'", "finished_at": f"'{NOON + HOUR}'", "abandoned_at": "NULL"}
    change(emptied, begun(ONE, **counts, **place, **times) + begun(TWO, "backfill"))
    teams = [(ONE, THREE), (ONE, FOUR), (TWO, THREE)]
    change(
        emptied,
        "INSERT INTO consumer.run_teams (run_id, team_id) VALUES " + ", ".join(f"('{a}', '{b}')" for a, b in teams),
    )

    found = await runs.read(conn, ONE)

    assert (found.id, found.kind, found.project_id, found.stage, found.teams_left) == (
        ONE,
        "reconcile",
        "p",
        "users",
        2,
    )
    assert [getattr(found, name) for name in numbers] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found.place == Place("users", 8, "c", 11, 12, NOON)
    assert (found.begun_at, found.finished_at, found.abandoned_at) == (NOON, NOON + HOUR, None)


async def test_a_page_moves_its_run_alone_and_the_last_one_ends_it(emptied: str) -> None:
    change(emptied, begun(ONE) + begun(TWO, "backfill") + suspected(ONE) + suspected(TWO))
    change(emptied, begun(THREE, finished_at="now()") + suspected(THREE) + begun(FOUR, abandoned_at="now()"))
    change(emptied, suspected(FOUR))
    counts = PageCounts(1, 2, 3, 4, 5, 6, 7)
    async with kept(emptied, OPERATOR) as conn:
        async with transaction(conn, OPERATOR):
            run = await runs.read(conn, ONE)
            await runs.advance(conn, run, Place("members", 3, "c", 8, 9, NOON), counts)
            moved = await runs.read(conn, ONE)
            await runs.advance(conn, moved, None, counts)
        async with transaction(conn, OPERATOR):
            ended, other = await runs.read(conn, ONE), await runs.read(conn, TWO)

    assert (moved.place, moved.finished_at, moved.is_open) == (Place("members", 3, "c", 8, 9, NOON), None, True)
    names = ("users", "teams", "memberships", "permissions", "stored", "unusable", "calls")
    assert [getattr(moved, name) for name in names] == list(counts)
    assert [getattr(ended, name) for name in names] == [2 * each for each in counts]
    assert (ended.place, ended.finished_at is not None) == (moved.place, True)
    assert (other.place, other.users, other.finished_at) == (Place("users"), 0, None)
    # Another run of its kind that has ended is forgotten, one of another kind is not.
    assert ids(emptied, "SELECT run_id FROM consumer.suspects") == [1, 2]


async def test_answers_are_counted_with_their_run_alone(emptied: str, conn: Connection) -> None:
    change(emptied, begun(ONE) + begun(TWO, "backfill"))
    run = await runs.read(conn, ONE)

    await runs.count_answers(conn, run, PageCounts(1, 1, 1, 1, stored=2, unusable=3, calls=4))
    await runs.count_answers(conn, run, PageCounts(stored=2, unusable=3, calls=4))

    found = [await runs.read(conn, each) for each in (ONE, TWO)]
    assert [(each.users, each.stored, each.unusable, each.calls) for each in found] == [(0, 4, 6, 8), (0, 0, 0, 0)]


async def test_teams_are_remembered_once_and_handed_out_in_their_order(emptied: str, conn: Connection) -> None:
    change(emptied, begun(ONE) + begun(TWO, "backfill"))
    one, other = await runs.read(conn, ONE), await runs.read(conn, TWO)

    new = [await runs.put_teams(conn, one, each) for each in ([THREE, TWO], [TWO, FOUR], [])]
    await runs.put_teams(conn, other, [ONE, TWO])
    found = [await runs.next_teams(conn, one, size) for size in (2, 9)]
    await runs.drop_teams(conn, one, [TWO, FOUR, ONE])

    assert (new, found) == ([2, 1, 0], [[TWO, THREE], [TWO, THREE, FOUR]])
    assert [await runs.next_teams(conn, each, 9) for each in (one, other)] == [[THREE], [ONE, TWO]]


@pytest.mark.parametrize(
    ("columns", "is_locked"),
    [
        ({}, True),
        ({"stage": "'teams'"}, False),
        ({"restarts": "1"}, False),
        ({"cursor": "'c'"}, False),
        ({"finished_at": "now()"}, False),
        ({"abandoned_at": "now()"}, False),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
async def test_a_run_is_locked_only_where_it_still_is(
    emptied: str, conn: Connection, columns: dict[str, str], *, is_locked: bool
) -> None:
    change(emptied, begun(ONE))
    run = await runs.read(conn, ONE)
    for name, value in columns.items():
        change(emptied, f"UPDATE consumer.runs SET {name} = {value}")

    assert await runs.lock(conn, run) is is_locked


@pytest.mark.parametrize(
    ("project", "calls", "is_new", "is_abandoned"),
    [("p", 0, False, False), ("q", 0, False, True), ("q", 1, False, False), ("p", 1, True, True)],
)
async def test_an_open_run_is_given_up_for_another_or_if_it_was_a_mistake(
    emptied: str, project: str, calls: int, *, is_new: bool, is_abandoned: bool
) -> None:
    change(emptied, begun(ONE, calls=str(calls)) + begun(TWO, "backfill") + begun(THREE, finished_at="now()"))
    change(emptied, begun(FOUR, abandoned_at=f"'{NOON}'"))
    for run_id in (ONE, TWO, THREE, FOUR):
        change(emptied, suspected(run_id))
        change(emptied, f"INSERT INTO consumer.run_teams (run_id, team_id) VALUES ('{run_id}', '{ONE}')")
    values: dict[str, Any] = {"kind": "reconcile", "project_id": project, "is_new": is_new}
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        await conn.execute(query("runs/abandon"), values)

    gone = f"SELECT id FROM consumer.runs WHERE abandoned_at IS NOT NULL AND abandoned_at <> '{NOON}'"
    assert ids(emptied, gone) == [1] * is_abandoned
    for table in ("suspects", "run_teams"):
        assert ids(emptied, f"SELECT run_id FROM consumer.{table}") == [1, 2, 3, 4][is_abandoned:]


MIRROR = "INSERT INTO identity.stack_user_profiles (stack_user_id, deleted_at, signed_up_at) VALUES "


async def test_everybody_who_lives_here_is_a_suspect_but_the_newest_and_declared_companies(emptied: str) -> None:
    companies = [UUID(int=n) for n in (11, 12, 13, 14)]
    change(
        emptied,
        begun(ONE)
        + f"{MIRROR}('{ONE}', NULL, NULL), ('{TWO}', now(), NULL), ('{THREE}', NULL, now() - interval '59 min'), "
        f"('{FOUR}', NULL, now() - interval '61 min');"
        "INSERT INTO identity.companies (id, deleted_at) VALUES "
        f"('{companies[0]}', NULL), ('{companies[1]}', now()), ('{companies[2]}', NULL), ('{companies[3]}', NULL);"
        "INSERT INTO consumer.outbox (source, message_id, event_type, team_id, occurred_at, body) VALUES "
        f"('operator', 'a', 'company.declared', '{companies[2]}', now(), ''), "
        f"('stack', 'b', 'company.declared', '{companies[3]}', now(), ''), "
        f"('operator', 'c', 'x', '{companies[0]}', now(), '')",
    )
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        await conn.execute(query("runs/suspect_all"), {"run_id": ONE, "lag": HOUR})

    users = "SELECT user_id FROM consumer.suspects WHERE kind = 'undeleted_user' AND team_id IS NULL"
    teams = "SELECT team_id FROM consumer.suspects WHERE kind = 'undeleted_team' AND user_id IS NULL"
    assert (ids(emptied, users), ids(emptied, teams)) == ([1, 4], [11, 14])


@pytest.mark.parametrize(
    ("others", "is_fixing", "is_found"),
    [
        (suspected(ONE), False, True),
        ("", True, False),
        (suspected(TWO), True, False),
        (suspected(ONE, "listed_user"), True, False),
        (suspected(ONE, "listed_team"), True, False),
        (suspected(ONE, confirmed="now()"), False, False),
        (suspected(ONE, confirmed="now()"), True, True),
        (suspected(ONE) + begun(THREE), False, False),
        (suspected(ONE) + begun(THREE, "backfill"), False, True),
        (suspected(ONE) + begun(THREE, abandoned_at="now()"), False, True),
        (suspected(ONE) + begun(THREE, begun_at=f"'{NOON}'", finished_at=f"'{NOON}'"), False, True),
    ],
)
async def test_the_newest_complete_run_is_undecided_while_something_is_open(
    emptied: str, conn: Connection, others: str, *, is_fixing: bool, is_found: bool
) -> None:
    ended = {"begun_at": "now() - interval '2 h'", "finished_at": "now() - interval '59 min'"}
    change(emptied, begun(TWO, "backfill", **ended) + begun(ONE, **ended) + others)

    values = {"kind": "reconcile", "within": HOUR, "is_fixing": is_fixing}
    assert await rows(conn, scalar_row, "runs/newest_complete", values) == [ONE] * is_found
    assert await rows(conn, scalar_row, "runs/newest_complete", {**values, "within": HOUR * 0.98}) == []
