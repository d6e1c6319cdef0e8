"""What an application's own triggers on the profiles do to them: the audit tells of rows as they lie there."""

from uuid import uuid4

import pytest

from consumer.settings.settings import ShapingSettings
from tests.support.databases import record, rows, schema_change
from tests.support.effects import applied, audit
from tests.support.factories import edited, team_event, user_deleted, user_updated
from tests.support.worker import run_once, stored, worker

TRIGGER = """
    CREATE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
    CREATE TRIGGER meddle BEFORE {occasion} ON identity.profiles FOR EACH ROW EXECUTE FUNCTION public.meddle();
"""
UNDO = "DROP FUNCTION public.meddle CASCADE"


async def test_a_profile_that_the_application_keeps_out_is_not_told_to_be_created(emptied: str) -> None:
    with schema_change(emptied, TRIGGER.format(occasion="INSERT", body="RETURN NULL;"), UNDO):
        outcomes = await applied(emptied, user_updated())

    assert (outcomes, rows(emptied, "SELECT FROM identity.profiles"), audit(emptied)) == (["applied"], [], [])


async def test_a_profile_that_was_kept_out_comes_with_the_next_event(emptied: str) -> None:
    user_id = uuid4()
    with schema_change(emptied, TRIGGER.format(occasion="INSERT", body="RETURN NULL;"), UNDO):
        await applied(emptied, user_updated(user_id))

    await applied(emptied, user_updated(user_id))

    assert audit(emptied, "operation, user_id") == [("created", user_id)]


async def test_a_change_that_the_application_keeps_out_is_not_told(emptied: str) -> None:
    user_id = uuid4()
    await applied(emptied, user_updated(user_id, display_name="Ada"))

    with schema_change(emptied, TRIGGER.format(occasion="UPDATE", body="RETURN NULL;"), UNDO):
        await applied(emptied, user_updated(user_id, display_name="Countess"))

    assert rows(emptied, "SELECT full_name FROM identity.profiles") == [{"full_name": "Ada"}]
    assert audit(emptied, "operation") == [("created",)]


async def test_a_move_that_the_application_undoes_is_not_told(emptied: str) -> None:
    user_id, first, second = uuid4(), uuid4(), uuid4()
    await applied(emptied, *(team_event("created", each) for each in (first, second)))
    await applied(emptied, user_updated(user_id), edited(user_id, company_id=str(first)))
    stay = TRIGGER.format(occasion="UPDATE", body="NEW.company_id := OLD.company_id; RETURN NEW;")

    with schema_change(emptied, stay, UNDO):
        await applied(emptied, edited(user_id, company_id=str(second)))

    assert rows(emptied, "SELECT company_id FROM identity.profiles") == [{"company_id": first}]
    assert audit(emptied, "operation") == [("created",), ("updated",)]


async def test_the_audit_shows_what_the_application_made_of_a_profile_and_a_repeat_adds_nothing(emptied: str) -> None:
    user_id = uuid4()
    lower = TRIGGER.format(occasion="INSERT OR UPDATE", body="NEW.email := lower(NEW.email); RETURN NEW;")

    with schema_change(emptied, lower, UNDO):
        await applied(emptied, *(user_updated(user_id, primary_email="Ada@Example.com") for _ in range(2)))
        await applied(emptied, user_updated(user_id, primary_email="Countess@Example.com"))

    assert audit(emptied, "previous_values ->> 'email' AS before, new_values ->> 'email' AS after") == [
        (None, "ada@example.com"),
        ("ada@example.com", "countess@example.com"),
    ]


@pytest.mark.parametrize(("batch_size", "left"), [(2, []), (1, [{"full_name": "Deleted user"}])], ids=["one", "two"])
async def test_the_application_can_only_keep_a_profile_that_was_there(
    emptied: str, batch_size: int, left: list[dict[str, object]]
) -> None:
    """Who comes and goes in one batch never had one: the one place where a trigger lets the batches show."""
    await record(emptied, ShapingSettings(delete_policy="hard"))
    user_id = uuid4()
    await stored(emptied, [user_updated(user_id), user_deleted(user_id)])

    with schema_change(emptied, TRIGGER.format(occasion="DELETE", body="RETURN NULL;"), UNDO):
        for _ in range(2):
            await run_once(emptied, worker(batch_size=batch_size))

    assert rows(emptied, "SELECT full_name FROM identity.profiles") == left
