import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolTimeout, TooManyRequests

from consumer.errors import BadPayload, LostDeliveries, NewerRelease, StatementRefused, UntrustedCode
from consumer.postgres.error_classes import ErrorClass, code, error_class, summary


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        *((state, ErrorClass.TRANSIENT) for state in ("40001", "40P01", "57P01", "57P02", "57P03", "57P04", "08006")),
        *((state, ErrorClass.TRANSIENT) for state in ("53000", "53200", "53300")),
        *((state, ErrorClass.BUSY) for state in ("55P03", "57014")),
        *(
            (state, ErrorClass.OURS)
            for state in ("53100", "25006", "42703", "42501", "0A000", "28000", "3D000", "55000")
        ),
        *((state, ErrorClass.OURS) for state in ("58030", "F0000", "XX000", "21000")),
        *((state, ErrorClass.CONSTRAINT) for state in ("23503", "23505", "23P01", "P0001")),
        *((state, ErrorClass.POISON) for state in ("22P02", "22021", "23502", "23514", "54000", "54001")),
    ],
)
def test_a_sqlstate_says_whose_fault_it_is(sqlstate: str, expected: ErrorClass) -> None:
    assert error_class(errors.lookup(sqlstate)()) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.OperationalError("connection lost"), ErrorClass.TRANSIENT),
        (PoolTimeout(), ErrorClass.TRANSIENT),
        (TooManyRequests(), ErrorClass.TRANSIENT),
        (TimeoutError(), ErrorClass.TRANSIENT),
        (ConnectionResetError(), ErrorClass.TRANSIENT),
        (psycopg.DataError("year out of range"), ErrorClass.POISON),
        (BadPayload("nul", "$", "has a NUL"), ErrorClass.POISON),
        (ZeroDivisionError(), ErrorClass.OURS),
        (psycopg.InterfaceError(), ErrorClass.OURS),
    ],
)
def test_an_error_without_a_sqlstate_is_judged_by_its_type(error: Exception, expected: ErrorClass) -> None:
    assert error_class(error) is expected


def test_an_unknown_error_never_costs_a_delivery() -> None:
    assert {error_class(error) for error in (Exception(), errors.lookup("42601")())} == {ErrorClass.OURS}


def test_what_is_kept_of_an_error_quotes_no_row(database_url: str) -> None:
    with psycopg.connect(database_url) as conn, pytest.raises(psycopg.Error) as raised:
        conn.execute("INSERT INTO consumer.failures VALUES (1, 'mallory@example.com', 0, NULL, 'x', 'y')")

    assert "mallory" in str(raised.value)
    assert code(raised.value) == "23514"
    assert summary(raised.value).startswith("CheckViolation consumer failures failures_")


@pytest.mark.parametrize("state", ["42501", "42P01"])
def test_what_a_trigger_of_the_application_raises_is_not_quoted(database_url: str, state: str) -> None:
    statement = f"DO $$BEGIN RAISE 'permission denied for mallory@example.com' USING ERRCODE = '{state}'; END$$"
    with psycopg.connect(database_url) as conn, pytest.raises(psycopg.Error) as raised:
        conn.execute(statement.encode())

    assert "mallory" in str(raised.value)
    assert (code(raised.value), summary(raised.value)) == (state, type(raised.value).__name__)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("TABLE nowhere", 'UndefinedTable relation "nowhere" does not exist'),
        ("LOCK TABLE nowhere", 'UndefinedTable relation "nowhere" does not exist'),
        ("UPDATE consumer.fence SET migration = 1", "InsufficientPrivilege permission denied for table fence"),
        (
            "SELECT consumer.erase_bodies(gen_random_uuid(), '{}', '{}', '{}')",
            "InsufficientPrivilege no erasure of this user is stored",
        ),
    ],
)
def test_a_table_or_a_privilege_that_is_missing_is_named(database_url: str, statement: str, expected: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("SET LOCAL ROLE consumer_operator")
        with pytest.raises(psycopg.Error) as raised:
            conn.execute(statement.encode())

    assert summary(raised.value) == expected


@pytest.mark.parametrize("state", ["57P05", "25P03", "25P04", "08000", "23001"])
def test_a_session_that_was_ended_is_no_fault_of_a_delivery_and_a_restricted_row_is_its_owners(state: str) -> None:
    wanted = ErrorClass.CONSTRAINT if state == "23001" else ErrorClass.TRANSIENT

    assert error_class(errors.lookup(state)()) is wanted


REFUSED = StatementRefused(errors.lookup("40001")())


@pytest.mark.parametrize(
    ("error", "expected", "kept"),
    [
        (BadPayload("nul", "$.a", "has a NUL"), "nul", "$.a: has a NUL"),
        (LostDeliveries(), "lost", "A statement skipped the delivery."),
        (NewerRelease(), "newer_release", str(NewerRelease())),
        (UntrustedCode(["a", "b"]), "UntrustedCode", "a, b: set WORKER_DATABASE_URL to a login of its own"),
        (REFUSED, "40001", "CONSUMER_PROJECTION_SQL was refused: SerializationFailure"),
        (StatementRefused(ValueError("ada")), "ValueError", "CONSUMER_PROJECTION_SQL was refused: ValueError"),
        (ValueError("ada@example.com"), "ValueError", "ValueError"),
        (psycopg.OperationalError("ada@example.com"), "OperationalError", "OperationalError"),
        (errors.lookup("40001")("ada@example.com"), "40001", "SerializationFailure"),
    ],
)
def test_an_error_has_a_code_and_a_text_that_names_no_person(error: Exception, expected: str, kept: str) -> None:
    assert (code(error), summary(error)) == (expected, kept)


def test_a_statement_that_was_refused_or_skipped_rows_is_the_applications() -> None:
    assert {error_class(error) for error in (REFUSED, LostDeliveries())} == {ErrorClass.CONSTRAINT}


CONSTRAINTS = {
    "INSERT INTO t (n, s) VALUES (1, 1)": "unique constraint t_unique (another row has this value)",
    "INSERT INTO t (n, s) VALUES (2, 9)": (
        "foreign key t_foreign (the other table's row is missing, or still refers to this one)"
    ),
    "INSERT INTO t (n, s) VALUES (-1, 1)": "check constraint t_check (the row does not satisfy it)",
    "INSERT INTO t (n, s, r) VALUES (2, 1, '[1,3)')": (
        "exclusion constraint t_exclusion (it conflicts with another row)"
    ),
}


@pytest.mark.parametrize("statement", CONSTRAINTS)
def test_a_constraint_that_refused_a_row_is_named_with_its_table(database_url: str, statement: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("CREATE TEMPORARY TABLE s (n int PRIMARY KEY)")
        conn.execute(
            "CREATE TEMPORARY TABLE t (n int CONSTRAINT t_unique UNIQUE CONSTRAINT t_check CHECK (n > 0), "
            "s int CONSTRAINT t_foreign REFERENCES s, r int4range, "
            "CONSTRAINT t_exclusion EXCLUDE USING gist (r WITH &&))"
        )
        conn.execute("INSERT INTO s VALUES (1)")
        conn.execute("INSERT INTO t VALUES (1, 1, '[0,2)')")
        [(schema,)] = conn.execute("SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()").fetchall()
        with pytest.raises(psycopg.Error) as raised:
            conn.execute(statement.encode())
        conn.rollback()

    assert summary(StatementRefused(raised.value)) == (
        f"CONSUMER_PROJECTION_SQL was refused: {schema}.t, {CONSTRAINTS[statement]}"
    )


def test_a_column_that_may_not_be_null_is_told_without_a_constraint(database_url: str) -> None:
    with psycopg.connect(database_url) as conn, pytest.raises(psycopg.Error) as raised:
        conn.execute("INSERT INTO consumer.hours (source, hour, n) VALUES (NULL, now(), 1)")

    assert summary(raised.value) == "NotNullViolation consumer hours"
    assert summary(StatementRefused(raised.value)) == (
        "CONSUMER_PROJECTION_SQL was refused: NotNullViolation consumer hours"
    )
