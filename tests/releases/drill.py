"""Two releases on one database: a plan says who migrates and whose processes run, and the judge looks at the rows."""

import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import orjson

from consumer.providers.stack.message_ids import RANDOM_BYTES, compose
from consumer.simulator.sender import Sender
from tests.faults.messages import Message, any_message, user
from tests.releases.judge import CATALOGUE, flaws
from tests.releases.newer import CHANGES, THIS_TREE, TYPE
from tests.support.databases import rows
from tests.support.factories import snapshot
from tests.support.fence import tables
from tests.support.processes import APP_SECRET, HOST, SECRET, Running, environment, is_ready, on, ports, running, until

OLDER, NEWER = "older", "newer"
SECRETS = {"stack": SECRET, "app": APP_SECRET}
# For whatever a process must come to; far above what that takes on a busy machine.
PATIENCE_SECONDS = 60.0
# Enough for several batches of each process and every kind of message.
MESSAGES = 120
USERS = 30
# What only the newer release knows, and users whose name the two releases write differently.
TAUGHT_SHARE, NAMELESS_SHARE = 0.15, 0.2
FENCE = "SELECT coalesce(max(oldest_release), 0) AS oldest FROM consumer.fence"
DUE = """
SELECT seq FROM consumer.pending
UNION ALL SELECT seq FROM consumer.failures WHERE state = 'retrying' AND error_code <> 'newer_release'
UNION ALL SELECT seq FROM consumer.rehome
"""
WAITING = "SELECT seq FROM consumer.failures WHERE error_code = 'newer_release'"
SIGN_IN = """
import asyncio, sys
from uuid import UUID
from psycopg import AsyncConnection
from consumer.profiles import acting_as
from consumer.sync import handle_sign_in

async def main():
    async with await AsyncConnection.connect(sys.argv[1]) as conn, acting_as(conn, "consumer_app"):
        await handle_sign_in(conn, UUID(sys.argv[2]), message_id=sys.argv[3])

asyncio.run(main())
"""


class Plan(NamedTuple):
    """What follows once the older release has migrated and works: who migrates, and whose processes run then."""

    migrators: Sequence[str]
    receivers: Sequence[str]
    workers: Sequence[str]


class Life(NamedTuple):
    """A process of a release, and its ports."""

    end: ExitStack
    process: Running
    port: int
    ops_port: int


class Drill:
    """Two releases on one database, and what was found wrong."""

    def __init__(
        self, url: str, folder: Path, releases: Mapping[str, Path], seed: int = 1, patience: float = PATIENCE_SECONDS
    ) -> None:
        self.url, self.folder, self.releases, self.patience = url, folder, releases, patience
        self.chance = random.Random(seed)
        self.sent: dict[str, Message] = {}
        self.flaws: list[str] = []
        self._alive: dict[tuple[str, str], Life] = {}

    def run(self, plan: Plan, kind: str) -> list[str]:
        """Run a plan with a newer release of this kind, and return the flaws."""
        try:
            self._expect(self._call(OLDER, "migrate").returncode == 0, "the older release does not migrate")
            self._let_run([(OLDER, "serve"), (OLDER, "work")])
            self._send()
            with ThreadPoolExecutor(1) as pool:
                # The older release is in the middle of its work when the newer one migrates.
                sending = pool.submit(self._send)
                for release in plan.migrators:
                    self._migrate(release)
                sending.result()
            self._work_side_by_side(plan)
            self._conclude()
        finally:
            self._let_run([])
        return [*self.flaws, *flaws(self.url, self.sent, is_planted=kind != THIS_TREE, is_renamed=kind == CHANGES)]

    def _migrate(self, release: str) -> None:
        known = self._carried(release) <= self._applied()
        before = rows(self.url, CATALOGUE)
        done = self._call(release, "migrate")
        self._expect(done.returncode == 0, f"the {release} release does not migrate: {done.stderr}")
        self._expect(not known or rows(self.url, CATALOGUE) == before, f"{release}'s migrate changed what it knows")

    def _work_side_by_side(self, plan: Plan) -> None:
        self._let_run([(name, "serve") for name in plan.receivers] + [(name, "work") for name in plan.workers])
        is_worked = any(self._may_work(release) for release in plan.workers)
        self._replay(OLDER)
        before = tables(self.url)
        self._send()
        self._sign_in(OLDER)
        if is_worked:
            self._wait(lambda: not rows(self.url, DUE), "deliveries stay due")
        else:
            # Receivers fill the log, the queue and, with bodies that can't be used, the failures.
            self._expect(tables(self.url)[3:] == before[3:], "a release that may not work changed rows")

    def _conclude(self) -> None:
        """Let the newer release migrate and work off what is left."""
        self._migrate(NEWER)
        self._let_run([(NEWER, "work")])
        self._wait(lambda: not rows(self.url, DUE) and not rows(self.url, WAITING), "deliveries stay due at the end")

    def _replay(self, release: str) -> None:
        may_work, before = self._may_work(release), tables(self.url)
        done = self._call(release, "replay", "--all")
        self._expect((done.returncode == 0) == may_work, f"{release}'s replay exits {done.returncode}: {done.stderr}")
        if not may_work and not any(command == "work" for _, command in self._alive):
            self._expect(tables(self.url) == before, f"{release}'s replay changed rows")

    def _send(self) -> None:
        """Send messages, each to a receiver that is ready, until it is acknowledged."""
        lives = [life for (_, command), life in self._alive.items() if command == "serve"]
        listening = [life.port for life in lives if is_ready(life.ops_port)]
        for message in [self._message() for _ in range(MESSAGES if listening else 0)]:
            self.sent[message.message_id] = message
            address = f"http://{HOST}:{self.chance.choice(listening)}/webhooks/{message.source}"
            with Sender(address, secret=SECRETS[message.source]) as sender:
                post = partial(sender.post, message.body, message.message_id)
                self._wait(lambda: post().status == 204, "a delivery is never acknowledged")  # noqa: B023

    def _message(self) -> Message:
        drawn, now = self.chance.random(), datetime.now(UTC)
        made = any_message(self.chance, 0)
        user_id, message_id = user(0, self.chance.randrange(USERS)), compose(now, self.chance.randbytes(RANDOM_BYTES))
        if drawn < TAUGHT_SHARE:
            body = orjson.dumps({"type": TYPE, "data": {"id": str(user_id)}})
            return Message("stack", message_id, body, "ignored", 0)
        if drawn < TAUGHT_SHARE + NAMELESS_SHARE:
            data = {**snapshot(display_name=None), "id": str(user_id)}
            return Message("stack", message_id, orjson.dumps({"type": "user.updated", "data": data}), "done", 0)
        return made

    def _sign_in(self, release: str) -> None:
        """Store a sign-in by the library of a release."""
        message_id = f"session-{self.chance.randbytes(8).hex()}"
        done = self._python(release, "-c", SIGN_IN, self.url, str(user(0, 1)), message_id)
        self._expect(done.returncode == 0, f"{release}'s library stores nothing: {done.stderr}")
        self.sent[message_id] = Message("app", message_id, b"", "done", 0)

    def _let_run(self, processes: Sequence[tuple[str, str]]) -> None:
        """Let these processes run and no others, and wait until each is ready, or says that it is not."""
        for process in self._alive.keys() - set(processes):
            life = self._alive.pop(process)
            self._expect(life.process.process.poll() is None, f"{' '.join(process)} has ended: {life.process.text}")
            life.end.close()
        for release, command in processes:
            if (release, command) not in self._alive:
                end, (port, ops_port) = ExitStack(), ports(2)
                settings = {**on(self.url, PORT=port, OPS_PORT=ops_port), "PYTHONPATH": str(self.releases[release])}
                started = end.enter_context(running(self.folder, settings, command))
                self._alive[release, command] = Life(end, started, port, ops_port)
        for (release, command), life in self._alive.items():
            self._expect_ready(release, command, life)

    def _expect_ready(self, release: str, command: str, life: Life) -> None:
        is_due = self._may_work(release) if command == "work" else self._carried(release) <= self._applied()
        flaw = f"{release} {command} is {'not ' if is_due else ''}ready"
        self._wait(lambda: is_ready(life.ops_port) == is_due, flaw)

    def _may_work(self, release: str) -> bool:
        carried = self._carried(release)
        [fence] = rows(self.url, FENCE)
        return carried <= self._applied() and int(max(carried)[:4]) >= fence["oldest"]

    def _carried(self, release: str) -> set[str]:
        files = (self.releases[release] / "sql" / "migrations").glob("*.sql")
        return {file.stem for file in files if ".rollback" not in file.name}

    def _applied(self) -> set[str]:
        return {row["migration_id"] for row in rows(self.url, "SELECT migration_id FROM consumer._yoyo_migration")}

    def _call(self, release: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self._python(release, "-m", "consumer", *arguments)

    def _python(self, release: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        settings = environment({**on(self.url), "PYTHONPATH": str(self.releases[release])})
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.folder, env=settings, capture_output=True, text=True, check=False)

    def _wait(self, condition: Callable[[], object], flaw: str) -> None:
        try:
            until(condition, self.patience)
        except AssertionError:
            self.flaws.append(flaw)

    def _expect(self, holds: bool, flaw: str) -> None:
        if not holds:
            self.flaws.append(flaw)
