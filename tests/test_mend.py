"""`migrate` puts rights right where they differ, and touches nothing else."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from consumer.postgres import mend
from consumer.postgres.connections import as_login, connect, operator_access
from tests.support.cli import call, facts
from tests.support.databases import change
from tests.support.restores import OWNER, PREFIX, ROLES, owned_database
from tests.support.rights import catalogue

PREFIXED = {"ROLE_PREFIX": PREFIX}


@pytest.fixture(scope="module")
def owned(lone_server_url: str) -> Iterator[tuple[str, str]]:
    """A superuser's and the owner's conninfo of a migrated database, and three roles that are none of ours."""
    with owned_database(lone_server_url, "mend") as (url, owners), psycopg.connect(url, autocommit=True) as admin:
        facts(owners, "migrate", **PREFIXED)
        for name in ("anon", "bi", "other"):
            admin.execute(f"CREATE ROLE {name} LOGIN")
        yield url, owners
        for name in ("anon", "bi", "other"):
            admin.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


@pytest.fixture
def new(owned: tuple[str, str]) -> Iterator[list[str]]:
    """The rights before the test; a superuser mends what the test leaves."""
    url, _ = owned
    before = catalogue(url, ROLES)
    yield before
    change(url, "DELETE FROM consumer._yoyo_migration WHERE migration_id = '9999.later'")
    call(url, "migrate", **PREFIXED)
    change(url, "DROP OWNED BY bi CASCADE")
    assert catalogue(url, ROLES) == before


@pytest.mark.parametrize(
    "statement",
    [
        "GRANT SELECT ON identity.profiles TO PUBLIC",
        "GRANT SELECT (email), UPDATE (email) ON identity.profiles TO PUBLIC, anon WITH GRANT OPTION",
        "GRANT ALL ON ALL FUNCTIONS IN SCHEMA identity TO anon",
        "GRANT ALL ON SCHEMA consumer, identity TO anon",
        "GRANT ALL ON ALL SEQUENCES IN SCHEMA consumer, identity TO anon",
        'CREATE POLICY "For all" ON identity.profiles TO PUBLIC USING (TRUE)',
        "REVOKE ALL ON ALL TABLES IN SCHEMA consumer, identity FROM restored_worker, restored_app",
        "REVOKE SELECT (stack_user_id) ON identity.stack_user_profiles FROM restored_app",
        "ALTER POLICY tenant ON identity.profiles USING (TRUE)",
        "ALTER POLICY worker ON identity.profiles WITH CHECK (FALSE)",
        "ALTER FUNCTION identity.scrub_audit SECURITY INVOKER",
        "ALTER FUNCTION identity.scrub_audit RESET search_path",
        "ALTER VIEW identity.stack_integration_stats SET (security_invoker = false)",
        "ALTER TABLE consumer.pending ENABLE ROW LEVEL SECURITY",
        "GRANT SELECT ON ALL TABLES IN SCHEMA consumer_masked TO PUBLIC",
        "REVOKE SELECT ON consumer_masked.deliveries FROM restored_viewer",
        "ALTER VIEW consumer_masked.profiles SET (security_invoker = true)",
        "DROP POLICY masker ON consumer.outbox",
        'REVOKE restored_viewer FROM restored_operator GRANTED BY "Restored-Owner"',
        'REVOKE ALL ON identity.companies FROM "Restored-Owner"',
    ],
)
def test_the_owner_puts_right_what_somebody_changed(owned: tuple[str, str], new: list[str], statement: str) -> None:
    url, owners = owned
    change(url, statement.replace(" WITH GRANT OPTION", "") if "PUBLIC, anon" in statement else statement)
    checked = call(owners, "migrate", "--check", **PREFIXED)

    report = facts(owners, "migrate", **PREFIXED)

    assert checked.exit_code == 1
    assert checked.stdout.splitlines() == [f"unmended {statement}" for statement in report["mended"]]
    assert catalogue(url, ROLES) == new
    assert facts(owners, "migrate", **PREFIXED)["mended"] == []


def test_what_others_were_granted_is_listed_and_stays(owned: tuple[str, str], new: list[str]) -> None:
    url, owners = owned
    change(url, "GRANT SELECT ON identity.profiles TO bi; CREATE POLICY bi ON identity.profiles TO bi USING (TRUE)")
    granted = catalogue(url, ROLES)

    report = facts(owners, "migrate", **PREFIXED)
    shown = call(owners, "migrate", **PREFIXED)

    assert (report["mended"], catalogue(url, ROLES)) == ([], granted)
    assert report["others"] == [
        "CREATE POLICY bi ON identity.profiles TO bi USING (true);",
        "GRANT SELECT ON TABLE identity.profiles TO bi;",
    ]
    assert shown.stdout.splitlines()[-1] == "left as others made it: GRANT SELECT ON TABLE identity.profiles TO bi;"


def test_an_object_of_others_in_our_schema_stays_as_it_is(owned: tuple[str, str], new: list[str]) -> None:
    url, owners = owned
    change(url, "CREATE VIEW identity.of_bi AS SELECT 1; ALTER VIEW identity.of_bi OWNER TO bi")
    change(url, "GRANT SELECT ON identity.of_bi TO PUBLIC")
    granted = catalogue(url, ROLES)

    assert facts(owners, "migrate", **PREFIXED)["mended"] == []
    assert catalogue(url, ROLES) == granted


def test_a_newer_release_has_its_own_rights(owned: tuple[str, str], new: list[str]) -> None:
    url, owners = owned
    change(url, "INSERT INTO consumer._yoyo_migration (migration_hash, migration_id) VALUES ('later', '9999.later')")
    change(url, "REVOKE SELECT ON identity.profiles FROM restored_app")
    changed = catalogue(url, ROLES)

    assert facts(owners, "migrate", **PREFIXED)["mended"] == []
    assert facts(owners, "migrate", "--check", **PREFIXED)["unmended"] == []
    assert catalogue(url, ROLES) == changed


async def test_a_newer_release_that_migrates_after_the_look_keeps_its_rights(
    owned: tuple[str, str], new: list[str]
) -> None:
    url, _ = owned
    change(url, "REVOKE SELECT ON identity.profiles FROM restored_app")
    change(url, "INSERT INTO consumer._yoyo_migration (migration_hash, migration_id) VALUES ('later', '9999.later')")
    access = operator_access(PREFIX)

    async with await connect(url, access) as conn, as_login(conn, access):
        assert await mend.mend(conn, PREFIX) == []


def test_without_a_difference_no_right_is_needed(owned: tuple[str, str], new: list[str]) -> None:
    url, _ = owned
    change(url, "GRANT restored_operator TO bi; GRANT USAGE ON SCHEMA consumer TO bi")
    change(url, "GRANT SELECT ON consumer._yoyo_migration, consumer.settings, consumer._yoyo_version TO bi")

    done = call(make_conninfo(url, user="bi", password="x"), "migrate", **PREFIXED)
    change(url, "REVOKE restored_operator FROM bi")

    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("ALTER ROLE restored_tenant BYPASSRLS", "ALTER ROLE restored_tenant NOBYPASSRLS;"),
        ("ALTER TABLE identity.profiles OWNER TO bi", 'ALTER TABLE identity.profiles OWNER TO "Restored-Owner";'),
        (
            "GRANT SELECT ON identity.companies TO bi WITH GRANT OPTION; SET ROLE bi; "
            "GRANT SELECT ON identity.companies TO PUBLIC",
            "SET ROLE bi; REVOKE SELECT ON TABLE identity.companies FROM PUBLIC CASCADE; RESET ROLE;",
        ),
    ],
    ids=["an attribute", "an owner", "another grantor's grant"],
)
def test_an_owner_that_may_not_mend_all_changes_nothing(
    owned: tuple[str, str], new: list[str], statement: str, refused: str
) -> None:
    url, owners = owned
    change(url, f"GRANT USAGE ON SCHEMA identity TO bi; {statement}")
    change(url, "REVOKE SELECT ON identity.company_members FROM restored_app")
    changed = catalogue(url, ROLES)

    result = call(owners, "migrate", **PREFIXED)

    assert (result.exit_code, result.stdout) == (1, "")
    assert f"nothing was changed: {refused}" in result.stderr
    assert result.stderr.count("\n") == 1
    assert catalogue(url, ROLES) == changed


def test_an_object_that_somebody_dropped_is_named(owned: tuple[str, str], new: list[str]) -> None:
    url, owners = owned
    change(url, "ALTER FUNCTION identity.search_profiles RENAME TO searched")

    result = call(owners, "migrate", **PREFIXED)
    change(url, "ALTER FUNCTION identity.searched RENAME TO search_profiles")

    assert result.exit_code == 1
    assert "there is no function identity.search_profiles: restore the backup whole" in result.stderr


def test_a_table_in_use_is_given_way_to(
    owned: tuple[str, str], new: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, owners = owned
    assert (mend.LOCK_MILLISECONDS, mend.PAUSE_SECONDS, mend.ATTEMPTS) == (2000, 1, 20)
    monkeypatch.setattr(mend, "LOCK_MILLISECONDS", 50)
    monkeypatch.setattr(mend, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(mend, "ATTEMPTS", 2)
    change(url, "ALTER TABLE identity.profiles NO FORCE ROW LEVEL SECURITY")
    changed = catalogue(url, ROLES)

    with psycopg.connect(url, application_name="a report") as reader:
        reader.execute("SELECT FROM identity.profiles")
        pid = reader.info.backend_pid
        result = call(owners, "migrate", **PREFIXED)

    assert (result.exit_code, catalogue(url, ROLES)) == (1, changed)
    sentence = f"because others hold our tables: pid {pid} (postgres, a report"
    assert (sentence in result.stderr, '"migration_held_up"' in result.stderr) == (True, True), result.stderr
    assert facts(owners, "migrate", **PREFIXED)["mended"] == ["ALTER TABLE identity.profiles FORCE ROW LEVEL SECURITY;"]


def test_a_membership_that_the_owner_lost_is_given_again_by_a_superuser(owned: tuple[str, str], new: list[str]) -> None:
    url, owners = owned
    with psycopg.connect(url) as conn:
        if conn.info.server_version < 160_000:
            pytest.skip("a login that may create roles may grant them")
    change(url, f'REVOKE restored_worker FROM "{OWNER}" CASCADE')

    refused = call(owners, "migrate", **PREFIXED)
    facts(url, "migrate", **PREFIXED)

    assert refused.exit_code == 1
    assert 'GRANT restored_worker TO "Restored-Owner" WITH SET TRUE; (permission denied' in refused.stderr
    assert call(owners, "migrate", **PREFIXED).stdout == "The database is up to date.\n"


@pytest.mark.parametrize("duty", ["app", "definer", "worker"])
def test_a_role_of_ours_that_owned_a_schema_keeps_its_place_there(
    owned: tuple[str, str], new: list[str], duty: str
) -> None:
    url, _ = owned
    change(url, f"ALTER SCHEMA identity OWNER TO {PREFIX}_{duty}")

    assert call(url, "migrate", **PREFIXED).exit_code == 0
    assert catalogue(url, ROLES) == new
