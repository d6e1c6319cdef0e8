"""How filling in goes on: in pages that are halved where users fail together, and with its place on the terminal."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from consumer.adopt.fill import Page, RefusedUser, fill
from consumer.postgres.connections import connect, worker_access
from tests.support.application import tables
from tests.support.cli import call, facts
from tests.support.databases import change

WORKER = worker_access("consumer")
USERS = [UUID(int=n) for n in range(1, 8)]
CALL = b"INSERT INTO app.calls (users) SELECT %(user_ids)b::uuid[]"
SCHEMA = """
    CREATE SCHEMA app;
    CREATE TABLE app.calls (users uuid[]);
    CREATE FUNCTION app.few() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF cardinality(NEW.users) > 2 THEN RAISE EXCEPTION 'together'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER few BEFORE INSERT ON app.calls FOR EACH ROW EXECUTE FUNCTION app.few();
    GRANT USAGE ON SCHEMA app TO consumer_worker; GRANT INSERT ON app.calls TO consumer_worker;
"""
DROP = "DROP SCHEMA IF EXISTS app CASCADE"


async def test_a_page_that_fails_only_together_is_halved_and_the_next_one_is_whole_again(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.adopt.fill.PAGE_SIZE", 5)
    values = ", ".join(f"('{each}', TRUE)" for each in USERS)
    change(emptied, f"INSERT INTO identity.stack_user_profiles (stack_user_id, has_profile) VALUES {values}")

    with tables(emptied, SCHEMA, DROP):
        async with await connect(emptied, WORKER) as conn:
            found = [page async for page in fill(conn, WORKER, CALL)]

    assert found == [Page(2, USERS[1], []), Page(2, USERS[3], []), Page(2, USERS[5], []), Page(1, USERS[6], [])]


class Shown:
    """A console that remembers what it was asked to show, and whether on the error's side."""

    def __init__(self) -> None:
        self.said: list[tuple[bool, str]] = []
        self.is_error = False

    def __call__(self, *, is_error: bool = False) -> "Shown":
        self.is_error = is_error
        return self

    @contextmanager
    def status(self, text: str) -> Iterator["Shown"]:
        self.update(text)
        yield self
        self.update("over")

    def update(self, text: str) -> None:
        self.said.append((self.is_error, text))

    def print(self, text: str) -> None:
        self.said.append((self.is_error, text))


def test_a_person_reads_how_far_it_is_beside_the_output_and_the_result_in_it(
    emptied: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = RefusedUser(USERS[0], "23505", "app.users, unique constraint email")

    async def filled(*_: object) -> AsyncIterator[Page]:
        yield Page(500, USERS[2], [refused])
        yield Page(700, USERS[5], [])

    shown = Shown()
    file = tmp_path / "projection.sql"
    file.write_text("SELECT %(user_ids)b::uuid[]")
    monkeypatch.setattr("consumer.cli.adopt.fill", filled)
    monkeypatch.setattr("consumer.cli.adopt.console", shown)

    result = call(emptied, "adopt", "fill", CONSUMER_PROJECTION_SQL=str(file))

    assert shown.said == [
        (True, "filling in"),
        (True, f"500 users, up to {USERS[2]}"),
        (True, f"1,200 users, up to {USERS[5]}"),
        (True, "over"),
        (False, "1,200 users processed, 1 refused."),
    ]
    assert (result.exit_code, result.stdout) == (
        1,
        f"  {USERS[0]}  23505  app.users, unique constraint email\n",
    )


def test_a_table_that_keeps_nothing_of_its_own_has_no_edits_to_store(emptied: str) -> None:
    create = "CREATE SCHEMA app; CREATE TABLE app.users (id uuid PRIMARY KEY, email text)"
    with tables(emptied, create, DROP):
        stored = facts(emptied, "adopt", "fill", "--edits")
        said = call(emptied, "adopt", "fill", "--edits")

    assert stored == {"edits": 0, "unknown_users": 0}
    assert (said.exit_code, said.stdout[:2]) == (0, "0 ")


def test_a_comparison_fails_only_while_something_differs(emptied: str) -> None:
    create = "CREATE SCHEMA app; CREATE TABLE app.users (id uuid PRIMARY KEY, name text)"
    with tables(emptied, create, DROP):
        same = call(emptied, "adopt", "compare")
        change(
            emptied,
            f"INSERT INTO identity.stack_user_profiles (stack_user_id, has_profile) VALUES ('{USERS[0]}', TRUE);"
            "INSERT INTO identity.profiles (user_id, full_name, email, email_verified, role_type, department) "
            f"VALUES ('{USERS[0]}', 'Ada', 'a@b.c', FALSE, 'member', 'x')",
        )
        lacking = call(emptied, "adopt", "compare", "--json")

    assert (same.exit_code, lacking.exit_code) == (0, 1)
    assert str(USERS[0]) in lacking.stdout


def test_a_plan_that_fails_leaves_no_file(emptied: str, tmp_path: Path) -> None:
    file = tmp_path / "projection.sql"

    result = call(emptied, "adopt", "plan", "--table", "missing", "--write", str(file))

    assert (result.exit_code, file.exists()) == (1, False)


def test_a_place_to_go_on_from_is_a_user_s_id(emptied: str) -> None:
    result = call(emptied, "adopt", "fill", "--after", "x")

    assert (result.exit_code, "'x' is not a valid UUID." in result.stderr) == (2, True)
