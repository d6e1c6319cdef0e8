"""A session that a pool hands on keeps nothing of a tenant, and a process gives its powers up before it works."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool

from bench.pooler import PROGRAM, pgbouncer
from consumer.postgres.connections import Access, autocommit, open_pool, receiver_access, worker_access
from tests.support.tenants import join

PEOPLE = "SELECT user_id FROM identity.profiles ORDER BY user_id"
SETTINGS = (
    "SELECT current_setting('role'), current_setting('app.company_id', TRUE), current_setting('app.user_id', TRUE)"
)


@contextmanager
def tenant(conn: Connection[Any], company_id: UUID | None = None) -> Iterator[None]:
    """One transaction as an application's request makes it; without a company, as one that forgot it."""
    with conn.transaction():
        conn.execute("SET LOCAL ROLE consumer_tenant")
        if company_id:
            conn.execute("SELECT set_config('app.company_id', %s, TRUE)", [str(company_id)])
        yield


def people(conn: Connection[Any], company_id: UUID | None = None) -> list[UUID]:
    with tenant(conn, company_id):
        return [user_id for (user_id,) in conn.execute(PEOPLE).fetchall()]


@pytest.fixture
def pooled(emptied: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The database, straight or through PgBouncer in transaction mode."""
    if request.param == "direct":
        yield emptied
        return
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed")
    socket = Path(str(conninfo_to_dict(emptied)["host"]))
    if not socket.is_dir():
        pytest.skip("the server is not this session's own")
    with pgbouncer(emptied, socket.parent) as url:
        yield url


@pytest.mark.parametrize("pooled", ["direct", "pgbouncer"], indirect=True)
async def test_the_next_to_borrow_a_session_finds_nothing_of_the_last(pooled: str) -> None:
    ours, theirs, ada, eve = (uuid4() for _ in range(4))
    await join(pooled, ours, ada)
    await join(pooled, theirs, eve)

    with ConnectionPool(pooled, min_size=1, max_size=1, kwargs={"prepare_threshold": None}) as pool:
        seen = []
        for company_id in (ours, None, theirs, None, ours):
            with pool.connection() as conn:
                seen.append(people(conn, company_id))
        with pool.connection() as conn:
            left = conn.execute(SETTINGS).fetchone()

    assert seen == [[ada], [], [eve], [], [ada]]
    # A setting that a transaction made is empty afterwards, which is no context.
    assert left == ("none", "", None)


@pytest.mark.parametrize("pooled", ["direct", "pgbouncer"], indirect=True)
async def test_a_transaction_that_failed_leaves_nothing_either(pooled: str) -> None:
    company_id = uuid4()
    await join(pooled, company_id, uuid4())

    with ConnectionPool(pooled, min_size=1, max_size=1, kwargs={"prepare_threshold": None}) as pool:
        with pool.connection() as conn, pytest.raises(psycopg.errors.DivisionByZero), tenant(conn, company_id):
            conn.execute("SELECT 1 / 0")
        with pool.connection() as conn:
            assert people(conn) == []
            assert conn.execute("SELECT current_setting('role')").fetchone() == ("none",)


@pytest.mark.parametrize("pooled", ["direct", "pgbouncer"], indirect=True)
async def test_transactions_of_two_companies_that_overlap_see_their_own(pooled: str) -> None:
    ours, theirs, ada, eve = (uuid4() for _ in range(4))
    await join(pooled, ours, ada)
    await join(pooled, theirs, eve)

    with (
        psycopg.connect(pooled, autocommit=True) as first,
        psycopg.connect(pooled, autocommit=True) as second,
        tenant(first, ours),
        tenant(second, theirs),
    ):
        seen = [conn.execute(PEOPLE).fetchall() for conn in (first, second, first)]

    assert seen == [[(ada,)], [(eve,)], [(ada,)]]


@pytest.mark.parametrize("access", [receiver_access("consumer"), worker_access("consumer")], ids=lambda each: each.role)
async def test_a_process_that_logs_in_as_a_superuser_works_without_its_powers(emptied: str, access: Access) -> None:
    asked = "SELECT session_user, current_user, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"

    async with (
        open_pool(emptied, access, size=1, wait_timeout=timedelta(seconds=5)) as pool,
        pool.connection() as conn,
        autocommit(conn, access),
    ):
        found = await (await conn.execute(asked)).fetchone()

    assert found == (conninfo_to_dict(emptied)["user"], access.role, False)
