"""What docs/OPERATIONS.md tells an operator to do does what it says there."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support.cli import arrive, call, work
from tests.support.databases import change, rows, scratch_database
from tests.support.factories import delivery, user_deleted, user_updated
from tests.support.names import own
from tests.support.outbox import states
from tests.support.processes import ROOT
from tests.support.schema import PG_DUMP

# However its lines are broken.
RUNBOOK = " ".join((ROOT / "docs" / "OPERATIONS.md").read_text().split())
PROFILES = (
    "SELECT to_jsonb(p) - ARRAY['created_at', 'updated_at'] AS profile FROM identity.profiles AS p ORDER BY user_id"
)
IDENTITY = ("profiles", "stack_user_profiles", "profile_audit")
BACKUP_LOGIN = "CREATE ROLE consumer_backup LOGIN BYPASSRLS PASSWORD '…' IN ROLE pg_read_all_data"
BACKUP = "pg_dump --format=custom --schema=consumer --schema=consumer_masked --schema=identity --file=consumer.dump"
ADOPT = "consumer migrate --adopt-copy"
DROP = "DROP SCHEMA consumer, consumer_masked, identity CASCADE"
RESTORE = "pg_restore --exit-on-error --dbname"


def run(command: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of PostgreSQL's as the runbook has it."""
    assert command in RUNBOOK
    program, *options = command.split()
    binary = Path(str(PG_DUMP)).with_name(program)
    return subprocess.run(
        [binary, *options, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def users(emptied: str) -> str:
    """A living user who signed in, one without a sign-in, and a deleted one, all applied."""
    living, deleted = uuid4(), uuid4()
    arrive(emptied, user_updated(living), user_updated(living, display_name="Grace"), user_updated())
    arrive(emptied, delivery("user.signed_in", living, "app"), user_updated(deleted), user_deleted(deleted))
    work(emptied)
    return emptied


@pytest.fixture
def owner(users: str) -> str:
    """The login that migrated, no superuser."""
    return make_conninfo(users, user=own("owner"), password="x")


@pytest.fixture
def backup(users: str) -> Iterator[str]:
    """The login that the runbook makes for backups."""
    assert BACKUP_LOGIN in RUNBOOK
    with psycopg.connect(users, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS consumer_backup")
        conn.execute(BACKUP_LOGIN)
        yield make_conninfo(users, user="consumer_backup", password="…")
        conn.execute("DROP ROLE consumer_backup")


@pytest.mark.lone_server
@pytest.mark.parametrize("is_made", [False, True], ids=["into an empty database", "into one that was migrated"])
def test_a_backup_holds_everything_and_a_restored_one_is_well(
    users: str, backup: str, lone_server_url: str, tmp_path: Path, is_made: bool
) -> None:
    dumped = run(BACKUP, backup, folder=tmp_path)

    assert f"`{DROP}`" in RUNBOOK
    with scratch_database(lone_server_url, "restored") as url:
        if is_made:
            assert call(url, "migrate").exit_code == 0
            change(url, DROP)
        restored = run(RESTORE, url, "consumer.dump", folder=tmp_path)
        profiles, deliveries = rows(url, PROFILES), states(url)
        migrated, examined = call(url, "migrate"), call(url, "doctor")
        adopted, again = call(url, *ADOPT.split()[1:]), call(url, "migrate")

    assert (dumped.returncode, dumped.stderr) == (0, "")
    assert (restored.returncode, restored.stderr) == (0, "")
    assert profiles == rows(users, PROFILES) != []
    assert deliveries == states(users) != {}
    assert "up to date" in migrated.output
    assert examined.exit_code == 0, examined.output
    # Both lead to the last step.
    assert f"`{ADOPT}`" in RUNBOOK
    assert f"run `{ADOPT}`" in migrated.output
    assert f"run `{ADOPT}`" in examined.output
    assert (adopted.exit_code, again.output) == (0, "The database is up to date.\n")


def test_the_owner_can_make_no_backup(owner: str, tmp_path: Path) -> None:
    dumped = run(BACKUP, owner, folder=tmp_path)

    assert dumped.returncode == 1
    assert "row-level security" in dumped.stderr


@pytest.mark.parametrize("policy", ["anonymise", "hard"])
def test_a_forgotten_user_is_still_in_the_stored_bodies(emptied: str, policy: str) -> None:
    assert "stay in `consumer.outbox` (`body`, `reduced`)" in RUNBOOK
    call(emptied, "migrate", "--settings", DELETE_POLICY=policy)
    user_id = uuid4()
    arrive(emptied, user_updated(user_id, primary_email="ada@example.com"), user_deleted(user_id))
    work(emptied)

    everywhere = [row for table in IDENTITY for row in rows(emptied, f"SELECT t::text FROM identity.{table} AS t")]
    stored = rows(emptied, "SELECT body FROM consumer.outbox")

    assert not [row for row in everywhere if "ada@example.com" in str(row)]
    assert [row for row in stored if b"ada@example.com" in row["body"]]
