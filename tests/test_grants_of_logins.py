"""Which roles a login may take or grant, who owns the installation, and what its default privileges hand out."""

import pytest

from consumer.postgres import default_privileges
from tests.support.asked import tuples as asked
from tests.support.names import own
from tests.support.rolled_back import Conn, said


def test_a_member_that_may_not_take_a_role_is_granted_that_option(admin: Conn) -> None:
    login, one, other = own("login"), own("one"), own("other")
    said(admin, *(f"CREATE ROLE {name}" for name in (login, one, other)), f"GRANT {one} TO {login}")
    said(admin, f"GRANT {other} TO {one}", f"SET LOCAL SESSION AUTHORIZATION {login}")
    found = [asked(admin, "privileges/grant_role", role=name) for name in (one, other, "No One")]

    option = " WITH SET TRUE" if admin.info.server_version >= 160_000 else ""
    assert found == [
        [(f"GRANT {one} TO {login}{option};",)],
        [(f"GRANT {other} TO {login};",)],
        [(f'GRANT "No One" TO {login};',)],
    ]


@pytest.mark.parametrize("attribute", ["CREATEROLE", "NOCREATEROLE"])
def test_roles_that_a_login_should_be_able_to_grant_and_may_not_are_told(admin: Conn, attribute: str) -> None:
    login, others = own("login"), own("others")
    roles = [own(name) for name in ("b", "a", "c")]
    said(admin, *(f"CREATE ROLE {name}" for name in (*roles, others, own("d"))), f"CREATE ROLE {login} {attribute}")
    said(admin, f"SET LOCAL SESSION AUTHORIZATION {login}")
    found = [asked(admin, "privileges/ungranted", roles=roles)]
    for granted in ([own("b")], [own("a")], [own("c")]):
        said(admin, "RESET SESSION AUTHORIZATION", f"GRANT {', '.join(granted)} TO {login} WITH ADMIN OPTION")
        said(admin, f"GRANT {own('a')} TO {others} WITH ADMIN OPTION", f"SET LOCAL SESSION AUTHORIZATION {login}")
        found.append(asked(admin, "privileges/ungranted", roles=roles))

    def told(*names: str) -> list[tuple[str, str]]:
        listed = ", ".join(own(name) for name in names)
        return [(listed, f"GRANT {listed} TO {login} WITH ADMIN TRUE;")]

    is_told = attribute == "CREATEROLE" and admin.info.server_version >= 160_000
    assert found == ([told("a", "b", "c"), told("a", "c"), told("c"), []] if is_told else 4 * [[]])


@pytest.mark.parametrize(
    ("attributes", "is_creator"),
    [("CREATEROLE", True), ("NOCREATEROLE", False), ("CREATEROLE SUPERUSER", False), ("SUPERUSER", False)],
)
def test_the_installations_owner_is_that_of_its_schema_and_the_login_is_who_asks(
    admin: Conn, attributes: str, is_creator: bool
) -> None:
    owner, login = f'"{own("The owner")}"', own("login")
    said(admin, f"CREATE ROLE {owner} {attributes}", f"CREATE ROLE {login}", f"ALTER SCHEMA consumer OWNER TO {owner}")
    [superusers] = asked(admin, "privileges/owner")
    said(admin, f"SET LOCAL ROLE {login}")
    [logins] = asked(admin, "privileges/owner")

    assert superusers == (admin.info.server_version, owner, is_creator, admin.info.user, True, admin.info.dbname)
    assert logins == (admin.info.server_version, owner, is_creator, login, False, admin.info.dbname)


def test_what_default_privileges_hand_to_others_is_withheld_and_given_back(admin: Conn) -> None:
    me, other = own("me"), own("other")
    said(admin, f"CREATE ROLE {me}", f"CREATE ROLE {other}", "CREATE SCHEMA elsewhere")
    for place in ("", " IN SCHEMA identity", " IN SCHEMA elsewhere"):
        start = f"ALTER DEFAULT PRIVILEGES FOR ROLE {me}{place} GRANT"
        said(admin, f"{start} SELECT ON TABLES TO {other} WITH GRANT OPTION", f"{start} USAGE ON SEQUENCES TO PUBLIC")
    start = f"ALTER DEFAULT PRIVILEGES FOR ROLE {me} GRANT"
    said(
        admin,
        f"{start} EXECUTE ON FUNCTIONS TO {other}",
        f"{start} USAGE ON TYPES TO {other}",
        f"{start} USAGE ON SCHEMAS TO {other}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {other} GRANT SELECT ON TABLES TO PUBLIC",
    )
    if admin.info.server_version >= 180_000:
        said(admin, f"{start} SELECT ON LARGE OBJECTS TO {other}")
    for schema in ("consumer", "consumer_masked", "identity", "elsewhere"):
        said(admin, f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {me}")
    state = "SELECT defaclnamespace, defaclobjtype, defaclacl::text FROM pg_default_acl ORDER BY 1, 2, defaclrole"
    before = admin.execute(state.encode()).fetchall()
    said(admin, f"SET LOCAL ROLE {me}")
    withheld = [row[0] for row in asked(admin, "default_privileges/read")]
    back = default_privileges.withhold(admin)
    left = asked(admin, "default_privileges/read")
    default_privileges.give_back(admin, back)

    rest = "ALTER DEFAULT PRIVILEGES {}REVOKE {} ON {} FROM {}".format
    # To whom functions and types belong by default: everybody.
    assert set(withheld) == {
        rest("", "SELECT", "TABLES", other),
        rest("", "USAGE", "SEQUENCES", "PUBLIC"),
        rest("", "EXECUTE", "FUNCTIONS", other),
        rest("", "EXECUTE", "FUNCTIONS", "PUBLIC"),
        rest("", "USAGE", "TYPES", other),
        rest("", "USAGE", "TYPES", "PUBLIC"),
        rest("", "USAGE", "SCHEMAS", other),
        rest("IN SCHEMA identity ", "SELECT", "TABLES", other),
        rest("IN SCHEMA identity ", "USAGE", "SEQUENCES", "PUBLIC"),
    }
    assert left == []
    assert {one for one in back if "WITH GRANT OPTION" in one} == {
        f"ALTER DEFAULT PRIVILEGES{place} GRANT SELECT ON TABLES TO {other} WITH GRANT OPTION"
        for place in ("", " IN SCHEMA identity")
    }
    assert admin.execute(state.encode()).fetchall() == before
