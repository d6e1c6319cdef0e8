"""How a database is named in the log: where it is, and never how to get in."""

import pytest

from consumer.cli.outage import where


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        ("postgresql://user:hunter2@db.example.com:6432/app?sslmode=require", "db.example.com:6432/app"),
        ("host=/run/postgresql dbname=app password=hunter2", "/run/postgresql:5432/app"),
        ("postgresql:///app", "localhost:5432/app"),
        ("dbname='postgresql://user:hunter2@h/app'", "localhost:5432/"),
        ("dbname='host=h password=hunter2'", "localhost:5432/"),
    ],
)
def test_a_database_is_named_by_where_it_is(conninfo: str, expected: str) -> None:
    assert where(conninfo) == expected
