"""The doctor on rights: what differs from this release, with statements that cure it as they are printed."""

import re
from collections.abc import Iterator

import psycopg
import pytest

from consumer.postgres.preflight import DUTIES
from tests.support.cli import call, examined, facts
from tests.support.databases import change, scratch_database
from tests.support.restores import PREFIX, owned_database

PREFIXED = {"ROLE_PREFIX": PREFIX}


@pytest.fixture(scope="module")
def owned(lone_server_url: str) -> Iterator[tuple[str, str]]:
    """A superuser's and the owner's conninfo of a migrated database."""
    with owned_database(lone_server_url, "doctored") as (url, owners), psycopg.connect(url, autocommit=True) as admin:
        facts(owners, "migrate", **PREFIXED)
        admin.execute('CREATE ROLE "B-I"')
        yield url, owners
        admin.execute('DROP OWNED BY "B-I"; DROP ROLE "B-I"')


@pytest.mark.parametrize(
    ("statement", "name", "finding"),
    [
        (
            'ALTER FUNCTION identity.current_guests OWNER TO "Restored-Owner"',
            "owners",
            "wrong: identity.current_guests",
        ),
        (
            "ALTER FUNCTION identity.prune_audit SECURITY INVOKER",
            "functions and views",
            "wrong: identity.prune_audit",
        ),
        (
            "REVOKE SELECT (is_guest) ON identity.company_members FROM restored_definer",
            "grants to our roles",
            "wrong: identity.company_members",
        ),
        (
            "ALTER POLICY tenant ON identity.companies USING (TRUE)",
            "policies",
            "changed: tenant on identity.companies",
        ),
        ("GRANT SELECT ON identity.profiles TO PUBLIC", "grants", "identity.profiles to PUBLIC"),
        (
            "ALTER TABLE identity.profiles NO FORCE ROW LEVEL SECURITY",
            "row-level security",
            "not forced on identity.profiles",
        ),
    ],
)
def test_what_differs_fails_and_the_statements_as_printed_cure_it(
    owned: tuple[str, str], statement: str, name: str, finding: str
) -> None:
    url, owners = owned
    change(url, statement)

    _, before = examined(owners, **PREFIXED)
    cure = before[name]["cure"].removeprefix("Run `consumer migrate`, or as the owner: ")
    change(owners, cure)
    _, after = examined(owners, **PREFIXED)

    assert before[name]["state"] == "failing"
    assert before[name]["finding"].startswith(finding)
    assert {check["state"] for check in after.values()} == {"ok"}


def test_more_rights_of_our_roles_are_a_warning_and_those_of_others_are_listed(owned: tuple[str, str]) -> None:
    url, owners = owned
    change(url, 'GRANT SELECT ON identity.profiles TO "B-I"; GRANT DELETE ON identity.companies TO restored_app')

    _, before = examined(owners, **PREFIXED)
    change(url, before["further rights of our roles"]["cure"].partition(": ")[2])
    _, after = examined(owners, **PREFIXED)

    assert before["rights of others"] == {
        "name": "rights of others",
        "state": "ok",
        "finding": 'GRANT SELECT ON TABLE identity.profiles TO "B-I";',
        "cure": None,
    }
    assert before["further rights of our roles"]["state"] == "warning"
    assert after["further rights of our roles"]["finding"] == "none"


def test_the_prefix_of_another_installation_is_named_and_no_policy_is_advised_away(owned: tuple[str, str]) -> None:
    with scratch_database(owned[0], "neighbour") as url:
        facts(url, "migrate", ROLE_PREFIX="neighbour")
        try:
            exit_code, checks = examined(url, **PREFIXED)
            text = call(url, "doctor", **PREFIXED).stdout
        finally:
            drop(url)

    assert exit_code == 1
    assert checks["role prefix"]["finding"] == "this database was migrated under ROLE_PREFIX neighbour"
    assert checks["role prefix"]["cure"].startswith("Set ROLE_PREFIX=neighbour: ")
    assert not re.search("(DROP|CREATE) POLICY|GRANT .* ON ", text)


def drop(url: str) -> None:
    duties = DUTIES
    change(url, "DROP SCHEMA consumer, consumer_masked, identity CASCADE")
    change(url, "".join(f"DROP ROLE neighbour_{duty};" for duty in duties))
