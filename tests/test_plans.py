"""A tenant's queries find their rows by an index, among a hundred thousand profiles and under the policies."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection

from bench.tenants import QUERIES, fill
from consumer.postgres import migrations
from consumer.postgres.queries import query
from tests.support.databases import scratch_database
from tests.support.plans import nodes
from tests.support.tenants import reader

pytestmark = pytest.mark.slow

PAGE = "SELECT user_id FROM identity.profiles WHERE company_id = '{company}'"
SHORT = "octet_length(role_type) <= 256 AND octet_length(department) <= 256"
BY = {
    "profiles_pkey": "SELECT full_name FROM identity.profiles WHERE user_id = '{user}'",
    "profiles_company_id": PAGE + " AND user_id = '{user}'",
    "profiles_role_type": PAGE + f" AND role_type = 'admin' AND {SHORT}",
    "profiles_department": PAGE + f" AND department = 'Department 7' AND {SHORT}",
    "profiles_updated_at": PAGE + " ORDER BY updated_at DESC, user_id DESC LIMIT 20",
    "profiles_search_name": PAGE + " AND search_name >= 'ada jos' AND search_name < 'ada jot'",
}


@pytest.fixture(scope="module")
def crowded(server_url: str) -> Iterator[str]:
    """A hundred thousand profiles in 5,000 companies, one of which has half of them."""
    with scratch_database(server_url, "crowded") as url:
        migrations.apply(url, "consumer")
        with psycopg.connect(url) as conn:
            fill(conn, profiles=100_000, companies=5_000)
        yield url


def company(url: str, number: int) -> str:
    with psycopg.connect(url) as conn:
        [(found,)] = conn.execute("SELECT md5('company' || %s::text)::uuid", [number]).fetchall()
    return str(found)


def explained(conn: Connection[Any], statement: str) -> list[Mapping[str, Any]]:
    [(plan,)] = conn.execute(f"EXPLAIN (FORMAT JSON) {statement}".encode()).fetchall()
    return nodes(plan[0]["Plan"])


@pytest.mark.parametrize("number", [0, 1], ids=["large", "small"])
@pytest.mark.parametrize("role", ["tenant", "app"])
@pytest.mark.parametrize(("index", "statement"), BY.items(), ids=BY)
def test_a_query_uses_its_index(crowded: str, index: str, statement: str, role: str, number: int) -> None:
    """In the small company any of its indexes is as good."""
    company_id = company(crowded, number)

    with reader(crowded, role, company=company_id) as conn:
        plan = explained(conn, statement.format(company=company_id, user=uuid4()))

    used = {node["Index Name"] for node in plan if "Index Name" in node}
    assert index in used if number == 0 else any(name.startswith("profiles_") for name in used)
    assert "Seq Scan" not in {node["Node Type"] for node in plan}


def test_policies_alone_find_a_companys_people_by_an_index(crowded: str) -> None:
    """Half of the table is rather read whole."""
    with reader(crowded, company=company(crowded, 1)) as conn:
        plan = explained(conn, QUERIES["everybody, no company named"])

    assert {node["Node Type"] for node in plan} >= {"BitmapOr", "Bitmap Heap Scan"}


def test_policies_look_for_the_context_once_and_not_once_a_row(crowded: str) -> None:
    with reader(crowded, company=company(crowded, 0)) as conn:
        plan = explained(conn, "SELECT count(*) FROM identity.profiles")

    kinds = {node["Parent Relationship"] for node in plan if "Subplan Name" in node}
    assert kinds == {"InitPlan"}


@pytest.mark.parametrize("role", ["tenant", "app"])
@pytest.mark.parametrize(
    ("number", "name"), [pytest.param(0, "ada jos", id="prefix"), pytest.param(501, "jos", id="substring")]
)
def test_a_search_reads_the_indexes_and_no_table_whole(crowded: str, role: str, number: int, name: str) -> None:
    with psycopg.connect(crowded) as conn:
        conn.execute("LOAD 'auto_explain'")
        conn.execute("SET LOCAL auto_explain.log_min_duration = 0")
        conn.execute("SET LOCAL auto_explain.log_nested_statements = on")
        conn.execute("SET LOCAL auto_explain.log_format = json")
        conn.execute("SET LOCAL client_min_messages = log")
        conn.execute("SELECT set_config('app.company_id', %s, TRUE)", [company(crowded, number)])
        conn.execute(f"SET LOCAL ROLE consumer_{role}")
        told: list[str] = []
        conn.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))

        found = conn.execute("SELECT full_name FROM identity.search_profiles(%s, 1)", [name]).fetchall()
        conn.rollback()

    plans = [nodes(json.loads(text[text.index("{") :])["Plan"]) for text in told if "plan:" in text]
    used = {node["Index Name"] for plan in plans for node in plan if "Index Name" in node}
    assert ["José" in full_name for (full_name,) in found] == [True]
    assert "profiles_search_name" in used
    assert not [node for plan in plans for node in plan if node["Node Type"] == "Seq Scan"]


@pytest.mark.parametrize("number", [0, 1, 5_000], ids=["large", "small", "guests"])
@pytest.mark.parametrize("role", ["tenant", "app"])
def test_a_page_reads_no_more_than_pages(crowded: str, role: str, number: int) -> None:
    """In the last company nobody is at home, and every fifth person is a guest."""
    size = 20
    values = {"role_type": None, "after": UUID(int=1 << 126), "size": size}

    with reader(crowded, role, company=company(crowded, number)) as conn:
        [(plan,)] = conn.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + query("profiles/page"), values).fetchall()

    read = {node["Node Type"]: node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan[0]["Plan"])}
    assert max(read.values()) <= 10 * size
