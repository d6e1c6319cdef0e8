"""The same rows and the same answers in every locale that the server has for a database."""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support.cli import call, examined
from tests.support.databases import rows
from tests.support.factories import edited, membership, team_event, user_updated
from tests.support.names import own
from tests.support.outbox import arrive, work
from tests.support.tenants import seen

# What each adds to CREATE DATABASE; a server says which of them it has.
LOCALES = {
    "C": "LOCALE 'C'",
    "C.UTF-8": "LOCALE 'C.UTF-8'",
    "Turkish": "LOCALE 'tr_TR.UTF-8'",
    "German": "LOCALE 'de_DE.UTF-8'",
    "ICU, Turkish": "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C'",
    "ICU, upper first, digits by value": "LOCALE_PROVIDER icu ICU_LOCALE 'en-u-kf-upper-kn' LOCALE 'C'",
    "ICU, without case and accents": "LOCALE_PROVIDER icu ICU_LOCALE 'und-u-ks-level1' LOCALE 'C'",
    "built in": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'",
    "built in, full": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST' LOCALE 'C'",
}
COMPANY = UUID(int=0x4D)
# Each is found by the others, whatever the locale makes of a letter.
ALIKE = [
    ("ALI INAN", "ali inan", "Alı ınan", "Ali İnan"),
    ("ÉMILE", "émile", "emile"),
    ("STRASSE", "straße", "STRAẞE"),
    ("ΝΙΚΟΣ", "νίκος", "νικοσ"),
    ("ЁЛКА", "ёлка"),
    ("ԱՐԱՄ", "արամ"),
    ("ƏLİ", "əli"),
    ("Łódź", "LODZ"),
]
# Names, and people who edit, in an order that no locale has but C.
NAMES = [
    "Zoe",
    "ada",
    "Ångström",
    "ali",
    "ALI",
    "İpek",
    "ıpek",
    "Ipek",
    "z10",
    "z9",
    "_",
    "Émile",
    "Éva",
    "eva",
    "Straße",
]


@pytest.fixture(scope="module", params=LOCALES)
def database(request: pytest.FixtureRequest, server_url: str) -> Iterator[str]:
    name = own("locale")
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        try:
            conn.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {LOCALES[request.param]}")
        except psycopg.Error as error:
            pytest.skip(f"the server has no such locale ({error.sqlstate})")
        try:
            url = make_conninfo(server_url, dbname=name)
            assert call(url, "migrate").exit_code == 0
            yield url
        finally:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def filled(database: str) -> str:
    people = [(UUID(int=n), name) for n, name in enumerate(NAMES + [name for names in ALIKE for name in names], 1)]
    arrive_all = [
        team_event("created", COMPANY, display_name="I"),
        *(user_updated(user_id, display_name=name, server_metadata={"role": name}) for user_id, name in people),
        *(membership("created", COMPANY, user_id) for user_id, _ in people),
        *(
            edited(UUID(int=1), edited_by=name, reason=name, **{field: name})
            for name, field in (("a", "role_type"), ("B", "department"), ("ı", "role_type"))
        ),
    ]
    asyncio.run(arrive(database, *arrive_all))
    asyncio.run(work(database))
    return database


def found(url: str, name: str) -> list[str]:
    names = seen(url, f"SELECT full_name FROM identity.search_profiles('{name}', 100)", "tenant", company=COMPANY)
    return [str(name) for name in names]


@pytest.mark.parametrize("names", ALIKE, ids=lambda names: str(names[0]))
def test_a_name_is_found_by_each_form_of_it(filled: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert set(names) <= set(found(filled, name))


def test_names_are_found_in_one_order(filled: str) -> None:
    everybody = found(filled, "")

    by_bytes = [row["search_name"] for row in rows(filled, "SELECT search_name FROM identity.profiles")]
    assert [fold["search_name"] for fold in folded(filled, everybody)] == sorted(by_bytes)
    assert found(filled, "ipek") == ["İpek", "ıpek", "Ipek"]
    assert found(filled, "a")[:2] == ["ada", "ali"]


def folded(url: str, names: list[str]) -> list[dict[str, object]]:
    values = ", ".join(f"({n}, '{name}')" for n, name in enumerate(names))
    return rows(url, f"SELECT identity.folded(name) AS search_name FROM (VALUES {values}) AS v (n, name) ORDER BY n")


def test_the_audit_names_people_in_one_order(filled: str) -> None:
    [row] = rows(filled, "SELECT edited_by, reason FROM identity.profile_audit WHERE edited_by IS NOT NULL")

    assert row == {"edited_by": "B, ı", "reason": "B, ı"}


def test_the_doctor_has_nothing_against_it(filled: str) -> None:
    _, checks = examined(filled)

    assert [checks[name]["state"] for name in ("encoding", "worker's queries")] == ["ok", "ok"]


def letters() -> list[str]:
    """Return the letters of the alphabets in the list of identity.folded that have a small form of one letter."""
    blocks = [*range(0x80, 0x180), *range(0x370, 0x400), *range(0x400, 0x530), *range(0x530, 0x590)]
    return [letter for letter in map(chr, blocks) if letter != letter.lower() and len(letter.lower()) == 1]


def test_both_cases_of_every_letter_are_one(database: str) -> None:
    capitals = letters()

    assert len(capitals) > 300
    assert folded(database, capitals) == folded(database, [letter.lower() for letter in capitals])
