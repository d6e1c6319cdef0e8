"""`consumer recover --follow`: what Stack sends reaches a machine that Stack can't reach, until somebody stops it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from consumer.cli.recover import Outages
from consumer.operations.recover import OUTAGE_SECONDS_MAX, POLL_PAGE_LIMIT, POLL_SECONDS, Recovery, follow
from consumer.postgres.connections import Connection, connect
from consumer.stack_api.errors import KnownError, TemporaryFailure
from consumer.stack_api.svix import SvixApi
from tests.support.backfills import ACCESS, named, now_is_now, webhook
from tests.support.cli import arrive
from tests.support.databases import rows
from tests.support.fake_stack import FakeStack, trouble
from tests.support.fake_stack.serving import PROJECT_ID
from tests.support.processes import on, running, until
from tests.support.recoveries import environment, ids, outbox
from tests.support.stack_api import Time, svix_api

RECOVERY = Recovery(ACCESS, PROJECT_ID, timedelta(minutes=5))
Change = Callable[[], None]


class Followed:
    """A follower that makes a change before each further poll, and ends after the last."""

    def __init__(self, url: str, fake: FakeStack, since: datetime, *changes: Change) -> None:
        self.url, self.fake, self.since = url, fake, since
        self.changes = list(changes)
        self.new: list[str] = []
        self.known = 0
        self.told: list[Exception | None] = []
        self.slept: list[float] = []

    async def run(self) -> "Followed":
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            if not self.changes:
                raise asyncio.CancelledError
            self.changes.pop(0)()

        with suppress(asyncio.CancelledError):
            async for page in follow(RECOVERY, self._opened, self.since, self.told.append, sleep):
                self.new += [delivery.message_id for delivery in page.new]
                self.known += len(page.known)
        return self

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[Connection, SvixApi]]:
        async with await connect(self.url, ACCESS) as conn, svix_api(self.fake, Time()) as svix:
            yield conn, svix


def sign_up(fake: FakeStack) -> Change:
    def change() -> None:
        fake.project.sign_up()

    return change


async def test_each_poll_brings_what_came_since_and_nothing_twice(emptied: str, any_svix: FakeStack) -> None:
    now_is_now(any_svix)
    named(any_svix, POLL_PAGE_LIMIT + 1)

    one = sign_up(any_svix)
    followed = await Followed(emptied, any_svix, any_svix.project.events[0].at, one, lambda: None, one).run()

    assert sorted(followed.new) == ids(any_svix.project.events)
    assert [row["message_id"] for row in outbox(emptied)] == ids(any_svix.project.events)
    assert (followed.told, set(followed.slept)) == ([None] * 4, {POLL_SECONDS})
    assert followed.known == 0


async def test_a_poll_looks_back_a_minute_and_no_further(emptied: str, fake: FakeStack) -> None:
    now_is_now(fake)
    [first] = fake.project.sign_up()
    fake.project.now += timedelta(minutes=2)

    def late() -> None:
        fake.project.now = first.at + timedelta(seconds=70)
        fake.project.sign_up()
        fake.project.now = first.at + timedelta(seconds=30)
        fake.project.sign_up()

    followed = await Followed(emptied, fake, first.at, sign_up(fake), late).run()

    # The last one appeared 90 s late: only a recovery with --since brings it.
    assert followed.new == ids(fake.project.events)[:1] + ids(fake.project.events)[3:] + ids(fake.project.events)[2:3]


async def test_what_arrived_or_has_expired_is_counted_by_the_first_poll_only(emptied: str, fake: FakeStack) -> None:
    now_is_now(fake)
    [first] = fake.project.sign_up()
    await asyncio.to_thread(arrive, emptied, webhook(first))

    followed = await Followed(emptied, fake, first.at, lambda: None, lambda: None).run()

    assert (followed.new, followed.known) == ([], 1)


async def test_a_poll_that_finds_nothing_new_writes_nothing(emptied: str, fake: FakeStack) -> None:
    now_is_now(fake)
    [first] = fake.project.sign_up()
    seen: list[list[dict[str, object]]] = []

    def look() -> None:
        # A repeat that is put takes a number too.
        seen.append(rows(emptied, "SELECT last_value FROM pg_sequences WHERE sequencename = 'outbox_seq_seq'"))

    await Followed(emptied, fake, first.at, look, look, look).run()

    assert len(outbox(emptied)) == 1
    assert seen == [seen[0]] * 3 != [[]] * 3


async def test_an_outage_is_waited_for_with_longer_and_longer_pauses(emptied: str, fake: FakeStack) -> None:
    now_is_now(fake)
    [first] = fake.project.sign_up()

    def out() -> None:
        fake.troubles.extend([trouble.page(502)] * 5)

    followed = await Followed(emptied, fake, first.at, *[out] * 6, sign_up(fake), lambda: None).run()

    assert [isinstance(error, TemporaryFailure) for error in followed.told] == [False, *[True] * 6, False, False]
    assert followed.slept == [2, 4, 8, 16, 32, 60, OUTAGE_SECONDS_MAX, 2, 2]
    assert sorted(followed.new) == ids(fake.project.events)


async def test_a_limit_is_waited_for_as_long_as_the_server_asks(emptied: str, fake: FakeStack) -> None:
    now_is_now(fake)
    [first] = fake.project.sign_up()

    followed = await Followed(emptied, fake, first.at, lambda: fake.troubles.append(trouble.limited("900"))).run()

    assert followed.slept == [2, 900]


async def test_a_poll_that_breaks_off_loses_no_older_message(
    emptied: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.operations.recover.POLL_PAGE_LIMIT", 2)
    now_is_now(fake)
    [first] = fake.project.sign_up()

    def many() -> None:
        for _ in range(5):
            fake.project.now += timedelta(minutes=5)
            fake.project.sign_up()
        fake.troubles.extend([fake.app, *[trouble.text(500)] * 5])

    await Followed(emptied, fake, first.at, many, lambda: None).run()

    assert [row["message_id"] for row in outbox(emptied)] == ids(fake.project.events)


async def test_a_lost_connection_to_the_database_is_made_anew(emptied: str, fake: FakeStack) -> None:
    now_is_now(fake)
    [first] = fake.project.sign_up()

    def cut() -> None:
        fake.project.sign_up()
        rows(
            emptied,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database() AND application_name = 'consumer operator'",
        )

    followed = await Followed(emptied, fake, first.at, cut, lambda: None).run()

    assert isinstance(followed.told[1], psycopg.OperationalError)
    assert sorted(followed.new) == ids(fake.project.events)


async def test_a_token_that_expires_is_made_anew(emptied: str, fake: FakeStack) -> None:
    now_is_now(fake)
    [first] = fake.project.sign_up()

    def expire() -> None:
        fake.svix.expire_tokens()
        fake.project.sign_up()

    followed = await Followed(emptied, fake, first.at, expire).run()

    assert followed.told == [None, None]
    assert sorted(followed.new) == ids(fake.project.events)


async def test_a_key_that_is_taken_back_ends_it(emptied: str, fake: FakeStack) -> None:
    now_is_now(fake)

    def revoke() -> None:
        fake.svix.expire_tokens()
        fake.keys["admin"] = "another"

    with pytest.raises(KnownError, match="INVALID_SUPER_SECRET_ADMIN_KEY"):
        await Followed(emptied, fake, fake.project.now, revoke, lambda: None).run()


async def test_an_outage_at_the_start_ends_it(emptied: str, fake: FakeStack) -> None:
    fake.troubles.extend([trouble.page(502)] * 5)

    with pytest.raises(TemporaryFailure):
        await Followed(emptied, fake, fake.project.now).run()


def test_an_outage_and_its_end_are_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    outages = Outages()

    for error in (None, TemporaryFailure("Svix is away."), TemporaryFailure("Away."), None, None):
        outages.tell(error)

    assert capsys.readouterr().err == "Svix is away. Trying again.\nGoing on.\n"


@pytest.mark.slow
def test_a_process_follows_and_ends_with_ctrl_c(emptied: str, fake: FakeStack, tmp_path: Path) -> None:
    now_is_now(fake)

    with running(tmp_path, {**on(emptied), **environment(fake)}, "recover", "--follow") as follower:
        until(lambda: [asked for asked in fake.asked if asked.path.endswith("/msg")])
        [event] = fake.project.sign_up(primary_email="oda@example.com")
        until(lambda: event.message_id in follower.text)
        follower.process.send_signal(signal.SIGINT)
        code = follower.process.wait(20)

    assert code == 0
    assert f"user.created  {event.message_id}" in follower.text
    assert "1 delivery stored" in follower.text
    assert "oda@" not in follower.text
    assert [row["message_id"] for row in outbox(emptied)] == [event.message_id]
