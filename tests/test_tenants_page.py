"""Every statement on the page about tenants runs as it stands there, and shows what the page says."""

import re
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support.databases import rows
from tests.support.processes import ROOT
from tests.support.tenants import join, reader, seen

PAGE = (ROOT / "docs" / "TENANTS.md").read_text()
LOGIN, BY_HAND, QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
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
    of_companies, of_mirror = said.split("of `companies`")
    both = ["consumer_app", "consumer_tenant"]

    assert {(row["relname"], row["attname"]): row["roles"] for row in refused} == {
        **{("companies", name): ["consumer_tenant"] for name in re.findall(r"`(\w+)`", of_companies)},
        **{("stack_user_profiles", name): both for name in re.findall(r"`(\w+)` ?(?=,|and|of)", of_mirror)},
    }
