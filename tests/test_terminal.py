"""What the commands print on a real terminal of 80 and 60 columns, and in a pipe: whole ids, times, codes and types."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from rich.cells import cell_len

from consumer.cli.uninstall import OPEN
from consumer.outbox.storage import Delivery
from tests.support.application import tables
from tests.support.cli import arrive
from tests.support.databases import reset
from tests.support.factories import user_updated
from tests.support.outbox import set_aside
from tests.support.processes import environment, on

# Svix's form of a message id, and the longest that an application may send.
SVIX, LONG = "msg_2xkA8bJcV1nQe7sTgYh4Zr9dPqL", "order." + "0123456789" * 25
TYPE, CODE, PATH = "project_permission.created", "unknown_field", f"$.data.{'client_metadata.' * 8}id: Required field"
UNSECURED = "ALTER TABLE identity.companies NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;"
USER = UUID("6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ")
CALLS: Mapping[str, tuple[str, ...]] = {
    "status": (SVIX, LONG, TYPE, CODE, PATH, "23505"),
    "dead list": (SVIX, LONG, TYPE, CODE, PATH),
    "dead list --each": (SVIX, LONG, TYPE, CODE, PATH, str(USER)),
    f"dead show {SVIX}": (SVIX, TYPE, CODE, PATH, str(USER)),
    f"dead show {LONG}": (LONG, TYPE, CODE, PATH),
    "replay --state dead,done --all --dry-run": ("dead", "deliveries"),
    "doctor": ("23505", "consumer replay --state retrying --all"),
    "prune": ("AUDIT_RETENTION_DAYS",),
    "adopt plan --table public.people": ("p.full_name", "public.people", "once Stack or an edit names one"),
    # SQL: a broken comment would not run.
    "uninstall --keep-profiles --dry-run": (f"\n-- {OPEN}\n", UNSECURED),
    "--help": ("Commands:", "AUDIT_RETENTION_DAYS."),
}
# Rows of one line, cut to a terminal of at least 80 columns.
LISTS: Mapping[str, tuple[str, ...]] = {
    "deliveries": (str(USER), TYPE, CODE),
    f"user {USER}": (str(USER), TYPE, CODE),
}
TIMED = {"status", "dead list", "dead list --each", f"dead show {SVIX}", f"dead show {LONG}"}
# One process for all calls, because each start costs half a second.
PROGRAM = f"""
import contextlib
from consumer.cli.main import consumer
for line in {[*CALLS, *LISTS]!r}:
    print("<<<" + line + ">>>", flush=True)
    with contextlib.suppress(SystemExit):
        consumer(line.split(), prog_name="consumer")
"""
PEOPLE = "CREATE TABLE public.people (id uuid PRIMARY KEY, full_name text NOT NULL, email text, role text)"


@dataclass(frozen=True)
class Printed:
    """What each call printed; no columns: in a pipe."""

    columns: int | None
    is_colourless: bool
    calls: Mapping[str, str]

    def plain(self, call: str) -> str:
        """Return a call's text without the escapes for colour."""
        return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", self.calls[call])


def died(message_id: str) -> Delivery:
    delivery = user_updated(USER)._replace(message_id=message_id, event_type=TYPE)
    return delivery._replace(error_code=CODE, error=PATH)


@pytest.fixture(scope="module")
def trouble(database_url: str) -> Iterator[str]:
    """Two dead deliveries of two groups, with ids that must stay whole, a retrying one, and an application's table."""
    reset(database_url)
    waiting = user_updated()
    arrive(database_url, died(SVIX), died(LONG)._replace(error=f"{PATH} too"), waiting)
    set_aside(database_url, [waiting], "retrying", "23505")
    with tables(database_url, PEOPLE, "DROP TABLE public.people") as url:
        yield url


def in_terminal(url: str, folder: Path, *, columns: int, **variables: str) -> str:
    """Return what the program writes to a terminal that is as wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    command = [sys.executable, "-c", PROGRAM]
    settings = {**environment(on(url)), "TERM": "xterm-256color", **variables}
    with subprocess.Popen(command, cwd=folder, env=settings, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        text = b"".join(iter(lambda: read(ours), b""))
        os.close(ours)
    assert process.returncode == 0
    return text.decode().replace("\r\n", "\n")


def read(terminal: int) -> bytes:
    """Read from a terminal; nothing when its program has ended, which Linux calls an error of the device."""
    with suppress(OSError):
        return os.read(terminal, 65_536)
    return b""


def in_pipe(url: str, folder: Path, **variables: str) -> str:
    settings = {**environment(on(url)), **variables}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, env=settings, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((in_terminal, {"columns": 80}), id="80 columns"),
        pytest.param((in_terminal, {"columns": 60}), id="60 columns"),
        pytest.param((in_terminal, {"columns": 200, "COLUMNS": "60", "NO_COLOR": "1"}), id="COLUMNS=60 NO_COLOR"),
        pytest.param((in_terminal, {"columns": 400}), id="a wide window"),
        pytest.param((in_pipe, {}), id="pipe"),
        pytest.param((in_pipe, {"COLUMNS": "60"}), id="pipe COLUMNS=60"),
    ],
)
def printed(request: pytest.FixtureRequest, trouble: str, tmp_path_factory: pytest.TempPathFactory) -> Printed:
    show, options = request.param
    text = show(trouble, tmp_path_factory.mktemp("folder"), **options)
    columns = int(options.get("COLUMNS", options.get("columns", 0))) if show is in_terminal else None
    _, *parts = re.split(r"<<<(.*?)>>>\n", text)
    return Printed(columns, "NO_COLOR" in options, dict(zip(parts[::2], parts[1::2], strict=True)))


@pytest.mark.parametrize("call", CALLS)
def test_every_value_is_whole(printed: Printed, call: str) -> None:
    shown = printed.plain(call)

    assert [value for value in CALLS[call] if value not in shown] == [], shown
    assert "…" not in shown
    assert (TIME.search(shown) is not None) >= (call in TIMED)


@pytest.mark.parametrize("call", LISTS)
def test_a_list_fits_a_terminal_and_is_whole_in_a_pipe(printed: Printed, call: str) -> None:
    shown = printed.plain(call)

    if printed.columns is None:
        assert [value for value in LISTS[call] if value not in shown] == [], shown
        assert "…" not in shown
    else:
        assert str(USER)[:8] in shown
        assert max(map(cell_len, shown.splitlines())) <= max(printed.columns, 80)
        assert (TYPE in shown) >= (printed.columns == 400)


@pytest.mark.parametrize("call", CALLS)
def test_a_line_is_longer_than_the_window_only_for_the_sake_of_one_value(printed: Printed, call: str) -> None:
    """The terminal wraps it there: a name, and a value that can be pasted; no row of a table, and no rule below one."""
    if printed.columns is None:
        return
    wide = [line for line in printed.plain(call).splitlines() if cell_len(line) > printed.columns]

    assert [line for line in wide if "─" in line or len(re.findall(r"\S {2,}\S", line)) > 1] == []


@pytest.mark.parametrize("call", ["dead list", "dead list --each"])
def test_in_a_pipe_a_row_is_a_line_for_grep(printed: Printed, call: str) -> None:
    lines = [line for line in printed.plain(call).splitlines() if SVIX in line]

    assert (printed.columns is not None) or (PATH in lines[0])
    assert len(lines) == 1


def test_colour_is_for_terminals_that_want_it(printed: Printed) -> None:
    coloured = {call for call, text in printed.calls.items() if re.search(r"\x1b\[(?:\d+;)*3\d", text)}
    escaped = {call for call, text in printed.calls.items() if "\x1b" in text}

    assert bool(coloured) == (printed.columns is not None and not printed.is_colourless)
    assert bool(escaped) == (printed.columns is not None)
