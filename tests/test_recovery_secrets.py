"""The pages of docs/recovery on secrets: a rotated one, a leaked one."""

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import Result

from consumer.outbox.storage import Delivery
from tests.support.cli import arrive, work
from tests.support.databases import change, rows
from tests.support.factories import delivery, membership, permission, team_event, user_deleted, user_updated
from tests.support.processes import deliver, is_ready, on, ports, running, until
from tests.support.recovery import Drill, drill

ADA, BOB, TEAM = (UUID(int=number) for number in (1, 2, 77))
OLD, NEW = ("whsec_" + base64.b64encode(hashlib.sha256(name).digest()).decode() for name in (b"old", b"new"))
# What a thief may forge; a sign-in is true.
QUERIES = (
    "SELECT to_jsonb(p) - ARRAY['created_at', 'updated_at', 'last_sign_in_at'] AS row FROM identity.profiles AS p "
    "WHERE full_name <> 'Eve' ORDER BY user_id",
    "SELECT company_id, user_id, permissions FROM identity.company_members WHERE removed_at IS NULL ORDER BY 1, 2",
)
SIGNED_IN = "SELECT user_id FROM identity.profiles WHERE last_sign_in_at IS NOT NULL"
DISCARDED = "SELECT received_at FROM consumer.deliveries WHERE outcome = 'discarded'"
LEAK = "2026-11-24T12:00:00Z"
EARLIER, LATER = "2026-11-24T11:00:00Z", "2026-11-24T13:00:00Z"


def verified_by(secret: str) -> str:
    return hashlib.sha256(base64.b64decode(secret.removeprefix("whsec_"))).hexdigest()[:8]


@contextmanager
def receiver(url: str, folder: Path, *secrets: str) -> Iterator[int]:
    """Run a receiver with these secrets."""
    (port,) = ports(1)
    settings = on(url, PORT=port, OPS_PORT="off", STACK_WEBHOOK_SECRETS=" ".join(secrets))
    with running(folder, settings, "serve"):
        until(lambda: is_ready(port))
        yield port


def rotation(url: str, folder: Path, port: int) -> Drill:
    return drill(url, "rotated-secret", folder, RECEIVER=f"http://127.0.0.1:{port}", NEW_SECRET=NEW)


def test_rotated_secret(emptied: str, tmp_path: Path) -> None:
    with receiver(emptied, tmp_path, NEW, OLD) as port:
        page = rotation(emptied, tmp_path, port)
        codes = page.codes()
        with_old = deliver(port, secret=OLD).status
    with receiver(emptied, tmp_path, NEW) as port:
        dropped = deliver(port, secret=OLD).status

    assert (codes, with_old, dropped) == ([0], 204, 401)
    assert page.codes("Done when") == []
    found = rows(emptied, "SELECT verified_by FROM consumer.outbox ORDER BY seq")
    assert [row["verified_by"] for row in found] == [verified_by(NEW), verified_by(OLD)]


def test_a_receiver_that_was_not_restarted_is_noticed_by_the_page(emptied: str, tmp_path: Path) -> None:
    with receiver(emptied, tmp_path, OLD) as port:
        assert rotation(emptied, tmp_path, port).codes() == [1]


def test_the_page_computes_the_beginning_of_a_secret_s_hash(emptied: str, tmp_path: Path) -> None:
    page = drill(emptied, "leaked-secret", tmp_path, OLD_SECRET=OLD, SINCE=LEAK, HONEST="msg_none")

    next(page.run())

    assert page.values["VERIFIED_BY"] == verified_by(OLD)


@dataclass(frozen=True)
class Forgery:
    """A database in which a thief's deliveries are applied; *before* is without them, *honest* came at that time."""

    url: str
    before: list[list[dict[str, Any]]]
    honest: Delivery

    def page(self, folder: Path) -> Drill:
        values = {"OLD_SECRET": OLD, "SINCE": LEAK, "HONEST": self.honest.message_id}
        return drill(self.url, "leaked-secret", folder, **values)


def signed(secret: str, *deliveries: Delivery) -> list[Delivery]:
    return [each._replace(verified_by=verified_by(secret)) for each in deliveries]


def state(url: str) -> list[list[dict[str, Any]]]:
    return [rows(url, query) for query in QUERIES]


@pytest.fixture
def forged(emptied: str) -> Forgery:
    """True people; then a forged promotion, membership and deletion, an honest sign-in, and a later sign-up."""
    honest = delivery("user.signed_in", ADA, "app")
    true = [
        team_event("created", TEAM),
        user_updated(ADA, display_name="Ada"),
        user_updated(BOB, display_name="Bob"),
        membership("created", TEAM, ADA),
    ]
    lies = [
        user_updated(BOB, display_name="Bob", server_metadata={"role": "admin"}),
        membership("created", TEAM, BOB),
        permission("created", TEAM, BOB, "team_admin"),
        user_deleted(ADA),
    ]
    arrive(emptied, *signed(OLD, *true))
    work(emptied)
    change(emptied, f"UPDATE consumer.outbox SET received_at = '{EARLIER}'")
    before = state(emptied)
    arrive(emptied, *signed(OLD, honest, *lies), *signed(NEW, user_updated(display_name="Eve")))
    work(emptied)
    change(emptied, f"UPDATE consumer.outbox SET received_at = '{LATER}' WHERE received_at > '{LEAK}'")
    assert state(emptied) != before
    return Forgery(emptied, before, honest)


def counted(result: Result) -> int:
    """Return how many deliveries a dry run counts."""
    return sum(int(n) for n in re.findall(r"(\d+) *$", result.output, re.MULTILINE))


def test_leaked_secret(forged: Forgery, tmp_path: Path) -> None:
    page = forged.page(tmp_path)

    results = list(page.run())
    work(forged.url)

    assert {line: result.output for line, result in results if result.exit_code} == {}
    assert page.codes("Done when") == [0]
    assert counted(next(page.run())[1]) == len([forged.honest])
    assert state(forged.url) == forged.before
    assert [row["user_id"] for row in rows(forged.url, SIGNED_IN)] == [ADA]
    assert rows(forged.url, "SELECT full_name FROM identity.profiles WHERE full_name = 'Eve'") != []


def test_the_page_counts_before_it_changes_anything(forged: Forgery, tmp_path: Path) -> None:
    line, result = next(forged.page(tmp_path).run())

    assert line.endswith("--dry-run")
    assert counted(result) == 5
    assert rows(forged.url, DISCARDED) == []


def test_what_the_old_secret_signed_before_the_leak_stays(forged: Forgery, tmp_path: Path) -> None:
    forged.page(tmp_path).codes()

    # The four lies; the honest one was taken back.
    assert len(rows(forged.url, DISCARDED)) == 4
    assert rows(forged.url, f"{DISCARDED} AND received_at < '{LEAK}'") == []
