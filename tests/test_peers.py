"""The comparison with peers, as far as it needs none of them: the verdict, the ratios, the table."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.peers import install
from bench.peers.counters import Sample
from bench.peers.drain import SQL, Verdict, judge, kill_midway, measure, write_events
from bench.peers.process import ROOT, SubjectFailed, crew, environment
from bench.peers.report import Result, bounds, rows, troubles
from bench.peers.subjects import OURS_DRAIN, OURS_INGEST, OURS_WHOLE, SUBJECTS, Subject, chosen
from bench.support import show

CHEAP = Sample(events=1000, seconds=1, wal_bytes=0, dead_rows=0, own_cpu_seconds=0.004, cpu_seconds=0.02)
BY_KEY = {subject.key: subject for subject in SUBJECTS}


def result(key: str, *speeds: float, verdicts: Sequence[Verdict] = ()) -> Result:
    samples = [replace(CHEAP, seconds=1000 / speed, wal_bytes=500_000, dead_rows=1500) for speed in speeds]
    return Result(BY_KEY[key], "1.0", samples, list(verdicts))


@pytest.mark.parametrize(
    ("applied", "held", "verdict"),
    [
        pytest.param([1, 2, 3], [], Verdict(0, 0, 0), id="all applied once"),
        pytest.param([1, 2], [], Verdict(1, 0, 0), id="neither applied nor queued is lost"),
        pytest.param([1, 1, 1, 2, 3], [], Verdict(0, 2, 0), id="each repeat is one double"),
        pytest.param([1, 2, 3], [2], Verdict(0, 1, 0), id="applied and still queued will be doubled"),
        pytest.param([1, 2], [3], Verdict(0, 0, 1), id="queued and not applied is stuck"),
    ],
)
def test_the_judge_tells_lost_doubled_and_stuck_apart(applied: list[int], held: list[int], verdict: Verdict) -> None:
    assert judge([1, 2, 3], applied, held) == verdict


def test_ratios_are_between_medians_and_above_one_where_ours_is_faster() -> None:
    results = [result("ours", 10, 3000, 3000), result("ours-whole", 1500), result("graphile", 500, 1000, 9000)]

    graphile = rows(results)[2]

    assert graphile["events/s"] == pytest.approx(1000)
    assert graphile["ours / it"] == pytest.approx(3)
    assert graphile["whole / it"] == pytest.approx(1.5)
    assert (graphile["slowest"], graphile["fastest"]) == (pytest.approx(500), pytest.approx(9000))
    assert (graphile["WAL B/event"], graphile["dead/event"], graphile["CPU µs/event"]) == (500, 1.5, pytest.approx(20))
    assert graphile["own"] == pytest.approx(4)


def test_the_worst_of_several_kills_is_shown() -> None:
    row = rows([result("pgboss", 1000, verdicts=[Verdict(0, 0, 0), Verdict(0, 405, 0), Verdict(0, 2, 9)])])[0]

    assert (row["lost"], row["doubled"], row["stuck"]) == (0, 405, 9)


def test_a_bound_is_held_against_the_fastest_peer_of_its_group() -> None:
    results = [result("ours", 6000), result("graphile", 3000), result("procrastinate", 60), result("pgq", 12_000)]

    values = list(bounds(results).values())

    assert values[:4] == [None, pytest.approx(2), None, pytest.approx(0.5)]


def test_processor_time_is_compared_like_speed() -> None:
    results = [Result(BY_KEY["ours"], "", [CHEAP]), Result(BY_KEY["pgq"], "3.5", [replace(CHEAP, cpu_seconds=0.01)])]

    by_processor_time = bounds(results)["drain / PgQ, its simplest effect (>= 0.8), by processor time"]

    assert by_processor_time == pytest.approx(0.5)


def test_a_peer_that_is_not_installed_stays_in_the_table_with_its_reason() -> None:
    missing = Result(BY_KEY["pgboss"], "", trouble="not installed: npm is not on the PATH")

    row = rows([result("ours", 1000), missing])[1]

    assert row["system"] == "pg-boss, one by one"
    assert row["events/s"] is None
    assert troubles([missing]) == {"pgboss": "not installed: npm is not on the PATH"}


def test_a_missing_npm_is_a_reason_and_no_exception(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "FOLDER", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    environments = install.install({"ours", "node"})

    assert environments.programs == {"ours": sys.executable}
    assert environments.reasons == {"node": "npm is not on the PATH"}


def test_the_table_renders_with_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    table = rows([result("ours", 1000, verdicts=[Verdict(0, 0, 0)]), Result(BY_KEY["pgq"], "3.5", trouble="failed")])

    show("Peers", table, {}, as_json=False)

    assert "Peers" in capsys.readouterr().out


def test_choosing_a_peer_brings_ours_of_its_kind_along() -> None:
    assert chosen(["pgq"]) == [OURS_DRAIN, BY_KEY["pgq"]]
    assert chosen(["fastify-pg"]) == [OURS_INGEST, BY_KEY["fastify-pg"]]
    assert chosen([]) == list(SUBJECTS)


def test_every_queue_says_what_it_holds() -> None:
    assert all((SQL / f"{subject.held}.sql").exists() for subject in SUBJECTS if subject.kind == "drain")


def test_an_unknown_subject_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.peers", "--only", "nobody"], capture_output=True, text=True, check=False, cwd=ROOT
    )

    assert done.returncode == 2
    assert "nobody" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("subject", [OURS_DRAIN, OURS_WHOLE], ids=lambda subject: subject.key)
def test_ours_drains_the_same_events_and_loses_and_doubles_nothing_when_killed(
    lone_server_url: str, tmp_path: Path, subject: Subject
) -> None:
    events = write_events(tmp_path, 4000)

    drained = measure(lone_server_url, sys.executable, subject, events)
    verdict = kill_midway(lone_server_url, sys.executable, subject, events)

    assert drained.events == 4000
    assert drained.cpu_seconds
    assert verdict == Verdict(lost=0, doubled=0, stuck=0)


def test_a_subject_that_dies_is_reported_with_its_last_words() -> None:
    called = [sys.executable, "-c", "import sys; sys.exit('no such queue')"]

    with crew(called, environment("dbname=none"), 1) as workers, pytest.raises(SubjectFailed, match="no such queue"):
        workers.hear("ready", 30)
