"""The pages of docs/recovery on moves: a copy for staging, leaving."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from consumer.postgres.preflight import DUTIES
from tests.support.cli import arrive, call, examined, work
from tests.support.databases import change, rows, scratch_database
from tests.support.factories import membership, team_event, user_updated
from tests.support.names import own
from tests.support.recovery import drill

ADA, TEAM = UUID(int=1), UUID(int=77)
FACTS = (team_event("created", TEAM), user_updated(ADA, display_name="Ada"), membership("created", TEAM, ADA))
PROFILES = "SELECT * FROM identity.profiles ORDER BY user_id"
ADOPTING = "consumer migrate --adopt-copy"
LEAVING = {"ROLE_PREFIX": own("leaving")}


@pytest.fixture
def filled(emptied: str) -> str:
    arrive(emptied, *FACTS)
    work(emptied)
    return emptied


@pytest.mark.lone_server
def test_staging_copy(filled: str, lone_server_url: str, tmp_path: Path) -> None:
    assert call(filled, "migrate").exit_code == 0
    with scratch_database(lone_server_url, "staging") as url:
        page = drill(url, "staging-copy", tmp_path, PRODUCTION_URL=filled)

        codes, findings = {}, {}
        for line, result in page.run():
            codes[line] = result.exit_code
            findings[line] = examined(url)[1]["copy"]["state"]

        assert set(codes.values()) == {0}
        assert [state for line, state in findings.items() if line != ADOPTING] == ["warning"] * 2
        assert findings[ADOPTING] == "ok"
        assert page.codes("Done when") == [0]
        assert rows(url, PROFILES) == rows(filled, PROFILES) != []
    assert examined(filled)[1]["copy"]["state"] == "ok"


@pytest.fixture
def departing(server_url: str) -> Iterator[str]:
    """A database with roles of its own, and a view of the application's on the profiles."""
    with scratch_database(server_url, "departing") as url:
        try:
            assert call(url, "migrate", **LEAVING).exit_code == 0
            change(url, "CREATE VIEW public.people AS SELECT user_id, full_name FROM identity.profiles")
            yield url
        finally:
            change(url, "DROP SCHEMA IF EXISTS consumer, consumer_masked, identity CASCADE")
            change(server_url, "; ".join(f"DROP ROLE IF EXISTS {LEAVING['ROLE_PREFIX']}_{duty}" for duty in DUTIES))


def test_leaving(departing: str, tmp_path: Path) -> None:
    change(
        departing,
        f"INSERT INTO identity.profiles (user_id, full_name, role_type, department) VALUES ('{ADA}', 'Ada', 'r', 'd')",
    )
    before = rows(departing, PROFILES)
    page = drill(departing, "leaving", tmp_path, LEAVING, BACKUP_URL=departing)

    codes = page.codes()

    assert codes == [0, 0, 0, 0]
    assert page.codes("Done when") == []
    assert (tmp_path / "consumer.dump").stat().st_size > 0
    assert rows(departing, PROFILES) == before != []
    assert rows(departing, "SELECT full_name FROM public.people") == [{"full_name": "Ada"}]
    assert rows(departing, "SELECT to_regnamespace('consumer') IS NULL AS is_gone") == [{"is_gone": True}]
