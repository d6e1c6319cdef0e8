"""An application's own tables are adopted: planned, granted, filled and followed, and all of that is undone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest

from tests.support.application import failures, make_due, tables
from tests.support.cli import arrive, call, examined, facts
from tests.support.databases import change, rows
from tests.support.factories import membership, team_event, user_deleted, user_updated

DATA = Path(__file__).parent / "data" / "adopt"


@dataclass(frozen=True)
class Shape:
    """An application as it was before us, and what it calls things."""

    url: str
    file: Path
    table: str
    key: str
    companies: str
    orders: str
    name: str
    role: str
    company: str
    touch: str

    def adopted(self) -> None:
        """Plan, write and grant."""
        facts(self.url, "adopt", "--plan", "--table", self.table, "--write", str(self.file))
        facts(self.url, "adopt", "--grant", "--table", self.table)

    def work(self) -> None:
        """Apply what is due, in a worker that has the statement."""
        result = call(self.url, "work", "--drain", CONSUMER_PROJECTION_SQL=str(self.file))
        assert result.exit_code == 0, result.output

    def fill(self, *arguments: str) -> Any:
        """Fill in, and return the document."""
        return facts(self.url, "adopt", "--fill", *arguments, CONSUMER_PROJECTION_SQL=str(self.file))

    def people(self) -> dict[UUID, dict[str, Any]]:
        """Return their rows by Stack's ids, as they stand."""
        return {UUID(str(row[self.key])): row for row in rows(self.url, f"SELECT * FROM {self.table}")}


@pytest.fixture(params=["a", "b"])
def shape(request: pytest.FixtureRequest, emptied: str, tmp_path: Path) -> Iterator[Shape]:
    file = tmp_path / "projection.sql"
    made = {
        "a": Shape(
            emptied, file, "shape_a.profiles", "user_id", "shape_a.companies", "shape_a.orders",
            "full_name", "role_type", "company_id", "shape_a.touch",
        ),
        "b": Shape(
            emptied, file, 'shape_b."user"', "id", "shape_b.organizations", "shape_b.invoices",
            "displayName", "role", "organizationId", "shape_b.touch",
        ),
    }[request.param]  # fmt: skip
    source = {"a": "profiles_and_companies.sql", "b": "users_and_organizations.sql"}[request.param]
    with tables(emptied, (DATA / source).read_text(), f"DROP SCHEMA IF EXISTS shape_{request.param} CASCADE"):
        yield made


def put(shape: Shape, user_id: UUID, **values: str) -> None:
    """Let the application have a row of its own, with an order."""
    given = {
        "a": {"department": "Sales", "locale": "de", "role_type": "chief"},
        "b": {"email": f"{user_id}@old.example.com", "role": "OWNER"},
    }[shape.table[6]] | values
    names, marks = ", ".join(f'"{name}"' for name in given), ", ".join(["%s"] * (len(given) + 1))
    with psycopg.connect(shape.url) as conn:
        conn.execute(
            f"INSERT INTO {shape.table} ({shape.key}, {names}) VALUES ({marks})", [str(user_id), *given.values()]
        )
        conn.execute(f"INSERT INTO {shape.orders} (user_id) VALUES (%s)", [str(user_id)])


def test_a_new_user_with_a_company_and_a_role_gets_a_row_of_theirs(shape: Shape) -> None:
    team_id, user_id = uuid4(), uuid4()
    shape.adopted()
    arrive(
        shape.url,
        team_event("created", team_id, display_name="Crew"),
        user_updated(user_id, display_name="Ada " * 20, server_metadata={"role": "admin"}),
        membership("created", team_id, user_id),
    )

    shape.work()

    person = shape.people()[user_id]
    assert person[shape.company] == team_id
    assert person[shape.role].lower() == "admin"
    assert rows(shape.url, f"SELECT * FROM {shape.companies} WHERE id = '{team_id}'")
    if shape.key == "user_id":
        assert person["full_name"] == ("Ada " * 20)[:40].strip() + " "
        assert (person["department"], person["locale"]) == ("General", "")
    else:
        assert (person["email"], person["is_active"], person["number"]) == ("ada@example.com", True, 1)


def test_a_row_that_was_there_keeps_what_stack_never_named(shape: Shape) -> None:
    user_id = uuid4()
    put(shape, user_id)
    before = shape.people()[user_id]
    shape.adopted()
    arrive(shape.url, user_updated(user_id, display_name="Grace"))

    shape.work()

    after = shape.people()[user_id]
    assert after[shape.name] == "Grace"
    assert after[shape.role] == before[shape.role]
    assert after.get("department") == before.get("department")
    assert after.get("locale") == before.get("locale")


def test_a_role_follows_once_stack_names_one_and_a_company_ends_with_the_membership(shape: Shape) -> None:
    team_id, user_id = uuid4(), uuid4()
    put(shape, user_id)
    shape.adopted()
    arrive(shape.url, team_event("created", team_id), membership("created", team_id, user_id))
    arrive(shape.url, user_updated(user_id, server_metadata={"role": "Admin"}))
    shape.work()
    joined = shape.people()[user_id]

    arrive(shape.url, membership("deleted", team_id, user_id))
    shape.work()

    assert (joined[shape.role].lower(), joined[shape.company]) == ("admin", team_id)
    assert shape.people()[user_id][shape.company] is None


def test_an_edit_takes_a_role_away_even_where_ours_is_that_already(shape: Shape) -> None:
    user_id = uuid4()
    put(shape, user_id)
    shape.adopted()
    arrive(shape.url, user_updated(user_id))
    shape.work()
    before = shape.people()[user_id][shape.role]

    change(shape.url, f"SELECT identity.edit_profile('{user_id}', '{{\"role_type\": \"member\"}}')")
    shape.work()

    assert before.lower() in {"chief", "owner"}
    assert shape.people()[user_id][shape.role].lower() == "member"


def test_whom_the_application_barred_stays_barred_until_deleted(shape: Shape) -> None:
    if shape.key != "id":
        pytest.skip("no column of theirs tells")
    user_id = uuid4()
    put(shape, user_id)
    change(shape.url, f"UPDATE {shape.table} SET is_active = FALSE")
    shape.adopted()

    arrive(shape.url, user_updated(user_id, display_name="Grace"))
    shape.work()

    person = shape.people()[user_id]
    assert (person["displayName"], person["is_active"]) == ("Grace", False)


def test_who_was_deleted_before_gets_no_row_when_filled_in(shape: Shape) -> None:
    user_id = uuid4()
    arrive(shape.url, user_updated(user_id), user_deleted(user_id))
    call(shape.url, "work", "--drain")
    shape.adopted()

    filled = shape.fill()

    assert (filled["users"], shape.people()) == (1, {})


def test_two_users_with_one_address_cost_the_second_of_them(shape: Shape) -> None:
    if shape.key != "id":
        pytest.skip("no unique index of theirs can refuse")
    first, second = sorted(uuid4() for _ in range(2))
    arrive(shape.url, user_updated(first), user_updated(second))
    call(shape.url, "work", "--drain")
    shape.adopted()

    result = call(shape.url, "adopt", "--fill", CONSUMER_PROJECTION_SQL=str(shape.file))

    assert shape.people().keys() == {first}
    assert (
        f"{second}  23505  CONSUMER_PROJECTION_SQL was refused: shape_b.user, unique constraint user_email "
        in result.stdout
    )


def test_a_replay_leaves_their_rows_untouched(shape: Shape) -> None:
    arrive(shape.url, *(user_updated(primary_email=None) for _ in range(5)))
    shape.adopted()
    shape.work()
    before = rows(shape.url, f"SELECT xmin, * FROM {shape.table} ORDER BY {shape.key}")

    facts(shape.url, "replay", "--all")
    shape.work()
    shape.fill()

    assert len(before) == 5
    assert rows(shape.url, f"SELECT xmin, * FROM {shape.table} ORDER BY {shape.key}") == before


def test_a_user_without_an_address_gets_one_that_nobody_has(shape: Shape) -> None:
    user_id = uuid4()
    shape.adopted()
    arrive(shape.url, user_updated(user_id, primary_email=None, primary_email_verified=False))

    shape.work()

    assert shape.people()[user_id].get("email") in {None, f"{user_id}@no-email.invalid"}


def test_users_who_were_there_before_are_filled_in_page_by_page(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.adopt.fill.PAGE_SIZE", 4)
    users = sorted(uuid4() for _ in range(10))
    arrive(shape.url, *(user_updated(user_id, primary_email=None) for user_id in users))
    arrive(shape.url, user_updated(is_anonymous=True))
    call(shape.url, "work", "--drain")
    shape.adopted()

    first = shape.fill("--after", str(users[5]))
    filled = shape.people().keys()
    rest = shape.fill()

    assert (first["users"], rest["users"]) == (4, 10)
    assert filled == set(users[6:])
    assert shape.people().keys() == set(users)


def test_filling_in_tells_whom_their_constraint_refuses_and_fills_in_the_others(shape: Shape) -> None:
    refused, others = uuid4(), [uuid4() for _ in range(6)]
    arrive(shape.url, *(user_updated(user_id, primary_email=None) for user_id in [refused, *others]))
    call(shape.url, "work", "--drain")
    shape.adopted()
    change(shape.url, f"ALTER TABLE {shape.table} ADD CONSTRAINT barred CHECK ({shape.key}::text <> '{refused}')")

    result = call(shape.url, "adopt", "--fill", CONSUMER_PROJECTION_SQL=str(shape.file))

    assert result.exit_code == 1
    assert "7 users processed, 1 refused" in result.stdout
    assert f"{refused}  23514  CONSUMER_PROJECTION_SQL was refused: " in result.stdout
    assert shape.people().keys() == set(others)


def test_a_user_whom_somebody_locks_is_left_out_and_told(shape: Shape) -> None:
    """What a worker is about to write would otherwise be overwritten by what was read before."""
    locked, other = uuid4(), uuid4()
    arrive(shape.url, *(user_updated(user_id, primary_email=None) for user_id in (locked, other)))
    call(shape.url, "work", "--drain")
    shape.adopted()

    with psycopg.connect(shape.url) as conn:
        conn.execute("SELECT FROM identity.stack_user_profiles WHERE stack_user_id = %s FOR UPDATE", [locked])
        result = call(shape.url, "adopt", "--fill", "--json", CONSUMER_PROJECTION_SQL=str(shape.file))

    assert result.exit_code == 1
    refused = orjson.loads(result.stdout)["refused"]
    assert [(row["user_id"], row["error_code"]) for row in refused] == [(str(locked), "55P03")]
    assert shape.people().keys() == {other}


def test_filling_in_stops_at_once_where_nobody_can_be(shape: Shape) -> None:
    arrive(shape.url, *(user_updated(primary_email=None) for _ in range(3)))
    call(shape.url, "work", "--drain")
    facts(shape.url, "adopt", "--plan", "--table", shape.table, "--write", str(shape.file))

    result = call(shape.url, "adopt", "--fill", CONSUMER_PROJECTION_SQL=str(shape.file))

    assert result.exit_code == 1
    assert result.stderr.startswith(
        "Error: No user can be filled in: CONSUMER_PROJECTION_SQL was refused: InsufficientPrivilege"
    )


@pytest.mark.parametrize("policy", ["soft", "anonymise", "hard"])
def test_a_deleted_user_with_orders_stays_in_theirs_under_every_policy(shape: Shape, policy: str) -> None:
    user_id = uuid4()
    environment = {"DELETE_POLICY": policy, "CONSUMER_PROJECTION_SQL": str(shape.file)}
    put(shape, user_id)
    shape.adopted()
    call(shape.url, "migrate", "--settings", **environment)
    arrive(shape.url, user_updated(user_id, display_name="Mallory", primary_email="mallory@example.com"))
    call(shape.url, "work", "--drain", **environment)

    arrive(shape.url, user_deleted(user_id))
    call(shape.url, "work", "--drain", **environment)

    assert failures(shape.url) == []
    assert len(rows(shape.url, f"SELECT user_id FROM {shape.orders}")) == 1
    person = shape.people()[user_id]
    assert person[shape.name] == ("Mallory" if policy == "soft" else "Deleted user")
    assert person.get("is_active", False) is False
    assert ("mallory" in str(person)) is (policy == "soft" and shape.key == "id")


@pytest.mark.parametrize("breakage", ["DROP TABLE {} CASCADE", "ALTER TABLE {} RENAME TO elsewhere"])
def test_their_missing_table_makes_its_users_wait_until_it_is_back(shape: Shape, breakage: str) -> None:
    shape.adopted()
    change(shape.url, breakage.format(shape.table))
    arrive(shape.url, *(user_updated(primary_email=None) for _ in range(30)), team_event("created", uuid4()))

    call(shape.url, "work", "--drain", CONSUMER_PROJECTION_SQL=str(shape.file))

    assert {(row[0], row[2]) for row in failures(shape.url)} == {("retrying", "42P01")}
    assert len(failures(shape.url)) == 30
    if "RENAME" in breakage:
        change(
            shape.url,
            f"ALTER TABLE {shape.table.partition('.')[0]}.elsewhere RENAME TO {shape.table.partition('.')[2]}",
        )
        make_due(shape.url)
        shape.work()
        assert len(shape.people()) == 30


def test_their_trigger_that_raises_for_one_keeps_one(shape: Shape) -> None:
    shape.adopted()
    change(
        shape.url,
        f"CREATE OR REPLACE FUNCTION {shape.touch}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF NEW.\"{shape.name}\" = 'Eve' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;"
        f"CREATE TRIGGER bar BEFORE INSERT ON {shape.table} FOR EACH ROW EXECUTE FUNCTION {shape.touch}()",
    )
    eve, ada = uuid4(), uuid4()
    arrive(shape.url, *(user_updated(i, display_name=n, primary_email=None) for i, n in ((eve, "Eve"), (ada, "Ada"))))

    shape.work()

    assert shape.people().keys() == {ada}
    assert {row[2] for row in failures(shape.url)} == {"P0001"}


def test_undone_the_worker_may_touch_nothing_of_theirs_and_their_rows_stay(shape: Shape) -> None:
    shape.adopted()
    arrive(shape.url, user_updated(primary_email=None))
    shape.work()
    _, granted = examined(shape.url, CONSUMER_PROJECTION_SQL=str(shape.file))

    facts(shape.url, "adopt", "--undo", "--table", shape.table)

    _, undone = examined(shape.url, CONSUMER_PROJECTION_SQL=str(shape.file))
    held = rows(
        shape.url,
        "SELECT table_name FROM information_schema.column_privileges "
        "WHERE grantee = 'consumer_worker' AND table_schema LIKE 'shape__'",
    )
    assert granted["application's statement"]["state"] == "ok"
    assert undone["application's statement"]["state"] == "failing"
    assert held == []
    assert rows(shape.url, "SELECT policyname FROM pg_policies WHERE schemaname LIKE 'shape__'") == []
    assert len(shape.people()) == 1
