"""The pages of docs/recovery on rows: a lost table, a wrong mapping, dead letters."""

from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from tests.support.cli import arrive, call, work
from tests.support.databases import change, rows
from tests.support.dead import dead_at_the_door
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
from tests.support.outbox import set_aside, states
from tests.support.recovery import drill

ADA, BOB, EVE, TEAM, OTHER = (UUID(int=number) for number in (1, 2, 3, 77, 78))
# Each table that a rebuild makes, without what says when the row was written.
TABLES = ("profiles", "stack_user_profiles", "companies", "company_members")
WRITTEN_AT = "ARRAY['created_at', 'updated_at', 'last_synced_at', 'sync_version']"
LETTERS = 500


def tables(url: str) -> dict[str, list[object]]:
    found = {}
    for table in TABLES:
        query = f"SELECT to_jsonb(t) - {WRITTEN_AT} AS row FROM identity.{table} AS t ORDER BY 1"
        found[table] = [row["row"] for row in rows(url, query)]
    return found


@pytest.fixture
def filled(emptied: str) -> str:
    """People, teams, homes, edits, a deleted user and a sign-in, all applied."""
    arrive(
        emptied,
        team_event("created", TEAM, display_name="Crew"),
        user_updated(ADA, display_name="Ada", server_metadata={"role": "admin", "rank": "captain"}),
        user_updated(BOB, display_name="Bob", selected_team=team(OTHER)),
        user_updated(EVE, display_name="Eve"),
        membership("created", TEAM, ADA),
        permission("created", TEAM, ADA, "read"),
        edited(BOB, company_id=str(TEAM), role_type="owner"),
        delivery("user.signed_in", ADA, "app"),
        user_deleted(EVE),
    )
    work(emptied)
    return emptied


@pytest.mark.parametrize(
    "by_hand",
    [
        "DELETE FROM identity.profiles",
        "TRUNCATE identity.profiles, identity.stack_user_profiles, identity.company_members, consumer.memberships",
        "DELETE FROM identity.company_members; DELETE FROM consumer.team_permissions",
        "UPDATE identity.profiles SET full_name = 'Mallory', role_type = 'owner', company_id = NULL",
        "UPDATE identity.companies SET name = 'Mallory', deleted_at = now()",
    ],
    ids=["profiles deleted", "tables emptied", "members deleted", "profiles changed", "companies changed"],
)
def test_lost_table(filled: str, tmp_path: Path, by_hand: str) -> None:
    before = tables(filled)
    change(filled, by_hand)
    touched = tables(filled)
    page = drill(filled, "lost-table", tmp_path, USER_ID=str(ADA))

    assert page.codes() == [1, 0, 0]
    assert page.codes("Done when") == [0]
    assert touched != before
    assert tables(filled) == before


def test_lost_table_of_one_user(filled: str, tmp_path: Path) -> None:
    before = tables(filled)
    change(filled, f"DELETE FROM identity.profiles WHERE user_id = '{ADA}'")
    page = drill(filled, "lost-table", tmp_path, USER_ID=str(ADA))

    command = [result for line, result in page.run() if "--user" in line]

    assert [result.exit_code for result in command] == [0]
    assert tables(filled) == before


def test_wrong_mapping_of_a_release(filled: str, tmp_path: Path) -> None:
    failed = user_updated(display_name="Grace")
    before = tables(filled)
    change(filled, "UPDATE identity.profiles SET role_type = department, department = role_type")
    change(filled, "UPDATE identity.stack_user_profiles SET stack_display_name = stack_primary_email")
    arrive(filled, failed)
    set_aside(filled, [failed], code="22P02")
    page = drill(filled, "wrong-mapping", tmp_path, SINCE="1h")

    [(_, counted), (_, replayed), (_, rebuilt), *_] = list(page.run())
    work(filled)

    assert (counted.exit_code, replayed.exit_code, rebuilt.exit_code) == (0, 0, 0)
    assert page.codes("Done when") == [0]
    after = tables(filled)
    mended = [row for row in after["profiles"] if row in before["profiles"]]
    assert (mended, len(after["profiles"])) == (before["profiles"], len(before["profiles"]) + 1)
    assert states(filled)[failed.message_id] == "done"


def test_wrong_mapping_of_a_setting(filled: str, tmp_path: Path) -> None:
    before = tables(filled)
    assert call(filled, "migrate", "--settings", ROLE_KEY="rank").exit_code == 0
    assert call(filled, "rebuild", ROLE_KEY="rank").exit_code == 0
    wrong = tables(filled)
    page = drill(filled, "wrong-mapping", tmp_path, SINCE="1h")

    codes = {line: result.exit_code for line, result in page.run() if "since" not in line}

    assert codes == {"consumer migrate --settings": 0, "consumer rebuild --check": 1, "consumer rebuild": 0}
    assert page.codes("Done when") == [0]
    assert "captain" in str(wrong["profiles"])
    assert tables(filled) == before


def refused(number: int) -> list[Delivery]:
    return [user_updated(uuid4(), primary_email=f"{each}@example.com") for each in range(number)]


def test_dead_letters(filled: str, tmp_path: Path) -> None:
    dead, retrying, useless = refused(LETTERS), refused(2), dead_at_the_door("msg_useless")
    arrive(filled, *dead, *retrying, useless)
    set_aside(filled, dead, code="23505")
    set_aside(filled, retrying, "retrying", "23505")
    page = drill(filled, "dead-letters", tmp_path, ERROR="23505", USELESS="bad_shape", MESSAGE_ID=dead[0].message_id)

    results = list(page.run())
    work(filled)
    (_, listed), (_, checked) = list(page.run("Done when"))

    assert {line: result.output for line, result in results if result.exit_code} == {}
    found = states(filled)
    assert {found[each.message_id] for each in (*dead, *retrying)} == {"done"}
    assert found[useless.message_id] == "done"
    [discarded] = rows(filled, "SELECT outcome FROM consumer.deliveries WHERE message_id = 'msg_useless'")
    assert discarded["outcome"] == "discarded"
    assert (listed.exit_code, checked.exit_code) == (0, 0)
    assert "23505" not in listed.output
    assert len(rows(filled, "SELECT FROM identity.profiles")) == 3 + LETTERS + 2


def test_dead_letters_are_tried_in_small_first(filled: str, tmp_path: Path) -> None:
    dead = refused(150)
    arrive(filled, *dead)
    set_aside(filled, dead, code="23505")
    page = drill(filled, "dead-letters", tmp_path, ERROR="23505", USELESS="x", MESSAGE_ID=dead[0].message_id)
    pending: dict[str, int] = {}

    for line, _ in page.run():
        pending[line] = list(states(filled).values()).count("pending")
        if line.endswith('--error "$ERROR"'):
            break

    assert [count for line, count in pending.items() if "--limit" in line] == [100]
    assert pending['consumer replay --state dead --error "$ERROR" --dry-run'] == 0


def test_a_lost_profile_of_a_living_reference_needs_no_attention(filled: str, tmp_path: Path) -> None:
    """The page says that foreign keys need none: a right row is never deleted in between."""
    with psycopg.connect(filled, autocommit=True) as conn:
        conn.execute("CREATE TABLE public.notes (user_id uuid REFERENCES identity.profiles)")
        try:
            conn.execute("INSERT INTO public.notes VALUES (%s)", (ADA,))
            conn.execute("UPDATE identity.profiles SET full_name = 'Mallory'")
            page = drill(filled, "lost-table", tmp_path, USER_ID=str(ADA))

            assert page.codes() == [1, 0, 0]
            assert page.codes("Done when") == [0]
        finally:
            conn.execute("DROP TABLE public.notes")
