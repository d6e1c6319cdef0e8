"""The catalogue of a new installation, damaged at random: mending makes it equal again, or changes nothing."""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from consumer.postgres import migrations
from consumer.postgres.connections import Connection
from consumer.postgres.mend import MayNotMend, mend
from tests.support.databases import scratch_database
from tests.support.rights import DAMAGES, OF_OWNER, OWNER, PREFIX, QUERY, READER, ROLES, VISITORS, Damage, of_others

# An example takes a tenth of a second on an idle machine.
EXAMPLES = int(os.environ.get("DAMAGES", "40"))
examples = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES == 40,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
pytestmark = [pytest.mark.slow, pytest.mark.seconds_max(300 + 3 * EXAMPLES)]


@pytest.fixture(scope="module")
def installation(lone_server_url: str) -> Iterator[str]:
    """A superuser's conninfo of a migrated database, which belongs to a login that may create roles and no more."""
    with scratch_database(lone_server_url, "mended") as url, psycopg.connect(url, autocommit=True) as admin:
        for name in (*ROLES, OWNER, f'"{READER}"'):
            admin.execute(f"DROP ROLE IF EXISTS {name}")
        admin.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD 'x'")
        admin.execute(f'CREATE ROLE "{READER}"')
        admin.execute(f"ALTER DATABASE {admin.info.dbname} OWNER TO {OWNER}")
        try:
            migrations.apply(make_conninfo(url, user=OWNER, password="x"), PREFIX)
            yield url
        finally:
            for name in (*ROLES, OWNER):
                admin.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name} CASCADE")
            for name in (*ROLES, OWNER, f'"{READER}"'):
                admin.execute(f"DROP ROLE {name}")


@dataclass(frozen=True, slots=True)
class Trial:
    """The catalogue when new, damaged and mended; after a refusal the last is what the refusal left."""

    new: set[str]
    damaged: set[str]
    mended: set[str]
    is_refused: bool


async def catalogue(conn: Connection) -> set[str]:
    """Return one line for each right; the right to grant it on is a second one."""
    found = await (await conn.execute(QUERY, {"roles": ROLES})).fetchall()
    lines = {" ".join(str(line).split()) for (line,) in found}
    plain = {line.removesuffix(" WITH GRANT OPTION") for line in lines}
    # An owner may grant its own rights on, whether or not its entry says so.
    owners = tuple(line.replace(": owner ", ": ") + " " for line in lines if ": owner " in line)
    return plain | {line for line in lines if not line.startswith(owners)}


async def tried(url: str, login: str, damages: list[tuple[Damage, int]]) -> Trial:
    """Damage the rights as a superuser and mend them as *login*, in one transaction that is rolled back."""
    async with await Connection.connect(url) as conn, conn.transaction(force_rollback=True):
        for name in VISITORS:
            with suppress(psycopg.errors.DuplicateObject):
                async with conn.transaction():
                    await conn.execute(f"CREATE ROLE {name}".encode())
        new = await catalogue(conn)
        for damage, seed in damages:
            # What another damage took away can't be damaged.
            with suppress(psycopg.Error):
                async with conn.transaction():
                    await conn.execute(damage(random.Random(seed)).encode())
        damaged = await catalogue(conn)
        await conn.execute(f"SET LOCAL SESSION AUTHORIZATION {login}".encode())
        try:
            await mend(conn, PREFIX)
            is_refused = False
        except MayNotMend:
            is_refused = True
        await conn.execute(b"RESET SESSION AUTHORIZATION")
        return Trial(new, damaged, await catalogue(conn), is_refused)


def some(damages: Sequence[Damage]) -> st.SearchStrategy[list[tuple[Damage, int]]]:
    return st.lists(st.tuples(st.sampled_from(damages), st.integers(0, 10**6)), min_size=1, max_size=12)


@pytest.mark.parametrize(("login", "damages"), [("postgres", DAMAGES), (OWNER, OF_OWNER)], ids=["superuser", "owner"])
@examples
@given(data=st.data())
async def test_what_the_login_may_mend_is_equal_again(
    installation: str, login: str, damages: Sequence[Damage], data: st.DataObject
) -> None:
    trial = await tried(installation, login, data.draw(some(damages)))

    assert not trial.is_refused
    assert trial.mended == trial.new | of_others(trial.damaged)


@examples
@given(damages=some(DAMAGES))
async def test_an_owner_that_may_not_mend_all_changes_nothing(
    installation: str, damages: list[tuple[Damage, int]]
) -> None:
    trial = await tried(installation, OWNER, damages)

    assert trial.mended == (trial.damaged if trial.is_refused else trial.new | of_others(trial.damaged))
