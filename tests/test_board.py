"""The verdict on a screen: in `status`, again and again with --watch, and as an exit code with --check."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo
from rich.cells import cell_len

from consumer.cli.board import bars, board
from consumer.cli.watch import boards
from consumer.outbox.deliveries import Stats
from consumer.settings.settings import read
from consumer.verdict.finding import Finding
from consumer.verdict.observation import Observation
from consumer.verdict.rates import Rates
from tests.support.cli import arrive, call, examined, facts
from tests.support.databases import change
from tests.support.factories import user_updated
from tests.support.processes import environment, on
from tests.support.states import reported
from tests.test_terminal import read as read_terminal

AT = datetime(2026, 11, 29, 14, 32, 8, tzinfo=UTC)
STATS = Stats(
    pending=17,
    retrying=3,
    dead=1284,
    done=9_999_999,
    oldest_due_seconds=0.4,
    received_last_minute=2471,
    applied_last_minute=2454,
)
RATES = Rates(
    received=[0, *range(1, 15)],
    applied=[0] * 15,
    refused=4,
    delivery_seconds=[60, 38, 1, 1, *[0] * 25],
)
FOUND = [
    Finding("dying", "failing", "dead letters", "1,284, of which 1,142 died since 13:58:00Z; most of them: 23505", "c"),
    Finding("process_silent", "warning", "worker on work-2.example.com", "has not reported for 14m", "c"),
    Finding("nothing_received", "note", "app", "nothing received yet"),
]
PICTURE = """\
x Users are flowing. Two things need you.                           14:32:08 UTC
x dead letters     1,284, of which 1,142 died since 13:58:00Z; most of them:
                   23505
! worker on work-2.example.com
                   has not reported for 14m
 received    41.2/s ▁▁▂▂▃▃▄▄▅▅▆▆▇▇█  pending         17  oldest due        0.4s
 applied     40.9/s ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  retrying         3  p50/p99 ≤   10 / 20 ms
 refused   4/15 min                  dead         1,284  drained in        0.4s
"""


def lines(columns: int = 80, stats: Stats | None = STATS) -> list[str]:
    return [line.plain.rstrip() for line in board(Observation(AT), FOUND, stats, RATES, columns=columns)]


def test_the_board_is_80_columns_wide() -> None:
    assert lines() == PICTURE.splitlines()
    assert max(map(cell_len, lines())) <= 80


def test_a_slow_queue_is_said_in_seconds_and_still_fits() -> None:
    slow = replace(RATES, delivery_seconds=[50, *[0] * 27, 50])

    shown = [line.plain for line in board(Observation(AT), [], STATS, slow, columns=80)]

    assert shown[2].endswith("p50/p99 ≤  0.01/3600 s")
    assert max(map(cell_len, shown)) <= 80


def test_in_a_narrow_window_each_count_has_a_line() -> None:
    narrow = lines(60)

    assert len(narrow) == 1 + 4 + 9
    assert " pending         17" in narrow
    assert "UTC" not in narrow[0]


def test_without_reports_there_are_counts_and_no_shape() -> None:
    shown = board(Observation(AT), [], replace(STATS, applied_last_minute=0, oldest_due_seconds=0), None, columns=80)

    assert [line.plain.split()[-1] for line in shown] == ["UTC", "-", "-", "-"]


def test_a_sender_s_text_controls_no_terminal() -> None:
    evil = [Finding("dead", "warning", "x", "\x1b[2J[red]evil[/red]", "c")]

    [_, line] = board(Observation(AT), evil, None, None, columns=80)

    assert "\x1b" not in line.plain
    assert "[red]evil[/red]" in line.plain


@pytest.mark.parametrize(
    ("counts", "shape"), [([], ""), ([0, 0], "▁▁"), ([1, 1], "██"), ([0, 1, 7], "▁▂█"), ([0, 1, 1_000_000], "▁▁█")]
)
def test_a_bar_is_as_high_as_its_share_of_the_highest(counts: list[int], shape: str) -> None:
    assert bars(counts) == shape


def test_status_begins_with_the_verdict(emptied: str) -> None:
    arrive(emptied, user_updated()._replace(error_code="x", error="$: y"))

    document, printed = facts(emptied, "status"), call(emptied, "status").stdout

    assert document["verdict"] == "Users are flowing. One thing needs you."
    assert printed.startswith(f"! {document['verdict']}")
    assert "warning  dead letters: 1\n  → `consumer dead list`" in printed
    assert document["rates"]["received"] == [0] * 15


@pytest.mark.parametrize(
    ("seconds", "verdict", "state", "exit_code"),
    [
        (7, "Nobody takes deliveries: stopped 7", "ok", 0),
        (30, "Users are not flowing. Two things need you.", "warning", 1),
    ],
)
def test_an_orderly_stop_of_all_is_said_at_once(
    emptied: str, seconds: int, verdict: str, state: str, exit_code: int
) -> None:
    for duty in ("receiver", "worker"):
        reported(emptied, duty, "work-1")
    change(emptied, f"UPDATE consumer.reports SET at = at - interval '{seconds} seconds', next_at = NULL")

    shown, checked = call(emptied, "status"), call(emptied, "status", "--check")
    workers = examined(emptied)[1]["workers"]

    assert verdict in shown.stdout
    assert checked.exit_code == exit_code
    assert (workers["state"], "nobody applies deliveries" in workers["finding"]) == (state, True)


@pytest.mark.parametrize(("minutes", "exit_code"), [(0.5, 0), (2, 1)])
def test_check_exits_with_1_while_a_finding_is_failing(emptied: str, minutes: float, exit_code: int) -> None:
    arrive(emptied, user_updated())
    change(emptied, f"UPDATE consumer.outbox SET received_at = now() - interval '{minutes} minutes'")

    checked, shown = call(emptied, "status", "--check", "--json"), call(emptied, "status")

    assert (checked.exit_code, shown.exit_code) == (exit_code, 0)
    assert '"no_worker"' in checked.stdout
    assert "Users are not flowing." in shown.stdout


@pytest.mark.parametrize("beside", [(), ("--json",), ("--check",)])
def test_a_watch_is_for_a_terminal_and_alone(emptied: str, beside: tuple[str, ...]) -> None:
    assert call(emptied, "status", "--watch", *beside).exit_code == 2


async def test_a_database_that_is_away_is_drawn_and_asked_again(emptied: str) -> None:
    gone = make_conninfo(emptied, host="/nowhere")
    settings = read({**on(gone)})[0]
    drawn = boards(settings, gone)

    shown = ["\n".join(line.plain for line in await anext(drawn)) for _ in range(2)]
    await drawn.aclose()

    assert all(text.startswith("x Users are not flowing. One thing needs you.") for text in shown)
    assert all("database" in text and "/nowhere" in text for text in shown)


async def test_a_connection_is_kept_from_one_look_to_the_next_and_made_again(emptied: str) -> None:
    drawn = boards(read({**on(emptied)})[0], emptied)
    seen = []
    for _ in range(2):
        seen.append((await anext(drawn))[0].plain)
        change(
            emptied,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'consumer operator'",
        )
    seen += [(await anext(drawn))[0].plain for _ in range(2)]
    await drawn.aclose()

    assert ["not flowing" in text for text in seen] == [False, True, False, False]


@pytest.fixture
def terminal(emptied: str, tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """`consumer status --watch` on a terminal of its own."""
    ours, theirs = pty.openpty()
    settings = {**environment(on(emptied)), "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    command = [sys.executable, "-m", "consumer", "status", "--watch"]
    with subprocess.Popen(command, cwd=tmp_path, env=settings, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        yield ours, process
        process.kill()
    os.close(ours)


@pytest.mark.parametrize("is_interrupted", [False, True], ids=["q", "Ctrl-C"])
def test_a_watch_draws_in_place_until_q_or_ctrl_c(
    terminal: tuple[int, subprocess.Popen[bytes]], is_interrupted: bool
) -> None:
    ours, process = terminal
    text = b""
    # The second frame begins at the top again.
    while len(re.findall(rb"Users are flowing", text)) < 2:
        text += read_terminal(ours)
    if is_interrupted:
        process.send_signal(signal.SIGINT)
    else:
        os.write(ours, b"zq")
    while piece := read_terminal(ours):
        text += piece

    assert process.wait(10) == 0
    # The window's own screen is back.
    assert b"\x1b[?1049l" in text
    assert b"Traceback" not in text
