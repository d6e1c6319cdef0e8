"""The fence: a release that is too old for the database changes no row, and says what it waits for."""

import asyncio
import re
from uuid import uuid4

import psycopg
import pytest

from consumer.adopt import fill
from consumer.adopt.edits import store_edits
from consumer.errors import WrongRelease
from consumer.postgres import ledger
from consumer.postgres.connections import connect, receiver_access
from consumer.postgres.queries import sql_root
from consumer.process.readiness import not_ready_reason
from consumer.settings.settings import ShapingSettings
from tests.support.cli import call, examined, facts
from tests.support.databases import rows, schema_change, waits_for_locks
from tests.support.dead import dead_at_the_door
from tests.support.factories import membership, team_event, user_updated
from tests.support.fence import LATER, OWN, TOO_OLD, ahead, tables
from tests.support.outbox import arrive
from tests.support.polling import until
from tests.support.worker import ACCESS, PATIENT, drain_all, run_once, stored, worker

# No older one knows the fence.
FIRST_RELEASE = 7
PAUSED = re.compile(r"^SELECT consumer\.pause_work\(\);\nINSERT INTO consumer\.fence ", re.MULTILINE)
SENTENCE = f"Error: T{TOO_OLD[1:]}."


def test_every_migration_after_the_first_release_says_which_releases_may_still_work(database_url: str) -> None:
    later = [name for name in ledger.carried_ids() if int(name[:4]) > FIRST_RELEASE]
    texts = [(sql_root() / "migrations" / f"{name}.sql").read_text() for name in later]

    named = [row["migration"] for row in rows(database_url, "SELECT migration FROM consumer.fence ORDER BY 1")]

    assert named == [int(name[:4]) for name in later]
    assert all(
        re.search(r"^SELECT consumer.pause_work\(\);\nINSERT INTO consumer.fence ", text, re.MULTILINE)
        for text in texts
    )


async def test_a_worker_that_is_too_old_changes_no_row(emptied: str) -> None:
    await stored(emptied, [user_updated(), user_updated()])

    with ahead(emptied, 9999):
        before = tables(emptied)
        with pytest.raises(WrongRelease, match=LATER):
            await run_once(emptied, worker())
        after = tables(emptied)

    assert after == before
    assert await drain_all(emptied, worker()) == 2


def test_each_migration_names_the_oldest_release_that_writes_the_same_rows(database_url: str) -> None:
    """The ninth and the tenth release wrote other rows than the one before; the releases since then did not."""
    found = rows(database_url, "SELECT migration, oldest_release FROM consumer.fence ORDER BY 1")

    named = {row["migration"]: row["oldest_release"] for row in found}
    assert (named[8], named[9]) == (8, 9)
    assert {named[migration] for migration in range(10, OWN + 1)} == {10}


@pytest.mark.parametrize("oldest_release", [1, OWN])
async def test_a_worker_that_a_newer_release_lets_work_goes_on(emptied: str, oldest_release: int) -> None:
    await stored(emptied, [user_updated()])

    with ahead(emptied, oldest_release):
        assert await drain_all(emptied, worker()) == 1


async def test_the_greatest_release_that_a_migration_names_is_the_fence(emptied: str) -> None:
    lower = "INSERT INTO consumer.fence (migration, oldest_release) VALUES (10000, 1)"

    with (
        ahead(emptied, 9999),
        schema_change(emptied, lower, "DELETE FROM consumer.fence WHERE migration = 10000"),
        pytest.raises(WrongRelease, match=LATER),
    ):
        await run_once(emptied, worker())


async def test_a_batch_that_waits_for_a_migration_obeys_the_fence_that_it_makes(emptied: str) -> None:
    await stored(emptied, [user_updated()])

    with psycopg.connect(emptied) as migrator:
        migrator.execute("SELECT consumer.pause_work()")
        migrator.execute("INSERT INTO consumer.fence (migration, oldest_release) VALUES (9999, 9999)")
        working = asyncio.create_task(run_once(emptied, worker(access=PATIENT)))
        await until(lambda: waits_for_locks(emptied))
        migrator.commit()
        try:
            with pytest.raises(WrongRelease):
                await working
        finally:
            migrator.execute("DELETE FROM consumer.fence WHERE migration = 9999")

    assert rows(emptied, "SELECT FROM identity.profiles") == []


async def test_a_migration_waits_for_the_batches_that_have_begun(emptied: str) -> None:
    async with await connect(emptied, PATIENT) as conn, conn.transaction():
        await ledger.begin_work(conn)

        with psycopg.connect(emptied) as migrator:
            migrator.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                migrator.execute("SELECT consumer.pause_work()")


async def test_a_migration_that_was_rolled_back_beside_a_worker_stops_it(emptied: str) -> None:
    newest = ledger.carried_ids()[-1]
    gone = "UPDATE consumer._yoyo_migration SET migration_id = '{}' WHERE migration_id = '{}'"
    await stored(emptied, [user_updated()])

    with (
        schema_change(emptied, gone.format("0000.gone", newest), gone.format(newest, "0000.gone")),
        pytest.raises(WrongRelease, match=f"Migrations are missing, the first is {newest}: run `consumer migrate`"),
    ):
        await run_once(emptied, worker())

    assert await drain_all(emptied, worker()) == 1


async def test_users_are_not_re_homed_by_a_worker_that_is_too_old(emptied: str) -> None:
    subject, team_id = worker(), uuid4()
    await stored(emptied, [team_event("created", team_id), membership("created", team_id, uuid4())])
    await drain_all(emptied, subject)
    await stored(emptied, [team_event("deleted", team_id)])
    async with await connect(emptied, ACCESS) as conn:
        await subject._drain_one(conn)
        with ahead(emptied, 9999):
            before = tables(emptied)
            with pytest.raises(WrongRelease):
                await subject._rehome(conn)
            assert tables(emptied) == before

    assert rows(emptied, "SELECT FROM consumer.rehome")


async def test_no_user_is_filled_in_by_a_release_that_is_too_old(emptied: str) -> None:
    await stored(emptied, [user_updated()])
    await drain_all(emptied, worker())

    async with await connect(emptied, PATIENT) as conn:
        with ahead(emptied, 9999), pytest.raises(WrongRelease):
            [page async for page in fill.fill(conn, PATIENT, b"SELECT %(user_ids)s::uuid[]")]


async def test_no_edit_is_stored_from_rows_by_a_release_that_is_too_old(emptied: str) -> None:
    statement = "SELECT 1 AS edits, 0 AS unknown_users FROM identity.edit_profile(gen_random_uuid(), '{}')"

    async with await connect(emptied, PATIENT) as conn:
        with ahead(emptied, 9999), pytest.raises(WrongRelease):
            await store_edits(conn, "consumer_worker", statement)
        assert rows(emptied, "SELECT FROM consumer.outbox") == []
        assert (await store_edits(conn, "consumer_worker", statement)).edits == 1


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("replay", "--all"), id="replay"),
        pytest.param(("dead", "retry", "--all"), id="dead retry"),
        pytest.param(("dead", "discard", "--all", "--reason", "spam"), id="dead discard"),
        pytest.param(("prune",), id="prune"),
        pytest.param(("migrate", "--settings"), id="migrate with other settings"),
    ],
)
def test_an_operator_s_command_that_is_too_old_changes_no_row(emptied: str, arguments: tuple[str, ...]) -> None:
    asyncio.run(arrive(emptied, user_updated(), dead_at_the_door("m1")))
    asyncio.run(drain_all(emptied, worker()))

    with ahead(emptied, 9999):
        before = tables(emptied)
        settings = {"AUDIT_RETENTION_DAYS": "1", "DEFAULT_COMPANY_ID": str(uuid4())}
        result = call(emptied, *arguments, **settings)
        after = tables(emptied)

    assert (result.exit_code, result.stderr.strip()) == (1, SENTENCE)
    assert after == before


def test_migrate_of_an_older_release_finds_nothing_to_do_and_changes_nothing(emptied: str) -> None:
    with ahead(emptied, 9999):
        before = tables(emptied)
        migrated = facts(emptied, "migrate")
        after = tables(emptied)

    nothing: dict[str, list[str]] = {key: [] for key in migrated}
    assert migrated == nothing | {"newer": [LATER]}
    assert after == before


async def test_a_worker_that_is_too_old_is_not_ready_and_a_receiver_is(emptied: str) -> None:
    with ahead(emptied, 9999):
        working = await not_ready_reason(emptied, ACCESS, ShapingSettings(), applies=True)
        receiving = await not_ready_reason(emptied, receiver_access("consumer"), ShapingSettings())

    assert (working, receiving) == (TOO_OLD, None)


@pytest.mark.parametrize(
    ("oldest_release", "code", "gravity"),
    [(9999, "release_too_old", "failing"), (OWN, "release_older", "warning")],
)
def test_status_and_doctor_say_what_a_newer_release_means(
    emptied: str, oldest_release: int, code: str, gravity: str
) -> None:
    with ahead(emptied, oldest_release):
        status = facts(emptied, "status")
        shown = call(emptied, "status").stdout
        exit_code, checks = examined(emptied)

    [finding] = [found for found in status["findings"] if found["subject"] == "release"]
    assert (finding["code"], finding["gravity"]) == (code, gravity)
    assert f"{gravity}  release: {finding['sentence']}\n  → {finding['cure']}" in shown
    assert (exit_code, checks["migrations"]["state"]) == (int(gravity == "failing"), gravity)
    assert (checks["migrations"]["finding"], checks["migrations"]["cure"]) == (finding["sentence"], finding["cure"])
    assert LATER in finding["sentence"]
