"""How rights are put right statement by statement: what may fail, and what is told of the rest."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from psycopg import errors as postgres

from consumer.postgres import ledger, mend, preflight
from consumer.postgres.connections import connect, operator_access
from consumer.postgres.mend import MayNotMend
from tests.support.names import own

ROLE_A, ROLE_B = (f"CREATE ROLE {own(name)};" for name in ("a", "b"))
OWNER: Any = SimpleNamespace(login="me", database="db")


class Statements:
    """A connection that notes each statement, of which some fail, and how its transactions end."""

    def __init__(self, errors: Mapping[str, Exception] = {}) -> None:
        self.errors, self.told = errors, list[str]()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            self.told.append("undone")
            raise

    async def execute(self, statement: bytes, values: Mapping[str, Any] | None = None) -> None:
        text = statement.decode()
        self.told.append(text if values is None else f"{text.splitlines()[-1]} {values}")
        if error := self.errors.get(text):
            raise error


async def executed(errors: Mapping[str, Exception], *statements: str) -> list[str]:
    conn = Statements(errors)
    await mend._execute(cast("Any", conn), OWNER, list(statements))
    return conn.told


async def test_a_role_that_another_database_of_the_server_makes_meanwhile_is_made() -> None:
    errors = {ROLE_A: postgres.DuplicateObject(), ROLE_B: postgres.UniqueViolation()}

    told = await executed(errors, ROLE_A, ROLE_B, "GRANT c;")

    assert told == [ROLE_A, "undone", ROLE_B, "undone", "GRANT c;"]


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (ROLE_A, postgres.InsufficientPrivilege()),
        ("CREATE POLICY a;", postgres.DuplicateObject()),
        ("GRANT a;", postgres.UniqueViolation()),
        (f"RESET ROLE; {ROLE_A}", postgres.DuplicateObject()),
    ],
    ids=["a role without the right", "a policy that is there", "a grant", "a role after another statement"],
)
async def test_any_other_refusal_is_told_after_the_rest_was_tried(statement: str, error: Exception) -> None:
    conn: Any = Statements({statement: error, "GRANT z;": postgres.UndefinedTable()})

    with pytest.raises(MayNotMend) as raised:
        await mend._execute(conn, OWNER, [statement, "GRANT y;", "GRANT z;"])

    assert conn.told == [statement, "undone", "GRANT y;", "GRANT z;", "undone"]
    assert f"nothing was changed: {statement} ({type(error).__name__}), and 1 more. Run" in str(raised.value)


async def test_an_outage_ends_it_at_once() -> None:
    conn: Any = Statements({"GRANT a;": postgres.LockNotAvailable()})

    with pytest.raises(postgres.LockNotAvailable):
        await mend._execute(conn, OWNER, ["GRANT a;", "GRANT b;"])

    assert conn.told == ["GRANT a;", "undone"]


def differing(*first: str, later: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(statements=[*first, *later], first=list(first), owner=OWNER)


async def test_owners_come_first_and_what_they_changed_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter(
        [differing("ALTER OWNER;", later=("GRANT a;",)), differing(later=("GRANT a;", "GRANT b;")), differing()]
    )
    conn: Any = Statements()

    async def look(_: object, role_prefix: str) -> Any:
        conn.told.append(f"look for {role_prefix}")
        return next(looks)

    monkeypatch.setattr(mend, "differences", look)

    assert await mend._mend(conn, "shop") == ["ALTER OWNER;", "GRANT a;", "GRANT b;"]

    waited = conn.told.pop(1)
    assert waited.endswith("{'lock_timeout': '2000'}")
    assert conn.told == [
        "look for shop",
        "ALTER OWNER;",
        "look for shop",
        "GRANT a;",
        "GRANT b;",
        "look for shop",
    ]


async def test_what_is_left_undone_at_last_undoes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(*_: object) -> Any:
        return differing(later=("GRANT a;",))

    monkeypatch.setattr(mend, "differences", look)
    conn: Any = Statements()

    with pytest.raises(MayNotMend, match=r"GRANT a; \(accepted, but without effect\)"):
        await mend._mend(conn, "shop")

    assert conn.told[-1] == "undone"


async def test_where_nothing_differs_or_another_release_has_migrated_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def look(*_: object) -> Any:
        return differing()

    async def applied(_: object) -> list[str]:
        return ledger.carried_ids()[:-1]

    conn: Any = Statements()
    monkeypatch.setattr(mend, "differences", look)
    assert await mend._mend(conn, "shop") == []
    monkeypatch.setattr(ledger, "applied_ids", applied)
    monkeypatch.setattr(mend, "_mend", None)
    assert await mend.mend(conn, "shop") == []

    assert conn.told == []


async def test_a_deadlock_is_given_way_to_as_a_lock_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ends = iter([postgres.DeadlockDetected(), postgres.LockNotAvailable(), ["GRANT a;"]])
    pauses: list[float] = []

    async def once(*_: object) -> list[str]:
        end = next(ends)
        if isinstance(end, Exception):
            raise end
        return cast("list[str]", end)

    async def applied(_: object) -> list[str]:
        return ledger.carried_ids()

    async def holders(_: object) -> list[str]:
        return ["pid 7"]

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    for module, name, made in (
        (ledger, "applied_ids", applied),
        (mend, "_mend", once),
        (mend, "table_holders", holders),
        (asyncio, "sleep", pause),
    ):
        monkeypatch.setattr(module, name, made)

    assert await mend.mend(cast("Any", None), "shop") == ["GRANT a;"]

    monkeypatch.undo()
    held = [vars(record) for record in caplog.records if record.message == "migration_held_up"]
    assert [(one["step"], one["attempt"], one["error_code"], one["holders"]) for one in held] == [
        ("rights", 1, "40P01", ["pid 7"]),
        ("rights", 2, "55P03", ["pid 7"]),
    ]
    assert pauses == [1.0, 1.0]


async def test_other_prefixes_are_told_only_where_ours_is_none_of_them(database_url: str) -> None:
    async with await connect(database_url, operator_access("consumer")) as conn:
        assert await preflight.other_prefixes(conn, "consumer") == []
        assert "consumer" in await preflight.other_prefixes(conn, "shop")
