"""The library's profiles: typed, by page, by role and by name, and never more than the caller's context shows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from consumer import profiles
from consumer.errors import BadQuery
from consumer.profiles import PAGE_SIZE_MAX, ROLE_BYTES_MAX, Company, Profile, acting_as
from tests.support.factories import membership, team_event, user_deleted, user_updated
from tests.support.worker import drain_all, stored, worker

T = TypeVar("T")
Work = Callable[[psycopg.AsyncConnection[Any]], Awaitable[T]]
CREW, OTHERS = UUID(int=1, version=4), UUID(int=2, version=4)
ADA, JOSE, GUEST, STRANGER, GONE = (UUID(int=number, version=4) for number in range(11, 16))


@dataclass(frozen=True)
class Place:
    """A database with two companies: Ada and José at home in one, a guest of it at home in the other."""

    url: str

    async def asked(self, work: Work[T], role: str = "tenant", **context: UUID) -> T:
        """Do an application's work, with rows of the application's own taste."""

        async with (
            await psycopg.AsyncConnection.connect(self.url, autocommit=True, row_factory=dict_row) as conn,
            acting_as(conn, f"consumer_{role}", **context),
        ):
            return await work(conn)


@pytest.fixture
async def place(emptied: str) -> Place:
    people = [
        (ADA, "Ada", {"role": "admin", "company_id": str(CREW)}),
        (JOSE, "José", {"company_id": str(CREW)}),
        (GUEST, "Joseph", {"role": "admin", "company_id": str(OTHERS)}),
        (STRANGER, "Josefine", {"company_id": str(OTHERS)}),
        (GONE, "Jo", {"company_id": str(CREW)}),
    ]
    await stored(
        emptied,
        [
            team_event("created", CREW, display_name="Crew"),
            team_event("created", OTHERS),
            *(user_updated(user_id, display_name=name, server_metadata=metadata) for user_id, name, metadata in people),
            membership("created", CREW, GUEST),
            user_deleted(GONE),
        ],
    )
    await drain_all(emptied, worker())
    return Place(emptied)


def ids(found: list[Profile]) -> list[UUID]:
    return [profile.user_id for profile in found]


async def test_a_profile_is_what_its_row_says(place: Place) -> None:
    found = await place.asked(lambda conn: profiles.get(conn, ADA), company_id=CREW)

    assert found
    assert (found.user_id, found.company_id, found.full_name, found.email) == (ADA, CREW, "Ada", "ada@example.com")
    assert (found.role_type, found.department, found.deleted_at) == ("admin", "General", None)
    assert found.created_at == found.updated_at


@pytest.mark.parametrize(
    ("user_id", "is_seen"),
    [(ADA, True), (GUEST, True), (STRANGER, False), (GONE, False), (uuid4(), False)],
    ids=["at home", "guest", "stranger", "deleted", "nobody"],
)
async def test_a_company_sees_its_own_and_its_guests(place: Place, user_id: UUID, is_seen: bool) -> None:
    assert await place.asked(lambda conn: profiles.exists(conn, user_id), company_id=CREW) is is_seen
    assert (await place.asked(lambda conn: profiles.get(conn, user_id), company_id=CREW) is not None) is is_seen


async def test_a_person_sees_itself_and_nobody_else(place: Place) -> None:
    assert await place.asked(lambda conn: profiles.exists(conn, ADA), user_id=ADA)
    assert not await place.asked(lambda conn: profiles.exists(conn, JOSE), user_id=ADA)


async def test_without_a_company_or_a_person_nothing_is_seen(place: Place) -> None:
    assert await place.asked(lambda conn: profiles.get(conn, ADA)) is None
    assert await place.asked(profiles.page) == []


async def test_the_backend_gets_the_deleted_too_and_they_exist_no_more(place: Place) -> None:
    found = await place.asked(lambda conn: profiles.get(conn, GONE), "app")

    assert found
    assert found.deleted_at
    assert not await place.asked(lambda conn: profiles.exists(conn, GONE), "app")


@pytest.mark.parametrize("role", ["tenant", "app"])
async def test_pages_follow_each_other_through_the_whole_company(place: Place, role: str) -> None:
    first = await place.asked(lambda conn: profiles.page(conn, size=2), role, company_id=CREW)
    second = await place.asked(lambda conn: profiles.page(conn, size=2, after=first[-1].user_id), role, company_id=CREW)

    assert (ids(first), ids(second)) == ([ADA, JOSE], [GUEST])


@pytest.mark.parametrize("role", ["tenant", "app"])
async def test_a_role_is_looked_for_among_those_whom_the_company_sees(place: Place, role: str) -> None:
    assert ids(await place.asked(lambda conn: profiles.by_role(conn, "admin"), role, company_id=CREW)) == [ADA, GUEST]
    assert ids(await place.asked(lambda conn: profiles.by_role(conn, "admin", after=ADA), role, company_id=CREW)) == [
        GUEST
    ]


@pytest.mark.parametrize("role", ["tenant", "app"])
async def test_a_name_is_found_by_its_part_without_accents(place: Place, role: str) -> None:
    assert ids(await place.asked(lambda conn: profiles.search(conn, "JOS"), role, company_id=CREW)) == [JOSE, GUEST]
    assert ids(await place.asked(lambda conn: profiles.search(conn, "sep"), role, company_id=CREW)) == [GUEST]


async def test_a_profile_comes_with_its_home_where_that_may_be_seen(place: Place) -> None:
    at_home = await place.asked(lambda conn: profiles.with_company(conn, ADA), company_id=CREW)
    guest = await place.asked(lambda conn: profiles.with_company(conn, GUEST), company_id=CREW)

    assert at_home
    assert guest
    assert at_home.company == Company(CREW, "Crew", None, {})
    assert (guest.profile.user_id, guest.company) == (GUEST, None)
    assert await place.asked(lambda conn: profiles.with_company(conn, STRANGER), company_id=CREW) is None


async def test_an_edit_is_a_delivery_that_wins_until_it_is_withdrawn(place: Place) -> None:
    await place.asked(lambda conn: profiles.edit(conn, JOSE, {"role_type": "owner", "company_id": OTHERS}), "app")
    await drain_all(place.url, worker())
    edited = await place.asked(lambda conn: profiles.get(conn, JOSE), "app")
    await place.asked(lambda conn: profiles.edit(conn, JOSE, {"role_type": None, "company_id": None}), "app")
    await drain_all(place.url, worker())
    withdrawn = await place.asked(lambda conn: profiles.get(conn, JOSE), "app")

    assert edited
    assert withdrawn
    assert (edited.role_type, edited.company_id) == ("owner", OTHERS)
    assert (withdrawn.role_type, withdrawn.company_id) == ("member", CREW)


async def test_a_tenant_edits_nobody(place: Place) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await place.asked(lambda conn: profiles.edit(conn, ADA, {"role_type": "owner"}), company_id=CREW)


async def test_what_is_no_edit_is_refused(place: Place) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        await place.asked(lambda conn: profiles.edit(conn, ADA, {"role_type": " "}), "app")


@pytest.mark.parametrize("size", [0, -1, PAGE_SIZE_MAX + 1])
async def test_a_page_has_a_size_that_can_be_held(place: Place, size: int) -> None:
    with pytest.raises(BadQuery):
        await place.asked(lambda conn: profiles.page(conn, size=size), company_id=CREW)


async def test_a_role_that_no_index_holds_is_refused(place: Place) -> None:
    with pytest.raises(BadQuery):
        await place.asked(lambda conn: profiles.by_role(conn, "é" * (ROLE_BYTES_MAX // 2 + 1)), company_id=CREW)


async def test_the_context_ends_with_its_transaction(place: Place) -> None:
    context = "SELECT current_user = session_user, current_setting('app.company_id', TRUE)"

    async with await psycopg.AsyncConnection.connect(place.url, autocommit=True) as conn:
        async with acting_as(conn, company_id=CREW):
            assert await profiles.exists(conn, ADA)
        left = await (await conn.execute(context)).fetchone()

    assert left == (True, "")
