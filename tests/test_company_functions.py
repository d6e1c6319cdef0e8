"""The functions by which a company finds its people, row by row: which they return, in which order, and how many."""

from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.databases import reset
from tests.support.rolled_back import Conn

HOME, OTHER, ENDED = (UUID(int=number) for number in (1, 2, 3))


@pytest.fixture
def conn(conn: Conn) -> Conn:
    """Three companies, of which one is deleted."""
    for company in (HOME, OTHER, ENDED):
        conn.execute(
            "INSERT INTO identity.companies (id, guest_key, deleted_at) VALUES (%s, %s, %s)",
            [company, UUID(int=company.int + 100), "2026-11-03" if company == ENDED else None],
        )
    return conn


def act_for(conn: Conn, company: UUID | None = None, user: int | None = None) -> None:
    conn.execute("SELECT set_config('app.company_id', %s, TRUE)", [str(company or "")])
    conn.execute("SELECT set_config('app.user_id', %s, TRUE)", [str(UUID(int=user)) if user else ""])


def person(
    conn: Conn,
    number: int,
    name: str = "n",
    *,
    search_name: str | None = None,
    guest_of: UUID | None = None,
    home: UUID | None = HOME,
    role: str = "member",
    deleted: bool = False,
) -> None:
    conn.execute(
        "INSERT INTO identity.profiles "
        "(user_id, company_id, full_name, role_type, department, search_name, deleted_at) "
        "VALUES (%s, %s, %s, %s, '', %s, CASE WHEN %s THEN now() END)",
        [UUID(int=number), home, name, role, name if search_name is None else search_name, deleted],
    )
    if guest_of:
        member(conn, number, guest_of, is_guest=True, name=name)


def member(
    conn: Conn,
    number: int,
    company: UUID,
    *,
    is_guest: bool = False,
    is_removed: bool = False,
    name: str | None = None,
) -> None:
    conn.execute(
        "INSERT INTO identity.company_members (company_id, user_id, is_guest, search_name, removed_at) "
        "VALUES (%s, %s, %s, %s, CASE WHEN %s THEN now() END)",
        [company, UUID(int=number), is_guest, name if is_guest else None, is_removed],
    )


def numbers(conn: Conn, call: str, *values: Any) -> list[int]:
    return [found.int for (found,) in conn.execute(f"SELECT {call}".encode(), values or None).fetchall()]


@pytest.mark.parametrize(
    ("company", "is_active", "key"), [(HOME, True, 101), (OTHER, True, 102), (ENDED, False, None), (None, False, None)]
)
def test_only_an_active_company_has_a_guest_key(
    conn: Conn, company: UUID | None, is_active: bool, key: int | None
) -> None:
    act_for(conn, company)

    found = conn.execute("SELECT identity.is_current_company_active(), identity.current_guest_key()").fetchone()

    assert found == (is_active, UUID(int=key) if key else None)


def test_a_user_is_at_the_companies_that_have_not_removed_it(conn: Conn) -> None:
    member(conn, 7, HOME)
    member(conn, 7, OTHER, is_removed=True)
    member(conn, 7, ENDED, is_guest=True)
    member(conn, 8, OTHER)

    found = {}
    for user in (7, 8, 9, None):
        act_for(conn, user=user)
        [(companies,)] = conn.execute("SELECT identity.current_memberships()").fetchall()
        found[user] = set(companies)

    assert found == {7: {HOME, ENDED}, 8: {OTHER}, 9: set(), None: set()}


def test_guests_come_by_user_id_page_by_page(conn: Conn) -> None:
    for number in (15, 13, 11):
        person(conn, number, home=OTHER, guest_of=HOME, role="admin" if number == 13 else "member")
    person(conn, 12, home=OTHER, guest_of=HOME, deleted=True)
    person(conn, 14, home=HOME)
    member(conn, 14, HOME)
    person(conn, 16, home=HOME, guest_of=OTHER)
    person(conn, 17, home=OTHER, guest_of=ENDED)
    member(conn, 18, HOME, is_guest=True)
    call = "identity.current_guests(%s, %s, %s)"
    act_for(conn, HOME)

    assert numbers(conn, call, None, None, 10) == [11, 13, 15]
    assert numbers(conn, call, None, None, 2) == [11, 13]
    assert numbers(conn, call, UUID(int=11), None, 2) == [13, 15]
    assert numbers(conn, call, UUID(int=10), None, 1) == [11]
    assert numbers(conn, call, UUID(int=15), None, 10) == []
    assert numbers(conn, call, None, "admin", 10) == [13]
    assert numbers(conn, call, UUID(int=13), "member", 10) == [15]
    act_for(conn, OTHER)
    assert numbers(conn, call, None, None, 10) == [16]
    for company in (ENDED, None):
        act_for(conn, company)
        assert numbers(conn, call, None, None, 10) == []


# Numbers and names, of which every second is a guest; two share a name.
NAMES = {
    40: "ada",
    39: "ada",
    38: "ada lovelace",
    37: "bo ada",
    36: "adam",
    35: "xada",
    34: "ad",
    33: "ada\U0010fffe",
    32: "zoe",
    31: "a_a",
    30: "a%a",
    29: "a\\a",
    28: "adb",
    27: "bo ada",
}
# Profiles that no worker has written: they have no search name.
BARE = {26: "Béa Ada", 25: "ADA", 24: "Zed"}


def expected(wanted: str, size: int) -> list[tuple[int, int]]:
    """Return the users of a search and their places, by the plain rule."""
    known = [(name, number) for number, name in NAMES.items()]
    first = sorted(pair for pair in known if pair[0].startswith(wanted))
    if not wanted:
        first = sorted([*known, *(("", number) for number in BARE)])
    others = sorted(pair for pair in known if wanted in pair[0] and not pair[0].startswith(wanted))
    page = [number for _, number in [*first, *others]][:size]
    found = list(zip(page, range(1, len(page) + 1), strict=True))
    if wanted and len(page) < size:
        bare = sorted(number for number, name in BARE.items() if wanted in name.lower().replace("é", "e"))
        found += list(zip(bare[: size - len(page)], range(size + 1, size + 1 + len(bare)), strict=False))
    return found


@pytest.mark.parametrize("found_by", ["indexes", "rows"])
@pytest.mark.parametrize("wanted", ["ada", "a", "ad", "", "_", "%", "\\", "o", "zoe", "none", "bea"])
def test_names_that_begin_with_a_text_come_first_then_those_that_hold_it_then_bare_rows(
    conn: Conn, wanted: str, found_by: str
) -> None:
    if found_by == "rows":
        conn.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")
        conn.execute("SET LOCAL enable_indexonlyscan = off")
    for number, name in NAMES.items():
        if number % 2:
            person(conn, number, name, home=OTHER, guest_of=HOME)
        else:
            person(conn, number, name)
    for number, name in BARE.items():
        person(conn, number, name, search_name="")
    person(conn, 50, "ada of others", home=OTHER)
    member(conn, 51, OTHER, is_guest=True, name="ada")
    person(conn, 52, "ada of the ended", home=ENDED)
    member(conn, 53, HOME, is_guest=True)
    act_for(conn, HOME)

    for size in range(20):
        found = conn.execute("SELECT * FROM identity.current_matches(%s, %s)", [wanted, size]).fetchall()
        assert [(user.int, place) for user, place in found] == expected(wanted, size), size
    for company in (ENDED, None):
        act_for(conn, company)
        assert conn.execute("SELECT * FROM identity.current_matches(%s, 9)", [wanted]).fetchall() == []


def test_a_search_finds_fifty_in_the_order_of_their_places_unless_told(conn: Conn) -> None:
    for number in range(160, 100, -1):
        person(conn, number, f"ada {number}")
    act_for(conn, HOME)
    found = conn.execute("SELECT user_id FROM identity.search_profiles('ADA')").fetchall()
    three = conn.execute("SELECT user_id FROM identity.search_profiles('ADA', 3)").fetchall()

    assert [user.int for (user,) in found] == list(range(101, 151))
    assert [user.int for (user,) in three] == [101, 102, 103]


@pytest.mark.parametrize("length", [255, 256, 257])
def test_a_name_is_compared_by_its_first_256_characters(database_url: str, length: int) -> None:
    reset(database_url)
    with psycopg.connect(database_url) as conn:
        for letter, folded in (("A", "a"), ("É", "e")):
            [(found,)] = conn.execute("SELECT identity.folded(%s)", [letter * length]).fetchall()
            assert found == folded * min(length, 256)
