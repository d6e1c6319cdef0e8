"""Which objects of other roles a statement reaches, by each way that PostgreSQL knows, and who has to fear them."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.effects import reached_code
from consumer.postgres.connections import connect, transaction
from tests.support.application import ACCESS, tables
from tests.support.databases import change
from tests.support.queries import DEAR
from tests.test_reached_code import CODE, DROP, ROLES, STATEMENT

pytestmark = pytest.mark.lone_server

LOGIN = "CREATE ROLE own LOGIN; GRANT consumer_worker TO own"
ROLES_OF_OURS = "DROP ROLE IF EXISTS middle; DROP ROLE IF EXISTS strong"
EVIL, TAKE = "function theirs.evil of mallory", "function theirs.take of mallory"


@pytest.fixture
def app(emptied: str) -> Iterator[str]:
    change(emptied, f"{DROP}; {ROLES_OF_OURS}")
    with tables(emptied, ROLES, f"{DROP}; {ROLES_OF_OURS}"):
        yield emptied


async def untrusted(url: str, statement: bytes | None = STATEMENT, login: str | None = None) -> list[str]:
    conninfo = make_conninfo(url, user=login) if login else url
    async with await connect(conninfo, ACCESS) as conn, transaction(conn, ACCESS):
        await conn.execute(DEAR)
        return await reached_code.untrusted(conn, statement)


NOTES = "CREATE TABLE theirs.notes (id uuid REFERENCES theirs.users {action})"
ON_NOTES = "CREATE TRIGGER t AFTER UPDATE OR DELETE ON theirs.notes FOR EACH ROW EXECUTE FUNCTION theirs.take()"
READ = "CREATE TABLE theirs.read (id uuid, name text); GRANT SELECT ON theirs.read TO consumer_worker"
ON_READ = "CREATE TRIGGER t AFTER INSERT ON theirs.read FOR EACH ROW EXECUTE FUNCTION theirs.take()"
OWN_MEANS = "expression with set_config, xml or ts_stat on theirs.users of mallory"
THEIR_TABLE = "ALTER TABLE theirs.users OWNER TO mallory"
NEVER = "set_config('role', 'none', FALSE)"
# By what is made: what is found.
FOUND: dict[str, tuple[str, list[str]]] = {
    **{
        f"{action} of a foreign key": (f"{NOTES.format(action=action)}; {ON_NOTES}", [TAKE])
        for action in (
            *(
                f"ON {event} {what}"
                for event in ("UPDATE", "DELETE")
                for what in ("CASCADE", "SET NULL", "SET DEFAULT")
            ),
        )
    },
    **{
        f"{action} of a foreign key": (f"{NOTES.format(action=action)}; {ON_NOTES}", [])
        for action in ("ON UPDATE RESTRICT", "ON DELETE NO ACTION")
    },
    "a cascade behind a cascade": (
        "ALTER TABLE theirs.logins ADD PRIMARY KEY (id);"
        f"CREATE TABLE theirs.notes (id uuid REFERENCES theirs.logins ON UPDATE CASCADE); {ON_NOTES}",
        [TAKE],
    ),
    "a child table": (
        f"CREATE TABLE theirs.notes () INHERITS (theirs.users); {ON_NOTES}",
        [TAKE],
    ),
    "a table that is only read": (f"{READ}; {ON_READ}", []),
    "a table that is read, with a policy": (
        f"{READ}; CREATE POLICY p ON theirs.read USING (theirs.evil(name))",
        [EVIL],
    ),
    "a table that may lose rows": (f"{READ}; {ON_READ}; GRANT DELETE ON theirs.read TO consumer_worker", [TAKE]),
    "a table with a column to fill": (
        f"{READ}; {ON_READ}; GRANT INSERT (name) ON theirs.read TO consumer_worker",
        [TAKE],
    ),
    "a table with a column to change": (
        f"{READ}; {ON_READ}; GRANT UPDATE (name) ON theirs.read TO consumer_worker",
        [TAKE],
    ),
    "a cascade behind a table that is only read": (
        f"{READ}; ALTER TABLE theirs.read ADD PRIMARY KEY (id);"
        f"CREATE TABLE theirs.notes (id uuid REFERENCES theirs.read ON UPDATE CASCADE); {ON_NOTES}",
        [],
    ),
    "a view": (
        "CREATE VIEW theirs.read AS SELECT id, theirs.evil(name)::text AS name FROM theirs.users;"
        "GRANT SELECT ON theirs.read TO consumer_worker",
        [EVIL],
    ),
    "a view of theirs": (
        "CREATE VIEW theirs.read AS SELECT id, name FROM theirs.users; ALTER VIEW theirs.read OWNER TO mallory;"
        "GRANT SELECT ON theirs.read TO consumer_worker",
        ["rule _RETURN on theirs.read of mallory"],
    ),
    "a rule of theirs": (
        "CREATE RULE r AS ON DELETE TO theirs.users DO ALSO NOTHING; ALTER TABLE theirs.users OWNER TO mallory",
        ["rule r on theirs.users of mallory"],
    ),
    "a table behind a function": (
        "CREATE FUNCTION theirs.trusted() RETURNS void LANGUAGE sql BEGIN ATOMIC DELETE FROM theirs.logins; END;"
        "GRANT DELETE ON theirs.logins TO consumer_worker;"
        "CREATE TRIGGER t BEFORE DELETE ON theirs.logins FOR EACH ROW EXECUTE FUNCTION theirs.take();"
        "ALTER TABLE theirs.users ADD ok text DEFAULT theirs.trusted()::text",
        [TAKE],
    ),
    "a policy that reads a table with one": (
        f"{READ}; CREATE POLICY p ON theirs.read USING (theirs.evil(name));"
        "CREATE POLICY p ON theirs.users USING (EXISTS (SELECT FROM theirs.read))",
        [EVIL],
    ),
    "a default with our own means": (
        f"{THEIR_TABLE}; ALTER TABLE theirs.users ALTER name SET DEFAULT {NEVER}",
        [OWN_MEANS],
    ),
    "a policy with our own means": (
        f"{THEIR_TABLE}; CREATE POLICY p ON theirs.users USING ({NEVER} <> '')",
        [OWN_MEANS],
    ),
    "a policy of writes with our own means": (
        f"{THEIR_TABLE}; CREATE POLICY p ON theirs.users FOR INSERT WITH CHECK ({NEVER} <> '')",
        [OWN_MEANS],
    ),
    "an index with our own means": (
        f"{THEIR_TABLE}; CREATE INDEX ON theirs.users (ts_rewrite(NULL::tsquery, NULL::tsquery, name::tsquery))",
        [OWN_MEANS],
    ),
    "the condition of an index with our own means": (
        f"{THEIR_TABLE}; CREATE INDEX ON theirs.users (name) "
        "WHERE ts_rewrite(NULL::tsquery, NULL::tsquery, NULL::tsquery) IS NOT NULL",
        [OWN_MEANS],
    ),
    "our own means in a table of the login": (f"ALTER TABLE theirs.users ALTER name SET DEFAULT {NEVER}", []),
    "other means": (f"{THEIR_TABLE}; ALTER TABLE theirs.users ALTER name SET DEFAULT current_setting('role')", []),
    "a table next to it": (
        f"CREATE TABLE theirs.notes (name text DEFAULT theirs.evil('')::text CHECK (theirs.evil(name))); {ON_NOTES};"
        "CREATE INDEX ON theirs.notes (theirs.evil(name)); CREATE POLICY p ON theirs.notes USING (theirs.evil(name));"
        "CREATE RULE r AS ON INSERT TO theirs.notes DO ALSO SELECT theirs.evil('');"
        "CREATE DOMAIN theirs.label AS text CHECK (theirs.evil(VALUE));"
        "ALTER TABLE theirs.notes ADD label theirs.label, OWNER TO mallory",
        [],
    ),
    "several": (
        f"{CODE['a trigger']}; {CODE['a check']}; {CODE['an index']}; ALTER TABLE theirs.logins OWNER TO mallory;"
        "CREATE TRIGGER t BEFORE UPDATE ON theirs.logins FOR EACH ROW EXECUTE FUNCTION theirs.touch()",
        [EVIL, TAKE, "trigger t on theirs.logins of mallory"],
    ),
}


def reading(code: str) -> bytes:
    """Return the statement, which reads theirs.read too if there is one."""
    return STATEMENT.replace(b"WHERE", b"CROSS JOIN theirs.read WHERE") if "theirs.read " in code else STATEMENT


@pytest.mark.parametrize(("code", "expected"), FOUND.values(), ids=FOUND)
async def test_what_a_statement_reaches_is_named_and_nothing_else(app: str, code: str, expected: list[str]) -> None:
    """The login is one that may do more and that our own objects do not belong to."""
    change(app, f"{LOGIN}; ALTER ROLE own CREATEROLE; {code}")

    assert await untrusted(app, reading(code), "own") == expected
    assert await untrusted(app, reading(code)) == expected


async def test_who_trusts_a_role_trusts_those_behind_it_and_superusers(app: str) -> None:
    change(app, f"{LOGIN}; ALTER ROLE own CREATEROLE; CREATE ROLE middle; CREATE ROLE strong SUPERUSER")
    change(app, f"{CODE['a trigger']}; {CODE['a check']}; ALTER FUNCTION theirs.evil OWNER TO strong")
    before = await untrusted(app, STATEMENT, "own")

    change(app, "GRANT mallory TO middle; GRANT middle TO own")

    assert before == [TAKE]
    assert await untrusted(app, STATEMENT, "own") == []
    change(app, "ALTER FUNCTION theirs.evil OWNER TO mallory; DROP OWNED BY strong")


RIGHTS = {
    "nothing more": ("SELECT 1", False),
    "superuser": ("ALTER ROLE own SUPERUSER", True),
    "past policies": ("ALTER ROLE own BYPASSRLS", True),
    "roles": ("ALTER ROLE own CREATEROLE", True),
    "databases": ("ALTER ROLE own CREATEDB", True),
    "replication": ("ALTER ROLE own REPLICATION", True),
    "another role": ("GRANT mallory TO own", True),
    "a table": ("ALTER TABLE theirs.logins OWNER TO own", True),
    "another's role": ("GRANT mallory TO strong; ALTER TABLE theirs.logins OWNER TO strong", False),
    "a right on a table": ("GRANT SELECT ON theirs.logins TO own", False),
}


@pytest.mark.parametrize(("right", "is_privileged"), RIGHTS.values(), ids=RIGHTS)
async def test_a_login_is_privileged_by_each_right_beside_its_role(app: str, right: str, is_privileged: bool) -> None:
    change(app, f"{LOGIN}; CREATE ROLE strong CREATEROLE CREATEDB; {right}")

    async with await connect(make_conninfo(app, user="own"), ACCESS) as conn, transaction(conn, ACCESS):
        assert await reached_code.is_privileged(conn) is is_privileged


async def test_without_a_statement_only_what_hangs_on_our_rows_is_looked_at(app: str) -> None:
    change(app, f"{CODE['a trigger']}; {CODE['a trigger behind a deletion of ours'].replace('TRIGGER t', 'TRIGGER u')}")
    change(app, "DROP TRIGGER u ON theirs.notes")
    assert await untrusted(app, None) == []

    change(app, "CREATE TRIGGER u AFTER DELETE ON theirs.notes FOR EACH ROW EXECUTE FUNCTION theirs.take()")
    assert await untrusted(app, None) == [TAKE]


async def test_the_statement_is_only_looked_at(app: str) -> None:
    assert await untrusted(app) == []

    with psycopg.connect(app) as conn:
        assert conn.execute("SELECT count(*) FROM pg_proc WHERE proname = 'statement'").fetchone() == (0,)
        assert conn.execute("SELECT count(*) FROM theirs.users").fetchone() == (0,)
