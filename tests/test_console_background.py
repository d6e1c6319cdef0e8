"""What was ordered at the console goes on: after a kill, beside other consoles, without the database for a while."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from consumer.cli.addresses import free_port
from consumer.cli.console_outside import outside
from consumer.operations import background
from consumer.operations.actions import Action, Actor
from consumer.operations.background import PENDING_MAX, Commit, Order, OrderWork
from consumer.operations.background_work import FOUND_MAX, PAGE_SIZE, works
from consumer.postgres.connections import Access, Connection, connect, operator_access, transaction
from consumer.worker.batch import BATCH_SIZE
from tests.faults.proxy import wire
from tests.support import processes
from tests.support.cli import arrive, work
from tests.support.confirming import confirm, finished, order
from tests.support.console import SECRET, Desk, running
from tests.support.databases import change, end_sessions, rows, schema_change, sessions
from tests.support.dead import three_dead
from tests.support.factories import user_updated
from tests.support.outbox import seqs, set_aside
from tests.support.processes import until
from tests.support.settings import load

pytest_plugins = ["tests.support.console"]

__all__ = ["three_dead"]

RETRY = "/dead/retry"
MANY = 2 * PAGE_SIZE + 100


@pytest.fixture
def many_dead(emptied: str) -> str:
    """Usable deliveries of three pages that are dead."""
    dead = [user_updated() for _ in range(MANY)]
    arrive(emptied, *dead)
    set_aside(emptied, dead)
    return emptied


def progress(url: str) -> dict[str, Any]:
    [found] = rows(url, "SELECT * FROM consumer.actions JOIN consumer.background USING (id)")
    return found


def reach(url: str) -> Mapping[str, OrderWork]:
    """Return what a console can do that has just started."""
    return works(outside(load({"DATABASE_URL": url}), url))


def step(url: str, known: Mapping[str, OrderWork] | None = None) -> bool:
    """Do one page, as a console does."""
    access = operator_access("consumer")

    async def stepped() -> bool:
        async with await connect(url, access) as conn:
            return await background.run_once(conn, access, known or reach(url))

    return asyncio.run(stepped())


def worked(url: str) -> dict[str, Any] | None:
    """OrderWork until the action is finished; return it then."""
    work(url)
    found = progress(url)
    return found if found["finished_at"] else None


def outcomes(url: str) -> dict[str, int]:
    found = rows(url, "SELECT coalesce(outcome, state) AS state, count(*) AS n FROM consumer.deliveries GROUP BY 1")
    return {row["state"]: row["n"] for row in found}


def test_a_page_is_a_fifth_of_a_batch() -> None:
    assert (PAGE_SIZE, PENDING_MAX, BATCH_SIZE) == (200, 200, 1000)


def test_a_page_waits_until_few_deliveries_are_pending(desk: Desk, many_dead: str) -> None:
    """Without a worker one page is put back, and no more."""
    confirm(desk, RETRY, number=str(MANY))
    until(lambda: progress(many_dead)["affected"])
    turns = [step(many_dead) for _ in range(3)]

    assert (turns, progress(many_dead)["affected"]) == ([False] * 3, PAGE_SIZE)
    assert outcomes(many_dead) == {"pending": PAGE_SIZE, "dead": MANY - PAGE_SIZE}
    done = until(lambda: worked(many_dead))
    work(many_dead)
    assert (done["affected"], outcomes(many_dead)) == (MANY, {"applied": MANY})


def test_after_a_kill_another_console_goes_on_and_does_no_page_twice(many_dead: str, tmp_path: Path) -> None:
    port = free_port(processes.HOST)
    settings = {"DATABASE_URL": many_dead, "CONSOLE_SECRET": SECRET, "CONSOLE_PORT": str(port)}
    with processes.running(tmp_path, settings, "console") as console:
        until(lambda: "console_started" in console.text)
        confirm(Desk(port, load(settings)).as_("operator"), RETRY, number=str(MANY))
        until(lambda: progress(many_dead)["affected"])
        console.process.kill()
    killed = progress(many_dead)
    with running(many_dead):
        done = until(lambda: worked(many_dead))
    work(many_dead)

    assert (killed["finished_at"], killed["affected"]) == (None, PAGE_SIZE)
    assert (done["affected"], done["result"]) == (MANY, {"put_back": MANY})
    assert outcomes(many_dead) == {"applied": MANY}


def test_a_page_whose_session_ends_is_rolled_back_and_done_again(desk: Desk, many_dead: str) -> None:
    """The click is answered before: nothing of the work is in its request."""
    waiting = sessions("operator") + " AND wait_event_type = 'Lock'"
    with psycopg.connect(many_dead) as blocker:
        blocker.execute("LOCK TABLE consumer.pending IN SHARE MODE")
        answer = confirm(desk, RETRY, number=str(MANY))
        until(lambda: rows(many_dead, waiting))
        end_sessions(many_dead, "operator")
    ended = progress(many_dead)
    done = until(lambda: worked(many_dead))

    assert (answer.status, ended["affected"], ended["place"]) == (303, 0, {})
    assert (done["affected"], done["result"]) == (MANY, {"put_back": MANY})


def test_two_consoles_share_the_pages(many_dead: str) -> None:
    with running(many_dead) as one, running(many_dead) as two:
        confirm(one.as_("operator"), RETRY, number=str(MANY))
        two.as_("operator").get("/actions")
        done = until(lambda: worked(many_dead))
    work(many_dead)

    assert (done["affected"], outcomes(many_dead)) == (MANY, {"applied": MANY})


def test_a_page_that_another_console_has_done_meanwhile_is_void(many_dead: str) -> None:
    access = operator_access("consumer")
    real = works(outside(load({"DATABASE_URL": many_dead}), many_dead))
    ordered = Action(Actor("kim", "console"), "retry", {"states": ["dead"]})

    async def overtaken(conn: Connection, access: Access, task: Order) -> Commit:
        async with await connect(many_dead, access) as other:
            assert await background.run_once(other, access, real)
        return await real["retry"](conn, access, task)

    async def stepped() -> bool:
        async with await connect(many_dead, access) as conn:
            async with transaction(conn, access):
                await background.put(conn, ordered)
            return await background.run_once(conn, access, {"retry": overtaken})

    assert not asyncio.run(stepped())
    assert progress(many_dead)["affected"] == PAGE_SIZE


def test_an_order_outlasts_the_database_s_absence(three_dead: str) -> None:
    with wire(three_dead) as cable, running(cable.url) as nobody:
        desk = nobody.as_("operator")
        address, fields = order(desk.get(RETRY))
        cable.cut()
        away = desk.post(address, fields)
        cable.mend()
        answer = until(lambda: next((page for page in [desk.post(address, fields)] if page.status == 303), None))
        done = finished(three_dead, answer)

    assert (away.status, "The database is away" in away.text) == (503, True)
    assert [done["affected"]] == [row["affected"] for row in rows(three_dead, "SELECT affected FROM consumer.actions")]


def test_a_page_that_postgres_refuses_is_said_and_tried_again_while_others_go_on(desk: Desk, three_dead: str) -> None:
    with schema_change(
        three_dead,
        "ALTER TABLE consumer.pending ADD CONSTRAINT none CHECK (FALSE) NOT VALID",
        "ALTER TABLE consumer.pending DROP CONSTRAINT none",
    ):
        answer = confirm(desk, RETRY)
        until(lambda: progress(three_dead)["error"])
        page = desk.get(answer.headers["location"])
        other = finished(three_dead, confirm(desk, f"/dead/discard?seq={seqs(three_dead)['broken']}", reason="a test"))
    change(three_dead, "UPDATE consumer.background SET stepped_at = now() - interval '10 seconds'")
    done = finished(three_dead, answer)

    assert "The last page failed and is tried again every 10 s: 23514" in page.text
    assert (other["affected"], done["affected"], done["error"]) == (1, 2, None)


def test_the_page_of_an_action_asks_again_until_it_is_finished(desk: Desk, many_dead: str) -> None:
    answer = confirm(desk, RETRY, number=str(MANY))
    until(lambda: progress(many_dead)["affected"])
    going = desk.as_("viewer").get(answer.headers["location"])
    until(lambda: worked(many_dead))
    ended = desk.as_("viewer").get(answer.headers["location"])

    refresh = '<meta http-equiv="refresh" content="2">'
    assert (going.status, refresh in going.text, "going on" in going.text) == (200, True, True)
    assert (ended.status, refresh in ended.text, f"{MANY:,}" in ended.text) == (200, False, True)


def check_ordered(url: str) -> None:
    """Order a check of the users of all deliveries."""
    access = operator_access("consumer")
    ordered = Action(Actor("kim", "console"), "check", {"since": "2026-01-01T00:00:00+00:00"})

    async def put() -> None:
        async with await connect(url, access) as conn, transaction(conn, access):
            await background.put(conn, ordered)

    asyncio.run(put())


@pytest.mark.parametrize(("is_restarted", "users"), [(False, 1), (True, 2)])
def test_a_check_finds_what_is_chosen_once_in_a_process(emptied: str, is_restarted: bool, users: int) -> None:
    """Who comes while it goes on is found only by a process that has not found them yet."""
    arrive(emptied, user_updated())
    work(emptied)
    check_ordered(emptied)
    known = reach(emptied)
    step(emptied, known)
    arrive(emptied, user_updated())
    work(emptied)
    while step(emptied, None if is_restarted else known):
        pass

    assert progress(emptied)["result"]["users"] == users


def test_a_process_remembers_the_choice_of_a_few_checks(emptied: str) -> None:
    arrive(emptied, user_updated())
    work(emptied)
    for _ in range(FOUND_MAX + 2):
        check_ordered(emptied)
    known = reach(emptied)
    while step(emptied, known):
        pass

    assert FOUND_MAX == 4
    assert len(known["check"].args[1]) == FOUND_MAX  # type: ignore[attr-defined]
    assert len(rows(emptied, "SELECT FROM consumer.background WHERE finished_at IS NOT NULL")) == FOUND_MAX + 2
