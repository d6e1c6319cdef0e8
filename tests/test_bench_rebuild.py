"""The bench of a rebuild: rates beside the drain, and no figure when another row is shown than before."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from bench import rebuild
from bench.checks import FalseFigure
from bench.drainers import ACCESS
from bench.events import fill, updates
from bench.rebuild import Way
from bench.support import database
from consumer.events.registry import EVENT_TYPES
from consumer.metrics import Metrics
from consumer.postgres import migrations
from consumer.postgres.connections import Connection, connect, enter
from consumer.worker.batch import BatchRunner, drain
from tests.support.benches import Ticking, call_main, kept_runners, silent
from tests.support.databases import rows
from tests.support.names import own

EVENTS = updates(20)


@pytest.fixture
def migrated(server_url: str) -> Any:
    with database(server_url, own("bench_rebuild")) as url:
        migrations.apply(url, "consumer")
        yield url


def clocks(monkeypatch: pytest.MonkeyPatch, *seconds: float, megabytes: Sequence[float] = ()) -> None:
    readings = [reading for number, took in enumerate(seconds) for reading in (100.0 * number, 100.0 * number + took)]
    monkeypatch.setattr(rebuild, "time", Ticking(*readings))
    memory = iter([value for grown in megabytes for value in (10 * 2**20, (10 + grown) * 2**20)])
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=next(memory)))
    monkeypatch.setattr(rebuild, "psutil", SimpleNamespace(Process=lambda: process))


async def test_a_rebuild_s_rate_is_compared_with_the_drain_of_the_same_events(
    migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, runners = silent(monkeypatch, rebuild), kept_runners(monkeypatch, rebuild)
    clocks(monkeypatch, 2, 4, 1, 5, megabytes=(1, 0, 3))

    found = await rebuild._all(migrated, "users", EVENTS)

    names = ("drain", "rebuild, nothing differs", "check", "rebuild, all lost")
    assert found == [
        {"measure": f"users: {name}", "deliveries/s": rate, "of the drain": rate / 10, "RSS growth MB": growth}
        for name, rate, growth in zip(names, (10, 5, 20, 4), (0, 1, 0, 3), strict=True)
    ]
    assert shown.progress == [f"users: {name}" for name in names[1:]]
    assert runners == [{"attempts_max": 12}]
    assert rows(migrated, "SELECT count(*) FROM identity.profiles") == [{"count": 10}]


async def test_what_a_way_finds_was_done_to_the_tables_before(migrated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    silent(monkeypatch, rebuild)
    clocks(monkeypatch, 1, 1, megabytes=(0,))
    left: list[Any] = []

    async def look(conn: Connection) -> int:
        left.extend(rows(migrated, "SELECT count(*) FROM identity.profiles"))
        return await rebuild._rebuild(conn)

    monkeypatch.setattr(rebuild, "WAYS", (Way("lost", look, rebuild.LOST),))

    assert len(await rebuild._all(migrated, "users", EVENTS)) == 2
    assert left == [{"count": 0}]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            "DELETE FROM identity.profiles WHERE full_name = 'User 19'",
            "users, x: other profiles are shown than",
        ),
        ("UPDATE identity.stack_user_profiles SET stack_display_name = 'x'", ": a rebuild would change "),
    ],
)
async def test_a_way_that_does_not_mend_the_tables_is_no_figure(
    migrated: str, monkeypatch: pytest.MonkeyPatch, damage: str, told: str
) -> None:
    silent(monkeypatch, rebuild)
    clocks(monkeypatch, 1, 1, megabytes=(0,))

    async def nothing(_: Connection) -> int:
        return 0

    replica = "SET session_replication_role = replica; "
    monkeypatch.setattr(rebuild, "WAYS", (Way("x", nothing, replica + damage),))

    with pytest.raises(FalseFigure) as refused:
        await rebuild._all(migrated, "users", EVENTS)

    assert told in str(refused.value)


async def test_a_rebuild_counts_all_pages_of_all_who_were_queued(
    migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[Any] = [SimpleNamespace(done=3), SimpleNamespace(done=4), None]

    async def page(conn: Connection, access: Any, *, projection_sql: str | None) -> Any:
        assert (access, projection_sql) == (ACCESS, None)
        return pages.pop(0)

    async with await connect(migrated, ACCESS) as conn:
        await fill(migrated, EVENTS, 0)
        await enter(conn, ACCESS)
        await drain(conn, BatchRunner(ACCESS, Metrics(EVENT_TYPES), attempts_max=12))
        assert await rebuild._check(conn) == 10
        assert await rebuild._rebuild(conn) == 10
        monkeypatch.setattr(rebuild, "rebuild_page", page)
        assert await rebuild._rebuild(conn) == 7

    assert rows(migrated, "SELECT count(*) FROM consumer.rebuild") == [{"count": 10}]


async def test_a_drain_that_left_a_delivery_is_no_figure(migrated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    silent(monkeypatch, rebuild)

    async def nothing(*_: object) -> int:
        return 0

    monkeypatch.setattr(rebuild, "drain", nothing)

    with pytest.raises(FalseFigure, match=r"^No figure for users: 20 deliveries were put, 0 finished"):
        await rebuild._all(migrated, "users", EVENTS)


def test_users_and_the_mix_are_rebuilt_each_in_a_new_database(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, asked = silent(monkeypatch, rebuild), list[Any]()

    async def everyone(url: str, name: str, deliveries: Sequence[Any]) -> list[dict[str, object]]:
        asked.append((url, name, deliveries))
        return [{"measure": name}]

    monkeypatch.setattr(rebuild, "_all", everyone)
    monkeypatch.setattr(rebuild, "updates", lambda count: f"updates {count}")
    monkeypatch.setattr(rebuild, "everything", lambda count: f"mix {count}")
    monkeypatch.setattr(rebuild, "migrations", SimpleNamespace(apply=lambda *given: asked.append(given)))

    call_main(monkeypatch, rebuild, "--json")

    url = "postgresql://the-server/rebuild"
    users, mix = (url, "users", "updates 40000"), (url, "everything", "mix 40000")
    assert asked == [(url, "consumer"), users, (url, "consumer"), mix]
    assert shown.databases == [("postgresql://the-server", "rebuild")] * 2
    assert (shown.titles, shown.rows, shown.facts, shown.as_json) == (
        ["Rebuild"],
        [[{"measure": "users"}, {"measure": "everything"}]],
        [{}],
        [True],
    )
