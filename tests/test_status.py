"""Status: the numbers are the tables', and what is wrong with the database is one sentence."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from consumer.cli.cells import size
from consumer.outbox.storage import Delivery
from consumer.postgres import ledger, migrations
from consumer.postgres.connections import connect, worker_access
from consumer.verdict.durations import duration
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import scratch_database
from tests.support.factories import user_updated
from tests.support.outbox import set_aside
from tests.support.pooler import pooled
from tests.support.processes import invoke


def test_the_depth_by_state_and_the_rates_are_the_tables(emptied: str) -> None:
    dead, retrying = user_updated(), user_updated()
    arrive(emptied, user_updated(), user_updated(), user_updated())
    work(emptied)
    arrive(emptied, dead, retrying, user_updated())
    set_aside(emptied, [dead])
    set_aside(emptied, [retrying], "retrying")

    queue = facts(emptied, "status")["queue"]

    assert 0 < queue.pop("oldest_due_seconds") < 60
    assert queue == {
        "pending": 1,
        "retrying": 1,
        "dead": 1,
        "done": 3,
        "received_last_minute": 6,
        "applied_last_minute": 3,
    }


def age(url: str, delivery: Delivery, hours: int) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(
            "UPDATE consumer.outbox SET received_at = received_at - %s * interval '1 hour' WHERE message_id = %s",
            (hours, delivery.message_id),
        )


def test_what_nobody_takes_is_due_since_it_came(emptied: str) -> None:
    old, new = user_updated(), user_updated()
    arrive(emptied, old, new)
    age(emptied, old, hours=2)

    assert facts(emptied, "status")["queue"]["oldest_due_seconds"] == pytest.approx(7200, abs=60)


def test_what_waits_for_its_next_attempt_is_not_due_and_then_since_that_moment(emptied: str) -> None:
    retrying = user_updated()
    arrive(emptied, retrying)
    age(emptied, retrying, hours=48)
    set_aside(emptied, [retrying], "retrying")
    early = facts(emptied, "status")["queue"]["oldest_due_seconds"]
    with psycopg.connect(emptied) as conn:
        conn.execute("UPDATE consumer.failures SET next_attempt_at = now() - interval '1 hour'")

    late = facts(emptied, "status")["queue"]["oldest_due_seconds"]

    assert (early, late) == (0, pytest.approx(3600, abs=60))


def test_what_is_replayed_is_due_since_it_came_and_only_until_a_worker_took_it(emptied: str) -> None:
    """The thin queue keeps no time of its own: METRICS.md says so beside the alarm."""
    old = user_updated()
    arrive(emptied, old)
    age(emptied, old, hours=48)
    set_aside(emptied, [old])
    replayed = facts(emptied, "replay", "--message-id", old.message_id)
    waiting = facts(emptied, "status")["queue"]["oldest_due_seconds"]

    work(emptied)

    assert (replayed["queued"], waiting) == (1, pytest.approx(48 * 3600, abs=60))
    assert facts(emptied, "status")["queue"]["oldest_due_seconds"] == 0


def test_each_cure_names_run_if_the_caller_typed_it(emptied: str) -> None:
    arrive(emptied, *(user_updated()._replace(error_code=f"code {n}", error="$: a reason") for n in range(7)))

    printed = call(emptied, "status", CONSUMER_RUN="/opt/run").stdout

    assert "after the repair, `/opt/run dead retry --all` applies them" in printed
    assert "and 2 more: `/opt/run dead list` shows" in printed
    assert "`consumer " not in printed


def test_the_last_errors_come_first_and_are_few(emptied: str) -> None:
    broken = [user_updated()._replace(error_code=f"code {n}", error="$: a reason") for n in range(7)]
    for delivery in broken:
        arrive(emptied, delivery)

    found = facts(emptied, "status")
    errors = found["last_errors"]

    assert found["more_errors"] == 2
    assert "and 2 more: `consumer dead list` shows those that are dead\n" in call(emptied, "status").stdout
    assert [error["error_code"] for error in errors] == ["code 6", "code 5", "code 4", "code 3", "code 2"]
    assert errors[0] | {"first_at": "", "last_at": ""} == {
        "state": "dead",
        "error_code": "code 6",
        "event_type": "user.updated",
        "deliveries": 1,
        "first_at": "",
        "last_at": "",
        "error": "$: a reason",
        "message_id": broken[6].message_id,
    }


async def test_the_database_is_described_and_its_workers_are_counted(emptied: str) -> None:
    async with await connect(emptied, worker_access("consumer")):
        database = (await asyncio.to_thread(facts, emptied, "status"))["database"]
    idle = await asyncio.to_thread(facts, emptied, "status")

    with psycopg.connect(emptied) as conn:
        assert database["name"] == conn.info.dbname
        assert database["version"] == conn.info.parameter_status("server_version")
    assert database["workers"] == 1
    assert isinstance(database["size_bytes"], int)
    assert database["size_bytes"] > 1_000_000
    assert isinstance(database["latency_ms"], float)
    assert idle["database"]["workers"] == 0


def test_workers_behind_a_pooler_are_unknown_not_none(emptied: str) -> None:
    with pooled(emptied) as url:
        found, said = facts(url, "status"), call(url, "status").stdout

    assert found["database"]["workers"] is None
    assert "unknown behind a pooler" in said


def test_a_missing_migration_is_told(server_url: str) -> None:
    with scratch_database(server_url, "status") as url:
        migrations.apply(url, "consumer")
        newest = ledger.carried_ids()[-1]
        with psycopg.connect(url) as conn:
            conn.execute("DELETE FROM consumer._yoyo_migration WHERE migration_id = %s", (newest,))

        found = facts(url, "status")["migrations"]

    assert found == {"applied": ledger.carried_ids()[:-1], "pending": [newest]}


def test_people_read_it_without_colour_in_a_pipe(emptied: str) -> None:
    arrive(emptied, user_updated(), user_updated()._replace(error_code="bad_shape", error="$: a reason"))

    result = call(emptied, "status")

    assert result.exit_code == 0
    assert "more:" not in result.stdout
    for word in ("pending", "oldest due", "bad_shape", "0 pending", "0 connected", "PostgreSQL"):
        assert word in result.stdout
    assert "\x1b" not in result.stdout
    assert result.stderr == ""


def test_a_database_that_nobody_migrated_is_one_sentence(server_url: str) -> None:
    with scratch_database(server_url, "status") as url:
        result = call(url, "status")

    assert result.exit_code == 1
    assert result.stderr == "Error: The database lacks what this release needs: run `consumer migrate`.\n"


def test_a_role_that_nobody_made_is_named_as_the_sign_of_a_wrong_prefix(emptied: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, {"DATABASE_URL": emptied, "ROLE_PREFIX": "nobody"}, "status")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: The role nobody_operator does not exist: ROLE_PREFIX is wrong, or nothing is migrated; "
        "`consumer migrate` says which.\n"
    )


def test_a_database_that_cannot_be_reached_is_one_sentence_without_the_password(tmp_path: Path) -> None:
    result = call(f"postgresql://nobody:hunter2@/none?host={tmp_path}", "status", "--json")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: The database of DATABASE_URL, {tmp_path}:5432/none, can't be used: ")
    assert result.stderr.count("\n") == 1
    assert "hunter2" not in result.stderr


def test_without_any_database_it_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    result = call(None, "status", CONSUMER_DATA_DIR=str(tmp_path))

    assert result.exit_code == 2
    assert result.stderr.count("Error: ") == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-0.04, "0.0s"),
        (0.04, "0.0s"),
        (1.5, "1s"),
        (61, "1m 1s"),
        (3600, "1h"),
        (7500, "2h 5m"),
        (90_061, "1d 1h"),
        (8e6, "92d 14h"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (10_239, "10239 bytes"), (10_240, "10 kB"), (660_330_175, "629 MB"), (2**60, "1048576 TB")],
)
def test_a_size_is_told_in_the_unit_that_suits_it(count: int, text: str) -> None:
    assert size(count) == text
