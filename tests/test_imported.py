"""A user that Stack's API brings in is no sign-up: the audit says so, and an application's statement can ask it."""

from uuid import UUID, uuid4

import pytest

from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.outbox.storage import Delivery
from consumer.worker.batch import BatchRunner
from tests.support.databases import rows, schema_change
from tests.support.effects import applied, audit, together
from tests.support.factories import delivery, user_deleted, user_updated
from tests.support.worker import ACCESS, run_once, stored

USER = uuid4()


def listed(user_id: UUID = USER, source: str = "backfill", **data: object) -> Delivery:
    """A user as a list of the API tells it."""
    made = user_updated(user_id, **data)
    return made._replace(source=source, message_id=f"{uuid4()}:users:{user_id}", verified_by=None)


def signed_up(user_id: UUID = USER) -> Delivery:
    made = user_updated(user_id)
    return made._replace(event_type="user.created", body=made.body.replace(b"user.updated", b"user.created"))


@pytest.mark.parametrize("source", ["backfill", "reconcile"])
async def test_the_first_row_of_a_listed_user_is_imported(emptied: str, source: str) -> None:
    await applied(emptied, listed(source=source))

    assert audit(emptied, "operation, source") == [("imported", source)]


@pytest.mark.parametrize("webhook", [signed_up(), user_updated(USER)], ids=["sign-up", "change"])
async def test_a_webhook_in_the_same_batch_makes_it_a_creation(emptied: str, webhook: Delivery) -> None:
    await together(emptied, webhook, listed())
    await together(emptied, listed(other := uuid4()), signed_up(other))

    assert audit(emptied, "operation") == [("created",), ("created",)]


async def test_the_same_batch_tells_of_each_user_alone(emptied: str) -> None:
    told, imported = uuid4(), uuid4()

    await together(emptied, signed_up(told), listed(imported))

    assert set(audit(emptied, "user_id, operation")) == {(told, "created"), (imported, "imported")}


async def test_a_sign_in_or_a_deletion_beside_it_makes_no_sign_up_of_it(emptied: str) -> None:
    gone, there = uuid4(), uuid4()

    await together(emptied, listed(gone), user_deleted(gone))
    await together(emptied, listed(there), delivery("user.signed_in", there, "app"))

    first_rows = rows(emptied, "SELECT operation FROM identity.profile_audit WHERE previous_values IS NULL")
    assert [row["operation"] for row in first_rows if row["operation"] != "signed_in"] == ["imported", "imported"]


async def test_an_anonymous_user_that_the_api_shows_upgraded_is_imported(emptied: str) -> None:
    await applied(emptied, user_updated(USER, is_anonymous=True), listed())

    assert audit(emptied, "operation") == [("imported",)]


async def test_what_changes_later_is_updated_whoever_tells(emptied: str) -> None:
    await applied(emptied, signed_up(), listed(display_name="Countess"))
    await applied(emptied, listed(other := uuid4()), user_updated(other, display_name="Countess"))

    assert audit(emptied, "operation") == [("created",), ("updated",), ("imported",), ("updated",)]


# What ADOPT.md shows: the audit's row of this transaction.
IS_IMPORTED = """
    EXISTS (
        SELECT FROM identity.profile_audit AS a
        WHERE a.user_id = {user} AND a.operation = 'imported' AND a.at = now()
    )
"""
WELCOMES = "CREATE TABLE public.welcomes (user_id uuid); GRANT SELECT, INSERT ON public.welcomes TO consumer_worker;"
TRIGGER = f"""
    {WELCOMES}
    CREATE FUNCTION public.welcome() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NOT {IS_IMPORTED.format(user="NEW.user_id")} THEN
            INSERT INTO public.welcomes VALUES (NEW.user_id);
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER welcome AFTER INSERT ON identity.profiles FOR EACH ROW EXECUTE FUNCTION public.welcome();
"""
STATEMENT = f"""
    INSERT INTO public.welcomes (user_id)
    SELECT u.id FROM unnest(%(user_ids)b::uuid[]) AS u (id) WHERE NOT {IS_IMPORTED.format(user="u.id")}
"""


@pytest.mark.parametrize("way", ["statement", "trigger"])
async def test_the_applications_statement_and_triggers_can_tell_who_is_imported(emptied: str, way: str) -> None:
    new = uuid4()
    statement = STATEMENT.encode() if way == "statement" else None
    runner = BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12, projection_sql=statement)
    change = WELCOMES if way == "statement" else TRIGGER
    undo = "DROP TABLE public.welcomes; DROP FUNCTION IF EXISTS public.welcome CASCADE"

    with schema_change(emptied, change, undo):
        await stored(emptied, [signed_up(new), listed()])
        await run_once(emptied, runner)
        welcomed = rows(emptied, "SELECT user_id FROM public.welcomes")

    assert set(audit(emptied, "user_id, operation")) == {(new, "created"), (USER, "imported")}
    assert [row["user_id"] for row in welcomed] == [new]
