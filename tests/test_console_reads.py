"""What the pages of lists ask for: how many, from where on, and what they count."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from consumer.console import companies, dead, deliveries, recovery
from consumer.console.dead import DeadGroup
from consumer.console.deliveries import Rows
from consumer.console.filters import AddressFilter
from consumer.lookup.listing import ListFilter
from consumer.postgres.connections import Connection
from consumer.postgres.first_rows import FirstRows

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
CONN = cast("Connection", None)
ADA, BOB, TEAM = (UUID(int=n) for n in (1, 2, 77))
DEAD = AddressFilter({"state": "dead"})
PAGE: Any = SimpleNamespace(deliveries=["one"], before=7, looked_back_to=NOW)


class Asked:
    """Answers each question as a test says, and remembers what it was asked with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.monkeypatch = monkeypatch

    def answers(self, module: object, name: str, answer: Callable[..., Any] | object) -> None:
        async def answered(_: object, *values: Any, **named: Any) -> Any:
            kept = tuple(each for each in values if not callable(each))
            self.asked.append((name, *kept, named))
            return answer(*kept, **named) if callable(answer) else answer

        self.monkeypatch.setattr(module, name, answered)

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [each[1:] for each in self.asked if each[0] == name]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked(monkeypatch)
    listing = SimpleNamespace()
    made.monkeypatch.setattr(listing, "page", None, raising=False)
    made.answers(listing, "page", PAGE)
    monkeypatch.setattr(listing, "newest", None, raising=False)
    made.answers(listing, "newest", 99)
    session: Any = SimpleNamespace(now=None)
    made.answers(session, "now", NOW)
    for module in (companies, dead, deliveries, recovery):
        monkeypatch.setattr(module, "session", session)
        monkeypatch.setattr(module, "listing", listing, raising=False)
        made.answers(module, "labelled", lambda found: Rows(found, {}, {})) if hasattr(module, "labelled") else None
    return made


def group(key: str, total: int, names: int) -> DeadGroup:
    listed = [f"{key}{n}" for n in range(names)]
    return DeadGroup(key, 2, total, NOW, NOW, 5, (), listed, listed[::-1])


@pytest.mark.parametrize(("total", "is_counted"), [(10_000, True), (10_001, False)])
@pytest.mark.parametrize("by_type", [False, True])
async def test_groups_name_three_of_each_and_count_the_users_of_so_many(
    asked: Asked, total: int, *, is_counted: bool, by_type: bool
) -> None:
    found: dict[str, list[Any]] = {
        "dead/groups": [group("a", total, 4), group("b", total, 3)],
        "dead/users": [("a", 6)],
    }
    asked.answers(dead, "rows", lambda name, _: found[name])

    shown = cast("Any", await dead._grouped(CONN, DEAD, by_type=by_type))

    assert [(each.reasons, each.others) for each in shown.groups] == [
        (["a0", "a1", "a2"], ["a3", "a2", "a1"]),
        (["b0", "b1", "b2"], ["b2", "b1", "b0"]),
    ]
    assert [cast("FirstRows[str]", each.reasons).is_more for each in shown.groups] == [True, False]
    assert [cast("FirstRows[str]", each.others).is_more for each in shown.groups] == [True, False]
    assert [each.users for each in shown.groups] == ([6, 0] if is_counted else [None, None])
    users: tuple[Any, ...] = ("dead/users", {"by_type": by_type, "look_max": 10_000}, {})
    groups = {"by_type": by_type, "look_max": 50_000, "size": 50, "named": 4}
    assert asked.of("rows") == [("dead/groups", groups, {}), *([users] if is_counted else [])]
    assert asked.of("page") == [(ListFilter(states=["dead"]), {"size": 6})]
    assert (shown.rows.deliveries, shown.before, shown.now) == (["one"], 7, NOW)


async def test_nothing_dead_is_counted_no_further(asked: Asked) -> None:
    asked.answers(dead, "rows", [])

    shown = cast("Any", await dead._grouped(CONN, DEAD, by_type=False))

    assert (shown.groups, len(asked.of("rows")), shown.total) == ([], 1, 0)


async def test_each_dead_one_and_each_delivery_is_listed_by_fifty_from_a_number_on(asked: Asked) -> None:
    each = cast("Any", await dead._each(CONN, DEAD, 33))
    listed = cast("Any", await deliveries._read(CONN, AddressFilter({}), 44))

    assert asked.of("page") == [
        (ListFilter(states=["dead"]), {"size": 50, "before": 33}),
        (ListFilter(), {"size": 50, "before": 44}),
    ]
    assert (each.groups, each.rows.deliveries, each.before, each.now) == ((), ["one"], 7, NOW)
    assert (listed.rows.deliveries, listed.before, listed.looked_back_to) == (["one"], 7, NOW)
    assert (listed.newest, listed.now) == (99, NOW)


@pytest.mark.parametrize("is_more", [False, True])
async def test_a_company_shows_fifty_members_and_ten_deliveries_and_where_both_go_on(
    asked: Asked, *, is_more: bool
) -> None:
    one_company: Any = SimpleNamespace(members=None, find=None)
    members: Any = FirstRows([SimpleNamespace(user_id=ADA), SimpleNamespace(user_id=BOB)], is_more=is_more)
    asked.answers(one_company, "members", members)
    asked.answers(one_company, "find", "company")
    asked.monkeypatch.setattr(companies, "one_company", one_company)
    asked.monkeypatch.setattr(PAGE, "before", 7 if is_more else None)

    shown = cast("Any", await companies._read(CONN, TEAM, ADA))

    assert asked.of("members") == [(TEAM, {"size": 50, "after": ADA})]
    assert asked.of("find") == [(TEAM, {})]
    assert asked.of("page") == [(ListFilter(team_id=TEAM), {"size": 10})]
    assert (shown.company_id, shown.company, shown.members, shown.now) == (TEAM, "company", members, NOW)
    assert (shown.after, shown.has_older) == ((BOB, True) if is_more else (None, False))


async def test_recovery_counts_each_stage_and_lists_twenty_of_each(asked: Asked) -> None:
    asked.answers(recovery, "rows", lambda name, _: [name])
    asked.answers(recovery, "first_rows", lambda name, _, **__: [name])

    shown = cast("Any", await recovery._read(CONN, ADA))

    assert asked.of("rows") == [
        ("recovery/rebuild", {"stages": [1, 2, 3], "look_max": [10_000, 80_000, 10_000]}, {}),
        ("recovery/actions", {"size": 20}, {}),
    ]
    assert asked.of("first_rows") == [
        ("recovery/rehome", {}, {"size": 20}),
        ("recovery/orders", {"before": ADA}, {"size": 20}),
        ("recovery/runs", {"id": None}, {"size": 20}),
    ]
    found = (shown.stages, shown.homes, shown.orders, shown.runs, shown.actions)
    assert found == tuple([f"recovery/{name}"] for name in ("rebuild", "rehome", "orders", "runs", "actions"))
    assert shown.now == NOW
