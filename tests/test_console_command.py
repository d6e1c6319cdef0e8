"""`consumer console`: what it refuses, the link it prints, its life as a process, and beside the others in `up`."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.cli import console
from consumer.settings.settings import Settings
from consumer.web.listen import listen
from tests.support.console import SECRET, Desk, Page
from tests.support.processes import ask, invoke, on, ports, running, until
from tests.support.settings import load

ONLY = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "CONSOLE_SECRET": SECRET, "CONSOLE_PORT": ""}
LINK = ("console", "link", "--as", "kim", "--role", "viewer")


def opened(port: int, link: str, settings: Settings) -> Page:
    """Sign in by a link that was printed, and return the page behind it."""
    path = re.sub(r"http://127\.0\.0\.1:\d+", "", link)
    desk = Desk(port, settings)
    assert desk.get(path).status == 200
    cookie = desk.post("/open", {"token": path.removeprefix("/open/")}).cookie
    return Desk(port, settings, cookie).get("/system")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"CONSOLE_HOST": "0.0.0.0"}, "CONSOLE_HOST is 0.0.0.0, which other machines can reach: set CONSOLE_URL=https"),
        ({"CONSOLE_HOST": "127.0.0.1 10.0.0.5"}, "CONSOLE_HOST is 127.0.0.1 10.0.0.5, which other machines can reach"),
        ({"CONSOLE_HOST": "0.0.0.0", "CONSOLE_URL": "http://ops.example.com"}, "CONSOLE_URL must begin with https://"),
        ({"CONSOLE_URL": "http://ops.example.com"}, "CONSOLE_URL must begin with https://"),
        ({"CONSOLE_URL": "ftp://ops.example.com"}, "CONSOLE_URL must be an http:// or https:// URL"),
        ({"CONSOLE_URL": "https://user@ops.example.com"}, "CONSOLE_URL must be a URL of a host and a path"),
        ({"CONSOLE_URL": "https://ops.example.com/?x=1"}, "CONSOLE_URL must be a URL of a host and a path"),
        ({"CONSOLE_URL": "https://ops.example.com/a%20b"}, "CONSOLE_URL must be a path such as"),
        ({"CONSOLE_URL": "https://ops.example.com/system"}, "CONSOLE_URL has the path /system, which is a page"),
        ({"CONSOLE_PORT": "off"}, "CONSOLE_PORT is off, so there is no console."),
        ({"CONSOLE_PORT": "x"}, "CONSOLE_PORT must be a whole number or off"),
        ({"CONSOLE_SECRET": "short"}, "CONSOLE_SECRET must have at least 32 characters"),
        ({"CONSOLE_TRUST_USER_HEADER": "a b"}, "CONSOLE_TRUST_USER_HEADER must be a header's name"),
    ],
)
def test_what_would_open_the_console_to_others_is_refused(
    settings: dict[str, str], problem: str, tmp_path: Path
) -> None:
    for arguments in (("console",), LINK):
        result = invoke(tmp_path, {**ONLY, "CONSOLE_PORT": "0", **settings}, *arguments)

        assert (result.exit_code, problem in result.stderr) == (2, True), result.output
    assert "short" not in result.stderr


def test_up_refuses_what_the_console_would_refuse(tmp_path: Path) -> None:
    result = invoke(tmp_path, {"CONSUMER_DATA_DIR": str(tmp_path / "data"), "CONSOLE_HOST": "0.0.0.0"}, "up")

    assert (result.exit_code, "CONSOLE_HOST is 0.0.0.0" in result.stderr) == (2, True)


def test_a_link_names_the_address_under_which_people_come(tmp_path: Path) -> None:
    here = invoke(tmp_path, ONLY, *LINK)
    there = invoke(tmp_path, {**ONLY, "CONSOLE_URL": "https://ops.example.com/users-console/"}, *LINK)

    assert re.fullmatch(r"http://127\.0\.0\.1:8003/open/[\w.-]+\n", here.stdout)
    assert re.fullmatch(r"https://ops\.example\.com/users-console/open/[\w.-]+\n", there.stdout)


@pytest.mark.parametrize("name", ["", " kim", "k" * 65, "a\nb"])
def test_nobody_gets_a_name_that_cannot_be_shown(name: str, tmp_path: Path) -> None:
    result = invoke(tmp_path, ONLY, "console", "link", "--as", name, "--role", "viewer")

    assert (result.exit_code, "A name has 1 to 64 printable characters" in result.stderr) == (1, True)


def test_a_secret_that_is_not_set_is_made_once_and_kept_for_its_owner(tmp_path: Path) -> None:
    settings = {**ONLY, "CONSOLE_SECRET": "", "CONSUMER_DATA_DIR": str(tmp_path / "data")}

    invoke(tmp_path, settings, *LINK)
    kept = tmp_path / "data" / "console-secret"
    first = kept.read_text()
    invoke(tmp_path, settings, *LINK)

    assert (kept.read_text(), len(first.strip())) == (first, 64)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_secret_that_cannot_be_kept_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = {**ONLY, "CONSOLE_SECRET": "", "CONSUMER_DATA_DIR": str(tmp_path / "file" / "data")}

    result = invoke(tmp_path, settings, *LINK)

    assert (result.exit_code, "CONSOLE_SECRET is not set, and none can be kept in" in result.stderr) == (2, True)


def test_without_its_libraries_it_says_so_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "LIBRARIES", ("no_such_library",))

    for arguments in (("console",), LINK):
        result = invoke(tmp_path, ONLY, *arguments)
        assert (result.exit_code, result.stderr) == (2, f"Error: {console.NOT_INSTALLED}\n")


def test_up_runs_without_it_and_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(console, "LIBRARIES", ("no_such_library",))

    assert console.listen_beside(Settings()) == []
    [record] = caplog.records
    assert record.__dict__["warning"] == f"`up` runs no console. {console.NOT_INSTALLED}"


def test_a_process_of_its_own_serves_and_ends_when_it_is_told(emptied: str, tmp_path: Path) -> None:
    (port,) = ports(1)
    settings = on(emptied, CONSOLE_PORT=port, CONSOLE_SECRET=SECRET)
    with running(tmp_path, settings, "console") as process:
        until(lambda: ask(port, "/livez")[0] == 200)
        link = invoke(tmp_path, settings, *LINK).stdout.strip()
        page = opened(port, link, Settings())
        exit_code = process.stop()

    assert (page.status, "kim · viewer" in page.text, exit_code) == (200, True, 0)
    assert f'"event":"console_started","url":"http://127.0.0.1:{port}/"' in process.text
    assert '"event":"console_stopped"' in process.text
    token = link.rpartition("/")[2]
    assert (token in process.text, SECRET in process.text, SECRET in page.text) == (False, False, False)


def test_up_prints_a_link_that_opens_the_console_and_starts_it_again(emptied: str, tmp_path: Path) -> None:
    port, console_port = ports(2)
    settings = on(emptied, PORT=port, OPS_PORT="off", CONSOLE_PORT=console_port, CONSUMER_DATA_DIR=str(tmp_path / "d"))
    with running(tmp_path, settings, "up") as group:
        link = until(lambda: group.said("Console")).partition(" ")[0]
        page = opened(console_port, link, Settings())
        victim = until(lambda: group.child("console"))
        victim.kill()
        until(lambda: group.child("console") not in (None, victim) and ask(console_port, "/livez")[0] == 200)
        again = Desk(console_port, Settings()).post("/open", {"token": link.rpartition("/")[2]})
        exit_code = group.stop()

    assert (page.status, "· operator" in page.text) == (200, True)
    assert again.status == 403
    assert exit_code == 0


def test_no_link_goes_into_a_log_that_others_read_where_they_reach_the_console() -> None:
    (port,) = ports(1)
    with listen("127.0.0.1", port, "CONSOLE_PORT")[0] as listener:
        url = "https://ops.example.com/users"
        found = console.first_link(load({**ONLY, "CONSOLE_URL": url}), [listener])

    assert found == f"{url} (`consumer console link --as NAME --role operator` makes a link)"


def test_up_runs_on_without_a_console_where_its_port_is_taken(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = ports(1)
    monkeypatch.setattr(console, "PORT", port)
    first = console.listen_beside(Settings())

    assert len(first) == 1
    assert console.listen_beside(Settings()) == []
    assert "is in use" in caplog.records[-1].__dict__["warning"]
    first[0].close()


def test_its_libraries_are_not_loaded_by_other_commands() -> None:
    """A worker must not need them: the module of the command is imported for every help page."""
    code = "import sys, consumer.cli.console; print({'jinja2', 'itsdangerous'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
