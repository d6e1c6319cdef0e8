"""The functions that mask: what each leaves of a value, at the limits of their lengths."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.databases import session


def masked(url: str, call: str, value: Any) -> Any:
    with session(url) as conn:
        [(found,)] = conn.execute(f"SELECT consumer_masked.{call}".encode(), [value]).fetchall()
        return found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("max@example.com", "m•••••@example.com"),
        ("a@b@example.com", "a•••••@example.com"),
        ("max", "m•••••"),
        ("@example.com", "@•••••@example.com"),
        ("", "•••••"),
        (None, None),
    ],
)
def test_an_address_keeps_its_first_letter_and_its_host(
    database_url: str, value: str | None, found: str | None
) -> None:
    assert masked(database_url, "email(%s)", value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Max Long", "M••• L•••"),
        ("M", "M•••"),
        ("Unknown User", "Unknown User"),
        ("Deleted user", "Deleted user"),
        ("unknown user", "u••• u•••"),
        ("a " * 99 + "b c", "a••• " * 99 + "b••• "),
        ("a" + " b" * 100, "a•••" + " b•••" * 99 + " "),
        (None, None),
    ],
)
def test_a_name_keeps_the_first_letter_of_each_of_its_first_200_characters_words(
    database_url: str, value: str | None, found: str | None
) -> None:
    assert masked(database_url, "name(%s)", value) == found


def test_a_hidden_value_tells_that_it_is_there(database_url: str) -> None:
    assert [masked(database_url, "hidden(%s)", value) for value in ("x", "", None)] == ["•••", "•••", None]


def test_what_a_person_wrote_loses_each_address(database_url: str) -> None:
    value = 'ask max@x.de or <eve@y.de>, "k@z.de"; a@b'

    assert masked(database_url, "written(%s)", value) == 'ask •••••@x.de or •••••@y.de>, "•••••@z.de"; •••••@b'
    assert masked(database_url, "written(%s)", None) is None


KEPT_TEXTS = ("role_type", "department", "deleted_at")
KEPT_IDS = ("type", "id", "user_id", "team_id", "company_id", "permission_id", "selected_team_id")
PERSONAL = ("name", "Email", "image", "avatar", "photo", "picture", "logo", "url", "phone", "address", "metadata")


@pytest.mark.parametrize("key", KEPT_TEXTS)
def test_a_text_that_names_no_person_stays(database_url: str, key: str) -> None:
    assert masked(database_url, "document(%s)", Jsonb({key: "any text at all"})) == {key: "any text at all"}


@pytest.mark.parametrize("key", KEPT_IDS)
def test_an_id_of_100_characters_without_a_space_or_an_at_stays(database_url: str, key: str) -> None:
    values = {"aZ0_.:$-": True, "a" * 100: True, "a" * 101: False, "": False, "a b": False, "a@b": False}

    for value, stays in values.items():
        assert masked(database_url, "document(%s)", Jsonb({key: value})) == {key: value if stays else "•••"}


@pytest.mark.parametrize("key", PERSONAL)
def test_under_a_personal_key_only_truth_values_stay(database_url: str, key: str) -> None:
    for kept in (True, False, None):
        assert masked(database_url, "document(%s)", Jsonb({f"a_{key}_b": kept})) == {f"a_{key}_b": kept}
    hidden: list[object] = [7, 0.5, [], {}, ["x"], {"id": "x"}]
    for value in hidden:
        assert masked(database_url, "document(%s)", Jsonb({f"a_{key}_b": value})) == {f"a_{key}_b": "•••"}


@pytest.mark.parametrize(
    ("key", "found"),
    [("my_name", "M••• @•••"), ("EMAIL", "M•••••@x.de"), ("email_name", "M•••••@x.de"), ("photo", "•••"), ("x", "•••")],
)
def test_a_text_under_a_personal_key_is_masked_as_what_it_is(database_url: str, key: str, found: str) -> None:
    assert masked(database_url, "document(%s)", Jsonb({key: "Max @x.de"})) == {key: found}


@pytest.mark.parametrize("length", [1, 64, 65])
def test_a_key_of_64_plain_characters_stays(database_url: str, length: int) -> None:
    shown = "k" * length if length <= 64 else "•••"

    assert masked(database_url, "document(%s)", Jsonb({"k" * length: True})) == {shown: True}
    assert masked(database_url, "document(%s)", Jsonb({"a b": True})) == {"•••": True}


def test_the_places_of_a_list_stay_and_its_texts_are_judged_by_the_key_above(database_url: str) -> None:
    document = {"id": ["b", "a", "x y"], "k": [3, 1, 2, [True, {}], None]}

    found = masked(database_url, "document(%s)", Jsonb(document))

    assert found == {"id": ["b", "a", "•••"], "k": [3, 1, 2, [True, {}], None]}


@pytest.mark.parametrize("shape", ["lists", "objects"])
def test_sixteen_levels_are_shown_and_the_next_is_hidden(database_url: str, shape: str) -> None:
    def nested(depth: int, core: object) -> object:
        for _ in range(depth):
            core = [core] if shape == "lists" else {"k": core}
        return core

    cores: list[object] = [[], {}]
    for core in cores:
        assert masked(database_url, "document(%s)", Jsonb(nested(15, core))) == nested(15, core)
        assert masked(database_url, "document(%s)", Jsonb(nested(16, core))) == nested(16, "•••")
    assert masked(database_url, "document(%s)", Jsonb(nested(16, 7))) == nested(16, 7)
    assert masked(database_url, "document(%s, '', 1)", Jsonb([[7], 7])) == ["•••", 7]


@pytest.mark.parametrize("size", [99_999, 100_000, 100_001])
def test_a_body_of_100_000_bytes_is_read_and_a_longer_one_is_not(database_url: str, size: int) -> None:
    body = b'"' + b"x" * (size - 2) + b'"'

    assert masked(database_url, "body(%b)", body) == ("•••" if size <= 100_000 else None)


def test_an_address_is_found_in_any_case_and_only_whole_and_up_to_320_bytes(emptied: str) -> None:
    last, beyond = (f"{'é' * 150}{'a' * rest}@example.com" for rest in (8, 9))
    addresses = {5: "Max@Example.com", 3: "max@example.COM", 4: "max@example.org", 6: None, 7: last, 8: beyond}
    with psycopg.connect(emptied) as conn:
        for number, address in addresses.items():
            conn.execute(
                "INSERT INTO identity.stack_user_profiles (stack_user_id, stack_primary_email) VALUES (%s, %s)",
                [UUID(int=number), address],
            )
        found = {
            asked: [user.int for (user,) in conn.execute("SELECT consumer_masked.users_by_email(%s)", [asked])]
            for asked in ("MAX@example.com", "max@example", last, beyond, "")
        }
        conn.rollback()

    assert (len(last.encode()), len(beyond.encode())) == (320, 321)
    assert found == {"MAX@example.com": [3, 5], "max@example": [], last: [7], beyond: [], "": []}


@pytest.mark.parametrize(("members", "name"), [(0, "M••• L•••"), (1, "M••• L•••"), (2, "Max Long"), (3, "Max Long")])
def test_a_company_bears_its_name_from_its_second_member_on(emptied: str, members: int, name: str) -> None:
    with psycopg.connect(emptied) as conn:
        conn.execute("INSERT INTO identity.companies (id, name) VALUES (%s, 'Max Long')", [UUID(int=1)])
        conn.execute("INSERT INTO identity.companies (id, name) VALUES (%s, 'Other')", [UUID(int=2)])
        for number in range(members):
            conn.execute(
                "INSERT INTO identity.company_members (company_id, user_id, removed_at) VALUES (%s, %s, now())",
                [UUID(int=1), UUID(int=10 + number)],
            )
        for number in range(2):
            conn.execute(
                "INSERT INTO identity.company_members (company_id, user_id) VALUES (%s, %s)",
                [UUID(int=2), UUID(int=20 + number)],
            )
        found = conn.execute("SELECT name FROM consumer_masked.companies ORDER BY id").fetchall()
        conn.rollback()

    assert found == [(name,), ("Other",)]
