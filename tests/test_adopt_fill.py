"""Users from before the adoption are filled in: page by page, once, and only those who fit."""

from uuid import uuid4

import orjson
import psycopg
import pytest

from tests.support.adopt import Shape
from tests.support.cli import arrive, call, facts
from tests.support.databases import change
from tests.support.factories import user_deleted, user_updated


def test_who_was_deleted_before_gets_no_row_when_filled_in(shape: Shape) -> None:
    user_id = uuid4()
    arrive(shape.url, user_updated(user_id), user_deleted(user_id))
    call(shape.url, "work", "--drain")
    shape.adopted()

    filled = shape.fill()

    assert (filled["users"], shape.people()) == (1, {})


def test_users_who_were_there_before_are_filled_in_page_by_page(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.adopt.fill.PAGE_SIZE", 4)
    users = sorted(uuid4() for _ in range(10))
    arrive(shape.url, *(user_updated(user_id, primary_email=None) for user_id in users))
    arrive(shape.url, user_updated(is_anonymous=True))
    call(shape.url, "work", "--drain")
    shape.adopted()

    first = shape.fill("--after", str(users[5]))
    filled = shape.people().keys()
    rest = shape.fill()

    assert (first["users"], rest["users"]) == (4, 10)
    assert filled == set(users[6:])
    assert shape.people().keys() == set(users)


def test_filling_in_tells_whom_their_constraint_refuses_and_fills_in_the_others(shape: Shape) -> None:
    refused, others = uuid4(), [uuid4() for _ in range(6)]
    arrive(shape.url, *(user_updated(user_id, primary_email=None) for user_id in [refused, *others]))
    call(shape.url, "work", "--drain")
    shape.adopted()
    change(shape.url, f"ALTER TABLE {shape.table} ADD CONSTRAINT barred CHECK ({shape.key}::text <> '{refused}')")

    result = call(shape.url, "adopt", "fill", CONSUMER_PROJECTION_SQL=str(shape.file))

    assert result.exit_code == 1
    assert "7 users processed, 1 refused" in result.stdout
    assert f"{refused}  23514  CONSUMER_PROJECTION_SQL was refused: " in result.stdout
    assert shape.people().keys() == set(others)


def test_a_user_whom_somebody_locks_is_left_out_and_told(shape: Shape) -> None:
    """What a worker is about to write would otherwise be overwritten by what was read before."""
    locked, other = uuid4(), uuid4()
    arrive(shape.url, *(user_updated(user_id, primary_email=None) for user_id in (locked, other)))
    call(shape.url, "work", "--drain")
    shape.adopted()

    with psycopg.connect(shape.url) as conn:
        conn.execute("SELECT FROM identity.stack_user_profiles WHERE stack_user_id = %s FOR UPDATE", [locked])
        result = call(shape.url, "adopt", "fill", "--json", CONSUMER_PROJECTION_SQL=str(shape.file))

    assert result.exit_code == 1
    refused = orjson.loads(result.stdout)["refused"]
    assert [(row["user_id"], row["error_code"]) for row in refused] == [(str(locked), "55P03")]
    assert shape.people().keys() == {other}


def test_filling_in_stops_at_once_where_nobody_can_be(shape: Shape) -> None:
    arrive(shape.url, *(user_updated(primary_email=None) for _ in range(3)))
    call(shape.url, "work", "--drain")
    facts(shape.url, "adopt", "plan", "--table", shape.table, "--write", str(shape.file))

    result = call(shape.url, "adopt", "fill", CONSUMER_PROJECTION_SQL=str(shape.file))

    assert result.exit_code == 1
    assert result.stderr.startswith(
        "Error: No user can be filled in: CONSUMER_PROJECTION_SQL was refused: InsufficientPrivilege"
    )
