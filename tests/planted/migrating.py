"""Bugs of the look that `migrate` takes, of its lock and of its settings."""

from tests.planted.bug import Bug

LOOK = "tests/test_preflight.py"
LOCK = "tests/test_migrator.py"
ROLES = "tests/test_preflight_roles.py"

MIGRATING = (
    Bug(
        "a membership without SET passes the look",
        "sql/queries/preflight/roles.sql",
        "THEN 'MEMBER' ELSE 'SET' END",
        "THEN 'MEMBER' ELSE 'MEMBER' END",
        f"{ROLES}::test_memberships_without_set_are_refused_with_the_grant_that_cures_it",
    ),
    Bug(
        "a schema's types and functions are overlooked",
        "sql/queries/preflight/objects.sql",
        "d.deptype = 'n'\n",
        "d.deptype = 'n' AND d.classid = 'pg_class'::regclass\n",
        f"{LOOK}::test_a_schema_that_somebody_else_uses_is_refused",
    ),
    Bug(
        "a half-restored database is up to date",
        "consumer/postgres/refusals.py",
        "missing = set(made) - strangers",
        "missing = set[Object]()",
        f"{LOOK}::test_a_half_restored_database_is_refused",
    ),
    Bug(
        "a first migration commits piece by piece",
        "consumer/postgres/migrations.py",
        "with backend.transaction() if backend.is_first else nullcontext():",
        "with nullcontext():",
        f"{LOOK}::test_an_event_trigger_that_forbids_a_statement_leaves_nothing_behind",
    ),
    Bug(
        "an old release records its settings in a newer one's database",
        "consumer/cli/migrate.py",
        "        if is_forced or not found.newer:\n",
        "        if True:\n",
        f"{LOOK}::test_a_database_ahead_of_this_release_is_left_as_it_is",
    ),
    Bug(
        "the lock's session obeys the server's time-out",
        "sql/queries/migrator/settings.sql",
        "    ('idle_in_transaction_session_timeout', '0'),\n",
        "",
        f"{LOCK}::test_odd_settings_change_nothing_of_what_is_made",
    ),
    Bug(
        "the lock's transaction keeps its snapshot",
        "consumer/postgres/migrator.py",
        "        require_lock(holder)\n        yield holder\n",
        "        yield holder\n",
        f"{LOCK}::test_an_open_lock_does_not_hold_up_an_index_built_concurrently",
    ),
    Bug(
        "a lost lock is not noticed",
        "consumer/postgres/migrations.py",
        "        migrator.require_lock(self.holder)\n",
        "",
        f"{LOCK}::test_a_lost_lock_ends_the_migration",
    ),
)
