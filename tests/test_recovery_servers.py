"""The pages of docs/recovery on servers: a failover, a restore from a backup."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from tests.faults.standby import Pair, missing, pair
from tests.support.cli import arrive, call, work
from tests.support.databases import change, rows, scratch_database
from tests.support.factories import membership, team_event, user_deleted, user_updated
from tests.support.outbox import states
from tests.support.processes import until
from tests.support.recovery import drill
from tests.support.restores import dumped

ADA, BOB, TEAM = (UUID(int=number) for number in (1, 2, 77))
PROFILES = "SELECT to_jsonb(p) - ARRAY['created_at', 'updated_at'] AS row FROM identity.profiles AS p ORDER BY user_id"
FIRST = (team_event("created", TEAM), user_updated(ADA, display_name="Ada"), membership("created", TEAM, ADA))
LATER = (user_updated(ADA, display_name="Ada Lovelace"), user_updated(BOB), user_deleted(BOB))
IS_REPLICATED = "SELECT pg_current_wal_lsn() <= replay_lsn AS holds FROM pg_stat_replication"


@pytest.fixture
def servers() -> Iterator[Pair]:
    """A primary, and a standby that nobody waits for."""
    with pair() as made:
        change(made.primary.url, "ALTER SYSTEM RESET synchronous_standby_names")
        made.primary.reload()
        yield made


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.slow
def test_failover(servers: Pair, tmp_path: Path) -> None:
    arrive(servers.primary.url, *FIRST)
    work(servers.primary.url)
    until(lambda: rows(servers.primary.url, IS_REPLICATED)[0]["holds"])
    servers.hold_sending()
    arrive(servers.primary.url, *LATER)
    work(servers.primary.url)
    expected = rows(servers.primary.url, PROFILES)
    servers.lose_primary()
    servers.promote()
    url = servers.standby.url
    until(lambda: not rows(url, "SELECT pg_is_in_recovery() AS holds")[0]["holds"])
    page = drill(url, "failover", tmp_path)

    codes = page.codes()
    lost = rows(url, PROFILES)
    # The sources send again what they sent since then.
    arrive(url, *FIRST, *LATER)
    work(url)

    assert codes == [0, 0, 0]
    assert page.codes("Done when") == [0]
    assert lost != expected
    assert rows(url, PROFILES) == expected
    assert set(states(url).values()) == {"done"}


@pytest.mark.lone_server
@pytest.mark.parametrize("is_made", [False, True], ids=["into an empty database", "into one that was migrated"])
def test_restore(emptied: str, lone_server_url: str, tmp_path: Path, is_made: bool) -> None:
    arrive(emptied, *FIRST)
    work(emptied)
    with dumped(emptied) as file:
        (tmp_path / "consumer.dump").write_bytes(Path(file).read_bytes())
    arrive(emptied, *LATER)
    work(emptied)
    expected = rows(emptied, PROFILES)

    with scratch_database(lone_server_url, "restored") as url:
        if is_made:
            assert call(url, "migrate").exit_code == 0
            change(url, "DROP SCHEMA consumer, consumer_masked, identity CASCADE")
        page = drill(url, "restore", tmp_path)
        codes, restored = page.codes(), rows(url, PROFILES)
        arrive(url, *FIRST, *LATER)
        work(url)
        done, profiles = page.codes("Done when"), rows(url, PROFILES)

    assert codes == [0, 0, 0]
    assert done == [0]
    assert restored != expected
    assert profiles == expected


def test_a_dropped_table_is_a_case_for_a_restore(emptied: str) -> None:
    """The page of the lost table sends its reader here; nothing but a backup brings a table back."""
    with psycopg.connect(emptied) as conn:
        conn.execute("ALTER TABLE identity.company_members RENAME TO gone")
        conn.commit()
        try:
            examined = call(emptied, "doctor")
            migrated = call(emptied, "migrate")
        finally:
            conn.execute("ALTER TABLE identity.gone RENAME TO company_members")

    assert "missing objects" in examined.output
    assert (examined.exit_code, migrated.exit_code) == (1, 1)
