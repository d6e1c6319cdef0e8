"""The application's statement runs in the transaction that changed the profiles, and its errors are nobody else's."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from consumer.errors import LostDeliveries
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres.connections import connect, worker_access
from consumer.postgres.error_classes import code, error_class
from consumer.settings.settings import DeletePolicy, ShapingSettings
from consumer.worker.batch import Batch, BatchRunner, drain
from tests.support.application import SCHEMA, STATEMENT, tables
from tests.support.cli import arrive, call, facts, states
from tests.support.databases import record, rows
from tests.support.factories import delivery, membership, permission, team_event, user_deleted, user_updated
from tests.test_doctor import examined

ACCESS = replace(worker_access("consumer"), lock_timeout=timedelta(milliseconds=100))
DROP = "DROP TABLE IF EXISTS public.people, public.calls, public.removed CASCADE"
MALLORY: dict[str, Any] = {"display_name": "Mallory", "primary_email": "mallory@example.com"}


@pytest.fixture
def application(emptied: str) -> Iterator[str]:
    with tables(emptied, SCHEMA, DROP) as url:
        yield url


def worker(statement: bytes | None = STATEMENT, attempts_max: int = 12) -> BatchRunner:
    return BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=attempts_max, projection_sql=statement)


def work(url: str, subject: BatchRunner | None = None) -> int:
    async def run() -> int:
        async with await connect(url, ACCESS) as conn:
            return await drain(conn, subject or worker())

    return asyncio.run(run())


def run_once(url: str, subject: BatchRunner | None = None) -> Batch:
    async def run() -> Batch:
        async with await connect(url, ACCESS) as conn:
            return await (subject or worker()).run_once(conn)

    return asyncio.run(run())


def change(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(statement)


def people(url: str) -> dict[UUID, str]:
    return {row["id"]: row["name"] for row in rows(url, "SELECT id, name FROM public.people")}


def profiles(url: str) -> dict[UUID, str]:
    return {row["user_id"]: row["full_name"] for row in rows(url, "SELECT user_id, full_name FROM identity.profiles")}


def calls(url: str) -> list[list[UUID]]:
    return [row["user_ids"] for row in rows(url, "SELECT user_ids FROM public.calls ORDER BY number")]


def failures(url: str) -> list[tuple[object, ...]]:
    found = rows(url, "SELECT state, attempts, error_code, error FROM consumer.failures ORDER BY seq")
    return [tuple(row.values()) for row in found]


def make_due(url: str) -> None:
    change(url, "UPDATE consumer.failures SET next_attempt_at = now() WHERE state = 'retrying'")


def test_a_created_and_an_updated_profile_are_followed_once_each(application: str) -> None:
    user_id = uuid4()

    for name in ("Ada", "Grace"):
        arrive(application, user_updated(user_id, display_name=name))
        work(application)

    assert people(application) == {user_id: "Grace"}
    assert calls(application) == [[user_id], [user_id]]


def test_the_statement_gets_the_users_of_a_batch_in_the_order_of_their_ids(application: str) -> None:
    user_ids = [uuid4() for _ in range(20)]
    arrive(application, *(user_updated(user_id, primary_email=None) for user_id in user_ids))

    work(application)

    assert calls(application) == [sorted(user_ids)]


def test_what_tells_nothing_new_of_a_user_runs_no_statement(application: str) -> None:
    user_id = uuid4()
    arrive(application, user_updated(user_id))
    work(application)

    arrive(application, user_updated(user_id), team_event("created", uuid4()))
    facts(application, "replay", "--all")
    work(application)

    assert len(calls(application)) == 1


def test_what_no_profile_shows_is_followed_too(application: str) -> None:
    """The statement may read the mirror, the memberships and the edits."""
    team_id, other_id, user_id, anonymous = uuid4(), uuid4(), uuid4(), uuid4()
    arrive(application, team_event("created", team_id), membership("created", team_id, user_id), user_updated(user_id))
    work(application)

    for new in (
        user_updated(user_id, server_metadata={"plan": "gold"}),
        membership("created", other_id, user_id),
        permission("created", other_id, user_id, "team_admin"),
        delivery("profile.edited", user_id, "app", role_type="member"),
        user_updated(anonymous, is_anonymous=True),
    ):
        arrive(application, new)
        work(application)

    assert calls(application)[1:] == [[user_id], [user_id], [user_id], [user_id], [anonymous]]


def test_a_later_activity_is_followed_too(application: str) -> None:
    user_id = uuid4()
    arrive(application, user_updated(user_id))
    work(application)

    arrive(application, delivery("user.signed_in", user_id, "app"))
    work(application)

    assert len(calls(application)) == 2


@pytest.mark.parametrize(
    ("policy", "left"), [("soft", "Ada"), ("anonymise", "Deleted user"), ("hard", None)], ids=["soft", "anon", "hard"]
)
def test_a_deleted_user_is_followed_under_each_policy(application: str, policy: DeletePolicy, left: str | None) -> None:
    user_id = uuid4()
    asyncio.run(record(application, ShapingSettings(delete_policy=policy)))
    arrive(application, user_updated(user_id))
    work(application)

    arrive(application, user_deleted(user_id))
    work(application)

    assert people(application).get(user_id) == left
    assert calls(application) == [[user_id], [user_id]]


def test_users_who_lose_their_company_are_followed(application: str) -> None:
    team_id, user_id = uuid4(), uuid4()
    arrive(application, team_event("created", team_id), user_updated(user_id), membership("created", team_id, user_id))
    work(application)
    before = rows(application, "SELECT company_id FROM public.people")

    arrive(application, team_event("deleted", team_id))
    work(application)

    assert before == [{"company_id": team_id}]
    assert rows(application, "SELECT company_id FROM public.people") == [{"company_id": None}]


def test_members_who_are_at_home_elsewhere_are_followed_when_a_company_ends(application: str) -> None:
    home_id, team_id, user_id = uuid4(), uuid4(), uuid4()
    arrive(
        application, user_updated(user_id), *(membership("created", joined, user_id) for joined in (home_id, team_id))
    )
    work(application)
    before = calls(application)

    arrive(application, team_event("deleted", team_id))
    work(application)

    assert rows(application, "SELECT company_id FROM public.people") == [{"company_id": home_id}]
    assert calls(application) == [*before, [user_id]]


def test_ours_and_theirs_commit_together_or_not_at_all(application: str) -> None:
    """A delivery that is lost after the statement has run takes its rows along."""
    arrive(application, user_updated())
    with (
        tables(
            application,
            "CREATE FUNCTION public.lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
            "CREATE TRIGGER lose BEFORE INSERT ON consumer.outcomes FOR EACH ROW EXECUTE FUNCTION public.lose()",
            "DROP FUNCTION public.lose CASCADE",
        ),
        pytest.raises(LostDeliveries),
    ):
        work(application)

    assert (people(application), profiles(application)) == ({}, {})


def test_a_user_whom_their_check_refuses_waits_alone_and_dies_in_the_end(application: str) -> None:
    refused = uuid4()
    arrive(application, *(user_updated(refused if n == 7 else None, primary_email=None) for n in range(30)))
    arrive(application, user_updated(refused, **MALLORY))

    run_once(application, worker(attempts_max=2))
    after_one = failures(application)
    make_due(application)
    run_once(application, worker(attempts_max=2))

    error = (
        "CONSUMER_PROJECTION_SQL was refused: public.people, check constraint no_mallory (the row does not satisfy it)"
    )
    assert after_one == [("retrying", 1, "23514", error)] * 2
    assert failures(application) == [("dead", 2, "23514", error)] * 2
    assert len(people(application)) == 29
    assert people(application) == profiles(application)


def test_a_user_whose_row_was_mended_is_followed_by_the_next_attempt(application: str) -> None:
    user_id = uuid4()
    arrive(application, user_updated(user_id, **MALLORY))
    work(application)

    change(application, "ALTER TABLE public.people DROP CONSTRAINT no_mallory")
    make_due(application)
    work(application)

    assert people(application) == {user_id: "Mallory"}
    assert failures(application) == []


def test_most_of_a_batch_refused_alike_does_not_stop_the_worker(application: str) -> None:
    arrive(application, *(user_updated(**MALLORY) if n % 4 else user_updated(primary_email=None) for n in range(40)))

    run_once(application)

    assert (len(failures(application)), len(people(application))) == (30, 10)
    assert {row[:3] for row in failures(application)} == {("retrying", 1, "23514")}


@pytest.mark.parametrize(
    ("breakage", "sqlstate", "named"),
    [
        ("DROP TABLE public.people", "42P01", 'relation "public.people" does not exist'),
        ("REVOKE INSERT ON public.people FROM consumer_worker", "42501", "permission denied for table people"),
        ("ALTER TABLE public.people DROP COLUMN name", "42703", ""),
    ],
    ids=["dropped", "revoked", "column"],
)
def test_a_broken_table_makes_the_users_wait_and_nothing_else(
    application: str, breakage: str, sqlstate: str, named: str
) -> None:
    users = [user_updated() for _ in range(200)]
    team = team_event("created", uuid4())
    change(application, breakage)
    arrive(application, *users, team)

    run_once(application)

    assert {row[:3] for row in failures(application)} == {("retrying", 1, sqlstate)}
    assert all(named in str(row[3]) for row in failures(application))
    assert [key for key, state in states(application).items() if state == "done"] == [team.message_id]
    assert profiles(application) == {}


def test_nobody_dies_of_a_statement_that_fails_for_everybody(application: str) -> None:
    user_id = uuid4()
    change(application, "ALTER TABLE public.people RENAME TO others")
    arrive(application, user_updated(user_id))

    for _ in range(3):
        run_once(application, worker(attempts_max=2))
        make_due(application)
    broken = failures(application)
    change(application, "ALTER TABLE public.others RENAME TO people")
    work(application)

    assert [row[:3] for row in broken] == [("retrying", 3, "42P01")]
    assert people(application) == {user_id: "Ada"}


def test_a_trigger_that_raises_concerns_its_user_only(application: str) -> None:
    with tables(
        application,
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.name = 'Eve' THEN RAISE EXCEPTION 'no %', NEW.email; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON public.people FOR EACH ROW EXECUTE FUNCTION public.refuse()",
        "DROP FUNCTION public.refuse CASCADE",
    ):
        arrive(application, user_updated(display_name="Eve", primary_email="eve@example.com"), user_updated())
        run_once(application)

    assert failures(application) == [("retrying", 1, "P0001", "CONSUMER_PROJECTION_SQL was refused: RaiseException")]
    assert list(people(application).values()) == ["Ada"]


def test_a_deferred_constraint_of_theirs_is_the_statements_error(application: str) -> None:
    change(
        application,
        "ALTER TABLE public.people ADD CONSTRAINT known FOREIGN KEY (company_id) REFERENCES public.people "
        "DEFERRABLE INITIALLY DEFERRED",
    )
    team_id, users = uuid4(), [uuid4() for _ in range(30)]
    arrive(application, *(user_updated(user_id, primary_email=None) for user_id in users))
    arrive(application, *(membership("created", team_id, user_id) for user_id in users[:20]))

    run_once(application)

    assert people(application).keys() == set(users[20:])
    assert {row[2:] for row in failures(application)} == {
        (
            "23503",
            "CONSUMER_PROJECTION_SQL was refused: public.people, foreign key known "
            "(the other table's row is missing, or still refers to this one)",
        )
    }


def test_two_users_who_are_refused_only_together_cost_one_of_them(application: str) -> None:
    arrive(application, *(user_updated(primary_email="same@example.com") for _ in range(2)))

    work(application)

    assert len(people(application)) == 1
    assert people(application) == profiles(application)
    assert [row[2] for row in failures(application)] == ["23505"]


def test_a_bad_delivery_and_a_refused_user_in_one_batch_are_told_apart(application: str) -> None:
    arrive(application, user_updated(display_name="Eve", primary_email=None), user_updated(**MALLORY), user_updated())
    with tables(
        application,
        "ALTER TABLE identity.profiles ADD CONSTRAINT no_eve CHECK (full_name <> 'Eve')",
        "ALTER TABLE identity.profiles DROP CONSTRAINT no_eve",
    ):
        work(application)

    assert [row[0] for row in failures(application)] == ["dead", "retrying"]
    assert list(people(application).values()) == ["Ada"]


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [("40001", "transient"), ("40P01", "transient"), ("53100", "ours"), ("25006", "ours"), ("58030", "ours")],
)
def test_what_the_server_lacks_is_not_the_statements_error(application: str, sqlstate: str, expected: str) -> None:
    arrive(application, user_updated())
    with (
        tables(
            application,
            f"CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{sqlstate}'; END $$;"
            f"CREATE TRIGGER fail BEFORE INSERT ON public.people FOR EACH ROW EXECUTE FUNCTION public.fail()",
            "DROP FUNCTION public.fail CASCADE",
        ),
        pytest.raises(psycopg.Error) as raised,
    ):
        work(application)

    assert (code(raised.value), error_class(raised.value).value) == (sqlstate, expected)
    assert failures(application) == []


def test_a_row_of_theirs_that_somebody_locks_costs_its_user_no_attempt(application: str) -> None:
    locked, user_ids = uuid4(), [uuid4() for _ in range(5)]
    arrive(application, *(user_updated(user_id, primary_email=None) for user_id in [locked, *user_ids]))
    work(application)
    arrive(application, *(user_updated(user_id, display_name="Grace", primary_email=None) for user_id in user_ids))
    arrive(application, user_updated(locked, display_name="Grace", primary_email=None))

    with psycopg.connect(application) as conn:
        conn.execute("SELECT id FROM public.people WHERE id = %s FOR UPDATE", [locked])
        run_once(application)

    assert people(application) == {locked: "Ada", **dict.fromkeys(user_ids, "Grace")}
    assert [row[:3] for row in failures(application)] == [("retrying", 0, "55P03")]


def test_users_whose_move_is_refused_are_looked_after_later(application: str) -> None:
    team_id, users = uuid4(), [uuid4() for _ in range(3)]
    arrive(application, *(user_updated(user_id, primary_email=None) for user_id in users))
    arrive(application, *(membership("created", team_id, user_id) for user_id in users))
    work(application)
    homeless = f"CHECK (company_id IS NOT NULL OR id <> '{users[1]}')"
    change(application, f"ALTER TABLE public.people ADD CONSTRAINT housed {homeless}")
    arrive(application, team_event("deleted", team_id))

    run_once(application)

    waiting = rows(application, "SELECT next_user_id, last_user_id, attempts FROM consumer.rehome")
    assert waiting == [{"next_user_id": users[1], "last_user_id": users[1], "attempts": 1}]
    change(application, "ALTER TABLE public.people DROP CONSTRAINT housed")
    change(application, "UPDATE consumer.rehome SET due_at = now()")
    work(application)
    assert rows(application, "SELECT DISTINCT company_id FROM public.people") == [{"company_id": None}]


def test_a_company_whose_users_are_all_refused_waits_as_one(application: str) -> None:
    team_id, users = uuid4(), [uuid4() for _ in range(30)]
    arrive(application, *(user_updated(user_id, primary_email=None) for user_id in users))
    arrive(application, *(membership("created", team_id, user_id) for user_id in users))
    work(application)
    change(application, "REVOKE UPDATE ON public.people FROM consumer_worker")
    arrive(application, team_event("deleted", team_id))

    run_once(application)

    assert rows(application, "SELECT attempts FROM consumer.rehome") == [{"attempts": 1}]
    assert set(calls(application)[-1]) == set(users)


def test_the_command_line_worker_runs_the_file_that_the_variable_names(application: str, tmp_path: Path) -> None:
    file = tmp_path / "people.sql"
    file.write_bytes(STATEMENT)
    arrive(application, user_updated())

    result = call(application, "work", "--drain", CONSUMER_PROJECTION_SQL=str(file))

    assert result.exit_code == 0, result.output
    assert list(people(application).values()) == ["Ada"]


@pytest.mark.parametrize(
    ("written", "finding"),
    [
        ("SELECT 1\nFROM unnest(%(user_ids)b::uuid[])\nWHEN", "SyntaxError (42601) in line 3"),
        ("SELECT 1 / 0\nFROM unnest(%(user_ids)b::uuid[])", "DivisionByZero (22012)"),
        ("SELECT 'secret'::uuid\nFROM unnest(%(user_ids)b::uuid[])", "InvalidTextRepresentation (22P02) in line 1"),
    ],
    ids=["syntax", "division", "a value"],
)
def test_the_doctor_names_the_error_of_a_statement_and_its_line_but_no_value(
    application: str, tmp_path: Path, written: str, finding: str
) -> None:
    file = tmp_path / "people.sql"
    file.write_text(written)

    exit_code, checks = examined(application, CONSUMER_PROJECTION_SQL=str(file))

    assert (exit_code, checks["application's statement"]["finding"]) == (1, finding)


def test_the_doctor_plans_the_statement_as_the_worker(application: str, tmp_path: Path) -> None:
    file = tmp_path / "people.sql"
    file.write_bytes(STATEMENT)

    _, well = examined(application, CONSUMER_PROJECTION_SQL=str(file))
    change(application, "REVOKE INSERT ON public.people FROM consumer_worker")
    exit_code, ill = examined(application, CONSUMER_PROJECTION_SQL=str(file))

    assert well["application's statement"]["state"] == "ok"
    assert (exit_code, ill["application's statement"]["state"]) == (1, "failing")
    assert ill["application's statement"]["finding"] == "permission denied for table people (42501)"
    assert "application's statement" not in examined(application)[1]
