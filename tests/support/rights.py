"""Rights as the catalogue has them, and the ways in which somebody damages them."""

import random
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psycopg

from consumer.postgres.preflight import DUTIES
from consumer.postgres.privileges import declared

QUERY = (Path(__file__).parents[1] / "data" / "privileges.sql").read_bytes()
PREFIX = "mended"
ROLES = [f"{PREFIX}_{duty}" for duty in DUTIES]
OWNER = "mended_owner"
# Roles that are none of ours: two that nobody should have granted anything, and an application's.
VISITORS = ("anon", "authenticated")
READER = "Mended-Reader"
STATEMENTS = declared(PREFIX)
TABLES = [f"identity.{name}" for name in ("companies", "company_members", "profile_audit", "profiles")]
OBJECTS = [match[1] for match in map(re.compile(r"ALTER (.*) OWNER TO").match, STATEMENTS) if match]
FUNCTIONS = [name for name in OBJECTS if name.startswith("FUNCTION")]
DEFINERS = [match[1] for match in map(re.compile(r"ALTER (.*) OWNER TO mended_definer").match, STATEMENTS) if match]
GRANTS = [statement for statement in STATEMENTS if re.match("GRANT .* ON ", statement)]
POLICIES = [match[1] for match in map(re.compile(r"CREATE POLICY (\w+ ON \S+)").match, STATEMENTS) if match]
Damage = Callable[[random.Random], str]


def catalogue(url: str, roles: Sequence[str]) -> list[str]:
    """Return one line for each right of a database, as tests/data/privileges.sql says it."""
    with psycopg.connect(url) as conn:
        found = conn.execute(QUERY, {"roles": list(roles)}).fetchall()
    return sorted({" ".join(line.split()) for (line,) in found})


def grantees(chance: random.Random) -> str:
    return chance.choice(["PUBLIC", *VISITORS, f'"{READER}"', *ROLES])


def privilege(name: str) -> str:
    """Return a privilege that objects of this kind have."""
    return {"FUNCTION": "EXECUTE", "SCHEMA": "CREATE", "SEQUENCE": "UPDATE"}.get(name.split(maxsplit=1)[0], "SELECT")


def granted(chance: random.Random) -> str:
    name = chance.choice(OBJECTS)
    option = " WITH GRANT OPTION" if (grantee := grantees(chance)) != "PUBLIC" and chance.random() < 0.3 else ""
    return f"GRANT {privilege(name)} ON {name} TO {grantee}{option}"


def column_granted(chance: random.Random) -> str:
    return f"GRANT UPDATE (id), SELECT (id) ON identity.companies TO {grantees(chance)}"


def revoked(chance: random.Random) -> str:
    return chance.choice(GRANTS).replace("GRANT ", "REVOKE ", 1).replace(" TO ", " FROM ").replace(";", " CASCADE;")


def all_revoked(chance: random.Random) -> str:
    schema = chance.choice(["consumer", "identity"])
    kind = chance.choice(["TABLES", "FUNCTIONS", "SEQUENCES"])
    return f"REVOKE ALL ON ALL {kind} IN SCHEMA {schema} FROM {', '.join(ROLES)} CASCADE"


def owner_bereft(chance: random.Random) -> str:
    return f"REVOKE ALL ON TABLE {chance.choice(TABLES)} FROM {OWNER}"


def policy_dropped(chance: random.Random) -> str:
    return f"DROP POLICY IF EXISTS {chance.choice(POLICIES)}"


def policy_changed(chance: random.Random) -> str:
    """Make a policy of this name anew, wrong in its command, its role or its condition."""
    policy = chance.choice(POLICIES)
    wrong = chance.choice(["USING (FALSE)", "TO mended_tenant USING (TRUE)", "FOR UPDATE TO mended_app USING (TRUE)"])
    return f"DROP POLICY IF EXISTS {policy}; CREATE POLICY {policy} {wrong}"


def policy_added(chance: random.Random) -> str:
    table, number = chance.choice(TABLES), chance.randrange(10**9)
    grantee = chance.choice(["PUBLIC", "anon", "authenticated, anon", f'"{READER}"', f'mended_tenant, "{READER}"'])
    kind = chance.choice(["", "AS RESTRICTIVE "])
    return f'CREATE POLICY "Added {number}" ON {table} {kind}FOR SELECT TO {grantee} USING (TRUE)'


def row_level_security_switched(chance: random.Random) -> str:
    table = chance.choice([*TABLES, "consumer.pending"])
    return f"ALTER TABLE {table} {chance.choice(['NO FORCE', 'FORCE', 'DISABLE', 'ENABLE'])} ROW LEVEL SECURITY"


def function_changed(chance: random.Random) -> str:
    how = chance.choice(
        ["SECURITY INVOKER", "SECURITY DEFINER", "RESET ALL", "SET search_path TO public", "SET jit TO on"]
    )
    return f"ALTER {chance.choice(FUNCTIONS)} {how}"


def view_changed(chance: random.Random) -> str:
    view = chance.choice(["consumer.deliveries", "consumer.queue_stats", "identity.profiles_needing_sync"])
    return f"ALTER VIEW {view} {chance.choice(['RESET (security_invoker)', 'SET (security_barrier = true)'])}"


def definer_replaced(chance: random.Random) -> str:
    """Let a function belong to the owner, as pg_restore --no-owner does."""
    return f"ALTER {chance.choice(DEFINERS)} OWNER TO {OWNER}"


def all_definers_replaced(_: random.Random) -> str:
    return ";".join(f"ALTER {name} OWNER TO {OWNER}" for name in DEFINERS)


def role_dropped(chance: random.Random) -> str:
    """Drop a role with all that was granted to it, as a restore on another server does."""
    role = chance.choice(ROLES)
    return f"REASSIGN OWNED BY {role} TO {OWNER}; DROP OWNED BY {role}; DROP ROLE {role}"


def owner_changed(chance: random.Random) -> str:
    name = chance.choice([name for name in OBJECTS if name != "SCHEMA consumer" and not name.startswith("SEQUENCE")])
    return f"ALTER {name} OWNER TO {chance.choice([*ROLES, chr(34) + READER + chr(34), 'postgres'])}"


def role_changed(chance: random.Random) -> str:
    attribute = chance.choice(["SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION"])
    return f"ALTER ROLE {chance.choice(ROLES)} {attribute}"


def member_added(chance: random.Random) -> str:
    role, member = chance.sample(ROLES, 2)
    return f"GRANT {role} TO {member}"


# What an owner that is no superuser can mend; a superuser can mend the rest too.
OF_OWNER: Sequence[Damage] = (
    granted,
    column_granted,
    revoked,
    all_revoked,
    owner_bereft,
    policy_dropped,
    policy_changed,
    policy_added,
    row_level_security_switched,
    function_changed,
    view_changed,
    definer_replaced,
    all_definers_replaced,
    role_dropped,
)
DAMAGES: Sequence[Damage] = (*OF_OWNER, owner_changed, role_changed, member_added)


def of_others(damaged: Iterable[str]) -> set[str]:
    """Return those lines that mending leaves: what a named role was granted, its policies, and its memberships."""
    everything = set(damaged)
    owners = {line.replace(": owner ", ": ") for line in everything if ": owner " in line}
    granted = re.compile(
        r"(schema|table|view|sequence|column|function) .*"
        r": (?!PUBLIC|anon|authenticated|owner|SECURITY)\S+ [A-Z]+( WITH GRANT OPTION)?$"
    )
    return {
        line
        for line in everything
        if (granted.match(line) and not any(line.startswith(f"{owner} ") for owner in owners))
        or re.match(r"policy \S+ Added .*: .* TO .*Mended", line)
        or re.match(r"role \S+: member ", line)
    }
