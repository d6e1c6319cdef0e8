"""What Stack may change: any field of which no row is made, to anything, and the rows stay the same."""

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from consumer.events.check import check
from consumer.events.registry import EVENT_TYPES
from consumer.metric_labels import FIELDS, OTHER
from consumer.outbox.storage import Delivery
from consumer.providers.payload import Unread
from consumer.providers.stack.payloads import Team
from consumer.settings.settings import ShapingSettings
from tests.laws.histories import HISTORIES
from tests.support import model
from tests.support.databases import empty, record, rows
from tests.support.endpoint import states
from tests.support.factories import NOON
from tests.support.outbox import arrive, work
from tests.support.samples import ODD, USER_ID, VALID, body, payload
from tests.support.web import Site, post

# Fields of which no row is made, by the first word of the type; the metadata of users are kept as they come.
UNREAD = {
    "user": [
        "selected_team_id", "has_password", "auth_with_email", "oauth_providers", "primary_email_auth_enabled",
        "otp_auth_enabled", "requires_totp_mfa", "passkey_auth_enabled", "restricted_reason", "restricted_by_admin",
        "restricted_by_admin_reason", "restricted_by_admin_private_details", "country_code", "risk_scores",
        "external_auth_providers", "teams", "some_future_field",
    ],
    "team": [
        "created_at_millis", "client_metadata", "client_read_only_metadata", "server_metadata", "some_future_field",
    ],
    "issue": [
        "short_id", "type", "value", "culprit", "level", "status", "substatus", "first_seen_at_millis",
        "last_seen_at_millis", "times_seen", "service_name", "environment", "release", "url", "some_future_field",
    ],
    "stack": ["message", "endpointUrl", "some_future_field"],
}  # fmt: skip
FIELDS_OF_SELECTED_TEAM = UNREAD["team"]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # PostgreSQL stores no NUL.
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=6,
)
NOTHING = object()


def unread(name: str) -> list[str]:
    return UNREAD.get(name.split("/")[1].partition(".")[0], ["some_future_field"])


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, bytes]:
    """Return the name of a recorded body, and the body with some unread fields changed or left out."""
    name = draw(st.sampled_from(sorted(VALID)))
    document = orjson.loads(VALID[name])
    _change(draw, document["data"], unread(name))
    if team := document["data"].get("selected_team"):
        _change(draw, team, FIELDS_OF_SELECTED_TEAM)
    _change(draw, document, ["version", "timestamp", "some_future_field"])
    return name, orjson.dumps(document)


def _change(draw: st.DrawFn, data: dict[str, object], names: list[str]) -> None:
    changed = draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names, ANYTHING | st.just(NOTHING))))
    for name, value in changed.items():
        data.pop(name, None)
        if value is not NOTHING:
            data[name] = value


async def outcome(url: str, text: bytes) -> tuple[list[str], model.State]:
    """Store and apply one body from Stack; return how it ended, and all rows."""
    empty(url)
    await record(url, ShapingSettings())
    event = check(text, "stack")
    await arrive(url, Delivery("stack", "msg_1", event.type, event.user_id, event.team_id, NOON, None, text))
    await work(url)
    return [row["outcome"] for row in rows(url, "SELECT outcome FROM consumer.deliveries")], model.state(url)


UNCHANGED: dict[str, tuple[list[str], model.State]] = {}


@pytest.mark.slow
@settings(max_examples=HISTORIES * 3 // 10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=changes())
async def test_whatever_an_unread_field_holds_the_rows_are_the_same(
    database_url: str, change: tuple[str, bytes]
) -> None:
    name, changed = change
    if name not in UNCHANGED:
        UNCHANGED[name] = await outcome(database_url, VALID[name])

    assert await outcome(database_url, changed) == UNCHANGED[name]


def test_every_field_that_may_be_changed_or_left_out_has_a_series_of_its_own() -> None:
    payloads = [known.payload for known in EVENT_TYPES.values()]
    of_teams = {*_names(Team.unread), *Team.loose}
    names = {name for payload in payloads for name in (*_names(payload.unread), *payload.loose)}

    assert {OTHER, *names, *(f"selected_team.{name}" for name in of_teams)} == set(FIELDS)


def _names(unread: type[Unread]) -> list[str]:
    return [field.encode_name for field in fields(unread)]


@pytest.mark.parametrize(
    "change",
    [
        {"risk_scores": {"sign_up": {"bot": 12.5, "free_trial_abuse": 0}}},
        {"risk_scores": {"sign_up": {"score": 1}}},
        {"oauth_providers": [{"id": "google", "account_id": None}]},
        {"oauth_providers": [{"id": "google"}]},
        {"auth_with_email": None},
        {"restricted_reason": "email_not_verified"},
        {"restricted_by_admin": None},
        {"external_auth_providers": None},
    ],
    ids=str,
)
def test_a_user_with_a_changed_field_is_taken_and_the_field_counted(
    change: dict[str, object], site: Site, emptied: str
) -> None:
    [name] = change
    before = count(site, name)

    assert site.ask(post(body("user.updated", payload("user.updated", **change)))).status == 204

    assert states(emptied) == [("pending", None)]
    assert count(site, name) == before + 1


@pytest.mark.parametrize("field", ["is_anonymous", "is_restricted", "last_active_at_millis", "selected_team"])
async def test_null_is_absent_in_a_field_that_may_be_absent(field: str, emptied: str) -> None:
    data = payload("user.updated")
    absent = body("user.updated", {name: value for name, value in data.items() if name != field})

    assert await outcome(emptied, body("user.updated", data | {field: None})) == await outcome(emptied, absent)


@pytest.mark.parametrize("teams", [None, [None], [{"id": None}], "none", 7])
async def test_a_deletion_needs_its_id_and_nothing_else(teams: object, emptied: str) -> None:
    outcomes, tables = await outcome(emptied, body("user.deleted", {"id": USER_ID, "teams": teams}))

    assert outcomes == ["applied"]
    assert tables.mirror[USER_ID]["deleted_at"] == NOON


def test_a_counter_of_an_issue_may_be_a_number() -> None:
    assert check(ODD, "stack").changed_fields == ("times_seen",)


def count(site: Site, field: str) -> float:
    return site.metrics.registry.get_sample_value("consumer_changed_fields_total", {"field": field}) or 0
