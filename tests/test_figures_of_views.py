"""The figures of the views, over a few rows whose times are just inside and just outside of each limit."""

from typing import Any
from uuid import UUID

import psycopg
import pytest

STATS = "SELECT pending, retrying, dead, done, oldest_due_seconds, received_last_minute, applied_last_minute FROM "
OUTBOX = "INSERT INTO consumer.outbox (source, message_id, occurred_at, received_at, body) VALUES "


def ids(*numbers: int) -> list[UUID]:
    return [UUID(int=number) for number in numbers]


@pytest.fixture(params=["consumer", "consumer_masked"])
def stats(request: pytest.FixtureRequest) -> str:
    return f"{STATS}{request.param}.queue_stats"


def figures(url: str, stats: str, *statements: str) -> tuple[Any, ...]:
    """Return the figures after some statements, all in one transaction, which has one time."""
    with psycopg.connect(url) as conn:
        for statement in statements:
            conn.execute(statement.encode())
        [row] = conn.execute(stats.encode()).fetchall()
        conn.rollback()
        return tuple(row)


def test_an_empty_queue_has_no_figures(emptied: str, stats: str) -> None:
    assert figures(emptied, stats) == (0, 0, 0, 0, 0.0, 0, 0)


def test_each_state_is_counted_from_its_own_tables(emptied: str, stats: str) -> None:
    found = figures(
        emptied,
        stats,
        "INSERT INTO consumer.pending (seq) VALUES (1)",
        "INSERT INTO consumer.rehome (company_id, seq, due_at) SELECT gen_random_uuid(), 1, 'infinity' FROM "
        "generate_series(1, 10)",
        "INSERT INTO consumer.rebuild (stage, id) SELECT 1, gen_random_uuid() FROM generate_series(1, 100)",
        "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error) "
        "SELECT n, CASE WHEN n <= 3 THEN 'retrying' ELSE 'dead' END, 1, CASE WHEN n <= 3 THEN 'infinity'::timestamptz "
        "END, '', '' FROM generate_series(1, 8) AS n",
        "INSERT INTO consumer.outcomes (seq, outcome, at) SELECT n, 'applied', now() - interval '1 day' "
        "FROM generate_series(1, 7) AS n",
    )

    assert found == (111, 3, 5, 7, 0.0, 0, 0)


@pytest.mark.parametrize("seconds", [(100, 200, 300), (300, 100, 200), (200, 300, 100)])
def test_the_oldest_due_is_the_oldest_of_all_kinds(emptied: str, stats: str, seconds: tuple[int, int, int]) -> None:
    pending, retry, rehome = seconds
    found = figures(
        emptied,
        stats,
        f"{OUTBOX} ('app', 'a', now(), now() - interval '{pending} seconds', ''), ('app', 'b', now(), now(), '')",
        "INSERT INTO consumer.pending (seq) SELECT seq FROM consumer.outbox",
        "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error) VALUES "
        f"(1, 'retrying', 1, now() - interval '{retry} seconds', '', ''), (2, 'retrying', 1, now(), '', ''), "
        "(3, 'retrying', 1, now() + interval '1 hour', '', ''), (4, 'dead', 1, NULL, '', '')",
        "INSERT INTO consumer.rehome (company_id, seq, due_at) VALUES "
        f"(gen_random_uuid(), 1, now() - interval '{rehome} seconds'), (gen_random_uuid(), 1, now()), "
        "(gen_random_uuid(), 1, now() + interval '1 hour')",
    )

    assert found[4] == 300.0


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error) VALUES "
        "(1, 'retrying', 1, now() + interval '1 hour', '', '')",
        "INSERT INTO consumer.rehome (company_id, seq, due_at) "
        "VALUES (gen_random_uuid(), 1, now() + interval '1 hour')",
    ],
)
def test_what_is_due_later_is_not_due(emptied: str, stats: str, statement: str) -> None:
    assert figures(emptied, stats, statement)[4] == 0.0


def test_the_last_minute_does_not_hold_its_first_instant(emptied: str, stats: str) -> None:
    times = ("now() - interval '1 minute'", "now() - interval '59.999999 seconds'", "now() - interval '50 seconds'")
    outcomes = ("applied", "unchanged", "stale", "ignored", "discarded")
    found = figures(
        emptied,
        stats,
        OUTBOX + ", ".join(f"('app', '{place}', now(), {time}, '')" for place, time in enumerate(times)),
        "INSERT INTO consumer.outcomes (seq, outcome, at) VALUES "
        + ", ".join(
            f"({10 * kind + place}, '{outcome}', {time})"
            for kind, outcome in enumerate(outcomes)
            for place, time in enumerate(times)
        ),
    )

    assert found[5:] == (2, 8)


def test_each_delivery_is_in_the_state_of_the_table_that_holds_it(emptied: str) -> None:
    with psycopg.connect(emptied) as conn:
        names = ("pending", "retrying", "dead", "done", "excluded", "nowhere")
        seqs = {
            name: conn.execute(f"{OUTBOX} ('app', '{name}', now(), now(), '') RETURNING seq".encode()).fetchall()[0][0]
            for name in names
        }
        for statement in (
            f"INSERT INTO consumer.pending (seq) VALUES ({seqs['pending']})",
            "INSERT INTO consumer.failures (seq, state, attempts, next_attempt_at, error_code, error) VALUES "
            f"({seqs['retrying']}, 'retrying', 3, now() + interval '1 hour', 'c1', 'e1'), "
            f"({seqs['dead']}, 'dead', 9, NULL, 'c2', 'e2')",
            "INSERT INTO consumer.outcomes (seq, outcome) VALUES "
            f"({seqs['done']}, 'stale'), ({seqs['excluded']}, 'discarded')",
            f"INSERT INTO consumer.exclusions (seq, excluded_by, reason) VALUES ({seqs['excluded']}, 'ada', 'forged')",
        ):
            conn.execute(statement.encode())
        found = conn.execute(
            "SELECT message_id, state, attempts, extract(EPOCH FROM next_attempt_at - now())::int, outcome, "
            "error_code, error FROM consumer.deliveries ORDER BY seq"
        ).fetchall()
        conn.rollback()

    assert found == [
        ("pending", "pending", 0, 0, None, None, None),
        ("retrying", "retrying", 3, 3600, None, "c1", "e1"),
        ("dead", "dead", 9, None, None, "c2", "e2"),
        ("done", "done", 0, None, "stale", None, None),
        ("excluded", "done", 0, None, "discarded", None, "forged"),
    ]


def test_a_company_counts_exactly(emptied: str) -> None:
    company, empty, ended, *users = ids(1, 2, 3, *range(11, 18))
    with psycopg.connect(emptied) as conn:
        conn.execute(
            "INSERT INTO identity.companies (id, name, deleted_at) "
            "VALUES (%s, 'A', NULL), (%s, 'B', NULL), (%s, 'C', now())",
            [company, empty, ended],
        )
        for place, user in enumerate(users):
            conn.execute(
                "INSERT INTO identity.profiles (user_id, company_id, full_name, role_type, department, created_at, "
                "updated_at, deleted_at) VALUES (%s, %s, 'N', '', '', %s, %s, %s)",
                [
                    *(user, ended if place == 6 else company, f"2026-11-0{place + 1}", f"2026-12-0{place + 1}"),
                    "2026-12-31" if place == 5 else None,
                ],
            )
        # Rank 1 is Stack's own; the fourth is the application's, the fifth has no row.
        for user, version, count in zip(
            users, ("1", "1a", "12026", "0a", None, "1a"), (1, 1, 2, 9, None, 9), strict=False
        ):
            if version:
                conn.execute(
                    "INSERT INTO identity.stack_user_profiles (stack_user_id, version, message_id, sync_version) "
                    "VALUES (%s, %s, 'm', %s)",
                    [user, version, count],
                )
        found = conn.execute(
            "SELECT company_id, company_name, total_profiles, synced_profiles, sync_percentage::text, "
            "first_profile_created::date::text, last_profile_updated::date::text, avg_sync_version::text "
            "FROM identity.stack_integration_stats ORDER BY company_id"
        ).fetchall()
        conn.rollback()

    assert found == [
        (company, "A", 5, 3, "60.00", "2026-11-01", "2026-12-05", "1.33"),
        (empty, "B", 0, 0, None, None, None, None),
    ]


@pytest.fixture
def scanned(emptied: str) -> Any:
    """A transaction with a user for each case: the hours since the profile was made and since Stack's last snapshot."""
    with psycopg.connect(emptied) as conn:
        yield conn
        conn.rollback()


def add(conn: psycopg.Connection[Any], number: int, made: float, snapshot: float | None, version: str = "1a") -> None:
    conn.execute(
        "INSERT INTO identity.profiles (user_id, full_name, role_type, department, created_at) "
        "VALUES (%s, 'N', '', '', now() - %s * interval '1 hour')",
        [UUID(int=number), made],
    )
    if snapshot is not None:
        conn.execute(
            "INSERT INTO identity.stack_user_profiles (stack_user_id, version, message_id, occurred_at) "
            "VALUES (%s, %s, 'm', now() - %s * interval '1 hour')",
            [UUID(int=number), version, snapshot],
        )


def run(conn: psycopg.Connection[Any], hours: float, *, is_finished: bool = True) -> Any:
    [(run_id,)] = conn.execute(
        "INSERT INTO consumer.runs (id, kind, project_id, stage, begun_at, finished_at) VALUES (gen_random_uuid(), "
        "'reconcile', 'p', 'users', now() - %s * interval '1 hour', CASE WHEN %s THEN now() END) RETURNING id",
        [hours, is_finished],
    ).fetchall()
    if not is_finished:
        conn.execute("UPDATE consumer.runs SET abandoned_at = now() WHERE id = %s", [run_id])
    return run_id


def suspect(conn: psycopg.Connection[Any], run_id: Any, number: int, kind: str, team: int | None = None) -> None:
    conn.execute(
        "INSERT INTO consumer.suspects (run_id, kind, user_id, team_id) VALUES (%s, %s, %s, %s)",
        [run_id, kind, UUID(int=number), UUID(int=team) if team else None],
    )


def needing(conn: psycopg.Connection[Any]) -> dict[int, float | None]:
    """Return who needs a snapshot, and the hours since the last."""
    found = conn.execute("SELECT user_id, hours_since_sync FROM identity.profiles_needing_sync").fetchall()
    return {user_id.int: hours for user_id, hours in found}


def test_a_scan_confirms_each_user_that_it_could_list_and_did(scanned: psycopg.Connection[Any]) -> None:
    older, newest = run(scanned, 20), run(scanned, 10)
    later = run(scanned, 1, is_finished=False)
    for number, made, snapshot in [
        *((1, 40, 40), (2, 40, 40), (3, 40, 40), (4, 40, 40), (5, 40, 40), (6, 40, 40)),
        *((7, 5, 40), (8, 40, 5), (9, 10, 40), (10, 40, 10)),
    ]:
        add(scanned, number, made, snapshot)
    suspect(scanned, newest, 2, "undeleted_user")
    suspect(scanned, newest, 3, "undeleted_user", 1)
    suspect(scanned, newest, 4, "listed_user")
    suspect(scanned, older, 5, "undeleted_user")
    suspect(scanned, later, 6, "undeleted_user")

    [(at,)] = scanned.execute("SELECT now() - identity.last_scan_at() = interval '10 hours'").fetchall()
    unconfirmed = scanned.execute("SELECT identity.unconfirmed_users(%s)", [ids(1, 2, 3, 4, 5, 6)]).fetchall()
    others = scanned.execute("SELECT identity.unconfirmed_users(%s)", [ids(1, 3)]).fetchall()

    assert at is True
    assert unconfirmed == [(UUID(int=2),)]
    assert others == []
    # 7 was made, and 9 at the beginning of the scan: it says nothing of them.
    assert needing(scanned) == {2: 40.0, 7: 40.0, 9: 40.0}


@pytest.mark.parametrize("age", [24, 24.001])
def test_a_confirmation_is_good_for_24_hours(scanned: psycopg.Connection[Any], age: float) -> None:
    run(scanned, age)
    add(scanned, 1, 40, 40)
    add(scanned, 2, 40, None)
    add(scanned, 3, 40, 40, "0a")
    add(scanned, 4, 40, 40, "1")
    add(scanned, 5, 40, 40)
    scanned.execute("UPDATE identity.profiles SET deleted_at = now() WHERE user_id = %s", ids(5))

    unknown: dict[int, float | None] = {2: None, 3: None}
    found = needing(scanned)
    assert found == unknown | ({} if age == 24 else {1: pytest.approx(age), 4: pytest.approx(age)})


@pytest.mark.parametrize("source", ["backfill", "reconcile", "stack", "app", "operator", "scan", "open run"])
def test_without_an_api_key_nobody_is_too_old(scanned: psycopg.Connection[Any], source: str) -> None:
    """Only a key can confirm: it was used if it brought a delivery, or ended a scan."""
    add(scanned, 1, 40, 40)
    if source == "scan":
        run(scanned, 39)
    elif source == "open run":
        run(scanned, 39, is_finished=False)
    else:
        scanned.execute(f"{OUTBOX} ('{source}', 'm', now(), now(), '')".encode())

    has_key = source in ("backfill", "reconcile")
    assert scanned.execute("SELECT identity.has_api_key()").fetchall() == [(has_key,)]
    assert needing(scanned) == ({1: 39.0 if source == "scan" else 40.0} if has_key or source == "scan" else {})
