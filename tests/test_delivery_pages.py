"""What `consumer deliveries` and its `show` print of each fact, from facts made by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumer.cli import delivery as delivery_page
from consumer.cli import listing as list_page
from consumer.lookup.listing import DeliveryPage
from consumer.lookup.one_delivery import DeliveryAction
from consumer.lookup.shown import ShownDelivery
from consumer.lookup.unfollowed import Unfollowed
from consumer.postgres.first_rows import FirstRows
from tests.support.shown import TEAM_ID, USER_ID, audited, listed_delivery, one_delivery

NOW = datetime(2026, 11, 29, 14, 32, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def shown_delivery(**named: Any) -> ShownDelivery:
    facts: dict[str, Any] = {
        "delivery": one_delivery(occurred_at=NOW, received_at=NOW, at=NOW),
        "user": None,
        "actions": FirstRows(),
        "changes": FirstRows(),
        "unfollowed": [],
        "replay": "Nothing: `consumer x` says so.",
        "neighbours": [],
        "body": {"type": "x.y"},
    }
    return ShownDelivery(now=NOW, **{**facts, **named})


def test_the_page_of_a_delivery_has_all_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    delivery = one_delivery(
        occurred_at=NOW - HOUR,
        received_at=NOW - HOUR + timedelta(seconds=2),
        at=NOW - HOUR + timedelta(seconds=5),
        state="retrying",
        attempts=3,
        next_attempt_at=NOW + HOUR,
        error_code="23505",
        error="Twice",
        verified_by="0a1b2c3d",
        team_id=TEAM_ID,
        excluded_at=NOW,
        excluded_by="me",
        excluded_reason="wrong",
    )
    page = shown_delivery(
        delivery=delivery,
        actions=FirstRows([DeliveryAction(USER_ID, NOW, "me@here", "retry", "again")], is_more=True),
        changes=FirstRows([audited(NOW), audited(NOW, 2, (), "sign_in")], is_more=True),
        unfollowed=[
            Unfollowed("role_type", "an edit wins", "a", None),
            Unfollowed("everything", "so it is", None, "x"),
        ],
        neighbours=[listed_delivery(seq=9, received_at=NOW, outcome="stale")],
    )

    delivery_page._print(page, with_body=True)

    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "message id msg_7",
        "number 7",
        "event user.updated",
        "source stack",
        f"user {USER_ID}",
        f"team {TEAM_ID}",
        "verified by 0a1b2c3d",
        "state retrying 23505",
        "attempts 3",
        "error Twice",
        "",
        "What happened",
        "step at (UTC)",
        "occurred 13:32:08.000",
        "received 13:32:10.000 2.0 s later",
        "refused 13:32:13.000 3.0 s later, attempt 3",
        "next attempt 15:32:08.000",
        "excluded 14:32:08.000 by me: wrong",
        "",
        "What people did with it",
        "at (UTC) action by reason",
        "14:32:08.000 retry me@here again",
        "The first 1, and more.",
        "",
        "What it changed",
        "user field before after",
        f"{USER_ID} email old new",
        f"{USER_ID} sign_in - -",
        "The first 2, and more: choose a higher --limit.",
        "",
        "What it says and what did not follow",
        "role_type says a, the profile has none: an edit wins.",
        "everything: so it is.",
        "",
        "If it were replayed",
        "Nothing: `consumer x` says so.",
        "",
        "Around it",
        "received event outcome message",
        "14:32:08.000 user.updated stale msg_7",
        "",
        "Body",
        "{",
        '"type": "x.y"',
        "}",
        "",
    ]


def test_a_plain_delivery_has_four_parts(capsys: pytest.CaptureFixture[str]) -> None:
    delivery_page._print(shown_delivery(delivery=one_delivery(state="dead", at=NOW, error_code="c")), with_body=False)

    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line[:2] in {"Wh", "If", "Ar", "Bo"}] == [
        "What happened",
        "What it changed",
        "If it were replayed",
    ]
    assert lines[lines.index("What it changed") + 1] == "No profile."
    assert any(line.startswith("unusable ") for line in lines)
    assert not any(line.startswith(("error", "next", "excluded")) for line in lines)
    assert lines[-1] == ""


@pytest.mark.parametrize(
    ("count", "before", "back", "remark"),
    [
        (0, None, None, "No delivery matches."),
        (0, None, NOW, "No delivery matches."),
        (
            0,
            5,
            NOW,
            "No delivery among those back to 2026-11-29 14:32:08Z. Older: --before 5. Times are in UTC.",
        ),
        (
            1,
            None,
            None,
            "1 delivery. Nothing older matches. One: `consumer deliveries show NUMBER`. Times are in UTC.",
        ),
        (
            2,
            7,
            None,
            "2 deliveries. Older: --before 7. One: `consumer deliveries show NUMBER`. Times are in UTC.",
        ),
    ],
)
def test_a_list_says_how_many_match_and_how_to_go_on(
    count: int, before: int | None, back: datetime | None, remark: str
) -> None:
    assert list_page._remark(DeliveryPage([listed_delivery()] * count, before, back)) == remark


def test_a_line_of_the_list_has_the_user_or_else_the_team() -> None:
    both = list_page._row(listed_delivery(team_id=TEAM_ID, received_at=NOW, at=NOW + HOUR), NOW)
    failed = listed_delivery(user_id=None, team_id=TEAM_ID, state="retrying", received_at=NOW, error_code="40P01")
    team = list_page._row(failed, NOW)

    assert {name: str(value) for name, value in both.items()} == {
        "received": "14:32:08.000",
        "event": "user.updated",
        "about": str(USER_ID),
        "outcome": "applied",
        "took": "1h",
        "number": "7",
    }
    assert (team["about"], str(team["outcome"])) == (str(TEAM_ID), "retrying 40P01")
    assert list_page.about(None, None) is None


@pytest.mark.parametrize(
    ("state", "outcome", "style"),
    [("dead", None, "red"), ("retrying", None, "yellow"), ("pending", None, "cyan"), ("done", "applied", "green")],
)
def test_a_state_or_outcome_has_its_colour(state: str, outcome: str | None, style: str) -> None:
    assert list_page.outcome(state, outcome, None).style == style
    assert list_page.outcome("done", "stale", None).style == ""
