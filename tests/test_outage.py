"""How a database is named in the log: where it is, and never how to get in; and that a refusal is no outage."""

import logging

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer import logs
from consumer.process.outage_log import Outage, address, error_text, is_refused


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        ("postgresql://user:hunter2@db.example.com:6432/app?sslmode=require", "db.example.com:6432/app"),
        ("host=/run/postgresql dbname=app password=hunter2", "/run/postgresql:5432/app"),
        ("postgresql:///app", "localhost:5432/app"),
        ("postgresql:///?host=db&port=6432&dbname=app&user=ada&password=hunter2", "db:6432/app"),
        ("postgresql://ada@db/app?passfile=/hunter2", "db:5432/app"),
        ("service=reporting password=hunter2", "service reporting"),
        ("postgresql://ada:hunter2@/?service=x/../hunter2", "..."),
        ("host=::1,db-2.example.com port=5432,6432 dbname=app", "[::1]:5432,db-2.example.com:6432/app"),
        ("postgresql://ada:hunter2@a:1,b:2/app?target_session_attrs=read-write", "a:1,b:2/app"),
        ("postgresql://ada:hunter2@a,b:6432/app", "a:5432,b:6432/app"),
        ("host=a,b,c port=6432 dbname=app password=hunter2", "a:6432,b:6432,c:6432/app"),
        ("postgresql://ada:hunter2@[fe80::1]:1,10.0.0.2/app", "[fe80::1]:1,10.0.0.2:5432/app"),
        ("host=/run/a,/run/b port=1,2 dbname=app", "/run/a:1,/run/b:2/app"),
        ("host=,b dbname=app", "localhost:5432,b:5432/app"),
        ("hostaddr=10.0.0.1,10.0.0.2 port=1,2 dbname=app", "10.0.0.1:1,10.0.0.2:2/app"),
        ("host=a,b port=1,2,3 dbname=app", "..."),
        ("postgresql://ada:x@hunter2@a:1,b:2/app", "..."),
        ("postgresql://ada:x@a:1,hunter2@b:2/app", "..."),
        ("postgresql://ada:1/hunter2@a:1,b:2/app", "..."),
        ("postgresql://[::1]/app", "[::1]:5432/app"),
        ("postgresql://db.example.com", "db.example.com:5432/"),
        ("dbname='postgresql://user:hunter2@h/app'", "..."),
        ("dbname='host=h password=hunter2'", "..."),
        ("postgresql://user:x@hunter2@h/app", "..."),
        ("postgresql://user:hunter2/x@h/app", "..."),
        ("postgresql://user:5432/hunter2@h/app", "..."),
        ("postgresql://user:x@hun/ter2@h/app", "..."),
    ],
)
def test_a_database_is_named_by_where_it_is(conninfo: str, expected: str) -> None:
    assert address(conninfo) == expected


def test_what_a_connection_string_leaves_out_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PGHOST", "db"), ("PGPORT", "6432"), ("PGUSER", "ada"), ("PGPASSWORD", "hunter2")):
        monkeypatch.setenv(name, value)

    assert address("dbname=app") == "db:6432/app"
    assert error_text(psycopg.OperationalError("Connection refused"), "dbname=app") == "Connection refused (login ada)"


def failed(conninfo: str) -> psycopg.OperationalError:
    with pytest.raises(psycopg.OperationalError) as raised:
        psycopg.connect(conninfo)
    return raised.value


@pytest.mark.parametrize("wrong", [{"user": "nobody_here"}, {"dbname": "nothing_here"}], ids=["login", "database"])
def test_a_server_that_answers_and_lets_nobody_in_is_not_away(database_url: str, wrong: dict[str, str]) -> None:
    assert is_refused(failed(make_conninfo(database_url, **wrong)))


@pytest.mark.parametrize(
    ("error_text", "expected"),
    [
        ('connection failed: FATAL:  password authentication failed for user "x"', True),
        ('connection failed: FATAL:  no pg_hba.conf entry for host "::1", user "x"', True),
        ("connection failed: fe_sendauth: no password supplied", True),
        ("connection failed: FATAL:  the database system is starting up", False),
        ("connection failed: FATAL:  sorry, too many clients already", False),
        ("connection failed: Connection refused", False),
        ("consuming input failed: server closed the connection unexpectedly", False),
    ],
)
def test_only_what_no_waiting_cures_is_a_refusal(error_text: str, expected: bool) -> None:
    assert is_refused(psycopg.OperationalError(error_text)) == expected


def test_a_login_that_may_not_enter_its_role_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as conn, pytest.raises(psycopg.Error) as raised:
        conn.execute("SELECT set_config('role', 'nobody_here', TRUE)")

    assert is_refused(raised.value)


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        ("postgresql://ada:hunter2@db:5432/app", 'password authentication failed for user "ada"'),
        ("postgresql://bob:hunter2@db:5432/app", "password authentication failed for user ... (login bob)"),
        ("", "password authentication failed for user ..."),
        (
            "postgresql://ada:x@hunter2@db/app",
            "password authentication failed for user ... (if the password has @ : / # or %, write it percent-encoded)",
        ),
    ],
    ids=["the login", "another login", "no connection string", "a mistyped one"],
)
def test_an_error_names_the_login_of_the_connection_string_and_quotes_nothing_else(
    conninfo: str, expected: str
) -> None:
    error = psycopg.OperationalError('password authentication failed for user "ada"\nDETAIL: more')

    assert error_text(error, conninfo) == expected


@pytest.mark.parametrize(("port", "path"), [("", "/run/pg/.s.PGSQL.5432"), (" port=6543", "/run/pg/.s.PGSQL.6543")])
def test_the_socket_of_the_connection_string_is_named(port: str, path: str) -> None:
    text = f'connection to server on socket "{path}" failed: No such file or directory'

    error = psycopg.OperationalError(text)

    assert error_text(error, f"host=/run/pg{port} dbname=app user=bob") == f"{text} (login bob)"
    assert path not in error_text(error, f"host=/run/other{port} dbname=app user=bob")


SEVERAL = """connection failed: connection to server at "b", port 2 failed: session is read-only
Multiple connection attempts failed. All failures were:
- host: 'a', port: '1', hostaddr: '10.0.0.1': connection failed: FATAL:  password authentication failed for user "ada"
DETAIL:  more
- host: 'b', port: '2', hostaddr: None: connection to server at "b", port 2 failed: session is "read-only\""""


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        (
            "postgresql://ada:hunter2@a:1,b:2/app",
            'connection failed: FATAL:  password authentication failed for user "ada"; '
            'connection to server at "b", port 2 failed: session is ...',
        ),
        (
            "postgresql://ada:hunter2@b:2/app",
            'connection failed: connection to server at "b", port 2 failed: session is read-only (login ada)',
        ),
    ],
    ids=["several hosts", "one"],
)
def test_an_error_of_several_hosts_says_what_each_answered(conninfo: str, expected: str) -> None:
    assert error_text(psycopg.OperationalError(SEVERAL), conninfo) == expected


def test_a_real_error_of_several_hosts_names_each_and_no_password(database_url: str) -> None:
    conninfo = "postgresql://ada:hunter2@127.0.0.1:1,127.0.0.1:2/app"

    text = error_text(failed(conninfo), conninfo)

    assert text.count("port 1 failed: Connection refused") == text.count("port 2 failed: Connection refused") == 1
    assert text.endswith("(login ada)")
    assert "hunter2" not in text


def test_only_turns_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    away, refused = psycopg.OperationalError("Connection refused"), psycopg.OperationalError("no password supplied")
    outage = Outage("worker", "postgresql:///app")

    with caplog.at_level(logging.INFO, "consumer"):
        for error in (None, away, away, refused, refused, None, None):
            outage.record(error)

    assert caplog.messages == [logs.DATABASE_LOST, logs.DATABASE_REFUSED, logs.DATABASE_BACK]
