"""Which rights are undone, lacking or left, in which order, and in which words for which owner and server."""

from dataclasses import replace
from unittest.mock import AsyncMock

import pytest
from psycopg.errors import LockNotAvailable

from consumer.postgres import mend
from consumer.postgres.connections import connect, operator_access
from consumer.postgres.mend import MayNotMend, RightsHeld
from consumer.postgres.privileges import Differences, Owner, Right, _compare, declared

OWNER = Owner(180_001, '"own er"', is_creator=False, login="me", is_superuser=True, database="db")
# Nothing is made: these are texts.
APP = "p_app"
ROLES = ["p_worker", APP]
TABLE, OTHER, SCHEMA = "TABLE consumer.t", "TABLE consumer.u", "SCHEMA consumer"
OWN_TABLE, OWN_OTHER = f"ALTER {TABLE} OWNER TO CURRENT_USER;", f"ALTER {OTHER} OWNER TO p_worker;"
GRANT = f"GRANT SELECT ON {TABLE} TO p_app;"
ON_SCHEMA = f"GRANT USAGE ON {SCHEMA} TO p_app;"
CREATE, MEMBER = f"CREATE ROLE {APP} NOLOGIN NOINHERIT;", "GRANT p_app TO CURRENT_USER;"
POLICY = "CREATE POLICY worker ON consumer.u FOR SELECT TO p_worker USING (true);"
WANTED = [CREATE, MEMBER, OWN_TABLE, OWN_OTHER, f"ALTER {SCHEMA} OWNER TO CURRENT_USER;", ON_SCHEMA, GRANT, POLICY]


def right(statement: str, object: str | None, *grantees: str, undo: str | None = "") -> Right:  # noqa: A002
    undone = f"UNDO {statement}" if undo == "" else undo
    return Right(statement, undone, object, list(grantees) or None)


FOUND = [
    right(CREATE, None, undo=None),
    right(MEMBER, None, undo=None),
    right(OWN_TABLE, TABLE, undo=None),
    right(OWN_OTHER, OTHER, undo=None),
    right(f"ALTER {SCHEMA} OWNER TO CURRENT_USER;", SCHEMA, undo=None),
    right(ON_SCHEMA, SCHEMA, "p_app"),
    right(GRANT, TABLE, "p_app"),
    right(POLICY, OTHER, "p_worker"),
]


def compared(*found: Right, without: tuple[str, ...] = (), owner: Owner = OWNER) -> Differences:
    kept = [one for one in FOUND if one.statement not in without]
    return _compare(WANTED, [*kept, *found], owner, ROLES)


def test_what_is_as_declared_differs_in_nothing() -> None:
    found = compared()

    assert (found.undone, found.lacking, found.left, found.statements) == ([], [], [], [])
    assert (found.roles, found.absent, found.owner) == (frozenset(ROLES), frozenset(), OWNER)
    assert found.owning_roles == {OTHER: "p_worker"}
    assert (found.further, found.others, found.first, found.later, found.owners) == ([], [], [], [], [])


def test_what_strangers_were_given_is_undone_and_what_others_were_given_is_left() -> None:
    strangers = [
        right(f"GRANT SELECT ON {TABLE} TO {name};", TABLE, name) for name in ("PUBLIC", "anon", "authenticated")
    ]
    mixed = right("CREATE POLICY mine ON consumer.t TO PUBLIC, shop;", TABLE, "PUBLIC", "shop")
    others = [right(f"GRANT INSERT ON {TABLE} TO {name};", TABLE, name) for name in ("shop", "p_app")]
    found = compared(*strangers, mixed, *others)

    assert found.undone == strangers
    assert found.left == [mixed, *others]
    assert found.further == [others[1]]
    assert found.others == [mixed.statement, *(one.statement for one in others)]
    assert found.later == [one.undo for one in strangers]


def test_an_attribute_of_ours_is_undone_and_one_of_anothers_object_is_left() -> None:
    ours = right(f"ALTER {TABLE} FORCE ROW LEVEL SECURITY;", TABLE)
    role = right(f"ALTER ROLE {APP} SUPERUSER;", None)
    theirs = right("ALTER TABLE consumer.theirs FORCE ROW LEVEL SECURITY;", "TABLE consumer.theirs")
    public = right("GRANT SELECT ON TABLE consumer.theirs TO PUBLIC;", "TABLE consumer.theirs", "PUBLIC")
    owned = right("ALTER TABLE consumer.theirs OWNER TO shop;", "TABLE consumer.theirs", undo=None)
    found = compared(ours, role, theirs, public, owned)

    assert (found.undone, found.left) == ([ours, role], [theirs, public])


def test_a_policy_of_a_declared_name_and_table_is_ours_whatever_it_says() -> None:
    changed = right("CREATE POLICY worker ON consumer.u TO shop USING (false);", OTHER, "shop")
    others = [
        right("CREATE POLICY worker ON consumer.t TO shop USING (false);", TABLE, "shop"),
        right("CREATE POLICY other ON consumer.u TO shop USING (false);", OTHER, "shop"),
    ]
    found = compared(changed, *others, without=(POLICY,))

    assert (found.undone, found.lacking, found.left) == ([changed], [POLICY], others)
    assert found.later == [
        f"SET ROLE p_worker; {changed.undo} RESET ROLE;",
        f"SET ROLE p_worker; {POLICY} RESET ROLE;",
    ]


def test_roles_schemas_and_owners_come_first_with_the_right_to_create_meanwhile() -> None:
    lost = (CREATE, MEMBER, OWN_TABLE, OWN_OTHER, ON_SCHEMA, GRANT)
    found = compared(without=lost)

    create = "CREATE ON SCHEMA consumer, consumer_masked, identity"
    first = [
        CREATE,
        'GRANT p_app TO "own er" WITH SET TRUE;',
        ON_SCHEMA,
        f"GRANT {create} TO p_worker;",
        f'ALTER {TABLE} OWNER TO "own er";',
        OWN_OTHER,
        f"REVOKE {create} FROM p_worker;",
    ]
    assert found.lacking == [one for one in WANTED if one in lost]
    assert found.first == first
    assert found.later == [GRANT]
    assert found.statements == [*first, GRANT]
    assert found.owners == first[3:]


def test_no_role_gets_the_right_to_create_without_a_new_object() -> None:
    assert compared(without=(OWN_TABLE,)).first == [f'ALTER {TABLE} OWNER TO "own er";']


@pytest.mark.parametrize(
    ("version", "is_creator", "is_superuser", "options"),
    [
        (159_999, True, True, ""),
        (160_000, True, True, " WITH SET TRUE, ADMIN TRUE"),
        (160_000, False, True, " WITH SET TRUE"),
        (160_000, True, False, " WITH SET TRUE"),
    ],
)
def test_a_membership_has_the_options_of_the_server_and_the_owner(
    version: int, is_creator: bool, is_superuser: bool, options: str
) -> None:
    owner = replace(OWNER, version_number=version, is_creator=is_creator, is_superuser=is_superuser)

    assert compared(without=(MEMBER,), owner=owner).first == [f'GRANT p_app TO "own er"{options};']


def test_statements_are_chosen_by_their_beginning_and_not_of_what_is_absent() -> None:
    lost = (GRANT, POLICY, OWN_OTHER)
    found = compared(without=lost)

    assert found.absent == {OTHER}
    assert found.matching("GRANT") == [GRANT]
    assert found.matching("CREATE POLICY|ALTER") == found.matching("CREATE ON") == []
    there = compared(right(f"ALTER {OTHER} OWNER TO shop;", OTHER, undo=None), without=lost)
    as_owner = f"SET ROLE p_worker; {POLICY} RESET ROLE;"
    assert there.absent == frozenset()
    assert there.matching("CREATE POLICY") == [as_owner]
    assert there.matching("ALTER") == [OWN_OTHER]
    assert there.matching("") == [OWN_OTHER, GRANT, as_owner]


def test_what_is_declared_has_no_comment_and_bears_the_prefix() -> None:
    prefix = "shop"
    found = declared(prefix)

    assert all(statement.endswith(";") for statement in found)
    assert f"CREATE ROLE {prefix}_worker NOLOGIN NOINHERIT;" in found
    assert not [statement for statement in found if "consumer_worker" in statement or statement.startswith("--")]
    assert len(found) == len(declared("consumer")) > 500


def test_a_login_that_may_not_mend_is_told_the_first_statement_and_how_many_more() -> None:
    told = (
        "The login me can't put the roles, owners, policies and grants of db right, and nothing was changed: "
        "A; (why){}. Run `consumer migrate` once with MIGRATE_DATABASE_URL set to a superuser; "
        "`consumer doctor` prints all statements."
    )

    assert mend._refusal(OWNER, {"A;": "why"}) == told.format("")
    assert mend._refusal(OWNER, {"A;": "why", "B;": "x"}) == told.format(", and 1 more")
    assert mend._refusal(OWNER, {"A;": "why", "B;": "x", "C;": "x"}) == told.format(", and 2 more")


def test_what_the_server_accepted_without_doing_it_is_refused_but_not_another_wording_of_a_policy() -> None:
    reworded = right(
        "CREATE POLICY worker ON consumer.u TO p_app;", TABLE, "p_app", undo="DROP POLICY worker ON consumer.u;"
    )
    mend._require_mended(replace(compared(reworded, without=(POLICY,)), owning_roles={}))

    with pytest.raises(
        MayNotMend, match=r"GRANT SELECT ON TABLE consumer.t TO p_app; \(accepted, but without effect\)\."
    ):
        mend._require_mended(compared(without=(GRANT,)))


def test_a_table_is_waited_for_two_seconds_twenty_times_a_second_apart() -> None:
    assert (mend.LOCK_MILLISECONDS, mend.PAUSE_SECONDS, mend.ATTEMPTS) == (2000, 1, 20)


async def test_tables_that_stay_held_are_given_up_after_twenty_attempts(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with await connect(database_url, operator_access("consumer")) as conn:
        monkeypatch.setattr("consumer.postgres.mend.asyncio.sleep", pause)
        monkeypatch.setattr(mend, "_mend", AsyncMock(side_effect=LockNotAvailable()))
        with pytest.raises(RightsHeld, match=r"others hold our tables: nobody now\. Run"):
            await mend.mend(conn, "consumer")
        monkeypatch.undo()

    held = [vars(record) for record in caplog.records if record.message == "migration_held_up"]
    assert pauses == 19 * [1.0]
    assert [(one["step"], one["attempt"], one["error_code"], one["holders"]) for one in held] == [
        ("rights", attempt, "55P03", []) for attempt in range(1, 20)
    ]
