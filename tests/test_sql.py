"""Every query is planned by the server, and reads as house style asks."""

import re
from pathlib import Path

import psycopg
import pytest

from consumer.postgres.queries import query

QUERIES = Path(__file__).parent.parent / "sql" / "queries"
NAMES = sorted(str(path.relative_to(QUERIES).with_suffix("")) for path in QUERIES.rglob("*.sql"))
# Commands that have no plan.
UNPLANNED = {
    "embedded_logins/make",
    "migration_records/make",
    "migrations/make_roles",
    "session/listen",
    "session/check_constraints",
}
PARAMETER = re.compile(r"%\((\w+)\)(\w)(::)?")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in UNPLANNED])
def test_the_server_plans_the_query(database_url: str, name: str) -> None:
    text = query(name)
    parameters = dict.fromkeys(match[0] for match in PARAMETER.findall(text.decode()))

    with psycopg.connect(database_url) as conn:
        plan = conn.execute(b"EXPLAIN " + text, parameters).fetchall()

    assert plan


@pytest.mark.parametrize("name", [name for name in NAMES if b"%(seqs)b" in query(name)])
def test_claimed_deliveries_are_never_looked_for_among_all_of_their_users(database_url: str, name: str) -> None:
    """Were that way cheaper once, the cost of a batch would grow with all that its users ever sent."""
    text = query(name)
    parameters: dict[str, object] = dict.fromkeys(match[0] for match in PARAMETER.findall(text.decode()))

    with psycopg.connect(database_url) as conn:
        for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin"):
            conn.execute(f"SET LOCAL enable_{way} = off")
        plan = str(conn.execute(b"EXPLAIN " + text, {**parameters, "seqs": [1, 2, 3]}).fetchall())

    assert "outbox_user_id" not in plan


@pytest.mark.parametrize("name", NAMES)
def test_a_query_says_what_it_promises_and_casts_each_parameter(name: str) -> None:
    text = query(name).decode()

    assert re.match(r"-- [A-Z]\S* .*\w", text)
    assert all(kind == "b" and cast for _, kind, cast in PARAMETER.findall(text))
    assert not re.search(r"SELECT \*|SELECT\s+\*", text)


def test_what_is_made_of_a_body_is_made_of_the_reduced_one() -> None:
    """The signed bytes may hold what PostgreSQL can't cast."""
    casts = [cast for name in NAMES for cast in re.findall(r"convert_from\(.{24}", query(name).decode())]

    assert len(casts) > 4
    assert set(casts) == {"convert_from(coalesce(o.reduced, o.bo"}


def test_whatever_knows_a_delivery_already_waits_for_its_first_copy() -> None:
    """Only recorded_settings/declare_company may go without: no sender gets an answer for it."""
    functions = (QUERIES.parent / "schema.sql").read_text().split("CREATE FUNCTION ")[1:]
    texts = {name: query(name).decode() for name in NAMES} | {text.split("(")[0]: text for text in functions}
    storing = {
        name: "pg_logical_emit_message(TRUE" in text
        for name, text in texts.items()
        if "INSERT INTO consumer.outbox" in text and "DO NOTHING" in text
    }

    assert storing == {
        "recorded_settings/declare_company": False,
        "storage/put": True,
        "storage/put_dead": True,
        "consumer.store_app_event": True,
    }


@pytest.mark.parametrize("name", [name for name in NAMES if b"seq_before(" in query(name)])
def test_a_query_looks_once_for_the_number_of_a_time(name: str) -> None:
    """A bare call in a condition runs for each row that another index finds: thousands of searches of the log."""
    text = query(name).decode()

    assert len(re.findall(r"\(SELECT (?:\w+\(.*)?consumer\w*\.seq_before\(", text)) == text.count("seq_before(")


def test_a_name_without_a_file_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        query("outbox/nonsense")
