"""Whether a demo ended as it must: what was found, how it differs from the scenario, and both as tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from uuid import UUID

from rich.markup import escape

from consumer.cli.output import console, table
from consumer.postgres.connections import Connection
from consumer.postgres.queries import query
from consumer.simulator.scenario import KINDS, Kind, Posting, Profile, Scenario

# As many profiles as are looked at with pleasure.
SAMPLE = 8
# The first few tell what broke; all are in the JSON document.
DIFFERENCES_SHOWN = 10

# A posting and the status it was answered with.
Answered = tuple[Posting, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many deliveries ended in a state, and how or why."""

    state: str
    outcome: str
    deliveries: int


@dataclass(frozen=True, slots=True)
class Found:
    """What the tables hold in the end."""

    deliveries: Sequence[Outcome]
    profiles: Mapping[UUID, Profile]
    sign_ins: int


@dataclass(frozen=True, slots=True)
class Report:
    """What was sent, how it was answered, and what became of it."""

    sent: Mapping[Kind, int]
    answers: Mapping[int, int]
    requests_per_second: float
    drained_after_seconds: float
    deliveries: Sequence[Outcome]
    profiles: int
    sample: Mapping[UUID, Profile]
    differences: Sequence[str]


async def look(conn: Connection) -> Found:
    """Read what the scenario made."""
    cursor = await conn.execute(query("checks/deliveries"))
    outcomes = [Outcome(*row) for row in await cursor.fetchall()]
    cursor = await conn.execute(query("checks/profiles"))
    profiles = {user_id: Profile(*row) for user_id, *row in await cursor.fetchall()}
    cursor = await conn.execute(query("checks/sign_ins"))
    (sign_ins,) = await cursor.fetchone() or (0,)
    return Found(outcomes, profiles, sign_ins)


def judge(scenario: Scenario, answers: Sequence[Answered], found: Found) -> list[str]:
    """Return a sentence for each thing that is not as the scenario says."""
    return [*_wrong_answers(answers), *_wrong_counts(scenario, found), *_wrong_profiles(scenario, found)]


def _wrong_answers(answers: Sequence[Answered]) -> Iterator[str]:
    for posting, status in answers:
        if status != posting.status:
            yield f"{posting.message_id} ({posting.kind}) was answered {status}, not {posting.status}."


def _wrong_counts(scenario: Scenario, found: Found) -> Iterator[str]:
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


def _wrong_profiles(scenario: Scenario, found: Found) -> Iterator[str]:
    for user_id, must in scenario.profiles.items():
        profile = found.profiles.get(user_id)
        if profile is None:
            yield f"User {user_id} has no profile."
            continue
        wrong = [field.name for field in fields(Profile) if getattr(profile, field.name) != getattr(must, field.name)]
        if wrong:
            yield f"User {user_id}: {', '.join(wrong)} should be otherwise."


def show(report: Report) -> None:
    """Print what arrived, what became of it, and some of the people."""
    out = console()
    sent = table("sent", "requests", numbers=frozenset({"requests"}))
    for kind in KINDS:
        sent.add_row(kind, f"{report.sent[kind]:,}")
    for status, n in sorted(report.answers.items()):
        sent.add_row(f"[dim]answered[/] {status}", f"{n:,}", style="bold")
    became = table("state", "outcome", "deliveries", numbers=frozenset({"deliveries"}))
    for ended in report.deliveries:
        colour = "red" if ended.state == "dead" else "green"
        became.add_row(f"[{colour}]{ended.state}[/]", ended.outcome, f"{ended.deliveries:,}")
    people = table("name", "e-mail", "role", "department", "last sign-in", "")
    for profile in report.sample.values():
        people.add_row(*_cells(profile))
    out.print(sent, became, people)
    for difference in report.differences[:DIFFERENCES_SHOWN]:
        out.print(f"[red]wrong[/]  {escape(difference)}", soft_wrap=True)
    if not report.differences:
        out.print(f"[bold green]All {report.profiles} profiles are what they must be.[/]")


def _cells(profile: Profile) -> tuple[str, ...]:
    signed_in = f"{profile.last_sign_in_at:%Y-%m-%d %H:%M:%S}" if profile.last_sign_in_at else "never"
    standing = "[red]deleted[/]" if profile.is_deleted else ""
    return profile.full_name, profile.email, profile.role_type, profile.department, signed_in, standing
