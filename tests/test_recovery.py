"""What a bad release or a hand has written wrong, `consumer replay` mends: each effect, and each projected table."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest

from consumer.settings.settings import ShapingSettings
from tests.support import model
from tests.support.cli import arrive, facts, work
from tests.support.databases import change, record, rows, schema_change
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
from tests.support.processes import ROOT, environment

ADA, BOB, EVE, FRED, TEAM, OTHER, THIRD, DEFAULT = (UUID(int=n) for n in (1, 2, 3, 4, 77, 78, 79, 80))
# A process that has to compile itself on a busy machine takes ten.
DRAIN_SECONDS_MAX = 90.0
SETTINGS = ShapingSettings(default_company_id=DEFAULT, delete_policy="anonymise")
SET = {"DEFAULT_COMPANY_ID": str(DEFAULT), "DELETE_POLICY": "anonymise"}


# What a sound release has applied before.
EARLIER = [
    team_event("created", TEAM, display_name="Crew"),
    team_event("created", OTHER, display_name="Others"),
    user_updated(ADA, display_name="Ada", server_metadata={"role": "member"}),
    membership("created", TEAM, ADA),
    user_updated(BOB, display_name="Bob", server_metadata={"company_id": str(OTHER)}),
    membership("created", TEAM, BOB),
    edited(BOB, role_type="owner"),
    membership("created", OTHER, FRED),
]
# What the bad release applies: facts of every kind.
LATER = [
    user_updated(
        ADA,
        display_name=" Ada L. ",
        primary_email="ada@new.example",
        profile_image_url="https://example.com/a.png",
        is_restricted=True,
        last_active_at_millis=1_795_330_800_000,
        server_metadata={"role": "admin", "department": "R&D"},
        selected_team=team(THIRD, display_name="Third"),
    ),
    membership("created", OTHER, ADA),
    membership("created", TEAM, ADA),
    permission("created", TEAM, ADA, "read"),
    permission("deleted", TEAM, ADA, "read"),
    permission("created", OTHER, ADA, "write"),
    user_updated(EVE, display_name="Eve", is_anonymous=True),
    user_updated(EVE, display_name="Eva", is_anonymous=True, server_metadata={"company_id": str(TEAM)}),
    edited(EVE, company_id=str(THIRD)),
    edited(ADA, department="Sales"),
    membership("deleted", TEAM, BOB),
    delivery("user.signed_in", ADA, "app"),
    delivery("user.signed_out", ADA, "app"),
    team_event("updated", TEAM, display_name="Team", profile_image_url="https://example.com/t.png"),
    team_event("deleted", OTHER),
    user_deleted(BOB),
]


class Mutant(NamedTuple):
    """One wrong line in the SQL of an effect."""

    query: str
    old: str
    new: str


MIRROR, PROFILES, MEMBERS, COMPANIES = "users/mirror", "users/put_profiles", "members/fold", "companies/fold"
KNOWN = "NOT coalesce((f.data ->> 'is_anonymous')::boolean, FALSE))\n            OVER"
MUTANTS = {
    "a name": Mutant(PROFILES, "nullif(consumer.trimmed(m.stack_display_name), '')", "m.stack_display_name"),
    "an address": Mutant(MIRROR, "consumer.metadata_text(f.data, 'primary_email')", "f.data ->> 'display_name'"),
    "an image": Mutant(MIRROR, "f.data ->> 'profile_image_url',", "NULL::text,"),
    "a role's key": Mutant(MIRROR, "s.role_key)", "s.department_key)"),
    "a company's key": Mutant(MIRROR, "s.company_key)", "s.role_key)"),
    "a guest": Mutant(MIRROR, KNOWN, KNOWN.removeprefix("NOT ")),
    "a restriction": Mutant(MIRROR, "(f.data ->> 'is_restricted')::boolean", "FALSE"),
    "a deletion": Mutant(MIRROR, "(s.event_type = 'user.deleted' AND s.source", "(FALSE AND s.source"),
    "a version": Mutant(MIRROR, 'f.version COLLATE "C" DESC\n', 'f.version COLLATE "C" ASC\n'),
    "a sign-in": Mutant(MIRROR, "WHEN s.event_type = 'user.signed_in'\n", "WHEN s.event_type = 'user.updated'\n"),
    "an activity": Mutant(MIRROR, "s.data ->> 'last_active_at_millis'", "s.data ->> 'signed_up_at_millis'"),
    "a department": Mutant(PROFILES, "coalesce(d.value, m.source_department,", "coalesce(m.source_department,"),
    "a membership": Mutant(MEMBERS, "d.event_type <> 'team_membership.deleted'", "d.event_type = 'user.updated'"),
    "a removal": Mutant(
        MEMBERS, "CASE WHEN d.event_type = 'team_membership.deleted' THEN d.occurred_at END", "NULL::timestamptz"
    ),
    "a first join": Mutant(MEMBERS, "least(min(f.joined_at), min", "greatest(max(f.joined_at), max"),
    "an end of membership": Mutant("members/put", "            c.deleted_at\n", "            NULL\n"),
    "a permission": Mutant("members/fold_permissions", "o.event_type = 'team_permission.created' AS", "TRUE AS"),
    "a home": Mutant("members/home", "ORDER BY b.joined_at,", "ORDER BY b.joined_at DESC,"),
    "an edited home": Mutant("members/home", "edited.id,\n", ""),
    "a home in a company that ended": Mutant(
        "members/home", "b.user_id = m.stack_user_id AND b.removed_at IS NULL", "b.user_id = m.stack_user_id"
    ),
    "an edit": Mutant("edits/fold", "ELSE c.data ->> e.field END", "ELSE upper(e.field) END"),
    "a team's name": Mutant(COMPANIES, "team ->> 'display_name', 'Unnamed team'", "team ->> 'id', 'Unnamed team'"),
    "a team's logo": Mutant(COMPANIES, "team ->> 'profile_image_url' AS", "NULL::text AS"),
    "a team's end": Mutant(COMPANIES, "o.event_type = 'team.deleted' AND o.source <>", "FALSE AND o.source <>"),
    "a guest's name": Mutant("users/name_guests", "SET search_name = p.search_name", "SET search_name = 'x'"),
    "what is forgotten": Mutant("users/forget", "stack_display_name = NULL", "stack_display_name = 'Eve'"),
}


@pytest.fixture
def told(emptied: str) -> str:
    """A database in which the earlier deliveries are applied."""
    asyncio.run(record(emptied, SETTINGS))
    arrive(emptied, *EARLIER)
    work(emptied)
    return emptied


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another copy of this release."""
    folder = tmp_path_factory.mktemp("release")
    for name in ("consumer", "sql"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@contextmanager
def shipped(release: Path, mutant: Mutant) -> Iterator[None]:
    """Let the release be a bad one for the duration."""
    file = release / "sql" / "queries" / f"{mutant.query}.sql"
    text = file.read_text()
    assert text.count(mutant.old) == 1
    file.write_text(text.replace(mutant.old, mutant.new))
    try:
        yield
    finally:
        file.write_text(text)


def drain(url: str, release: Path) -> None:
    """Let a worker of that release apply what is due."""
    subprocess.run(
        [sys.executable, "-m", "consumer", "work", "--drain"],
        cwd=release,
        env=environment({"DATABASE_URL": url, "PYTHONPATH": str(release), **SET}),
        check=True,
        timeout=DRAIN_SECONDS_MAX,
        capture_output=True,
    )


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_a_replay_mends_what_a_bad_release_applied(told: str, release: Path, mutant: Mutant) -> None:
    [clock] = rows(told, "SELECT now() AS at")
    arrive(told, *LATER)
    with shipped(release, mutant):
        drain(told, release)
    wrong = model.state(told)

    facts(told, "replay", "--since", clock["at"].isoformat(), **SET)
    work(told)

    expected = model.fold([*EARLIER, *LATER], SETTINGS)
    assert wrong != expected
    assert model.state(told) == expected


TABLES = ("stack_user_profiles", "profiles", "companies", "company_members")
DAMAGES = {
    **{f"no {table}": f"DELETE FROM identity.{table}" for table in TABLES},
    "other stack_user_profiles": "UPDATE identity.stack_user_profiles SET stack_display_name = 'x', source_role = 'x', "
    "company_id = NULL, deleted_at = NULL, deletion_at = NULL, has_profile = NOT has_profile",
    "other profiles": "UPDATE identity.profiles SET full_name = 'x', role_type = 'x', company_id = NULL, email = 'x'",
    "other companies": "UPDATE identity.companies SET name = 'x', deleted_at = NULL, deletion_at = NULL",
    "other company_members": "UPDATE identity.company_members SET joined_at = NULL, removed_at = now(), "
    "permissions = '{x}', is_guest = FALSE, search_name = NULL",
}
REFERRING = """
CREATE TABLE public.referring (
    user_id uuid REFERENCES identity.profiles ON DELETE {action},
    mirror_id uuid REFERENCES identity.stack_user_profiles ON DELETE {action},
    company_id uuid REFERENCES identity.companies ON DELETE {action},
    member_id uuid,
    FOREIGN KEY (company_id, member_id) REFERENCES identity.company_members ON DELETE {action}
);
INSERT INTO public.referring
SELECT p.user_id, p.user_id, b.company_id, p.user_id
FROM identity.company_members AS b JOIN identity.profiles AS p USING (user_id)
"""


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("action", ["RESTRICT", "CASCADE", "SET NULL"])
@pytest.mark.parametrize("command", ["replay --all", "rebuild"])
def test_what_a_hand_changed_comes_back_and_what_refers_to_it_stays(
    told: str, damage: str, action: str, command: str
) -> None:
    arrive(told, *LATER)
    work(told)
    with schema_change(told, REFERRING.format(action=action), "DROP TABLE public.referring"):
        before = rows(told, "TABLE public.referring")
        # Otherwise the foreign keys would keep the hand from it.
        change(told, f"SET session_replication_role = replica; {damage}")
        wrong = model.state(told)

        facts(told, *command.split(), **SET)
        work(told)

        assert wrong != model.state(told) == model.fold([*EARLIER, *LATER], SETTINGS)
        assert rows(told, "TABLE public.referring") == before != []
