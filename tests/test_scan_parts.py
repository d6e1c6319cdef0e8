"""Where a scan and a sweep go on, and whether they lost their place: each condition on both sides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.operations import activity, scan
from consumer.operations.activity import Sweep
from consumer.operations.runs import Place, Run
from consumer.operations.scan import ScanDisturbed
from consumer.stack_api.listing import ListedObject, ListPage

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MILLIS = scan.millis(NOW)
A, B, C = (str(UUID(int=n)) for n in (1, 2, 3))


def made_run(**named: Any) -> Run:
    facts: dict[str, Any] = {
        **dict.fromkeys(("users", "teams", "memberships", "permissions", "stored", "unusable", "calls"), 0),
        **dict.fromkeys(("cursor", "cursor_millis", "newest_millis", "listed_at", "finished_at", "abandoned_at")),
        "id": UUID(int=9),
        "kind": "backfill",
        "project_id": "p",
        "stage": "users",
        "restarts": 0,
        "teams_left": 0,
        "begun_at": NOW,
        "now": NOW,
    }
    return Run(**{**facts, **named})


def user(user_id: str, signed_up: int | None, *, is_anonymous: bool | None = None, active: int | None = None) -> Any:
    told = b"" if is_anonymous is None else b',"is_anonymous":true' if is_anonymous else b',"is_anonymous":false'
    return ListedObject(user_id, b'{"id":"%b"%b}' % (user_id.encode(), told), signed_up, active)


def page(*users: ListedObject, cursor: str | None = None) -> ListPage:
    return ListPage(users, cursor)


def test_a_run_is_open_until_it_is_complete_or_given_up() -> None:
    run = made_run(cursor="c", cursor_millis=1, newest_millis=2, listed_at=NOW, restarts=3)

    assert (run.is_open, replace(run, finished_at=NOW).is_open, replace(run, abandoned_at=NOW).is_open) == (
        True,
        False,
        False,
    )
    assert run.place == Place("users", 3, "c", 1, 2, NOW)


def test_a_scan_goes_on_behind_the_last_user_of_a_page() -> None:
    run = made_run(restarts=2, newest_millis=40)
    listed = page(user(A, 50), user(B, 60), cursor=B)

    assert scan._next(run, listed, is_lost=False) == Place("users", 2, B, 60, 60, NOW)
    # The cursor of an old server is the first user of the next page.
    assert scan._next(run, replace(listed, next_cursor=C), is_lost=False) == Place("users", 2, C, None, 60, NOW)
    assert scan._next(run, page(user(A, 30), user(B, None), cursor=B), is_lost=False) == Place(
        "users", 2, B, None, 40, NOW
    )
    assert scan._next(run, page(cursor=C), is_lost=False) == Place("users", 2, C, None, 40, NOW)
    assert scan._next(made_run(), page(cursor=C), is_lost=False) == Place("users", 0, C, None, 0, NOW)
    assert scan._next(run, page(user(A, 50)), is_lost=False) is None


def test_a_lost_scan_begins_anew_five_times_at_most() -> None:
    listed = page(user(A, 50), cursor=A)

    assert scan._next(made_run(restarts=4, newest_millis=60), listed, is_lost=True) == Place(
        "users", 5, newest_millis=60, listed_at=NOW
    )
    assert scan._next(made_run(restarts=0), page(), is_lost=True) == Place("users", 1, newest_millis=0, listed_at=NOW)
    with pytest.raises(ScanDisturbed):
        scan._next(made_run(restarts=5), listed, is_lost=True)


@pytest.mark.parametrize(
    ("signed_up", "newest", "may"),
    [
        (None, 10**15, True),
        (MILLIS - 120_000, None, True),
        (MILLIS - 120_001, None, False),
        (MILLIS, MILLIS - 1, True),
        (MILLIS, MILLIS, False),
    ],
)
def test_a_user_may_follow_a_move_if_it_signed_up_after_all_that_was_listed(
    signed_up: int | None, newest: int | None, *, may: bool
) -> None:
    run = made_run(listed_at=NOW, newest_millis=newest)

    assert scan._may_follow_a_move(run, user(A, signed_up)) is may


class Api:
    """Answers one question about a user, and counts what is asked."""

    def __init__(self, body: bytes | None = None) -> None:
        self.body = body
        self.asked: list[UUID] = []
        self.pauses: list[float] = []

    async def user(self, user_id: UUID) -> bytes | None:
        self.asked.append(user_id)
        return self.body

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def lost(api: Any, listed: ListPage, *, cursor_millis: int | None, cursor: str = A) -> bool:
    run = made_run(cursor=cursor, cursor_millis=cursor_millis, listed_at=NOW)
    return await scan._is_lost(api, run, cursor, listed)


async def test_a_page_without_the_cursors_user_is_lost_where_that_user_comes_first() -> None:
    api = Api()

    assert await lost(api, page(), cursor_millis=5)
    assert await lost(api, page(user(B, 5)), cursor_millis=None)
    assert not await lost(api, page(user(A, 5)), cursor_millis=None)
    assert not await lost(api, page(user(B, 5)), cursor_millis=5)
    # Late enough to have moved: an anonymous user has not.
    assert await lost(api, page(user(A, MILLIS, is_anonymous=False)), cursor_millis=None)
    assert await lost(api, page(user(A, MILLIS)), cursor_millis=None)
    assert not await lost(api, page(user(A, MILLIS, is_anonymous=True)), cursor_millis=None)
    assert api.asked == []


@pytest.mark.parametrize(
    ("body", "is_lost"),
    [
        (None, True),
        (b'{"id":"a","signed_up_at_millis":5}', False),
        (b'{"id":"a","signed_up_at_millis":6}', True),
        (b'{"id":"a","signed_up_at_millis":5,"is_anonymous":true}', True),
    ],
    ids=["gone", "the same", "moved", "perhaps still anonymous"],
)
async def test_a_doubt_about_the_cursors_user_is_asked(body: bytes | None, *, is_lost: bool) -> None:
    api = Api(body)

    assert await lost(api, page(user(B, MILLIS)), cursor_millis=5) is is_lost
    assert api.asked == [UUID(A)]
    assert await lost(api, page(user(B, MILLIS)), cursor_millis=5, cursor="no id") is True
    assert len(api.asked) == 1


def test_only_the_first_call_of_another_scan_waits_for_the_replicas() -> None:
    api: Any = Api()
    for run in (
        made_run(),
        made_run(cursor=A, listed_at=NOW),
        made_run(listed_at=NOW - timedelta(seconds=15)),
    ):
        scan._await_replicas(api, run)

    assert api.pauses == [50.0]


def sweep(**named: Any) -> Sweep:
    facts = dict.fromkeys(("mark_millis", "cursor", "cursor_millis", "newest_millis"))
    return Sweep(**{**facts, "sweep_id": UUID(int=5), "now": NOW, **named})


def following(before: Sweep, listed: ListPage) -> tuple[object, ...]:
    """Return where a poll goes on, and whether that is in the same sweep."""
    found = activity._next(before, listed)
    assert found.now == NOW
    is_same = found.sweep_id == before.sweep_id
    return found.mark_millis, found.cursor, found.cursor_millis, found.newest_millis, is_same


def active(*times: int | None, cursor: str | None = "next") -> ListPage:
    return page(*(user(str(uuid4()), None, active=each) for each in times), cursor=cursor)


LAG, OVERLAP = activity.LAG_MILLIS, activity.OVERLAP_MILLIS


@pytest.mark.parametrize(
    ("before", "listed", "expected"),
    [
        # The first sweep of all has no mark until its end.
        (sweep(), active(90, 80), (None, "next", 80, 90, True)),
        (sweep(), active(cursor=None), (None, None, None, None, False)),
        (sweep(), active(90, 80, cursor=None), (90, None, None, None, False)),
        (sweep(mark_millis=10), active(90, 80), (10, "next", 80, 90, True)),
        (sweep(mark_millis=10), active(90, 80, cursor=None), (90, None, None, None, False)),
        (sweep(mark_millis=95), active(90, 80, cursor=None), (95, None, None, None, False)),
        (sweep(mark_millis=10), active(None, None), (10, None, None, None, False)),
        (sweep(mark_millis=OVERLAP + 80), active(90, 80), (OVERLAP + 80, "next", 80, 90, True)),
        (sweep(mark_millis=OVERLAP + 81), active(90, 80), (OVERLAP + 81, None, None, None, False)),
        # A later page keeps the newest of the first.
        (
            sweep(mark_millis=10, cursor="c", cursor_millis=85, newest_millis=90),
            active(85, 70),
            (10, "next", 70, 90, True),
        ),
        (
            sweep(mark_millis=10, cursor="c", cursor_millis=85, newest_millis=90),
            active(85, 70, cursor=None),
            (90, None, None, None, False),
        ),
        # What lost its place begins again with the old mark.
        (
            sweep(mark_millis=10, cursor="c", cursor_millis=85, newest_millis=90),
            active(),
            (10, None, None, None, False),
        ),
    ],
)
def test_a_sweep_goes_on_until_it_meets_the_one_before(
    before: Sweep, listed: ListPage, expected: tuple[object, ...]
) -> None:
    assert following(before, listed) == expected


RECENT = scan.millis(NOW - timedelta(seconds=60) - scan.CLOCKS_DIFFER)


@pytest.mark.parametrize(
    ("cursor", "cursor_millis", "times", "is_lost"),
    [
        (None, None, [], False),
        ("c", 5, [], True),
        ("c", None, [5], True),
        ("c", RECENT + 1, [RECENT + 1 - LAG], False),
        ("c", RECENT + 1, [RECENT - LAG], True),
        ("c", RECENT, [0], False),
    ],
)
def test_a_sweep_is_lost_if_a_page_begins_too_far_behind(
    cursor: str | None, cursor_millis: int | None, times: list[int], *, is_lost: bool
) -> None:
    assert activity._is_lost(sweep(cursor=cursor, cursor_millis=cursor_millis), times) is is_lost
