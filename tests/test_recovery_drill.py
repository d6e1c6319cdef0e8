"""The drill of recovery: one project that loses webhooks, and each way back, each killed half-way and called again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson
import psycopg
import pytest

from consumer.operations import reconcile
from consumer.outbox.storage import Delivery
from tests.support import model
from tests.support.backfills import environment, held, long_ago, named, now_is_now, truth, webhook
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import change, rows
from tests.support.erasing import Life, left
from tests.support.factories import membership, user_deleted, user_updated
from tests.support.fake_stack import FakeStack
from tests.support.processes import on, running, until
from tests.support.stack_requests import one

pytestmark = [pytest.mark.slow, pytest.mark.seconds_max(240)]
WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
LEAKED = "0badc0de"
# One table after the other that is projected.
DAMAGES = {
    "profile": "UPDATE identity.profiles SET role_type = 'owner', email = NULL",
    "mirror": "DELETE FROM identity.stack_user_profiles",
    "members": "UPDATE identity.company_members SET removed_at = now(), permissions = '{root}'",
    "company": "UPDATE identity.companies SET name = 'Evil', version = '9'",
}
AGED = "UPDATE consumer.{table} SET {column} = {column} - interval '60 days'"


class Drilled:
    """A database, its project, and the way to kill a command in the middle."""

    def __init__(self, url: str, fake: FakeStack, folder: Path) -> None:
        self.url = url
        self.fake = fake
        self.folder = folder
        self.settings: Mapping[str, str] = environment(fake, RETENTION_DAYS="30")

    def killed(self, lock: str, *command: str) -> None:
        """Kill a command as a process while it waits for this lock, and then run it to its end."""
        with psycopg.connect(self.url) as conn:
            conn.execute(lock.encode())
            with running(self.folder, on(self.url, **self.settings), *command) as process:
                until(lambda: rows(self.url, WAITING))
                process.process.kill()
                process.process.wait()
        self.run(*command)

    def run(self, *command: str) -> Any:
        document = facts(self.url, *command, **self.settings)
        work(self.url)
        return document

    def exit_code(self, *command: str) -> int:
        return call(self.url, *command, **self.settings).exit_code

    def state(self) -> object:
        return model.state(self.url)


@pytest.fixture
def drilled(emptied: str, any_fake: FakeStack, tmp_path: Path) -> Drilled:
    return Drilled(emptied, any_fake, tmp_path)


def lived(fake: FakeStack) -> list[Delivery]:
    """Let a project live, and return the webhooks that it sent."""
    long_ago(fake)
    project = fake.project
    users = named(fake, 12)
    for user_id in users[:4]:
        team_id = one(project.create_team(creator=user_id, display_name=f"Team of {user_id[:4]}"))
        for member in users[4:8]:
            project.join(team_id, member)
        project.leave(team_id, users[4])
        project.grant(users[5], "team_admin", team_id)
        project.revoke(users[6], "team_member", team_id)
    project.delete_team(team_id)
    project.update_user(users[8], display_name="Renamed", server_metadata={"role": "editor"})
    project.change_silently(users[9], primary_email_verified=True)
    project.delete_user(users[10])
    project.delete_user(users[4])
    project.upgrade(one(project.sign_up_anonymously(with_personal_team=True)), "late@example.com")
    return [webhook(event) for event in project.events]


def lose_and_repeat(sent: Sequence[Delivery]) -> list[Delivery]:
    """Return what arrives: a third is lost, a third comes twice, and the order is any."""
    chance = Random(14)
    arriving = [each for n, each in enumerate(sent) for _ in range(n % 3)]
    chance.shuffle(arriving)
    return arriving


def test_each_way_back_ends_in_the_rows_that_are_right(drilled: Drilled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "ASKED_AGAIN_AFTER", reconcile.ASKED_AGAIN_AFTER * 0)
    sent = lived(drilled.fake)
    now_is_now(drilled.fake)
    arrive(drilled.url, *lose_and_repeat(sent))
    work(drilled.url)
    assert held(drilled.url) != truth(drilled.fake)

    # Lost and repeated webhooks.
    drilled.killed("LOCK TABLE consumer.run_teams IN EXCLUSIVE MODE", "reconcile", "--fix")
    assert held(drilled.url) == truth(drilled.fake)
    assert drilled.exit_code("reconcile") == 0

    life = Life()
    told = life.told()
    arrive(drilled.url, *told)
    work(drilled.url)
    before = drilled.state()

    # Rows that a person or a bad release changed.
    for kind, damage in DAMAGES.items():
        change(drilled.url, f"SET session_replication_role = replica; {damage}")
        checked = call(drilled.url, "rebuild", "--check", "--json", **drilled.settings)
        assert (checked.exit_code, kind in orjson.loads(checked.stdout)["differing"]) == (1, True)
        drilled.killed("LOCK TABLE identity.profile_audit IN EXCLUSIVE MODE", "rebuild")
        assert drilled.state() == before
        assert drilled.exit_code("rebuild", "--check") == 0

    # What a leaked secret signed.
    ada, bob = (row["user_id"] for row in rows(drilled.url, "TABLE identity.profiles ORDER BY user_id LIMIT 2"))
    team = rows(drilled.url, "SELECT id FROM identity.companies WHERE deleted_at IS NULL ORDER BY id LIMIT 1")[0]["id"]
    lies = (user_deleted(ada), user_updated(bob, server_metadata={"role": "owner"}), membership("created", team, bob))
    arrive(drilled.url, *(lie._replace(verified_by=LEAKED) for lie in lies))
    work(drilled.url)
    assert drilled.state() != before
    discard = ("deliveries", "discard", "--verified-by", LEAKED, "--reason", "leaked", "--by", "ops", "--yes")
    drilled.killed("LOCK TABLE consumer.exclusions IN EXCLUSIVE MODE", *discard)
    assert drilled.state() == before

    # A person who asks to be forgotten.
    drilled.killed(
        f"SELECT FROM consumer.outbox WHERE user_id = '{life.user_id}' FOR UPDATE", "erase", str(life.user_id), "--yes"
    )
    assert left(drilled.url) == []
    before = drilled.state()

    # A log that is cut, and repeats that come late.
    for table, column in (("outbox", "received_at"), ("outcomes", "at")):
        change(drilled.url, AGED.format(table=table, column=column))
    stored = len(rows(drilled.url, "SELECT FROM consumer.outbox"))
    drilled.killed("LOCK TABLE consumer.pruned IN EXCLUSIVE MODE", "prune")
    assert len(rows(drilled.url, "SELECT FROM consumer.outbox")) < stored
    arrive(drilled.url, *lose_and_repeat(sent), *told)
    work(drilled.url)
    drilled.run("rebuild")
    assert left(drilled.url) == []
    assert drilled.state() == before
    assert drilled.exit_code("rebuild", "--check") == 0
