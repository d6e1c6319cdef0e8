"""Roles, owners, row-level security, policies and grants: what sql/privileges.sql declares, and what the database has.

Both are sets of the same statements, so a difference is text to execute, or to paste.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from psycopg.rows import class_row, scalar_row, tuple_row

from consumer.postgres.connections import Connection
from consumer.postgres.migrations import renamed
from consumer.postgres.preflight import DUTIES
from consumer.postgres.queries import query, rows, sql_root

# Nobody of ours: whatever they were given on our objects is taken back.
STRANGERS = frozenset({"PUBLIC", "anon", "authenticated"})
OWNER = re.compile(r"\bCURRENT_USER;$")
MEMBERSHIP = re.compile(r"GRANT \w+ TO CURRENT_USER;")
# Roles and owners come first, because the rest refers to them, and schemas, because a role without USAGE finds nothing.
FIRST = re.compile(r"CREATE ROLE |GRANT \w+ TO |ALTER .* OWNER TO |GRANT .* ON SCHEMA ")
OWNED = re.compile(r"ALTER (.*) OWNER TO (\w+);")
CREATE = "CREATE ON SCHEMA consumer, consumer_masked, identity"
POLICY = re.compile(r"CREATE (POLICY .*? ON \S+)")


@dataclass(frozen=True, slots=True)
class Right:
    """A statement that holds in the database; *undo* ends that, and is None where another declared right does.

    *grantees* are the roles concerned, of grants and policies only.
    """

    statement: str
    undo: str | None
    object: str | None
    grantees: list[str] | None


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of schema consumer, by its quoted name, and the login that would mend the rights."""

    version_number: int
    name: str
    is_creator: bool
    login: str
    is_superuser: bool
    database: str


@dataclass(frozen=True, slots=True)
class Differences:
    """What to undo and to do, in this order, so that the database is as declared; what others gave is left as it is.

    *owning_roles*: the role of each object that does not belong to the installation's owner.
    """

    undone: list[Right]
    lacking: list[str]
    left: list[Right]
    roles: frozenset[str]
    absent: frozenset[str]
    owning_roles: Mapping[str, str]
    owner: Owner

    @property
    def statements(self) -> list[str]:
        """The statements to paste, in the order in which they work."""
        return self.first + self.later

    @property
    def first(self) -> list[str]:
        """The statements on roles, schemas and owners: the owner of an object decides what is lacking of it."""
        first = [self._written(statement) for statement in self.lacking if FIRST.match(statement)]
        owners = [statement for statement in first if " OWNER TO " in statement]
        others = [statement for statement in first if statement not in owners]
        # The new owner of an object must be able to create in its schema at that moment.
        roles = sorted(set(self.owning_roles.values()))
        gaining = [role for role in roles if any(statement.endswith(f" OWNER TO {role};") for statement in owners)]
        return [
            *others,
            *(f"GRANT {CREATE} TO {role};" for role in gaining),
            *owners,
            *(f"REVOKE {CREATE} FROM {role};" for role in gaining),
        ]

    @property
    def later(self) -> list[str]:
        """The other statements; only its owner may change an object."""
        undone = [right.undo for right in self.undone if right.undo]
        lacking = [statement for statement in self.lacking if not FIRST.match(statement)]
        return [self._as_owner(self._written(statement)) for statement in chain(undone, lacking)]

    @property
    def owners(self) -> list[str]:
        """The statements that change owners."""
        return [statement for statement in self.first if " OWNER TO " in statement or CREATE in statement]

    @property
    def further(self) -> list[Right]:
        """What our roles were granted beyond what is declared."""
        return [right for right in self.left if self.roles.intersection(right.grantees or [])]

    @property
    def others(self) -> list[str]:
        """What others were granted, as statements."""
        return [right.statement for right in self.left]

    def matching(self, pattern: str) -> list[str]:
        """Return the statements whose beginning matches a pattern, except those on objects that are absent."""
        return [
            statement
            for statement in self.statements
            if re.match(rf"(?:SET ROLE \S+; )?(?:{pattern})", statement)
            and CREATE not in statement
            and not any(_is_about(statement, name) for name in self.absent)
        ]

    def _as_owner(self, statement: str) -> str:
        roles = (role for name, role in self.owning_roles.items() if _is_about(statement, name))
        role = next(roles, None)
        return f"SET ROLE {role}; {statement} RESET ROLE;" if role else statement

    def _written(self, statement: str) -> str:
        """Return a statement for this owner and its server's version."""
        if MEMBERSHIP.fullmatch(statement):
            return statement.replace(" CURRENT_USER;", f" {self.owner.name}{self._member_options};")
        return OWNER.sub(f"{self.owner.name};", statement)

    @property
    def _member_options(self) -> str:
        """Return a grant's options: since PostgreSQL 16 a member may lack the right to take or to grant its role."""
        if self.owner.version_number < 160_000:
            return ""
        is_for_creator = self.owner.is_superuser and self.owner.is_creator
        return " WITH SET TRUE, ADMIN TRUE" if is_for_creator else " WITH SET TRUE"


def _is_about(statement: str, name: str) -> bool:
    """Tell whether a statement is about an object, of which a policy names only the table."""
    return f" {name} " in statement or f" ON {name.removeprefix('TABLE ')} " in statement


def declared(role_prefix: str) -> list[str]:
    """Return the statements of this release, with its roles under *role_prefix*."""
    text = renamed((sql_root() / "privileges.sql").read_text(), role_prefix)
    return [line for line in text.splitlines() if line and not line.startswith("--")]


async def differences(conn: Connection, role_prefix: str) -> Differences:
    """Compare the database with this release; any login may. *left* is sorted; nothing is locked."""
    async with conn.transaction():
        await conn.execute(query("privileges/plain_names"))
        roles = [f"{role_prefix}_{duty}" for duty in DUTIES]
        found = await rows(conn, class_row(Right), "privileges/read", {"roles": roles})
        [owner] = await rows(conn, class_row(Owner), "privileges/owner")
    return _compare(declared(role_prefix), found, owner, roles)


def _compare(wanted: list[str], found: list[Right], owner: Owner, roles: list[str]) -> Differences:
    owners = {match[1]: match[2] for match in map(OWNED.fullmatch, wanted) if match}
    policies = {match[1] for match in map(POLICY.match, wanted) if match}
    extra = [right for right in found if right.undo and right.statement not in set(wanted)]
    known = {right.statement for right in found}

    def is_ours(right: Right) -> bool:
        if right.object is not None and right.object not in owners:
            return False
        policy = POLICY.match(right.statement)
        return right.grantees is None or STRANGERS.issuperset(right.grantees) or bool(policy and policy[1] in policies)

    return Differences(
        undone=[right for right in extra if is_ours(right)],
        lacking=[statement for statement in wanted if statement not in known],
        left=[right for right in extra if not is_ours(right)],
        roles=frozenset(roles),
        absent=frozenset(owners.keys() - {right.object for right in found}),
        owning_roles={name: role for name, role in owners.items() if role != "CURRENT_USER"},
        owner=owner,
    )


async def ungranted(conn: Connection, role_prefix: str) -> tuple[str, str] | None:
    """Return the roles of ours that this login should be able to grant and may not, and a superuser's cure."""
    roles = [f"{role_prefix}_{duty}" for duty in DUTIES]
    return next(iter(await rows(conn, tuple_row, "privileges/ungranted", {"roles": roles})), None)


async def grant_role(conn: Connection, role: str) -> str:
    """Return the statement that lets this login act as a role."""
    [statement] = await rows(conn, scalar_row, "privileges/grant_role", {"role": role})
    return str(statement)
