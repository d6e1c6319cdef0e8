"""`consumer rebuild --as-of`: it prints rows as the deliveries received until then make them, and changes nothing."""

from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from consumer.outbox import rebuild_queue
from consumer.outbox.storage import Delivery
from consumer.settings.settings import ShapingSettings
from tests.laws.test_function_of_the_set import written
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import change, record_settings, rows, schema_change
from tests.support.factories import delivery, edited, membership, team, team_event, user_deleted, user_updated

ADA, BOB, EVE, TEAM, OTHER = (UUID(int=n) for n in (1, 2, 3, 77, 78))
FIRST, SECOND, THIRD = "2026-01-01", "2026-02-01", "2026-03-01"
JANUARY, FEBRUARY, MARCH = "2026-01-15", "2026-02-15", "2026-03-15T12:00:00Z"
LEAKED = "deadbeef"


def received(url: str, day: str, *told: Delivery) -> None:
    """Store and apply deliveries that were received on that day."""
    arrive(url, *told)
    work(url)
    named = ", ".join(f"'{one.message_id}'" for one in told)
    change(url, f"UPDATE consumer.outbox SET received_at = '{day}Z' WHERE message_id IN ({named})")


@pytest.fixture
def told(emptied: str) -> str:
    """Ada joins a team in January, is promoted in February, and is gone in March, as her team; then comes Bob."""
    received(
        emptied,
        FIRST,
        team_event("created", TEAM, display_name="Crew"),
        user_updated(ADA, display_name="Ada", server_metadata={"role": "member"}),
        membership("created", TEAM, ADA),
    )
    received(
        emptied,
        SECOND,
        user_updated(ADA, display_name="Ada", server_metadata={"role": "admin"})._replace(verified_by=LEAKED),
        team_event("updated", TEAM, display_name="Team"),
    )
    received(
        emptied,
        THIRD,
        user_deleted(ADA),
        team_event("deleted", TEAM),
        user_updated(BOB, display_name="Bob", selected_team=team(OTHER)),
    )
    return emptied


def as_of(url: str, time: str, *arguments: str) -> dict[str, Any]:
    """Return the document that is printed; whatever is printed, no row may be written."""
    before = written(url)
    document: dict[str, Any] = facts(url, "rebuild", "--as-of", time, *arguments)
    assert written(url) == before
    assert not rows(url, "SELECT FROM consumer.rebuild")
    return document


def short(document: dict[str, Any]) -> tuple[object, ...]:
    """Return the role and the home of the first user, and the names of the companies that are there."""
    profile = document["users"][0]["profile"] or {}
    living = [company["name"] for company in document["companies"] if not company["deleted_at"]]
    return profile.get("role_type"), profile.get("company_id"), living


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2025-12-31", (None, None, [])),
        (JANUARY, ("member", str(TEAM), ["Crew"])),
        (FEBRUARY, ("admin", str(TEAM), ["Team"])),
        (f"{SECOND}T00:00:00Z", ("admin", str(TEAM), ["Team"])),
        (MARCH, ("admin", None, [])),
    ],
    ids=["before all", "January", "February", "the very instant", "March"],
)
@pytest.mark.parametrize("chosen", [("--user", str(ADA)), ("--team", str(TEAM))], ids=["a user", "a team"])
def test_rows_are_those_of_what_was_received_until_then(
    told: str, chosen: tuple[str, str], time: str, expected: tuple[object, ...]
) -> None:
    assert short(as_of(told, time, *chosen)) == expected


def test_it_prints_mirror_profile_and_members_and_what_their_rows_depend_on(told: str) -> None:
    document = as_of(told, JANUARY, "--user", str(ADA), "--user", str(BOB))

    assert document["as_of"] == "2026-01-15T00:00:00Z"
    ada, bob = document["users"]
    assert (ada["mirror"]["stack_display_name"], ada["profile"]["full_name"]) == ("Ada", "Ada")
    [member] = ada["members"]
    assert (member["company_id"], member["removed_at"]) == (str(TEAM), None)
    assert bob == {"user_id": str(BOB), "mirror": None, "profile": None, "members": []}
    assert [company["id"] for company in document["companies"]] == [str(TEAM)]


def test_a_guest_who_was_anonymous_then_has_no_name(emptied: str) -> None:
    anonymous = user_updated(BOB, display_name="Bob", is_anonymous=True, server_metadata={"company_id": str(TEAM)})
    received(emptied, FIRST, team_event("created", TEAM), team_event("created", OTHER), anonymous)
    received(emptied, FIRST, membership("created", OTHER, BOB))
    received(emptied, SECOND, user_updated(BOB, display_name="Bob", server_metadata={"company_id": str(TEAM)}))

    for time, profile, name in ((JANUARY, None, None), (FEBRUARY, "Bob", "bob")):
        [bob] = as_of(emptied, time, "--user", str(BOB))["users"]
        assert (bob["profile"] or {}).get("full_name") == profile
        assert [(one["is_guest"], one["search_name"]) for one in bob["members"]] == [(True, name)]


@pytest.mark.parametrize("is_edit", [False, True])
def test_a_company_that_an_edit_or_metadata_names_is_a_home_only_since_it_exists(
    emptied: str, *, is_edit: bool
) -> None:
    named = {"company_id": str(TEAM)}
    received(emptied, FIRST, user_updated(BOB, **({} if is_edit else {"server_metadata": named})))
    if is_edit:
        received(emptied, FIRST, edited(BOB, **named))
    received(emptied, SECOND, team_event("created", TEAM, display_name="Crew"))

    assert short(as_of(emptied, JANUARY, "--user", str(BOB)))[1:] == (None, [])
    assert short(as_of(emptied, FEBRUARY, "--user", str(BOB)))[1:] == (str(TEAM), ["Crew"])


def test_the_default_company_is_a_home_until_it_is_deleted(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_COMPANY_ID", str(TEAM))
    record_settings(emptied, ShapingSettings(default_company_id=TEAM))
    received(emptied, FIRST, user_updated(BOB))
    received(emptied, SECOND, team_event("created", TEAM, display_name="Crew"))
    received(emptied, THIRD, team_event("deleted", TEAM))

    assert short(as_of(emptied, JANUARY, "--user", str(BOB)))[1:] == (str(TEAM), ["Unnamed team"])
    assert short(as_of(emptied, FEBRUARY, "--user", str(BOB)))[1:] == (str(TEAM), ["Crew"])
    assert short(as_of(emptied, MARCH, "--user", str(BOB)))[1:] == (None, [])


def test_a_company_that_only_users_name_is_there_from_the_first_who_selects_it(told: str) -> None:
    assert as_of(told, FEBRUARY, "--team", str(OTHER))["companies"] == []
    [company] = as_of(told, MARCH, "--team", str(OTHER))["companies"]
    assert company["name"] == "Crew"


def test_what_is_discarded_today_never_was(told: str) -> None:
    facts(told, "deliveries", "discard", "--verified-by", LEAKED, "--reason", "forged")
    work(told)

    assert short(as_of(told, FEBRUARY, "--user", str(ADA))) == ("member", str(TEAM), ["Team"])


def test_who_is_erased_today_is_erased_at_any_time(told: str) -> None:
    arrive(told, delivery("user.erased", ADA)._replace(source="operator", verified_by=None))
    work(told)

    [ada] = as_of(told, JANUARY, "--user", str(ADA))["users"]

    assert (ada["profile"], ada["members"], ada["mirror"]["stack_display_name"]) == (None, [], None)


def test_any_number_of_pages_is_one_document(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    users = sorted(uuid4() for _ in range(3))
    received(told, FIRST, *(membership("created", TEAM, user) for user in users))
    whole = as_of(told, JANUARY, "--team", str(TEAM))

    monkeypatch.setattr(rebuild_queue, "USERS_MAX", 2)

    assert as_of(told, JANUARY, "--team", str(TEAM)) == whole
    assert [user["user_id"] for user in whole["users"]] == sorted(map(str, [ADA, *users]))
    assert len(whole["companies"]) == 1


def test_before_the_pruning_mark_nothing_can_be_told(told: str) -> None:
    change(told, f"UPDATE consumer.settings SET pruned_until = '{FEBRUARY}Z'")

    refused = call(told, "rebuild", "--as-of", "2026-02-14T23:59:59Z", "--user", str(ADA))

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == (
        "Error: Deliveries from before 2026-02-15T00:00:00Z were pruned, so no state before then can be told.\n"
    )
    assert short(as_of(told, FEBRUARY, "--user", str(ADA))) == ("admin", str(TEAM), ["Team"])


def test_an_applications_foreign_key_on_profiles_keeps_nothing_from_being_told(told: str) -> None:
    refer = "CREATE TABLE public.orders (user_id uuid REFERENCES identity.profiles ON DELETE RESTRICT)"
    with schema_change(told, f"{refer}; INSERT INTO public.orders VALUES ('{BOB}')", "DROP TABLE public.orders"):
        [bob] = as_of(told, JANUARY, "--user", str(BOB))["users"]

    assert bob["profile"] is None


def test_a_constraint_of_the_application_that_refuses_the_rows_of_then_is_named(told: str) -> None:
    """Bob has the address now that Eve had then."""
    received(told, FIRST, user_updated(EVE, primary_email="shared@example.com"))
    received(told, THIRD, user_updated(EVE), user_updated(BOB, primary_email="shared@example.com"))
    only = "CREATE UNIQUE INDEX one_address ON identity.profiles (email) WHERE deleted_at IS NULL"
    with schema_change(told, only, "DROP INDEX identity.one_address"):
        result = call(told, "rebuild", "--as-of", JANUARY, "--user", str(EVE))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: The rows as they were are refused: UniqueViolation identity profiles one_address.\n"


@pytest.mark.parametrize("arguments", [[], ["--user", str(ADA), "--check"]], ids=["nobody", "a check"])
def test_a_call_that_does_not_say_what_it_means_is_a_usage_error(emptied: str, arguments: list[str]) -> None:
    result = call(emptied, "rebuild", "--as-of", "0s", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--as-of needs --user, --team, --since or --verified-by, and excludes --check." in result.stderr


def test_now_is_what_is_stored(told: str) -> None:
    document = as_of(told, "0s", "--user", str(BOB))

    [stored] = rows(told, f"SELECT to_jsonb(p)::text AS row FROM identity.profiles AS p WHERE user_id = '{BOB}'")
    dates = {"created_at", "updated_at"}
    expected = {name: value for name, value in orjson.loads(stored["row"]).items() if name not in dates}
    assert document["users"][0]["profile"] == expected
