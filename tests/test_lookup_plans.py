"""A page of any filter reads a page, or at most the rows of one look; and only the masked views, as a viewer may."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest

from consumer.lookup import id_prefixes, listing
from consumer.lookup.listing import NEWEST, ListFilter
from consumer.postgres import migrations
from consumer.postgres.connections import connect, operator_access, transaction
from consumer.postgres.queries import query, sql_root
from tests.support.databases import scratch_database
from tests.support.plans import nodes, rows_read

pytestmark = pytest.mark.slow

ROWS = 60_000
SIZE = 50
# Every tenth delivery is dead, and a hundredth of the users has a team.
FILL = """
    INSERT INTO consumer.outbox (source, message_id, event_type, user_id, team_id, occurred_at, body)
    SELECT
        CASE WHEN n = 7 THEN 'operator' WHEN n % 3 = 0 THEN 'app' ELSE 'stack' END,
        'msg_' || lpad(n::text, 27, '0'),
        CASE WHEN n = 7 THEN 'user.erased' ELSE 'user.updated' END,
        md5('user' || n % 20000)::uuid,
        CASE WHEN n % 100 = 0 THEN md5('team' || n % 1000)::uuid END,
        now(),
        'x'
    FROM generate_series(1, 60000) AS n;
    INSERT INTO consumer.failures (seq, state, attempts, error_code, error, source, event_type)
    SELECT seq, 'dead', 0, CASE WHEN seq < 50 THEN 'rare' ELSE '23514' END, 'x', source, event_type
    FROM consumer.outbox WHERE seq % 10 = 0;
    INSERT INTO consumer.outcomes (seq, outcome)
    SELECT seq, 'applied' FROM consumer.outbox WHERE seq % 10 > 0;
    INSERT INTO identity.profile_audit (user_id, operation, changed_fields, source, message_id, seq)
    SELECT user_id, 'updated', '{email}', source, message_id, seq FROM consumer.outbox;
    INSERT INTO identity.stack_user_profiles (stack_user_id, stack_primary_email)
    SELECT md5('user' || n)::uuid, 'User' || n || '@example.com' FROM generate_series(1, 20000) AS n;
"""
USER = UUID("81dc9bdb-52d0-4dc2-8036-dbd8313ed055")


@pytest.fixture(scope="module")
def crowded(server_url: str) -> Iterator[str]:
    """Sixty thousand deliveries about twenty thousand users, each with an audit row."""
    with scratch_database(server_url, "looked_up") as url:
        migrations.apply(url, "consumer")
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(FILL)
            conn.execute("VACUUM ANALYZE")
        yield url


def read_rows(
    url: str, name: str, values: Mapping[str, object], *, role: LiteralString = "consumer_viewer"
) -> tuple[int, set[str]]:
    """Return the most rows that a step of the plan read under a role, and the indexes."""
    with psycopg.connect(url) as conn:
        conn.execute(f"SET LOCAL ROLE {role}")
        [(plan,)] = conn.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + query(name), values).fetchall()
    found = nodes(plan[0]["Plan"])
    return int(max(map(rows_read, found))), {node["Index Name"] for node in found if "Index Name" in node}


def page_values(wanted: ListFilter, *, floor: int = 0) -> dict[str, object]:
    return {**wanted.values(), "before": NEWEST, "floor": floor, "size": SIZE}


def user(url: str, number: int = 1) -> UUID:
    with psycopg.connect(url) as conn:
        [(found,)] = conn.execute("SELECT md5('user' || %s::text)::uuid", [number]).fetchall()
    assert isinstance(found, UUID)
    return found


@pytest.mark.parametrize(
    ("wanted", "rows_max"),
    [
        pytest.param(ListFilter(), 3 * SIZE, id="newest"),
        pytest.param(ListFilter(states=["dead"]), 12 * SIZE, id="dead"),
        pytest.param(ListFilter(states=["done"]), 3 * SIZE, id="done"),
        pytest.param(ListFilter(source="app"), 5 * SIZE, id="source"),
        pytest.param(ListFilter(event_type="user.*"), 3 * SIZE, id="type"),
        pytest.param(ListFilter(states=["dead"], error_code="rare"), ROWS // 10, id="rare error"),
    ],
)
def test_a_page_reads_hardly_more_than_it_shows(crowded: str, wanted: ListFilter, rows_max: int) -> None:
    assert read_rows(crowded, "listing/page", page_values(wanted))[0] <= rows_max


@pytest.mark.parametrize("kind", ["user", "team"])
def test_the_deliveries_about_somebody_are_found_by_their_index(crowded: str, kind: str) -> None:
    with psycopg.connect(crowded) as conn:
        [(team_id,)] = conn.execute("SELECT md5('team' || 500)::uuid").fetchall()
    subject = {"user_id": user(crowded), "team_id": None} if kind == "user" else {"user_id": None, "team_id": team_id}

    read, indexes = read_rows(crowded, "listing/about", {**subject, "size": listing.ABOUT_MAX + 1})

    assert indexes == {f"outbox_{kind}_id"}
    assert read == (3 if kind == "user" else 60)


@pytest.mark.parametrize("name", ["listing/page", "one_delivery/neighbours"])
def test_a_search_by_number_uses_no_other_index_however_rare_the_team_seems(crowded: str, name: str) -> None:
    """Of a team that has grown since the last ANALYZE the index leads to more rows than the numbers do."""
    with psycopg.connect(crowded) as conn:
        [(team_id,)] = conn.execute("SELECT md5('team' || 500)::uuid").fetchall()
    subject = {"seq": 4711, "user_id": None, "window": 1_000}

    _, indexes = read_rows(crowded, name, {**page_values(ListFilter(team_id=team_id)), **subject})

    assert "outbox_team_id" not in indexes


def test_those_that_are_chosen_are_read_by_their_numbers(crowded: str) -> None:
    values = {**ListFilter(event_type="user.*").values(), "seqs": list(range(1, 50_001, 50)), "size": SIZE}

    assert read_rows(crowded, "listing/chosen", values)[0] <= listing.CHOSEN_MAX


def test_a_filter_that_matches_nothing_reads_no_more_than_one_look(crowded: str) -> None:
    """Each number is one row of the log and one of its queue."""
    look = 5_000
    with psycopg.connect(crowded) as conn:
        [(last,)] = conn.execute("SELECT max(seq) FROM consumer.outbox").fetchall()

    for wanted in (ListFilter(event_type="none"), ListFilter(outcome="stale"), ListFilter(source="operator")):
        read, _ = read_rows(crowded, "listing/page", page_values(wanted, floor=last - look))

        assert read <= look


async def test_a_search_for_what_is_rare_says_how_far_it_looked_and_goes_on_from_there(crowded: str) -> None:
    access, rare = operator_access("consumer"), ListFilter(event_type="user.erased")
    async with await connect(crowded, access) as conn, transaction(conn, access):
        first = await listing.page(conn, rare, size=SIZE)
        second = await listing.page(conn, rare, size=SIZE, before=first.before)
        rest = await listing.page(conn, rare, size=SIZE, before=second.before)

    assert (first.deliveries, first.before) == ([], ROWS - listing.LOOK_MAX + 1)
    assert first.looked_back_to is not None
    assert (second.deliveries, second.before) == ([], ROWS - 2 * listing.LOOK_MAX + 1)
    assert [each.event_type for each in rest.deliveries] == ["user.erased"]
    assert (rest.before, rest.looked_back_to) == (None, None)


def test_what_one_delivery_changed_is_found_by_its_index(crowded: str) -> None:
    read, indexes = read_rows(crowded, "audit/of_delivery", {"seq": 4711, "size": 20})

    assert (read, indexes) == (1, {"profile_audit_seq"})


def test_a_look_every_two_seconds_reads_the_dead_by_their_index(crowded: str) -> None:
    _, of_queue = read_rows(crowded, "observe/queue", {"dying_time": timedelta(minutes=10)}, role="consumer_operator")
    _, of_figures = read_rows(crowded, "sample/figures", {})

    assert "failures_dead" in of_queue & of_figures


@pytest.mark.parametrize("name", ["one_delivery/find", "one_user/counts", "audit/of_user"])
def test_one_of_many_is_found_by_indexes(crowded: str, name: str) -> None:
    values: dict[str, object] = {
        "seq": 4711,
        "message_id": "msg_" + "0" * 23 + "4711",
        "seqs": [4711, 24711, 44711],
        "user_id": user(crowded, 4711),
        "size": 3,
        "lowest": 0,
        "before": NEWEST,
    }

    assert read_rows(crowded, name, values)[0] <= 12


def test_the_last_change_of_each_field_reads_the_users_audit_only(crowded: str) -> None:
    read, indexes = read_rows(crowded, "one_user/field_changes", {"user_id": user(crowded), "rows_max": 10_000})

    assert (read, indexes) == (3, {"profile_audit_pkey"})


def test_a_user_is_found_by_e_mail_without_reading_the_others(crowded: str) -> None:
    with psycopg.connect(crowded) as conn:
        conn.execute("SET LOCAL enable_seqscan = on")
        plan = conn.execute(
            "EXPLAIN SELECT stack_user_id FROM identity.stack_user_profiles AS m "
            "WHERE lower(m.stack_primary_email) = lower('user5@example.com') "
            "AND octet_length(m.stack_primary_email) <= 320"
        ).fetchall()
        found = conn.execute("SELECT consumer_masked.users_by_email('USER5@example.com')").fetchall()

    assert "stack_user_profiles_email" in str(plan)
    assert found == [(user(crowded, 5),)]


@pytest.mark.parametrize("kind", ["user", "team"])
def test_an_id_is_found_by_its_first_digits_without_reading_the_others(crowded: str, kind: str) -> None:
    """The log has several deliveries about each; one is read."""
    everything = {"lowest": UUID(int=0), "highest": UUID(int=2**128 - 1)}
    with psycopg.connect(crowded) as conn:
        [(prefix,)] = conn.execute(f"SELECT left(md5('{kind}' || 100), 8)").fetchall()
    wanted = id_prefixes.id_range(prefix)
    assert wanted

    read, indexes = read_rows(crowded, f"id_prefixes/{kind}s", {**wanted._asdict(), "size": 21})
    most, _ = read_rows(crowded, f"id_prefixes/{kind}s", {**everything, "size": 21})

    assert (read <= 2, f"outbox_{kind}_id" in indexes) == (True, True)
    assert most <= 42


def test_lookups_read_the_masked_views_and_nothing_else() -> None:
    """Otherwise no viewer could run them."""
    folders = ("audit", "id_prefixes", "listing", "one_company", "one_delivery", "one_user")
    files = [file for folder in folders for file in (sql_root() / "queries" / folder).glob("*.sql")]
    schemas = {name for file in files for name in re.findall(r"(?:FROM|JOIN) (\w+)\.", file.read_text())}

    assert len(files) > 10
    assert schemas == {"consumer_masked"}
