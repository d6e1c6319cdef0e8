"""The time of a delivery: none wins for ever, and each can be read."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import CheckViolation

from consumer.outbox import storage
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import connect, transaction
from tests.support.databases import rows
from tests.support.factories import delivery, user_updated
from tests.support.outbox import storing_access, work

USER_ID = UUID(int=7)
FAR = datetime(2162, 1, 1, tzinfo=UTC)
AHEAD = "SELECT occurred_at - received_at AS ahead FROM consumer.outbox"
OUTSIDE = [
    *("infinity", "-infinity", "0044-03-15 BC", "0001-01-01", "1969-12-31 23:59:59+00", "9999-12-31", "294276-01-01"),
]


async def stored(url: str, delivery: Delivery) -> None:
    """Store a delivery as its sender's process does, dead if it has an error code."""
    access = storing_access([delivery])
    async with await connect(url, access) as conn, transaction(conn, access):
        if delivery.error_code:
            await storage.put_dead(conn, delivery)
        else:
            await storage.put(conn, [delivery])


@pytest.mark.parametrize("occurred_at", OUTSIDE)
@pytest.mark.parametrize("role", ["receiver", "operator", "definer"])
def test_no_role_stores_a_time_that_would_win_for_ever_or_cannot_be_read(
    emptied: str, role: str, occurred_at: str
) -> None:
    columns, values = "source, message_id, body, occurred_at", "'app', 'm', '', %s"
    if role != "definer":
        columns, values = f"{columns}, verified_by", f"{values}, '0123abcd'"
    with psycopg.connect(emptied) as conn:
        conn.execute(f"SET ROLE consumer_{role}")
        with pytest.raises(CheckViolation, match="outbox_occurred_at"):
            conn.execute(f"INSERT INTO consumer.outbox ({columns}) VALUES ({values})".encode(), [occurred_at])


@pytest.mark.parametrize(
    ("source", "error_code"),
    [
        *((source, None) for source in ("stack", "app", "backfill", "reconcile", "operator")),
        *((source, "bad_shape") for source in ("stack", "app")),
    ],
)
async def test_a_delivery_of_the_far_future_occurs_a_day_after_it_is_stored(
    emptied: str, source: str, error_code: str | None
) -> None:
    far = user_updated(USER_ID)._replace(source=source, occurred_at=FAR, error_code=error_code, error=error_code)

    await stored(emptied, far)

    assert rows(emptied, AHEAD) == [{"ahead": timedelta(days=1)}]


async def test_a_time_within_a_day_is_stored_as_it_is(emptied: str) -> None:
    tomorrow = datetime.now(UTC) + timedelta(hours=23)

    await stored(emptied, delivery("user.deleted", USER_ID)._replace(occurred_at=tomorrow))
    await work(emptied)

    assert rows(emptied, "SELECT deleted_at FROM identity.stack_user_profiles") == [{"deleted_at": tomorrow}]
