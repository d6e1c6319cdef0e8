"""Replay: what is put back to pending, what is not, and that neither a kill, a repeat nor live traffic matters."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.cli.time_param import DURATION_MAX, TimeParam, instant
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.operations.replay import Replayed, replay
from consumer.outbox import deliveries
from consumer.outbox.deliveries import Selection
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, operator_access, worker_access
from consumer.worker.batch import BatchRunner, drain
from tests.support.cli import arrive, call, facts, set_aside, states, work
from tests.support.databases import rows
from tests.support.factories import delivery, user_deleted, user_updated

ROOT = Path(__file__).parent.parent
ACCESS = operator_access("consumer")
EVERYTHING = Selection(states=("done", "dead"))
USER = UUID("0b5e9a3c-0d6c-4f8b-9a51-0c4de4b7c001")
# What a replay must not move: everything but the bookkeeping of the queue.
TABLES = (
    "SELECT * FROM identity.stack_user_profiles ORDER BY 1",
    "SELECT * FROM identity.profiles ORDER BY 1",
    "SELECT * FROM identity.profile_audit ORDER BY id",
    "SELECT xmin::text FROM identity.profiles ORDER BY user_id",
)
# Kills itself as soon as the first page is committed.
KILLED = """
import asyncio, os, signal, sys
from consumer.postgres.connections import connect, operator_access
from consumer.outbox.deliveries import Selection
from consumer.operations.replay import replay

async def work():
    access = operator_access("consumer")
    async with await connect(sys.argv[1], access) as conn:
        async for _ in replay(conn, access, Selection(states=("done",))):
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(work())
"""


def unusable(code: str = "bad_shape", body: bytes = b'{"type": "user.updated", "data": {}}') -> Delivery:
    return delivery("user.updated", USER)._replace(body=body, error_code=code, error="$: no longer the reason")


def replayed(url: str, selection: Selection = EVERYTHING) -> Replayed:
    async def run() -> Replayed:
        async with await connect(url, ACCESS) as conn:
            batches = [batch async for batch in replay(conn, ACCESS, selection)]
            return Replayed(sum(b.queued for b in batches), sum(b.unusable for b in batches))

    return asyncio.run(run())


def tables(url: str) -> list[object]:
    return [rows(url, statement) for statement in TABLES]


def bulk(url: str, n: int) -> None:
    """Put many done deliveries of a type without an effect, faster than by the door."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "WITH stored AS (INSERT INTO consumer.outbox (source, message_id, event_type, occurred_at, body) "
            "SELECT 'stack', 'bulk_' || n, 'stack.test', now(), '{}' FROM generate_series(1, %s) AS n RETURNING seq) "
            "INSERT INTO consumer.outcomes (seq, outcome) SELECT seq, 'ignored' FROM stored",
            (n,),
        )


def test_replaying_what_was_applied_changes_no_row(emptied: str) -> None:
    user_id = uuid4()
    arrive(
        emptied,
        user_updated(user_id),
        delivery("user.signed_in", user_id, "app"),
        user_updated(user_id, display_name="G"),
    )
    arrive(emptied, user_updated(), user_deleted(uuid4()))
    work(emptied)
    before = tables(emptied)

    done = replayed(emptied)
    waiting = Counter(states(emptied).values())
    work(emptied)

    assert done == Replayed(queued=5, unusable=0)
    assert waiting == {"pending": 5}
    assert tables(emptied) == before
    assert Counter(states(emptied).values()) == {"done": 5}


def test_a_second_replay_before_a_worker_comes_finds_nothing(emptied: str) -> None:
    arrive(emptied, user_updated(), user_updated())
    work(emptied)
    replayed(emptied)

    assert replayed(emptied) == Replayed(queued=0, unusable=0)
    assert Counter(states(emptied).values()) == {"pending": 2}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["--type", "user.deleted"], ["deleted"], id="type"),
        pytest.param(["--user", str(USER)], ["old", "deleted"], id="user"),
        pytest.param(["--user", str(USER).upper()], ["old", "deleted"], id="user in upper case"),
        pytest.param(["--message-id", "old"], ["old"], id="message id"),
        pytest.param(["--message-id", "old", "--message-id", "dead"], ["old", "dead"], id="two message ids"),
        pytest.param(["--since", "2026-11-21"], ["new", "dead"], id="since a day"),
        pytest.param(["--since", "2026-11-20T12:00:00+00:00"], ["deleted", "new", "dead"], id="since is inclusive"),
        pytest.param(["--until", "2026-11-20T12:00:00Z"], ["old"], id="until is exclusive"),
        pytest.param(["--since", "2026-11-20T14:00:00+02:00", "--until", "2026-11-21"], ["deleted"], id="a zone"),
        pytest.param(["--since", "1h"], ["dead"], id="a duration"),
        pytest.param(["--until", "1h"], ["old", "deleted", "new"], id="until a while ago"),
        pytest.param(["--all", "--state", "done"], ["old", "deleted", "new"], id="done ones"),
        pytest.param(["--all", "--state", "dead"], ["dead"], id="dead ones"),
        pytest.param(["--all", "--state", "dead, retrying"], ["dead", "retrying"], id="retrying ones"),
        pytest.param(["--error", "23505", "--state", "retrying"], ["retrying"], id="an error"),
        pytest.param(["--all"], ["old", "deleted", "new", "dead"], id="all, which leaves retrying ones to their time"),
        pytest.param(["--type", "user.updated", "--until", "2026-11-20"], ["old"], id="two filters"),
    ],
)
def test_each_filter_takes_exactly_what_it_names(emptied: str, arguments: list[str], expected: list[str]) -> None:
    old, deleted = user_updated(USER)._replace(message_id="old"), user_deleted(USER)._replace(message_id="deleted")
    new, dead = user_updated()._replace(message_id="new"), user_updated()._replace(message_id="dead")
    retrying = user_updated()._replace(message_id="retrying")
    arrive(emptied, old, deleted, new)
    work(emptied)
    arrive(emptied, dead, retrying, user_updated()._replace(message_id="fresh"))
    set_aside(emptied, [dead])
    set_aside(emptied, [retrying], "retrying", "23505")
    receive_at(emptied, old="2026-11-19", deleted="2026-11-20 12:00", new="2026-11-22")
    before = states(emptied)

    counted = facts(emptied, "replay", *arguments, "--dry-run")
    untouched = states(emptied)
    done = facts(emptied, "replay", *arguments)

    assert sum(counted["matches"].values()) == len(expected)
    assert untouched == before
    assert done == {"queued": len(expected), "unusable": 0}
    assert {name for name, state in states(emptied).items() if state == "pending"} == {*expected, "fresh"}


def receive_at(url: str, **times: str) -> None:
    with psycopg.connect(url, options="-c TimeZone=UTC") as conn:
        for message_id, at in times.items():
            conn.execute("UPDATE consumer.outbox SET received_at = %s WHERE message_id = %s", (at, message_id))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param([], "--all", id="no filter"),
        pytest.param(["--state", "dead"], "--all", id="only states"),
        pytest.param(["--dry-run"], "--all", id="nothing but a dry run"),
        pytest.param(["--all", "--type", "user.updated"], "--all", id="all and a filter"),
        pytest.param(["--all", "--state", "pending"], "'pending'", id="a state that is none to replay"),
        pytest.param(["--since", "yesterday"], "ISO 8601", id="no time"),
        pytest.param(["--since", "5"], "ISO 8601", id="no unit"),
        pytest.param(["--user", "ada"], "UUID", id="no user id"),
        pytest.param(
            ["--since", "1d", "--until", "2d"], "--since must lie before --until", id="an end before it begins"
        ),
        pytest.param(["--since", "2999-01-01"], "--since must lie before --until", id="a beginning to come"),
    ],
)
def test_a_call_that_does_not_say_what_it_means_is_a_usage_error(
    emptied: str, arguments: list[str], complaint: str
) -> None:
    result = call(emptied, "replay", *arguments)

    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "named",
    [["--message-id", "msg_typo"], ["--error", "23505"]],
    ids=["an unknown id", "an error that only a retrying one has"],
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["replay", "dry run"])
def test_what_is_named_and_not_there_is_a_failure(emptied: str, named: list[str], more: list[str]) -> None:
    done, retrying = user_updated(), user_updated()
    arrive(emptied, done, retrying)
    set_aside(emptied, [retrying], "retrying", "23505")
    work(emptied)

    result = call(emptied, "replay", *named, *more)

    assert states(emptied) == {done.message_id: "done", retrying.message_id: "retrying"}
    assert (result.exit_code, result.stderr.startswith("Error: Nothing that is done or dead matches")) == (1, True)


def test_a_user_without_deliveries_is_a_failure(emptied: str) -> None:
    arrive(emptied, user_updated(USER))

    nobody, pending = [call(emptied, "replay", "--user", str(user_id)) for user_id in (uuid4(), USER)]

    assert (nobody.exit_code, nobody.stderr) == (1, "Error: No stored delivery concerns this user.\n")
    assert (pending.exit_code, "pending deliveries are applied" in pending.stderr) == (1, True)


def test_an_empty_time_is_none(emptied: str) -> None:
    assert call(emptied, "replay", "--since", "1h").exit_code == 0


def test_a_type_that_this_release_does_not_know_is_doubted(emptied: str) -> None:
    doubted, known = [call(emptied, "replay", "--type", name) for name in ("user.creatd\x1b", "user.created")]

    assert (doubted.exit_code, known.exit_code, known.stderr) == (0, 0, "")
    assert doubted.stderr == "Warning: this release knows no event type user.creatd\\x1b.\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
        ("999999w", DURATION_MAX),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00+01:00", datetime(2026, 1, 31, 11, tzinfo=UTC)),
    ],
)
def test_a_time_is_an_instant_or_a_while_ago(text: str, expected: datetime | timedelta) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)

    read = TimeParam().convert(text, None, None)

    assert read == expected
    assert instant(read, now) == (expected if isinstance(expected, datetime) else now - expected)


def test_a_dead_delivery_that_is_still_unusable_stays_dead_with_the_present_reason(emptied: str) -> None:
    arrive(emptied, unusable(code="an_old_reason"))

    done = replayed(emptied)

    assert done == Replayed(queued=0, unusable=1)
    [dead] = rows(emptied, "SELECT state, error_code, error FROM consumer.deliveries")
    assert dead == {"state": "dead", "error_code": "bad_shape", "error": "$.data.id: Required field is missing"}


def test_a_dead_delivery_that_this_release_can_use_is_applied(emptied: str) -> None:
    cured = user_updated(USER)._replace(error_code="bad_shape", error="an older release's")
    arrive(emptied, cured)

    done = replayed(emptied)
    work(emptied)

    assert done == Replayed(queued=1, unusable=0)
    assert states(emptied) == {cured.message_id: "done"}
    assert [row["user_id"] for row in rows(emptied, "SELECT user_id FROM identity.profiles")] == [USER]


def test_a_body_that_names_another_user_than_was_stored_stays_dead(emptied: str) -> None:
    arrive(emptied, user_updated()._replace(user_id=None, error_code="bad_shape", error="unreadable then"))

    done = replayed(emptied)

    assert done == Replayed(queued=0, unusable=1)
    assert [row["error_code"] for row in rows(emptied, "SELECT error_code FROM consumer.failures")] == [
        "stored_otherwise"
    ]


def test_a_reason_that_did_not_change_writes_nothing(emptied: str) -> None:
    arrive(emptied, unusable())
    replayed(emptied)
    before = rows(emptied, "SELECT xmin::text, * FROM consumer.failures")

    replayed(emptied)

    assert rows(emptied, "SELECT xmin::text, * FROM consumer.failures") == before


def test_a_discarded_delivery_is_never_replayed(emptied: str) -> None:
    given_up = unusable()
    arrive(emptied, given_up)
    call(emptied, "dead", "discard", given_up.message_id, "--reason", "nonsense")

    assert facts(emptied, "replay", "--all", "--dry-run") == {"matches": {"done": 0, "dead": 0}}
    refused = call(emptied, "replay", "--message-id", given_up.message_id)
    assert (refused.exit_code, refused.stderr.startswith("Error: Delivery ")) == (1, True)
    assert f"{given_up.message_id} was discarded by " in refused.stderr
    assert refused.stderr.endswith("; discarded deliveries are never replayed.\n")
    assert states(emptied) == {given_up.message_id: "done"}


def test_a_replay_longer_than_a_page_takes_all_of_it(emptied: str) -> None:
    bulk(emptied, 2 * deliveries.PAGE_SIZE + 1)

    assert replayed(emptied).queued == 2 * deliveries.PAGE_SIZE + 1
    assert Counter(states(emptied).values()) == {"pending": 2 * deliveries.PAGE_SIZE + 1}


def test_a_limit_takes_the_oldest(emptied: str) -> None:
    bulk(emptied, deliveries.PAGE_SIZE + 5)

    assert replayed(emptied, replace(EVERYTHING, limit=deliveries.PAGE_SIZE + 2)).queued == deliveries.PAGE_SIZE + 2
    assert list(states(emptied).values())[-4:] == ["pending", "done", "done", "done"]


def test_a_killed_replay_keeps_its_pages_and_a_second_call_finishes(emptied: str) -> None:
    bulk(emptied, 2 * deliveries.PAGE_SIZE + 1)

    killed = subprocess.run([sys.executable, "-c", KILLED, emptied], cwd=ROOT, check=False)
    after_kill = Counter(states(emptied).values())
    replayed(emptied)

    assert killed.returncode == -signal.SIGKILL
    assert after_kill == {"pending": deliveries.PAGE_SIZE, "done": deliveries.PAGE_SIZE + 1}
    assert Counter(states(emptied).values()) == {"pending": 2 * deliveries.PAGE_SIZE + 1}


def test_replays_beside_workers_and_each_other_lose_nothing_and_never_deadlock(emptied: str) -> None:
    users = [uuid4() for _ in range(40)]
    arrive(emptied, *[user_updated(users[n % 40], display_name=f"Ada {n // 40}") for n in range(1200)])
    work(emptied)
    before = tables(emptied)
    access = worker_access("consumer")

    async def replay_often() -> None:
        """Until more than half of all was queued: by two, more than all, so something was applied in between."""
        queued = 0
        async with await connect(emptied, ACCESS) as conn, asyncio.timeout(60):
            while queued <= 600:
                queued += sum([batch.queued async for batch in replay(conn, ACCESS, EVERYTHING)])
                await asyncio.sleep(0)

    async def drain_meanwhile(is_over: asyncio.Event) -> None:
        worker = BatchRunner(access, Metrics(EVENT_TYPES), attempts_max=12, batch_size=100)
        async with await connect(emptied, access) as conn:
            while not is_over.is_set():
                await drain(conn, worker)
                await asyncio.sleep(0)
            await drain(conn, worker)

    async def together() -> None:
        is_over = asyncio.Event()
        async with asyncio.TaskGroup() as workers:
            workers.create_task(drain_meanwhile(is_over))
            workers.create_task(drain_meanwhile(is_over))
            await asyncio.gather(replay_often(), replay_often())
            is_over.set()

    asyncio.run(together())

    assert Counter(states(emptied).values()) == {"done": 1200}
    assert tables(emptied) == before


def test_a_retry_in_a_workers_hands_is_left_to_it_without_waiting(emptied: str) -> None:
    busy, free = user_updated(), user_updated()
    arrive(emptied, busy, free)
    set_aside(emptied, [busy, free], "retrying")
    with psycopg.connect(emptied) as holder:
        holder.execute(
            "DELETE FROM consumer.failures WHERE seq = (SELECT seq FROM consumer.outbox WHERE message_id = %s)",
            (busy.message_id,),
        )

        done = replayed(emptied, Selection(states=("retrying",)))
        holder.rollback()

    assert done == Replayed(queued=1, unusable=0)
    assert states(emptied) == {busy.message_id: "retrying", free.message_id: "pending"}


def test_a_delivery_that_arrives_and_is_done_after_the_start_is_not_replayed(emptied: str) -> None:
    early = user_updated()
    arrive(emptied, early)
    work(emptied)
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute("UPDATE consumer.outbox SET received_at = now() + interval '1 minute'")

    assert facts(emptied, "replay", "--all") == {"queued": 0, "unusable": 0}
    assert states(emptied) == {early.message_id: "done"}


@pytest.fixture
def operators_login(emptied: str) -> Iterator[str]:
    """A login that may be the operator and nothing else."""
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS consumer_test_operator")
        conn.execute("CREATE ROLE consumer_test_operator LOGIN NOINHERIT PASSWORD 'operator' IN ROLE consumer_operator")
        yield make_conninfo(emptied, user="consumer_test_operator", password="operator")
        conn.execute("DROP ROLE consumer_test_operator")


@pytest.mark.parametrize("drained", [True, False], ids=["done", "dead"])
def test_the_operators_own_login_suffices(operators_login: str, emptied: str, drained: bool) -> None:
    stored = user_updated()
    arrive(emptied, stored)
    if drained:
        work(emptied)
    else:
        set_aside(emptied, [stored])

    assert facts(operators_login, "replay", "--all") == {"queued": 1, "unusable": 0}
    assert states(emptied) == {stored.message_id: "pending"}


def test_people_read_a_sentence_and_a_pipe_gets_no_colour(emptied: str) -> None:
    arrive(emptied, user_updated(), unusable())
    work(emptied)

    result = call(emptied, "replay", "--all")

    assert result.exit_code == 0
    assert result.stdout == (
        "1 delivery put back to pending.\n1 delivery can't be used by this release either and stays dead.\n"
    )
    assert result.stderr == ""


def test_a_database_that_cannot_be_reached_is_one_sentence(tmp_path: Path) -> None:
    result = call(f"postgresql://nobody@/none?host={tmp_path}", "replay", "--all")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: The database of DATABASE_URL, {tmp_path}:5432/none, can't be used: ")
    assert result.stderr.count("\n") == 1
