"""Which statements a batch runs: none for facts that it has not, in the order of the locks."""

from typing import Any

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from consumer.postgres.queries import query, sql_root
from consumer.settings.settings import ShapingSettings
from tests.support.batches import FIRST, crew, edit, gone, in_batches, may, member, signed, user
from tests.support.databases import record
from tests.support.factories import team

ROOMS = ("users", "edits", "companies", "members")
MIRROR, PUT, SCRUB = "users/mirror", "users/put_profiles", "users/scrub_audit"
LOCK, TEAMS, JUDGED = "companies/lock", "companies/fold", "companies/was_misjudged"
JOINS, MEMBERS, HOME = "members/fold", "members/put", "members/home"
FORGET = ["users/remove_profiles", "users/mark_held", "users/forget", "edits/forget"]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the statements of effects, as they are run."""
    found: list[str] = []
    files = (path for room in ROOMS for path in sorted((sql_root() / "queries" / room).glob("*.sql")))
    names = {query(name): name for path in files for name in [f"{path.parent.name}/{path.stem}"]}
    execute = psycopg.AsyncCursor.execute

    async def noting(self: Any, statement: Any, *given: Any, **named: Any) -> Any:
        if statement in names:
            found.append(names[statement])
        return await execute(self, statement, *given, **named)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", noting)
    return found


@pytest.mark.parametrize(
    ("before", "batch", "expected"),
    [
        pytest.param([], [user(1)], [MIRROR, PUT], id="a user"),
        pytest.param([user(1)], [user(2)], [MIRROR, PUT], id="no news"),
        pytest.param([], [signed("in", 1)], [MIRROR, PUT, "users/put_sign_ins"], id="a sign-in"),
        pytest.param([user(1)], [edit(2, role_type="x")], [MIRROR, "edits/fold", LOCK, HOME, PUT, SCRUB], id="an edit"),
        pytest.param([], [crew("created", 1)], [LOCK, TEAMS], id="a team"),
        pytest.param([crew("created", 1)], [crew("updated", 2)], [LOCK, JUDGED, TEAMS], id="a known team"),
        pytest.param(
            [user(1)],
            [member("created", 2)],
            [MIRROR, LOCK, TEAMS, JOINS, MEMBERS, HOME, PUT],
            id="a membership",
        ),
        pytest.param(
            [user(1), member("created", 2)],
            [may("created", 3, "p")],
            [MIRROR, LOCK, "members/fold_permissions", MEMBERS, HOME],
            id="a permission",
        ),
        pytest.param(
            [user(1)],
            [gone(2)],
            [MIRROR, *FORGET, LOCK, MEMBERS, HOME, PUT, SCRUB],
            id="an end",
        ),
        pytest.param(
            [user(1), member("created", 1)],
            [user(2, selected_team=team(FIRST))],
            [MIRROR, LOCK, JUDGED, TEAMS, JOINS, MEMBERS, HOME, PUT],
            id="a selected team",
        ),
    ],
)
async def test_a_batch_runs_the_statements_of_its_facts_in_the_order_of_the_locks(
    emptied: str, ran: list[str], before: list[Delivery], batch: list[Delivery], expected: list[str]
) -> None:
    await record(emptied, ShapingSettings())
    await in_batches(emptied, *([each] for each in before))
    ran.clear()

    await in_batches(emptied, batch)

    assert ran == expected
