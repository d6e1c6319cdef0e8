"""Code of another role in the application's tables never runs in the session of a login that may do more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from consumer.effects import reached_code
from consumer.postgres.connections import connect, transaction
from tests.support.application import ACCESS, failures, tables, work, worker
from tests.support.cli import examined
from tests.support.databases import change, rows
from tests.support.factories import user_updated
from tests.support.outbox import arrive

pytestmark = pytest.mark.lone_server

ROLES = """
    CREATE ROLE mallory NOLOGIN;
    CREATE SCHEMA theirs;
    GRANT USAGE ON SCHEMA theirs TO PUBLIC;
    GRANT CREATE ON SCHEMA theirs TO mallory;
    CREATE TABLE theirs.users (id uuid PRIMARY KEY, name text, number int GENERATED ALWAYS AS (1) STORED);
    CREATE TABLE theirs.logins (id uuid REFERENCES theirs.users ON UPDATE CASCADE);
    GRANT SELECT, INSERT, UPDATE ON theirs.users TO consumer_worker;
    CREATE FUNCTION theirs.evil(anything text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        RETURN TRUE;
    END $$;
    CREATE FUNCTION theirs.take() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RESET ROLE;
        CREATE ROLE taken SUPERUSER;
        RETURN NEW;
    END $$;
    CREATE FUNCTION theirs.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    ALTER FUNCTION theirs.evil OWNER TO mallory;
    ALTER FUNCTION theirs.take OWNER TO mallory;
"""
STATEMENT = b"""
    -- A comment at the end, and 100 %%.
    INSERT INTO theirs.users (id, name)
    SELECT p.user_id, p.full_name FROM identity.profiles AS p WHERE p.user_id = ANY(%(user_ids)b::uuid[])
    ON CONFLICT (id) DO UPDATE SET name = excluded.name; -- the end
"""
DROP = "DROP SCHEMA IF EXISTS theirs CASCADE; " + "; ".join(
    f"DROP ROLE IF EXISTS {role}" for role in ("mallory", "taken", "own")
)
TRIGGER = "CREATE TRIGGER t BEFORE INSERT ON theirs.users FOR EACH ROW"
CODE = {
    "a trigger": f"{TRIGGER} EXECUTE FUNCTION theirs.take()",
    "a trigger's condition": f"{TRIGGER} WHEN (theirs.evil(NEW.name)) EXECUTE FUNCTION theirs.touch()",
    "a trigger on a table of theirs": (
        f"ALTER TABLE theirs.users OWNER TO mallory; {TRIGGER} EXECUTE FUNCTION theirs.touch()"
    ),
    "a trigger that the owner's rights guard": (
        f"ALTER FUNCTION theirs.take SECURITY DEFINER; {TRIGGER} EXECUTE FUNCTION theirs.take()"
    ),
    "a trigger behind a cascade": (
        "CREATE TRIGGER t AFTER UPDATE ON theirs.logins FOR EACH ROW EXECUTE FUNCTION theirs.take()"
    ),
    "a trigger behind a deletion of ours": (
        "CREATE TABLE theirs.notes (id uuid REFERENCES identity.profiles ON DELETE CASCADE);"
        "CREATE TRIGGER t AFTER DELETE ON theirs.notes FOR EACH ROW EXECUTE FUNCTION theirs.take()"
    ),
    "a default": "ALTER TABLE theirs.users ADD ok boolean DEFAULT theirs.evil('')",
    "a generated column": "ALTER TABLE theirs.users ADD ok boolean GENERATED ALWAYS AS (theirs.evil(name)) STORED",
    "a check": "ALTER TABLE theirs.users ADD CHECK (theirs.evil(name))",
    "a check with our own means": (
        "ALTER TABLE theirs.users OWNER TO mallory;"
        "ALTER TABLE theirs.users ADD CHECK (set_config('role', 'none', FALSE) IS NOT NULL)"
    ),
    "an index": "CREATE INDEX ON theirs.users (theirs.evil(name))",
    "the condition of an index": "CREATE INDEX ON theirs.users (name) WHERE theirs.evil(name)",
    "a policy": (
        "ALTER TABLE theirs.users ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY p ON theirs.users USING (TRUE) WITH CHECK (theirs.evil(name))"
    ),
    "a domain": (
        "CREATE DOMAIN theirs.label AS text CHECK (theirs.evil(VALUE)); ALTER TABLE theirs.users ADD label theirs.label"
    ),
    "a domain of the first column": (
        "CREATE DOMAIN theirs.key AS uuid CHECK (theirs.evil(VALUE::text));"
        "ALTER TABLE theirs.logins ALTER id TYPE theirs.key"
    ),
    "an operator": (
        "CREATE FUNCTION theirs.same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN TRUE;"
        "ALTER FUNCTION theirs.same OWNER TO mallory;"
        "CREATE OPERATOR theirs.=== (FUNCTION = theirs.same, LEFTARG = text, RIGHTARG = text);"
        "ALTER TABLE theirs.users ADD CHECK (name OPERATOR(theirs.===) name)"
    ),
    "a rule": (
        "CREATE RULE r AS ON INSERT TO theirs.users WHERE theirs.evil(NEW.name) DO ALSO NOTHING;"
        "DROP RULE r ON theirs.users; CREATE RULE r AS ON UPDATE TO theirs.logins DO ALSO SELECT theirs.evil('')"
    ),
    "a function in a function": (
        "CREATE FUNCTION theirs.trusted(name text) RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT theirs.evil(name);"
        " END; ALTER TABLE theirs.users ALTER name SET DEFAULT theirs.trusted('')::text"
    ),
}


@pytest.fixture
def app(emptied: str) -> Iterator[str]:
    change(emptied, DROP)
    with tables(emptied, ROLES, DROP):
        yield emptied


@pytest.fixture
def own_login(app: str) -> str:
    """The conninfo of a login that may do what the worker's role may, and nothing more."""
    change(app, "CREATE ROLE own LOGIN; GRANT consumer_worker TO own")
    return make_conninfo(app, user="own")


@pytest.fixture
def statement_file(tmp_path: Path) -> str:
    file = tmp_path / "projection.sql"
    file.write_bytes(STATEMENT)
    return str(file)


@pytest.mark.parametrize("code", CODE.values(), ids=CODE)
async def test_code_of_another_role_is_not_run_and_its_users_wait(app: str, code: str) -> None:
    change(app, code)
    await arrive(app, user_updated())

    await work(app, worker(STATEMENT, attempts_max=1))

    [(state, _, error_code, error)] = failures(app)
    assert (state, error_code) == ("retrying", "UntrustedCode")
    assert "of mallory" in str(error)
    assert "WORKER_DATABASE_URL" in str(error)
    assert rows(app, "SELECT FROM pg_roles WHERE rolname = 'taken'") == []
    assert rows(app, "SELECT FROM theirs.users") == []


async def test_a_function_of_another_role_in_the_statement_is_not_run(app: str) -> None:
    await arrive(app, user_updated())

    await work(app, worker(STATEMENT.replace(b"p.full_name FROM", b"theirs.evil(p.full_name)::text FROM")))

    assert failures(app)[0][2:] == (
        "UntrustedCode",
        "CONSUMER_PROJECTION_SQL was refused: function theirs.evil of mallory: "
        "set WORKER_DATABASE_URL to a login of its own",
    )


async def test_a_trigger_that_is_made_while_the_worker_runs_is_not_run(app: str) -> None:
    await arrive(app, user_updated())
    await work(app, worker(STATEMENT))
    before = len(rows(app, "SELECT FROM theirs.users"))

    change(app, CODE["a trigger"])
    await arrive(app, user_updated())
    await work(app, worker(STATEMENT))

    assert (before, len(rows(app, "SELECT FROM theirs.users"))) == (1, 1)
    assert failures(app)[0][2] == "UntrustedCode"


@pytest.mark.parametrize(
    "code",
    [
        f"{TRIGGER} EXECUTE FUNCTION theirs.touch()",
        f"{TRIGGER} EXECUTE FUNCTION theirs.take(); DROP TRIGGER t ON theirs.users",
        f"{TRIGGER} EXECUTE FUNCTION theirs.take(); ALTER TABLE theirs.users DISABLE TRIGGER t",
        "CREATE TABLE theirs.notes (id uuid REFERENCES theirs.users);"
        "CREATE TRIGGER t AFTER UPDATE ON theirs.notes FOR EACH ROW EXECUTE FUNCTION theirs.take()",
        f"GRANT mallory TO CURRENT_USER; {TRIGGER} WHEN (theirs.evil(NEW.name)) EXECUTE FUNCTION theirs.touch()",
        "ALTER TABLE theirs.users OWNER TO mallory",
    ],
    ids=["of the login", "dropped", "disabled", "out of reach", "of a role that the login is in", "a bare table"],
)
async def test_code_that_the_login_trusts_or_that_no_write_reaches_is_no_obstacle(app: str, code: str) -> None:
    change(app, code)
    await arrive(app, user_updated())

    await work(app, worker(STATEMENT))

    assert failures(app) == []
    assert len(rows(app, "SELECT FROM theirs.users")) == 1


async def test_a_login_that_may_do_nothing_more_runs_any_trigger(app: str, own_login: str) -> None:
    change(app, CODE["a trigger"].replace("take", "touch") + "; ALTER FUNCTION theirs.touch OWNER TO mallory")
    await arrive(app, user_updated())

    await work(own_login, worker(STATEMENT))

    assert failures(app) == []
    assert len(rows(app, "SELECT FROM theirs.users")) == 1


@pytest.mark.parametrize(
    "right",
    [
        "ALTER ROLE own CREATEROLE",
        "ALTER ROLE own BYPASSRLS",
        "GRANT consumer_operator TO own",
        "ALTER TABLE theirs.logins OWNER TO own",
    ],
)
async def test_a_login_with_any_other_right_is_guarded(app: str, own_login: str, right: str) -> None:
    change(app, f"{CODE['a trigger']}; {right}")

    async with await connect(own_login, ACCESS) as conn, transaction(conn, ACCESS):
        found = await reached_code.untrusted(conn, STATEMENT)

    assert found == ["function theirs.take of mallory"]


def test_the_doctor_fails_for_code_of_another_role_and_runs_none(app: str, statement_file: str) -> None:
    change(app, CODE["a trigger"])

    exit_code, checks = examined(app, CONSUMER_PROJECTION_SQL=statement_file)

    check = checks["application's code"]
    assert (exit_code, check["state"]) == (1, "failing")
    assert check["finding"] == "would run with the worker's login: function theirs.take of mallory"
    assert "WORKER_DATABASE_URL" in check["cure"]
    assert rows(app, "SELECT FROM pg_roles WHERE rolname = 'taken'") == []


def test_the_doctor_warns_of_a_login_that_may_do_more_and_names_the_variable(app: str, statement_file: str) -> None:
    _, checks = examined(app, CONSUMER_PROJECTION_SQL=statement_file)

    check = checks["application's code"]
    assert (check["state"], "WORKER_DATABASE_URL" in check["cure"]) == ("warning", True)
    assert check["finding"] == "runs beside a login that may do more than consumer_worker"


def test_the_doctor_is_content_with_a_login_of_its_own(app: str, own_login: str, statement_file: str) -> None:
    change(app, CODE["a default"])

    _, checks = examined(app, CONSUMER_PROJECTION_SQL=statement_file, WORKER_DATABASE_URL=own_login)

    check = checks["application's code"]
    assert check["state"] == "ok"
    assert check["finding"] == "runs beside a login that may do nothing more than consumer_worker"


def test_the_doctor_looks_behind_foreign_keys_without_a_statement_too(app: str) -> None:
    change(app, CODE["a trigger behind a deletion of ours"])

    exit_code, checks = examined(app)

    assert (exit_code, checks["application's code"]["state"]) == (1, "failing")


async def test_a_statement_that_cannot_be_parsed_is_refused_with_its_error(app: str) -> None:
    await arrive(app, user_updated())

    await work(app, worker(STATEMENT.replace(b"name", b"missing")))

    assert failures(app)[0][0::2] == ("retrying", "42703")
