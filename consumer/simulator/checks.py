"""Compares the tables after a demo with its scenario."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from psycopg.rows import class_row, scalar_row, tuple_row

from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows
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
    outcomes = await rows(conn, class_row(OutcomeCount), "checks/deliveries")
    profiles = await rows(conn, tuple_row, "checks/profiles")
    [sign_ins] = await rows(conn, scalar_row, "checks/sign_ins")
    return DemoTables(outcomes, {user_id: ExpectedProfile(*values) for user_id, *values in profiles}, sign_ins)


def judge(scenario: Scenario, answers: Sequence[Answered], found: DemoTables) -> list[str]:
    """Return a sentence for each difference from the scenario."""
    return [
        *(
            f"{request.message_id} ({request.kind}) was answered {status}, not {request.status}."
            for request, status in answers
            if status != request.status
        ),
        *(f"{n} {fact}, not {expected}." for fact, n, expected in _counts(scenario, found) if n != expected),
        *_wrong_profiles(scenario, found),
    ]


def _counts(scenario: Scenario, found: DemoTables) -> Iterator[tuple[str, int, int]]:
    """Yield each fact with its number in the tables and its number in the scenario."""
    sent, states, outcomes = scenario.kinds, Counter[str](), Counter[str]()
    for count in found.deliveries:
        states[count.state] += count.deliveries
        outcomes[count.outcome] += count.deliveries
    yield "deliveries were stored", states.total(), sent.total() - sent["repeated"] - sent["forged"]
    yield "deliveries are dead", states["dead"], sent["unreadable"]
    yield "deliveries were ignored", outcomes["ignored"], sent["of an unknown type"]
    yield "sign-ins are in the audit", found.sign_ins, sent["signed in"]
    yield "profiles exist", len(found.profiles), len(scenario.profiles)


def _wrong_profiles(scenario: Scenario, found: DemoTables) -> Iterator[str]:
    for user_id, expected in scenario.profiles.items():
        profile = found.profiles.get(user_id)
        if profile is None:
            yield f"User {user_id} has no profile."
        elif wrong := [name for name, value in asdict(expected).items() if getattr(profile, name) != value]:
            yield f"User {user_id} has a wrong {', '.join(wrong)}."
