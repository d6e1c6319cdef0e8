"""One sampler for all who look: it asks the database every two seconds while anybody does, and tells them all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from consumer import logs
from consumer.console.formats import clock, duration
from consumer.console.reading import DatabaseAway, NotMigrated, TooSlow
from consumer.console.sample import Sample
from consumer.console.turns import Busy, Unavailable
from consumer.deadline import end
from consumer.verdict.database import AWAY_CURE
from consumer.verdict.finding import Finding
from consumer.verdict.findings import verdict_sentence

# Short enough to look live, and thirty questions a minute are no load.
SAMPLE_TIME = timedelta(seconds=2)
# Each holds a connection, and pages must get some too.
WATCHERS_MAX = 400


class Trouble(NamedTuple):
    """What the database is while it can't be asked, what it has done since then, and what cures that."""

    words: str
    sentence: str
    cure: str


TROUBLES: Mapping[type[Unavailable], Trouble] = {
    DatabaseAway: Trouble("away", "it has not answered", AWAY_CURE),
    TooSlow: Trouble(
        "too slow",
        "it has not answered in time",
        "Deliveries go on without this page. `consumer doctor` names long transactions and those that hold locks.",
    ),
    Busy: Trouble(
        "out of connections for this console",
        "it has given this console no connection",
        "Deliveries go on without this page. If it stays so, the connections of this console's login are too few.",
    ),
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class View:
    """What is known: the last sample, and why there is none newer if the database did not answer since."""

    sample: Sample | None = None
    # When the database was last asked, by this process's clock.
    asked_at: datetime | None = None
    problem: Unavailable | None = None
    # Since when it does not answer.
    away_since: datetime | None = None

    @property
    def found(self) -> Sequence[Finding]:
        """What the verdict finds now; while the database does not answer, that alone."""
        if self.problem is None or self.away_since is None:
            return self.sample.found if self.sample else ()
        if self.lacks_migration:
            sentence, cure = "the database lacks what this release reads", "Run `consumer migrate`."
            return (Finding("migration_pending", "failing", "migrations", sentence, cure, "/system"),)
        trouble = TROUBLES[type(self.problem)]
        sentence = f"{trouble.sentence} since {clock(self.away_since, self.asked_at)} UTC"
        return (Finding("database_away", "failing", "database", sentence, trouble.cure, "/system"),)

    @property
    def headline(self) -> str:
        """Whether users are flowing, in a sentence; while the database can't be read, that alone, and for how long."""
        if self.problem is None or self.asked_at is None or self.away_since is None:
            return verdict_sentence(self.found)
        if self.lacks_migration:
            return "A migration is pending"
        lasted = self.asked_at - self.away_since
        words = TROUBLES[type(self.problem)].words
        return f"The database has been {words} for {duration(lasted)}" if lasted else f"The database is {words}"

    @property
    def lacks_migration(self) -> bool:
        """Whether the database lacks what this release reads."""
        return isinstance(self.problem, NotMigrated)

    @property
    def is_there(self) -> bool:
        """Whether the database answered the last question."""
        return self.problem is None


@dataclass(slots=True)
class Sampler:
    """Holds the view. *ask* returns the next sample after one; *render*, what those get who look at a page."""

    ask: Callable[[Sample | None], Awaitable[Sample]]
    render: Callable[[View], Mapping[str, bytes]]
    clock: Callable[[], datetime]
    view: View = View()
    _frames: Mapping[str, bytes] = field(default_factory=dict)
    _watchers: int = 0
    _watched: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _is_stopped: bool = False

    async def fresh(self) -> View:
        """Return a view that is at most as old as the sampler's pause; several who ask at once share one question."""
        before = self.view
        async with self._asking:
            # Before a silent database a question lasts longer than the pause: those who waited for it take its answer.
            if self.view is before and not self._is_fresh():
                await self._ask()
            return self.view

    async def frames(self, page: str, until: datetime | None) -> AsyncIterator[bytes]:
        """Yield what to send to one who looks at *page*, now and after each question; a slow one misses some.

        It ends at *until*, as soon as the process stops, and at once for one too many.
        """
        if self._watchers >= WATCHERS_MAX:
            return
        self._watchers += 1
        self._watched.set()
        seen: Mapping[str, bytes] | None = None
        try:
            while until is None or self.clock() < until:
                async with self._changed:
                    while self._frames is seen and not self._is_stopped:
                        await self._changed.wait()
                if self._is_stopped:
                    return
                seen = self._frames
                if page in seen:
                    yield seen[page]
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._watched.clear()
                # They would be the first that the next one sees.
                self._frames = {}

    async def stop(self) -> None:
        """End all streams: a server that stops waits for them."""
        async with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    async def _run(self) -> None:
        while True:
            await self._watched.wait()
            async with self._asking:
                await self._ask()
            await asyncio.sleep(SAMPLE_TIME.total_seconds())

    def _is_fresh(self) -> bool:
        # A clock that was set back tells no age.
        return self.view.asked_at is not None and timedelta(0) <= self.clock() - self.view.asked_at < SAMPLE_TIME

    async def _ask(self) -> None:
        before, at = self.view, self.clock()
        try:
            self.view = View(await self.ask(before.sample), at)
        except Unavailable as problem:
            self.view = View(before.sample, at, problem, before.away_since or at)
        async with self._changed:
            self._frames = self.render(self.view) if self._watchers else {}
            self._changed.notify_all()


@asynccontextmanager
async def sampling(sampler: Sampler) -> AsyncIterator[None]:
    """Run the sampler while the block runs; it asks the database only while anybody looks."""
    running = asyncio.create_task(_go_on(sampler), name="sampler")
    try:
        yield
    finally:
        await sampler.stop()
        await end(running)


async def _go_on(sampler: Sampler) -> None:
    while True:
        try:
            await sampler._run()
        # A bug of ours: everybody's page would stand still until the next start.
        except Exception:
            log.exception(logs.TASK_FAILED, extra={"task": "sampler"})
            await asyncio.sleep(SAMPLE_TIME.total_seconds())
