"""What the console's pages make of what was read: the way of a delivery, the state of a user, how far a rebuild is."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from consumer.console.dead import DeadGroup, ShownDead
from consumer.console.deliveries import Rows
from consumer.console.delivery import ViewedDelivery, WayStep
from consumer.console.recovery import RebuildStage, RecoveryAction, ShownRecovery, ShownRun
from consumer.console.users import ViewedUser
from consumer.lookup.audit import AuditRow
from consumer.lookup.listing import ListedDelivery
from consumer.lookup.one_delivery import OneDelivery
from consumer.lookup.one_user import Entry, KnownUser, StoredCounts, Timeline
from consumer.postgres.first_rows import FirstRows

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADA = UUID(int=1)
DONE: dict[str, Any] = {
    "seq": 7,
    "source": "stack",
    "message_id": "m",
    "event_type": "user.updated",
    "user_id": ADA,
    "team_id": None,
    "occurred_at": NOW - 3 * HOUR,
    "received_at": NOW - 2 * HOUR,
    "verified_by": None,
    "state": "done",
    "outcome": "applied",
    "at": NOW,
    "attempts": 0,
    "next_attempt_at": None,
    "error_code": None,
    "error": None,
}
CAME = [WayStep("Occurred", NOW - 3 * HOUR), WayStep("Received", NOW - 2 * HOUR)]
EXCLUDED: dict[str, Any] = {"excluded_by": None, "excluded_at": None, "excluded_reason": None}


def viewed(body: dict[str, Any] | None = None, **values: object) -> ViewedDelivery:
    one = OneDelivery(**{**DONE, **EXCLUDED, **values})
    none: FirstRows[Any] = FirstRows.of([], 1)
    return ViewedDelivery(one, None, none, none, (), "", (), body, NOW, {}, {})


@pytest.mark.parametrize(
    ("values", "steps"),
    [
        ({}, [WayStep("Applied", NOW)]),
        ({"outcome": None, "attempts": 2}, [WayStep("Done", NOW, "attempt 2")]),
        ({"state": "pending", "outcome": None, "at": None}, []),
        (
            {"state": "pending", "at": None, "next_attempt_at": NOW + HOUR},
            [WayStep("Next attempt", NOW + HOUR)],
        ),
        (
            {"state": "retrying", "error_code": "23505", "attempts": 3, "next_attempt_at": NOW + HOUR},
            [WayStep("Refused", NOW, "23505, attempt 3", is_bad=True), WayStep("Next attempt", NOW + HOUR)],
        ),
        ({"state": "dead", "error_code": "23505", "attempts": 1}, [WayStep("Refused", NOW, "23505, attempt 1", True)]),
        ({"state": "dead", "error_code": "bad_shape"}, [WayStep("Not usable", NOW, "bad_shape", is_bad=True)]),
        (
            {"outcome": "discarded", "excluded_by": "kim", "excluded_at": NOW + HOUR, "excluded_reason": "why"},
            [WayStep("Discarded", NOW), WayStep("Discarded", NOW + HOUR, "by kim: why", is_bad=True)],
        ),
    ],
    ids=str,
)
def test_the_way_of_a_delivery_has_a_step_for_each_thing_that_happened(
    values: dict[str, Any], steps: list[WayStep]
) -> None:
    assert viewed(**values).steps == [*CAME, *steps]


def test_a_body_is_shown_for_reading() -> None:
    assert viewed({"a": ["é"]}).text == '{\n  "a": [\n    "é"\n  ]\n}'
    assert viewed().text is None


KNOWN: dict[str, Any] = dict.fromkeys(
    (
        *("full_name", "email", "email_verified", "avatar_url", "role_type", "department", "is_restricted"),
        *("company_id", "company_name", "last_active_at", "last_sign_in_at", "last_sign_out_at", "created_at"),
        *("updated_at", "deleted_at", "source_role", "source_department", "source_company_id", "snapshot_at"),
        *("snapshot_seq", "snapshot_source", "snapshot_type", "scanned_at"),
    )
) | {
    "user_id": ADA,
    "is_known": True,
    "has_profile": True,
    "is_anonymous": False,
    "is_erased": False,
    "is_source_company_active": False,
    "sync_version": 1,
    "is_unlisted": False,
    "is_rebuild_queued": False,
}
COUNTS = StoredCounts(3, 0, 0, 0, None)


def user(counts: StoredCounts = COUNTS, entries: Sequence[Entry] = (), **values: object) -> ViewedUser:
    known = KnownUser(**{**KNOWN, **values})
    timeline = Timeline(FirstRows.of(list(entries), 100), None)
    return ViewedUser(known, (), FirstRows.of([], 1), timeline, counts, NOW, {})


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, ("ok", "check", "active")),
        ({"is_restricted": True}, ("warn", "lock", "restricted")),
        ({"has_profile": False, "is_restricted": True}, ("idle", "dash", "without a profile")),
        ({"has_profile": False, "is_anonymous": True}, ("idle", "dash", "anonymous, without a profile")),
        ({"is_anonymous": True}, ("ok", "check", "active")),
        ({"is_known": False, "has_profile": False}, ("run", "clock", "not applied yet")),
        ({"is_known": False, "deleted_at": NOW}, ("bad", "cross", "deleted")),
        ({"is_erased": True, "deleted_at": NOW}, ("bad", "cross", "erased")),
    ],
    ids=str,
)
def test_the_state_of_a_user_is_the_gravest_that_holds(values: dict[str, Any], state: tuple[str, str, str]) -> None:
    assert user(**values).state == state


@pytest.mark.parametrize(
    ("counts", "values", "step"),
    [
        (COUNTS, {}, ("idle", "dash", "never confirmed")),
        (COUNTS, {"snapshot_at": NOW}, ("ok", "check", "confirmed")),
        (COUNTS, {"snapshot_at": NOW, "is_unlisted": True}, ("warn", "warn", "Stack did not list this user")),
        (COUNTS, {"deleted_at": NOW, "is_unlisted": True}, ("ok", "check", "in step")),
        (COUNTS, {"deleted_at": NOW, "is_rebuild_queued": True}, ("run", "again", "waits to be made anew")),
        (StoredCounts(3, 0, 0, 2, None), {"is_rebuild_queued": True}, ("warn", "warn", "2 dead")),
        (StoredCounts(3, 0, 0, 1_200, None), {}, ("warn", "warn", "1,200 dead")),
        (StoredCounts(3, 1, 2, 2, None), {}, ("run", "clock", "3 waiting")),
        (StoredCounts(3, 0, 1_000, 0, None), {}, ("run", "clock", "1,000 waiting")),
    ],
    ids=str,
)
def test_whether_a_user_is_in_step_is_told_by_what_comes_first(
    counts: StoredCounts, values: dict[str, Any], step: tuple[str, str, str]
) -> None:
    assert user(counts, **values).step == step


def entry(at: datetime, seq: int, event_type: str | None = None, outcome: str = "applied") -> Entry:
    one = ListedDelivery(**{**DONE, "seq": seq, "event_type": event_type, "outcome": outcome}) if event_type else None
    change = AuditRow(seq, at, ADA, None, "updated", (), None, None, "stack", "m", seq, None, None)
    return Entry(at, seq, one, [change])


def test_a_day_of_utc_tells_plain_sign_ins_apart() -> None:
    midnight = datetime(2026, 11, 30, tzinfo=UTC)
    last = [
        entry(midnight + HOUR, 9, "user.signed_in"),
        entry(midnight + HOUR, 8, "user.updated"),
        entry(midnight, 7, "user.signed_out"),
    ]
    before = [
        entry(midnight - timedelta(microseconds=1), 6, "user.signed_in", "stale"),
        entry(midnight - HOUR, 5),
    ]

    days = user(entries=[*last, *before]).days

    assert [(each.day, [e.seq for e in each.entries], [e.seq for e in each.sign_ins]) for each in days] == [
        (date(2026, 11, 30), [8], [9, 7]),
        (date(2026, 11, 29), [6, 5], []),
    ]


RUN: dict[str, Any] = {
    **dict.fromkeys(("restarts", "users", "teams", "memberships", "permissions", "stored", "unusable", "calls"), 0),
    "id": ADA,
    "kind": "backfill",
    "stage": "teams",
    "begun_at": NOW - 3 * HOUR,
    "finished_at": None,
    "abandoned_at": None,
    "repaired": 1_200,
}


@pytest.mark.parametrize(
    ("values", "state", "hours"),
    [
        ({}, ("run", "again", "lists teams"), 3),
        ({"unusable": 2}, ("run", "again", "lists teams"), 3),
        ({"abandoned_at": NOW - HOUR}, ("idle", "dash", "given up"), 2),
        ({"finished_at": NOW - 2 * HOUR}, ("ok", "check", "done"), 1),
        ({"finished_at": NOW, "kind": "reconcile"}, ("ok", "check", "repaired 1,200"), 3),
        ({"finished_at": NOW, "kind": "reconcile", "unusable": 1_300}, ("warn", "warn", "done, 1,300 unusable"), 3),
    ],
    ids=str,
)
def test_a_run_says_how_far_it_is_and_how_long_it_took(
    values: dict[str, Any], state: tuple[str, str, str], hours: int
) -> None:
    run = ShownRun(**{**RUN, **values})

    assert (run.state, run.lasted(NOW)) == (state, hours * HOUR)


def did(action: str, affected: int, ago: timedelta = HOUR, *, is_order: bool = True) -> RecoveryAction:
    return RecoveryAction(ADA, NOW - ago, "kim", action, {}, None, affected, None, is_order)


def recovery(waiting: dict[int, int], *actions: RecoveryAction) -> ShownRecovery:
    stages = [RebuildStage(stage, n, 0, None) for stage, n in waiting.items()]
    none: FirstRows[Any] = FirstRows.of([], 1)
    return ShownRecovery(stages, none, none, none, actions, NOW)


@pytest.mark.parametrize(
    ("waiting", "actions", "found"),
    [
        ({}, [did("rebuild", 9)], None),
        ({1: 0}, [did("rebuild", 9)], None),
        ({1: 3, 2: 2, 3: 4}, [did("rebuild", 10)], (9, False, 5, HOUR)),
        ({1: 3, 2: 2, 3: 4}, [did("rebuild", 5)], (9, False, 0, HOUR)),
        ({1: 3, 2: 2, 3: 4}, [did("rebuild", 4)], (9, False, 0, timedelta(0))),
        (
            {2: 2},
            [did("retry", 99), did("rebuild", 0), did("rebuild", 7, 2 * HOUR), did("rebuild", 8)],
            (2, False, 5, 2 * HOUR),
        ),
        ({2: 2}, [did("retry", 99)], (2, False, 0, timedelta(0))),
        ({1: 9_999}, [did("rebuild", 10_000)], (9_999, False, 1, HOUR)),
        ({1: 10_000}, [did("rebuild", 10_001)], (10_000, True, 0, timedelta(0))),
        ({2: 79_999, 3: 1}, [did("rebuild", 80_000)], (80_000, False, 1, HOUR)),
        ({2: 80_000}, [did("rebuild", 80_001)], (80_000, True, 0, timedelta(0))),
        ({2: 1, 3: 10_000}, [did("rebuild", 80_001)], (10_001, True, 0, timedelta(0))),
    ],
)
def test_how_far_a_rebuild_is_is_known_where_it_alone_filled_a_queue_that_is_counted(
    waiting: dict[int, int], actions: list[RecoveryAction], found: tuple[int, bool, int, timedelta] | None
) -> None:
    one = recovery(waiting, *actions).rebuilding

    assert (one and (one.waiting, one.is_more, one.done, one.time)) == found


def test_the_rate_of_a_rebuild_tells_how_long_the_rest_takes() -> None:
    going = recovery({2: 1_800}, did("rebuild", 5_400)).rebuilding
    begun = recovery({2: 1_800}, did("rebuild", 1_800)).rebuilding
    at_once = recovery({2: 1_800}, did("rebuild", 5_400, timedelta(0))).rebuilding

    assert going
    assert (going.per_second, going.left) == (1.0, HOUR / 2)
    for one in (begun, at_once):
        assert one
        assert (one.per_second, one.left) == (None, None)


def test_orders_stand_in_a_list_of_their_own() -> None:
    other = did("prune", 1, is_order=False)

    assert recovery({}, did("rebuild", 1), other).earlier == [other]


def group(key: str, deliveries: int) -> DeadGroup:
    return DeadGroup(key, deliveries, 9, NOW, NOW, 1, (), (), ())


def test_the_dead_that_are_not_shown_are_those_of_smaller_groups() -> None:
    none = Rows([], {}, {})
    shown = ShownDead([group("a", 4), group("b", 2)], none, None, NOW)

    assert (shown.total, shown.not_shown) == (9, 3)
    assert (ShownDead((), none, None, NOW).total, ShownDead((), none, None, NOW).not_shown) == (0, 0)


@pytest.mark.parametrize(("key", "can"), [("23505", True), ("unreadable", False), ("user.*", False), ("*.x", True)])
def test_a_group_is_chosen_by_its_key_where_that_names_it_alone(key: str, can: bool) -> None:
    assert group(key, 1).can_be_chosen is can
