"""users/mirror of several users at once: the rows in the order of their keys, and whom each of its lists names."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.support.databases import rows
from tests.support.queries import ran, turned_over, written_down, written_keys
from tests.test_anew_rows import company, fill, mirror
from tests.test_stored import JANUARY, store

IDS = [UUID(int=0xA0 + n) for n in range(9)]
MIXED = [IDS[n] for n in (4, 8, 0, 6, 2, 7, 1, 5, 3)]
CREWS = [UUID(int=0xC0 + n) for n in range(9)]


def told(url: str, user_id: UUID, second: int = 5, event_type: str = "user.updated", **values: Any) -> int:
    data = {"id": str(user_id), "primary_email": None, **values.pop("data", {})}
    at = JANUARY + timedelta(seconds=second)
    return store(url, event_type, user_id=user_id, at=at, body=json.dumps({"data": data}), outcome=None, **values)


async def folded(url: str, seqs: list[int]) -> dict[str, list[Any]]:
    names = ("written", "changed", "deleted", "lifted", "placed", "selecting", "selected")
    [found] = await ran(url, "users/mirror", seqs=seqs)
    return dict(zip(names, found, strict=True))


async def test_users_are_written_in_the_order_of_their_ids(emptied: str) -> None:
    fill(emptied, *(mirror(one) for one in MIXED[:4]))
    seqs = [told(emptied, one) for one in MIXED]
    turned_over(emptied)

    with written_down(emptied, "identity.stack_user_profiles", "NEW.stack_user_id"):
        found = await folded(emptied, seqs)
        order = written_keys(emptied)

    assert list(dict.fromkeys(order)) == [str(one) for one in IDS]
    assert found["written"] == found["changed"] == IDS


async def test_each_selected_team_stands_beside_its_delivery_in_the_order_of_the_deliveries(emptied: str) -> None:
    seqs = [
        told(emptied, one, data={"selected_team": {"id": str(team)}}) for one, team in zip(MIXED, CREWS, strict=True)
    ]
    other = told(emptied, IDS[0], 1, "user.signed_in", source="app", data={"selected_team": {"id": str(CREWS[0])}})
    none = told(emptied, IDS[0], 2, data={"selected_team": None})
    turned_over(emptied)

    found = await folded(emptied, [*seqs[::-1], other, none])

    assert (found["selecting"], found["selected"]) == (seqs, CREWS)


async def test_each_list_names_its_users(emptied: str) -> None:
    new, same, later, gone, lifted, named, homed, old, erased = IDS
    fill(emptied, company(CREWS[0]))
    fill(
        emptied,
        mirror(homed, company_id=f"'{CREWS[0]}'"),
        mirror(lifted, missing_at=f"'{JANUARY}'", deleted_at=f"'{JANUARY}'"),
    )
    before = [told(emptied, one, data={"display_name": "A"}) for one in (same, later, old)]
    await ran(emptied, "users/mirror", seqs=before)
    seqs = [
        told(emptied, new, data={"display_name": "A"}),
        told(emptied, same, 6, data={"display_name": "A"}),
        told(emptied, later, 4, data={"display_name": "B", "last_active_at_millis": 2 * 10**12}),
        told(emptied, gone, event_type="user.deleted"),
        told(emptied, lifted),
        told(emptied, named, data={"server_metadata": {"company_id": str(CREWS[1])}}),
        told(emptied, homed, data={"display_name": "A"}),
        told(emptied, old, 4, data={"display_name": "B"}),
        told(emptied, erased, event_type="user.erased", source="operator"),
    ]

    found = await folded(emptied, seqs)

    assert found["written"] == [new, same, later, gone, lifted, named, homed, erased]
    assert found["changed"] == [new, gone, lifted, named, homed, erased]
    assert (found["deleted"], found["lifted"], found["placed"]) == ([gone, erased], [lifted], [named, homed])
    assert (found["selecting"], found["selected"]) == ([], [])
    assert await folded(emptied, [seqs[7]]) == {name: [] for name in found}
    left = rows(emptied, "SELECT stack_user_id FROM identity.stack_user_profiles WHERE is_erased")
    assert left == [{"stack_user_id": erased}]
