"""Audit rows of sign-ins, of removed profiles and of re-homed users."""

from typing import Any

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from consumer.settings.settings import DeletePolicy, ShapingSettings
from tests.support.batches import (
    ALL_FIELDS,
    FIRST,
    OTHER,
    USER,
    at,
    audited,
    audited_by,
    crew,
    edit,
    gone,
    in_batches,
    member,
    millis,
    one,
    signed,
    user,
)
from tests.support.databases import record, rows
from tests.support.effects import rehomed

HOME: dict[str, Any] = {"server_metadata": {"company_id": str(FIRST)}}


@pytest.mark.parametrize("verb", ["in", "out"])
async def test_each_sign_in_has_a_row_of_its_own_under_the_home_company(emptied: str, verb: str) -> None:
    first, second = signed(verb, 5, signed_in_at_millis=millis(1)), signed(verb, 3, OTHER)
    await in_batches(emptied, [member("created", 0)], [user(1)])

    await in_batches(emptied, [first, second, signed(verb, 4)])
    with psycopg.connect(emptied) as conn:
        conn.execute("DELETE FROM consumer.outcomes")
        conn.execute("INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outbox")
    await in_batches(emptied, [user(9)])

    found = audited(emptied, "operation, user_id, company_id, changed_fields, previous_values, new_values")[1:]
    row: tuple[Any, ...] = (f"signed_{verb}", USER, FIRST, [], None, None)
    assert found == [row, row, (f"signed_{verb}", OTHER, None, [], None, None)]


async def test_sign_ins_received_before_the_audit_begins_are_not_audited(emptied: str) -> None:
    await in_batches(emptied, [user(1)])
    with psycopg.connect(emptied) as conn:
        conn.execute("UPDATE consumer.settings SET audited_since = now()")
        insert = """
            WITH stored AS (
                INSERT INTO consumer.outbox (source, message_id, event_type, user_id, occurred_at, received_at, body)
                SELECT 'app', 'at ' || late, 'user.signed_in', %s, now(), s.audited_since + late, '{"data": {}}'
                FROM consumer.settings AS s, unnest(ARRAY['-1 us', '0', '1 us']::interval[]) AS late
                RETURNING seq
            )
            INSERT INTO consumer.pending (seq) SELECT seq FROM stored
        """
        conn.execute(insert, [USER])

    await in_batches(emptied, [user(2), user(3), user(4)])

    audited_ids = {message_id for _, message_id in audited(emptied)}
    assert {"at -00:00:00.000001", "at 00:00:00", "at 00:00:00.000001"} & audited_ids == {
        "at 00:00:00",
        "at 00:00:00.000001",
    }


@pytest.mark.parametrize(
    ("policy", "batch", "expected"),
    [
        ("hard", [gone(4), gone(2), gone(3)], [("deleted", "b")]),
        ("hard", [user(9, display_name="B"), gone(4), edit(1, role_type="x")], [("deleted", "b")]),
        ("hard", [signed("in", 1), gone(4)], [("deleted", "b"), ("signed_in", "a")]),
        ("anonymise", [gone(4), gone(2)], [("deleted", "b")]),
    ],
)
async def test_a_removed_profile_is_audited_by_its_oldest_deletion(
    emptied: str, policy: DeletePolicy, batch: list[Delivery], expected: list[tuple[str, str]]
) -> None:
    await record(emptied, ShapingSettings(delete_policy=policy))
    await in_batches(emptied, [crew("created", 0)], [user(1, **HOME)], [user(1, OTHER)])

    await in_batches(emptied, batch)

    assert [(operation, letter) for operation, *_, letter in audited_by(emptied, 2, batch)] == expected
    if policy == "hard":
        [row] = rows(emptied, "SELECT * FROM identity.profile_audit WHERE operation = 'deleted'")
        assert (row["company_id"], row["new_values"]) == (FIRST, None)
        assert row["changed_fields"] == ["company_id", *ALL_FIELDS]
        assert row["previous_values"] == {"company_id": str(FIRST), "role_type": "member", "department": "General",
                                          "is_restricted": None, "deleted_at": None}  # fmt: skip
    assert one(emptied, "identity.profiles", "deleted_at", f"user_id = '{OTHER}'") == (None,)


async def test_a_rehomed_user_is_audited_by_what_deleted_the_company(emptied: str) -> None:
    end = crew("deleted", 3)
    await in_batches(
        emptied, [member("created", 0, user_id=each) for each in (USER, OTHER)], [user(1), user(1, OTHER)], [end]
    )

    await rehomed(emptied)

    found = audited(emptied, "operation, user_id, company_id, source, message_id")[2:]
    assert found == [("updated", each, FIRST, "stack", end.message_id) for each in (USER, OTHER)]
    assert one(emptied, "identity.companies", "deleted_at") == (at(3),)
