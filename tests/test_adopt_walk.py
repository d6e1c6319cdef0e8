"""docs/ADOPT.md: its commands and its SQL do what it says there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import ForeignKeyViolation

from tests.support.application import failures, tables
from tests.support.cli import arrive, call
from tests.support.databases import change, rows
from tests.support.factories import user_deleted, user_updated
from tests.support.processes import ROOT, invoke, on

PAGE = (ROOT / "docs" / "ADOPT.md").read_text()
COMMANDS = re.findall(r"^ *consumer (.+)$", PAGE, re.MULTILINE)
THEIRS, NOTES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
DROP = "DROP TABLE IF EXISTS public.notes, public.profiles, public.companies CASCADE"


@pytest.fixture
def application(emptied: str) -> Iterator[str]:
    with tables(emptied, THEIRS, DROP) as url:
        yield url


def person(url: str, *, is_anonymous: bool = False, policy: str = "soft") -> UUID:
    """Let somebody be known."""
    user_id = uuid4()
    arrive(url, user_updated(user_id, is_anonymous=is_anonymous))
    call(url, "work", "--drain", DELETE_POLICY=policy)
    return user_id


def test_every_command_of_the_walk_works_in_its_order(application: str, tmp_path: Path) -> None:
    user_id = person(application)
    assert "`CONSUMER_PROJECTION_SQL=projection.sql`" in PAGE
    settings, said = dict(on(application)), []

    for command in COMMANDS:
        if command == "doctor":
            settings["CONSUMER_PROJECTION_SQL"] = "projection.sql"
        result = invoke(tmp_path, settings, *shlex.split(command))
        said.append((command, result.exit_code))

    # Before anything is switched on, the rows differ.
    assert [command for command, exit_code in said if exit_code] == ["adopt compare --table public.profiles"]
    assert len(said) == 8
    assert rows(application, "SELECT user_id, full_name, department FROM public.profiles") == [
        {"user_id": user_id, "full_name": "Ada", "department": "General"}
    ]


def test_a_key_to_the_mirror_takes_anonymous_users_and_outlives_every_deletion(emptied: str) -> None:
    call(emptied, "migrate", "--settings", DELETE_POLICY="hard")
    anonymous, named = person(emptied, is_anonymous=True, policy="hard"), person(emptied, policy="hard")
    with tables(emptied, NOTES, DROP):
        for user_id in (anonymous, named):
            change(emptied, f"INSERT INTO public.notes VALUES ('{user_id}', 'x')")
        arrive(emptied, user_deleted(anonymous), user_deleted(named))
        call(emptied, "work", "--drain", DELETE_POLICY="hard")

        noted = rows(emptied, "SELECT user_id FROM public.notes")

    assert {row["user_id"] for row in noted} == {anonymous, named}
    assert rows(emptied, "SELECT user_id FROM identity.profiles") == []
    assert failures(emptied) == []


def test_a_key_to_the_profiles_refuses_anonymous_users(emptied: str) -> None:
    anonymous = person(emptied, is_anonymous=True)
    notes = NOTES.replace("identity.stack_user_profiles (stack_user_id)", "identity.profiles (user_id)")
    with tables(emptied, notes, DROP), psycopg.connect(emptied) as conn, pytest.raises(ForeignKeyViolation):
        conn.execute("INSERT INTO public.notes VALUES (%s, 'x')", [anonymous])


@pytest.mark.parametrize(
    ("action", "is_kept", "left"),
    [
        ("", True, "theirs"),
        ("ON DELETE RESTRICT", True, "theirs"),
        ("ON DELETE CASCADE", False, "none"),
        ("ON DELETE SET NULL", False, "null"),
    ],
    ids=["no action", "restrict", "cascade", "set null"],
)
@pytest.mark.parametrize("policy", ["soft", "anonymise", "hard"])
def test_a_key_to_the_profiles_decides_what_a_hard_deletion_means(
    emptied: str, policy: str, action: str, is_kept: bool, left: str
) -> None:
    call(emptied, "migrate", "--settings", DELETE_POLICY=policy)
    user_id = uuid4()
    arrive(emptied, user_updated(user_id))
    call(emptied, "work", "--drain", DELETE_POLICY=policy)
    create = f"CREATE TABLE public.notes (user_id uuid REFERENCES identity.profiles (user_id) {action})"
    with tables(emptied, create, DROP):
        change(emptied, f"INSERT INTO public.notes VALUES ('{user_id}')")

        arrive(emptied, user_deleted(user_id))
        call(emptied, "work", "--drain", DELETE_POLICY=policy)

        noted = rows(emptied, "SELECT user_id FROM public.notes")
    operations = rows(emptied, "SELECT operation FROM identity.profile_audit ORDER BY id")
    removed = policy == "hard" and not is_kept
    assert [row["operation"] for row in operations] == ["created", "deleted"]
    assert bool(rows(emptied, "SELECT user_id FROM identity.profiles")) is not removed
    theirs = {"theirs": [{"user_id": user_id}], "none": [], "null": [{"user_id": None}]}
    assert noted == theirs[left if removed else "theirs"]
