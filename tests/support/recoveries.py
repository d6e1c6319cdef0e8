"""What Svix holds brought in by `consumer recover`, and the settings of the commands that need the admin key."""

from typing import Any

from tests.support import backfills
from tests.support.databases import rows
from tests.support.fake_stack import Event, FakeStack
from tests.support.fake_stack.serving import ADMIN_KEY


def environment(fake: FakeStack, **others: str) -> dict[str, str]:
    """Return the settings of the commands that ask the fake with the admin key."""
    admin = {"STACK_SUPER_SECRET_ADMIN_KEY": ADMIN_KEY, "SVIX_SERVER_URL": fake.url}
    return {**backfills.environment(fake), "STACK_SECRET_SERVER_KEY": "", **admin, **others}


def outbox(url: str) -> list[dict[str, Any]]:
    """Return the stored deliveries in the order of their ids."""
    return rows(url, "SELECT * FROM consumer.outbox ORDER BY message_id")


def ids(events: list[Event]) -> list[str]:
    return sorted(event.message_id for event in events)
