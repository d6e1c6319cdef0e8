"""An application's own tables are adopted: planned, granted, filled and followed, and all of that is undone."""

from uuid import uuid4

import pytest

from tests.support.adopt import Shape, put
from tests.support.application import failures, make_due
from tests.support.cli import arrive, call, examined, facts
from tests.support.databases import change, rows
from tests.support.factories import membership, team_event, user_deleted, user_updated


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


def test_two_users_with_one_address_cost_the_second_of_them(shape: Shape) -> None:
    if shape.key != "id":
        pytest.skip("no unique index of theirs can refuse")
    first, second = sorted(uuid4() for _ in range(2))
    arrive(shape.url, user_updated(first), user_updated(second))
    call(shape.url, "work", "--drain")
    shape.adopted()

    result = call(shape.url, "adopt", "fill", CONSUMER_PROJECTION_SQL=str(shape.file))

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
    assert "mallory" not in str(person)


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

    facts(shape.url, "adopt", "undo", "--table", shape.table)

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
