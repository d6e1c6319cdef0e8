"""Compares the tables after a demo with its scenario."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from uuid import UUID

from consumer.postgres.connections import Connection
from consumer.postgres.queries import query
from consumer.simulator.scenario import ExpectedProfile, RequestKind, SampleRequest, Scenario

# The profiles shown: enough to see what a profile is.
SAMPLE = 8
# A request and the status of its answer.
Answered = tuple[SampleRequest, int]


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """The number of deliveries in a state, by outcome or error."""

    state: str
    outcome: str
    deliveries: int


@dataclass(frozen=True, slots=True)
class DemoTables:
    """The content of the tables after the demo."""

    deliveries: Sequence[OutcomeCount]
    profiles: Mapping[UUID, ExpectedProfile]
    sign_ins: int


@dataclass(frozen=True, slots=True)
class DemoReport:
    """The requests, their answers, and the resulting deliveries and profiles."""

    sent: Mapping[RequestKind, int]
    answers: Mapping[int, int]
    requests_per_second: float
    drained_after_seconds: float
    deliveries: Sequence[OutcomeCount]
    profiles: int
    sample: Mapping[UUID, ExpectedProfile]
    differences: Sequence[str]


async def look(conn: Connection) -> DemoTables:
    """Read the tables after the scenario."""
    cursor = await conn.execute(query("checks/deliveries"))
    outcomes = [OutcomeCount(*row) for row in await cursor.fetchall()]
    cursor = await conn.execute(query("checks/profiles"))
    profiles = {user_id: ExpectedProfile(*row) for user_id, *row in await cursor.fetchall()}
    cursor = await conn.execute(query("checks/sign_ins"))
    (sign_ins,) = await cursor.fetchone() or (0,)
    return DemoTables(outcomes, profiles, sign_ins)


def judge(scenario: Scenario, answers: Sequence[Answered], found: DemoTables) -> list[str]:
    """Return a sentence for each difference from the scenario."""
    return [*_wrong_answers(answers), *_wrong_counts(scenario, found), *_wrong_profiles(scenario, found)]


def _wrong_answers(answers: Sequence[Answered]) -> Iterator[str]:
    for request, status in answers:
        if status != request.status:
            yield f"{request.message_id} ({request.kind}) was answered {status}, not {request.status}."


def _wrong_counts(scenario: Scenario, found: DemoTables) -> Iterator[str]:
    sent = scenario.kinds
    stored = sum(sent.values()) - sent["repeated"] - sent["forged"]
    dead = sum(count.deliveries for count in found.deliveries if count.state == "dead")
    ignored = sum(count.deliveries for count in found.deliveries if count.outcome == "ignored")
    for fact, n, expected in (
        ("deliveries were stored", sum(count.deliveries for count in found.deliveries), stored),
        ("deliveries are dead", dead, sent["unreadable"]),
        ("deliveries were ignored", ignored, sent["of an unknown type"]),
        ("sign-ins are in the audit", found.sign_ins, sent["signed in"]),
        ("profiles exist", len(found.profiles), len(scenario.profiles)),
    ):
        if n != expected:
            yield f"{n} {fact}, not {expected}."


def _wrong_profiles(scenario: Scenario, found: DemoTables) -> Iterator[str]:
    for user_id, expected in scenario.profiles.items():
        profile = found.profiles.get(user_id)
        if profile is None:
            yield f"User {user_id} has no profile."
            continue
        names = [field.name for field in fields(ExpectedProfile)]
        if wrong := [name for name in names if getattr(profile, name) != getattr(expected, name)]:
            yield f"User {user_id} has a wrong {', '.join(wrong)}."
