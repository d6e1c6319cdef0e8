"""`consumer deliveries`: a page by key, newest first, and how far a rare filter has looked."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from consumer.lookup import listing, one_company, one_delivery, one_user
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import change
from tests.support.dead import dead_at_the_door
from tests.support.factories import edited, membership, team_event, user_updated
from tests.support.lookups import EMAIL, canary, printed, shown_canaries
from tests.support.outbox import set_aside

TEAM_ID, USER_ID = UUID("0b7d5e9a-4f10-4a57-8c21-6f1c2f0e9d3b"), UUID("3e9b01c2-9d3b-4a57-8c21-0b7d5e9a4f10")


@pytest.fixture
def mixed(emptied: str) -> str:
    """One delivery of each kind that a filter tells apart."""
    failing = user_updated()._replace(message_id="retrying", verified_by="ffff0000")
    # One by one, because a batch is stored in the order of its ids.
    for each in (
        team_event("created", TEAM_ID)._replace(message_id="team"),
        canary()._replace(message_id="canary"),
        user_updated(USER_ID)._replace(message_id="done"),
        user_updated(USER_ID)._replace(message_id="unchanged"),
        membership("created", TEAM_ID, USER_ID)._replace(message_id="member"),
        edited(USER_ID, role_type="owner")._replace(message_id="edit"),
    ):
        arrive(emptied, each)
    work(emptied)
    for each in (dead_at_the_door("dead"), failing, user_updated()._replace(message_id="pending")):
        arrive(emptied, each)
    set_aside(emptied, [failing], state="retrying")
    return emptied


def listed(url: str, *arguments: str) -> list[str]:
    return [each["message_id"] for each in facts(url, "deliveries", *arguments)["deliveries"]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["pending", "retrying", "dead", "edit", "member", "unchanged", "done", "canary", "team"]),
        (["--limit", "2"], ["pending", "retrying"]),
        (["--user", str(USER_ID)], ["edit", "member", "unchanged", "done"]),
        (["--team", str(TEAM_ID)], ["member", "team"]),
        (["--email", EMAIL.title()], ["canary"]),
        (["--email", "nobody@example.com"], []),
        (["--email", EMAIL, "--user", str(USER_ID)], []),
        (["--type", "user.*"], ["pending", "retrying", "dead", "unchanged", "done", "canary"]),
        (["--type", "user.*", "--state", "dead"], ["dead"]),
        (["--type", "user_updated"], []),
        (["--type", "profile.edited"], ["edit"]),
        (["--state", "pending"], ["pending"]),
        (["--state", "retrying"], ["retrying"]),
        (["--state", "done", "--source", "app"], ["edit"]),
        (["--source", "app"], ["edit"]),
        (["--outcome", "stale"], ["done"]),
        (["--error", "bad_shape"], ["dead"]),
        (["--verified-by", "ffff0000"], ["retrying"]),
        (["--since", "1h", "--limit", "1"], ["pending"]),
        (["--until", "1h"], []),
    ],
    ids=" ".join,
)
def test_a_filter_chooses_and_the_newest_comes_first(
    mixed: str, arguments: Sequence[str], expected: Sequence[str]
) -> None:
    assert listed(mixed, *arguments) == expected


def test_a_page_goes_on_below_its_last_number_until_nothing_older_is_left(mixed: str) -> None:
    found, before, pages = [], None, 0
    while pages == 0 or before:
        page = facts(mixed, "deliveries", "--limit", "4", *(["--before", str(before)] if before else []))
        found += [each["message_id"] for each in page["deliveries"]]
        before, pages = page["before"], pages + 1

    assert (pages, found) == (3, listed(mixed))


def test_a_rare_filter_looks_at_so_many_deliveries_and_says_how_far(
    mixed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LOOK_MAX", 3)

    first = facts(mixed, "deliveries", "--type", "team.*")
    text = printed(call(mixed, "deliveries", "--type", "team.*"))
    second = facts(mixed, "deliveries", "--type", "team.*", "--before", str(first["before"]))
    third = facts(mixed, "deliveries", "--type", "team.*", "--before", str(second["before"]))

    assert [len(page["deliveries"]) for page in (first, second, third)] == [0, 0, 1]
    assert first["looked_back_to"]
    assert f"Older: --before {first['before']}." in " ".join(text.split())
    assert "No delivery among those back to 20" in text
    assert (third["before"], third["looked_back_to"]) == (None, None)


@pytest.mark.parametrize(
    "arguments", [[], ["--user", str(USER_ID)], ["--state", "dead"], ["--team", str(TEAM_ID)]], ids=" ".join
)
def test_what_an_index_finds_is_looked_for_everywhere(
    mixed: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = listed(mixed, *arguments)
    monkeypatch.setattr(listing, "LOOK_MAX", 1)

    assert listed(mixed, *arguments) == everywhere


def test_a_filter_by_user_and_type_is_looked_for_everywhere(mixed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LOOK_MAX", 1)

    assert listed(mixed, "--user", str(USER_ID), "--type", "user.*") == ["unchanged", "done"]


@pytest.mark.parametrize(
    "subject", [["--user", str(USER_ID)], ["--team", str(TEAM_ID)], ["--email", EMAIL]], ids=" ".join
)
def test_a_user_or_team_with_many_deliveries_is_looked_for_number_by_number(
    mixed: str, subject: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = listed(mixed, *subject)
    monkeypatch.setattr(listing, "ABOUT_MAX", 0)
    monkeypatch.setattr(listing, "LOOK_MAX", 3)

    found, before, pages = [], None, 0
    while pages == 0 or before:
        page = facts(mixed, "deliveries", *subject, *(["--before", str(before)] if before else []))
        found += [each["message_id"] for each in page["deliveries"]]
        before, pages = page["before"], pages + 1

    assert (found, pages) == (everywhere, 3)


def test_a_page_of_a_user_is_filled_from_any_number_of_theirs(mixed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "CHOSEN_MAX", 1)

    assert listed(mixed, "--user", str(USER_ID), "--limit", "1", "--outcome", "stale") == ["done"]


def test_a_search_among_the_dead_looks_at_so_many_of_them(mixed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "FEW_MAX", 1)
    arrive(mixed, dead_at_the_door("dead too"))

    first = facts(mixed, "deliveries", "--state", "dead", "--email", "nobody@example.com")
    second = facts(mixed, "deliveries", "--state", "dead")
    third = facts(mixed, "deliveries", "--state", "dead", "--before", str(second["before"]))
    fourth = facts(mixed, "deliveries", "--state", "dead", "--before", str(third["before"]))
    text = printed(call(mixed, "deliveries", "--state", "dead", "--error", "none"))

    assert (first["deliveries"], first["before"]) == ([], None)
    found = [[each["message_id"] for each in page["deliveries"]] for page in (second, third, fourth)]
    assert found == [["dead too"], [], ["dead"]]
    assert (second["looked_back_to"] is None, third["looked_back_to"] is None, fourth["before"]) == (False, False, None)
    assert "No delivery among those back to 20" in text


@pytest.mark.parametrize("state", ["retrying", "pending"])
def test_the_dead_before_what_is_looked_for_count_as_looked_at(
    mixed: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that wait are in a table of their own, where no dead ones are looked at."""
    monkeypatch.setattr(listing, "FEW_MAX", 1)
    arrive(mixed, dead_at_the_door("dead too"))

    first = facts(mixed, "deliveries", "--state", state)
    second = facts(mixed, "deliveries", "--state", state, "--before", str(first["before"] or 1))

    found = [[each["message_id"] for each in page["deliveries"]] for page in (first, second)]
    assert found == ([[], ["retrying"]] if state == "retrying" else [["pending"], []])


def test_numbers_that_nothing_has_are_not_looked_at(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prune leaves gaps, and a repeated message takes a number."""
    monkeypatch.setattr(listing, "LOOK_MAX", 2)
    for delivery in (team_event("created", TEAM_ID), user_updated(), user_updated()):
        arrive(emptied, delivery)
        change(emptied, "SELECT setval('consumer.outbox_seq_seq', nextval('consumer.outbox_seq_seq') + 1000000)")

    first = facts(emptied, "deliveries", "--type", "team.*")
    second = facts(emptied, "deliveries", "--type", "team.*", "--before", str(first["before"]))

    assert [len(page["deliveries"]) for page in (first, second)] == [0, 1]
    assert second["before"] is None


def test_a_list_by_time_offers_no_page_of_what_is_older(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LOOK_MAX", 350)
    change(
        emptied,
        "INSERT INTO consumer.outbox (source, message_id, occurred_at, received_at, body) "
        "SELECT 'stack', n, now(), now() - interval '2 days' * (n <= 200)::int, '' FROM generate_series(1, 400) AS n",
    )

    assert facts(emptied, "deliveries", "--type", "team.*", "--since", "1d")["before"] is None
    assert facts(emptied, "deliveries", "--type", "team.*")["before"]


def test_times_limit_what_is_listed_by_arrival(mixed: str) -> None:
    change(mixed, "UPDATE consumer.outbox SET received_at = received_at - interval '3 days' WHERE message_id = 'team'")
    change(
        mixed, "UPDATE consumer.outbox SET received_at = received_at - interval '2 days' WHERE message_id = 'canary'"
    )

    assert listed(mixed, "--until", "1d") == ["canary", "team"]
    assert listed(mixed, "--since", "60h", "--until", "1d") == ["canary"]
    assert "team" not in listed(mixed, "--since", "60h")


def test_times_limit_a_list_with_gaps_in_its_numbers(emptied: str) -> None:
    for name in ("first", "second", "third"):
        change(emptied, "SELECT setval('consumer.outbox_seq_seq', nextval('consumer.outbox_seq_seq') + 1000)")
        arrive(emptied, user_updated()._replace(message_id=name))
    change(
        emptied, "UPDATE consumer.outbox SET received_at = received_at - interval '2 days' WHERE message_id <> 'third'"
    )

    assert listed(emptied, "--until", "1d") == ["second", "first"]


def test_a_page_reads_no_more_than_a_hundred_thousand_rows() -> None:
    """A company's reads most: a look of three rows a delivery, and its members, counted three times."""
    assert (listing.LOOK_MAX, listing.ABOUT_MAX, listing.CHOSEN_MAX) == (20_000, 5_000, 1_000)
    assert (listing.FEW_MAX, one_user.WAITING_MAX, one_delivery.WINDOW) == (10_000, 10_000, 10_000)
    assert 3 * listing.LOOK_MAX + listing.ABOUT_MAX + 3 * one_company.COUNTED_MAX <= 100_000


def test_a_list_names_nobody(mixed: str) -> None:
    long = user_updated()._replace(message_id="m" * 256, event_type="x" * 256)
    arrive(mixed, long)

    text = printed(call(mixed, "deliveries"))

    assert shown_canaries(text) == []
    assert "dead bad_shape" in text
    assert text.splitlines()[0].split() == ["received", "event", "about", "outcome", "took", "number"]


def test_a_list_without_a_match_says_so(emptied: str) -> None:
    assert printed(call(emptied, "deliveries", "--state", "dead")) == "No delivery matches.\n"


@pytest.mark.parametrize("arguments", [["--state", "gone"], ["--source", "x"], ["--limit", "0"], ["--since", "soon"]])
def test_an_unknown_value_is_a_usage_error(emptied: str, arguments: list[str]) -> None:
    assert call(emptied, "deliveries", *arguments).exit_code == 2


def test_filters_before_a_subcommand_are_refused(emptied: str) -> None:
    result = call(emptied, "deliveries", "--type", "user.updated", "discard", "--all", "--reason", "x")

    assert (result.exit_code, "Options go behind discard." in result.stderr) == (2, True)


@pytest.mark.parametrize(("pattern", "warns"), [("user.*", False), ("usr.*", True), ("user.updated", False)])
def test_a_type_that_nothing_has_is_warned_of(emptied: str, pattern: str, warns: bool) -> None:
    assert ("knows no event type" in call(emptied, "deliveries", "--type", pattern).stderr) is warns
