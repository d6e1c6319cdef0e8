"""The application's way to report a sign-in in SQL: stored like a signed event, refused like one, and for it alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, InvalidParameterValue

from consumer.events.check import check
from consumer.providers.payload import MILLIS_MAX, MILLIS_MIN
from consumer.providers.standard_webhooks import MESSAGE_ID_CHARACTERS_MAX
from tests.support.databases import rows, schema_change
from tests.support.effects import profile
from tests.support.factories import NOON, delivery, user_updated
from tests.support.outbox import arrive, work

USER_ID = UUID(int=7)
EARLIEST, LATEST = (datetime.fromtimestamp(millis / 1000, UTC) for millis in (MILLIS_MIN, MILLIS_MAX))
MICROSECOND = timedelta(microseconds=1)
STORED = "SELECT source, message_id, event_type, user_id, team_id, verified_by FROM consumer.outbox"


@pytest.fixture
def application(emptied: str) -> Iterator[psycopg.Connection]:
    """A connection that works as the application's role."""
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute("SET ROLE consumer_app")
        yield conn


def report(conn: psycopg.Connection, verb: str, *arguments: object) -> str | None:
    """Report a sign-in or sign-out, and return the message id."""
    places = ", ".join(["%s"] * len(arguments))
    row = conn.execute(f"SELECT identity.sign_{verb}({places})".encode(), arguments).fetchone()
    assert row
    return None if row[0] is None else str(row[0])


@pytest.mark.parametrize("verb", ["in", "out"])
async def test_a_report_in_sql_is_a_delivery_like_any_other(
    emptied: str, application: psycopg.Connection, verb: str
) -> None:
    await arrive(emptied, user_updated(USER_ID))

    message_id = report(application, verb, USER_ID, NOON)
    [stored] = rows(emptied, f"{STORED} WHERE source = 'app'")
    await work(emptied)

    assert stored == {
        "source": "app",
        "message_id": message_id,
        "event_type": f"user.signed_{verb}",
        "user_id": USER_ID,
        "team_id": None,
        "verified_by": None,
    }
    assert profile(emptied, USER_ID, f"last_sign_{verb}_at AS at") == {"at": NOON}
    audit = f"SELECT message_id FROM identity.profile_audit WHERE operation = 'signed_{verb}'"
    assert rows(emptied, audit) == [{"message_id": message_id}]


@pytest.mark.parametrize("verb", ["in", "out"])
def test_its_body_is_one_that_the_door_takes(emptied: str, application: psycopg.Connection, verb: str) -> None:
    report(application, verb, USER_ID)
    report(application, verb, USER_ID, NOON + 999 * MICROSECOND)

    bodies = [row["body"] for row in rows(emptied, "SELECT body FROM consumer.outbox ORDER BY seq")]
    assert [check(body, "app")[:3] for body in bodies] == [(f"user.signed_{verb}", USER_ID, None)] * 2
    data = [orjson.loads(body)["data"] for body in bodies]
    timed = {"id": str(USER_ID), f"signed_{verb}_at_millis": int(NOON.timestamp() * 1000)}
    assert data == [{"id": str(USER_ID)}, timed]


async def test_without_a_time_it_is_the_moment_of_the_call(emptied: str, application: psycopg.Connection) -> None:
    await arrive(emptied, user_updated(USER_ID))
    with application.transaction():
        [before] = application.execute("SELECT clock_timestamp()").fetchone() or ()
        report(application, "in", USER_ID)
        [after] = application.execute("SELECT clock_timestamp()").fetchone() or ()

    await work(emptied)

    assert before <= profile(emptied, USER_ID, "last_sign_in_at AS at")["at"] <= after


def test_a_repeat_under_the_applications_own_id_is_null_and_stores_nothing(
    emptied: str, application: psycopg.Connection
) -> None:
    answers = [report(application, "in", USER_ID, None, "session_1") for _ in "12"]

    assert answers == ["session_1", None]
    assert len(rows(emptied, "SELECT FROM consumer.outbox")) == len(rows(emptied, "SELECT FROM consumer.pending")) == 1


async def test_a_signed_event_and_a_report_with_one_id_are_one(emptied: str, application: psycopg.Connection) -> None:
    await arrive(emptied, signed := delivery("user.signed_in", USER_ID, "app"))

    assert report(application, "in", USER_ID, None, signed.message_id) is None


def test_a_report_that_is_rolled_back_never_was(emptied: str, application: psycopg.Connection) -> None:
    with application.transaction(force_rollback=True):
        report(application, "in", USER_ID)

    assert rows(emptied, "SELECT seq FROM consumer.outbox") == []


@pytest.mark.parametrize("verb", ["in", "out"])
@pytest.mark.parametrize(
    "arguments",
    [
        (None,),
        (USER_ID, EARLIEST - MICROSECOND),
        (USER_ID, LATEST + MICROSECOND),
        (USER_ID, "infinity"),
        (USER_ID, "-infinity"),
        (USER_ID, "0044-03-15 BC"),
        (USER_ID, "12026-01-01"),
        (USER_ID, None, ""),
        (USER_ID, None, " "),
        (USER_ID, None, "session "),
        (USER_ID, None, "session\n"),
        (USER_ID, None, "\x01"),
        (USER_ID, None, "séance"),
        (USER_ID, None, "x" * (MESSAGE_ID_CHARACTERS_MAX + 1)),
    ],
    ids=str,
)
def test_what_the_door_refuses_is_refused_and_not_stored(
    emptied: str, application: psycopg.Connection, verb: str, arguments: tuple[object, ...]
) -> None:
    with pytest.raises(InvalidParameterValue, match=f"a sign-{verb} needs a user id"):
        report(application, verb, *arguments)

    assert rows(emptied, "SELECT seq FROM consumer.outbox") == []


@pytest.mark.parametrize(
    "arguments",
    [(EARLIEST,), (LATEST,), (None, "x" * MESSAGE_ID_CHARACTERS_MAX), (None, "~"), (None, "a b")],
    ids=str,
)
def test_the_limits_themselves_are_taken(
    emptied: str, application: psycopg.Connection, arguments: tuple[object, ...]
) -> None:
    report(application, "in", USER_ID, *arguments)

    [stored] = rows(emptied, "SELECT body FROM consumer.outbox")
    assert check(stored["body"], "app")


@pytest.mark.parametrize("verb", ["in", "out"])
@pytest.mark.parametrize("role", ["receiver", "worker", "operator", "tenant"])
def test_nobody_but_the_application_may_report(emptied: str, role: str, verb: str) -> None:
    with psycopg.connect(emptied) as conn:
        conn.execute(f"SET LOCAL ROLE consumer_{role}")
        with pytest.raises(InsufficientPrivilege):
            report(conn, verb, USER_ID)


@pytest.mark.parametrize(
    "call", ["store_app_event('x', 'team.deleted', now(), '{}')", "store_sign_event('x', NULL, NULL, '')"]
)
def test_the_application_stores_no_event_of_another_type(application: psycopg.Connection, call: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        application.execute(f"SELECT consumer.{call}")


def test_a_function_of_the_callers_own_is_not_taken_for_the_servers(
    emptied: str, application: psycopg.Connection
) -> None:
    clock = "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql RETURN timestamptz '2001-01-01'"
    with schema_change(emptied, clock, "DROP FUNCTION public.clock_timestamp"):
        application.execute("SET search_path = public, pg_catalog")
        report(application, "in", USER_ID)

    [stored] = rows(emptied, "SELECT now() - occurred_at AS age FROM consumer.outbox")
    assert stored["age"] < timedelta(minutes=1)
