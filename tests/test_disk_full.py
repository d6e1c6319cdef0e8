"""A full disk: a receiver is not ready, says why, and logs one line a minute whatever it refuses."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from consumer import logs
from tests.support.databases import schema_change
from tests.support.factories import user_updated
from tests.support.intake import site
from tests.support.processes import ask, deliver, is_ready, on, ports, running, until
from tests.support.still_clock import StillLoop, advance, run_still

REFUSE = """
    CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{}'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON consumer.outbox FOR EACH ROW EXECUTE FUNCTION public.refuse();
"""


@contextmanager
def refusing_rows(url: str, sqlstate: str = "53100") -> Iterator[None]:
    """Refuse each row, as a full disk does; a statement without rows passes."""
    with schema_change(url, REFUSE.format(sqlstate), "DROP FUNCTION public.refuse CASCADE"):
        yield


def lines(caplog: pytest.LogCaptureFixture) -> int:
    return [record.getMessage() for record in caplog.records].count(logs.DISK_FULL)


def test_the_time_since_the_last_refusal_is_known_and_no_other_error_counts(emptied: str) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            with refusing_rows(emptied, "55P03"):
                assert await here.put_all(user_updated()) == ["StoreUnavailable"]
            assert here.intake.since_disk_full() is None
            for seconds in (0, 20):
                await advance(seconds)
                with refusing_rows(emptied):
                    assert await here.put_all(user_updated(), user_updated()) == ["StoreUnavailable"] * 2
                assert here.intake.since_disk_full() == timedelta(0)
            assert await here.put_all(user_updated()) == ["NoneType"]
            await advance(29)
            assert here.intake.since_disk_full() == timedelta(seconds=29)

    run_still(act)


def test_it_is_one_line_a_minute(emptied: str, caplog: pytest.LogCaptureFixture) -> None:
    async def act(_: StillLoop) -> None:
        async with site(emptied) as here:
            with refusing_rows(emptied):
                for seconds, expected in ((0, 1), (30, 1), (29, 1), (1, 2), (59, 2), (3600, 3)):
                    await advance(seconds)
                    await here.put_all(user_updated())
                    assert lines(caplog) == expected

    with caplog.at_level(logging.ERROR, "consumer"):
        run_still(act)


def test_a_receiver_that_can_store_nothing_is_not_ready_and_says_so_once(emptied: str, tmp_path: Path) -> None:
    port, ops_port = ports(2)
    with running(tmp_path, on(emptied, PORT=port, OPS_PORT=ops_port, LOG_FORMAT="json"), "serve") as receiver:
        until(lambda: is_ready(port))
        with refusing_rows(emptied):
            answers = [deliver(port).status for _ in range(5)]
        public, (status, reason), metrics = ask(port, "/readyz"), ask(ops_port, "/readyz"), ask(ops_port, "/metrics")[1]
        back = deliver(port).status
        later = ask(port, "/readyz")[0]

    assert answers == [503] * 5
    assert (public[0], "disk" in public[1]) == (503, False)
    assert (status, json.loads(reason)["message"]) == (
        503,
        "disk_full: the database's disk is full: deliveries are refused",
    )
    assert 'consumer_deliveries_refused_total{reason="store_unavailable"} 5.0' in metrics
    assert (back, later) == (204, 503)
    events = [json.loads(line)["event"] for line in receiver.text.splitlines()]
    assert (events.count(logs.DISK_FULL), logs.DELIVERY_NOT_STORED in events) == (1, False)
