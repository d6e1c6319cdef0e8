"""The demo: a real run that must come out right, and that it would notice if it did not."""

import json
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from uuid import UUID

import psutil
import pytest

from consumer.events.check import check
from consumer.events.registry import EVENT_TYPES
from consumer.providers.app.payloads import APP_TYPES
from consumer.simulator.checks import Answered, DemoTables, OutcomeCount, judge
from consumer.simulator.samples import SAMPLES, SampleContext, body, data
from consumer.simulator.scenario import REQUEST_KINDS, ExpectedProfile, Scenario, write
from tests.support.processes import ask, invoke, running, until

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
# For three processes and a new database on a busy machine of two cores; 4 s when it is idle.
DEMO_SECONDS = 40.0
# What would break any other command: the demo reads none of it.
MISLEADING = {"DATABASE_URL": "postgresql://127.0.0.1:1/nowhere", "PORT": "x", "DELETE_POLICY": "shred"}


@pytest.fixture
def scenario() -> Scenario:
    return write(Random(1), NOW)


def ended_well(scenario: Scenario) -> tuple[list[Answered], DemoTables]:
    """Return the answers and the tables that the scenario asks for."""
    answers = [(request, request.status) for request in scenario.requests]
    sent = scenario.kinds
    stored = sum(sent.values()) - sent["repeated"] - sent["forged"]
    outcomes = [
        OutcomeCount("done", "applied", stored - 2),
        OutcomeCount("done", "ignored", 1),
        OutcomeCount("dead", "not_json", 1),
    ]
    return answers, DemoTables(outcomes, dict(scenario.profiles), sent["signed in"])


@pytest.mark.slow
def test_the_demo_comes_out_right_and_leaves_nothing(tmp_path: Path) -> None:
    with TemporaryDirectory() as scratch:
        # Started by root, the server runs as another user, who has to come through.
        Path(scratch).chmod(0o711)
        with running(tmp_path, {**MISLEADING, "TMPDIR": scratch}, "demo", "--json") as demo:
            exit_code = demo.process.wait(DEMO_SECONDS)
        left = list(Path(scratch).iterdir())
        alive = [p for p in psutil.process_iter(["cmdline"]) if scratch in " ".join(p.info["cmdline"] or [])]

    report = json.loads(demo.text)
    assert (exit_code, report["differences"], report["profiles"]) == (0, [], report["sent"]["created"])
    assert (sum(report["answers"].values()) >= 1000, report["answers"]["401"]) == (True, 1)
    assert (left, alive) == ([], [])


@pytest.mark.slow
def test_the_demo_shows_people_to_people(tmp_path: Path) -> None:
    with running(tmp_path, {}, "demo") as demo:
        exit_code = demo.process.wait(DEMO_SECONDS)

    assert (exit_code, "profiles are as expected" in demo.text) == (0, True)
    assert "\x1b" not in demo.text


@pytest.mark.slow
def test_the_demo_is_watched_until_somebody_has_seen_enough(tmp_path: Path) -> None:
    with TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o711)
        with running(tmp_path, {**MISLEADING, "TMPDIR": scratch}, "demo", "--watch") as demo:
            link = until(lambda: demo.said("Open ").partition(" ")[0], DEMO_SECONDS)
            [port] = re.findall(r":(\d+)/open/", link)
            page = ask(int(port), link.partition(f":{port}")[2])
            demo.process.send_signal(signal.SIGINT)
            exit_code = demo.process.wait(DEMO_SECONDS)
        left = list(Path(scratch).iterdir())

    assert (page[0], "Sign in as" in page[1], exit_code, left) == (200, True, 0, [])


def test_a_watched_demo_prints_no_document(tmp_path: Path) -> None:
    refused = invoke(tmp_path, {}, "demo", "--watch", "--json")

    assert (refused.exit_code, "leave out --json" in refused.output) == (2, True)


def test_a_scenario_holds_all_kinds_and_is_the_same_for_the_same_choices(scenario: Scenario) -> None:
    assert write(Random(1), NOW) == scenario
    assert set(scenario.kinds) == set(REQUEST_KINDS)
    assert scenario.kinds.total() >= 1000


def test_a_forged_delivery_is_never_repeated_with_a_right_signature(scenario: Scenario) -> None:
    forged = {request.message_id for request in scenario.requests if request.kind == "forged"}

    assert not [p for p in scenario.requests if p.message_id in forged and p.kind != "forged"]


def test_a_right_end_has_no_difference(scenario: Scenario) -> None:
    assert judge(scenario, *ended_well(scenario)) == []


def test_a_wrong_answer_is_named(scenario: Scenario) -> None:
    answers, found = ended_well(scenario)
    forged = next(n for n, (request, _) in enumerate(answers) if request.kind == "forged")
    answers[forged] = (answers[forged][0], 204)

    (difference,) = judge(scenario, answers, found)

    assert difference.endswith("was answered 204, not 401.")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("full_name", lambda profile: replace(profile, full_name="?")),
        ("email", lambda profile: replace(profile, email="?")),
        ("role_type", lambda profile: replace(profile, role_type="?")),
        ("department", lambda profile: replace(profile, department="?")),
        ("is_deleted", lambda profile: replace(profile, is_deleted=not profile.is_deleted)),
        ("last_sign_in_at", lambda profile: replace(profile, last_sign_in_at=NOW)),
    ],
)
def test_a_wrong_field_of_a_profile_is_named(
    field: str, change: Callable[[ExpectedProfile], ExpectedProfile], scenario: Scenario
) -> None:
    answers, found = ended_well(scenario)
    user_id, profile = next(iter(scenario.profiles.items()))

    (difference,) = judge(scenario, answers, replace(found, profiles={**scenario.profiles, user_id: change(profile)}))

    assert difference == f"User {user_id} has a wrong {field}."


def test_a_missing_profile_is_named(scenario: Scenario) -> None:
    answers, found = ended_well(scenario)
    user_id, *others = scenario.profiles
    profiles = {other: scenario.profiles[other] for other in others}

    differences = judge(scenario, answers, replace(found, profiles=profiles))

    assert f"User {user_id} has no profile." in differences


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        pytest.param([OutcomeCount("done", "applied", 1)], "deliveries were stored", id="lost"),
        pytest.param([OutcomeCount("dead", "22P02", 5)], "deliveries are dead", id="died"),
        pytest.param([OutcomeCount("done", "ignored", 5)], "deliveries were ignored", id="ignored"),
    ],
)
def test_a_wrong_count_is_named(outcomes: list[OutcomeCount], words: str, scenario: Scenario) -> None:
    answers, found = ended_well(scenario)

    differences = judge(scenario, answers, replace(found, deliveries=outcomes))

    assert [difference for difference in differences if words in difference]


def test_a_sign_in_audited_twice_is_noticed(scenario: Scenario) -> None:
    answers, found = ended_well(scenario)

    (difference,) = judge(scenario, answers, replace(found, sign_ins=found.sign_ins + 1))

    assert "sign-ins are in the audit" in difference


@pytest.mark.parametrize("event_type", SAMPLES)
def test_every_sample_is_an_event_that_can_be_used(event_type: str) -> None:
    user_id = UUID(int=7, version=4)
    source = "app" if event_type in APP_TYPES else "stack"

    event = check(body(event_type, SampleContext.now(user_id)), source)

    assert (event.type, event.user_id in {None, user_id}, event.warnings) == (event_type, True, ())


def test_a_user_has_the_same_name_in_every_sample() -> None:
    user_id = UUID(int=7, version=4)
    context = SampleContext.now(user_id)

    made = [data("user.updated", each) for each in (context, context, SampleContext.now(user_id))]

    assert len({(each["display_name"], each["primary_email"]) for each in made}) == 1


def test_every_known_type_that_a_sender_may_send_has_a_sample() -> None:
    assert set(SAMPLES) == {name for name, kind in EVENT_TYPES.items() if kind.sources & {"stack", "app"}}
