"""A rebuild reads reduced bodies as this release reduces them, whatever the release left out that stored them."""

from uuid import UUID

import orjson
import psycopg
import pytest
from psycopg import errors as postgres

from consumer.effects import reread
from consumer.events.check import check
from consumer.outbox.storage import Delivery
from consumer.settings.settings import ShapingSettings
from tests.support import model
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import rows
from tests.support.factories import edited, permission, team, team_event, user_updated

USER, OTHER_USER, TEAM = UUID(int=1), UUID(int=2), UUID(int=77)
OVERWRITE = "SELECT consumer.reduce_again(ARRAY(SELECT seq FROM consumer.outbox), '{old}'::bytea[], '{new}'::bytea[])"
REDUCED = "SELECT message_id, reduced FROM consumer.outbox ORDER BY seq"


def stored_without(told: Delivery, *path: str) -> Delivery:
    """Return a delivery as a bad release stores it: what lies at *path* of its data is left out."""
    document = orjson.loads(told.reduced or told.body)
    part = document["data"]
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = None
    return told._replace(reduced=orjson.dumps(document))


def unfit(told: Delivery) -> Delivery:
    """Return a user's delivery whose client metadata no release can store, reduced as it must be."""
    body = told.body.replace(b'"client_metadata":null', rb'"client_metadata":"\u0000"')
    return told._replace(body=body, reduced=check(body, "stack").reduced)


WRONGLY_REDUCED = {
    "a role": [stored_without(user_updated(USER, server_metadata={"role": "admin"}), "server_metadata")],
    "a name beside what must be left out": [stored_without(unfit(user_updated(USER)), "display_name")],
    "a team's name": [stored_without(team_event("created", TEAM, display_name="Crew"), "display_name")],
    "a selected team": [
        user_updated(USER, selected_team=team(TEAM, display_name="Old")),
        stored_without(user_updated(USER, selected_team=team(TEAM, display_name="New")), "selected_team"),
    ],
    "a selected team's name": [
        stored_without(user_updated(USER, selected_team=team(TEAM)), "selected_team", "display_name")
    ],
    "an edit": [user_updated(USER), stored_without(edited(USER, role_type="admin"), "role_type")],
}


@pytest.mark.parametrize("told", WRONGLY_REDUCED.values(), ids=WRONGLY_REDUCED)
@pytest.mark.parametrize("command", ["rebuild", "replay --all"])
def test_what_a_bad_release_left_out_comes_back(told: list[Delivery], command: str, emptied: str) -> None:
    arrive(emptied, *told)
    work(emptied)
    expected = model.fold(
        [one._replace(reduced=check(one.body, one.source).reduced) for one in told], ShapingSettings()
    )
    wrong = model.state(emptied)

    checked = call(emptied, "rebuild", "--check")
    unchanged = model.state(emptied)
    facts(emptied, *command.split())
    work(emptied)

    assert checked.exit_code == 1
    assert wrong == unchanged != expected
    assert model.state(emptied) == expected
    assert call(emptied, "rebuild", "--check").exit_code == 0


def test_what_is_read_is_stored_and_only_where_it_is_another(emptied: str) -> None:
    sound, wrong = unfit(user_updated(USER)), stored_without(unfit(user_updated(OTHER_USER)), "display_name")
    arrive(emptied, sound, wrong)
    work(emptied)
    before = rows(emptied, f"SELECT xmin::text FROM consumer.outbox WHERE message_id = '{sound.message_id}'")

    facts(emptied, "rebuild")

    assert rows(emptied, REDUCED) == [
        {"message_id": one.message_id, "reduced": check(one.body, "stack").reduced} for one in (sound, wrong)
    ]
    assert rows(emptied, f"SELECT xmin::text FROM consumer.outbox WHERE message_id = '{sound.message_id}'") == before


def test_what_this_release_can_t_use_at_all_stays_as_it_was_applied(emptied: str) -> None:
    applied = user_updated(USER)
    arrive(emptied, applied._replace(body=b'{"type": "user.updated", "data": {}}', reduced=applied.body))
    work(emptied)
    before = model.state(emptied)

    assert facts(emptied, "rebuild")["differing"] == {}
    assert model.state(emptied) == before
    assert [row["reduced"] for row in rows(emptied, REDUCED)] == [applied.body]


def test_any_number_is_read_in_steps(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a", "b", "c", "d", "e"]
    arrive(emptied, *(stored_without(permission("created", TEAM, USER, name), "user_id") for name in names))
    work(emptied)
    monkeypatch.setattr(reread, "READ_MAX", 2)

    facts(emptied, "rebuild", "--user", str(USER))

    # Nothing differs, so nothing is written.
    assert [row["reduced"] is None for row in rows(emptied, REDUCED)] == [False] * len(names)


def test_a_body_that_is_changed_meanwhile_is_not_overwritten(emptied: str) -> None:
    arrive(emptied, unfit(user_updated(USER)))
    work(emptied)

    with psycopg.connect(emptied) as conn:
        conn.execute("SET LOCAL ROLE consumer_worker")
        with pytest.raises(postgres.SerializationFailure, match="only 0 of 1 deliveries"):
            conn.execute(OVERWRITE)


@pytest.mark.parametrize("role", ["receiver", "operator", "app", "tenant"])
def test_only_a_worker_reduces_again(role: str, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(f"SET LOCAL ROLE consumer_{role}")
        with pytest.raises(postgres.InsufficientPrivilege):
            conn.execute("SELECT consumer.reduce_again('{}', '{}', '{}')")
