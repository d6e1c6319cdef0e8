"""Connection strings as people have them: made for other clients of PostgreSQL than libpq."""

import pytest

from consumer.settings.client_parameters import CLIENTS
from consumer.settings.conninfo import PARAMETERS
from tests.support.settings import URL, load


@pytest.mark.parametrize(
    ("given", "kept", "dropped"),
    [
        (f"{URL}?schema=public&pgbouncer=true", URL, "schema, pgbouncer"),
        (f"{URL}?sslmode=require&connection_limit=5", f"{URL}?sslmode=require", "connection_limit"),
        (
            f"{URL}?schema=x&options=-c%20search_path%3Da+b&sslmode=disable",
            f"{URL}?options=-c%20search_path%3Da+b&sslmode=disable",
            "schema",
        ),
        ("postgres://u:p?schema=x@h/d?pool_timeout=3", "postgres://u:p?schema=x@h/d", "pool_timeout"),
        ("postgres://h/d?application_name=a@b&schema=x", "postgres://h/d?application_name=a@b", "schema"),
        ("postgres://u@h/d?application_name=a@b&schema=x@y", "postgres://u@h/d?application_name=a@b", "schema"),
        ("postgresql:///app?host=/run/postgresql&schema=x", "postgresql:///app?host=/run/postgresql", "schema"),
        ("postgresql://a:1,b:2/d?statement_cache_size=0", "postgresql://a:1,b:2/d", "statement_cache_size"),
    ],
)
def test_what_an_orm_adds_to_a_url_is_dropped_with_a_warning(given: str, kept: str, dropped: str) -> None:
    loaded = load({"WORKER_DATABASE_URL": given})

    assert loaded.worker_database_url == kept
    assert loaded.warnings == (f"WORKER_DATABASE_URL: parameters that libpq does not know were dropped: {dropped}.",)


@pytest.mark.parametrize("scheme", ["postgresql+asyncpg", "postgresql+psycopg", "jdbc:postgresql"])
def test_the_driver_in_a_url_is_dropped_with_a_warning(scheme: str) -> None:
    loaded = load({"DATABASE_URL": f"{scheme}://u@h/d"})

    assert loaded.database_url == "postgresql://u@h/d"
    assert loaded.warnings == (f"DATABASE_URL: the driver in {scheme}:// was dropped.",)


@pytest.mark.parametrize("client", CLIENTS)
def test_each_parameter_of_another_client_is_dropped_in_any_spelling(client: str) -> None:
    names = CLIENTS[client].split()
    spellings = [*names, *(name.replace("_", "-") for name in names), *map(str.upper, names)]

    loaded = load({"DATABASE_URL": f"{URL}?{'&'.join(f'{name}=1' for name in spellings)}"})

    assert loaded.database_url == URL
    assert loaded.warnings == (
        f"DATABASE_URL: parameters that libpq does not know were dropped: {', '.join(spellings)}.",
    )


def test_no_parameter_of_libpq_is_dropped() -> None:
    names = PARAMETERS - {"ssl", "sslmode", "user", "password", "host", "port", "dbname", "service"}
    query = "&".join(f"{name}=1" for name in sorted(names))

    assert load({"DATABASE_URL": f"{URL}?{query}"}).database_url == f"{URL}?{query}"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("ssl=1", "sslmode=require"),
        ("ssl=no-verify", "sslmode=require"),
        ("ssl=require", "sslmode=require"),
        ("ssl=verify-full", "sslmode=verify-full"),
        ("sslmode=no-verify", "sslmode=require"),
        ("ssl=false", "sslmode=prefer"),
        ("sslmode=verify-full&ssl=true", "sslmode=verify-full"),
        ("ssl=1&sslmode=verify-ca&schema=x", "sslmode=verify-ca"),
    ],
)
def test_a_mode_of_encryption_is_translated_and_never_weakened(given: str, kept: str) -> None:
    loaded = load({"DATABASE_URL": f"{URL}?{given}"})

    assert loaded.database_url == f"{URL}?{kept}"
    assert any("was read as" in warning for warning in loaded.warnings)


@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"{URL}?sslmode=verify-full&application_name=a&channel_binding=require",
        f"{URL}?options=endpoint%3Dep-cool-1&connect_timeout=9&keepalives=0",
        f"{URL}?ssl=true",
        "postgres://[::1]:5432/d?",
    ],
)
def test_a_url_that_libpq_takes_is_left_as_it_is(url: str) -> None:
    loaded = load({"DATABASE_URL": url})

    assert (loaded.database_url, loaded.warnings) == (url, ())
