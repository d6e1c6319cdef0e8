"""What the console's pages and its background do at the edges: whom they refuse, when, and how often."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors as postgres
from psycopg_pool import PoolTimeout, TooManyRequests

from consumer.console import background as console_background
from consumer.console import reading
from consumer.console.background import Background
from consumer.console.reading import DatabaseAway, NotMigrated, TooSlow
from consumer.console.sample import Figures, Sample
from consumer.console.turns import Busy, Unavailable
from consumer.postgres.connections import RoleRefused
from consumer.verdict.observation import Observation
from tests.support.cli import arrive, work
from tests.support.confirming import heading, order
from tests.support.console import SECRET, Desk, running
from tests.support.console_pages import links, words
from tests.support.databases import rows
from tests.support.dead import three_dead
from tests.support.factories import team_event, user_updated
from tests.support.processes import invoke
from tests.test_console_figures import NOW

__all__ = ["three_dead"]

ADA, TEAM = UUID(int=1), UUID(int=77)
STACK = {"STACK_PROJECT_ID": "6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10", "STACK_SECRET_SERVER_KEY": "ssk_x"}


@pytest.fixture
def desk(emptied: str) -> Iterator[Desk]:
    with running(emptied) as desk:
        yield desk


def test_the_page_of_a_refresh_leads_back_to_its_user(emptied: str) -> None:
    with running(emptied, **STACK) as desk:
        page = desk.as_("operator").get(f"/users/{ADA}/refresh")

    assert order(page)[0] == f"/users/{ADA}/refresh"
    assert f"/users/{ADA}" in links(page.text)
    assert not [each for each in links(page.text) if "{" in each or "%7B" in each]


@pytest.mark.parametrize(
    ("given", "missing"),
    [("STACK_PROJECT_ID", "STACK_SECRET_SERVER_KEY"), ("STACK_SECRET_SERVER_KEY", "STACK_PROJECT_ID")],
)
def test_a_refresh_names_the_one_setting_that_is_missing(emptied: str, given: str, missing: str) -> None:
    with running(emptied, **{given: STACK[given]}) as desk:
        page = desk.as_("operator").get(f"/users/{ADA}/refresh")

    assert f"This console has no {missing} to ask Stack with" in words(page.text)
    assert f"consumer refresh {ADA}" in words(page.text)


def test_a_viewer_s_look_at_an_operator_s_page_is_refused_and_only_a_form_is_recorded(desk: Desk, emptied: str) -> None:
    recorded = "SELECT actor, action, filter FROM consumer.actions"
    viewer = desk.as_("viewer")
    assert viewer.get("/dead/retry").status == 403
    assert rows(emptied, recorded) == []

    assert [viewer.post(path).status for path in ("/dead/retry", "/dead/retry", "/dead/discard")] == [403] * 3

    assert rows(emptied, recorded) == [
        {"actor": "kim", "action": "refused", "filter": {"address": path}} for path in ("/dead/retry", "/dead/discard")
    ]


@pytest.mark.parametrize("arguments", [("--as", "kim"), ("--role", "viewer"), ("--as", "kim", "--role", "admin")])
def test_a_link_needs_a_name_and_one_of_two_roles(arguments: tuple[str, ...], tmp_path: Path) -> None:
    settings = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "CONSOLE_SECRET": SECRET}

    result = invoke(tmp_path, settings, "console", "link", *arguments)

    assert (result.exit_code, "Usage:" in result.stderr) == (2, True)


def test_nobody_is_a_trusted_proxy_by_saying_so_in_a_header(emptied: str) -> None:
    with running(emptied, CONSOLE_TRUST_USER_HEADER="X-User peers=10.0.0.7") as desk:
        page = desk.get("/system", x_user="kim", x_forwarded_for="10.0.0.7", x_forwarded_proto="https")

    assert page.status == 303


def test_the_noun_of_a_question_is_of_one_or_of_several(desk: Desk, three_dead: str) -> None:
    operator = desk.as_("operator")

    assert heading(operator.get("/dead/retry")) == "Retry 3 dead deliveries?"
    assert heading(operator.get("/dead/retry?error=bad_shape")) == "Retry 1 dead delivery?"
    assert heading(operator.get("/dead/retry?error=none")) == "Nothing matches"


def test_the_box_leads_on_by_what_it_is_given(desk: Desk, emptied: str) -> None:
    arrive(emptied, user_updated(ADA), team_event("created", TEAM))
    work(emptied)
    viewer = desk.as_("viewer")

    answers = {text: viewer.post("/find", {"q": text}) for text in (str(ADA), str(TEAM), "", "x" * 320, "x" * 321)}

    assert [(each.status, each.headers.get("location")) for each in answers.values()] == [
        (303, f"/users/{ADA}"),
        (303, f"/companies/{TEAM}"),
        (200, None),
        (404, None),
        (404, None),
    ]
    assert [heading(viewer.get(path)) for path in ("/users", "/companies", "/find")] == ["Users", "Companies", "Find"]
    assert heading(answers["x" * 320]) == "Nothing found"


def test_a_place_among_members_is_a_user_and_an_unknown_team_is_not_found(desk: Desk, emptied: str) -> None:
    arrive(emptied, team_event("created", TEAM))
    work(emptied)
    viewer = desk.as_("viewer")

    asked = [f"/companies/{TEAM}", f"/companies/{TEAM}?after={ADA}", f"/companies/{TEAM}?after=x", f"/companies/{ADA}"]
    assert [viewer.get(path).status for path in asked] == [200, 200, 400, 404]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        *((each(), NotMigrated) for each in (postgres.UndefinedTable, postgres.UndefinedColumn)),
        *((each(), NotMigrated) for each in (postgres.UndefinedFunction, postgres.InvalidSchemaName)),
        (RoleRefused("x"), NotMigrated),
        (postgres.QueryCanceled(), TooSlow),
        (postgres.LockNotAvailable(), TooSlow),
        (PoolTimeout(), Busy),
        (TooManyRequests(), Busy),
        (psycopg.OperationalError('FATAL:  too many connections for role "x"'), Busy),
        (psycopg.OperationalError("FATAL:  sorry, too many clients already"), Busy),
        (psycopg.OperationalError("FATAL:  remaining connection slots are reserved"), Busy),
        (psycopg.OperationalError("server closed the connection"), DatabaseAway),
        (OSError("no route"), DatabaseAway),
        (TimeoutError(), DatabaseAway),
        (ZeroDivisionError(), ZeroDivisionError),
        (postgres.UniqueViolation(), postgres.UniqueViolation),
    ],
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
def test_what_postgresql_raises_is_what_a_page_can_say(raised: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected) as found, reading._errors():
        raise raised

    assert type(found.value) is expected
    if issubclass(expected, Unavailable):
        assert found.value.__cause__ is raised


def test_while_a_migration_is_missing_nothing_is_known_of_the_queues() -> None:
    assert Sample(Observation(NOW), ()).figures == Figures(0, 0, 0, None, None, True, 0, None)
    assert Sample(Observation(NOW), ()).latest == ()


class Ordered:
    """A database in which steps are ordered: whether one is done, and whether anything is left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, done: list[bool], left: int) -> None:
        self.done, self.left = done, left
        self.pauses: list[float] = []
        monkeypatch.setattr("consumer.operations.background.run_once", self.run_once)
        monkeypatch.setattr("consumer.operations.background.is_any", self.is_any)
        monkeypatch.setattr(console_background, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": self.sleep}))

    async def run_once(self, *_: object) -> bool:
        return self.done.pop(0) if self.done else False

    async def is_any(self, *_: object) -> bool:
        self.left -= 1
        return self.left >= 0

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def observe(self, work: Callable[..., Awaitable[bool]]) -> bool:
        return await work()

    @asynccontextmanager
    async def acting_alone(self) -> Any:
        yield None, None


async def test_while_nothing_can_be_done_each_pause_is_twice_the_last_up_to_two_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world: Any = Ordered(monkeypatch, [True, False, False, True, *[False] * 9], 10)

    await Background(world, {})._finish_all(world, world)

    assert world.pauses == [0.05, 0.1, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


async def test_what_is_ordered_begins_at_once_and_after_a_bug_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world: Any = Ordered(monkeypatch, [], 0)
    looks = asyncio.Queue[int]()
    answers: Iterator[Exception | None] = iter([None, ZeroDivisionError(), DatabaseAway(), None])

    async def observe(_: object) -> bool:
        looks.put_nowait(1)
        if error := next(answers):
            raise error
        return False

    world.observe = observe
    one = Background(world, {}, idle_seconds=60)
    with caplog.at_level(logging.ERROR, "consumer"):
        going = asyncio.create_task(one.go_on())
        for _ in range(4):
            await asyncio.wait_for(looks.get(), 10)
            one.wake()
        one._due.clear()
        await asyncio.sleep(0)
        going.cancel()

    assert [record.msg for record in caplog.records] == ["task_failed"]
    assert vars(caplog.records[0])["task"] == "background actions"


async def test_idle_it_looks_again_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world: Any = Ordered(monkeypatch, [], 0)
    looks = asyncio.Queue[int]()

    async def observe(_: object) -> bool:
        looks.put_nowait(1)
        return False

    world.observe = observe
    going = asyncio.create_task(Background(world, {}, idle_seconds=0.01).go_on())
    for _ in range(3):
        await asyncio.wait_for(looks.get(), 10)
    going.cancel()


async def test_who_wakes_it_twice_while_it_works_lets_it_look_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    world: Any = Ordered(monkeypatch, [], 0)
    looks: list[int] = []

    async def observe(_: object) -> bool:
        looks.append(1)
        if len(looks) == 1:
            one.wake()
            one.wake()
        # More would go on without an end.
        await asyncio.sleep(0 if len(looks) < 9 else 60)
        return False

    world.observe = observe
    one = Background(world, {}, idle_seconds=60)
    going = asyncio.create_task(one.go_on())
    for _ in range(50):
        await asyncio.sleep(0)
    going.cancel()

    assert len(looks) == 2


def test_an_action_that_nobody_knows_is_not_found(desk: Desk) -> None:
    viewer = desk.as_("viewer")

    assert [viewer.get(f"/actions/{each}").status for each in ("x", uuid4())] == [404, 404]
    assert timedelta(seconds=5).total_seconds() == console_background.IDLE_SECONDS
