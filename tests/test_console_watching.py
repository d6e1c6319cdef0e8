"""The sampler's view in words, its streams to the last, and what the stream of a page adds."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consumer.console import live, sampler
from consumer.console.form import Form
from consumer.console.person import NOBODY, Visitor
from consumer.console.reading import DatabaseAway, NotMigrated, TooSlow
from consumer.console.render import Renderer
from consumer.console.sample import LatestDelivery, Sample
from consumer.console.sampler import Sampler, View, sampling
from consumer.console.turns import Busy, Unavailable
from consumer.console.visit import Visit
from consumer.verdict.finding import Finding
from consumer.verdict.observation import Observation

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
DEAD = Finding("dead", "warning", "dead letters", "2 are dead")
KNOWN = Sample(Observation(NOW), [DEAD])
YESTERDAY = NOW - timedelta(days=1, hours=1)


@pytest.mark.parametrize(
    ("problem", "sentence", "headline"),
    [
        (DatabaseAway(), "it has not answered since 11:00:00 UTC", "The database has been away for 1 h"),
        (TooSlow(), "it has not answered in time since 11:00:00 UTC", "The database has been too slow for 1 h"),
        (
            Busy(),
            "it has given this console no connection since 11:00:00 UTC",
            "The database has been out of connections for this console for 1 h",
        ),
    ],
    ids=["away", "slow", "busy"],
)
def test_while_the_database_can_not_be_asked_that_alone_is_found(
    problem: Unavailable, sentence: str, headline: str
) -> None:
    view = View(KNOWN, NOW, problem, NOW - HOUR)

    [found] = view.found
    assert (found.code, found.gravity, found.subject, found.sentence, found.link) == (
        "database_away",
        "failing",
        "database",
        sentence,
        "/system",
    )
    assert found.cure == sampler.TROUBLES[type(problem)].cure
    assert view.headline.replace("\N{NO-BREAK SPACE}", " ") == headline
    assert (view.lacks_migration, view.is_there) == (False, False)


def test_the_first_moment_of_an_outage_has_lasted_no_time_and_an_older_one_has_its_date() -> None:
    assert View(KNOWN, NOW, DatabaseAway(), NOW).headline == "The database is away"
    assert View(KNOWN, NOW, DatabaseAway(), YESTERDAY).found[0].sentence.endswith(" since 29 Nov, 11:00:00 UTC")


def test_a_database_that_lacks_a_migration_is_told_to_be_migrated() -> None:
    view = View(KNOWN, NOW, NotMigrated(), NOW - HOUR)

    assert view.found == (
        Finding(
            "migration_pending",
            "failing",
            "migrations",
            "the database lacks what this release reads",
            "Run `consumer migrate`.",
            "/system",
        ),
    )
    assert (view.headline, view.lacks_migration, view.is_there) == ("A migration is pending", True, False)


def test_what_is_known_is_what_the_last_sample_has_found() -> None:
    assert View(KNOWN, NOW).found == [DEAD]
    assert View(KNOWN, NOW).is_there
    assert View().found == ()
    assert View().headline == View(Sample(Observation(NOW), ())).headline
    assert View(KNOWN, NOW).headline == View(KNOWN, None, DatabaseAway(), None).headline
    assert View(KNOWN, NOW, DatabaseAway(), None).found == [DEAD]
    assert View(KNOWN, None, DatabaseAway(), NOW).headline != "The database is away"


class Clocked:
    """A sampler whose clock stands, whose question fails as a test says, and whose frames are numbered."""

    def __init__(self, problem: Unavailable | None = None) -> None:
        self.now, self.problem, self.questions = NOW, problem, 0
        self.rendered: list[View] = []
        self.sampler = Sampler(self.ask, self.render, lambda: self.now)

    async def ask(self, before: Sample | None) -> Sample:
        self.questions += 1
        if self.problem:
            raise self.problem
        return KNOWN

    def render(self, view: View) -> Mapping[str, bytes]:
        self.rendered.append(view)
        return {"": b"%d" % self.questions}


def test_an_outage_counts_from_its_first_question_and_keeps_the_last_sample() -> None:
    async def work() -> list[View]:
        made, views = Clocked(), []
        for problem in (None, DatabaseAway(), TooSlow(), None, DatabaseAway()):
            made.problem = problem
            views.append(await made.sampler.fresh())
            made.now += HOUR
        return views

    views = asyncio.run(work())

    assert [each.away_since for each in views] == [None, NOW + HOUR, NOW + HOUR, None, NOW + 4 * HOUR]
    assert [type(each.problem) for each in views] == [type(None), DatabaseAway, TooSlow, type(None), DatabaseAway]
    assert [each.asked_at for each in views] == [NOW + n * HOUR for n in range(5)]
    assert all(each.sample is KNOWN for each in views)


def test_nothing_is_rendered_while_nobody_watches() -> None:
    async def work() -> list[View]:
        made = Clocked()
        await made.sampler.fresh()
        return made.rendered

    assert asyncio.run(work()) == []


@pytest.mark.parametrize(("left", "frames"), [(timedelta(0), 0), (SECOND, 1)])
def test_a_stream_ends_when_its_time_is_over(left: timedelta, frames: int) -> None:
    async def work() -> int:
        made, seen = Clocked(), 0
        async with sampling(made.sampler):
            async for _ in made.sampler.frames("", NOW + left):
                seen += 1
                made.now += left
        return seen

    assert asyncio.run(work()) == frames


def test_a_page_without_a_frame_of_its_own_gets_none() -> None:
    async def work() -> list[bytes]:
        made = Clocked()

        async def look() -> list[bytes]:
            return [frame async for frame in made.sampler.frames("other", None)]

        async with sampling(made.sampler):
            looking = asyncio.create_task(look())
            await anext(made.sampler.frames("", None))
            await made.sampler.stop()
            return await looking

    assert asyncio.run(work()) == []


def test_who_leaves_makes_room_for_one_and_the_last_who_leaves_ends_the_questions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler, "WATCHERS_MAX", 2)

    async def work() -> tuple[list[int], bool, Mapping[str, bytes]]:
        made, counts = Clocked(), []

        async def opened() -> AsyncIterator[bytes]:
            stream = made.sampler.frames("", NOW + HOUR)
            counts.append(len([frame async for frame in _first(stream)]))
            return stream

        async with sampling(made.sampler):
            streams = [await opened() for _ in range(3)]
            await streams[0].aclose()  # type: ignore[attr-defined]  # It is a generator.
            streams += [await opened() for _ in range(2)]
            for stream in (streams[1], streams[3]):
                await stream.aclose()  # type: ignore[attr-defined]
            return counts, made.sampler._watched.is_set(), made.sampler._frames

    assert asyncio.run(work()) == ([1, 1, 0, 1, 0], False, {})


async def _first(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the first frame, if there is one, and leave the stream open."""
    try:
        yield await anext(stream)
    except StopAsyncIteration:
        return


def test_a_stopped_sampler_begins_no_stream_and_its_question_is_over() -> None:
    async def work() -> tuple[list[bytes], list[str]]:
        made = Clocked()
        async with sampling(made.sampler):
            await anext(made.sampler.frames("", None))
        tasks = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        return [frame async for frame in made.sampler.frames("", None)], tasks

    frames, tasks = asyncio.run(work())

    assert frames == []
    assert "sampler" not in tasks


def latest(seq: int) -> LatestDelivery:
    return LatestDelivery(seq, None, None, None, NOW, "done", 0, None, None, None)


def visit(seqs: Sequence[int] | None, after: str) -> Visit:
    sample = None if seqs is None else Sample(Observation(NOW), (), latest=[latest(seq) for seq in seqs])
    console = SimpleNamespace(sampler=SimpleNamespace(view=View(sample)))
    return cast("Visit", SimpleNamespace(console=console, query=Form((("after", after),))))


@pytest.mark.parametrize(
    ("seqs", "after", "is_newer"),
    [
        ([7, 9, 8], "8", True),
        ([7, 9, 8], "9", False),
        ([7, 9, 8], "10", False),
        ([1], "0", True),
        ([], "0", False),
        (None, "0", False),
        ([9], "x", False),
        ([9], "", False),
        ([9], "٣", False),
        ([10**19], "9" * 19, True),
        ([10**20], "9" * 20, False),
    ],
)
def test_a_list_is_told_of_deliveries_above_its_newest(seqs: list[int] | None, after: str, is_newer: bool) -> None:
    assert live._is_newer(visit(seqs, after)) is is_newer


@pytest.mark.parametrize(
    ("person", "page", "expected"),
    [
        (NOBODY, "", [live.ENDED]),
        (Visitor("kim", "viewer"), "overview", [b"overview"]),
        (Visitor("kim", "viewer"), "unheard", [b""]),
        (Visitor("kim", "viewer", NOW + SECOND), "", [b""]),
        (Visitor("kim", "viewer", NOW), "", [b"", live.ENDED]),
        (Visitor("kim", "viewer", NOW - SECOND), "", [b"", live.ENDED]),
        (Visitor("kim", "viewer"), "deliveries", [b"deliveries", live.NEWER]),
    ],
    ids=["nobody", "overview", "unheard", "going on", "over now", "over", "newer"],
)
def test_a_stream_tells_of_its_page_and_at_last_that_the_session_has_ended(
    person: Visitor, page: str, expected: list[bytes]
) -> None:
    async def frames(name: str, until: datetime | None) -> AsyncIterator[bytes]:
        assert until == person.until
        yield name.encode()

    watched: Any = SimpleNamespace(
        frames=frames, clock=lambda: NOW, view=View(Sample(Observation(NOW), (), latest=[latest(9)]))
    )
    query = Form((("page", page), ("after", "8")))
    asked: Any = SimpleNamespace(person=person, query=query, console=SimpleNamespace(sampler=watched))

    async def work() -> list[bytes]:
        return [event async for event in live._events(asked)]

    assert asyncio.run(work()) == expected


def test_each_kind_of_page_gets_its_own_parts_line_by_line() -> None:
    view, asked = View(KNOWN), []

    class Named:
        def render(self, name: str, **values: object) -> str:
            asked.append((name, values))
            return f"<{name}>\n\n  end\n"

    found = live.frames(cast("Renderer", Named()), view)

    own, overview, charts = (
        f"data: <{name}>\ndata:   end\n".encode() for name in ("live.html", "live_overview.html", "live_charts.html")
    )
    assert found == {
        "": own + b"\n",
        "overview": own + overview + charts + b"\n",
        "overview-hours": own + overview + b"\n",
        "deliveries": own + b"\n",
    }
    assert all(values == {"view": view, "span": "15 min"} for _, values in asked)
