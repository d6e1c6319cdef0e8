"""Bodies without a person's data: byte by byte in those about others, ids alone in those about the person."""

from uuid import UUID

import orjson
import pytest

from consumer.events import personal
from consumer.events.check import check
from consumer.events.personal import Person, Traces
from consumer.events.registry import EVENT_TYPES
from tests.support.factories import snapshot
from tests.support.samples import VALID, body

USER, TEAM, OTHER = UUID(int=1 << 96 | 1), UUID(int=1 << 96 | 2), UUID(int=1 << 96 | 3)
PERSON = Person(USER, {TEAM}, {"a@b.example", "ü@b.example"})
DEEP = b"[" * 2000 + b"]" * 2000


def cut(text: str, source: str = "stack", person: Person = PERSON) -> str | None:
    made = personal.without(text.encode(), source, person)
    return None if made is None else made.body.decode()


ABOUT_USERS = {name: text for name, text in VALID.items() if EVENT_TYPES[orjson.loads(text)["type"]].user}


@pytest.mark.parametrize("text", ABOUT_USERS.values(), ids=ABOUT_USERS.keys())
def test_every_recorded_body_loses_all_but_type_ids_and_the_name_of_a_permission(text: bytes) -> None:
    known = EVENT_TYPES[orjson.loads(text)["type"]]

    erased = personal.erased(text, USER)

    assert erased is not None
    document = orjson.loads(erased)
    assert document["type"] == orjson.loads(text)["type"]
    is_permission = "permission" in document["type"]
    assert document["data"].keys() <= {known.user, known.team, *(["id"] if is_permission else [])}
    assert document["data"][known.user] == str(USER)
    assert personal.erased(erased, USER) == erased


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"type": "user.deleted", "data": {"id": "%s"}}', None),
        (b'{"data": {"user_id": "%s", "team_id": "%s"}, "type": "team_membership.created"}', None),
        (b'{"type": "user.deleted", "data": {"id": "%s"}, "note": 1}', {"id": str(USER)}),
        (b'{"type": "user.deleted", "data": {"id": "%s", "teams": []}}', {"id": str(USER)}),
        (b'{"type": "user.deleted", "data": "%s"}', {"id": str(USER)}),
        (b'{"type": "user.deleted", "data": {"id": 7}}', {"id": str(USER)}),
        (b'{"type": "team_membership.created", "data": {"team_id": "Ada", "user_id": "%s"}}', {"user_id": str(USER)}),
        (b'{"type": "of.a.type.to.come", "data": {"name": "Ada"}}', {"user_id": str(USER)}),
        (b'{"type": "user.created", "data": {"id": "%s", "n": "\\ud800", "deep": ' + DEEP + b"}}", {"id": str(USER)}),
    ],
)
def test_a_body_about_the_person_is_cut_to_its_ids(text: bytes, expected: object) -> None:
    filled = text.replace(b"%s", str(USER).upper().encode())

    erased = personal.erased(filled, USER)

    assert erased is not None
    assert (erased == filled) if expected is None else (orjson.loads(erased)["data"] == expected)


def test_a_type_that_is_no_text_goes() -> None:
    assert personal.erased(body(7, {"id": str(USER)}), USER) == orjson.dumps({"data": {"user_id": str(USER)}})


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'"a@b.example"'])
def test_a_body_that_is_no_object_can_not_be_cut(text: bytes) -> None:
    assert personal.erased(text, USER) is None
    assert personal.traces(text) == Traces()


def test_names_and_addresses_are_collected_of_the_user_and_of_linked_accounts() -> None:
    providers = [{"email": "o@b.example"}, {"email": None}, "junk"]

    found = personal.traces(
        body("user.updated", {"display_name": " Ada ", "primary_email": "a@b.example", "oauth_providers": providers})
    )

    assert found == Traces(frozenset({"Ada"}), frozenset({"a@b.example", "o@b.example"}))
    assert (
        personal.traces(body("user.updated", {"display_name": " ", "primary_email": 7, "oauth_providers": 7}))
        == Traces()
    )
    assert personal.traces(orjson.dumps({"data": 7})) == Traces()


def test_values_are_searched_for_in_both_spellings_of_json() -> None:
    assert set(personal.needles({"Zoë", "", '"@b'})) == {b"Zo\\u00eb", "Zoë".encode(), b'\\"@b'}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"type":"x","data":{"n":[1.10, "a@b.example"]}}', '{"type":"x","data":{"n":[1.10, null]}}'),
        ('{"type":"x","data":{"a@b.example" :  1}}', '{"type":"x","data":{"" :  1}}'),
        ('{"type":"x","data":{"n":"\\u00fc@b.example"}}', '{"type":"x","data":{"n":null}}'),
        ('{"type":"x","data":{"n":"to a@b.example"}}', None),
        ('{"type":"x","data":{"n":"A@b.example"}}', None),
        ('{"type":"x","data":{"n":"\\ud800"}}', None),
        (
            f'{{"type":"x","data":{{"user":{{"n":"a@b.example","id":"{USER}"}}}}}}',
            f'{{"type":"x","data":{{"user":{{"id":"{USER}"}}}}}}',
        ),
        (f'{{"type":"x","data":{{"user":{{"id":"{OTHER}"}}}}}}', None),
        ('{"type":"x","data":{"user":7}}', None),
        ('{"type":"x","data":7}', None),
        ("[]", None),
        ("{ no json", None),
        ('{ no json "a@b.example"', "{ no json null"),
    ],
)
def test_structured_places_in_other_bodies_are_replaced_and_nothing_else(text: str, expected: str | None) -> None:
    assert cut(text) == expected


@pytest.mark.parametrize("verb", ["created", "updated"])
def test_an_own_team_loses_name_and_logo(verb: str) -> None:
    data = {"id": str(TEAM).upper(), "display_name": "Ada's", "profile_image_url": None, "created_at_millis": 1}
    text = body(f"team.{verb}", data)

    made = personal.without(text, "stack", PERSON)

    assert made is not None
    assert orjson.loads(made.body)["data"]["display_name"] is None
    assert check(made.body, "stack").team_id == TEAM
    assert personal.without(made.body, "stack", PERSON) is None
    assert personal.without(text.replace(str(TEAM).upper().encode(), str(OTHER).encode()), "stack", PERSON) is None


def test_what_is_read_instead_of_a_body_is_made_anew() -> None:
    data = {**snapshot(), "id": str(OTHER), "server_metadata": "a@b.example", "client_metadata": "@nul"}
    filled = body("user.updated", data).replace(b"@nul", rb"\u0000")

    made = personal.without(filled, "stack", PERSON)

    assert made is not None
    assert made.reduced == check(made.body, "stack").reduced
    assert b"a@b.example" not in (made.reduced or b"a@b.example")


def test_without_an_address_of_its_own_only_ids_count() -> None:
    assert cut('{"type":"x","data":{"n":"a@b.example"}}', person=Person(USER)) is None


def selected(team: object) -> frozenset[UUID]:
    return personal.traces(body("user.updated", {"selected_team": team})).team_ids


def test_the_selected_team_is_collected_where_it_has_an_id() -> None:
    assert selected({"id": str(TEAM)}) == {TEAM}
    assert selected({"id": str(TEAM).upper(), "display_name": "Ada's"}) == {TEAM}
    for team in ({"id": TEAM.hex}, {"id": f"{TEAM}0"}, {"id": 7}, {"id": " "}, {}, str(TEAM), None, [str(TEAM)]):
        assert selected(team) == frozenset()


def test_what_several_bodies_give_is_put_together() -> None:
    one = Traces(frozenset({"Ada"}), frozenset({"a@b.example"}), frozenset({TEAM}))
    other = Traces(frozenset({"Bob"}), frozenset({"o@b.example"}), frozenset({OTHER}))

    assert one | other == Traces(
        frozenset({"Ada", "Bob"}), frozenset({"a@b.example", "o@b.example"}), frozenset({TEAM, OTHER})
    )
    assert one | Traces() == Traces() | one == one


@pytest.mark.parametrize(
    ("event_type", "data", "kept"),
    [
        (
            "team_permission.created",
            {"id": "admin", "team_id": str(TEAM), "user_id": "x", "name": "Ada"},
            {"team_id": str(TEAM), "id": "admin", "user_id": str(USER)},
        ),
        (
            "team_permission.deleted",
            {"id": 7, "team_id": f"{TEAM}0"},
            {"user_id": str(USER)},
        ),
        ("project_permission.created", {"id": "admin", "team_id": str(TEAM)}, {"id": "admin", "user_id": str(USER)}),
        ("team_membership.created", {"id": "x", "team_id": str(TEAM)}, {"team_id": str(TEAM), "user_id": str(USER)}),
        ("user.updated", {"id": "x", "team_id": str(TEAM)}, {"id": str(USER)}),
        ("user.to_come", {"id": "x", "user_id": "x", "team_id": str(TEAM)}, {"team_id": str(TEAM), "id": str(USER)}),
        ("team.to_come", {"id": "x", "team_id": str(TEAM)}, {"team_id": str(TEAM), "user_id": str(USER)}),
    ],
)
def test_a_body_keeps_its_team_and_the_name_of_a_permission(
    event_type: str, data: dict[str, object], kept: dict[str, object]
) -> None:
    erased = personal.erased(body(event_type, data), USER)

    assert erased is not None
    assert orjson.loads(erased) == {"type": event_type, "data": kept}


def test_an_own_team_loses_each_text_that_it_has_and_no_other_value() -> None:
    text = (
        f'{{"type":"team.updated","data":{{"id":"{TEAM}","display_name":"Ada","profile_image_url":"https://x",'
        '"created_at_millis":1,"other":"Ada"}}'
    )

    assert cut(text) == text.replace('"display_name":"Ada"', '"display_name":null').replace('"https://x"', "null")
    assert cut(text.replace("team.updated", "team.deleted")) is None
    assert cut(text.replace('"type":"team.updated",', "")) is None
    assert cut(text.replace(str(TEAM), str(OTHER))) is None


def test_an_address_is_replaced_at_each_of_its_places_and_a_user_object_once() -> None:
    user = f'{{"id":"{str(USER).upper()}","email":"a@b.example"}}'
    text = '["a@b.example",{"a@b.example":"a@b.example","b":["a@b.example"]}]'

    assert cut(text) == '[null,{"":null,"b":[null]}]'
    assert cut(f'{{"type":"x","data":{{"user":{user},"by":"a@b.example"}}}}') == (
        f'{{"type":"x","data":{{"user":{{"id":"{USER}"}},"by":null}}}}'
    )


def test_what_is_searched_for_is_sorted_and_each_text_stands_once() -> None:
    assert personal.needles(["b", "a", "b", "é"]) == [b"\\u00e9", b"a", b"b", "é".encode()]
