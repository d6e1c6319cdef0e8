"""The application's statement is refused or fails: its users wait or die, and nothing else does."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from consumer.postgres.error_classes import code, error_class
from tests.support.application import calls, failures, make_due, people, profiles, run_once, tables, work, worker
from tests.support.databases import change, rows
from tests.support.factories import membership, team_event, user_updated
from tests.support.outbox import arrive, states

MALLORY: dict[str, Any] = {"display_name": "Mallory", "primary_email": "mallory@example.com"}


async def test_a_user_whom_their_check_refuses_waits_alone_and_dies_in_the_end(application: str) -> None:
    refused = uuid4()
    await arrive(application, *(user_updated(refused if n == 7 else None, primary_email=None) for n in range(30)))
    await arrive(application, user_updated(refused, **MALLORY))

    await run_once(application, worker(attempts_max=2))
    after_one = failures(application)
    make_due(application)
    await run_once(application, worker(attempts_max=2))

    error = (
        "CONSUMER_PROJECTION_SQL was refused: public.people, check constraint no_mallory (the row does not satisfy it)"
    )
    assert after_one == [("retrying", 1, "23514", error)] * 2
    assert failures(application) == [("dead", 2, "23514", error)] * 2
    assert len(people(application)) == 29
    assert people(application) == profiles(application)


async def test_a_user_whose_row_was_mended_is_followed_by_the_next_attempt(application: str) -> None:
    user_id = uuid4()
    await arrive(application, user_updated(user_id, **MALLORY))
    await work(application)

    change(application, "ALTER TABLE public.people DROP CONSTRAINT no_mallory")
    make_due(application)
    await work(application)

    assert people(application) == {user_id: "Mallory"}
    assert failures(application) == []


async def test_most_of_a_batch_refused_alike_does_not_stop_the_worker(application: str) -> None:
    await arrive(
        application, *(user_updated(**MALLORY) if n % 4 else user_updated(primary_email=None) for n in range(40))
    )

    await run_once(application)

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
async def test_a_broken_table_makes_the_users_wait_and_nothing_else(
    application: str, breakage: str, sqlstate: str, named: str
) -> None:
    users = [user_updated() for _ in range(200)]
    team = team_event("created", uuid4())
    change(application, breakage)
    await arrive(application, *users, team)

    await run_once(application)

    assert {row[:3] for row in failures(application)} == {("retrying", 1, sqlstate)}
    assert all(named in str(row[3]) for row in failures(application))
    assert [key for key, state in states(application).items() if state == "done"] == [team.message_id]
    assert profiles(application) == {}


async def test_nobody_dies_of_a_statement_that_fails_for_everybody(application: str) -> None:
    user_id = uuid4()
    change(application, "ALTER TABLE public.people RENAME TO others")
    await arrive(application, user_updated(user_id))

    for _ in range(3):
        await run_once(application, worker(attempts_max=2))
        make_due(application)
    broken = failures(application)
    change(application, "ALTER TABLE public.others RENAME TO people")
    await work(application)

    assert [row[:3] for row in broken] == [("retrying", 3, "42P01")]
    assert people(application) == {user_id: "Ada"}


async def test_a_trigger_that_raises_concerns_its_user_only(application: str) -> None:
    with tables(
        application,
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.name = 'Eve' THEN RAISE EXCEPTION 'no %', NEW.email; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON public.people FOR EACH ROW EXECUTE FUNCTION public.refuse()",
        "DROP FUNCTION public.refuse CASCADE",
    ):
        await arrive(application, user_updated(display_name="Eve", primary_email="eve@example.com"), user_updated())
        await run_once(application)

    assert failures(application) == [("retrying", 1, "P0001", "CONSUMER_PROJECTION_SQL was refused: RaiseException")]
    assert list(people(application).values()) == ["Ada"]


async def test_a_deferred_constraint_of_theirs_is_the_statements_error(application: str) -> None:
    change(
        application,
        "ALTER TABLE public.people ADD CONSTRAINT known FOREIGN KEY (company_id) REFERENCES public.people "
        "DEFERRABLE INITIALLY DEFERRED",
    )
    team_id, users = uuid4(), [uuid4() for _ in range(30)]
    await arrive(application, *(user_updated(user_id, primary_email=None) for user_id in users))
    await arrive(application, *(membership("created", team_id, user_id) for user_id in users[:20]))

    await run_once(application)

    assert people(application).keys() == set(users[20:])
    assert {row[2:] for row in failures(application)} == {
        (
            "23503",
            "CONSUMER_PROJECTION_SQL was refused: public.people, foreign key known "
            "(the other table's row is missing, or still refers to this one)",
        )
    }


async def test_two_users_who_are_refused_only_together_cost_one_of_them(application: str) -> None:
    await arrive(application, *(user_updated(primary_email="same@example.com") for _ in range(2)))

    await work(application)

    assert len(people(application)) == 1
    assert people(application) == profiles(application)
    assert [row[2] for row in failures(application)] == ["23505"]


async def test_a_bad_delivery_and_a_refused_user_in_one_batch_are_told_apart(application: str) -> None:
    await arrive(
        application, user_updated(display_name="Eve", primary_email=None), user_updated(**MALLORY), user_updated()
    )
    with tables(
        application,
        "ALTER TABLE identity.profiles ADD CONSTRAINT no_eve CHECK (full_name <> 'Eve')",
        "ALTER TABLE identity.profiles DROP CONSTRAINT no_eve",
    ):
        await work(application)

    assert [row[0] for row in failures(application)] == ["dead", "retrying"]
    assert list(people(application).values()) == ["Ada"]


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [("40001", "transient"), ("40P01", "transient"), ("53100", "ours"), ("25006", "ours"), ("58030", "ours")],
)
async def test_what_the_server_lacks_is_not_the_statements_error(
    application: str, sqlstate: str, expected: str
) -> None:
    await arrive(application, user_updated())
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
        await work(application)

    assert (code(raised.value), error_class(raised.value).value) == (sqlstate, expected)
    assert failures(application) == []


async def test_a_row_of_theirs_that_somebody_locks_costs_its_user_no_attempt(application: str) -> None:
    locked, user_ids = uuid4(), [uuid4() for _ in range(5)]
    await arrive(application, *(user_updated(user_id, primary_email=None) for user_id in [locked, *user_ids]))
    await work(application)
    await arrive(
        application, *(user_updated(user_id, display_name="Grace", primary_email=None) for user_id in user_ids)
    )
    await arrive(application, user_updated(locked, display_name="Grace", primary_email=None))

    with psycopg.connect(application) as conn:
        conn.execute("SELECT id FROM public.people WHERE id = %s FOR UPDATE", [locked])
        await run_once(application)

    assert people(application) == {locked: "Ada", **dict.fromkeys(user_ids, "Grace")}
    assert [row[:3] for row in failures(application)] == [("retrying", 0, "55P03")]


async def test_users_whose_move_is_refused_are_looked_after_later(application: str) -> None:
    team_id, users = uuid4(), [uuid4() for _ in range(3)]
    await arrive(application, *(user_updated(user_id, primary_email=None) for user_id in users))
    await arrive(application, *(membership("created", team_id, user_id) for user_id in users))
    await work(application)
    homeless = f"CHECK (company_id IS NOT NULL OR id <> '{users[1]}')"
    change(application, f"ALTER TABLE public.people ADD CONSTRAINT housed {homeless}")
    await arrive(application, team_event("deleted", team_id))

    await run_once(application)

    waiting = rows(application, "SELECT next_user_id, last_user_id, attempts FROM consumer.rehome")
    assert waiting == [{"next_user_id": users[1], "last_user_id": users[1], "attempts": 1}]
    change(application, "ALTER TABLE public.people DROP CONSTRAINT housed")
    change(application, "UPDATE consumer.rehome SET due_at = now()")
    await work(application)
    assert rows(application, "SELECT DISTINCT company_id FROM public.people") == [{"company_id": None}]


async def test_a_company_whose_users_are_all_refused_waits_as_one(application: str) -> None:
    team_id, users = uuid4(), [uuid4() for _ in range(30)]
    await arrive(application, *(user_updated(user_id, primary_email=None) for user_id in users))
    await arrive(application, *(membership("created", team_id, user_id) for user_id in users))
    await work(application)
    change(application, "REVOKE UPDATE ON public.people FROM consumer_worker")
    await arrive(application, team_event("deleted", team_id))

    await run_once(application)

    assert rows(application, "SELECT attempts FROM consumer.rehome") == [{"attempts": 1}]
    assert set(calls(application)[-1]) == set(users)
