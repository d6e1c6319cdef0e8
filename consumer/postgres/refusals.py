"""Judgments on what the migrator's look found: each reason not to migrate, with its cure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from consumer.postgres.carried_objects import Object

VERSION_MIN = 150_000
MIGRATORS_LOGIN = "migrator's login"
# What the ledger counts and is not there, what it does not count and is there, two releases that went apart.
LEDGER_REFUSALS = (OBJECTS, UNKNOWN_OBJECTS, RELEASES) = ("missing objects", "unknown objects", "releases")
DROP = "or, if nothing there is of use to anybody, DROP SCHEMA consumer, consumer_masked, identity CASCADE"
# Shown of a list, so that a sentence stays one.
SHOWN = 3
# A table of the ledger begins so; yoyo makes these three together.
LEDGER_PREFIX = "consumer._yoyo_"
LEDGER: frozenset[Object] = frozenset(("table", LEDGER_PREFIX + name) for name in ("migration", "log", "version"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason not to migrate: what was found, and what cures it."""

    name: str
    finding: str
    cure: str

    def __str__(self) -> str:
        return f"{self.finding}: {self.cure}"


@dataclass(frozen=True, slots=True)
class MigrationTarget:
    """The server, the database, and what the login may do there."""

    version: str
    version_number: int
    encoding: str
    is_standby: bool
    database: str
    quoted_database: str
    login: str
    quoted_login: str
    may_create_schemas: bool
    may_create_roles: bool
    has_ledger: bool
    may_read_ledger: bool
    search_path: str
    languages_lacking: list[str]

    @property
    def has_membership_options(self) -> bool:
        """Since PostgreSQL 16 a membership has the options INHERIT and SET."""
        return self.version_number >= 160_000


@dataclass(frozen=True, slots=True)
class Role:
    """A role that the migrations need, and what keeps the login from using it."""

    name: str
    is_made: bool
    is_login: bool
    is_privileged: bool
    has_login: bool
    is_usable: bool


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema of ours that exists."""

    name: str
    owner: str
    is_superusers: bool
    has_owners_rights: bool
    is_member_of_owner: bool
    extension: str | None


def judge_target(target: MigrationTarget) -> list[Refusal]:
    """Judge what no right of the login can change."""
    refusals = []
    if target.version_number < VERSION_MIN:
        refusals.append(
            Refusal("server version", f"PostgreSQL {target.version} is too old", "move to PostgreSQL 15 or later")
        )
    if target.encoding != "UTF8":
        finding = f"the database {target.database} has the encoding {target.encoding}, which can't hold every name"
        refusals.append(Refusal("encoding", finding, "use a database made with ENCODING 'UTF8' TEMPLATE template0"))
    if target.is_standby:
        refusals.append(Refusal("writable", "the server is a standby", "let the URL lead to its primary"))
    return refusals


def judge_prefix(role_prefix: str, found: Sequence[str]) -> list[Refusal]:
    """Judge the prefix by those whose roles have rights in the schema consumer."""
    if not found or role_prefix in found:
        return []
    finding = f"the database was migrated under ROLE_PREFIX {' or '.join(found)}, not {role_prefix}"
    return [Refusal("role prefix", finding, "correct it")]


def judge_newer(newer: Sequence[str], pending: Sequence[str]) -> list[Refusal]:
    """Judge a ledger with migrations of another release: nothing may be added to it."""
    if not pending:
        return []
    finding = f"the database has {_listed(newer)} of another release and lacks {_listed(pending)} of this one"
    return [Refusal(RELEASES, finding, "migrate with a release that carries both")]


def judge_owners(target: MigrationTarget, schemas: Sequence[Schema]) -> list[Refusal]:
    """Judge whether the login acts with the rights of the owners of our schemas."""
    return [
        _of_owner(target, [schema for schema in schemas if schema.owner == owner])
        for owner in dict.fromkeys(schema.owner for schema in schemas if not schema.has_owners_rights)
    ]


def judge_ledger_rights(target: MigrationTarget) -> list[Refusal]:
    """Judge a login that acts as the owner of the schemas and still may not read the ledger."""
    finding = f"the login {target.login} may not read the ledger consumer._yoyo_migration"
    cure = f"GRANT SELECT ON ALL TABLES IN SCHEMA consumer TO {target.quoted_login}, as their owner"
    return [Refusal(MIGRATORS_LOGIN, finding, cure)]


def judge_objects(
    existing: Collection[Object], made: Collection[Object], to_make: Collection[Object], schemas: Sequence[Schema]
) -> list[Refusal]:
    """Judge the objects in our schemas by those that the ledger counts as *made* and those of pending migrations."""
    refusals = [_of_extension(schema) for schema in schemas if schema.extension]
    strangers = {one for one in existing if not one[1].startswith(LEDGER_PREFIX)}
    ledger = LEDGER & set(existing)
    missing = set(made) - strangers | (LEDGER - ledger if ledger else set())
    if missing:
        finding = f"of what the ledger counts as made there is no {_named(missing)}"
        refusals.append(Refusal(OBJECTS, finding, f"restore the backup whole (docs/recovery/restore.md); {DROP}"))
    if not made and not any(_schema(one) == "consumer" for one in existing) and strangers & set(to_make):
        finding = f"the schema identity holds what an installation left behind ({_named(strangers)})"
        cure = "rename it (ALTER SCHEMA identity RENAME TO …), or use another database"
        return [*refusals, Refusal("schemas", finding, cure)]
    if ours := strangers & set(to_make):
        finding = f"the ledger does not know of what is there ({_named(ours)})"
        return [*refusals, Refusal(UNKNOWN_OBJECTS, finding, f"restore the ledger too; {DROP}")]
    for name in sorted({_schema(one) for one in to_make} - {_schema(one) for one in made}):
        if theirs := {one for one in strangers if _schema(one) == name}:
            finding = f"the schema {name} is taken: it holds what is not ours ({_named(theirs)})"
            cure = f"rename it (ALTER SCHEMA {name} RENAME TO …), empty it, or use another database"
            refusals.append(Refusal("schemas", finding, cure))
    return refusals


def judge_rights(
    target: MigrationTarget, roles: Sequence[Role], schemas: Sequence[Schema], *, is_first: bool
) -> list[Refusal]:
    """Judge what the login needs for pending migrations; the roles themselves only before the first one."""
    login, existing = target.quoted_login, {schema.name for schema in schemas}
    lacking = [name for name in ("consumer", "consumer_masked", "identity") if name not in existing]
    refusals = []
    if lacking and not target.may_create_schemas:
        finding = f"the login {target.login} may not create the schemas {_listed(lacking)}"
        cure = f"GRANT CREATE ON DATABASE {target.quoted_database} TO {login}"
        refusals.append(Refusal(MIGRATORS_LOGIN, finding, cure))
    refusals += judge_owners(target, schemas)
    if target.languages_lacking:
        names = _listed(target.languages_lacking)
        finding = f"the login {target.login} may not write functions in {names}"
        refusals.append(Refusal(MIGRATORS_LOGIN, finding, f"GRANT USAGE ON LANGUAGE {names} TO {login}"))
    return refusals + _judge_roles(target, roles, is_first=is_first)


def _judge_roles(target: MigrationTarget, roles: Sequence[Role], *, is_first: bool) -> list[Refusal]:
    login, refusals = target.quoted_login, []
    to_make = [role.name for role in roles if not role.is_made]
    if to_make and not target.may_create_roles:
        finding = f"the login {target.login} may not create the roles {_listed(to_make)}"
        cure = f"ALTER ROLE {login} CREATEROLE, or let them be made and granted to it beforehand"
        refusals.append(Refusal(MIGRATORS_LOGIN, finding, cure))
    if is_first and (taken := [role.name for role in roles if role.is_login or role.is_privileged]):
        finding = f"the roles {_listed(taken)} are logins, superusers or BYPASSRLS: their sessions would get our rights"
        cure = "set another ROLE_PREFIX, or ALTER ROLE … NOLOGIN NOSUPERUSER NOBYPASSRLS"
        refusals.append(Refusal("roles", finding, cure))
    if members := [role.name for role in roles if role.has_login]:
        finding = f"the roles {_listed(members)} are members of the login {target.login}, which must become theirs"
        refusals.append(Refusal("roles", finding, f"REVOKE {login} FROM {_listed(members)}"))
    if unusable := [role.name for role in roles if role.is_made and not role.is_usable]:
        finding = f"the login {target.login} can't act as the roles {_listed(unusable)}, which somebody else made"
        options = " WITH INHERIT TRUE, SET TRUE" if target.has_membership_options else ""
        cure = f"GRANT {_listed(unusable)} TO {login}{options}, or set another ROLE_PREFIX for another installation"
        refusals.append(Refusal("roles", finding, cure))
    return refusals


def _of_owner(target: MigrationTarget, schemas: Sequence[Schema]) -> Refusal:
    owner, login = schemas[0].owner, target.quoted_login
    names = _listed([schema.name for schema in schemas])
    finding = f"the login {target.login} lacks the rights of {owner}, the owner of the schema {names}"
    if schemas[0].is_superusers:
        return Refusal(MIGRATORS_LOGIN, finding, "migrate as the owner")
    if not schemas[0].is_member_of_owner:
        cure = f"GRANT {owner} TO {login}"
    elif target.has_membership_options:
        cure = f"GRANT {owner} TO {login} WITH INHERIT TRUE"
    else:
        cure = f"ALTER ROLE {login} INHERIT"
    return Refusal(MIGRATORS_LOGIN, finding, f"{cure}, or migrate as the owner")


def _of_extension(schema: Schema) -> Refusal:
    finding = f"the schema {schema.name} belongs to the extension {schema.extension}"
    return Refusal("schemas", finding, "use another database, or drop the extension")


def judge_search_path(target: MigrationTarget) -> list[Refusal]:
    """Warn if sessions of this login would make an application's tables in a schema of ours."""
    names = [name.strip().strip('"').replace("$user", target.login) for name in target.search_path.split(",")]
    if not (ours := next((name for name in names if name in {"consumer", "consumer_masked", "identity"}), None)):
        return []
    finding = (
        f"the search_path of the login {target.login} ({target.search_path}) reaches the schema {ours}, "
        "so an application with this login finds and makes tables there"
    )
    path = "public" if target.login == ours else "the schemas of the application"
    cure = f"ALTER ROLE {target.quoted_login} SET search_path = {path}; or give the application another login"
    return [Refusal("search_path", finding, cure)]


def _schema(one: Object) -> str:
    return one[1].split(".")[0]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _named(objects: Collection[Object]) -> str:
    shown = [f"{kind} {name}" for kind, name in sorted(objects)]
    more = len(shown) - SHOWN
    return _listed(shown[:SHOWN]) + (f" and {more} more" if more > 0 else "")
