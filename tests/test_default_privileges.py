"""ALTER DEFAULT PRIVILEGES hands new objects to others: none of ours, and what the operator set stays."""

import psycopg
import pytest

from tests.support.cli import facts
from tests.support.databases import rows
from tests.support.restores import OWNER, PREFIX, ROLES, owned_database
from tests.support.rights import catalogue

SET = """
SELECT defaclobjtype, defaclnamespace::regnamespace::text AS schema, a.grantee::text, a.privilege_type, a.is_grantable
FROM pg_default_acl, aclexplode(defaclacl) AS a
ORDER BY 1, 2, 3, 4
"""


@pytest.mark.parametrize(
    "given",
    [
        "GRANT ALL ON {kind} TO anon",
        'GRANT ALL ON {kind} TO "Some-Body" WITH GRANT OPTION',
        "GRANT ALL ON {kind} TO PUBLIC",
        "GRANT ALL ON {kind} TO restored_tenant",
    ],
    ids=["to visitors", "to anybody, to grant it on", "to PUBLIC", "to a role of ours"],
)
def test_no_object_of_ours_is_handed_to_others(lone_server_url: str, given: str) -> None:
    with owned_database(lone_server_url, "handed") as (url, owners), psycopg.connect(url, autocommit=True) as admin:
        facts(owners, "migrate", ROLE_PREFIX=PREFIX)
        new = catalogue(url, ROLES)
        admin.execute("DROP SCHEMA consumer, consumer_masked, identity CASCADE")
        try:
            admin.execute('CREATE ROLE anon; CREATE ROLE "Some-Body"')
            for kind in ("TABLES", "SEQUENCES", "FUNCTIONS", "TYPES", "SCHEMAS"):
                admin.execute(f'ALTER DEFAULT PRIVILEGES FOR ROLE "{OWNER}" {given.format(kind=kind)}')
            before = rows(url, SET)

            report = facts(owners, "migrate", ROLE_PREFIX=PREFIX)

            lines = [line for line in catalogue(url, ROLES) if not line.startswith("new ")]
            assert (lines, report["mended"], report["others"]) == (new, [], [])
            assert rows(url, SET) == before != []
        finally:
            admin.execute('DROP OWNED BY anon, "Some-Body" CASCADE; DROP ROLE anon, "Some-Body"')


def test_what_the_owner_took_from_public_stays_taken(lone_server_url: str) -> None:
    with owned_database(lone_server_url, "taken") as (url, owners), psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f'ALTER DEFAULT PRIVILEGES FOR ROLE "{OWNER}" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC')
        before = rows(url, SET)

        facts(owners, "migrate", ROLE_PREFIX=PREFIX)

        assert rows(url, SET) == before
