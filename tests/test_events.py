"""What a body tells, and that PostgreSQL can read whatever is let in."""

from collections.abc import Iterator
from typing import get_args
from uuid import UUID

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from consumer.errors import BadPayload
from consumer.events.check import TYPE_CHARACTERS_MAX, Event, check, subject
from consumer.events.registry import EVENT_TYPES
from consumer.providers.payload import Id, Millis
from tests.support.json_texts import NESTS, NUMBERS, ODDITIES, STRINGS
from tests.support.samples import INVALID, TEAM_ID, USER_ID, VALID, body, payload, source

USER, TEAM = UUID(USER_ID), UUID(TEAM_ID)
SIGN_INS = {"user.signed_in", "user.signed_out"}
OURS = {"profile.edited", "company.declared", "user.erased"}
CASTS = ((Id, "uuid"), (Millis, "bigint"), (bool, "boolean"))
FRAGMENTS = st.one_of(
    NUMBERS,
    STRINGS,
    NESTS,
    ODDITIES,
    st.sampled_from(["null", "true", "[]", "{}", '"true"', "1795330800123", '1,"id":"x"', f'1,"\\u0069d":"{TEAM_ID}"']),
    st.sampled_from([USER_ID, USER_ID.upper(), USER_ID.replace("-", ""), f"{USER_ID} "]).map(lambda text: f'"{text}"'),
)


def refusal(body: bytes, source: str = "stack") -> BadPayload | None:
    try:
        check(body, source)
    except BadPayload as error:
        return error
    return None


def code(body: bytes, source: str = "stack") -> str | None:
    error = refusal(body, source)
    return error.code if error else None


@pytest.mark.parametrize(
    ("event_type", "user_id", "team_id"),
    [
        ("user.created", USER, None),
        ("user.updated", USER, None),
        ("user.deleted", USER, None),
        ("user.signed_in", USER, None),
        ("user.signed_out", USER, None),
        ("profile.edited", USER, None),
        ("team.created", None, TEAM),
        ("team.updated", None, TEAM),
        ("team.deleted", None, TEAM),
        ("company.declared", None, TEAM),
        ("team_membership.created", USER, TEAM),
        ("team_membership.deleted", USER, TEAM),
        ("team_permission.created", USER, TEAM),
        ("team_permission.deleted", USER, TEAM),
        ("project_permission.created", USER, None),
        ("project_permission.deleted", USER, None),
        ("issue.created", None, None),
        ("issue.regressed", None, None),
        ("issue.resolved", None, None),
        ("issue.ignored", None, None),
        ("issue.merged", None, None),
        ("stack.test", None, None),
    ],
)
def test_a_known_event_names_whom_it_concerns(event_type: str, user_id: UUID | None, team_id: UUID | None) -> None:
    event = check(body(event_type, payload(event_type)), source(event_type))

    assert (event.type, event.user_id, event.team_id) == (event_type, user_id, team_id)


@pytest.mark.parametrize(
    ("from_source", "known"),
    [
        ("app", {"user.signed_in", "user.signed_out", "profile.edited"}),
        ("operator", {"company.declared", "user.erased"}),
        ("stack", EVENT_TYPES.keys() - OURS),
        ("backfill", EVENT_TYPES.keys() - OURS - SIGN_INS),
        ("reconcile", EVENT_TYPES.keys() - OURS - SIGN_INS),
    ],
)
def test_each_source_has_its_types(from_source: str, known: set[str]) -> None:
    codes = {event_type: code(body(event_type, None), from_source) for event_type in EVENT_TYPES}
    checked = {event_type for event_type, found in codes.items() if found == "bad_shape"}

    assert checked == known
    # Only the application's mistakes can be corrected at their source.
    others = {found for event_type, found in codes.items() if event_type not in known}
    assert others == ({"unknown_type"} if from_source == "app" else {None})


@pytest.mark.parametrize(
    ("event_type", "data", "user_id", "team_id"),
    [
        ("session.created", {"user_id": USER_ID, "team_id": TEAM_ID.upper()}, USER, TEAM),
        ("session.created", {"id": USER_ID, "user_id": USER.hex, "team_id": "x" * 36}, None, None),
        ("session.created", [], None, None),
        ("session.created", None, None, None),
        ("user.renamed", {"id": USER_ID}, USER, None),
    ],
)
def test_an_unknown_type_need_only_be_named(
    event_type: str, data: object, user_id: UUID | None, team_id: UUID | None
) -> None:
    assert check(body(event_type, data), "stack") == Event(event_type, user_id, team_id)


@pytest.mark.parametrize("data", [rb'"\u0000"', b"1e-99999", b"[" * 600 + b"]" * 600])
def test_an_unknown_type_may_hold_what_postgres_could_not_store(data: bytes) -> None:
    assert code(b'{"type":"session.created","data":%b}' % data) is None
    assert code(b'{"type":"stack.test","data":%b}' % data)


@pytest.mark.parametrize(
    "event_type", ["", "user.created\n", "x" * TYPE_CHARACTERS_MAX, "\N{ROCKET}" * TYPE_CHARACTERS_MAX]
)
def test_any_short_string_is_a_type(event_type: str) -> None:
    assert check(body(event_type, {}), "stack").type == event_type
    assert subject(body(event_type, {}))[0] == event_type


@pytest.mark.parametrize("event_type", [None, 5, ["user.created"], {}, "x" * (TYPE_CHARACTERS_MAX + 1), "user.\0"])
def test_nothing_else_is_a_type(event_type: object) -> None:
    assert code(body(event_type, {})) == "bad_type"
    assert subject(body(event_type, {"id": USER_ID, "user_id": USER_ID})) == (None, USER, None)


@pytest.mark.parametrize("text", [b"[]", b"null", b"1", b'"user.created"', b"true"])
def test_a_body_is_an_object(text: bytes) -> None:
    assert code(text) == "not_an_object"
    assert subject(text) == (None, None, None)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(b"{", b"\xef\xbb\xbf{", "not_json", id="byte order mark"),
        pytest.param(b"Mara", rb"\ud800", "not_json", id="lone surrogate"),
        pytest.param(b"Mara", b"\xff", "not_json", id="not UTF-8"),
        pytest.param(b"Mara", rb"\u0000", "nul", id="NUL"),
        pytest.param(b'"theme"', rb'"\u0000"', None, id="NUL in a key that a user wrote"),
        pytest.param(b"12.5", b"1e-20000", "number_out_of_range", id="tiny number"),
        pytest.param(b"12.5", b"[" * 511 + b"]" * 511, "too_deep", id="deep"),
        pytest.param(b'"data":', b'"data":1,"_":', "bad_shape", id="data twice, the last elsewhere"),
        pytest.param(b"{", b'{"type":"user.updated","data":{},', None, id="data twice, the last good"),
        pytest.param(b"12.5", b"[" * 509 + b"]" * 509, None, id="deep enough"),
        pytest.param(b"12.5", b"1e308", None, id="large number"),
    ],
)
def test_a_user_is_let_in_only_if_postgres_can_store_it(old: bytes, new: bytes, expected: str | None) -> None:
    assert code(VALID["samples/user.created/full.json"].replace(old, new, 1)) == expected


@pytest.mark.parametrize(
    ("event_type", "fields", "warnings"),
    [
        ("user.created", {"primary_email": None, "display_name": None}, ("missing_email", "missing_name")),
        ("user.updated", {"primary_email": "", "display_name": "Mara"}, ("missing_email",)),
        ("user.signed_in", {"primary_email": " \u3000", "display_name": "Mara"}, ("missing_email",)),
        ("user.updated", {"primary_email": "m@example.com", "display_name": " \u3000"}, ("missing_name",)),
        ("user.updated", {"primary_email": "m@example.com", "display_name": "Mara"}, ()),
        ("user.signed_in", {"primary_email": None}, ("missing_email", "missing_name")),
        ("user.signed_in", {}, ()),
        ("team.updated", {"display_name": ""}, ()),
    ],
)
def test_a_user_without_email_or_name_is_a_warning(
    event_type: str, fields: dict[str, object], warnings: tuple[str, ...]
) -> None:
    assert check(body(event_type, payload(event_type, **fields)), source(event_type)).warnings == warnings


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data-array", ("user.deleted", None, None)),
        ("membership-no-user", ("team_membership.created", None, TEAM)),
        ("permission-bad-id", ("team_permission.created", USER, TEAM)),
        ("user-display-name-257", ("user.updated", USER, None)),
        ("user-id-not-uuid", ("user.updated", None, None)),
    ],
)
def test_an_unusable_body_still_tells_whom_it_concerns(
    name: str, expected: tuple[str | None, UUID | None, UUID | None]
) -> None:
    assert subject(INVALID[f"samples-invalid/{name}.json"]) == expected


@given(st.one_of(st.binary(), st.from_regex(r'\{"type":.{0,9},"data":\{"id":.{0,9}\}\}').map(str.encode)))
def test_no_body_breaks_the_check_or_the_subject(text: bytes) -> None:
    subject(text)

    codes = {"not_json", "not_an_object", "bad_type", "bad_shape", "nul", "too_deep", "number_out_of_range"}
    assert code(text) in {None, *codes}


@pytest.mark.parametrize("event_type", EVENT_TYPES)
@pytest.mark.parametrize("value", ["mara@example.com", ["mara@example.com"], {"mara@example.com": "mara"}])
def test_a_refusal_holds_no_value(event_type: str, value: object) -> None:
    for name in payload(event_type):
        text = body(event_type, payload(event_type, **{name: value}))

        assert "mara" not in str(refusal(text, source(event_type)))


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """Put any fragment in the place of one field's value, or as the value of a field not heard of."""
    event_type = draw(st.sampled_from(sorted(EVENT_TYPES)))
    data = payload(event_type)
    data[draw(st.sampled_from([*data, "new", ""]))] = "here"
    fragment = draw(FRAGMENTS).encode("utf-8", "surrogatepass")
    return event_type, body(event_type, data).replace(b'"here"', fragment)


@pytest.fixture(scope="module")
def conn(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


def reading(event_type: str) -> sql.Composed:
    """Write the query that reads every id, time and flag of a payload as its column's type."""
    columns = [
        sql.SQL("(data ->> {})::{}").format(field.encode_name, sql.SQL(cast))
        for field in msgspec.structs.fields(EVENT_TYPES[event_type].payload)
        for annotation, cast in CASTS
        if field.type == annotation or annotation in get_args(field.type)
    ]
    return sql.SQL(
        "SELECT (data ->> {})::uuid, (data ->> {})::uuid, data::text, {} "
        "FROM (SELECT convert_from(%s, 'UTF8')::jsonb -> 'data' AS data) AS event"
    ).format(EVENT_TYPES[event_type].user, EVENT_TYPES[event_type].team, sql.SQL(", ").join([*columns, sql.SQL("1")]))


@settings(max_examples=1000, deadline=None)
@given(mutated())
def test_postgres_can_read_whatever_is_let_in(conn: psycopg.Connection, mutation: tuple[str, bytes]) -> None:
    event_type, text = mutation
    try:
        event = check(text, source(event_type))
    except BadPayload:
        return

    row = conn.execute(reading(event_type), [event.reduced or text]).fetchone()

    assert row
    assert row[:2] == (event.user_id, event.team_id)
