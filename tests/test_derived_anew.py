"""Whatever a rebuild derives again is the same: nothing in a row of identity is made by chance."""

from typing import Any

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from consumer.settings.settings import ShapingSettings
from tests.support.batches import DEFAULT, FIRST, SECOND, USER, crew, in_batches, member, user
from tests.support.databases import record, rows, scratch_database
from tests.support.outbox import replay_everything
from tests.support.releases import migrate

EMPTIED = """
TRUNCATE consumer.edits, consumer.memberships, consumer.team_permissions, consumer.rehome, identity.company_members,
identity.profiles, identity.stack_user_profiles, identity.companies
"""
# What says when something was stored; every other column is made of the deliveries and the recorded settings.
CLOCKED = {"created_at", "updated_at", "last_synced_at", "sync_version"}
TABLES = ("companies", "company_members", "profiles", "stack_user_profiles")
KEYS = "SELECT id, guest_key FROM identity.companies ORDER BY id"
SALT = "SELECT guest_salt, length(guest_salt) AS bytes FROM consumer.settings"


def told() -> list[list[Delivery]]:
    return [
        [crew("created", 1, FIRST), crew("created", 1, SECOND), user(2, USER, display_name="José Straße")],
        [member("created", 3, FIRST, USER), member("created", 4, SECOND, USER)],
    ]


def state(url: str) -> dict[str, list[dict[str, Any]]]:
    return {
        table: sorted(
            (
                {name: value for name, value in row.items() if name not in CLOCKED}
                for row in rows(url, f"TABLE identity.{table}")
            ),
            key=str,
        )
        for table in TABLES
    }


async def test_a_rebuild_gives_each_row_every_column_that_it_had(emptied: str) -> None:
    await record(emptied, ShapingSettings(default_company_id=DEFAULT))
    await in_batches(emptied, *told())
    before = state(emptied)

    with psycopg.connect(emptied) as conn:
        conn.execute(EMPTIED)
    await replay_everything(emptied, batch_size=2)

    assert state(emptied) == before
    [profile] = before["profiles"]
    assert profile["search_name"] == "jose strasse"
    assert len(profile["guest_keys"]) == 1
    assert len({row["guest_key"] for row in before["companies"]}) == 3


async def test_other_settings_leave_the_salt_as_it_is(emptied: str) -> None:
    await record(emptied, ShapingSettings())
    [salt] = rows(emptied, SALT)
    await record(emptied, ShapingSettings(default_company_id=DEFAULT, default_role="guest"))

    assert rows(emptied, SALT) == [salt]
    assert salt["bytes"] == 32


async def test_another_installation_gives_the_same_company_another_key(emptied: str, lone_server_url: str) -> None:
    with scratch_database(lone_server_url, "twin") as twin:
        migrate(twin)
        for url in (emptied, twin):
            await record(url, ShapingSettings(default_company_id=DEFAULT))
        [ours], [theirs] = rows(emptied, KEYS), rows(twin, KEYS)

    assert ours["id"] == theirs["id"]
    assert ours["guest_key"] != theirs["guest_key"]


@pytest.mark.parametrize("count", [3, 4])
async def test_a_company_from_before_the_keys_has_the_one_that_a_rebuild_gives(
    lone_server_url: str, count: int
) -> None:
    with scratch_database(lone_server_url, "elder") as url:
        migrate(url, count)
        with psycopg.connect(url) as conn:
            conn.execute("INSERT INTO identity.companies (id) SELECT gen_random_uuid() FROM generate_series(1, 3)")
            conn.execute(
                "INSERT INTO consumer.settings (default_role, default_department, role_key, department_key, "
                "company_key, delete_policy) VALUES ('r', 'd', 'r', 'd', 'c', 'soft')"
            )
        migrate(url)
        derived = "SELECT c.guest_key FROM identity.companies AS c, consumer.settings AS s WHERE c.guest_key = "

        assert len(rows(url, f"{derived} consumer.guest_key(s.guest_salt, c.id)")) == 3


async def test_a_name_that_an_earlier_release_left_unfolded_is_folded_by_the_next_event(emptied: str) -> None:
    await record(emptied, ShapingSettings())
    await in_batches(emptied, [user(1, USER, display_name="José")])
    with psycopg.connect(emptied) as conn:
        conn.execute("UPDATE identity.profiles SET search_name = ''")

    await in_batches(emptied, [user(2, USER, display_name="José")])

    assert rows(emptied, "SELECT search_name FROM identity.profiles") == [{"search_name": "jose"}]
