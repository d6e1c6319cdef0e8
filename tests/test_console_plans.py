"""No page of the console reads over 100,000 rows, and none but the masked views."""

import re
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from consumer.console import confirm, dead, recovery
from consumer.lookup import listing
from consumer.lookup.listing import ListFilter
from consumer.lookup.one_company import COUNTED_MAX
from consumer.outbox.deliveries import Selection
from consumer.postgres import migrations
from consumer.postgres.queries import sql_root
from tests.support.databases import scratch_database
from tests.test_lookup_plans import FILL, read_rows

pytestmark = pytest.mark.slow

# Two thirds of a page's limit are dead, and one company has more members than are counted.
MORE = """
    INSERT INTO consumer.failures (seq, state, attempts, error_code, error, source, event_type)
    SELECT seq, 'dead', 1, '23505', 'x' || seq % 7, source, event_type FROM consumer.outbox
    WHERE seq % 10 > 0;
    DELETE FROM consumer.outcomes;
    INSERT INTO identity.companies (id, name, version)
    VALUES ('00000000-0000-0000-0000-000000000001', 'Crew', '1');
    INSERT INTO identity.company_members (company_id, user_id, joined_at)
    SELECT '00000000-0000-0000-0000-000000000001', stack_user_id, now() FROM identity.stack_user_profiles;
    INSERT INTO consumer.rebuild (stage, id) SELECT 2, md5('user' || n)::uuid FROM generate_series(1, 120000) AS n;
    INSERT INTO consumer.actions (id, actor, via, role, action)
    SELECT gen_random_uuid(), 'kim', 'console', 'viewer', 'sign_in' FROM generate_series(1, 3000);
    WITH ordered AS (
        INSERT INTO consumer.actions (id, at, actor, via, role, action)
        SELECT md5('order' || n)::uuid, now() - interval '1 day', 'kim', 'console', 'operator', 'retry'
        FROM generate_series(1, 100010) AS n
        RETURNING id
    )
    INSERT INTO consumer.background (id, finished_at)
    SELECT id, CASE WHEN row_number() OVER () > 10 THEN now() - row_number() OVER () * interval '1 second' END
    FROM ordered;
"""
COMPANY = UUID("00000000-0000-0000-0000-000000000001")
ROWS_MAX = 100_000


@pytest.fixture(scope="module")
def crowded(server_url: str) -> Iterator[str]:
    """Sixty thousand dead deliveries, a company of twenty thousand members, long queues, a hundred thousand orders."""
    with scratch_database(server_url, "pages") as url:
        migrations.apply(url, "consumer")
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(FILL.encode())
            conn.execute(MORE.encode())
            conn.execute("VACUUM ANALYZE")
        yield url


@pytest.mark.parametrize("by_type", [False, True])
def test_grouping_dead_letters_reads_them_once(crowded: str, by_type: bool) -> None:
    values = {"by_type": by_type, "look_max": dead.LOOK_MAX, "size": dead.GROUPS, "named": dead.NAMED + 1}

    assert read_rows(crowded, "dead/groups", values)[0] == dead.LOOK_MAX
    assert read_rows(crowded, "dead/groups", values | {"look_max": 1_000})[0] <= 3_000
    assert dead.LOOK_MAX == 50_000


@pytest.mark.parametrize("states", [["pending"], ["retrying"], ["dead"], ["retrying", "dead"]], ids=" ".join)
def test_a_search_among_failures_reads_a_look_whatever_their_state(crowded: str, states: list[str]) -> None:
    wanted = ListFilter(states=states)
    values = {**wanted.values(), "before": listing.NEWEST, "floor": 0, "look_max": 1_000}

    assert read_rows(crowded, "listing/few", values)[0] <= 1_001


def test_counting_what_a_retry_takes_ends_at_a_most(crowded: str) -> None:
    values = {**Selection(states=["dead"]).values(), "count_max": 1_000}

    assert read_rows(crowded, "deliveries/count_failed", values)[0] <= 1_000
    assert confirm.COUNT_MAX <= ROWS_MAX


def test_counting_the_users_of_dead_letters_looks_up_few_of_them(crowded: str) -> None:
    read, _ = read_rows(crowded, "dead/users", {"by_type": False, "look_max": 500})

    assert read <= 2_000
    assert 2 * dead.USERS_LOOK_MAX + dead.LOOK_MAX // 2 <= ROWS_MAX


def test_a_company_of_any_size_is_counted_up_to_a_most(crowded: str) -> None:
    read, _ = read_rows(crowded, "one_company/find", {"company_id": COMPANY, "counted_max": 500})

    assert read <= 1_000
    assert 3 * COUNTED_MAX <= ROWS_MAX


def test_a_page_of_members_reads_a_page(crowded: str) -> None:
    values = {"company_id": COMPANY, "after": UUID("80000000-0000-0000-0000-000000000000"), "size": 50}

    assert read_rows(crowded, "one_company/members", values)[0] <= 100


def test_a_long_queue_of_rebuilds_is_counted_up_to_a_most(crowded: str) -> None:
    stages = list(recovery.LOOK_MAX)
    most = list(recovery.LOOK_MAX.values())

    assert read_rows(crowded, "recovery/rebuild", {"stages": stages, "look_max": [700] * 3})[0] <= 700
    assert read_rows(crowded, "recovery/rebuild", {"stages": stages, "look_max": most})[0] == max(most)
    assert sum(most) == ROWS_MAX


def test_the_figures_count_each_queue_up_to_a_most(crowded: str) -> None:
    assert read_rows(crowded, "sample/figures", {})[0] == ROWS_MAX


def test_the_newest_actions_are_found_by_their_index(crowded: str) -> None:
    read, indexes = read_rows(crowded, "recovery/actions", {"size": recovery.LISTED})

    assert (read <= 1_000, indexes) == (True, {"actions_at"})


@pytest.mark.parametrize("number", [None, 5, 50_000], ids=["newest", "unfinished", "further"])
def test_a_page_of_orders_reads_a_page(crowded: str, number: int | None) -> None:
    with psycopg.connect(crowded) as conn:
        [(before,)] = conn.execute("SELECT md5('order' || %s)::uuid", [number]).fetchall()
    size = recovery.LISTED + 1
    read, indexes = read_rows(crowded, "recovery/orders", {"before": before, "size": size})

    assert read <= size
    assert {"background_newest", "actions_pkey"} <= indexes


@pytest.mark.parametrize("name", ["labels/emails", "labels/company_names", "labels/is_team"])
def test_names_are_found_by_their_ids(crowded: str, name: str) -> None:
    ids = [UUID(int=number) for number in range(50)]

    assert read_rows(crowded, name, {"user_ids": ids, "company_ids": ids, "id": ids[2]})[0] <= 50


def test_the_pages_read_the_masked_views_and_nothing_else() -> None:
    """Otherwise no viewer could see them."""
    folders = ("dead", "labels", "metadata_keys", "recovery")
    files = [file for folder in folders for file in (sql_root() / "queries" / folder).glob("*.sql")]
    schemas = {name for file in files for name in re.findall(r"(?:FROM|JOIN) (\w+)\.", file.read_text())}

    assert len(files) >= 10
    assert schemas == {"consumer_masked"}
