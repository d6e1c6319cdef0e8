"""The judgments on what the look found: each reason with its exact words, and what is no reason."""

from dataclasses import replace

import pytest

from consumer.postgres.refusals import (
    LEDGER,
    MigrationTarget,
    Refusal,
    Role,
    Schema,
    judge_ledger_rights,
    judge_newer,
    judge_objects,
    judge_owners,
    judge_prefix,
    judge_rights,
    judge_search_path,
    judge_target,
)

DROP = "or, if nothing there is of use to anybody, DROP SCHEMA consumer, consumer_masked, identity CASCADE"
RESTORE = f"restore the backup whole (docs/recovery/restore.md); {DROP}"
TARGET = MigrationTarget(
    version="18.1",
    version_number=180_001,
    encoding="UTF8",
    is_standby=False,
    database="My App",
    quoted_database='"My App"',
    login="De Ploy",
    quoted_login='"De Ploy"',
    may_create_schemas=True,
    may_create_roles=True,
    has_ledger=True,
    may_read_ledger=True,
    search_path='"$user", public',
    languages_lacking=[],
)
ROLE = Role("c_worker", is_made=True, is_login=False, is_privileged=False, has_login=False, is_usable=True)
OURS = Schema("consumer", "own", is_superusers=False, has_owners_rights=True, is_member_of_owner=True, extension=None)
SCHEMAS = [OURS, replace(OURS, name="consumer_masked"), replace(OURS, name="identity")]


def told(refusals: list[Refusal]) -> list[tuple[str, str, str]]:
    return [(refusal.name, refusal.finding, refusal.cure) for refusal in refusals]


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ({}, []),
        ({"version_number": 150_000, "version": "15.0"}, []),
        (
            {"version_number": 149_999, "version": "14.99"},
            [("server version", "PostgreSQL 14.99 is too old", "move to PostgreSQL 15 or later")],
        ),
        (
            {"encoding": "LATIN1"},
            [
                (
                    "encoding",
                    "the database My App has the encoding LATIN1, which can't hold every name",
                    "use a database made with ENCODING 'UTF8' TEMPLATE template0",
                )
            ],
        ),
        ({"is_standby": True}, [("writable", "the server is a standby", "let the URL lead to its primary")]),
    ],
)
def test_a_target_is_new_enough_and_holds_every_name_and_can_be_written(
    change: dict[str, object], reasons: list[tuple[str, str, str]]
) -> None:
    assert told(judge_target(replace(TARGET, **change))) == reasons  # type: ignore[arg-type]


def test_a_prefix_is_one_of_those_that_the_database_was_migrated_under() -> None:
    assert judge_prefix("c", []) == judge_prefix("c", ["c"]) == judge_prefix("c", ["b", "c"]) == []
    finding = "the database was migrated under ROLE_PREFIX a or b, not c"
    assert told(judge_prefix("c", ["a", "b"])) == [("role prefix", finding, "correct it")]


def test_a_ledger_of_another_release_may_have_all_of_this_one() -> None:
    assert judge_newer(["0099.x"], []) == []
    finding = "the database has 0098.x, 0099.x of another release and lacks 0001.a, 0002.b of this one"
    assert told(judge_newer(["0098.x", "0099.x"], ["0001.a", "0002.b"])) == [
        ("releases", finding, "migrate with a release that carries both")
    ]


LACKS = "the login De Ploy lacks the rights of own, the owner of the schema consumer, identity"
BARRED = replace(OURS, has_owners_rights=False)


@pytest.mark.parametrize(
    ("schema", "version", "cure"),
    [
        (replace(BARRED, is_superusers=True), 180_001, "migrate as the owner"),
        (replace(BARRED, is_member_of_owner=False), 180_001, 'GRANT own TO "De Ploy", or migrate as the owner'),
        (BARRED, 160_000, 'GRANT own TO "De Ploy" WITH INHERIT TRUE, or migrate as the owner'),
        (BARRED, 159_999, 'ALTER ROLE "De Ploy" INHERIT, or migrate as the owner'),
    ],
)
def test_a_login_needs_the_rights_of_the_owner_of_each_schema(schema: Schema, version: int, cure: str) -> None:
    target = replace(TARGET, version_number=version)
    schemas = [schema, replace(schema, name="identity"), replace(OURS, owner="other")]

    assert told(judge_owners(target, schemas)) == [("migrator's login", LACKS, cure)]
    assert judge_owners(target, SCHEMAS) == []


def test_each_owner_whose_rights_are_lacking_is_told_once() -> None:
    schemas = [BARRED, replace(BARRED, name="consumer_masked", owner="second"), replace(BARRED, name="identity")]

    assert [refusal.finding for refusal in judge_owners(TARGET, schemas)] == [
        LACKS,
        "the login De Ploy lacks the rights of second, the owner of the schema consumer_masked",
    ]


def test_a_ledger_that_cannot_be_read_has_its_grant() -> None:
    assert str(Refusal("name", "it lacks a table", "make it")) == "it lacks a table: make it"
    assert told(judge_ledger_rights(TARGET)) == [
        (
            "migrator's login",
            "the login De Ploy may not read the ledger consumer._yoyo_migration",
            'GRANT SELECT ON ALL TABLES IN SCHEMA consumer TO "De Ploy", as their owner',
        )
    ]


A, B, C, D, E = (("table", f"consumer.{letter}") for letter in "abcde")


def test_what_the_ledger_counts_and_nothing_else_is_no_reason() -> None:
    extra = {("table", "consumer.other"), ("table", "identity.other")}
    assert judge_objects(set(), set(), {A}, []) == []
    assert judge_objects({A, B} | LEDGER | extra, {A, B}, {C}, SCHEMAS) == []
    assert judge_objects({A} | LEDGER | {("table", "consumer._yoyo_record")}, {A}, set(), SCHEMAS) == []


def test_what_the_ledger_counts_must_be_there() -> None:
    finding = "of what the ledger counts as made there is no table consumer.a, table consumer.b, table consumer.c"
    assert told(judge_objects(LEDGER, {A, B, C}, set(), SCHEMAS)) == [("missing objects", finding, RESTORE)]
    [four] = judge_objects(LEDGER, {A, B, C, D}, set(), SCHEMAS)
    assert four.finding == f"{finding} and 1 more"
    assert told(judge_objects(LEDGER, {A, B, C, D, E}, set(), SCHEMAS)) == [
        ("missing objects", f"{finding} and 2 more", RESTORE)
    ]


@pytest.mark.parametrize("name", ["migration", "log", "version"])
def test_a_part_of_the_ledger_is_missed_beside_the_others(name: str) -> None:
    lost = ("table", f"consumer._yoyo_{name}")
    finding = f"of what the ledger counts as made there is no table consumer._yoyo_{name}"

    assert told(judge_objects(LEDGER - {lost} | {A}, {A}, set(), SCHEMAS)) == [("missing objects", finding, RESTORE)]


PEOPLE, VIEW = ("table", "identity.people"), ("view", "identity.a_view")


def test_what_an_uninstalled_one_left_in_identity_is_told_as_such() -> None:
    finding = "the schema identity holds what an installation left behind (table identity.people, view identity.a_view)"
    cure = "rename it (ALTER SCHEMA identity RENAME TO …), or use another database"

    assert told(judge_objects({PEOPLE, VIEW}, set(), {A, PEOPLE}, SCHEMAS)) == [("schemas", finding, cure)]


@pytest.mark.parametrize("is_begun", [True, False], ids=["some are made", "something of consumer is there"])
def test_what_pending_migrations_make_must_not_be_there(is_begun: bool) -> None:
    made, there = ({A}, {A, PEOPLE} | LEDGER) if is_begun else (set(), {PEOPLE, B})
    finding = "the ledger does not know of what is there (table identity.people)"

    found = told(judge_objects(there, made, {PEOPLE}, SCHEMAS))

    assert found == [("unknown objects", finding, f"restore the ledger too; {DROP}")]


def test_a_schema_that_is_yet_to_be_used_must_be_empty_and_one_in_use_need_not() -> None:
    other = ("table", "identity.other")
    finding = "the schema identity is taken: it holds what is not ours (table identity.other)"
    cure = "rename it (ALTER SCHEMA identity RENAME TO …), empty it, or use another database"

    assert told(judge_objects({other}, set(), {A, PEOPLE}, SCHEMAS)) == [("schemas", finding, cure)]
    assert told(judge_objects({other, A} | LEDGER, {A}, {PEOPLE}, SCHEMAS)) == [("schemas", finding, cure)]
    assert judge_objects({other, A, PEOPLE} | LEDGER, {A, PEOPLE}, {VIEW}, SCHEMAS) == []
    both = judge_objects({other, ("table", "consumer.x")}, set(), {A, PEOPLE}, SCHEMAS)
    assert [refusal.finding.split(" is taken")[0] for refusal in both] == ["the schema consumer", "the schema identity"]


def test_a_schema_of_an_extension_is_refused_beside_the_rest() -> None:
    schemas = [replace(OURS, extension="hstore"), OURS]
    extension = (
        "schemas",
        "the schema consumer belongs to the extension hstore",
        "use another database, or drop the extension",
    )

    assert told(judge_objects(set(), set(), {A}, schemas)) == [extension]
    assert [refusal.name for refusal in judge_objects({PEOPLE}, set(), {PEOPLE}, schemas)] == ["schemas", "schemas"]
    assert [refusal.name for refusal in judge_objects({PEOPLE, A}, set(), {PEOPLE}, schemas)] == [
        "schemas",
        "unknown objects",
    ]


def rights(target: MigrationTarget = TARGET, *roles: Role, is_first: bool = True) -> list[tuple[str, str, str]]:
    return told(judge_rights(target, roles, SCHEMAS, is_first=is_first))


def test_a_login_that_may_do_all_is_not_refused() -> None:
    assert rights(TARGET, ROLE) == []
    assert told(judge_rights(TARGET, [], [], is_first=True)) == []
    assert told(judge_rights(replace(TARGET, may_create_schemas=False), [], SCHEMAS, is_first=True)) == []


def test_schemas_that_are_lacking_need_the_right_to_create_them() -> None:
    barred = replace(TARGET, may_create_schemas=False)
    cure = 'GRANT CREATE ON DATABASE "My App" TO "De Ploy"'

    for there, lacking in (([], "consumer, consumer_masked, identity"), ([OURS, SCHEMAS[2]], "consumer_masked")):
        finding = f"the login De Ploy may not create the schemas {lacking}"
        assert told(judge_rights(barred, [], there, is_first=True)) == [("migrator's login", finding, cure)]


def test_languages_that_may_not_be_used_are_granted() -> None:
    target = replace(TARGET, languages_lacking=["plpgsql", "sql"])
    finding = "the login De Ploy may not write functions in plpgsql, sql"

    assert rights(target) == [("migrator's login", finding, 'GRANT USAGE ON LANGUAGE plpgsql, sql TO "De Ploy"')]


def test_the_rights_of_the_owners_are_needed_too() -> None:
    assert [finding for _, finding, _ in told(judge_rights(TARGET, [], [BARRED], is_first=False))] == [
        "the login De Ploy lacks the rights of own, the owner of the schema consumer"
    ]


def test_roles_that_are_not_made_need_the_right_to_make_them() -> None:
    missing = [replace(ROLE, name=name, is_made=False, is_usable=False) for name in ("c_app", "c_tenant")]
    cure = 'ALTER ROLE "De Ploy" CREATEROLE, or let them be made and granted to it beforehand'

    assert rights(TARGET, *missing) == []
    assert rights(replace(TARGET, may_create_roles=False), ROLE) == []
    assert rights(replace(TARGET, may_create_roles=False), ROLE, *missing) == [
        ("migrator's login", "the login De Ploy may not create the roles c_app, c_tenant", cure)
    ]


@pytest.mark.parametrize("role", [replace(ROLE, is_login=True), replace(ROLE, is_privileged=True)])
def test_before_the_first_migration_a_role_of_ours_is_no_login_and_not_mighty(role: Role) -> None:
    finding = "the roles c_worker are logins, superusers or BYPASSRLS: their sessions would get our rights"
    cure = "set another ROLE_PREFIX, or ALTER ROLE … NOLOGIN NOSUPERUSER NOBYPASSRLS"

    assert rights(TARGET, role) == [("roles", finding, cure)]
    assert rights(TARGET, role, is_first=False) == []


def test_a_role_that_is_a_member_of_the_login_is_refused() -> None:
    finding = "the roles c_worker are members of the login De Ploy, which must become theirs"

    assert rights(TARGET, replace(ROLE, has_login=True)) == [("roles", finding, 'REVOKE "De Ploy" FROM c_worker')]


@pytest.mark.parametrize(("version", "options"), [(160_000, " WITH INHERIT TRUE, SET TRUE"), (159_999, "")])
def test_a_role_that_somebody_else_made_is_granted(version: int, options: str) -> None:
    target, role = replace(TARGET, version_number=version), replace(ROLE, is_usable=False)
    finding = "the login De Ploy can't act as the roles c_worker, which somebody else made"
    cure = f'GRANT c_worker TO "De Ploy"{options}, or set another ROLE_PREFIX for another installation'

    assert rights(target, role) == [("roles", finding, cure)]


@pytest.mark.parametrize(
    ("path", "login", "reached", "cured"),
    [
        ('"$user", public', "deploy", None, ""),
        ('"$user", public', "consumer", "consumer", "public"),
        ('"$user",public', "identity", "identity", "public"),
        ("public, consumer_masked", "deploy", "consumer_masked", "the schemas of the application"),
        ('public,"identity" , consumer', "deploy", "identity", "the schemas of the application"),
        ("consumers, public", "deploy", None, ""),
        ("", "consumer", None, ""),
    ],
)
def test_a_search_path_that_reaches_a_schema_of_ours_is_told(
    path: str, login: str, reached: str | None, cured: str
) -> None:
    found = told(judge_search_path(replace(TARGET, search_path=path, login=login, quoted_login=f"<{login}>")))

    finding = (
        f"the search_path of the login {login} ({path}) reaches the schema {reached}, "
        "so an application with this login finds and makes tables there"
    )
    cure = f"ALTER ROLE <{login}> SET search_path = {cured}; or give the application another login"
    assert found == ([("search_path", finding, cure)] if reached else [])
