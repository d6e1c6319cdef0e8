"""What the tests of the lookups' rows share: who asks, when, and of which ids."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from consumer.postgres.connections import Connection, transaction, viewer_access
from tests.support.factories import NOON
from tests.support.kept import kept

HOUR = timedelta(hours=1)
ONE, TWO, THREE, FOUR = (UUID(int=0xABCD_EF00 << 96 | n) for n in (1, 2, 3, 4))
INTO = (
    "INSERT INTO consumer.outbox (seq, source, message_id, event_type, user_id, team_id, occurred_at, body) "
    "OVERRIDING SYSTEM VALUE VALUES "
)
MIRROR = "INSERT INTO identity.stack_user_profiles "


@pytest.fixture
async def viewer(emptied: str) -> AsyncIterator[Connection]:
    access = viewer_access("consumer")
    async with kept(emptied, access) as conn, transaction(conn, access):
        yield conn


def at(hours: int) -> datetime:
    return NOON + hours * HOUR
