"""Dead letters of several kinds."""

import pytest

from consumer.outbox.storage import Delivery
from tests.support.cli import arrive
from tests.support.factories import user_updated
from tests.support.outbox import set_aside

BROKEN = b'{"type": "user.updated", "data": {}}'


def dead_at_the_door(message_id: str, body: bytes = BROKEN, event_type: str | None = "user.updated") -> Delivery:
    return user_updated()._replace(
        message_id=message_id,
        event_type=event_type,
        body=body,
        error_code="bad_shape",
        error="$.data.id: Required field is missing",
    )


@pytest.fixture
def three_dead(emptied: str) -> str:
    """Two deliveries that are usable but died of a constraint, and one that is not usable."""
    first, second = user_updated()._replace(message_id="first"), user_updated()._replace(message_id="second")
    arrive(emptied, first, second, dead_at_the_door("broken"))
    set_aside(emptied, [first, second])
    return emptied
