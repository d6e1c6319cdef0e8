"""An error of PostgreSQL that no command expects is one sentence, without the values that PostgreSQL quotes."""

import click
import psycopg
import pytest

from consumer.cli.context import refusals


def test_an_unexpected_error_of_the_database_shows_no_value_of_a_row(emptied: str) -> None:
    twice = """
        CREATE TEMP TABLE people (email text PRIMARY KEY);
        INSERT INTO people VALUES ('ada@example.com'), ('ada@example.com')
    """

    with pytest.raises(click.ClickException) as refused, refusals(), psycopg.connect(emptied) as conn:
        conn.execute(twice)

    assert "The database refused a statement: UniqueViolation" in refused.value.message
    assert "people_pkey" in refused.value.message
    assert "ada@" not in refused.value.message
    assert refused.value.__suppress_context__
