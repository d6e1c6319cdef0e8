"""The lock on the recorded settings: only our roles may take it, and a change waits politely."""

import asyncio

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from consumer.effects import recorded_settings
from consumer.errors import SettingsBusy, SettingsMismatch
from consumer.postgres.connections import connect, operator_access
from consumer.postgres.preflight import DUTIES
from consumer.settings.settings import ShapingSettings
from tests.support.databases import record, rows
from tests.support.factories import user_updated
from tests.support.strangers import APPLICATION, stranger
from tests.support.worker import run_once, stored, worker

READING = "LOCK TABLE consumer.settings IN ACCESS SHARE MODE"
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
# A batch reads the table, which only ACCESS EXCLUSIVE stops; but no role may take any mode above the reader's.
WORKERS_MODES = MODES[1:]
OTHERS = ShapingSettings(default_role="guest")


@pytest.mark.parametrize("role", DUTIES)
async def test_no_role_can_stop_a_batch_by_locking_the_settings(emptied: str, role: str) -> None:
    async with await psycopg.AsyncConnection.connect(emptied, autocommit=True) as conn:
        await conn.execute(f"SET ROLE consumer_{role}")
        for mode in WORKERS_MODES:
            with pytest.raises(InsufficientPrivilege):
                async with conn.transaction():
                    await conn.execute(f"LOCK TABLE consumer.settings IN {mode} MODE")


async def test_a_stranger_can_take_no_lock_on_the_settings(emptied: str) -> None:
    statements = [f"LOCK TABLE consumer.settings IN {mode} MODE" for mode in MODES]
    statements += ["PREPARE held AS SELECT FROM consumer.settings", "SELECT FROM consumer.settings FOR UPDATE"]
    with stranger(emptied) as conn:
        for statement in statements:
            with conn.transaction(force_rollback=True), pytest.raises(InsufficientPrivilege):
                conn.execute(statement)


async def test_no_advisory_lock_of_a_stranger_s_stops_a_batch_or_a_change(emptied: str) -> None:
    await stored(emptied, [user_updated()])

    with stranger(emptied) as conn:
        conn.execute("SELECT pg_advisory_lock(hashtextextended('consumer.settings', 0))")
        conn.execute("SELECT pg_advisory_lock(hashtext('consumer.settings'), 0)")
        batch = await run_once(emptied, worker())
        await record(emptied, OTHERS)

    assert len(batch.outcomes) == 1
    assert recorded_role(emptied) == "guest"


async def test_settings_that_are_recorded_already_wait_for_no_reader(emptied: str) -> None:
    with psycopg.connect(emptied) as reader:
        reader.execute(READING)

        assert await recorded(emptied, ShapingSettings(), is_forced=False) == []
        with pytest.raises(SettingsMismatch):
            await recorded(emptied, OTHERS, is_forced=False)


async def test_batches_pass_between_the_tries_of_a_change_that_waits_for_a_reader(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_settings, "LOCK_TIMEOUT_MS", 20)
    monkeypatch.setattr(recorded_settings, "LOCK_TRIES", 500)
    await stored(emptied, [user_updated()])

    with psycopg.connect(emptied) as reader:
        reader.execute(READING)
        changing = asyncio.create_task(recorded(emptied, OTHERS, is_forced=True))
        batch = await run_once(emptied, worker())
        is_waiting = not changing.done()

    assert is_waiting
    assert len(batch.outcomes) == 1
    assert await changing == ["DEFAULT_ROLE"]
    assert recorded_role(emptied) == "guest"


async def test_a_change_that_never_gets_the_lock_names_the_holder_and_changes_nothing(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_settings, "LOCK_TIMEOUT_MS", 20)
    monkeypatch.setattr(recorded_settings, "LOCK_TRIES", 2)

    with psycopg.connect(emptied, application_name=APPLICATION) as reader:
        reader.execute(READING)
        with pytest.raises(SettingsBusy) as refusal:
            await recorded(emptied, OTHERS, is_forced=True)

    assert "nothing was changed: pid " in str(refusal.value)
    assert f"application '{APPLICATION}') holds table consumer.settings" in str(refusal.value)
    assert recorded_role(emptied) == "member"


async def recorded(url: str, settings: ShapingSettings, *, is_forced: bool) -> list[str]:
    access = operator_access("consumer")
    async with await connect(url, access) as conn:
        return await recorded_settings.record(
            conn, access, settings, worker_role="consumer_worker", is_forced=is_forced
        )


def recorded_role(url: str) -> str:
    [row] = rows(url, "SELECT default_role FROM consumer.settings")
    return str(row["default_role"])
