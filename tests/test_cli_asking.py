"""What a terminal is asked before a deletion, and how the verdict is drawn again and again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from rich.console import Console
from rich.text import Text

from consumer.cli import reconcile, watch
from consumer.operations.reconcile import Excess, Reconciled, ReconcileOptions
from consumer.operations.runs import BegunRun
from consumer.settings.settings import Settings
from tests.support.backfills import environment
from tests.support.cli import call
from tests.support.fake_stack import FakeStack
from tests.test_printed_runs import made_run


@pytest.mark.parametrize(
    ("flags", "is_terminal", "is_gone", "is_excess", "answer", "runs", "exit_code"),
    [
        (["--fix", "--new"], True, True, False, "y", [(True, False), (False, True)], 0),
        (["--fix", "--new"], True, True, False, "n", [(True, False)], 1),
        (["--fix", "--yes"], True, True, False, "", [(False, True)], 0),
        (["--fix", "--json"], True, True, False, "", [(False, True)], 0),
        (["--fix"], False, True, False, "", [(False, True)], 0),
        (["--new"], True, True, False, "", [(True, False)], 0),
        (["--fix"], True, False, False, "", [(False, False)], 0),
        (["--fix"], True, True, True, "", [(False, False)], 0),
    ],
)
def test_a_terminal_is_asked_before_anything_is_deleted_and_only_if_something_would_be(
    emptied: str,
    fake: FakeStack,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    is_terminal: bool,
    is_gone: bool,
    is_excess: bool,
    answer: str,
    runs: list[tuple[bool, bool]],
    exit_code: int,
) -> None:
    suspect: Any = SimpleNamespace(kind="extra_membership", user_id=None, team_id=None, permission_id=None)
    excess = [Excess("undeleted_user", 1, 2, 3)] if is_excess else []
    found = Reconciled(made_run(unusable=0), [], excess, None, [suspect] if is_gone else [])
    ran: list[tuple[bool, bool]] = []

    def run(_: Settings, begin: ReconcileOptions, options: ReconcileOptions) -> tuple[BegunRun, Reconciled]:
        assert begin.is_fixing == ("--fix" in flags)
        ran.append((begin.is_new, options.is_fixing))
        return BegunRun(made_run(), is_resumed=False), found

    monkeypatch.setattr(Console, "is_terminal", property(lambda _: is_terminal))
    monkeypatch.setattr(reconcile, "_run", run)
    result = call(emptied, "reconcile", *flags, typed=f"{answer}\n", **environment(fake))

    assert (ran, result.exit_code) == (runs, exit_code), result.output
    assert ("Delete here what is left? [y/N]" in result.output) == bool(answer)


class Opened:
    """A connection that counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


async def test_a_connection_is_closed_after_a_failure_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Opened] = []
    looks: list[Any] = [[Text("a")], psycopg.OperationalError("gone"), [Text("b")], TimeoutError(), [Text("c")]]

    async def connect(*_: object) -> Opened:
        made.append(Opened())
        return made[-1]

    async def look(_: object, conn: Opened, columns: int) -> list[Text]:
        assert (conn is made[-1], columns) == (True, 40)
        found = looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return list(found)

    monkeypatch.setattr(watch, "connect", connect)
    monkeypatch.setattr(watch, "_look", look)
    drawn = watch.boards(Settings(), "host=x", 40)
    shown = [(await anext(drawn))[0].plain for _ in range(5)]
    before = [each.closed for each in made]
    await drawn.aclose()

    assert ([shown[n] for n in (0, 2, 4)], "not flowing" in shown[1]) == (["a", "b", "c"], True)
    assert (before, [each.closed for each in made]) == ([1, 1, 0], [1, 1, 1])


async def test_a_watch_draws_the_lines_in_the_window_until_somebody_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, bool]] = []
    made: dict[str, Any] = {}
    asked: list[int] = []

    class Live:
        console = SimpleNamespace(width=55)

        def __init__(self, **given: Any) -> None:
            made.update(given)

        def __enter__(self) -> "Live":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, text: Text, *, refresh: bool) -> None:
            drawn.append((text.plain, refresh))
            if len(drawn) == 3:
                stops[0].set()

    stops: list[asyncio.Event] = []

    @contextmanager
    def keys(stop: asyncio.Event) -> Iterator[None]:
        stops.append(stop)
        yield

    async def boards(_: object, __: object, columns: int) -> AsyncIterator[list[Text]]:
        asked.append(columns)
        for n in range(9):
            yield [Text(f"a{n}"), Text("b")]

    for name, stand_in in {"Live": Live, "_keys": keys, "boards": boards, "PERIOD_SECONDS": 0.01}.items():
        monkeypatch.setattr(watch, name, stand_in)
    await asyncio.wait_for(watch._draw(Settings(), "host=x"), 9)

    assert drawn == [(f"a{n}\nb", True) for n in range(3)]
    assert (asked, made["screen"], made["auto_refresh"]) == ([55], True, False)
