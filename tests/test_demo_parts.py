"""The parts of the demo: its scenario, number by number, what it reads of the tables, and what it prints."""

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import orjson
import pytest

from consumer.cli import demo
from consumer.errors import ConsumerError
from consumer.postgres.connections import operator_access, transaction
from consumer.providers.stack.message_ids import occurred_at
from consumer.settings.settings import Settings
from consumer.simulator import checks
from consumer.simulator.checks import Answered, DemoReport, DemoTables, OutcomeCount, judge
from consumer.simulator.samples import SampleContext, data
from consumer.simulator.scenario import ExpectedProfile, SampleRequest, Scenario, write
from tests.support.databases import change
from tests.support.factories import NOON
from tests.support.kept import kept
from tests.support.printed import Printed

OPERATOR = operator_access("consumer")
# A fraction of a second is cut off.
NOW = datetime(2026, 11, 24, 12, 0, 0, 700_000, tzinfo=UTC)
ENDED, STORY = NOW.replace(microsecond=0), timedelta(hours=6)
ORDER = ("created", "updated", "signed in", "deleted")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return write(Random(1), NOW)


def at(request: SampleRequest) -> datetime:
    return occurred_at(request.message_id, NOW, timedelta(0))


def by_user(scenario: Scenario) -> dict[str, list[SampleRequest]]:
    """Return the requests about each user in the order of their times, without the repeated and the forged."""
    found: defaultdict[str, list[SampleRequest]] = defaultdict(list)
    for request in sorted(scenario.requests, key=at):
        if request.kind in ORDER:
            found[orjson.loads(request.body)["data"]["id"]].append(request)
    return found


def test_a_scenario_has_so_many_requests_of_each_kind(scenario: Scenario) -> None:
    kinds = scenario.kinds
    genuine = kinds.total() - kinds["repeated"] - kinds["forged"]

    assert (kinds["created"], len(scenario.profiles)) == (320, 320)
    assert (kinds["unreadable"], kinds["of an unknown type"], kinds["forged"]) == (1, 1, 1)
    assert kinds["repeated"] == genuine // 6
    updates = Counter(sum(each.kind == "updated" for each in told) for told in by_user(scenario).values())
    assert set(updates) == {0, 1, 2, 3}
    # Three of four sign in and one of eight is deleted, up to chance.
    assert 210 < kinds["signed in"] < 270
    assert 20 < kinds["deleted"] < 60


def test_a_users_events_happen_one_after_the_other_within_six_hours(scenario: Scenario) -> None:
    for told in by_user(scenario).values():
        assert [ORDER.index(each.kind) for each in told] == sorted(ORDER.index(each.kind) for each in told)
        times = [at(each) for each in told]
        assert len(set(times)) == len(times)
        assert all(ENDED - STORY <= each < ENDED for each in times)


def test_a_profile_is_that_of_the_last_snapshot_with_the_sign_in_and_the_deletion(scenario: Scenario) -> None:
    found = by_user(scenario)
    assert {UUID(user_id) for user_id in found} == set(scenario.profiles)
    for user_id, told in found.items():
        last = orjson.loads([each for each in told if each.kind in {"created", "updated"}][-1].body)["data"]
        signed_in = [at(each) for each in told if each.kind == "signed in"]
        assert scenario.profiles[UUID(user_id)] == ExpectedProfile(
            full_name=last["display_name"],
            email=last["primary_email"],
            role_type=last["server_metadata"]["role"],
            department=last["server_metadata"]["department"],
            is_deleted=told[-1].kind == "deleted",
            last_sign_in_at=signed_in[0] if signed_in else None,
        )


def test_requests_come_in_no_order_and_repeats_are_whole_copies(scenario: Scenario) -> None:
    times = [at(request) for request in scenario.requests]
    firsts = {(each.message_id, each.source, each.body) for each in scenario.requests if each.kind != "repeated"}

    assert times != sorted(times)
    repeated = [each for each in scenario.requests if each.kind == "repeated"]
    assert len({each.message_id for each in repeated}) == len(repeated)
    assert {(each.message_id, each.source, each.body) for each in repeated} <= firsts
    assert {(each.kind, each.source) for each in scenario.requests if each.source == "app"} <= {
        ("signed in", "app"),
        ("repeated", "app"),
    }
    assert {(each.kind == "forged", each.status) for each in scenario.requests} == {(True, 401), (False, 204)}


def test_a_sample_holds_the_moment_and_the_named_team() -> None:
    context = SampleContext(UUID(int=7, version=4), 1_795_330_800_123, Random(1), UUID(int=9))

    user, team = data("user.created", context), data("team.created", context)

    assert (user["id"], team["id"]) == (str(context.user_id), str(UUID(int=9)))
    assert user["signed_up_at_millis"] == 1_795_330_800_123
    assert user["primary_email"].endswith(f".{context.user_id.hex[:6]}@example.com")
    assert user["profile_image_url"] == f"https://example.com/avatars/{context.user_id}.png"
    assert data("team.created", context._replace(team_id=None))["id"] != data("team.created", context)["id"]


def test_a_sample_of_now_is_of_now_and_of_a_new_user() -> None:
    before = datetime.now(UTC).timestamp()
    one, other = SampleContext.now(), SampleContext.now()

    assert before - 1 <= one.at_millis / 1000 <= datetime.now(UTC).timestamp()
    assert one.user_id != other.user_id
    assert one.choices.random() != other.choices.random()


async def test_the_tables_are_read_with_outcomes_profiles_and_sign_ins(emptied: str) -> None:
    ids = [UUID(int=n) for n in range(1, 4)]
    change(
        emptied,
        "INSERT INTO identity.profiles (user_id, full_name, email, role_type, department, last_sign_in_at, deleted_at) "
        f"VALUES ('{ids[1]}', 'B', 'b@x', 'r', 'd', NULL, NULL), ('{ids[0]}', 'A', 'a@x', 'r', 'd', NULL, '{NOON}'), "
        f"('{ids[2]}', 'C', 'c@x', 'q', 'e', '{NOON}', NULL);"
        "INSERT INTO consumer.outbox (seq, source, message_id, occurred_at, body) OVERRIDING SYSTEM VALUE "
        "SELECT n, 'app', n, now(), '' FROM generate_series(1, 7) AS n;"
        "INSERT INTO consumer.outcomes (seq, outcome) VALUES (1, 'stale'), (2, 'applied'), (3, 'applied');"
        "INSERT INTO consumer.failures (seq, state, attempts, error_code, error) VALUES (4, 'dead', 1, 'c', 'e');"
        "INSERT INTO consumer.pending (seq) VALUES (5), (6), (7);"
        "INSERT INTO identity.profile_audit (user_id, operation, source, message_id, seq) SELECT "
        f"'{ids[0]}', o, 'app', n, 1 FROM unnest(ARRAY['signed_in', 'signed_out', 'signed_in']) "
        "WITH ORDINALITY AS t (o, n)",
    )

    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        found = await checks.look(conn)

    assert [(each.state, each.outcome, each.deliveries) for each in found.deliveries] == [
        ("pending", None, 3),
        ("done", "applied", 2),
        ("done", "stale", 1),
        ("dead", "c", 1),
    ]
    assert list(found.profiles.items()) == [
        (ids[2], ExpectedProfile("C", "c@x", "q", "e", False, NOON)),
        (ids[0], ExpectedProfile("A", "a@x", "r", "d", True, None)),
        (ids[1], ExpectedProfile("B", "b@x", "r", "d", False, None)),
    ]
    assert found.sign_ins == 2


def test_each_difference_is_one_sentence(scenario: Scenario) -> None:
    user_id, profile = next(iter(scenario.profiles.items()))
    forged = next(each for each in scenario.requests if each.kind == "forged")
    one = Scenario([forged, SampleRequest("app", "signed in", "m", b"")], {user_id: profile})
    found = DemoTables([OutcomeCount("dead", "x", 2), OutcomeCount("done", "ignored", 3)], {}, 0)

    assert judge(one, [(forged, 204), (one.requests[1], 204)], found) == [
        f"{forged.message_id} (forged) was answered 204, not 401.",
        "5 deliveries were stored, not 1.",
        "2 deliveries are dead, not 0.",
        "3 deliveries were ignored, not 0.",
        "0 sign-ins are in the audit, not 1.",
        "0 profiles exist, not 1.",
        f"User {user_id} has no profile.",
    ]


async def test_the_queue_is_waited_for_until_nothing_waits_or_a_minute_is_over(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "DRAIN_SECONDS_MAX", 0.0)
    async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
        await demo._drain(conn)
    store = "INSERT INTO consumer.outbox (source, message_id, occurred_at, body) VALUES ('app', 'm', now(), '')"
    for state in (
        "INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outbox",
        "DELETE FROM consumer.pending; INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, "
        "error_code, error) SELECT seq, 'retrying', 1, now(), 'c', 'e' FROM consumer.outbox",
    ):
        change(emptied, f"{store} ON CONFLICT DO NOTHING; {state}")
        async with kept(emptied, OPERATOR) as conn, transaction(conn, OPERATOR):
            with pytest.raises(ConsumerError, match=r"^The queue was not empty after 0 s\.$"):
                await asyncio.wait_for(demo._drain(conn), 10)


def test_all_requests_are_shared_out_and_each_is_sent_once(monkeypatch: pytest.MonkeyPatch, scenario: Scenario) -> None:
    shares: list[list[SampleRequest]] = []

    def post(_: Settings, share: list[SampleRequest]) -> list[Answered]:
        shares.append(share)
        return [(each, each.status) for each in share]

    monkeypatch.setattr(demo, "_post", post)

    answers = demo._post_all(Settings(), scenario.requests)

    assert Counter(each.message_id for each, _ in answers) == Counter(each.message_id for each in scenario.requests)
    assert len(shares) == 16
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_the_programs_of_the_demo_get_the_smallest_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere")
    monkeypatch.setenv("PATH", "/bin")
    monkeypatch.delenv("TMPDIR", raising=False)
    settings = Settings(
        data_dir=tmp_path, host="127.0.0.1", port=28_000, stack_webhook_secrets=("s",), app_webhook_secrets=("a",)
    )
    with (tmp_path / "log").open("ab") as log:
        receiver, worker = demo._programs(settings, log)

    expected = {
        "CONSUMER_DATA_DIR": str(tmp_path),
        "STACK_WEBHOOK_SECRETS": "s",
        "APP_WEBHOOK_SECRETS": "a",
        "LOG_FORMAT": "text",
        "LOG_LEVEL": "warning",
        "OPS_PORT": "off",
        "PATH": "/bin",
    }
    assert {name: receiver.environment[name] for name in expected} == expected
    assert {"DATABASE_URL", "TMPDIR"}.isdisjoint(receiver.environment)
    assert (worker.environment, worker.directory, worker.output) == (receiver.environment, tmp_path, log)
    assert (receiver.name, receiver.arguments) == (
        "receiver",
        ["serve", "--host", "127.0.0.1", "--port", "28000", "--embedded"],
    )
    assert (worker.name, worker.arguments) == ("worker", ["work", "--embedded"])
    assert (receiver.directory, receiver.output) == (tmp_path, log)


def report(**named: Any) -> DemoReport:
    profiles = {
        UUID(int=1): ExpectedProfile("Ada", "a@x", "owner", "Sales", True, NOW),
        UUID(int=2): ExpectedProfile("Bob", "b@x", "member", "Design", False, None),
    }
    sent = Counter({"created": 1_000, "forged": 1})
    facts = {"requests_per_second": 1.0, "drained_after_seconds": 0.1, "profiles": 320, "sample": profiles}
    counted = [OutcomeCount("done", "applied", 1_000), OutcomeCount("dead", "not_json", 1)]
    return DemoReport(
        **{"sent": sent, "answers": {401: 1, 204: 1_000}, "deliveries": counted, "differences": [], **facts, **named}
    )


def test_the_demo_prints_requests_answers_outcomes_and_people(printed: Printed) -> None:
    demo._show(report())

    lines = printed()
    assert lines[:2] == ["sent requests", "created 1,000"]
    assert lines[8:] == [
        "forged 1",
        "answered 204 1,000",
        "answered 401 1",
        "state outcome deliveries",
        "done applied 1,000",
        "dead not_json 1",
        "name e-mail role department last sign-in deleted",
        "Ada a@x owner Sales 2026-11-24 12:00:00Z yes",
        "Bob b@x member Design never no",
        "All 320 profiles are as expected.",
    ]


def test_the_demo_prints_ten_differences_and_no_praise(printed: Printed) -> None:
    demo._show(report(differences=[f"[{n}]" for n in range(11)]))

    assert printed()[-10:] == [f"wrong [{n}]" for n in range(10)]
