"""`consumer user`: who set each field, what happened, and nothing personal unless it is asked for with a reason."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from consumer.outbox.storage import Delivery
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import change, record_settings, rows
from tests.support.dead import dead_at_the_door
from tests.support.factories import delivery, edited, membership, team_event, user_deleted, user_updated
from tests.support.lookups import EMAIL, NAME, canary, printed, shown_canaries


def stored(url: str, *deliveries: Delivery) -> UUID:
    """Apply deliveries, and return the user of the first."""
    arrive(url, *deliveries)
    work(url)
    assert deliveries[0].user_id
    return deliveries[0].user_id


def fields(url: str, user_id: UUID) -> dict[str, Any]:
    return {field["field"]: field for field in facts(url, "user", str(user_id))["fields"]}


def test_each_field_is_shown_with_who_set_it(emptied: str) -> None:
    first = canary()
    user_id = stored(emptied, first, edited(first.user_id or uuid4(), role_type="owner"))

    found = fields(emptied, user_id)

    assert {name: (field["set_by"], field["beneath"]) for name, field in found.items()} == {
        "full_name": ("source", None),
        "email": ("source", None),
        "email_verified": ("source", None),
        "avatar_url": ("source", None),
        "role_type": ("edit", "member"),
        "department": ("default", None),
        "is_restricted": ("source", None),
        "company_id": ("default", None),
    }
    assert found["role_type"]["value"] == "owner"
    assert found["full_name"]["explanation"] == "stack user.updated"
    assert all(found[name]["since"] for name in ("full_name", "role_type", "department"))


def test_a_field_is_since_it_was_written_last(emptied: str) -> None:
    user_id = stored(emptied, user_updated(primary_email="a@example.com"))
    for name in ("Second", "Third"):
        stored(emptied, user_updated(user_id, display_name=name, primary_email="a@example.com"))

    found = fields(emptied, user_id)

    since = "SELECT min(at) AS email, max(at) AS full_name FROM identity.profile_audit"
    assert [{name: datetime.fromisoformat(found[name]["since"]) for name in ("email", "full_name")}] == rows(
        emptied, since
    )


def test_an_edit_that_was_withdrawn_sets_nothing(emptied: str) -> None:
    first = canary()
    assert first.user_id
    user_id = stored(emptied, first, edited(first.user_id, role_type="owner"), edited(first.user_id, role_type=None))

    assert fields(emptied, user_id)["role_type"]["explanation"] == "stack user.updated, server metadata"


def home(url: str, user_id: UUID) -> tuple[str, str]:
    found = fields(url, user_id)["company_id"]
    return found["set_by"], found["explanation"]


def test_the_home_company_is_shown_with_the_reason(emptied: str) -> None:
    team_id, other_id, gone_id = uuid4(), uuid4(), uuid4()
    teams = [team_event("created", each) for each in (team_id, other_id, gone_id)]
    member, named, edit, late = user_updated(), user_updated(server_metadata={"company_id": str(team_id)}), None, None
    by_edit, skipped = user_updated(), user_updated(server_metadata={"company_id": str(gone_id)})
    users = [each.user_id or uuid4() for each in (member, named, by_edit, skipped)]
    edit, late = edited(users[2], company_id=str(other_id)), membership("created", team_id, users[3])
    arrive(emptied, *teams, member, named, by_edit, skipped, membership("created", team_id, users[0]), edit, late)
    arrive(emptied, team_event("deleted", gone_id))
    work(emptied)

    assert [home(emptied, user_id) for user_id in users] == [
        ("membership", "oldest active membership"),
        ("source", "server metadata"),
        ("edit", "app profile.edited"),
        ("membership", "oldest active membership; the metadata names no active company"),
    ]


def test_a_deleted_user_is_in_no_company_and_says_so(emptied: str) -> None:
    first = user_updated()
    assert first.user_id
    user_id = stored(emptied, first, user_deleted(first.user_id))

    assert home(emptied, user_id) == ("deletion", "a deleted user is in no company")
    text = " ".join(printed(call(emptied, "user", str(user_id))).split())
    assert "deleted 20" in text
    assert re.search(r"The sender deleted the user at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ\.", text)
    assert "confirmed the user" not in text


def test_the_timeline_has_deliveries_with_outcome_and_changes_and_what_other_deliveries_changed(emptied: str) -> None:
    team_id = uuid4()
    first, old = user_updated(display_name="Old"), user_updated()
    user_id = first.user_id or uuid4()
    old = old._replace(user_id=user_id, body=old.body.replace(str(old.user_id).encode(), str(user_id).encode()))
    created = team_event("created", team_id)
    joined = membership("created", team_id, user_id)
    signed = delivery("user.signed_in", user_id, "app")
    ended = team_event("deleted", team_id)
    broken = dead_at_the_door("broken")._replace(user_id=user_id)
    for each in (old, created, joined, signed, first, ended, broken):
        arrive(emptied, each)
        work(emptied)

    entries = facts(emptied, "user", str(user_id))["timeline"]

    told = [
        (
            entry["delivery"] and entry["delivery"]["event_type"],
            entry["delivery"] and (entry["delivery"]["outcome"] or entry["delivery"]["state"]),
            sorted({field for row in entry["changes"] for field in row["changed_fields"]}),
        )
        for entry in entries
    ]
    assert told == [
        ("user.updated", "dead", []),
        (None, None, ["company_id"]),
        ("user.updated", "stale", []),
        ("user.signed_in", "applied", []),
        ("team_membership.created", "applied", ["company_id"]),
        ("user.updated", "applied", entries[5]["changes"][0]["changed_fields"]),
    ]
    assert "full_name" in entries[5]["changes"][0]["changed_fields"]


def test_a_timeline_goes_on_where_it_ended(emptied: str) -> None:
    user_id, team_id = uuid4(), uuid4()
    arrive(emptied, team_event("created", team_id), membership("created", team_id, user_id))
    stored(emptied, user_updated(user_id))
    arrive(emptied, team_event("deleted", team_id))
    work(emptied)
    stored(emptied, *(user_updated(user_id, display_name=f"Later {n}") for n in range(3)))

    first = facts(emptied, "user", str(user_id), "--limit", "3")
    second = facts(emptied, "user", str(user_id), "--limit", "3", "--before", str(first["before"]))

    numbers = [entry["seq"] for entry in (*first["timeline"], *second["timeline"])]
    assert numbers == sorted(numbers, reverse=True)
    assert [bool(entry["delivery"]) for entry in second["timeline"]] == [False, True, True]
    assert (len(first["timeline"]), len(set(numbers)), second["before"]) == (3, 6, None)


@pytest.mark.parametrize("wanted", [EMAIL, EMAIL.upper()])
def test_an_e_mail_address_finds_its_user_in_any_case(emptied: str, wanted: str) -> None:
    user_id = stored(emptied, canary())

    assert facts(emptied, "user", wanted)["user"]["user_id"] == str(user_id)


@pytest.mark.parametrize("part", ["zaphod.canary", "%", "example.com", "zaphod.canary@example.co_"])
def test_a_part_of_an_address_finds_nobody(emptied: str, part: str) -> None:
    stored(emptied, canary())

    result = call(emptied, "user", part)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "No stored user has this e-mail address" in result.stderr


def test_an_address_of_several_users_names_their_ids(emptied: str) -> None:
    ids = sorted(str(stored(emptied, canary())) for _ in range(2))

    result = call(emptied, "user", EMAIL)

    assert (result.exit_code, f"2 users have this e-mail address: {', '.join(ids)}." in result.stderr) == (1, True)


def test_of_a_user_without_any_delivery_it_says_that_none_was_ever_stored(emptied: str) -> None:
    stored(emptied, canary())

    result = call(emptied, "user", str(uuid4()))

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: No delivery about this user was ever stored.\n"


def test_a_user_whose_only_delivery_is_dead_is_shown_with_it(emptied: str) -> None:
    user_id = uuid4()
    arrive(emptied, dead_at_the_door("broken")._replace(user_id=user_id))

    text = printed(call(emptied, "user", str(user_id)))

    assert "not applied yet" in text
    assert "dead bad_shape" in text
    assert "1 delivery stored since" in text


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["text", "json"])
def test_nothing_personal_is_shown_without_a_reason(emptied: str, arguments: list[str]) -> None:
    first = canary()
    user_id = stored(emptied, first, edited(first.user_id or uuid4(), role_type="owner", edited_by=NAME))

    for wanted in (str(user_id), EMAIL):
        result = call(emptied, "user", wanted, *arguments)

        assert result.exit_code == 0, result.output
        assert shown_canaries(result.output) == []
    assert rows(emptied, "SELECT FROM consumer.actions") == []


def test_revealing_shows_the_values_and_records_who_and_why_without_them(emptied: str) -> None:
    user_id = stored(emptied, canary())

    text = printed(call(emptied, "user", EMAIL, "--reveal", "--reason", " ticket 4711 "))

    assert NAME in text
    assert EMAIL in text
    [action] = rows(emptied, "SELECT action, via, role, reason, filter, affected FROM consumer.actions")
    assert action == {
        "action": "reveal",
        "via": "cli",
        "role": "operator",
        "reason": "ticket 4711",
        "filter": {"user_id": str(user_id)},
        "affected": 1,
    }


def test_a_revealed_document_has_the_values_of_the_audit(emptied: str) -> None:
    user_id = stored(emptied, canary())

    document = facts(emptied, "user", str(user_id), "--reveal", "--reason", "ticket 4711")

    assert document["user"]["full_name"] == NAME
    assert document["timeline"][0]["changes"][0]["new_values"]["email"] == EMAIL


@pytest.mark.parametrize("arguments", [["--reveal"], ["--reason", "x"], ["--reveal", "--reason", " "]])
def test_revealing_needs_a_reason_and_a_reason_needs_revealing(emptied: str, arguments: list[str]) -> None:
    user_id = stored(emptied, canary())

    result = call(emptied, "user", str(user_id), *arguments)

    assert (result.exit_code, result.stdout) == (2, "")


def test_it_says_what_waits_and_when_the_sender_confirmed_the_user(emptied: str) -> None:
    first = user_updated()
    user_id = stored(emptied, first)
    arrive(emptied, user_updated(user_id))

    counts = facts(emptied, "user", str(user_id))["counts"]
    text = printed(call(emptied, "user", str(user_id)))

    assert (counts["deliveries"], counts["pending"], counts["dead"]) == (2, 1, 0)
    assert "1 pending." in text
    assert "The sender confirmed the user" in " ".join(text.split())


def test_it_says_when_the_user_last_signed_in_and_out(emptied: str) -> None:
    user_id = stored(emptied, user_updated())
    never = printed(call(emptied, "user", str(user_id)))
    stored(emptied, delivery("user.signed_in", user_id, "app"))
    only_in = printed(call(emptied, "user", str(user_id)))
    stored(emptied, signed_out := delivery("user.signed_out", user_id, "app"))
    both, found = printed(call(emptied, "user", str(user_id))), facts(emptied, "user", str(user_id))["user"]

    assert "No sign-in is known." in never
    assert re.search(r"The user last signed in at 2026-11-22 12:\d\d:\d\dZ\.", only_in)
    assert f", out at {signed_out.occurred_at:%Y-%m-%d %H:%M:%SZ}." in both
    assert found["last_sign_in_at"] < found["last_sign_out_at"]


def test_a_user_that_the_newest_scan_did_not_list_is_out_of_step(emptied: str) -> None:
    user_id = stored(emptied, user_updated())
    run_id, old_id = uuid4(), uuid4()
    change(
        emptied,
        "INSERT INTO consumer.runs (id, kind, project_id, stage, begun_at, finished_at) VALUES "
        f"('{run_id}', 'reconcile', 'p', 'members', now(), now()), "
        f"('{old_id}', 'reconcile', 'p', 'members', now() - interval '1 day', now()); "
        "INSERT INTO consumer.suspects (run_id, kind, user_id) VALUES "
        f"('{old_id}', 'undeleted_user', '{user_id}'), ('{run_id}', 'extra_membership', '{user_id}')",
    )
    listed = facts(emptied, "user", str(user_id))["user"]
    change(
        emptied,
        f"INSERT INTO consumer.suspects (run_id, kind, user_id) VALUES ('{run_id}', 'undeleted_user', '{user_id}')",
    )

    unlisted = facts(emptied, "user", str(user_id))["user"]

    assert listed["confirmed_at"] == listed["scanned_at"]
    assert unlisted["confirmed_at"] == unlisted["snapshot_at"]
    assert "did not find this user" in printed(call(emptied, "user", str(user_id)))
    record_settings(emptied)


def test_a_hostile_name_neither_breaks_a_line_nor_the_terminal(emptied: str) -> None:
    name = "\x1b[2J\u202e[bold]" + "x" * 300
    user_id = stored(emptied, user_updated(display_name=name, server_metadata={"role": name}))

    text = printed(call(emptied, "user", str(user_id), "--reveal", "--reason", "a test"))

    assert "\x1b" not in text
    assert "\u202e" not in text
