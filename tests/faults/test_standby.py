"""Acknowledged is as durable as configured: with a synchronous standby, the loss of the primary loses nothing."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest
from psycopg import AsyncConnection, OperationalError
from psycopg.conninfo import make_conninfo

from bench.pooler import PROGRAM, pgbouncer
from consumer.errors import StoreUnavailable
from consumer.outbox.storage import Delivery
from consumer.postgres.connections import receiver_access
from consumer.postgres.standby import NotReplicated
from consumer.profiles import acting_as
from consumer.providers.standard_webhooks import sign
from consumer.receiver import intake as intake_module
from consumer.sync import handle_sign_in
from tests.faults.judge import judge
from tests.faults.standby import Pair, missing, pair
from tests.faults.storm import SENDERS, storm
from tests.support.databases import change, reset, rows
from tests.support.factories import user_updated
from tests.support.intake import Site, dead, site, started, stored_count, updates
from tests.support.polling import until as until_async
from tests.support.prefer import USER
from tests.support.processes import APP_SECRET, HOST, is_ready, on, ports, running, until

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

ACKNOWLEDGED = 1_000
# What the standby confirmed before it was cut off is answered within that time.
IN_FLIGHT_SECONDS = 1.0
# A batch's limit, where several must run out.
SHORT = timedelta(seconds=0.5)
# How often each delivery is sent while the standby is away.
COPIES = 3
# Each waits for 3 s, and more on a busy machine.
HELD_SECONDS_MAX = 60.0


@pytest.fixture(scope="module")
def lasting() -> Iterator[Pair]:
    with pair() as made:
        yield made


@pytest.fixture
def both(lasting: Pair) -> Iterator[Pair]:
    """A primary and its standby, without a row."""
    reset(lasting.primary.url)
    yield lasting
    lasting.release()
    if not lasting.standby.is_running:
        lasting.start_standby()


@pytest.fixture
def doomed() -> Iterator[Pair]:
    """A pair of the test's own, whose primary dies."""
    with pair() as made:
        yield made


@contextmanager
def receiver(both: Pair, folder: Path) -> Iterator[int]:
    (port,) = ports(1)
    with running(folder, on(both.url, PORT=port), "serve"):
        until(lambda: is_ready(port))
        yield port


def sign_in(port: int) -> int:
    """Send the same sign-in each time and ask to wait for its profile; return the status."""
    body = b'{"type":"user.signed_in","data":{"id":"%s"}}' % str(USER).encode()
    headers = sign(APP_SECRET, "in_1", datetime.now(UTC), body)
    with closing(HTTPConnection(HOST, port, timeout=20)) as connection:
        connection.request("POST", "/webhooks/app", body, {**headers, "prefer": "wait=1"})
        return connection.getresponse().status


def test_a_sender_that_waits_for_a_profile_learns_nothing_before_the_standby_has_its_delivery(
    both: Pair, tmp_path: Path
) -> None:
    with receiver(both, tmp_path) as port:
        both.hold_receiving()
        unconfirmed = [sign_in(port), sign_in(port)]
        visible = stored_count(both.primary.url)
        both.release()
        confirmed = sign_in(port)

    assert (unconfirmed, visible, confirmed) == ([503, 503], 1, 202)


@contextmanager
def through(both: Pair, way: str) -> Iterator[str]:
    """Yield the conninfo of one way to the primary."""
    if way == "direct":
        yield both.primary.url
    else:
        with pgbouncer(both.primary.url, both.primary.installation.data_dir) as url:
            yield url


WAYS = pytest.mark.parametrize(
    "way",
    ["direct", pytest.param("pooled", marks=pytest.mark.skipif(PROGRAM is None, reason="there is no PgBouncer here"))],
)


@WAYS
@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(updates(3), id="usable"),
        pytest.param([dead(delivery) for delivery in updates(3)], id="dead"),
        pytest.param([user_updated(), dead(user_updated())], id="both"),
    ],
)
async def test_a_batch_of_repeats_waits_for_the_standby_by_itself(
    both: Pair, way: str, batch: list[Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "COMMIT_TIMEOUT", SHORT)
    with through(both, way) as url:
        async with site(url, receiver_access("consumer")) as here:
            both.hold_receiving()
            for _ in range(COPIES):
                assert await here.put_all(*batch) == ["StoreUnavailable"] * len(batch)
                # A cancelled commit becomes visible, soon.
                await until_async(lambda: stored_count(both.primary.url) == len(batch))
            both.release()
            assert await here.put_all(*batch) == ["NoneType"] * len(batch)

    assert here.counted == {"stored": 0, "dead": 0, "duplicate": len(batch)}


async def interrupted(both: Pair, how: str = "pg_cancel_backend") -> None:
    """Interrupt the commit that waits, and return when it does no more."""
    await until_async(both.waiting)
    [commit] = both.waiting()
    change(both.primary.url, f"SELECT {how}({commit[0]})")
    await until_async(lambda: commit not in both.waiting())


@WAYS
@pytest.mark.parametrize(
    ("how", "cause"), [("pg_cancel_backend", NotReplicated), ("pg_terminate_backend", OperationalError)]
)
async def test_a_commit_whose_wait_is_cancelled_is_no_acknowledgement_though_no_warning_is_asked_for(
    both: Pair, way: str, how: str, cause: type[Exception]
) -> None:
    change(both.primary.url, "ALTER DATABASE postgres SET client_min_messages = error")
    try:
        with through(both, way) as url:
            async with site(url, receiver_access("consumer")) as here:
                both.hold_receiving()
                (put,) = await started(here.intake.put(user_updated()))
                # A repeat of ours follows, as after a lost answer.
                await interrupted(both, how)
                await interrupted(both, how)
                with pytest.raises(StoreUnavailable) as raised:
                    await put
    finally:
        both.release()
        change(both.primary.url, "ALTER DATABASE postgres RESET client_min_messages")

    assert isinstance(raised.value.__cause__, cause)
    assert here.counted == {}


async def test_what_a_restart_of_the_primary_made_visible_is_not_acknowledged_before_the_standby_has_it(
    both: Pair,
) -> None:
    delivery = user_updated()
    async with site(both.primary.url, receiver_access("consumer")) as here:
        both.standby.end()
        (put,) = await started(here.intake.put(delivery))
        await until_async(both.waiting)
        await asyncio.to_thread(both.primary.end)
        await asyncio.to_thread(both.primary.start)
        assert stored_count(both.primary.url) == 1
        with pytest.raises(StoreUnavailable):
            await put
        await here.pool.wait()
        (repeat,) = await started(here.intake.put(delivery))
        await until_async(both.waiting)
        with pytest.raises(StoreUnavailable):
            await repeat
        await asyncio.to_thread(both.start_standby)
        await here.intake.put(delivery)


async def test_with_remote_apply_a_repeat_waits_until_the_standby_shows_the_first_copy(
    both: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "COMMIT_TIMEOUT", SHORT)
    delivery = user_updated()
    async with site(make_conninfo(both.primary.url, options="-c synchronous_commit=remote_apply")) as here:
        change(both.standby.url, "SELECT pg_wal_replay_pause()")
        try:
            unshown = [await here.put_all(delivery), await here.put_all(delivery)]
        finally:
            change(both.standby.url, "SELECT pg_wal_replay_resume()")
        shown = await here.put_all(delivery)

    assert (unshown, shown) == ([["StoreUnavailable"]] * 2, ["NoneType"])
    assert stored_count(both.standby.url) == 1


async def test_a_repeat_of_the_library_waits_with_the_application_s_commit(both: Pair) -> None:
    async def sign_in() -> bool:
        async with await AsyncConnection.connect(both.primary.url, autocommit=True) as conn:
            async with acting_as(conn, "consumer_app"):
                stored = await handle_sign_in(conn, USER, message_id="session-1")
            return stored.is_new

    both.hold_receiving()
    first = asyncio.create_task(sign_in())
    await interrupted(both)
    assert await first
    repeat = asyncio.create_task(sign_in())
    await until_async(both.waiting)
    both.release()

    assert not await repeat


async def test_a_repeat_puts_a_copy_on_the_disk_that_an_application_did_not_wait_for(both: Pair) -> None:
    careless = make_conninfo(both.primary.url, options="-c synchronous_commit=off")
    async with site(both.primary.url) as here:
        async with await AsyncConnection.connect(careless, autocommit=True) as conn:
            await handle_sign_in(conn, USER, message_id="session-1")
        [written] = rows(both.primary.url, "SELECT pg_current_wal_insert_lsn() AS lsn")
        await here.intake.put(user_updated()._replace(source="app", message_id="session-1"))

    [flushed] = rows(both.primary.url, f"SELECT pg_current_wal_flush_lsn() >= '{written['lsn']}' AS holds")
    assert flushed["holds"]
    assert here.counted["duplicate"] == 1


async def test_of_a_thousand_acknowledged_deliveries_a_failover_loses_none(
    doomed: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, acknowledged = updates(ACKNOWLEDGED), set[str]()
    unusable = [dead(delivery) for delivery in updates(8)]
    # The first copy of each is visible on the primary alone when the others come.
    cut_off = [updates(8), unusable, updates(4) + [dead(delivery) for delivery in updates(4)], known[:8]]

    async def put(here: Site, batch: list[Delivery]) -> bool:
        answers = await here.put_all(*batch)
        acknowledged.update(one.message_id for one, answer in zip(batch, answers, strict=True) if answer == "NoneType")
        return set(answers) == {"NoneType"}

    async with site(doomed.url) as here:
        assert await put(here, known)
        assert await put(here, known[::3] + updates(8))
        monkeypatch.setattr(intake_module, "COMMIT_TIMEOUT", SHORT)
        doomed.hold_sending()
        for batch in cut_off:
            for _ in range(COPIES):
                await put(here, batch)
        await asyncio.to_thread(doomed.lose_primary)
        before, kept = set(acknowledged), await asyncio.to_thread(doomed.promote)
        monkeypatch.undo()
        for batch in cut_off:
            while not await put(here, batch):
                pass

    assert len(before) > ACKNOWLEDGED
    assert before - kept == set()


@pytest.mark.slow
def test_a_storm_goes_on_at_the_standby_that_took_the_place_of_its_primary(doomed: Pair, tmp_path: Path) -> None:
    """The standby is cut off long enough for senders to repeat, and then the primary dies."""
    with receiver(doomed, tmp_path) as port, running(tmp_path, on(doomed.url), "work"):
        with storm(port) as weather:
            weather.reach(ACKNOWLEDGED)
            began = time.monotonic()
            doomed.hold_sending()
            until(lambda: len(weather.since(began, 503)) >= COPIES * SENDERS, HELD_SECONDS_MAX)
            late = weather.since(began + IN_FLIGHT_SECONDS, 204)
            doomed.lose_primary()
            acknowledged = set(weather.acknowledged)
            kept = doomed.promote()
            weather.more(ACKNOWLEDGED // 10)
        judge(doomed.standby.url, weather)

    assert late == []
    assert acknowledged - kept == set()
