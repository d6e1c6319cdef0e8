"""An outage from its first trouble to its end: what a process says of it meanwhile, and what its lines say."""

import logging

import psycopg
import pytest

from consumer import logs
from consumer.process import outage_log as outage_module
from consumer.process.outage_log import Outage
from tests.support.still_clock import Clock

AWAY = psycopg.OperationalError("Connection refused")


def test_an_outage_lasts_from_its_first_trouble_to_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    monkeypatch.setattr(outage_module, "time", clock)
    outage = Outage("receiver", "postgresql://user:hunter2@db.example.com/app")
    refused = psycopg.OperationalError('FATAL:  password authentication failed for user "jane"\nmore')
    where = {"program": "receiver", "database": "db.example.com:5432/app"}

    attempts = [(10, AWAY), (11, AWAY), (12.5, refused), (15, None), (16, None), (20, refused), (21.25, None)]
    reasons = []
    with caplog.at_level(logging.INFO, "consumer"):
        for at, error in attempts:
            clock.now = at
            outage.record(error)
            reasons.append(outage.reason)

    away = "the database is away: Connection refused (login user)"
    text = "FATAL:  password authentication failed for user ... (login user)"
    lets_nobody_in = f"the server refuses this login, its role or database: {text}"
    assert reasons == [away, away, lets_nobody_in, None, None, lets_nobody_in, None]
    lines = [
        (record.getMessage(), record.levelname, {name: vars(record).get(name) for name in (*where, "error", "seconds")})
        for record in caplog.records
    ]
    lost, back = {**where, "seconds": None}, {**where, "error": None}
    assert lines == [
        (logs.DATABASE_LOST, "ERROR", {**lost, "error": "Connection refused (login user)"}),
        (logs.DATABASE_REFUSED, "ERROR", {**lost, "error": text}),
        (logs.DATABASE_BACK, "INFO", {**back, "seconds": 5}),
        (logs.DATABASE_REFUSED, "ERROR", {**lost, "error": text}),
        (logs.DATABASE_BACK, "INFO", {**back, "seconds": 1.25}),
    ]
