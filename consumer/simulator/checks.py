"""Whether a demo ended as it must: what was found, how it differs from the scenario, and both as tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from uuid import UUID

from consumer.postgres.connections import Connection
from consumer.postgres.queries import query
from consumer.simulator.scenario import ExpectedProfile, RequestKind, SampleRequest, Scenario

# As many profiles as are looked at with pleasure.
SAMPLE = 8
# A posting and the status it was answered with.
Answered = tuple[SampleRequest, int]


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many deliveries ended in a state, and how or why."""

    state: str
    outcome: str
    deliveries: int


@dataclass(frozen=True, slots=True)
class DemoTables:
    """What the tables hold in the end."""

    deliveries: Sequence[OutcomeCount]
    profiles: Mapping[UUID, ExpectedProfile]
    sign_ins: int


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What was sent, how it was answered, and what became of it."""

    sent: Mapping[RequestKind, int]
    answers: Mapping[int, int]
    requests_per_second: float
    drained_after_seconds: float
    deliveries: Sequence[OutcomeCount]
    profiles: int
    sample: Mapping[UUID, ExpectedProfile]
    differences: Sequence[str]


async def look(conn: Connection) -> DemoTables:
    """Read what the scenario made."""
    cursor = await conn.execute(query("checks/deliveries"))
    outcomes = [OutcomeCount(*row) for row in await cursor.fetchall()]
    cursor = await conn.execute(query("checks/profiles"))
    profiles = {user_id: ExpectedProfile(*row) for user_id, *row in await cursor.fetchall()}
    cursor = await conn.execute(query("checks/sign_ins"))
    (sign_ins,) = await cursor.fetchone() or (0,)
    return DemoTables(outcomes, profiles, sign_ins)


def judge(scenario: Scenario, answers: Sequence[Answered], found: DemoTables) -> list[str]:
    """Return a sentence for each thing that is not as the scenario says."""
    return [*_wrong_answers(answers), *_wrong_counts(scenario, found), *_wrong_profiles(scenario, found)]


def _wrong_answers(answers: Sequence[Answered]) -> Iterator[str]:
    for request, status in answers:
        if status != request.status:
            yield f"{request.message_id} ({request.kind}) was answered {status}, not {request.status}."


def _wrong_counts(scenario: Scenario, found: DemoTables) -> Iterator[str]:
    sent = scenario.kinds
    stored = sum(sent.values()) - sent["repeated"] - sent["forged"]
    dead = sum(ended.deliveries for ended in found.deliveries if ended.state == "dead")
    ignored = sum(ended.deliveries for ended in found.deliveries if ended.outcome == "ignored")
    for what, n, must in (
        ("deliveries were stored", sum(ended.deliveries for ended in found.deliveries), stored),
        ("deliveries are dead", dead, sent["unreadable"]),
        ("deliveries were ignored", ignored, sent["of an unknown type"]),
        ("sign-ins are in the audit", found.sign_ins, sent["signed in"]),
        ("profiles exist", len(found.profiles), len(scenario.profiles)),
    ):
        if n != must:
            yield f"{n} {what}, not {must}."


def _wrong_profiles(scenario: Scenario, found: DemoTables) -> Iterator[str]:
    for user_id, must in scenario.profiles.items():
        profile = found.profiles.get(user_id)
        if profile is None:
            yield f"User {user_id} has no profile."
            continue
        wrong = [
            field.name for field in fields(ExpectedProfile) if getattr(profile, field.name) != getattr(must, field.name)
        ]
        if wrong:
            yield f"User {user_id}: {', '.join(wrong)} should be otherwise."
