"""The stream behind the pages: one sampler for all, only while anybody looks, and an end for every stream."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse

import pytest

from consumer.console.door import SignInLink
from consumer.console.sample import Sample
from consumer.console.sampler import SAMPLE_TIME, WATCHERS_MAX, Sampler, View, sampling
from consumer.verdict.observation import Observation
from tests.support.cli import arrive, work
from tests.support.console import SECRET, Desk, cookie_name, running
from tests.support.databases import rows
from tests.support.factories import user_updated
from tests.support.processes import until

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def desk(emptied: str) -> Iterator[Desk]:
    with running(emptied) as desk:
        yield desk.as_("viewer")


def event(answer: HTTPResponse) -> str:
    """Read one event."""
    lines = iter(lambda: answer.readline().decode().rstrip("\n"), "")
    return "\n".join(lines)


class Asked:
    """Counts the questions that a sampler asks, and answers each with a new sample."""

    def __init__(self) -> None:
        self.questions = 0

    async def __call__(self, _: Sample | None) -> Sample:
        self.questions += 1
        return Sample(Observation(NOW), ())


def sampler(asked: Asked) -> Sampler:
    return Sampler(asked, lambda _: {"": str(asked.questions).encode()}, lambda: datetime.now(UTC))


def test_a_page_gets_what_has_changed_as_parts_of_itself(desk: Desk, emptied: str) -> None:
    with desk.open("GET", "/live?page=overview", "", {}) as answer:
        first = event(answer)
        arrive(emptied, user_updated())
        work(emptied)
        second = next(text for text in iter(lambda: event(answer), "") if "/deliveries/" in text)

    assert answer.getheader("content-type") == "text/event-stream; charset=utf-8"
    assert answer.getheader("content-encoding") is None
    assert "No delivery has come yet." in first
    assert "user.updated" in second
    targets = re.findall(r'hx-target="#([a-z-]+)"', second)
    page = desk.get().text
    assert targets == ["live-state", "side-dead", "side-runs", "overview", "overview-tables", "charts"]
    assert [target for target in targets if f'id="{target}"' not in page] == []


def test_other_pages_get_the_clock_and_the_numbers_on_the_side_alone(desk: Desk) -> None:
    with desk.open("GET", "/live", "", {}) as answer:
        text = event(answer)

    assert re.findall(r'hx-target="#([a-z-]+)"', text) == ["live-state", "side-dead", "side-runs"]
    assert all(line.startswith("data: ") for line in text.splitlines())


def test_only_the_stream_calls_a_page_live(desk: Desk) -> None:
    """Without JavaScript the page stays as it was made, and says when that was."""
    page = desk.get().text
    with desk.open("GET", "/live", "", {}) as answer:
        streamed = event(answer)

    assert (page.count(">Live<"), streamed.count(">Live<")) == (0, 1)
    assert re.search(r'id="live-state">As of <time datetime="[^"]+">\d\d:\d\d:\d\d</time>', page)


def test_a_session_that_ends_sends_its_page_to_the_door(desk: Desk) -> None:
    """A 401 would be one more failure to the browser's script, which asks again without end."""
    ends_at = datetime.now(UTC) + timedelta(seconds=3)
    signer = desk.signer(SECRET, lambda: ends_at - timedelta(hours=12))
    value = signer.cookie(SignInLink("", "kim", "viewer", 0))
    leaving = Desk(desk.port, desk.settings, f"{cookie_name(desk)}={value}")

    with leaving.open("GET", "/live", "", {}) as answer:
        text = answer.read().decode()

    assert answer.status == 200
    assert text.endswith("\n\nevent: ended\ndata: ended\n\n")


def test_a_stop_ends_every_stream_at_once(emptied: str) -> None:
    with ExitStack() as streams:
        with running(emptied) as desk:
            answers = [streams.enter_context(desk.as_("viewer").open("GET", "/live", "", {})) for _ in range(5)]
            for answer in answers:
                event(answer)
            began = time.monotonic()
        seconds = time.monotonic() - began

    assert seconds < 2


def test_nothing_is_asked_while_nobody_looks() -> None:
    async def work() -> tuple[int, int]:
        asked = Asked()
        made = sampler(asked)
        async with sampling(made):
            await asyncio.sleep(0)
            before = asked.questions
            frames = made.frames("", None)
            await anext(frames)
            return before, asked.questions

    assert asyncio.run(work()) == (0, 1)


def test_any_number_who_look_cost_one_question() -> None:
    async def work() -> tuple[list[bytes], int]:
        asked = Asked()
        made = sampler(asked)
        async with sampling(made):
            looking = [made.frames("", None) for _ in range(50)]
            first = await asyncio.gather(*(anext(each) for each in looking))
            return first, asked.questions

    frames, questions = asyncio.run(work())
    assert (frames, questions) == ([b"1"] * 50, 1)


def test_several_who_load_the_page_share_one_question() -> None:
    async def work() -> int:
        asked = Asked()
        made = sampler(asked)
        await asyncio.gather(*(made.fresh() for _ in range(20)))
        return asked.questions

    assert asyncio.run(work()) == 1


def test_those_who_wait_for_a_silent_database_wait_for_one_question() -> None:
    async def work() -> int:
        asked, now = Asked(), iter(NOW + n * 2 * SAMPLE_TIME for n in range(100))

        async def ask(before: Sample | None) -> Sample:
            await asyncio.sleep(0)
            return await asked(before)

        made = Sampler(ask, lambda _: {}, lambda: next(now))
        await asyncio.gather(*(made.fresh() for _ in range(20)))
        return asked.questions

    assert asyncio.run(work()) == 1


@pytest.mark.parametrize(
    ("age", "questions"),
    [(timedelta(0), 1), (SAMPLE_TIME - timedelta.resolution, 1), (SAMPLE_TIME, 2), (-timedelta.resolution, 2)],
)
def test_what_is_known_is_asked_anew_once_it_is_old_or_the_clock_was_set_back(age: timedelta, questions: int) -> None:
    async def work() -> int:
        asked, now = Asked(), [NOW]
        made = Sampler(asked, lambda _: {}, lambda: now[0])
        await made.fresh()
        now[0] = NOW + age
        await made.fresh()
        return asked.questions

    assert asyncio.run(work()) == questions


def test_a_slow_viewer_misses_frames_and_gets_the_newest() -> None:
    async def work() -> list[bytes]:
        asked = Asked()
        made = sampler(asked)
        async with sampling(made):
            frames = made.frames("", None)
            first = await anext(frames)
            for _ in range(5):
                await made._ask()
            return [first, await anext(frames)]

    assert asyncio.run(work()) == [b"1", b"6"]


def test_too_many_streams_are_turned_away() -> None:
    async def work() -> list[bytes]:
        made = sampler(Asked())
        async with sampling(made):
            looking = [made.frames("", None) for _ in range(WATCHERS_MAX)]
            await asyncio.gather(*(anext(each) for each in looking))
            return [frame async for frame in made.frames("", None)]

    assert asyncio.run(work()) == []


def test_the_database_is_left_alone_once_the_last_has_left(desk: Desk, emptied: str) -> None:
    last_asked = (
        "SELECT now() - max(state_change) AS ago FROM pg_stat_activity WHERE application_name = 'consumer console'"
    )
    with desk.open("GET", "/live", "", {}) as answer:
        event(answer)
        event(answer)

    assert timedelta(seconds=2) == SAMPLE_TIME
    until(lambda: rows(emptied, last_asked)[0]["ago"] > 2 * SAMPLE_TIME)


def test_what_others_saw_long_ago_is_not_what_the_next_one_sees_first() -> None:
    async def work() -> bytes:
        made = sampler(Asked())
        async with sampling(made):
            earlier = made.frames("", None)
            await anext(earlier)
            await earlier.aclose()  # type: ignore[attr-defined]  # It is a generator.
            return await anext(made.frames("", None))

    assert asyncio.run(work()) == b"2"


def test_a_bug_in_a_page_does_not_end_the_sampler() -> None:
    async def work() -> bytes:
        asked = Asked()

        def render(_: View) -> dict[str, bytes]:
            if asked.questions == 1:
                raise ZeroDivisionError
            return {"": b"rendered"}

        made = Sampler(asked, render, lambda: datetime.now(UTC))
        async with sampling(made):
            return await anext(made.frames("", None))

    assert asyncio.run(work()) == b"rendered"


def test_an_idle_console_holds_one_reader_one_that_looks_for_orders_and_its_reports(desk: Desk, emptied: str) -> None:
    """As docs/SIZING.md counts them; its start may open a second reader, which is closed after ten minutes."""
    held = """SELECT application_name AS name FROM pg_stat_activity
    WHERE application_name LIKE 'consumer %' AND datname = current_database()"""
    found = until(lambda: len(names := sorted(str(row["name"]) for row in rows(emptied, held))) > 2 and names)

    assert desk.get("/livez").status == 200
    assert found in [["consumer console", "consumer console report", *["consumer viewer"] * n] for n in (1, 2)]
