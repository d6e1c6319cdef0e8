"""The page of docs/recovery on a lost week: the endpoint is disabled, and Svix holds what nobody stored."""

from pathlib import Path

import pytest

from tests.support.backfills import held, long_ago, named, now_is_now, truth, webhook
from tests.support.cli import arrive, work
from tests.support.fake_stack import FakeStack
from tests.support.fake_stack.serving import SERVER_KEY
from tests.support.processes import is_ready, on, ports, running, until
from tests.support.recoveries import environment
from tests.support.recovery import drill


@pytest.mark.slow
def test_lost_week(emptied: str, fake: FakeStack, tmp_path: Path) -> None:
    long_ago(fake)
    ada, bob, *_ = named(fake, 3)
    arrive(emptied, *map(webhook, fake.project.events))
    work(emptied)
    (port,) = ports(1)
    address = f"http://127.0.0.1:{port}/webhooks/stack"
    endpoint = fake.svix.add_endpoint(address, fake.project.now, disabled=True)
    fake.svix.delivers = True
    fake.project.update_user(ada, display_name="Changed")
    fake.project.delete_user(bob)
    fake.project.create_team(creator=ada)
    named(fake, 2)
    now_is_now(fake)
    settings = environment(fake, STACK_WEBHOOK_SECRETS=endpoint.secret, STACK_SECRET_SERVER_KEY=SERVER_KEY)
    page = drill(emptied, "lost-week", tmp_path, settings, RECEIVER_URL=address, SINCE="7d")

    codes: dict[str, int] = {}
    with running(tmp_path, on(emptied, PORT=port, OPS_PORT="off", STACK_WEBHOOK_SECRETS=endpoint.secret), "serve"):
        until(lambda: is_ready(port))
        for line, result in page.run():
            codes[line] = result.exit_code
            work(emptied)

    checked, *others = codes.values()
    assert (checked, set(others)) == (1, {0})
    assert page.codes("Done when") == [0, 0]
    assert held(emptied) == truth(fake)
