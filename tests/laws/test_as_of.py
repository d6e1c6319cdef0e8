"""The law of the past: a state as it was is what the model makes of the deliveries received until then."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.effects.as_of import PastRows
from consumer.operations import as_of
from consumer.operations.prune import DeliveryPrune, prune_deliveries
from consumer.operations.rebuild import Subjects
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import operator_access
from tests.laws.arrivals import WORKER, arrive
from tests.laws.histories import COMPANIES, DELIVERIES_MAX, HISTORIES, USERS, History, histories
from tests.laws.test_function_of_the_set import written
from tests.support import model
from tests.support.databases import change, empty
from tests.support.kept import kept

pytestmark = [pytest.mark.slow, pytest.mark.seconds_max(300 + 2 * HISTORIES)]
# A prune reaches up to an instant that has passed.
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
OPERATOR = operator_access("consumer")
MINUTE = timedelta(minutes=1)
# Beside the columns that the laws speak of.
OUTSIDE = {
    *("has_profile", "search_name", "guest_key", "guest_keys", "version", "deletion_at", "missing_at", "seen_at"),
    *("is_forgotten", "is_held", "is_removed", "is_erased"),
}


PLACES = st.integers(0, DELIVERIES_MAX)


@settings(max_examples=HISTORIES * 3 // 10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), count=PLACES, discarded=st.sets(PLACES, max_size=3), pruned=st.none() | PLACES)
async def test_a_state_as_it_was_is_that_of_the_deliveries_received_until_then(
    database_url: str, history: History, count: int, discarded: set[int], pruned: int | None
) -> None:
    empty(database_url)
    await arrive(database_url, history)
    received = [history.deliveries[index] for index in dict.fromkeys(history.arrivals)]
    # What an operator has decided holds at any time.
    decided = [delivery for delivery in received if delivery.event_type in {"user.erased", "company.declared"}]
    excluded = [one for place, one in enumerate(received) if place in discarded and one not in decided]
    for place, delivery in enumerate(received):
        store(database_url, delivery, FIRST + place * MINUTE, is_excluded=delivery in excluded)
    if pruned is not None:
        count = max(count, pruned + 1)
        async with kept(database_url, OPERATOR) as conn:
            async for _ in prune_deliveries(conn, OPERATOR, DeliveryPrune(FIRST + pruned * MINUTE, page_size=4)):
                pass
    before = written(database_url)

    async with kept(database_url, WORKER) as conn:
        until = FIRST + (count - 1) * MINUTE
        pages = [page async for page in as_of.state(conn, WORKER, until, Subjects(USERS, COMPANIES))]

    counted = [*(one for one in received[:count] if one not in excluded), *decided]
    expected = model.fold(counted, history.projection)
    assert state(pages, expected) == expected
    assert written(database_url) == before


def store(url: str, delivery: Delivery, at: datetime, *, is_excluded: bool) -> None:
    named = f"o.source = '{delivery.source}' AND o.message_id = '{delivery.message_id}'"
    change(url, f"UPDATE consumer.outbox AS o SET received_at = '{at}' WHERE {named}")
    if is_excluded:
        change(
            url,
            "UPDATE consumer.outcomes SET outcome = 'discarded' FROM consumer.outbox AS o "
            f"WHERE outcomes.seq = o.seq AND {named}",
        )


def state(pages: list[PastRows], expected: model.State) -> model.State:
    """Return what was printed, in the judge's terms; the sign-ins of the audit are no part of it."""
    users = [orjson.loads(document) for page in pages for document in page.users.values()]
    companies = {str(one): orjson.loads(text) for page in pages for one, text in page.companies.items()}
    keys = {row["guest_key"]: one for one, row in companies.items()}
    members = {}
    for user in users:
        profile = user["profile"] or {}
        for row in user["members"]:
            is_named = row["search_name"] is not None and row["search_name"] == profile.get("search_name")
            name = profile["full_name"] if is_named else row["search_name"]
            members[row["company_id"], row["user_id"]] = plain(row) | {"guest_name": name}
    return model.State(
        mirror={one["user_id"]: shown(one["mirror"], keys) for one in users if one["mirror"]},
        profiles={one["user_id"]: shown(one["profile"], keys) for one in users if one["profile"]},
        companies={one: plain(row) | {"settings": {}} for one, row in companies.items()},
        members=members,
        sign_ins=expected.sign_ins,
    )


def shown(row: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    return plain(row) | {"guest_of": sorted(keys[key] for key in row["guest_keys"] or ())}


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name.endswith("_at") and value else value
        for name, value in row.items()
        if name not in OUTSIDE
    }
