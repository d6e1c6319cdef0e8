"""Where a connection string's query begins, what of it is dropped, and what of it is translated."""

import pytest

from consumer.settings.conninfo import ENCODING_HINT, for_libpq

DROPPED = "parameters that libpq does not know were dropped: pgbouncer."


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param("h/d?pgbouncer=true&application_name=a?b", "h/d?application_name=a?b", id="a later question mark"),
        pytest.param("u@h?pgbouncer=true&application_name=a@b", "u@h?application_name=a@b", id="a later at sign"),
        pytest.param("h/d?pgbouncer=1&application_name=a@b/c", "h/d?application_name=a@b/c", id="and a later slash"),
        pytest.param("u@?host=h&pgbouncer=true", "u@?host=h", id="no host"),
        pytest.param("?host=h&pgbouncer=true", "?host=h", id="nothing but a query"),
        pytest.param("h/d?pgbouncer=a=b", "h/d", id="an equals sign in a value"),
        pytest.param("u:p?w@h/d?pgbouncer=true", "u:p?w@h/d", id="a question mark in the password"),
        pytest.param("u:p?@h/d?pgbouncer=true", "u:p?@h/d", id="a question mark at the password's end"),
        pytest.param("u:p@h/d@e?pgbouncer=true", "u:p@h/d@e", id="an at sign in the database's name"),
        pytest.param("h/d?pg%62ouncer=true&sslmode=require", "h/d?sslmode=require", id="a name that is encoded"),
    ],
)
def test_what_is_of_other_clients_is_dropped_wherever_the_query_begins(text: str, read: str) -> None:
    assert for_libpq(f"postgresql://{text}") == (f"postgresql://{read}", [DROPPED])


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://h/d?application_name=a://b",
        "postgresql://h/d?sslmode=verify-full&connect_timeout=3",
        "postgres://u:p@h:1/d",
        "host=h dbname=d",
    ],
)
def test_what_libpq_knows_is_kept_as_it_is(text: str) -> None:
    assert for_libpq(text) == (text, [])


@pytest.mark.parametrize(
    ("query", "read", "warnings"),
    [
        ("ssl=1", "?sslmode=require", ["ssl=1 was read as sslmode=require."]),
        ("ssl=0", "?sslmode=prefer", ["ssl=0 was read as sslmode=prefer."]),
        ("ssl=true", "?ssl=true", []),
        ("sslmode=true", "?sslmode=require", ["sslmode=true was read as sslmode=require."]),
        ("connect_timeout=1", "?connect_timeout=1", []),
        ("ssl=on&connect_timeout=1", "?sslmode=require&connect_timeout=1", ["ssl=on was read as sslmode=require."]),
        ("sslmode=no-verify", "?sslmode=require", ["sslmode=no-verify was read as sslmode=require."]),
        ("ssl=true&sslmode=verify-full", "?sslmode=verify-full", ["ssl=true was read as nothing."]),
        ("ssl=false&sslmode=disable", "?sslmode=disable", ["ssl=false was read as nothing."]),
    ],
)
def test_other_clients_words_for_encryption_are_translated(query: str, read: str, warnings: list[str]) -> None:
    assert for_libpq(f"postgresql://h/d?{query}") == (f"postgresql://h/d{read}", warnings)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("u:p?w@h/d?sslmod=require", "it does not know the parameter sslmod"),
        ("h/d?sslmod=require&connect_timeout=3&port_no=1", "it does not know the parameter sslmod, port_no"),
        ("h/d?sslmod=require&password=x", ENCODING_HINT),
        ("u:p%zz@h/d?sslmod=require", ENCODING_HINT),
    ],
)
def test_what_libpq_does_not_know_is_named_if_nothing_else_is_wrong(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match="is not a connection string that libpq understands") as raised:
        for_libpq(f"postgresql://{text}")

    assert str(raised.value).endswith(f"; {hint}")


@pytest.mark.parametrize("scheme", ["mysql", "Postgresql", "postgresqls", "jdbc", "jdbc:mysql", "postgres+"])
def test_another_scheme_is_refused(scheme: str) -> None:
    with pytest.raises(ValueError, match=r"^must start with postgresql:// or postgres://$"):
        for_libpq(f"{scheme}://h/d")


@pytest.mark.parametrize("query", ["", "?connect_timeout=3", "?pgbouncer=true"])
def test_the_driver_is_dropped_and_its_scheme_kept(query: str) -> None:
    url, warnings = for_libpq(f"jdbc:postgres+psycopg://h/d{query}")

    assert url == f"postgres://h/d{'' if 'pg' in query else query}"
    assert warnings[0] == "the driver in jdbc:postgres+psycopg:// was dropped."


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
def test_libpqs_own_modes_mean_themselves(mode: str) -> None:
    assert for_libpq(f"postgres://h/d?sslmode={mode}") == (f"postgres://h/d?sslmode={mode}", [])
    assert for_libpq(f"postgres://h/d?ssl={mode}")[0] == f"postgres://h/d?sslmode={mode}"


@pytest.mark.parametrize("text", ["h=1 q", "app", "host='h"])
def test_a_text_of_words_that_libpq_cannot_read_gets_no_hint_at_urls(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is not a connection string that libpq understands$"):
        for_libpq(text)
