"""Every statement on the page about tenants runs as it stands there, and shows what the page says."""

import re
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support.application import tables
from tests.support.databases import rows
from tests.support.effects import applied
from tests.support.factories import membership, team_event, user_deleted
from tests.support.processes import ROOT
from tests.support.tenants import join, reader, seen

PAGE = (ROOT / "docs" / "TENANTS.md").read_text()
LIVING, LOGIN, BY_HAND, QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
# What stands in a call of an ORM's, with its parameters.
SNIPPETS = {
    "SQLAlchemy": re.findall(r'text\("(.*?)"\)', PAGE),
    "Drizzle": re.findall(r"sql`(.*?)`", PAGE),
    "Prisma": re.findall(r"\$queryRaw`(.*?)`", PAGE),
}
PARAMETER = re.compile(r"\$\{(\w+)\}|(?<!:):(\w+)")


def statements(text: str) -> list[str]:
    return [each.strip() for each in re.sub(r"--.*", "", text).split(";") if each.strip()]


@pytest.mark.lone_server
async def test_the_login_of_the_page_reads_under_its_role_only(emptied: str) -> None:
    company_id, user_id = UUID(re.findall(r"app.company_id = '(.*?)'", BY_HAND)[0]), uuid4()
    await join(emptied, company_id, user_id)
    with psycopg.connect(emptied, autocommit=True) as admin:
        admin.execute(LOGIN.encode())
        try:
            url = make_conninfo(emptied, user="shop", password="…")
            with psycopg.connect(url, autocommit=True) as conn:
                results = [conn.execute(each.encode()) for each in statements(BY_HAND)]
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute("SELECT user_id FROM identity.profiles")
        finally:
            admin.execute("DROP ROLE shop")

    assert [row for result in results if result.description for row in result.fetchall()] == [(user_id, "Ada")]


async def test_the_view_of_the_living_leaves_out_the_deleted_and_shows_a_tenant_its_own(emptied: str) -> None:
    company_id, here, gone, elsewhere = (uuid4() for _ in range(4))
    await join(emptied, company_id, here, gone)
    await join(emptied, uuid4(), elsewhere)
    await applied(emptied, user_deleted(gone))

    with tables(emptied, LIVING, "DROP VIEW public.living_profiles"):
        all_of_them = seen(emptied, "SELECT user_id FROM public.living_profiles", "app")
        its_own = seen(emptied, "SELECT user_id FROM public.living_profiles", company=company_id)
        nobodys = seen(emptied, "SELECT user_id FROM public.living_profiles")
        with_the_deleted = seen(emptied, "SELECT user_id FROM identity.profiles", "app")

    assert (set(all_of_them), its_own, nobodys) == ({here, elsewhere}, [here], [])
    assert set(with_the_deleted) == {here, elsewhere, gone}


async def test_the_row_of_a_guest_names_the_home_whose_own_row_stays_hidden(emptied: str) -> None:
    assert "names the guest's home" in PAGE
    home, company_id, guest = uuid4(), uuid4(), uuid4()
    await join(emptied, home, guest)
    await applied(emptied, team_event("created", company_id), membership("created", company_id, guest))

    assert seen(emptied, "SELECT company_id FROM identity.profiles", company=company_id) == [home]
    assert seen(emptied, "SELECT id FROM identity.companies", company=company_id) == [company_id]


@pytest.mark.parametrize("library", SNIPPETS)
async def test_the_statements_of_a_snippet_enter_and_read(emptied: str, library: str) -> None:
    company_id, user_id = uuid4(), uuid4()
    await join(emptied, company_id, user_id)
    await join(emptied, uuid4(), uuid4())
    values = {"company_id": company_id, "companyId": company_id, "userId": user_id, "name": "ad"}

    enter, read = (PARAMETER.sub(r"%(\1\2)s", text) for text in SNIPPETS[library])
    with psycopg.connect(emptied) as conn:
        conn.execute(enter.encode(), {name: str(value) for name, value in values.items()})
        found = conn.execute(read.encode(), values).fetchall()

    assert len(found) == 1
    assert found[0][0] in {user_id, company_id}


@pytest.mark.parametrize("statement", statements(QUERIES))
@pytest.mark.parametrize("role", ["tenant", "app"])
def test_a_query_of_the_page_runs(emptied: str, statement: str, role: str) -> None:
    with reader(emptied, role, company=uuid4()) as conn:
        assert conn.execute(statement.encode()).fetchall() == []


def test_every_relation_and_function_of_the_table_exists(emptied: str) -> None:
    table = PAGE[PAGE.index("|---") : PAGE.index("A guest is")]
    relations = set(
        re.findall(r"`([a-z_]+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
    )

    stored = seen(emptied, "SELECT relname::text FROM pg_class WHERE relnamespace = 'identity'::regnamespace", "app")
    assert relations - {"stack_metadata", "consumer"} <= set(stored)


def test_the_columns_that_no_application_reads_are_those_of_the_page(database_url: str) -> None:
    refused = rows(
        database_url,
        "SELECT c.relname, a.attname, array_agg(r.role ORDER BY r.role) AS roles "
        "FROM pg_class AS c INNER JOIN pg_attribute AS a ON c.oid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped "
        "CROSS JOIN unnest(ARRAY['consumer_app', 'consumer_tenant']) AS r (role) "
        "WHERE c.relnamespace = 'identity'::regnamespace AND c.relkind IN ('r', 'p', 'v') "
        "AND NOT has_column_privilege(r.role, c.oid, a.attnum, 'SELECT') GROUP BY c.relname, a.attname",
    )
    [said] = re.findall(r"These are (.*?)\n\n", PAGE, re.DOTALL)
    of_companies, others = said.split("of `companies`")
    of_members, others = others.split("of `company_members`")
    of_audit, of_mirror = others.split("of `profile_audit`")
    both = ["consumer_app", "consumer_tenant"]

    assert {(row["relname"], row["attname"]): row["roles"] for row in refused} == {
        **{("companies", name): ["consumer_tenant"] for name in re.findall(r"`(\w+)`", of_companies)},
        **{("company_members", name): ["consumer_tenant"] for name in re.findall(r"`(\w+)`", of_members)},
        **{("profile_audit", name): ["consumer_tenant"] for name in re.findall(r"`(\w+)`", of_audit)},
        **{("stack_user_profiles", name): both for name in re.findall(r"`(\w+)` ?(?=,|and|of)", of_mirror)},
    }
