"""The application's way to edit in SQL: stored like a signed event, refused like one, and for the application alone."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.errors import InsufficientPrivilege, InvalidParameterValue
from psycopg.types.json import Jsonb

from consumer.errors import BadPayload
from consumer.events.check import check
from consumer.providers.payload import TEXT_MAX
from tests.support.databases import rows
from tests.support.effects import profile
from tests.support.factories import user_updated
from tests.support.outbox import arrive, work

USER_ID = UUID(int=7)
FIELDS = ["role_type", "department", "company_id", "edited_by", "reason"]
CANONICAL = "0b7d5e9a-4f10-4A57-8c21-6f1c2f0e9d3b"
TEXTS = st.sampled_from(["", " ", "\u3000\x1c", "\u200b", " owner ", "x\ny", "🦊", CANONICAL]) | st.text(max_size=3)
IDS = st.sampled_from([CANONICAL, CANONICAL + "\n", CANONICAL.replace("-", ""), f"{{{CANONICAL}}}", CANONICAL[:-1]])
VALUES = st.none() | TEXTS | IDS | st.sampled_from([7, 1.5, True, [], {}, ["owner"]])


@pytest.fixture
def application(emptied: str) -> Iterator[psycopg.Connection]:
    """A connection that works as the application's role."""
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute("SET ROLE consumer_app")
        yield conn


def edit(conn: psycopg.Connection, user_id: UUID | None, edits: object) -> str:
    """Edit, and return the message id."""
    row = conn.execute("SELECT identity.edit_profile(%s, %s)", [user_id, edits]).fetchone()
    assert row
    return str(row[0])


async def test_an_edit_in_sql_is_a_delivery_like_any_other(emptied: str, application: psycopg.Connection) -> None:
    await arrive(emptied, snapshot := user_updated(server_metadata={"role": "viewer"}))
    assert snapshot.user_id

    message_id = edit(application, snapshot.user_id, Jsonb({"role_type": " owner ", "department": None}))
    [stored] = rows(emptied, f"SELECT * FROM consumer.deliveries WHERE message_id = '{message_id}'")
    await work(emptied)

    assert (stored["source"], stored["event_type"], stored["state"]) == ("app", "profile.edited", "pending")
    assert stored["user_id"] == snapshot.user_id
    assert profile(emptied, snapshot.user_id, "role_type") == {"role_type": " owner "}


async def test_of_edits_in_one_transaction_the_last_counts(emptied: str, application: psycopg.Connection) -> None:
    await arrive(emptied, snapshot := user_updated())
    assert snapshot.user_id

    with application.transaction():
        ids = [edit(application, snapshot.user_id, Jsonb({"role_type": f"role {n}"})) for n in range(50)]
    await work(emptied)

    by_version = 'ORDER BY consumer.version(source, occurred_at, message_id) COLLATE "C"'
    stored = rows(emptied, f"SELECT message_id FROM consumer.outbox WHERE source = 'app' {by_version}")
    assert [row["message_id"] for row in stored] == ids == sorted(ids)
    assert profile(emptied, snapshot.user_id, "role_type") == {"role_type": "role 49"}


def test_an_edit_that_is_rolled_back_never_was(emptied: str, application: psycopg.Connection) -> None:
    with application.transaction(force_rollback=True):
        edit(application, USER_ID, Jsonb({"role_type": "owner"}))

    assert rows(emptied, "SELECT seq FROM consumer.outbox") == []


@pytest.mark.parametrize(
    ("user_id", "edits", "told"),
    [
        (None, Jsonb({"role_type": "owner"}), "an edit needs a user id and a JSON object"),
        (USER_ID, None, "an edit needs a user id and a JSON object"),
        (USER_ID, Jsonb(None), "an edit needs a user id and a JSON object"),
        (USER_ID, Jsonb(["role_type"]), "an edit needs a user id and a JSON object"),
        (USER_ID, Jsonb({"role_type": "\u2003"}), "not an edit: role_type"),
        (USER_ID, Jsonb({"department": "x" * (TEXT_MAX + 1)}), "not an edit: department"),
        (USER_ID, Jsonb({"company_id": UUID(CANONICAL).hex, "role_type": 7}), "not an edit: role_type, company_id"),
        (USER_ID, Jsonb({"full_name": None, "role_type": "owner"}), "not an edit: full_name"),
        (USER_ID, Jsonb({"id": str(uuid4())}), "not an edit: id"),
    ],
)
def test_what_no_worker_could_apply_is_refused_and_not_stored(
    emptied: str, application: psycopg.Connection, user_id: UUID | None, edits: object, told: str
) -> None:
    with pytest.raises(InvalidParameterValue) as refused:
        edit(application, user_id, edits)

    assert refused.value.diag.message_primary == told
    assert rows(emptied, "SELECT seq FROM consumer.outbox") == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_it_takes_what_the_door_takes_and_nothing_else(
    emptied: str, application: psycopg.Connection, fields: dict[str, object]
) -> None:
    body = orjson.dumps({"type": "profile.edited", "data": {"id": str(USER_ID), **fields}})
    try:
        wanted = check(body, "app")
    except BadPayload:
        with pytest.raises(psycopg.DataError):
            edit(application, USER_ID, Jsonb(fields))
        return

    message_id = edit(application, USER_ID, Jsonb(fields))

    [stored] = rows(emptied, f"SELECT body FROM consumer.outbox WHERE message_id = '{message_id}'")
    assert check(stored["body"], "app") == wanted
    assert orjson.loads(stored["body"]) == orjson.loads(body)


def test_the_longest_text_is_taken(emptied: str, application: psycopg.Connection) -> None:
    edit(application, USER_ID, Jsonb({"role_type": "🦊" * TEXT_MAX}))

    [stored] = rows(emptied, "SELECT body FROM consumer.outbox")
    assert check(stored["body"], "app")


@pytest.mark.parametrize("role", ["receiver", "worker", "operator", "tenant"])
def test_nobody_but_the_application_may_edit(emptied: str, role: str) -> None:
    with psycopg.connect(emptied) as conn:
        conn.execute(f"SET LOCAL ROLE consumer_{role}")
        with pytest.raises(InsufficientPrivilege):
            edit(conn, USER_ID, Jsonb({}))


@pytest.mark.parametrize(
    "column",
    [
        *("profiles.role_type", "profiles.department", "profiles.company_id", "profiles.full_name"),
        *("stack_user_profiles.source_role", "stack_user_profiles.company_id"),
    ],
)
def test_the_application_may_update_no_synced_column(application: psycopg.Connection, column: str) -> None:
    table, _, name = column.partition(".")

    with pytest.raises(InsufficientPrivilege):
        application.execute(f"UPDATE identity.{table} SET {name} = NULL")
