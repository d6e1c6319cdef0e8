"""What the sampler reads: the verdict, the figures, who sends and who works, and the latest deliveries."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row

from consumer.console import reported
from consumer.console.reading import ConsoleDatabase
from consumer.console.reported import ChartPoint, ProcessRates, SourceHours, Unstored
from consumer.postgres.connections import Connection
from consumer.postgres.queries import rows
from consumer.verdict.finding import Finding
from consumer.verdict.findings import findings
from consumer.verdict.observation import Observation
from consumer.verdict.observe import Expectations, observe
from consumer.verdict.processes import replaced

# As many as stand beside the other tables.
LATEST = 6
# As people call them, in this order.
SOURCES = {
    "stack": "Stack",
    "app": "Your backend",
    "backfill": "Backfill",
    "reconcile": "Reconcile",
    "operator": "Operator",
}
# The others send when somebody asks them to.
LIVE_SOURCES = frozenset({"stack", "app"})
# The findings that say of a source that it is silent.
SILENT = frozenset({"quiet", "source_silent", "nothing_received"})
# Processes report every ten seconds: to read their reports more often shows nothing new.
REPORTED_TIME = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Figures:
    """How much waits, up to a hundred thousand each; *took_seconds*: the median and the slowest hundredth."""

    pending: int = 0
    # Rows of the queues of rebuilds and of new homes: no delivery, and not done at the deliveries' rate.
    anew: int = 0
    retrying: int = 0
    next_attempt_at: datetime | None = None
    died_at: datetime | None = None
    has_any: bool = True
    # Runs over Stack's API that have not ended.
    running: int = 0
    took_seconds: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class LatestDelivery:
    """One of the newest deliveries; *email* is masked."""

    seq: int
    event_type: str | None
    user_id: UUID | None
    team_id: UUID | None
    received_at: datetime
    state: str
    attempts: int
    outcome: str | None
    done_at: datetime | None
    email: str | None


@dataclass(frozen=True, slots=True)
class Reports:
    """What the processes have reported until *at*."""

    at: datetime
    rates: Mapping[UUID, ProcessRates] = field(default_factory=dict)
    chart: Sequence[ChartPoint] = ()
    unstored: Sequence[Unstored] = ()
    hours: Mapping[str, SourceHours] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sending:
    """A source as the overview lists it; *state*: its kind, icon and words."""

    name: str
    label: str
    received_at: datetime | None
    last_hour: int
    usual: float | None
    state: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """The installation at the time of its observation, by the database's clock.

    While a migration is missing, only what the verdict needs is read, and the rest is empty.
    """

    observation: Observation
    found: Sequence[Finding]
    figures: Figures = Figures()
    reports: Reports | None = None
    latest: Sequence[LatestDelivery] = ()

    @property
    def sources(self) -> list[Sending]:
        """Each source that has a secret or has sent anything."""
        last = self.observation.last_received
        known = {*self.observation.expected, *last}
        return [self._sending(name, last.get(name)) for name in SOURCES if name in known]

    @property
    def at(self) -> datetime:
        """The time of the sample, by the database's clock."""
        return self.observation.at

    @property
    def replaced(self) -> Set[UUID]:
        """The ids of the processes that vanished, and that another has replaced."""
        return replaced(self.observation)

    def _sending(self, name: str, received_at: datetime | None) -> Sending:
        brought = self.reports.hours.get(name) if self.reports else None
        codes = {finding.code for finding in self.found if finding.subject == name and finding.gravity != "note"}
        state = ("ok", "check", "as usual")
        if codes & SILENT:
            state = ("warn", "bell", "quiet")
        elif name not in LIVE_SOURCES:
            state = ("idle", "dash", "now and then")
        elif brought is None or brought.usual is None:
            state = ("idle", "clock", "too new to tell")
        last_hour, usual = (brought.last_hour, brought.usual) if brought else (0, None)
        return Sending(name, SOURCES[name], received_at, last_hour, usual, state)


async def take(database: ConsoleDatabase, expected: Callable[[], Expectations], before: Sample | None) -> Sample:
    """Return the next sample after *before*: the verdict from an operator's view, the rest as a viewer reads it.

    Raises Unavailable.
    """
    observation = await database.observe(lambda conn, access: observe(conn, access, expected()))
    observed = Sample(observation, findings(observation))
    if observation.missing_migrations:
        return observed
    reports = before.reports if before else None
    return await database.observe_masked(lambda conn: _completed(conn, observed, reports))


async def _completed(conn: Connection, observed: Sample, before: Reports | None) -> Sample:
    """Add what a viewer reads; what the processes have reported is read anew if *before* is old."""
    [figures] = await rows(conn, class_row(Figures), "sample/figures")
    latest = await rows(conn, class_row(LatestDelivery), "sample/latest", {"size": LATEST})
    is_old = before is None or observed.at - before.at >= REPORTED_TIME
    reports = await _reports(conn, observed.at) if is_old else before
    return replace(observed, figures=figures, latest=latest, reports=reports)


async def _reports(conn: Connection, at: datetime) -> Reports:
    return Reports(
        at,
        await reported.rates(conn),
        await reported.chart(conn, reported.QUARTER),
        await reported.unstored(conn),
        await reported.hours(conn),
    )
