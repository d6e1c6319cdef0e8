"""`consumer rebuild`, and what discards and replays leave to it: rows are made anew from the stored deliveries."""

import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from consumer.cli.rebuild import Rebuilt, summary
from consumer.settings.settings import ShapingSettings
from tests.support import model
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import change, rows, schema_change
from tests.support.factories import (
    delivery,
    edited,
    membership,
    permission,
    team,
    team_event,
    user_deleted,
    user_updated,
)
from tests.support.outbox import set_aside
from tests.support.processes import ROOT

ADA, BOB, EVE, TEAM, OTHER = (UUID(int=n) for n in (1, 2, 3, 77, 78))
SOFT = ShapingSettings()
TRUE = [
    team_event("created", TEAM, display_name="Crew"),
    user_updated(ADA, display_name="Ada", server_metadata={"role": "admin"}, selected_team=team(TEAM)),
    user_updated(BOB, display_name="Bob", selected_team=team(OTHER, display_name="Nameless no more")),
    membership("created", TEAM, BOB),
    permission("created", TEAM, BOB, "read"),
    edited(BOB, department="R&D"),
    delivery("user.signed_in", ADA, "app"),
]
TABLES = ("stack_user_profiles", "profiles", "companies", "company_members")
LEAKED = "deadbeef"
# Ends itself as soon as the first page is committed.
KILLED = """
import asyncio, os, signal, sys
from consumer.cli.decision import shell_action
from consumer.operations import rebuild as operations
from consumer.postgres.connections import connect, operator_access, worker_access
from consumer.worker.batch import rebuild_page

async def work():
    operator, worker = operator_access("consumer"), worker_access("consumer")
    async with await connect(sys.argv[1], operator) as conn:
        async for _ in operations.queue_all(conn, operator, shell_action("rebuild", {})):
            pass
    async with await connect(sys.argv[1], worker) as conn:
        await rebuild_page(conn, worker, projection_sql=None)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(work())
"""


@pytest.fixture
def told(emptied: str) -> str:
    """A database in which all true deliveries are applied."""
    arrive(emptied, *TRUE)
    work(emptied)
    return emptied


def expected(*more: object) -> model.State:
    return model.fold([*TRUE, *more], SOFT)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("queued", "rebuilt", "sentence"),
    [
        (0, Rebuilt(), "No delivery and no row is about anybody"),
        (3, Rebuilt(users=1), "1 user and 0 companies made anew here"),
        (3, Rebuilt(), "Workers made all of it anew"),
        (3, Rebuilt(postponed=3), "0 users and 0 companies made anew here"),
    ],
)
def test_a_rebuild_that_workers_did_is_not_called_nothing(queued: int, rebuilt: Rebuilt, sentence: str) -> None:
    assert summary(queued, rebuilt).startswith(sentence)


def test_sound_rows_differ_nowhere_and_are_not_written(told: str) -> None:
    before = rows(told, "SELECT xmin::text FROM identity.profiles ORDER BY user_id")

    assert facts(told, "rebuild", "--check")["differing"] == {}
    rebuilt = facts(told, "rebuild")

    assert (rebuilt["users"], rebuilt["differing"], rebuilt["postponed"]) == (2, {}, 0)
    assert rows(told, "SELECT xmin::text FROM identity.profiles ORDER BY user_id") == before
    assert not rows(told, "SELECT FROM identity.profile_audit WHERE operation = 'rebuilt'")


def test_a_check_names_one_tampered_row_and_changes_nothing(told: str) -> None:
    change(told, f"UPDATE identity.profiles SET role_type = 'owner' WHERE user_id = '{BOB}'")

    result = call(told, "rebuild", "--check", "--json")

    assert result.exit_code == 1
    assert '"first": [\n    "00000000-0000-0000-0000-000000000002",\n    [\n      "profile"' in result.stdout
    assert rows(told, "SELECT role_type FROM identity.profiles WHERE role_type = 'owner'")
    assert not rows(told, "SELECT FROM consumer.rebuild")


def test_a_tampered_row_is_mended_and_audited_and_the_others_are_left(told: str) -> None:
    change(told, f"UPDATE identity.profiles SET role_type = 'owner' WHERE user_id = '{BOB}'")
    before = rows(told, f"SELECT xmin::text FROM identity.profiles WHERE user_id = '{ADA}'")

    facts(told, "rebuild")

    assert model.state(told) == expected()
    assert rows(told, f"SELECT xmin::text FROM identity.profiles WHERE user_id = '{ADA}'") == before
    [audited] = rows(
        told, "SELECT user_id, changed_fields, new_values FROM identity.profile_audit WHERE operation = 'rebuilt'"
    )
    assert (audited["user_id"], audited["changed_fields"]) == (BOB, ["role_type"])
    assert audited["new_values"]["role_type"] == "member"


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("command", ["rebuild", "replay"])
def test_a_lost_table_comes_back_beside_an_applications_foreign_keys(told: str, table: str, command: str) -> None:
    refer = "CREATE TABLE public.orders (user_id uuid REFERENCES identity.profiles)"
    with schema_change(told, f"{refer}; INSERT INTO public.orders VALUES ('{ADA}')", "DROP TABLE public.orders"):
        change(told, f"SET session_replication_role = replica; DELETE FROM identity.{table}")

        facts(told, command, *(["--all"] if command == "replay" else []))
        work(told)

        assert model.state(told) == expected()
        assert rows(told, "SELECT user_id FROM public.orders JOIN identity.profiles USING (user_id)")


def test_a_row_that_nobody_sent_goes_and_one_that_an_application_holds_is_named(told: str) -> None:
    stranger = uuid4()
    change(
        told,
        "INSERT INTO identity.profiles (user_id, full_name, role_type, department) "
        f"VALUES ('{stranger}', 'Eve', 'x', 'x'), ('{EVE}', 'Eve', 'x', 'x')",
    )
    refer = (
        f"CREATE TABLE public.orders (user_id uuid REFERENCES identity.profiles); "
        f"INSERT INTO public.orders VALUES ('{stranger}')"
    )
    with schema_change(told, refer, "DROP TABLE public.orders"):
        result = call(told, "rebuild")

        assert result.exit_code == 1
        assert "1 could not be made anew, and are tried again: ForeignKeyViolation" in result.stderr
        left = rows(told, "SELECT user_id FROM identity.profiles WHERE full_name = 'Eve'")
        assert left == [{"user_id": stranger}]
        [waiting] = rows(told, "SELECT id, attempts FROM consumer.rebuild")
        assert (waiting["id"], waiting["attempts"] >= 1) == (stranger, True)
    change(told, "UPDATE consumer.rebuild SET due_at = now()")

    assert facts(told, "rebuild")["postponed"] == 0
    assert model.state(told) == expected()


@pytest.mark.parametrize(
    ("arguments", "mended"),
    [
        (["--user", str(BOB)], {BOB}),
        (["--team", str(TEAM)], {ADA, BOB}),
        (["--team", str(OTHER)], {BOB}),
        (["--verified-by", LEAKED], {ADA}),
        (["--since", "1h"], {ADA, BOB}),
        ([], {ADA, BOB, EVE}),
    ],
    ids=["a user", "a team", "a selected team", "a secret", "a time", "everybody"],
)
def test_a_filter_chooses_whose_rows_are_made_anew(told: str, arguments: list[str], mended: set[UUID]) -> None:
    arrive(told, user_updated(EVE), user_updated(ADA, display_name="Ada")._replace(verified_by=LEAKED))
    work(told)
    change(told, f"UPDATE consumer.outbox SET received_at = now() - interval '1 day' WHERE user_id = '{EVE}'")
    change(told, "UPDATE identity.profiles SET department = 'Nowhere'")

    facts(told, "rebuild", *arguments)

    found = rows(told, "SELECT user_id FROM identity.profiles WHERE department <> 'Nowhere'")
    assert {row["user_id"] for row in found} == mended


def test_a_filter_that_matches_nothing_is_refused(told: str) -> None:
    result = call(told, "rebuild", "--verified-by", "00000000")

    assert (result.exit_code, result.stderr) == (1, "Error: No stored delivery matches.\n")


@pytest.mark.parametrize("option", ["--user", "--team"])
def test_an_id_that_nothing_is_about_is_named(told: str, option: str) -> None:
    stranger = uuid4()

    result = call(told, "rebuild", option, str(stranger))

    assert (result.exit_code, result.stderr) == (1, f"Error: Neither a delivery nor a row is about {stranger}.\n")
    assert not rows(told, "SELECT FROM consumer.rebuild")


def test_a_killed_rebuild_goes_on(told: str) -> None:
    change(
        told, "SET session_replication_role = replica; DELETE FROM identity.companies; DELETE FROM identity.profiles"
    )

    killed = subprocess.run([sys.executable, "-c", KILLED, told], cwd=ROOT, check=False)
    waiting = rows(told, "SELECT DISTINCT stage FROM consumer.rebuild ORDER BY stage")
    facts(told, "rebuild", "--user", str(ADA))

    assert killed.returncode == -signal.SIGKILL
    assert [row["stage"] for row in waiting] == [2, 3]
    assert model.state(told) == expected()


def test_the_applications_statement_runs_for_those_that_differ(told: str, tmp_path: Path) -> None:
    file = tmp_path / "seen.sql"
    file.write_text("INSERT INTO public.seen SELECT unnest(%(user_ids)b::uuid[])")
    make = "CREATE TABLE public.seen (user_id uuid); GRANT INSERT ON public.seen TO consumer_worker"
    with schema_change(told, make, "DROP TABLE public.seen"):
        change(told, f"UPDATE identity.profiles SET role_type = 'owner' WHERE user_id = '{BOB}'")

        checked = call(told, "rebuild", "--check", CONSUMER_PROJECTION_SQL=str(file))
        assert (checked.exit_code, rows(told, "TABLE public.seen")) == (1, [])
        facts(told, "rebuild", CONSUMER_PROJECTION_SQL=str(file))

        assert rows(told, "TABLE public.seen") == [{"user_id": BOB}]


FORGED = [
    each._replace(verified_by=LEAKED)
    for each in (
        user_deleted(ADA),
        user_updated(BOB, display_name="Bob", server_metadata={"role": "owner"}),
        membership("created", OTHER, ADA),
        team_event("deleted", TEAM),
        user_updated(EVE),
    )
]


def test_what_a_leaked_secret_forged_is_undone_and_can_be_taken_back(told: str) -> None:
    arrive(told, *FORGED)
    work(told)
    assert model.state(told) == expected(*FORGED)
    chosen = ["--verified-by", LEAKED, "--reason", "the secret leaked"]

    counted = facts(told, "deliveries", "discard", *chosen, "--dry-run")
    discarded = facts(told, "deliveries", "discard", *chosen)
    work(told)

    assert counted["matches"] == {"done": len(FORGED)}
    assert discarded == {"discarded": len(FORGED), "to_refresh": []}
    assert model.state(told) == expected()
    outcomes = rows(
        told,
        f"SELECT DISTINCT d.outcome FROM consumer.deliveries AS d JOIN consumer.outbox USING (seq) "
        f"WHERE verified_by = '{LEAKED}'",
    )
    assert outcomes == [{"outcome": "discarded"}]

    facts(told, "deliveries", "undiscard", "--verified-by", LEAKED, "--reason", "it was ours", "--by", "Ada")
    work(told)

    assert model.state(told) == expected(*FORGED)
    kept = rows(told, "SELECT DISTINCT reason, taken_back_by, taken_back_reason FROM consumer.past_exclusions")
    assert kept == [{"reason": "the secret leaked", "taken_back_by": "Ada", "taken_back_reason": "it was ours"}]


@pytest.mark.parametrize("state", ["pending", "retrying", "dead"])
def test_what_is_not_applied_yet_can_be_discarded_too_and_a_repeat_changes_nothing(told: str, state: str) -> None:
    forged = FORGED[0]
    arrive(told, forged)
    if state != "pending":
        set_aside(told, [forged], state)

    facts(told, "deliveries", "discard", "--message-id", forged.message_id, "--reason", "forged")
    arrive(told, forged)
    work(told)

    assert model.state(told) == expected()
    [delivered] = rows(told, f"SELECT outcome FROM consumer.deliveries WHERE message_id = '{forged.message_id}'")
    assert delivered == {"outcome": "discarded"}


def test_a_discard_that_matches_nothing_is_said(told: str) -> None:
    result = call(told, "deliveries", "discard", "--verified-by", "00000000", "--reason", "x")
    back = call(told, "deliveries", "undiscard", "--all", "--reason", "x")

    assert (result.exit_code, result.stderr) == (1, "Error: No delivery matches.\n")
    assert (back.exit_code, back.stderr) == (1, "Error: No discarded delivery matches.\n")


def test_an_erasure_is_never_discarded(told: str) -> None:
    erasure = delivery("user.erased", ADA)._replace(source="operator", verified_by=None)
    arrive(told, erasure)
    work(told)

    facts(told, "deliveries", "discard", "--user", str(ADA), "--reason", "all of Ada's")
    work(told)

    outcomes = rows(told, f"SELECT outcome FROM consumer.deliveries WHERE message_id = '{erasure.message_id}'")
    assert outcomes == [{"outcome": "applied"}]
    assert not rows(told, f"SELECT FROM identity.profiles WHERE user_id = '{ADA}'")
