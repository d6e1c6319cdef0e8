"""The default company is found missing and lives again: whoever has no home meanwhile comes home, in any order."""

from collections.abc import Sequence
from itertools import permutations

import pytest

from consumer.outbox.storage import Delivery
from consumer.settings.settings import ShapingSettings
from tests.support import model
from tests.support.batches import DEFAULT, OTHER, SECOND, USER, crew, every, gone, in_batches, user
from tests.support.cli import arrive, facts, work
from tests.support.databases import empty, record, record_settings
from tests.support.effects import rehomed
from tests.support.rehoming import MIRROR, person, turns

SETTINGS = ShapingSettings(default_company_id=DEFAULT)
MISSING, AGAIN = crew("deleted", 5, DEFAULT, source="reconcile"), crew("updated", 9, DEFAULT)
# The second is as old as the deletion: the newest fact that shows the company alive wins then.
LIVES = [[MISSING, AGAIN], [MISSING, crew("updated", 5, DEFAULT)], [MISSING], [crew("deleted", 5, DEFAULT), AGAIN]]


def split(deliveries: Sequence[Delivery], at: int) -> list[list[Delivery]]:
    return [list(part) for part in (deliveries[:at], deliveries[at:]) if part]


@pytest.mark.parametrize("life", LIVES, ids=["later", "at once", "missing", "deleted"])
async def test_in_any_order_and_batches_users_are_where_the_model_says(emptied: str, life: list[Delivery]) -> None:
    told = [user(1), user(2, OTHER), *life]
    expected = model.fold(told, SETTINGS)

    for order in permutations(told):
        for at in range(len(told)):
            empty(emptied)
            await record(emptied, SETTINGS)
            for batch in split(order, at):
                await in_batches(emptied, batch)
                await rehomed(emptied)
            assert model.state(emptied) == expected, [each.message_id for each in order]


async def test_those_without_a_home_come_page_by_page_and_nobody_else_moves(emptied: str) -> None:
    await record(emptied, SETTINGS)
    lost = [user(10 + n, person(n)) for n in range(1, 8)]
    told = [
        crew("created", 1, SECOND),
        MISSING,
        *lost,
        user(20, person(8), server_metadata={"company_id": str(SECOND)}),
        *(user(21, person(9)), gone(22, person(9))),
    ]
    await in_batches(emptied, told)
    await rehomed(emptied)

    await in_batches(emptied, [AGAIN])

    assert [result.users for result in await turns(emptied)] == [3, 3, 1]
    assert model.state(emptied) == model.fold([*told, AGAIN], SETTINGS)
    assert {home for (home,) in every(emptied, MIRROR, "company_id")} == {DEFAULT, SECOND, None}


def test_a_forged_deletion_of_the_default_company_is_undone(emptied: str) -> None:
    record_settings(emptied, SETTINGS)
    arrive(emptied, crew("created", 1, DEFAULT), user(2, USER))
    work(emptied)
    before = model.state(emptied)
    arrive(emptied, crew("deleted", 5, DEFAULT)._replace(verified_by="0badc0de"))
    work(emptied)
    assert model.state(emptied) != before

    settings = {"DEFAULT_COMPANY_ID": str(DEFAULT)}
    facts(emptied, "deliveries", "discard", "--verified-by", "0badc0de", "--reason", "leaked", "--yes", **settings)
    work(emptied)

    assert model.state(emptied) == before
