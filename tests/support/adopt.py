"""Two applications as they were before ours, whose tables are adopted."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.application import tables
from tests.support.cli import call, facts
from tests.support.databases import rows

DATA = Path(__file__).parents[1] / "data" / "adopt"


@dataclass(frozen=True)
class Shape:
    """An application as it was before us, and what it calls things."""

    url: str
    file: Path
    table: str
    key: str
    companies: str
    orders: str
    name: str
    role: str
    company: str
    touch: str

    def adopted(self) -> None:
        """Plan, write and grant."""
        facts(self.url, "adopt", "plan", "--table", self.table, "--write", str(self.file))
        facts(self.url, "adopt", "grant", "--table", self.table)

    def work(self) -> None:
        """Apply what is due, in a worker that has the statement."""
        result = call(self.url, "work", "--drain", CONSUMER_PROJECTION_SQL=str(self.file))
        assert result.exit_code == 0, result.output

    def fill(self, *arguments: str) -> Any:
        """Fill in, and return the document."""
        return facts(self.url, "adopt", "fill", *arguments, CONSUMER_PROJECTION_SQL=str(self.file))

    def people(self) -> dict[UUID, dict[str, Any]]:
        """Return their rows by Stack's ids, as they stand."""
        return {UUID(str(row[self.key])): row for row in rows(self.url, f"SELECT * FROM {self.table}")}


@pytest.fixture(params=["a", "b"])
def shape(request: pytest.FixtureRequest, emptied: str, tmp_path: Path) -> Iterator[Shape]:
    file = tmp_path / "projection.sql"
    made = {
        "a": Shape(
            emptied, file, "shape_a.profiles", "user_id", "shape_a.companies", "shape_a.orders",
            "full_name", "role_type", "company_id", "shape_a.touch",
        ),
        "b": Shape(
            emptied, file, 'shape_b."user"', "id", "shape_b.organizations", "shape_b.invoices",
            "displayName", "role", "organizationId", "shape_b.touch",
        ),
    }[request.param]  # fmt: skip
    source = {"a": "profiles_and_companies.sql", "b": "users_and_organizations.sql"}[request.param]
    with tables(emptied, (DATA / source).read_text(), f"DROP SCHEMA IF EXISTS shape_{request.param} CASCADE"):
        yield made


def put(shape: Shape, user_id: UUID, **values: str) -> None:
    """Let the application have a row of its own, with an order."""
    given = {
        "a": {"department": "Sales", "locale": "de", "role_type": "chief"},
        "b": {"email": f"{user_id}@old.example.com", "role": "OWNER"},
    }[shape.table[6]] | values
    names, marks = ", ".join(f'"{name}"' for name in given), ", ".join(["%s"] * (len(given) + 1))
    with psycopg.connect(shape.url) as conn:
        conn.execute(
            f"INSERT INTO {shape.table} ({shape.key}, {names}) VALUES ({marks})", [str(user_id), *given.values()]
        )
        conn.execute(f"INSERT INTO {shape.orders} (user_id) VALUES (%s)", [str(user_id)])
