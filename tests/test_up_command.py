"""What `up` takes from the command line, and what it opens and closes around its processes."""

import socket
from functools import partial
from typing import Any

import pytest

from consumer.cli import up
from consumer.cli.up import UpPlan
from tests.support.cli import call

URL = "postgresql://ada@127.0.0.1:1/app"


def started(monkeypatch: pytest.MonkeyPatch, *arguments: str, **environment: str) -> UpPlan:
    """Return the plan that `up` would run."""
    plans: list[UpPlan] = []

    def run(work: partial[Any]) -> None:
        plans.extend(work.args)

    monkeypatch.setattr(up, "run", run)
    monkeypatch.setattr(up, "free_port", lambda host, count=1: {"127.0.0.1": 25_100, "::1": 25_200}[host])
    monkeypatch.setattr(up, "_port_problems", lambda _: [])
    result = call(URL, "up", *arguments, CONSOLE_PORT="off", **environment)
    assert result.exit_code == 0, result.output
    return plans[0]


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ((), {}, ("127.0.0.1", 8000)),
        ((), {"PORT": "8123", "HOST": "::1"}, ("::1", 8123)),
        (("--port", "8124", "--host", "::1"), {"PORT": "8123", "HOST": "127.0.0.1"}, ("::1", 8124)),
        (("--port", "0"), {"PORT": "8123"}, ("127.0.0.1", 25_100)),
        (("--host", "::1"), {"PORT": "0"}, ("::1", 25_200)),
        (("--port", "65535"), {}, ("127.0.0.1", 65535)),
    ],
)
def test_the_receiver_s_address_is_that_of_the_options_else_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    expected: tuple[str, int],
) -> None:
    plan = started(monkeypatch, *arguments, **environment)

    assert (plan.settings.host, plan.settings.port) == expected
    assert (plan.ops_ports, plan.secret_files, plan.uses_embedded) == ((), {}, False)
    assert (plan.migrate_conninfo, list(plan.console_sockets)) == (URL, [])


def test_the_login_that_migrates_and_the_ops_ports_are_the_set_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = started(monkeypatch, MIGRATE_DATABASE_URL=f"{URL}2", OPS_PORT="9000")

    assert (plan.migrate_conninfo, plan.ops_ports) == (f"{URL}2", (9000, 9001))


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    result = call(URL, "up", "--port", port)

    assert (result.exit_code, "Invalid value for '--port'" in result.stderr) == (2, True)


def test_the_console_s_sockets_are_closed_at_the_end_and_busy_ports_refuse_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[bool] = []
    with socket.socket() as listener:
        monkeypatch.setattr("consumer.cli.console.listen_beside", lambda _: [listener])
        monkeypatch.setattr(up, "run", lambda work: ran.append(work.args[0].console_sockets == [listener]))
        monkeypatch.setattr(up, "_port_problems", lambda _: ["PORT is in use."])
        refused = call(URL, "up")
        assert (refused.exit_code, refused.stderr, ran) == (2, "Error: PORT is in use.\n", [])

        monkeypatch.setattr(up, "_port_problems", lambda _: [])
        call(URL, "up")
        assert (ran, listener.fileno()) == ([True], -1)
