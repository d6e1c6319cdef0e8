"""The bench of support's questions: about which rows, how many times, and the drain with and without indexes."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from bench import lookups
from bench.checks import FalseFigure
from bench.support import database, user_event
from consumer.lookup.listing import ListFilter
from consumer.postgres import migrations
from consumer.postgres.connections import connect, operator_access, viewer_access
from tests.support.benches import Ticking, call_main, kept_runners, silent
from tests.support.databases import rows
from tests.support.names import own

USER, TEAM = UUID(int=7), UUID(int=9)


def patched(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    for name, value in names.items():
        monkeypatch.setattr(lookups, name, value)


async def test_each_question_asks_what_its_name_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def keep(name: str) -> Any:
        async def ask(conn: object, *given: object, **named: object) -> None:
            assert conn == "a connection"
            asked.append((name, *given, *named.values()))

        return ask

    patched(monkeypatch, listing=SimpleNamespace(page=keep("page")), one_delivery=SimpleNamespace(find=keep("find")))
    patched(monkeypatch, audit=SimpleNamespace(of_delivery=keep("audit")))
    patched(monkeypatch, one_user=SimpleNamespace(by_email=keep("email"), timeline=keep("timeline")))
    patched(monkeypatch, deliveries=SimpleNamespace(errors=keep("errors")))
    conn: Any = "a connection"
    questions = lookups.questions(5, "msg_1", USER, TEAM)
    for question in questions.values():
        await question(conn)

    assert dict(zip(questions, asked, strict=True)) == {
        "newest 50": ("page", ListFilter(), 50),
        "newest 50 dead": ("page", ListFilter(states=["dead"]), 50),
        "50 of a user": ("page", ListFilter(user_ids=[USER]), 50),
        "50 of a team": ("page", ListFilter(team_id=TEAM), 50),
        "a type that nothing has, one look": ("page", ListFilter(event_type="team.*"), 50),
        "an outcome that nothing has, one look": ("page", ListFilter(outcome="stale"), 50),
        "one delivery by message id": ("find", "msg_1"),
        "what one delivery changed": ("audit", 5, 20),
        "a user by e-mail": ("email", f"{USER}@EXAMPLE.com"),
        "a user's timeline": ("timeline", USER, 20),
        "dead by cause": ("errors", ["dead"], 100),
    }


@pytest.fixture
async def stored(server_url: str) -> AsyncIterator[str]:
    with database(server_url, own("bench_lookups")) as url:
        migrations.apply(url, "consumer")
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(lookups.FILL, {"events": 6000, "body": user_event(lookups.USER, 1)})
            conn.execute(lookups.BESIDE)
        yield url


async def test_the_questions_are_about_a_delivery_that_was_applied_and_its_user(
    stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def questions(*given: object) -> dict[str, str]:
        asked.append(given)
        return {"one": "a question"}

    async def timed(_: object, access: Any, name: str, question: Any) -> dict[str, object]:
        asked.append((access.role, name))
        return {"question": name}

    patched(monkeypatch, _timed=timed, questions=questions)

    assert [row["question"] for row in await lookups.measure(stored)] == [name for _, name in asked[1:]]
    # The 501st whose seq ends with 1.
    [row] = rows(
        stored, "SELECT user_id, message_id, md5('team20')::uuid AS team FROM consumer.outbox WHERE seq = 5001"
    )
    assert asked == [
        (5001, row["message_id"], row["user_id"], row["team"]),
        ("consumer_viewer", "one"),
        ("consumer_operator", "last of each source"),
        ("consumer_operator", "newest 50 of consumer.deliveries"),
    ]


async def test_a_question_is_asked_twenty_times_under_its_role(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a thousandth of a second more than the one before, from 2 ms on."""
    shown, roles = silent(monkeypatch, lookups), list[str]()
    readings = [reading for n in range(20) for reading in (float(n), n + (n + 2) / 1000)]
    patched(monkeypatch, time=Ticking(*readings))

    async def question(conn: Any) -> None:
        [(role,)] = await (await conn.execute("SELECT current_user")).fetchall()
        roles.append(role)

    async with await connect(stored, operator_access("consumer")) as conn:
        row = await lookups._timed(conn, viewer_access("consumer"), "who", question)

    assert row == {"question": "who", "best ms": pytest.approx(2), "median ms": pytest.approx(11.5)}
    assert roles == ["consumer_viewer"] * 20
    assert shown.progress == ["who"]


@pytest.mark.parametrize("is_indexed", [True, False])
async def test_a_drain_is_timed_with_or_without_the_indexes_of_support(
    server_url: str, monkeypatch: pytest.MonkeyPatch, is_indexed: bool
) -> None:
    patched(monkeypatch, DRAINED=20, time=Ticking(3.0, 5.0))
    runners = kept_runners(monkeypatch, lookups)
    with database(server_url, own("bench_indexes")) as url:
        assert await lookups.drained(url, is_indexed=is_indexed) == 2

        names = "('profile_audit_seq', 'stack_user_profiles_email')"
        assert len(rows(url, f"SELECT FROM pg_indexes WHERE indexname IN {names}")) == (2 if is_indexed else 0)
        assert rows(url, "SELECT count(*) FROM consumer.outcomes") == [{"count": 20}]
    assert runners == [{"attempts_max": 12}]


async def test_a_drain_that_left_deliveries_is_no_figure(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def drain(*_: object) -> int:
        return 0

    patched(monkeypatch, DRAINED=20, drain=drain)
    with database(server_url, own("bench_left")) as url, pytest.raises(FalseFigure, match="drain: 20 deliveries"):
        await lookups.drained(url, is_indexed=True)


def test_drains_take_turns_and_the_median_of_their_ratios_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair: without, with; the next begins with the indexes."""
    shown, asked = silent(monkeypatch, lookups), list[bool]()
    took = iter([1.0, 2.0, 9.0, 3.0, 4.0, 10.0])

    async def drained(url: str, *, is_indexed: bool) -> float:
        assert url == "server/lookups_drain"
        asked.append(is_indexed)
        return next(took)

    patched(monkeypatch, drained=drained)

    # 2 / 1, 9 / 3, 10 / 4
    assert lookups.ratio("server") == 2.5
    assert asked == [False, True, True, False, False, True]
    assert shown.progress[:3] == [
        "drain without the indexes",
        "drain with the indexes",
        "drain with the indexes",
    ]


def test_what_is_asked_lies_in_a_database_of_its_own(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, seen = silent(monkeypatch, lookups), list[Any]()

    async def measure(url: str) -> list[dict[str, object]]:
        # A vacuum has counted the rows.
        seen.extend(rows(url, "SELECT reltuples FROM pg_class WHERE oid = 'consumer.outbox'::regclass"))
        seen.extend(rows(url, "SELECT count(DISTINCT body), min(convert_from(body, 'UTF8')) AS b FROM consumer.outbox"))
        seen.extend(rows(url, "SELECT state, count(*) FROM consumer.failures GROUP BY state"))
        return [{"question": "x"}]

    patched(monkeypatch, measure=measure, ratio=lambda _: 1.25)
    patched(monkeypatch, database=lambda _, name: database(server_url, own(name)))

    call_main(monkeypatch, lookups, "--events=400", "--json")

    body = user_event(lookups.USER, 1).decode()
    assert seen == [{"reltuples": 400}, {"count": 1, "b": body}, {"state": "dead", "count": 40}]
    assert (shown.titles, shown.rows, shown.as_json) == (["Questions of support"], [[{"question": "x"}]], [True])
    assert shown.facts == [{"stored": 400, "event bytes": 1300, "drain, with / without": 1.25}]
    assert shown.progress == ["storing 400"]
