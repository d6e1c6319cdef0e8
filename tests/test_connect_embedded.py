"""`consumer connect` beside `up` on the embedded database, where the secret is kept."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from consumer.cli import secret
from tests.support.backfills import now_is_now
from tests.support.fake_stack import FakeStack
from tests.support.processes import SECRET, invoke, is_ready, ports, running, until
from tests.support.recoveries import environment

OTHERS = ("whsec_MJu13X5JXY7WpAG3ZvfXnxlHlZESuj6H", "whsec_xt6MZqqxR0Hm1jtYk1mN9dGYqvq7vDfB")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Started by root, the server runs as another user, who has to come through.
        Path(folder).chmod(0o711)
        yield Path(folder) / "data"


@pytest.mark.slow
def test_the_secret_is_kept_where_up_finds_it_after_a_restart(data_dir: Path, tmp_path: Path, fake: FakeStack) -> None:
    now_is_now(fake)
    fake.svix.delivers = True
    port, ops_port = ports(2)
    settings = {"CONSUMER_DATA_DIR": str(data_dir), "PORT": str(port), "OPS_PORT": str(ops_port)}
    calling = {**environment(fake), "CONSUMER_DATA_DIR": str(data_dir)}
    url = f"http://127.0.0.1:{port}/webhooks/stack"

    with running(tmp_path, settings, "up") as up:
        until(lambda: is_ready(ops_port))
        own = secret.read(data_dir / "webhook-secret")
        kept = invoke(tmp_path, calling, "connect", "--url", url)
        up.stop()
    with running(tmp_path, settings, "up") as up:
        until(lambda: is_ready(ops_port))
        connected = invoke(tmp_path, calling, "connect", "--url", url)
        up.stop()

    [made] = fake.svix.endpoints.values()
    file = data_dir / "webhook-secret"
    assert (kept.exit_code, "Restart `consumer up`" in kept.stderr) == (1, True)
    assert (connected.exit_code, re.search("test event +received", connected.stdout) is not None) == (0, True)
    assert (secret.read_all(file), stat.S_IMODE(file.stat().st_mode)) == ((made.secret, own), 0o600)
    assert "whsec_" not in kept.output + connected.output


def test_a_file_keeps_the_newest_secret_and_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "secret"

    assert [secret.keep_newest(file, each) for each in (SECRET, SECRET, *OTHERS)] == [True, False, True, True]
    assert secret.read_all(file) == OTHERS[::-1]
    assert list(tmp_path.iterdir()) == [file]
