"""What the query of rights reads: each kind of right as the statement that makes it and the one that undoes it."""

from typing import Any

import psycopg
import pytest

from consumer.postgres.queries import query
from tests.support.databases import scratch_database
from tests.support.names import own
from tests.support.rolled_back import Conn, said

Rights = list[tuple[str, str | None, str | None, tuple[str, ...] | None]]
PRUNED = "TABLE consumer.pruned"
SEQUENCE = "SEQUENCE consumer.edit_number"
TRIMMED = "FUNCTION consumer.trimmed(value text)"


@pytest.fixture
def admin(admin: Conn) -> Conn:
    """Two more roles."""
    said(admin, *(f"CREATE ROLE {own(name)}" for name in ("x", "y")))
    return admin


def read(conn: Conn, *roles: str) -> Rights:
    conn.execute(query("privileges/plain_names"))
    found = conn.execute(query("privileges/read"), {"roles": list(roles)}).fetchall()
    rights = [(*row[:3], None if row[3] is None else tuple(row[3])) for row in found]
    assert len(set(rights)) == len(rights)
    statements = [right[0] for right in rights]
    in_order = conn.execute("SELECT ARRAY(SELECT unnest(%s::text[]) AS s ORDER BY s)", [statements]).fetchall()
    assert in_order == [(statements,)]
    return rights


def changed(conn: Conn, *statements: str, roles: tuple[str, ...] = ()) -> tuple[Rights, Rights]:
    """Return the rights that statements bring, and those that they end."""
    before = read(conn, *roles)
    for statement in statements:
        conn.execute(named(statement).encode())
    after = read(conn, *roles)
    return [right for right in after if right not in before], [right for right in before if right not in after]


def named(text: str) -> str:
    return text.replace("<x>", own("x")).replace("<y>", own("y"))


def grant(privilege: str, place: str, grantee: str, *, by: str = "") -> Any:
    before, after = (f"SET ROLE {by}; ", " RESET ROLE;") if by else ("", "")
    return (
        named(f"GRANT {privilege} ON {place} TO {grantee};"),
        named(f"{before}REVOKE {privilege} ON {place} FROM {grantee} CASCADE;{after}"),
        place,
        (named(grantee),),
    )


def passed_on(privilege: str, place: str, grantee: str) -> Any:
    return (
        named(f"GRANT {privilege} ON {place} TO {grantee} WITH GRANT OPTION;"),
        named(f"REVOKE GRANT OPTION FOR {privilege} ON {place} FROM {grantee} CASCADE;"),
        place,
        (named(grantee),),
    )


def policy(options: str, *grantees: str, table: str = "consumer.pruned") -> Any:
    return (
        named(f"CREATE POLICY p ON {table}{options}"),
        f"DROP POLICY p ON {table};",
        f"TABLE {table}",
        tuple(named(grantee) for grantee in grantees),
    )


BROUGHT: dict[str, list[Any]] = {
    "GRANT SELECT ON consumer.pruned TO PUBLIC": [grant("SELECT", PRUNED, "PUBLIC")],
    "GRANT SELECT, INSERT ON consumer.pruned TO <x>": [
        grant("INSERT", PRUNED, "<x>"),
        grant("SELECT", PRUNED, "<x>"),
    ],
    "GRANT SELECT (key) ON consumer.pruned TO <x>": [grant("SELECT (key)", PRUNED, "<x>")],
    "GRANT SELECT (key) ON consumer.pruned TO PUBLIC": [grant("SELECT (key)", PRUNED, "PUBLIC")],
    "GRANT SELECT ON consumer.pruned TO <x> WITH GRANT OPTION": [
        grant("SELECT", PRUNED, "<x>"),
        passed_on("SELECT", PRUNED, "<x>"),
    ],
    "GRANT USAGE ON SEQUENCE consumer.edit_number TO <x>": [grant("USAGE", SEQUENCE, "<x>")],
    "GRANT EXECUTE ON FUNCTION consumer.trimmed TO <x>": [grant("EXECUTE", TRIMMED, "<x>")],
    "GRANT USAGE ON SCHEMA identity TO <x>": [grant("USAGE", "SCHEMA identity", "<x>")],
    "GRANT SELECT ON consumer_masked.runs TO <x>": [grant("SELECT", "TABLE consumer_masked.runs", "<x>")],
    "CREATE POLICY p ON consumer.pruned": [policy(" TO PUBLIC;", "PUBLIC")],
    "CREATE POLICY p ON consumer.pruned AS RESTRICTIVE FOR SELECT TO <y>, <x> USING (key   IS NOT NULL)": [
        policy(" AS RESTRICTIVE FOR SELECT TO <x>, <y> USING ((key IS NOT NULL));", "<x>", "<y>")
    ],
    "CREATE POLICY p ON consumer.pruned FOR INSERT TO <x> WITH CHECK (TRUE)": [
        policy(" FOR INSERT TO <x> WITH CHECK (true);", "<x>")
    ],
    "CREATE POLICY p ON consumer.pruned FOR UPDATE TO <x> USING (FALSE) WITH CHECK (TRUE)": [
        policy(" FOR UPDATE TO <x> USING (false) WITH CHECK (true);", "<x>")
    ],
    "CREATE POLICY p ON consumer.pruned FOR DELETE TO <x> USING (TRUE)": [
        policy(" FOR DELETE TO <x> USING (true);", "<x>")
    ],
    "ALTER TABLE consumer.pruned ENABLE ROW LEVEL SECURITY": [
        (f"ALTER {PRUNED} ENABLE ROW LEVEL SECURITY;", f"ALTER {PRUNED} DISABLE ROW LEVEL SECURITY;", PRUNED, None)
    ],
    "ALTER TABLE consumer.pruned FORCE ROW LEVEL SECURITY": [
        (f"ALTER {PRUNED} FORCE ROW LEVEL SECURITY;", f"ALTER {PRUNED} NO FORCE ROW LEVEL SECURITY;", PRUNED, None)
    ],
    "ALTER FUNCTION consumer.trimmed LEAKPROOF": [
        (f"ALTER {TRIMMED} LEAKPROOF;", f"ALTER {TRIMMED} NOT LEAKPROOF;", TRIMMED, None)
    ],
    "ALTER FUNCTION consumer.trimmed SET search_path TO public, 'A b'": [
        (f'ALTER {TRIMMED} SET search_path TO public, "A b";', f"ALTER {TRIMMED} RESET search_path;", TRIMMED, None)
    ],
    "ALTER FUNCTION consumer.trimmed SET app.x TO 'a=b'": [
        (f"ALTER {TRIMMED} SET \"app.x\" TO 'a=b';", f'ALTER {TRIMMED} RESET "app.x";', TRIMMED, None)
    ],
    "ALTER VIEW consumer.deliveries SET (security_barrier = TRUE)": [
        (
            "ALTER TABLE consumer.deliveries SET (security_barrier=true);",
            "ALTER TABLE consumer.deliveries RESET (security_barrier);",
            "TABLE consumer.deliveries",
            None,
        )
    ],
    "REVOKE INSERT ON consumer.pruned FROM {owner}": [
        (f"REVOKE ALL ON {PRUNED} FROM CURRENT_USER;", f"GRANT ALL ON {PRUNED} TO CURRENT_USER;", PRUNED, ())
    ],
    "REVOKE USAGE ON SCHEMA identity FROM {owner}": [
        (
            "REVOKE ALL ON SCHEMA identity FROM CURRENT_USER;",
            "GRANT ALL ON SCHEMA identity TO CURRENT_USER;",
            "SCHEMA identity",
            (),
        )
    ],
    "REVOKE USAGE ON SEQUENCE consumer.edit_number FROM {owner}": [
        (f"REVOKE ALL ON {SEQUENCE} FROM CURRENT_USER;", f"GRANT ALL ON {SEQUENCE} TO CURRENT_USER;", SEQUENCE, ())
    ],
    # Nothing that is ours, or nothing that decides who may do what.
    "CREATE TABLE public.t (); GRANT ALL ON public.t TO PUBLIC; ALTER TABLE public.t ENABLE ROW LEVEL SECURITY": [],
    "CREATE FUNCTION public.f() RETURNS int RETURN 1; CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO <x>": [],
    "CREATE PROCEDURE consumer.p() BEGIN ATOMIC SELECT 1; END; GRANT ALL ON PROCEDURE consumer.p TO <x>": [],
    "CREATE AGGREGATE consumer.a(int) (SFUNC = int4pl, STYPE = int)": [],
    "CREATE TYPE consumer.pair AS (a int, b int)": [],
    "ALTER TABLE consumer.pruned SET (fillfactor = 70)": [],
}


@pytest.mark.parametrize("statement", BROUGHT)
def test_a_right_is_the_statement_that_makes_it_with_the_one_that_undoes_it(admin: Conn, statement: str) -> None:
    [(owner,)] = admin.execute("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'consumer'").fetchall()

    brought, ended = changed(admin, statement.replace("{owner}", owner))
    assert (sorted(brought), ended) == (sorted(BROUGHT[statement]), [])


def test_a_function_that_nobody_gave_rights_to_may_be_called_by_everybody(admin: Conn) -> None:
    brought, _ = changed(admin, "CREATE FUNCTION consumer.f() RETURNS int RETURN 1")

    assert [right for right in brought if right[0].startswith("GRANT")] == [
        grant("EXECUTE", "FUNCTION consumer.f()", "PUBLIC")
    ]


def test_a_right_that_another_gave_is_taken_as_that_one(admin: Conn) -> None:
    changed(admin, "GRANT SELECT ON consumer.pruned TO <x> WITH GRANT OPTION", "GRANT USAGE ON SCHEMA consumer TO <x>")

    given = "SET LOCAL ROLE <x>; GRANT SELECT ON consumer.pruned TO <y>; RESET ROLE"
    assert changed(admin, given) == ([grant("SELECT", PRUNED, "<y>", by=own("x"))], [])


def test_what_is_undone_is_read_no_more(admin: Conn) -> None:
    before = read(admin)
    for statement, rights in BROUGHT.items():
        if rights and "{owner}" not in statement:
            brought, _ = changed(admin, statement)
            for right in reversed(brought):
                admin.execute(str(right[1]).encode())
            assert read(admin) == before, statement


def test_an_object_belongs_to_the_installations_owner_or_to_another(admin: Conn) -> None:
    brought, ended = changed(admin, "ALTER TABLE consumer.pruned OWNER TO <x>")

    assert brought == [(named(f"ALTER {PRUNED} OWNER TO <x>;"), None, PRUNED, None)]
    assert ended == [(f"ALTER {PRUNED} OWNER TO CURRENT_USER;", None, PRUNED, None)]


def test_a_function_runs_with_its_owners_rights_or_its_callers(admin: Conn) -> None:
    definer, invoker = ((f"ALTER {TRIMMED} SECURITY {kind};", None, TRIMMED, None) for kind in ("DEFINER", "INVOKER"))

    assert changed(admin, "ALTER FUNCTION consumer.trimmed SECURITY DEFINER") == ([definer], [invoker])


def test_objects_of_all_kinds_that_hold_rows_are_read(admin: Conn) -> None:
    brought, _ = changed(
        admin,
        "CREATE MATERIALIZED VIEW identity.m AS SELECT 1 AS n",
        "CREATE TABLE identity.parts (n int) PARTITION BY LIST (n)",
        "CREATE SEQUENCE consumer_masked.s",
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w",
        "CREATE FOREIGN TABLE consumer.far (n int) SERVER far",
    )

    kinds = ("SEQUENCE consumer_masked.s", "TABLE consumer.far", "TABLE identity.m", "TABLE identity.parts")
    assert sorted(right[0] for right in brought) == [f"ALTER {kind} OWNER TO postgres;" for kind in kinds]


def test_of_a_role_are_read_its_might_its_memberships_and_whether_the_owner_is_it(admin: Conn) -> None:
    x, masker, other = own("x"), own("a_masker"), own("other")
    [(owner,)] = admin.execute("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'consumer'").fetchall()
    for statement in (
        f"ALTER ROLE {x} SUPERUSER BYPASSRLS CREATEROLE CREATEDB REPLICATION LOGIN",
        f"CREATE ROLE {masker}",
        f"CREATE ROLE {other} SUPERUSER",
        f"GRANT {own('y')} TO {owner}",
        f"GRANT pg_read_all_stats, pg_monitor TO {x}, {masker}, {other}",
        f"GRANT {other} TO {own('y')}",
    ):
        admin.execute(statement.encode())
    found = [right for right in read(admin, x, masker, own("y"), own("none")) if right[2] is None]

    def might(attribute: str) -> Any:
        return f"ALTER ROLE {x} {attribute};", f"ALTER ROLE {x} NO{attribute};", None, None

    def member(group: str, role: str) -> Any:
        return f"GRANT {group} TO {role};", f"REVOKE {group} FROM {role};", None, (role,)

    expected: Rights = [
        *((f"CREATE ROLE {role} NOLOGIN NOINHERIT;", None, None, None) for role in (x, own("y"), masker)),
        *(might(attribute) for attribute in ("SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION")),
        (f"GRANT {own('y')} TO CURRENT_USER;", None, None, None),
        member("pg_read_all_stats", x),
        member("pg_monitor", x),
        member("pg_monitor", masker),
        member(other, own("y")),
    ]
    assert sorted(found) == sorted(expected)


def test_without_an_installation_the_login_would_be_its_owner(server_url: str) -> None:
    with scratch_database(server_url, "without") as url, psycopg.connect(url) as conn:
        conn.execute(f"CREATE ROLE {own('x')}".encode())
        conn.execute(f"CREATE ROLE {own('y')}".encode())
        conn.execute(f"GRANT {own('x')} TO {own('y')}".encode())
        conn.execute(f"SET LOCAL ROLE {own('y')}".encode())
        found = [right[0] for right in read(conn, own("x"))]
        [owner] = conn.execute(query("privileges/owner")).fetchall()
        conn.rollback()

    assert found == [f"CREATE ROLE {own('x')} NOLOGIN NOINHERIT;", f"GRANT {own('x')} TO CURRENT_USER;"]
    assert owner[1:] == (own("y"), False, own("y"), False, own("without"))
