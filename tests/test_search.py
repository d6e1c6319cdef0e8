"""Names are found within a company by any part, whatever their case and accents; the rest of I1 and I2 is in plans."""

from uuid import UUID, uuid4

import pytest
from psycopg.errors import InsufficientPrivilege

from consumer.settings.settings import DeletePolicy
from tests.support.databases import change, rows
from tests.support.effects import applied, under
from tests.support.factories import membership, team_event, user_deleted, user_updated
from tests.support.tenants import join, seen


async def named(url: str, *names: str) -> UUID:
    """Make a company with people of these names."""
    company_id = uuid4()
    people = [(uuid4(), name) for name in names]
    await applied(
        url,
        team_event("created", company_id),
        *(user_updated(user_id, display_name=name) for user_id, name in people),
        *(membership("created", company_id, user_id) for user_id, _ in people),
    )
    return company_id


def found(url: str, company_id: UUID, name: str, role: str = "tenant", size: int = 50) -> list[str]:
    return seen(url, f"SELECT full_name FROM identity.search_profiles('{name}', {size})", role, company=company_id)


@pytest.mark.parametrize(
    ("full_name", "name"),
    [
        ("José", "jos"),
        ("José", "JOSÉ"),
        ("Jose\u0301", "josé"),
        ("María José", "jose"),
        ("Łukasz Żółć", "lukasz zolc"),
        ("Straße", "STRASSE"),
        ("Ångström", "angs"),
        ("Ｗｉｄｅ", "wide"),
        ("ﬁona", "fiona"),
        ("İpek", "ipek"),
        ("Иван", "ИВА"),
        ("김철수", "김철"),
        ("100%_a\\b", "%_a\\b"),
        ("🦊 Fox", "🦊"),
    ],
)
@pytest.mark.parametrize("role", ["tenant", "app"])
async def test_a_name_is_found_by_a_part_of_it(emptied: str, full_name: str, name: str, role: str) -> None:
    company_id = await named(emptied, full_name, "Nobody")

    assert found(emptied, company_id, name, role) == [full_name]


async def test_those_that_begin_with_it_come_first_and_a_page_is_no_longer_than_asked(emptied: str) -> None:
    company_id = await named(emptied, "Cora Ann", "Zoe Ann", "Anna", "Ann", "Bo")

    assert found(emptied, company_id, "ann") == ["Ann", "Anna", "Cora Ann", "Zoe Ann"]
    assert found(emptied, company_id, "ann", size=3) == ["Ann", "Anna", "Cora Ann"]
    assert found(emptied, company_id, "ann", size=1) == ["Ann"]
    assert found(emptied, company_id, "") == ["Ann", "Anna", "Bo", "Cora Ann", "Zoe Ann"]
    assert found(emptied, company_id, "x") == []


async def test_a_changed_name_is_found_by_the_new_one_only(emptied: str) -> None:
    company_id, user_id = await named(emptied), uuid4()
    for name in ("Ada Byron", "Ada King"):
        await applied(emptied, user_updated(user_id, display_name=name), membership("created", company_id, user_id))

    assert found(emptied, company_id, "king") == ["Ada King"]
    assert found(emptied, company_id, "byron") == []


async def test_a_guest_is_found_and_another_companys_people_are_not(emptied: str) -> None:
    ours, theirs, guest = uuid4(), await named(emptied, "Ada of theirs"), uuid4()
    await join(emptied, ours, uuid4())
    await join(emptied, theirs, guest)
    await applied(emptied, user_updated(guest, display_name="Ada Guest"), membership("created", ours, guest))

    assert found(emptied, ours, "ada") == ["Ada", "Ada Guest"]
    assert found(emptied, ours, "gue") == ["Ada Guest"]
    assert found(emptied, theirs, "ada") == ["Ada Guest", "Ada of theirs"]


async def test_a_guest_is_found_by_the_present_name_and_only_while_a_guest(emptied: str) -> None:
    home, ours, guest = uuid4(), await named(emptied, "Ada"), uuid4()
    await join(emptied, home, guest)
    await applied(emptied, user_updated(guest, is_anonymous=True), membership("created", ours, guest))
    await applied(emptied, user_updated(guest, display_name="Ada Müller"))
    assert found(emptied, ours, "muller") == ["Ada Müller"]

    await applied(emptied, user_updated(guest, display_name="Ada Meier"))
    assert found(emptied, ours, "muller") == []
    assert found(emptied, ours, "a") == ["Ada", "Ada Meier"]

    await applied(emptied, user_updated(guest, display_name="Ada Meier", server_metadata={"company_id": str(ours)}))
    assert found(emptied, ours, "meier") == ["Ada Meier"]
    assert found(emptied, home, "meier") == ["Ada Meier"]

    await applied(emptied, membership("deleted", home, guest))
    assert found(emptied, home, "meier") == []


@pytest.mark.parametrize("policy", ["soft", "anonymise", "hard"])
async def test_a_deleted_guest_is_found_by_no_name_and_none_is_kept(emptied: str, policy: DeletePolicy) -> None:
    ours, guest = await named(emptied, "Ada"), uuid4()
    await join(emptied, uuid4(), guest)
    await applied(emptied, user_updated(guest, display_name="Ada Guest"), membership("created", ours, guest))

    await applied(await under(emptied, policy), user_deleted(guest))

    assert found(emptied, ours, "") == ["Ada"]
    assert not rows(emptied, "SELECT FROM identity.company_members WHERE search_name IS NOT NULL")


async def test_a_row_that_no_worker_wrote_is_found_too(emptied: str) -> None:
    company_id = await named(emptied, "Ada Inan")
    change(
        emptied,
        "INSERT INTO identity.profiles (user_id, company_id, full_name, role_type, department) "
        f"VALUES (gen_random_uuid(), '{company_id}', 'ALI INAN', 'member', 'General')",
    )

    assert found(emptied, company_id, "ali") == ["ALI INAN"]
    assert found(emptied, company_id, "INAN") == ["Ada Inan", "ALI INAN"]
    assert found(emptied, company_id, "inan", size=1) == ["Ada Inan"]
    assert sorted(found(emptied, company_id, "")) == ["ALI INAN", "Ada Inan"]


async def test_a_company_that_is_deleted_finds_nobody(emptied: str) -> None:
    company_id = await named(emptied, "Ada")
    await applied(emptied, team_event("deleted", company_id))

    assert found(emptied, company_id, "ada") == []


def test_a_tenant_reads_no_search_name_of_a_membership(database_url: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        seen(database_url, "SELECT search_name FROM identity.company_members", company=uuid4())


@pytest.mark.parametrize("role", ["tenant", "app"])
async def test_without_a_company_nobody_is_found(emptied: str, role: str) -> None:
    await named(emptied, "Ada")

    assert seen(emptied, "SELECT user_id FROM identity.search_profiles('ada')", role) == []


async def test_no_length_of_a_name_role_or_department_refuses_a_delivery(emptied: str) -> None:
    """Text that does not compress, three times what an index entry may hold."""
    long = "".join(str(uuid4()) for _ in range(250))
    user_id, company_id = uuid4(), uuid4()
    metadata = {"role": long, "department": long, "company_id": str(company_id)}

    outcomes = await applied(
        emptied, team_event("created", company_id), user_updated(user_id, server_metadata=metadata)
    )
    await applied(emptied, user_updated(user_id, display_name="é" * 256, server_metadata=metadata))

    assert outcomes == ["applied", "applied"]
    assert rows(emptied, "SELECT length(role_type) AS n FROM identity.profiles") == [{"n": len(long)}]
    assert found(emptied, company_id, "e" * 300) == ["é" * 256]
