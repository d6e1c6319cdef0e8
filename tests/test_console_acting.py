"""Actions on deliveries at the console: a page asks, a form orders, and what the page showed is done."""

from collections.abc import Iterator

import pytest

from tests.support.confirming import confirm, finished
from tests.support.console import Desk, running
from tests.support.databases import rows
from tests.support.dead import three_dead

__all__ = ["three_dead"]


@pytest.fixture
def desk(emptied: str) -> Iterator[Desk]:
    with running(emptied) as desk:
        yield desk.as_("operator")


def states(url: str) -> dict[str, str]:
    found = rows(url, "SELECT message_id, coalesce(outcome, state) AS state FROM consumer.deliveries")
    return {row["message_id"]: row["state"] for row in found}


def test_a_retry_of_all_dead_puts_the_usable_ones_back(desk: Desk, three_dead: str) -> None:
    done = finished(three_dead, confirm(desk, "/dead/retry"))

    assert states(three_dead) == {"first": "pending", "second": "pending", "broken": "dead"}
    assert done["result"] == {"put_back": 2, "still_unusable": 1}
    assert (done["actor"], done["via"], done["role"], done["action"]) == ("kim", "console", "operator", "retry")
    assert (done["seen_count"], done["affected"], done["reason"]) == (3, 2, None)
