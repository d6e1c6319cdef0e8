"""The ops ports of `consumer up`: two groups on one machine never take each other's."""

import json
import random
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from consumer.process.ops_port import OPS_PORTS
from tests.support.processes import Running, invoke, on, running, until

# Nobody answers there, so that the groups wait for their database.
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
GROUPS = 4


@pytest.fixture
def address() -> str:
    """An address on which nobody else listens, with all the ports of the list free."""
    return f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"


def ops_ports(group: Running) -> list[int]:
    """Return the ports that a group's log names."""
    lines = re.findall(r'\{.*"event":"ops_started".*\}', group.text)
    return [json.loads(line)["port"] for line in lines]


def test_groups_that_start_together_without_ops_port_take_the_first_free_ones(address: str, tmp_path: Path) -> None:
    settings = on(NOWHERE, HOST=address, OPS_HOST=address, LOG_FORMAT="json")
    with ExitStack() as started:
        groups = [
            started.enter_context(running(tmp_path, settings, "up", "--port", str(25_000 + number)))
            for number in range(GROUPS)
        ]
        until(lambda: all(len(ops_ports(group)) == 2 for group in groups))
        stopped = [group.stop() for group in groups]

    found = sorted(port for group in groups for port in ops_ports(group))
    assert (found, stopped) == (list(OPS_PORTS[: 2 * GROUPS]), [0] * GROUPS)
    assert not [group.text for group in groups if "process_died" in group.text]


def test_no_process_of_a_group_takes_the_receiver_s_port_for_its_ops_port(address: str, tmp_path: Path) -> None:
    settings = on(NOWHERE, HOST=address, PORT=25_000, OPS_HOST=address, LOG_FORMAT="json")
    with running(tmp_path, settings, "up", "--port", str(OPS_PORTS[0])) as group:
        until(lambda: len(ops_ports(group)) == 2)
        assert group.stop() == 0

    assert sorted(ops_ports(group)) == list(OPS_PORTS[1:3])


def test_a_set_ops_port_wins_over_a_file_that_names_it(address: str, tmp_path: Path) -> None:
    (tmp_path / "port").write_text("25001\n")
    settings = on(NOWHERE, HOST=address, PORT=25000, OPS_HOST=address, OPS_PORT_FILE=str(tmp_path / "port"))
    with running(tmp_path, {**settings, "LOG_FORMAT": "json"}, "up") as group:
        until(lambda: sorted(ops_ports(group)) == [25001, 25002])
        assert group.stop() == 0


def test_a_set_ops_port_that_is_taken_is_refused(address: str, tmp_path: Path) -> None:
    settings = on(NOWHERE, HOST=address, PORT=25000, OPS_HOST=address, OPS_PORT=25001, LOG_FORMAT="json")
    with running(tmp_path, settings, "up") as group:
        until(lambda: len(ops_ports(group)) == 2)
        second = invoke(tmp_path, {**settings, "PORT": "25005"}, "up")

    assert (second.exit_code, "OPS_PORT 25001" in second.stderr) == (2, True)
