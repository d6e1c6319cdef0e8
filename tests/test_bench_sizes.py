"""The sizes of rows: how much tables grew, what a year takes, and how many connections a process holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from bench import sizes
from bench.events import updates
from bench.support import database
from consumer.outbox.storage import Delivery
from consumer.postgres import migrations
from tests.support.benches import Ticking, autocommitting, call_main, kept_runners, silent
from tests.support.names import own

EACH = {
    "user: profile and mirror": 1e9,
    "team: membership": 1e8,
    "update: stored delivery": 1e7,
    "sign-in: stored delivery": 1e6,
    "update: audit row": 1e5,
    "sign-in: audit row": 1e4,
    "team: stored delivery": 1e12,
}


def test_tables_have_grown_since_they_were_last_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"a": (10, 1000), "b": (5, 300), "c": (7, 70)}
    monkeypatch.setattr(sizes.Tables, "_size", lambda _, name: now[name])
    tables = sizes.Tables("url")

    assert tables.grown(["a", "b"]) == (10, 1300)
    now |= {"a": (16, 1500), "b": (50, 400)}
    assert tables.grown(["a", "b"]) == (6, 600)
    assert tables.grown(["a", "b"]) == (0, 0)
    # Each table for itself.
    assert tables.grown(["c", "a"]) == (7, 70)
    now["b"] = (51, 410)
    assert tables.grown(["b"]) == (1, 10)


def test_a_size_is_of_the_table_with_its_indexes(server_url: str) -> None:
    with database(server_url, own("bench_sized")) as url, psycopg.connect(url, autocommit=True) as conn:
        conn.execute("CREATE TABLE public.sized (n int PRIMARY KEY)")
        conn.execute("INSERT INTO public.sized SELECT generate_series(1, 300)")
        [(whole,)] = conn.execute("SELECT pg_total_relation_size('public.sized')").fetchall()

        assert sizes.Tables(url).grown(["public.sized"]) == (300, whole)


def test_an_installation_takes_its_rows_and_a_year_of_log_and_audit() -> None:
    row = sizes.installation(1000, EACH, {"updates": 2, "sign-ins": 3, "teams": 4})

    assert row == {
        "users": 1000,
        "deliveries a second, mean": pytest.approx(5000 / (365 * 24 * 3600)),
        "rows GB": pytest.approx(1400),
        "log GB a year": pytest.approx(23),
        "audit GB a year": pytest.approx(0.23),
    }


def test_a_process_holds_the_fewest_connections_that_were_ever_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Ticking()
    started: list[Any] = []
    counts = iter([5, 4, 6, *[5] * 7])
    conn = SimpleNamespace(execute=lambda _: [(next(counts),)])
    monkeypatch.setattr(sizes, "time", clock)
    monkeypatch.setattr(sizes, "psycopg", SimpleNamespace(connect=autocommitting(conn)))

    @contextmanager
    def running(*given: Any) -> Iterator[None]:
        started.append(given)
        yield

    monkeypatch.setattr(sizes, "running", running)

    assert sizes.connections("url", "serve") == 4
    assert clock.slept == [0.1] * 10
    assert started[0][:2] == ("serve", "url")
    assert len(started[0][2]) == 24


def test_a_user_is_created_updated_signed_in_once_and_joins_one_team(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each phase the tables are packed and asked."""
    what: list[Any] = []
    applied: list[tuple[list[Delivery], int]] = []

    class Tables:
        def __init__(self, url: str) -> None:
            assert url == "url"

        def grown(self, names: Any) -> tuple[int, int]:
            what.append(tuple(names))
            return 4, 10 * len(what)

    async def apply(url: str, deliveries: list[Delivery], finished: int) -> None:
        what.append(len(deliveries))
        applied.append((list(deliveries), finished))

    monkeypatch.setattr(sizes, "migrations", SimpleNamespace(apply=lambda *given: what.append(given)))
    monkeypatch.setattr(sizes, "Tables", Tables)
    monkeypatch.setattr(sizes, "_vacuum", lambda _, statement: what.append(statement))
    monkeypatch.setattr(sizes, "_apply", apply)

    found = sizes.measure("url", 45)

    log = ("consumer.outbox", "consumer.outcomes")
    user = ("identity.profiles", "identity.stack_user_profiles")
    member = ("identity.company_members", "consumer.memberships")
    audit = ("identity.profile_audit",)
    assert what == [
        *(("url", "consumer"), "VACUUM FULL", log, user, audit, 90, log, user, audit),
        *("VACUUM FULL", log, audit, 45, log, audit, "VACUUM FULL", log, member, 45, log, member),
    ]
    assert found["update: stored delivery"] == (4, 70 / 4)
    assert found["team: membership"] == (4, 210 / 4)
    (lives, _), (sign_ins, _), (joins, _) = applied
    users = [delivery.user_id for delivery in lives[:45]]
    assert lives == updates(90)
    assert [finished for _, finished in applied] == [0, 90, 135]
    assert [delivery.user_id for delivery in sign_ins] == [delivery.user_id for delivery in joins] == users
    assert {each.event_type for each in sign_ins} == {"user.signed_in"}
    assert {each.event_type for each in joins} == {"team_membership.created"}
    numbers = [int(each.message_id.removeprefix("msg_")) for each in (*lives, *sign_ins, *joins)]
    assert numbers == [*range(90 + 45 + 45)]
    # Twenty to a team.
    assert [each.team_id.int for each in joins if each.team_id] == [*[1] * 20, *[2] * 20, *[3] * 5]


async def test_deliveries_are_applied_and_their_tables_packed(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runners = kept_runners(monkeypatch, sizes)
    with database(server_url, own("bench_sizes")) as url:
        migrations.apply(url, "consumer")
        await sizes._apply(url, updates(20), 0)
        others = [delivery._replace(message_id=f"{delivery.message_id}x") for delivery in updates(20)]
        with pytest.raises(SystemExit, match="20 deliveries were put, 19 finished"):
            await sizes._apply(url, others, 21)
        with psycopg.connect(url) as conn:
            [(seen,)] = conn.execute(
                "SELECT relallvisible FROM pg_class WHERE oid = 'consumer.outcomes'::regclass"
            ).fetchall()

    assert seen > 0
    assert runners == [{"attempts_max": 12}] * 2


@pytest.mark.parametrize("is_json", [True, False])
def test_sizes_are_printed_with_the_installations(monkeypatch: pytest.MonkeyPatch, is_json: bool) -> None:
    shown, asked = silent(monkeypatch, sizes), list[Any]()

    def measure(url: str, users: int) -> dict[str, tuple[int, float]]:
        asked.append((url, users))
        return {kind: (users, size) for kind, size in EACH.items()}

    monkeypatch.setattr(sizes, "measure", measure)
    monkeypatch.setattr(sizes, "connections", lambda _, name: {"serve": 7, "work": 2}[name])

    call_main(monkeypatch, sizes, "--teams=5", *(["--json", "--users=30"] if is_json else []))

    users = 30 if is_json else 20_000
    held = {"connections of `consumer serve`": 7, "connections of `consumer work`": 2}
    year = {"updates": 12, "sign-ins": 120, "teams": 5}
    installations = [sizes.installation(count, EACH, year) for count in (80_000, 1_000_000, 10_000_000)]
    rows = [{"what": kind, "measured": users, "bytes each": size} for kind, size in EACH.items()]
    assert asked == [("postgresql://the-server/sizes", users)]
    assert shown.progress == [f"{users:,} users"]
    if is_json:
        assert (shown.titles, shown.rows, shown.as_json) == (["Sizes"], [rows], [True])
        assert shown.facts == [{"installations": installations, **held}]
    else:
        assert shown.titles == ["A row with its indexes", "Installations"]
        assert (shown.rows, shown.as_json) == ([rows, installations], [False, False])
        assert shown.facts == [held, {f"{name} a user and year": count for name, count in year.items()}]
