"""A copy of a database applies what arrives and asks nothing of Stack, until `migrate --adopt-copy`."""

from collections.abc import Iterator
from uuid import uuid4

import orjson
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support.backfills import environment, long_ago, named
from tests.support.cli import arrive, call, examined, facts, work
from tests.support.databases import change, rows, scratch_database
from tests.support.factories import user_updated
from tests.support.fake_stack import FakeStack
from tests.support.fake_stack.serving import PROJECT_ID
from tests.support.recoveries import environment as with_admin_key
from tests.support.restores import dumped, restore

CURE = "if it is this database that shall act from now on, run `consumer migrate --adopt-copy`."
URL = "https://hooks.example.com/webhooks/stack"
NEEDS_STACK = (
    *(("backfill",), ("backfill", "--new"), ("reconcile",), ("reconcile", "--fix"), ("refresh", str(uuid4()))),
    *(("recover", "--since", "1d"), ("recover", "--follow"), ("connect", "--url", URL), ("connect", "--check")),
)

# A restore on another server may give the database its old name and number.
AS_THIS_DATABASE = """
UPDATE consumer.origin SET database_oid = d.oid, database_name = d.datname
FROM pg_database AS d WHERE d.datname = current_database()
"""


@pytest.fixture
def original(server_url: str) -> Iterator[str]:
    """A database that `migrate` set up."""
    with scratch_database(server_url, "original") as url:
        facts(url, "migrate")
        yield url


def name(url: str) -> str:
    return str(conninfo_to_dict(url)["dbname"])


def as_if_elsewhere(url: str) -> None:
    """Let the record name another server, as it does on a server that a dump was restored to."""
    change(url, "UPDATE consumer.origin SET server = '7000000000000000000'")


def refusals(url: str, fake: FakeStack, **others: str) -> list[str]:
    """Return what each command says that asks Stack, all with exit code 1 and without a call."""
    asked = len(fake.asked)
    settings = {**with_admin_key(fake), **environment(fake, **others)}
    results = [call(url, *command, **settings) for command in NEEDS_STACK]
    assert [result.exit_code for result in results] == [1] * len(NEEDS_STACK), [each.output for each in results]
    assert len(fake.asked) == asked
    return [result.stderr for result in results]


def test_no_job_asks_stack_on_a_copy(original: str, fake: FakeStack) -> None:
    change(original, f"INSERT INTO consumer.project (project_id, endpoint_url) VALUES ('{PROJECT_ID}', '{URL}')")
    as_if_elsewhere(original)
    settings = {**with_admin_key(fake), **environment(fake, RETENTION_DAYS="7")}

    result = call(original, "maintain", "--json", **settings)

    states = {report["job"]: report["state"] for report in orjson.loads(result.stdout)["jobs"]}
    failed = dict.fromkeys(("activity", "reconcile", "endpoint"), "failed")
    assert (result.exit_code, states, fake.asked) == (1, {"hours": "done", "prune": "done", **failed}, [])
    assert result.stderr.count("so it asks nothing of Stack") == 3


def acts(url: str, fake: FakeStack) -> bool:
    return call(url, "backfill", "--new", **environment(fake)).exit_code == 0


def test_the_first_migrate_records_where_it_is(original: str) -> None:
    [recorded] = rows(original, "SELECT server, database_oid, database_name FROM consumer.origin")
    [here] = rows(
        original,
        "SELECT s.system_identifier::text, d.oid::bigint FROM pg_control_system() AS s, pg_database AS d "
        "WHERE d.datname = current_database()",
    )

    assert recorded == {
        "server": here["system_identifier"],
        "database_oid": here["oid"],
        "database_name": name(original),
    }


def test_migrate_records_no_project(original: str, fake: FakeStack) -> None:
    """What is only typed is recorded by nobody: a page that is stored, or a test event that arrives, does it."""
    assert call(original, "migrate", **environment(fake)).exit_code == 0

    assert rows(original, "SELECT FROM consumer.project") == []


def test_a_database_that_is_none_acts(original: str, fake: FakeStack) -> None:
    assert acts(original, fake)
    assert "copy" not in [finding["code"] for finding in facts(original, "status")["findings"]]
    assert examined(original)[1]["copy"]["state"] == "ok"


def test_a_copy_on_another_server_does_not_act_until_it_is_adopted(original: str, fake: FakeStack) -> None:
    long_ago(fake)
    named(fake, 3)
    as_if_elsewhere(original)
    sentence = (
        f"This database is a copy of the database {name(original)} on another server, so it asks nothing of Stack"
    )

    refused = refusals(original, fake)
    [finding] = [each for each in facts(original, "status")["findings"] if each["code"] == "copy"]
    _, checks = examined(original)
    migrated = facts(original, "migrate")
    adopted = call(original, "migrate", "--adopt-copy")
    again = call(original, "migrate", "--adopt-copy")

    assert refused == [f"Error: {sentence}: {CURE}\n"] * len(NEEDS_STACK)
    assert (finding["gravity"], finding["cure"]) == ("warning", CURE.capitalize().replace("stack", "Stack"))
    assert checks["copy"]["state"] == "warning"
    assert migrated["warnings"] == [
        f"this database is a copy of the database {name(original)} on another server: {CURE}"
    ]
    assert "adopted this copy: it is the recorded one from now on (this database is a copy " in adopted.stdout
    assert (again.exit_code, again.stdout) == (0, "The database is up to date.\n")
    assert acts(original, fake)


def test_a_dump_restored_beside_its_database_does_not_act_and_the_first_one_does(
    original: str, server_url: str, fake: FakeStack
) -> None:
    with scratch_database(server_url, "staging") as staging:
        with dumped(original) as file:
            restore(file, staging)

        refused = refusals(staging, fake)

        assert f"a copy of the database {name(original)} on this server" in refused[0]
        assert acts(original, fake)


def test_a_database_made_from_it_as_a_template_does_not_act(original: str, server_url: str, fake: FakeStack) -> None:
    with scratch_database(server_url, "twin") as twin, psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name(twin)}")
        admin.execute(f"CREATE DATABASE {name(twin)} TEMPLATE {name(original)}")

        assert f"a copy of the database {name(original)} on this server" in refusals(twin, fake)[0]


def test_a_copy_under_the_name_of_its_database_does_not_act(original: str, server_url: str, fake: FakeStack) -> None:
    with scratch_database(server_url, "away") as away, psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name(away)}")
        admin.execute(f"ALTER DATABASE {name(original)} RENAME TO {name(away)}")
        admin.execute(f"CREATE DATABASE {name(original)} TEMPLATE {name(away)}")

        assert "or a restored one in its place" in refusals(original, fake)[0]
        assert f"was the database {name(original)} when that was recorded" in refusals(away, fake)[0]


def test_migrate_adopts_nothing_by_itself(original: str) -> None:
    as_if_elsewhere(original)
    before = rows(original, "SELECT * FROM consumer.origin")

    facts(original, "migrate", STACK_PROJECT_ID="11111111-2222-4333-8444-555555555555")

    assert rows(original, "SELECT * FROM consumer.origin") == before


def test_a_database_of_the_release_before_is_recorded_by_its_next_migrate(original: str, fake: FakeStack) -> None:
    change(original, "DELETE FROM consumer.origin")

    refused, found = refusals(original, fake), facts(original, "status")["findings"]
    facts(original, "migrate")

    assert "copy" not in [finding["code"] for finding in found]
    assert "Nobody has recorded yet which server and database this is" in refused[0]
    assert acts(original, fake)


def test_a_server_that_hides_its_identifier_is_told_by_what_a_restore_changes(server_url: str, fake: FakeStack) -> None:
    with (
        scratch_database(server_url, "hidden") as hidden,
        scratch_database(server_url, "restored") as restored,
    ):
        for url in (hidden, restored):
            change(url, "REVOKE EXECUTE ON FUNCTION pg_control_system FROM PUBLIC")
        # A superuser may read it all the same: what counts is what the operator may.
        facts(hidden, "migrate")
        with dumped(hidden) as file:
            restore(file, restored)
        change(restored, AS_THIS_DATABASE)

        assert acts(hidden, fake)
        assert "on another server" in refusals(restored, fake)[0]


def test_receivers_and_workers_of_a_copy_go_on(original: str) -> None:
    as_if_elsewhere(original)

    arrive(original, user_updated())
    work(original)

    assert len(rows(original, "SELECT FROM identity.profiles")) == 1


def test_an_erasure_on_a_copy_asks_stack_because_that_only_reads(original: str, fake: FakeStack) -> None:
    named(fake, 1)
    user_id = uuid4()
    arrive(original, user_updated(user_id))
    work(original)
    as_if_elsewhere(original)

    erased = call(original, "erase", str(user_id), "--yes", **environment(fake))

    assert (erased.exit_code, len(fake.asked)) == (0, 1), erased.output
