"""Real clients that offer h2c in each request over plain HTTP, as they come."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumer.providers.standard_webhooks import sign
from consumer.simulator.sender import new_message_id
from tests.support.databases import rows
from tests.support.processes import APP_SECRET, HOST, SECRET, is_ready, on, ports, running, until
from tests.support.web import BODY

SEND_JAVA = Path(__file__).parent / "data" / "clients" / "Send.java"
# A JDK compiles the file first.
CLIENT_SECONDS = 60


@pytest.fixture
def port(database_url: str, emptied: str, tmp_path: Path) -> Iterator[int]:
    (port,) = ports(1)
    with running(tmp_path, on(database_url, PORT=port, OPS_PORT="off"), "serve"):
        until(lambda: is_ready(port))
        yield port


def ran(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_SECONDS, check=True).stdout


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("chunked", [[], ["-H", "transfer-encoding: chunked"]], ids=["length", "chunked"])
def test_curl_delivers_twice_over_one_connection(chunked: list[str], port: int, emptied: str) -> None:
    url = f"http://{HOST}:{port}/webhooks/stack"
    requests: list[str] = []
    for _ in range(2):
        now = datetime.now(UTC)
        headers = [f"{name}: {value}" for name, value in sign(SECRET, new_message_id(now), now, BODY).items()]
        options = [option for header in headers for option in ("-H", header)]
        facts = ["-w", "%{http_code} %{num_connects}\n"]
        requests += ["--next", "-s", "--http2", *options, *chunked, "--data-binary", BODY.decode(), *facts, url]

    assert ran("curl", *requests[1:]) == "204 1\n204 0\n"
    assert len(rows(emptied, "SELECT seq FROM consumer.outbox")) == 2


@pytest.mark.skipif(not shutil.which("java"), reason="no JDK is installed")
def test_the_client_of_the_jdk_delivers_as_it_comes(port: int, emptied: str) -> None:
    answer = ran("java", str(SEND_JAVA), f"http://{HOST}:{port}/webhooks/app", APP_SECRET)

    # No worker runs, so that the profile is not there within the 3 s that it waits.
    assert answer.startswith("HTTP_1_1 202 ")
    assert len(rows(emptied, "SELECT seq FROM consumer.outbox")) == 1
