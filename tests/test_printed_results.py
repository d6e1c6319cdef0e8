"""What commands that change or compare rows print of their results, from results made by hand."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest

from consumer.cli import erase, matches, prune, rebuild, replay
from consumer.cli.deliveries import _show_discarded
from consumer.cli.rebuild import Rebuilt, summary
from consumer.operations import erase as operation
from consumer.operations.erase import Mention, Report
from consumer.operations.rebuild import Drift
from consumer.operations.replay import Replayed
from consumer.operations.stored_bodies import StoredBody
from consumer.outbox.deliveries import DeliveryCount
from consumer.outbox.rebuild_queue import Stage
from consumer.settings.settings import Settings
from consumer.worker.rebuild import RebuiltPage
from tests.support.printed import Printed

NOW = datetime(2026, 11, 29, 14, 32, 8, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)


def rebuilt_page(stage: Stage, done: int, **differing: int) -> RebuiltPage:
    return RebuiltPage(stage, done, Counter(differing))


def test_a_rebuild_counts_users_and_companies_of_both_stages_and_what_differs() -> None:
    rebuilt = Rebuilt()
    for page in (
        rebuilt_page(Stage.COMPANY, 2, companies=1),
        rebuilt_page(Stage.USER, 30, profiles=4, companies=1),
        rebuilt_page(Stage.NAMED_BY_USERS, 5),
    ):
        rebuilt.add(page)

    assert (rebuilt.users, rebuilt.companies, rebuilt.done) == (30, 7, 37)
    assert rebuilt.differing == {"companies": 2, "profiles": 4}


@pytest.mark.parametrize(
    ("queued", "rebuilt", "sentence"),
    [
        (0, Rebuilt(), "No delivery and no row is about anybody: nothing was made anew."),
        (1, Rebuilt(users=1), "1 user and 0 companies made anew here; workers may have taken others."),
        (1, Rebuilt(companies=1), "0 users and 1 company made anew here; workers may have taken others."),
        (1, Rebuilt(users=1_000, companies=2_000), "1,000 users and 2,000 companies made anew here; workers may"),
        (1, Rebuilt(postponed=1), "0 users and 0 companies made anew here; workers may have taken others."),
        (1, Rebuilt(), "Workers made all of it anew; the audit has a row `rebuilt` for each profile that differed."),
    ],
)
def test_a_rebuild_is_one_sentence(queued: int, rebuilt: Rebuilt, sentence: str) -> None:
    assert summary(queued, rebuilt).startswith(sentence)


def test_the_rows_that_differed_are_listed_by_kind(printed: Printed) -> None:
    rebuild._show_rebuilt(1, Rebuilt(users=1, differing=Counter({"profiles": 1_200, "mirror": 3})))
    differing = printed()
    rebuild._show_rebuilt(1, Rebuilt(users=1))

    assert differing[1:] == ["rows differ", "mirror 3", "profiles 1,200"]
    assert len(printed()) == 1


def test_a_comparison_names_the_first_that_differs(printed: Printed) -> None:
    found = Drift()
    found.add(Stage.COMPANY, [ONE, TWO], {})
    rebuild._show_drift(found)
    sound = printed()
    found.add(Stage.USER, [ONE, TWO], {TWO: ["mirror", "profiles"], ONE: ["profiles"]})
    found.add(Stage.NAMED_BY_USERS, [TWO], {TWO: ["companies"]})
    rebuild._show_drift(found)

    assert sound == ["0 users and 2 companies compared: a rebuild would change nothing."]
    assert (found.users, found.companies, found.first) == (2, 2, (ONE, ["profiles"]))
    assert printed() == [
        "2 users and 2 companies compared. A rebuild would change:",
        "rows differ",
        "companies 1",
        "mirror 1",
        "profiles 2",
        f"The first: {ONE} (profiles).",
    ]


def test_a_comparison_names_all_kinds_of_the_first(printed: Printed) -> None:
    rebuild._show_drift(Drift(1, 0, Counter(mirror=1), (ONE, ["mirror", "profiles"])))

    assert printed()[-1] == f"The first: {ONE} (mirror, profiles)."


@pytest.mark.parametrize(
    ("replayed", "lines"),
    [
        (Replayed(queued=1, unusable=0), ["1 delivery put back to pending."]),
        (Replayed(queued=0, unusable=1), ["1 delivery can't be used by this release either and stays dead."]),
        (
            Replayed(queued=5, unusable=2, rebuilt=3),
            [
                "2 deliveries put back to pending.",
                "3 deliveries applied before: their users and companies are queued to be rebuilt.",
                "2 deliveries can't be used by this release either and stay dead.",
            ],
        ),
        (
            Replayed(queued=3, unusable=0, rebuilt=3),
            ["3 deliveries applied before: their users and companies are queued to be rebuilt."],
        ),
        (Replayed(queued=0, unusable=0), []),
    ],
)
def test_a_replay_says_what_was_put_back_rebuilt_and_unusable(
    printed: Printed, replayed: Replayed, lines: list[str]
) -> None:
    replay.show_replayed(replayed)

    assert printed() == lines


def test_a_dry_run_lists_the_matches_and_the_asked_states_without_any(printed: Printed) -> None:
    counts = [DeliveryCount("done", "user.updated", "stale", 1_200), DeliveryCount("dead", None, None, 1)]

    matches.show(counts, ("done", "dead", "retrying"), is_json=False)

    assert printed() == [
        "type state outcome deliveries",
        "user.updated done stale 1,200",
        "- dead - 1",
        "- retrying - 0",
    ]
    assert matches.total(counts) == 1_201
    matches.show([*counts, counts[0]], is_json=True)
    assert printed()[:5] == ["{", '"matches": {', '"done": 2400,', '"dead": 1', "},"]


def test_a_discard_names_the_first_twenty_users_to_refresh(printed: Printed) -> None:
    def shown(count: int) -> list[str]:
        _show_discarded({"discarded": 1, "to_refresh": [UUID(int=n) for n in range(count)]})
        return printed()

    assert shown(0) == ["1 delivery excluded."]
    one, twenty, more = shown(1), shown(20), shown(1_021)
    assert one[1].endswith("`consumer refresh` brings a user in, `consumer backfill` everybody. 1 user is concerned:")
    assert one[2:] == ["user", str(UUID(int=0))]
    assert shown(2)[1].endswith(" 2 users are concerned:")
    assert twenty[1].endswith(" 20 users are concerned:")
    assert (len(twenty), twenty[-1]) == (23, str(UUID(int=19)))
    assert more[1].endswith(" 1,021 users are concerned:")
    assert more[-2:] == [str(UUID(int=19)), "and 1,001 more: --json has all of them."]


@pytest.mark.parametrize("is_dry_run", [False, True])
def test_an_erasure_lists_what_changed_and_what_is_to_judge(printed: Printed, *, is_dry_run: bool) -> None:
    report = Report(
        unreadable=[StoredBody(7, "stack", "msg_7\x1b", b"{ [bold]" + b"x" * 300)],
        mentions=[Mention("consumer.outbox", str(n), "body") for n in range(21)],
        mention_count=1_020,
        shared_emails=2,
    )

    erase._show(Counter({"profiles": 1_000, "audit": 2, "none": 0}), report, is_dry_run=is_dry_run)

    verb, to_be = ("would change", "to be ") if is_dry_run else ("changed", "")
    lines = printed()
    assert lines[:6] == [
        f"where {verb}",
        "audit 2",
        "profiles 1,000",
        f"No JSON, {to_be}emptied: msg_7\\x1b {{ [bold]{'x' * 192}",
        "2 of the user's addresses belong to another user too: in bodies about others they stay.",
        "1,020 other places hold a name or an address of the user. They are yours to judge:",
    ]
    assert lines[6:8] == ["relation key column", "consumer.outbox 0 body"]
    assert lines[-2:] == ["consumer.outbox 19 body", "and 1,000 more: --json has the first 10,000."]


def test_an_erasure_without_anything_left_says_so(printed: Printed) -> None:
    erase._show(Counter(profiles=0), Report(mention_count=1, mentions=[Mention("a", "b", "c")]), is_dry_run=False)

    assert printed() == [
        "Nothing is left to erase of this user.",
        "1 other places hold a name or an address of the user. They are yours to judge:",
        "relation key column",
        "a b c",
    ]


def test_the_document_of_an_erasure_has_what_changed_and_the_unreadable_bodies() -> None:
    report = Report(
        unreadable=[StoredBody(7, "stack", "msg_7", b"\xff")],
        mentions=[Mention("a", "b", "c")],
        mention_count=3,
        shared_emails=1,
    )

    assert erase._document(ONE, Counter(a=1, b=0), report, is_dry_run=True) == {
        "user_id": ONE,
        "is_dry_run": True,
        "changed": {"a": 1},
        "unreadable": [{"message_id": "msg_7", "source": "stack", "body_base64": "/w=="}],
        "mentions": [{"relation": "a", "key": "b", "column": "c"}],
        "mention_count": 3,
        "shared_emails": 1,
    }


def test_only_the_first_mentions_are_kept_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "MENTIONS_MAX", 3)
    report, found = Report(), [Mention("a", str(n), "c") for n in range(4)]

    report.mention(found[0], found[1])
    report.mention(found[2], found[3])

    assert (report.mentions, report.mention_count) == (found[:3], 4)


@pytest.mark.parametrize("is_dry_run", [False, True])
def test_a_prune_says_what_each_retention_removed(printed: Printed, *, is_dry_run: bool) -> None:
    found = prune.Pruned(1, Counter({"user.updated": 1_000, "profile.edited": 1}))
    end = "would be removed" if is_dry_run else "removed"

    prune._show(Settings(audit_retention_days=1, retention_days=30), found, is_dry_run=is_dry_run)
    assert printed() == [
        f"1 audit row older than 1 day {end}.",
        f"1,001 superseded deliveries older than 30 days {end}.",
        "type deliveries",
        "user.updated 1,000",
        "profile.edited 1",
    ]
    prune._show(Settings(retention_days=1), prune.Pruned(0, Counter(x=1)), is_dry_run=is_dry_run)
    assert printed()[0] == f"1 superseded delivery older than 1 day {end}."
    prune._show(Settings(retention_days=2), prune.Pruned(), is_dry_run=is_dry_run)
    assert printed() == [f"0 superseded deliveries older than 2 days {end}."]
    prune._show(Settings(audit_retention_days=2), prune.Pruned(2_000), is_dry_run=is_dry_run)
    assert printed() == [f"2,000 audit rows older than 2 days {end}."]


def test_a_prune_without_a_retention_says_that_everything_is_kept(printed: Printed) -> None:
    prune._show(Settings(), prune.Pruned(), is_dry_run=False)

    assert printed() == [
        "Nothing to do: neither RETENTION_DAYS nor AUDIT_RETENTION_DAYS is set, so the log and the audit are kept "
        "whole."
    ]
