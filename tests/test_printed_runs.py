"""What commands over Stack's and Svix's APIs print of their runs, from runs made by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import click
import pytest

from consumer.cli import jobs, reconcile, recover, run_progress
from consumer.cli.recover import LOST_NAMED_MAX, RecoveryCounts
from consumer.operations.reconcile import DriftCount, Excess, Reconciled, ReconcileOptions
from consumer.operations.recover import RecoveredPage
from consumer.operations.runs import BegunRun, Run
from consumer.operations.suspects import Suspect
from consumer.outbox.storage import Delivery
from consumer.stack_api.svix_answers import ExpiredMessage
from tests.support.printed import Printed

NOW = datetime(2026, 11, 29, 14, 32, 8, tzinfo=UTC)
ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)


def made_run(**named: Any) -> Run:
    counts = ("users", "teams", "memberships", "permissions", "stored", "unusable", "calls")
    facts: dict[str, Any] = {
        **{name: 1_000 * (place + 1) for place, name in enumerate(counts)},
        **dict.fromkeys(("cursor", "cursor_millis", "newest_millis", "listed_at", "abandoned_at")),
        "id": ONE,
        "kind": "reconcile",
        "project_id": "p",
        "stage": "users",
        "restarts": 0,
        "teams_left": 0,
        "begun_at": NOW - timedelta(hours=1),
        "finished_at": NOW - timedelta(minutes=20),
        "now": NOW,
    }
    return Run(**{**facts, **named})


def delivery(message_id: str, event_type: str | None, error_code: str | None = None) -> Delivery:
    return Delivery("stack", message_id, event_type, None, None, NOW, None, b"", error_code=error_code)


def page(new: list[Delivery], known: list[Delivery], lost: int = 0, first: int = 0) -> RecoveredPage:
    expired = [ExpiredMessage(f"lost_{first + n}", NOW) for n in range(lost)]
    return RecoveredPage(new, known, expired, NOW, NOW)


def counted(*pages: RecoveredPage) -> RecoveryCounts:
    counts = RecoveryCounts(NOW)
    for each in pages:
        counts.add(each)
    return counts


def test_a_recovery_counts_by_type_and_names_the_first_twenty_lost() -> None:
    counts = counted(
        page([delivery("a", "user.created"), delivery("b", None, "bad_shape")], [delivery("c", "team.deleted")], 15),
        page([delivery("d", "user.created")], [delivery("e", "user.created")], 15, first=15),
    )

    assert counts.document == {
        "since": NOW,
        "new": 3,
        "known": 2,
        "unusable": 1,
        "lost": 30,
        "lost_ids": [f"lost_{n}" for n in range(LOST_NAMED_MAX)],
        "types": [
            {"type": None, "new": 1, "known": 0},
            {"type": "team.deleted", "new": 0, "known": 1},
            {"type": "user.created", "new": 2, "known": 1},
        ],
    }


@pytest.mark.parametrize(
    ("counts", "is_dry_run", "lines"),
    [
        (counted(), False, ["Nothing is new: no delivery was stored."]),
        (counted(), True, ["Nothing is new: no delivery would be stored."]),
        (
            counted(page([delivery("a", None, "bad"), delivery("b", "x.y")], [delivery("c", "x.y")])),
            False,
            [
                "type new known",
                "none 1 0",
                "x.y 1 1",
                "2 deliveries stored, which workers apply.",
                "1 of them can't be used and are dead: `consumer dead list`.",
            ],
        ),
        (
            counted(page([delivery("a", "x.y", "bad")], [], 2)),
            True,
            [
                "type new known",
                "x.y 1 0",
                "1 delivery would be stored.",
                "Svix keeps the body of 2 deliveries no more: lost_0, lost_1. `consumer backfill` brings in what is "
                "there now.",
            ],
        ),
        (
            counted(page([], [], LOST_NAMED_MAX + 1)),
            False,
            [
                "Nothing is new: no delivery was stored.",
                f"Svix keeps the body of 21 deliveries no more: {', '.join(f'lost_{n}' for n in range(20))}, …. "
                "`consumer backfill` brings in what is there now.",
            ],
        ),
    ],
    ids=["nothing", "nothing dry", "new", "dry", "many lost"],
)
def test_a_recovery_says_what_was_stored_and_what_is_lost(
    printed: Printed, counts: RecoveryCounts, *, is_dry_run: bool, lines: list[str]
) -> None:
    recover._show(counts, None, is_dry_run=is_dry_run)

    assert printed() == lines


def test_each_followed_delivery_is_a_line_the_oldest_first(capsys: pytest.CaptureFixture[str]) -> None:
    recover._show_each(page([delivery("b", None, "bad_shape"), delivery("a", "x.y\x1b")], [delivery("c", "x.y")]))

    assert capsys.readouterr().out.splitlines() == [
        "2026-11-29 14:32:08Z  x.y\\x1b  a",
        "2026-11-29 14:32:08Z  no type  b  bad_shape",
    ]


def test_a_run_is_shown_with_its_counts_and_how_long_its_scan_took(printed: Printed) -> None:
    run_progress.show(made_run())
    whole = printed()
    run_progress.show(made_run(stored=0, unusable=0, finished_at=None, calls=1))
    running = printed()
    run_progress.show(made_run(stored=1, unusable=1))

    facts = ["users 1,000", "teams 2,000", "memberships 3,000", "permissions 4,000"]
    assert whole == [
        *facts,
        "calls 7,000",
        "scan took 40m",
        "5,000 deliveries stored, which workers apply; the rest brings nothing new.",
        "6,000 of them can't be used and are dead: `consumer dead list`.",
    ]
    assert running == [*facts, "calls 1", "scan took 1h", "Nothing is new: no delivery was stored."]
    assert printed()[-2].startswith("1 delivery stored")


@pytest.mark.parametrize("is_complete", [False, True])
def test_the_document_of_a_run_has_all_counts(*, is_complete: bool) -> None:
    begun = BegunRun(made_run(finished_at=NOW if is_complete else None), is_resumed=not is_complete)

    assert run_progress.document(begun) == {
        "run": ONE,
        "is_complete": is_complete,
        "is_resumed": not is_complete,
        "users": 1_000,
        "teams": 2_000,
        "memberships": 3_000,
        "permissions": 4_000,
        "stored": 5_000,
        "unusable": 6_000,
        "calls": 7_000,
    }


def test_a_run_that_goes_on_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    run_progress.say_resumed(made_run(finished_at=None, stage="members", kind="backfill"))
    run_progress.say_resumed(made_run())

    said = capsys.readouterr()
    assert (said.out, said.err.splitlines()) == (
        "",
        [
            "Going on with the run of 2026-11-29 13:32Z at its members; `consumer backfill --new` begins another.",
            "Going on with the run of 2026-11-29 13:32Z at its suspects; `consumer reconcile --new` begins another.",
        ],
    )


def test_a_run_that_another_process_gave_up_is_refused() -> None:
    run_progress.refuse_abandoned(made_run())
    with pytest.raises(click.ClickException, match=r"^Another process gave this run up with --new"):
        run_progress.refuse_abandoned(made_run(abandoned_at=NOW))


def drift(*counts: tuple[str, int, int], **named: Any) -> Reconciled:
    found = [DriftCount(kind, repaired + left, repaired, left) for kind, repaired, left in counts]
    return Reconciled(named.pop("run", made_run()), found, named.pop("excess", ()), named.pop("due_at", None), **named)


CURE = "`consumer reconcile --fix` deletes here what is left. docs/BACKFILL.md says how to see who it is."


def test_a_reconciliation_lists_each_kind_in_the_order_of_the_table(printed: Printed) -> None:
    reconcile._show(drift(("undeleted_team", 0, 1_000), ("missing_user", 2_000, 0)), ReconcileOptions())
    lines = printed()[-4:]
    reconcile._show(drift(("undeleted_team", 0, 1)), ReconcileOptions(is_fixing=True))
    fixing = printed()[-1]
    reconcile._show(drift(("listed_user", 0, 1), ("missing_user", 1, 0)), ReconcileOptions())
    listed = printed()[-1]
    reconcile._show(drift(), ReconcileOptions())

    assert lines == [
        "drift found repaired left",
        "users unknown here 2,000 2,000 0",
        "teams that Stack no longer has 1,000 0 1,000",
        CURE,
    ]
    assert fixing == "teams that Stack no longer has 1 0 1"
    assert listed == "users deleted here by an event, and listed by Stack 1 0 1"
    assert printed()[-1] == "Nothing differs."


GONE = Suspect("extra_permission", TWO, ONE, "$x", NOW, NOW)


def test_a_reconciliation_names_some_of_what_is_gone_or_refuses_to_delete(printed: Printed) -> None:
    excess = [Excess("undeleted_user", 1_200, 5_000, 1_100)]
    reconcile._show(drift(("extra_permission", 0, 1), gone=[GONE], excess=excess), ReconcileOptions())

    assert printed()[-4:] == [
        "kind user team permission",
        f"permissions that Stack no longer has {ONE} {TWO} $x",
        "These are the first 1 of what Stack no longer has.",
        "1,200 of 5,000 users that Stack no longer has: more than 1,100 are never deleted without --force. Another "
        "project, a wrong key or an empty list is the usual cause.",
    ]


def test_the_document_of_a_reconciliation_has_drift_refusals_and_what_is_gone() -> None:
    found = drift(
        ("extra_permission", 1, 2),
        gone=[GONE, Suspect("undeleted_user", None, THREE, None, NOW, NOW)],
        excess=[Excess("undeleted_user", 12, 50, 10)],
        due_at=NOW,
        run=made_run(id=TWO),
    )

    document = reconcile._document(BegunRun(made_run(), is_resumed=True), found)

    assert (document["run"], document["is_resumed"], document["due_at"]) == (TWO, True, NOW)
    assert document["drift"] == {"extra_permission": {"found": 3, "repaired": 1, "left": 2}}
    assert document["refused"] == [{"kind": "undeleted_user", "suspected": 12, "living": 50, "limit": 10}]
    assert document["gone"] == [
        {"kind": "extra_permission", "user": ONE, "team": TWO, "permission": "$x"},
        {"kind": "undeleted_user", "user": THREE},
    ]


@pytest.mark.parametrize(
    ("counts", "unusable", "is_drifting"),
    [
        ([], 0, False),
        ([], 1, True),
        ([("missing_user", 3, 0)], 0, False),
        ([("undeleted_user", 0, 1)], 0, True),
        ([("listed_user", 0, 1), ("listed_team", 0, 1)], 0, False),
        ([("listed_user", 0, 1), ("extra_membership", 0, 1)], 0, True),
    ],
)
def test_a_difference_stays_that_a_repair_or_a_deletion_would_end(
    counts: list[tuple[str, int, int]], unusable: int, *, is_drifting: bool
) -> None:
    assert drift(*counts, run=made_run(unusable=unusable)).is_drifting is is_drifting


def test_the_job_of_a_reconciliation_counts_and_says_what_stays() -> None:
    both = [("undeleted_user", 1, 2), ("missing_user", 4, 0)]
    counts = {"differences": 7, "repaired": 5, "unusable": 3}
    run = made_run(unusable=3)
    due = jobs._reconciled(drift(*both, run=run, due_at=NOW + timedelta(minutes=5)))

    assert due == (counts, "Stack is asked a second time about what it lacked.", timedelta(minutes=5), None)
    remark = "Differences stay: `consumer reconcile` counts them, and --fix deletes here what Stack lacks."
    assert jobs._reconciled(drift(*both, run=run)) == (counts, remark, None, None)
    assert jobs._reconciled(drift(("missing_user", 4, 0), run=made_run(unusable=0))).remark is None
