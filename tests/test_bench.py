"""The benches refuse to print what was not done, and the other tree is measured as ours is."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from bench import commands, drain
from bench.checks import FalseFigure, require_finished, require_shown, require_soon, require_stored, stored_rows
from bench.client import signed_requests
from bench.commands import TREE
from bench.compare import Cost, drained, ingested, medians, row
from bench.cpu import microseconds, postgres_cpu_seconds
from bench.drainers import Done
from bench.events import everything, fill, twice_each, updates
from bench.load import cheapest_client, full_load
from bench.support import database
from consumer.postgres import migrations
from consumer.worker.batch import BATCH_SIZE
from tests.support.names import own


@pytest.fixture
async def filled(server_url: str) -> AsyncIterator[str]:
    """A database of its own with the twenty updates of ten users, pending."""
    with database(server_url, own("bench")) as url:
        migrations.apply(url, "consumer")
        await fill(url, updates(20), 0)
        yield url


def test_each_user_comes_once_and_then_once_more_in_another_order() -> None:
    users = twice_each(500)

    assert len(set(users)) == 500
    assert set(users[:500]) == set(users[500:])
    assert users[:500] != users[500:]
    assert users == twice_each(500)


@pytest.mark.parametrize(("answered", "stored"), [(9, 10), (10, 9), (9, 9), (10, 11)])
def test_a_figure_is_refused_when_requests_were_not_answered_or_not_stored(answered: int, stored: int) -> None:
    require_stored("ours", sent=10, answered=10, stored=10)
    require_stored("bare", sent=10, answered=10, stored=None)

    with pytest.raises(FalseFigure, match=f"^No figure for ours: 10 requests .* {answered} answered 204, {stored} "):
        require_stored("ours", sent=10, answered=answered, stored=stored)


def test_a_figure_is_refused_until_everything_is_finished_and_shown(filled: str) -> None:
    with pytest.raises(FalseFigure, match=r"20 deliveries were put, 0 finished, 0 failed, 20 are pending\.$"):
        require_finished("one worker", filled, 20)
    with pytest.raises(FalseFigure, match=r"shows 0 users, 0 of them rightly, and should show 10\.$"):
        require_shown("one worker", filled, updates(20))

    commands.run(filled, "work", "--drain")

    require_finished("one worker", filled, 20)
    require_shown("one worker", filled, updates(20))


def test_a_figure_is_refused_when_a_delivery_failed_or_an_older_one_counts_as_new(filled: str) -> None:
    commands.run(filled, "work", "--drain")
    require_finished("one worker", filled, 15, history=5)
    with pytest.raises(FalseFigure, match=r"20 deliveries were put, 15 finished, 0 failed, 0 are pending\.$"):
        require_finished("one worker", filled, 20, history=5)
    with psycopg.connect(filled) as conn:
        conn.execute(
            "INSERT INTO consumer.failures (seq, state, attempts, error_code, error) "
            "SELECT min(seq), 'dead', 1, 'x', 'x' FROM consumer.outbox"
        )

    with pytest.raises(FalseFigure, match=r"20 deliveries were put, 20 finished, 1 failed, 0 are pending\.$"):
        require_finished("one worker", filled, 20)


def test_a_figure_is_refused_when_a_profile_is_not_the_newest(filled: str) -> None:
    commands.run(filled, "work", "--drain")
    with psycopg.connect(filled) as conn:
        conn.execute("UPDATE identity.profiles SET full_name = 'User 0' WHERE full_name = 'User 19'")

    with pytest.raises(FalseFigure, match="shows 10 users, 9 of them rightly"):
        require_shown("one worker", filled, updates(20))


def test_a_delivery_that_is_stored_and_not_queued_is_no_figure(filled: str) -> None:
    assert stored_rows(filled) == 20
    with psycopg.connect(filled) as conn:
        conn.execute("DELETE FROM consumer.pending WHERE seq = (SELECT min(seq) FROM consumer.pending)")

    with pytest.raises(FalseFigure, match=r"20 deliveries are in consumer\.outbox and 19 in consumer\.pending"):
        stored_rows(filled)


@pytest.mark.parametrize("client", sorted({"python", cheapest_client()}))
def test_a_tree_ingests_by_its_command_lines(server_url: str, client: str) -> None:
    with database(server_url, own("bench")) as url:
        cost = ingested(url, TREE, 300, client)

    assert cost.seconds > 0
    assert cost.own_cpu > 0


def test_a_tree_drains_the_mix_by_its_command_lines(server_url: str) -> None:
    """A run as short as this may take less time than its start: the cost is no matter here, the checks inside are."""
    with database(server_url, own("bench")) as url:
        assert isinstance(drained(url, TREE, everything(400)), Cost)


def test_a_measure_is_what_its_name_says() -> None:
    for measure in drain.measures([250], 1_000_000):
        assert measure.is_ceiling == ("ceiling" in measure.name)
        assert measure.is_mix == ("everything" in measure.name)
        assert measure.is_xmin_held == ("xmin held" in measure.name)
        assert measure.workers == (2 if "two workers" in measure.name else 1)
        assert measure.batch_size == (250 if "batch 250" in measure.name else BATCH_SIZE)
        assert measure.history == (10_000 * (" 10k" in measure.name) or 1_000_000 * (" 1000k" in measure.name))


def test_figures_of_a_drain_are_by_event_and_second(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = drain.timed

    def two_seconds(url: str, measure: drain.Measure, events: int) -> tuple[float, list[Done]]:
        timed(url, measure, events)
        return 2.0, [Done(events, 0.5, 3 * 2**20), Done(events, 0.1, 2**20)]

    monkeypatch.setattr(drain, "timed", two_seconds)
    row = drain.run(server_url, drain.Measure("one worker"), 200)

    assert row["events/s"] == 100
    assert row["worker CPU us/event"] == pytest.approx(3000)
    assert row["worker RSS growth MB"] == 3
    assert 1000 < float(str(row["WAL bytes/event"])) < 100_000
    assert 0 <= float(str(row["HOT % of updates"])) <= 100


def test_a_tree_that_does_not_start_is_no_figure(server_url: str, tmp_path: Path) -> None:
    (tmp_path / "consumer").mkdir()
    (tmp_path / "consumer" / "__init__.py").touch()
    (tmp_path / "consumer" / "__main__.py").write_text("raise SystemExit(3)")

    with database(server_url, own("bench")) as url, pytest.raises(FalseFigure, match=r"ended with 3\.$"):
        ingested(url, tmp_path, 300, "python")


def test_what_does_not_come_soon_is_no_figure() -> None:
    answers = iter([False, False, True])
    require_soon("the third answer", lambda: next(answers), 5, poll=0)

    assert next(answers, None) is None
    with pytest.raises(FalseFigure, match=r"^No figure: a fourth answer was not so after 0 s\.$"):
        require_soon("a fourth answer", lambda: False, 0, poll=0)


def test_requests_have_one_length_so_that_wrk_can_read_them() -> None:
    assert len({len(request) for request in signed_requests(2000, 9_000, b"k" * 24)}) == 1


def test_a_request_that_nobody_answers_is_no_figure() -> None:
    with pytest.raises((FalseFigure, OSError)):
        full_load(1, signed_requests(3, 0, b"k" * 24), 2, "python")


def test_ratios_are_ours_by_the_other_trees() -> None:
    faster = row(1, Cost(2, 0.2, 1.0), Cost(1, 0.1, 0.5), 1000)
    slower = row(2, Cost(1, 0.1, None), Cost(4, 0.4, None), 1000)

    assert faster["events/s, ratio"] == pytest.approx(2)
    assert (faster["own CPU us, base"], faster["own CPU us, ours"]) == (pytest.approx(200), pytest.approx(100))
    assert faster["PostgreSQL CPU us, ratio"] == pytest.approx(0.5)
    assert "PostgreSQL CPU us, ratio" not in slower
    assert medians([faster, faster, faster | {"events/s, ratio": 9.0}])["events/s, ratio"] == pytest.approx(2)


def test_postgres_processor_time_never_goes_back(server_url: str) -> None:
    """A session's time moves from its process to the postmaster when it ends."""
    before = postgres_cpu_seconds(server_url)
    with psycopg.connect(server_url) as conn:
        conn.execute("SELECT sum(n) FROM generate_series(1, 2000000) AS n")
    after = postgres_cpu_seconds(server_url)

    assert before is not None
    assert after is not None
    assert after > before
    assert microseconds(before, None, 1) is None
