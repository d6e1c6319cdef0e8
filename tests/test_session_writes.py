"""Whether a session may write without a transaction, whatever its login's default; and what its notices tell it."""

from collections.abc import Iterator

import pytest
from psycopg.conninfo import make_conninfo

from consumer.postgres import standby
from consumer.postgres.connections import Access, autocommit, connect, enter, receiver_access, viewer_access
from tests.support.databases import change
from tests.support.names import own

RECEIVER, VIEWER = receiver_access("consumer"), viewer_access("consumer")
NAMES = ("default_transaction_read_only", "transaction_read_only")


@pytest.fixture(params=["", "SET default_transaction_read_only = on"], ids=["plain", "read-only"])
def login(request: pytest.FixtureRequest, emptied: str) -> Iterator[tuple[str, bool]]:
    """The conninfo of a login that may take our roles, and whether it is read-only by its own default."""
    name = own("reads_only")
    change(emptied, f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE consumer_receiver, consumer_viewer")
    try:
        if request.param:
            change(emptied, f"ALTER ROLE {name} {request.param}")
        yield make_conninfo(emptied, user=name, password="x"), bool(request.param)
    finally:
        change(emptied, f"DROP ROLE {name}")


@pytest.mark.parametrize(("access", "shown"), [(RECEIVER, "off"), (VIEWER, "on")], ids=["receiver", "viewer"])
async def test_an_entered_session_writes_or_not_by_its_access_and_not_by_its_login(
    login: tuple[str, bool], access: Access, shown: str
) -> None:
    url, is_read_only = login
    async with await connect(url, access) as conn:
        before = [(await (await conn.execute(f"SHOW {name}".encode())).fetchone() or ("",))[0] for name in NAMES]
        assert await enter(conn, access)
        async with autocommit(conn, access):
            after = [(await (await conn.execute(f"SHOW {name}".encode())).fetchone() or ("",))[0] for name in NAMES]

    assert before == ["on" if is_read_only else "off"] * 2
    assert after == [shown] * 2


async def test_a_brake_that_is_none_of_the_login_s_stays_pulled(emptied: str) -> None:
    pulled = make_conninfo(emptied, options="-c default_transaction_read_only=on")
    async with await connect(pulled, RECEIVER) as conn:
        assert await enter(conn, RECEIVER)
        async with autocommit(conn, RECEIVER):
            found = [(await (await conn.execute(f"SHOW {name}".encode())).fetchone() or ("",))[0] for name in NAMES]

    assert found == ["on", "on"]


async def test_a_connection_notes_the_warning_that_a_commit_is_on_this_server_alone(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await connect(emptied, RECEIVER) as conn, await connect(emptied, RECEIVER) as other:
        await conn.execute("DO $$ BEGIN RAISE WARNING 'of another function'; END $$")
        before = conn.standby_wait.is_cancelled
        # The function of the server that tells a warning of PL/pgSQL.
        monkeypatch.setattr(standby, "WARNING_FUNCTION", "exec_stmt_raise")
        await conn.execute("DO $$ BEGIN RAISE WARNING 'a wait was cancelled'; END $$")

    assert (before, conn.standby_wait.is_cancelled, other.standby_wait.is_cancelled) == (False, True, False)
