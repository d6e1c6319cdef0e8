"""Real processes of a release that is too old: a worker waits and goes on, a receiver works all the time."""

from pathlib import Path

import orjson

from tests.support.fence import TOO_OLD, ahead
from tests.support.processes import ask, deliver, deliveries, is_ready, on, ports, running, until


def test_a_worker_waits_while_it_is_too_old_and_goes_on_afterwards(emptied: str, tmp_path: Path) -> None:
    port, ops_port, worker_port = ports(3)
    settings = on(emptied, PORT=port, OPS_PORT=ops_port, LOG_FORMAT="json")
    with (
        running(tmp_path, settings, "serve") as receiver,
        running(tmp_path, {**settings, "OPS_PORT": str(worker_port)}, "work") as worker,
    ):
        until(lambda: is_ready(ops_port) and is_ready(worker_port))
        with ahead(emptied, 9999):
            until(lambda: not is_ready(worker_port))
            answers = [deliver(port).status for _ in range(3)]
            refused = ask(worker_port, "/readyz")
            is_receiving, is_alive = is_ready(ops_port), ask(worker_port, "/livez")[0] == 200
            stored = deliveries(emptied, "pending")
        until(lambda: deliveries(emptied, "done") == 3)
        is_back = is_ready(worker_port)
        exit_codes = worker.stop(), receiver.stop()

    lines = [orjson.loads(line) for line in worker.text.splitlines()]
    reasons = [line["reason"] for line in lines if line["event"] == "database_not_ready"]
    assert (answers, stored, is_receiving, is_alive, is_back) == ([204] * 3, 3, True, True, True)
    assert (refused[0], TOO_OLD in refused[1]) == (503, True)
    assert reasons == [TOO_OLD]
    assert [line["event"] for line in lines].count("worker_started") == 2
    assert exit_codes == (0, 0)


def test_processes_that_start_on_a_database_ahead_of_them_wait_or_receive(emptied: str, tmp_path: Path) -> None:
    port, ops_port, worker_port = ports(3)
    settings = on(emptied, PORT=port, OPS_PORT=ops_port)
    with (
        ahead(emptied, 9999),
        running(tmp_path, settings, "serve") as receiver,
        running(tmp_path, {**settings, "OPS_PORT": str(worker_port)}, "work") as worker,
        running(tmp_path, settings, "work", "--drain") as drain,
    ):
        until(lambda: is_ready(ops_port))
        status = deliver(port).status
        until(lambda: "database_not_ready" in worker.text)
        drained = drain.process.wait()
        found = ask(worker_port, "/readyz")
        exit_codes = worker.stop(), receiver.stop()

    assert (status, deliveries(emptied, "pending"), exit_codes) == (204, 1, (0, 0))
    assert (found[0], TOO_OLD in found[1]) == (503, True)
    assert (drained, f"Nothing was applied: {TOO_OLD}." in drain.text) == (1, True)
