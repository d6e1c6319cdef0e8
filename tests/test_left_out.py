"""What end users and members of teams may write, however deep, long or odd, keeps no later fact from being applied."""

from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consumer.errors import BadPayload
from consumer.events.check import check
from consumer.logs import DELIVERY_REDUCED
from consumer.outbox.storage import Delivery
from consumer.providers.payload import TEXT_MAX
from consumer.settings.settings import ShapingSettings
from tests.laws.histories import HISTORIES
from tests.support import model
from tests.support.databases import empty, record
from tests.support.endpoint import states, stored
from tests.support.factories import NOON, snapshot, team
from tests.support.json_texts import NESTS, NUMBERS, ODDITIES, STRINGS
from tests.support.outbox import arrive, work
from tests.support.samples import SCHEMAS, TEAM_ID, USER_ID, payload
from tests.support.samples import body as event
from tests.support.web import Site, post

HERE = "\N{SNOWMAN}"
UNFIT = {
    "513 levels": b"[" * 513 + b"]" * 513,
    "one level too deep": b"[" * 511 + b"]" * 511,
    "2,000 levels": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "a NUL": rb'{"a":["\u0000"]}',
    "a NUL in a key": rb'{"\u0000":1}',
    "a lone surrogate": rb'"\ud83d"',
    "no UTF-8": b'"\xff"',
    "a line feed": b'"\n"',
    "beyond a double": b"[1e400]",
    "400 digits": b"9" * 400,
    "a tiny number": b"1e-3000",
    "a long fraction": b"0." + b"1" * 3000,
    "a zero with a huge exponent": b"0e99999999999",
    "numbers that are long in print": b"[" + b"1e308," * 20_000 + b"1]",
    "fractions that are long in print": b"[" + b"1e-2000," * 3_000 + b"1]",
    "no JSON": b"NaN",
    "brackets that do not match": b'{"a":[}}',
}
USERS_WRITE = ("client_metadata", "client_read_only_metadata")
TEAMS_WRITE = (*USERS_WRITE, "server_metadata")
NAMES = ("display_name", "profile_image_url")
SCRAPS = st.one_of(NUMBERS, STRINGS, NESTS, ODDITIES)
ANYTHING = st.one_of(
    st.sampled_from(sorted(UNFIT.values())),
    SCRAPS.filter(bool).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(SCRAPS).map(lambda texts: f"[{','.join(texts)}]".encode("utf-8", "surrogatepass")),
)


def text(event_type: str, data: dict[str, object], *parts: bytes) -> bytes:
    """Return the body of an event, each HERE of its data replaced by the next of *parts*."""
    whole = event(event_type, data)
    for part in parts:
        whole = whole.replace(f'"{HERE}"'.encode(), part, 1)
    return whole


def user(**fields: object) -> dict[str, object]:
    return {"id": USER_ID, **snapshot(**fields)}


def a_team(**fields: object) -> dict[str, object]:
    return team(UUID(TEAM_ID), **fields)


async def applied(url: str, *bodies: bytes) -> model.State:
    """Apply bodies from Stack, as the receiver stores them, to empty tables; return all rows."""
    empty(url)
    await record(url, ShapingSettings())
    for number, body in enumerate(bodies):
        found = check(body, "stack")
        ids = (found.user_id, found.team_id)
        await arrive(url, Delivery("stack", f"msg_{number}", found.type, *ids, NOON, None, body, found.reduced))
    await work(url)
    return model.state(url)


@pytest.mark.parametrize("part", UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("field", USERS_WRITE)
async def test_an_administrator_who_is_demoted_is_one_no_more_whatever_he_wrote(
    field: str, part: bytes, site: Site, emptied: str
) -> None:
    signed = [
        text("user.updated", user(server_metadata={"role": "admin"})),
        text("user.updated", user(server_metadata={"role": "member"}, **{field: HERE}), part),
    ]
    for number, body in enumerate(signed):
        assert site.ask(post(body, message_id=f"msg_{number}")).status == 204
    await work(emptied)

    tables = model.state(emptied)
    assert [row["body"] for row in stored(emptied)] == signed
    assert states(emptied) == [("done", None)] * 2
    assert tables.profiles[USER_ID]["role_type"] == "member"
    metadata = {"client": None, "client_read_only": None, "server": {"role": "member"}}
    assert tables.mirror[USER_ID]["stack_metadata"] == metadata
    assert count(site, field) >= 1


@pytest.mark.parametrize("part", [*UNFIT.values(), b"5", b'{"a":1}', b'"%b"' % (b"x" * (TEXT_MAX + 1))], ids=len)
@pytest.mark.parametrize("field", [*TEAMS_WRITE, *NAMES])
async def test_a_bystander_is_updated_whatever_a_member_of_the_selected_team_wrote(
    field: str, part: bytes, emptied: str
) -> None:
    plain = user(server_metadata={"role": "owner"}, selected_team=a_team(**{field: None}))
    odd = user(server_metadata={"role": "owner"}, selected_team=a_team(**{field: HERE}))

    assert await applied(emptied, text("user.updated", odd, part)) == await applied(
        emptied, text("user.updated", plain)
    )


@pytest.mark.parametrize("part", UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("field", TEAMS_WRITE)
async def test_a_company_is_renamed_whatever_its_members_wrote(field: str, part: bytes, emptied: str) -> None:
    tables = await applied(emptied, text("team.updated", a_team(display_name="New", **{field: HERE}), part))

    assert tables.companies[TEAM_ID]["name"] == "New"


@pytest.mark.parametrize("part", [rb'"\u0000"', rb'"\ud800"', b'"%b"' % (b"x" * (TEXT_MAX + 1))], ids=len)
async def test_a_name_that_cannot_be_stored_is_none(part: bytes, emptied: str) -> None:
    data = a_team(display_name=HERE, profile_image_url="https://example.com/logo.png")

    tables = await applied(emptied, text("team.created", data, part))

    company = tables.companies[TEAM_ID]
    assert (company["name"], company["logo_url"]) == ("Unnamed team", "https://example.com/logo.png")


@pytest.mark.slow
@settings(max_examples=HISTORIES // 4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(ANYTHING, min_size=7, max_size=7))
@example(parts=[b"[" * 505 + b"]" * 505] * 7)
async def test_anything_that_users_may_write_leaves_the_other_columns_as_they_are(
    database_url: str, parts: list[bytes]
) -> None:
    bodies = []
    for value in (HERE, None):
        selected = a_team(**dict.fromkeys(TEAMS_WRITE, value))
        everything = user(
            server_metadata={"role": "owner"}, selected_team=selected, **dict.fromkeys(USERS_WRITE, value)
        )
        pieces = parts if value else ()
        bodies.append(text("user.updated", everything, *pieces[:5]))
        bodies.append(text("team.updated", a_team(**dict.fromkeys(USERS_WRITE, value)), *pieces[5:]))

    odd, plain = await applied(database_url, *bodies[:2]), await applied(database_url, *bodies[2:])

    for row in (*odd.mirror.values(), *plain.mirror.values()):
        del row["stack_metadata"]["client"], row["stack_metadata"]["client_read_only"]
    assert odd == plain


@pytest.mark.parametrize("last_active", [b"0", b"-1", b"null", b'"now"', b"1795330800123.5", b"1e400", b"[]"])
async def test_a_user_is_applied_without_a_last_activity_that_is_no_time(last_active: bytes, emptied: str) -> None:
    tables = await applied(emptied, text("user.updated", user(last_active_at_millis=HERE), last_active))

    assert tables.profiles[USER_ID]["last_active_at"] is None


@pytest.mark.parametrize("event_type", SCHEMAS)
def test_an_event_of_any_type_is_taken_without_an_unknown_field_that_cannot_be_stored(event_type: str) -> None:
    for part in UNFIT.values():
        odd = text(event_type, payload(event_type, some_future_field=HERE), part)

        found = check(odd, "stack")

        assert (found.type, found.left_out) == (event_type, ("other",))
        assert found.reduced == odd.replace(part, b"null")


@pytest.mark.parametrize("part", UNFIT.values(), ids=UNFIT)
async def test_a_field_that_is_not_read_may_hold_it_too(part: bytes, emptied: str) -> None:
    data = user(oauth_providers=HERE, some_future_field=HERE)

    assert await applied(emptied, text("user.updated", data, part, part)) == await applied(
        emptied, event("user.updated", user())
    )


@pytest.mark.parametrize("field", ["id", "display_name", "server_metadata", "is_anonymous", "selected_team"])
@pytest.mark.parametrize("part", [b"[" * 600 + b"]" * 600, rb'"\u0000"', rb'"\ud800"', b"1e400"], ids=len)
def test_a_field_of_which_a_row_is_made_is_never_left_out(part: bytes, field: str) -> None:
    with pytest.raises(BadPayload) as caught:
        check(text("user.updated", {**user(), field: HERE}, part), "stack")

    assert caught.value.path == f"$.data.{field}"


def test_what_is_left_out_is_counted_and_logged_by_name(
    site: Site, emptied: str, caplog: pytest.LogCaptureFixture
) -> None:
    field = "selected_team.client_metadata"
    before = count(site, field)

    site.ask(post(text("user.updated", user(selected_team=a_team(client_metadata=HERE)), UNFIT["no UTF-8"])))

    [line] = [vars(record) for record in caplog.records if record.msg == DELIVERY_REDUCED]
    assert (line["message_id"], line["user_id"], line["left_out"]) == ("msg_1", UUID(USER_ID), (field,))
    assert count(site, field) == before + 1


def count(site: Site, field: str) -> float:
    return site.metrics.registry.get_sample_value("consumer_left_out_fields_total", {"field": field}) or 0


def test_a_field_that_is_left_out_is_not_counted_as_changed_by_its_sender() -> None:
    found = check(text("user.updated", user(oauth_providers=HERE), UNFIT["no UTF-8"]), "stack")

    assert (found.left_out, found.changed_fields) == (("oauth_providers",), ())
