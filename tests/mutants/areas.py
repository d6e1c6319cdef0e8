"""The areas that are scored, and the one table that says which place belongs to which."""

# The first that fits counts. A migration's statements are told apart by sql.py: MIGRATIONS or POLICIES.
AREAS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("rebuild", tuple(f"consumer/effects/{x}.py" for x in ("anew", "as_of", "reread", "stored"))),
    ("rebuild", tuple(f"sql/queries/{x}/" for x in ("anew", "as_of", "reread", "stored"))),
    ("effects", ("consumer/effects/", *(f"sql/queries/{x}/" for x in ("users", "companies", "members", "edits")))),
    ("effects", ("sql/queries/effects/", "sql/queries/recorded_settings/", "sql/queries/sync/", "consumer/sync.py")),
    ("rehome", ("consumer/worker/rehome.py", "sql/queries/rehome/")),
    ("rebuild", ("consumer/worker/rebuild.py", "consumer/outbox/rebuild_queue.py", "sql/queries/rebuild_queue/")),
    ("bisection", ("consumer/worker/bisect.py",)),
    ("loop", ("consumer/worker/loop.py",)),
    (
        "migrations",
        tuple(f"consumer/postgres/{x}.py" for x in ("migrations", "migration_records", "migration_steps", "ledger")),
    ),
    (
        "migrations",
        tuple(f"consumer/postgres/{x}.py" for x in ("migrator", "preflight", "refusals", "carried_objects")),
    ),
    (
        "migrations",
        tuple(f"sql/queries/{x}/" for x in ("migrations", "migration_records", "migration_steps", "ledger")),
    ),
    ("migrations", ("sql/queries/migrator/", "sql/queries/preflight/", "sql/migrations/")),
    ("rights", tuple(f"consumer/postgres/{x}.py" for x in ("privileges", "mend", "default_privileges"))),
    ("rights", ("sql/queries/privileges/", "sql/queries/default_privileges/")),
    ("policies", ("consumer/profiles.py", "sql/queries/profiles/")),
    (
        "operations",
        ("consumer/outbox/deliveries.py", "sql/queries/deliveries/", "sql/queries/prune/", "sql/queries/exclusions/"),
    ),
    ("operations", ("consumer/operations/", "consumer/simulator/", "consumer/stack_api/", "sql/queries/checks/")),
    (
        "operations",
        tuple(f"sql/queries/{x}/" for x in ("imports", "runs", "drift", "suspects", "recover", "connect")),
    ),
    (
        "operations",
        (
            "consumer/lookup/",
            *(f"sql/queries/{x}/" for x in ("audit", "labels", "listing", "metadata_keys", "revealed")),
            *(f"sql/queries/{x}/" for x in ("id_prefixes", "one_company", "one_delivery", "one_user")),
        ),
    ),
    ("operations", tuple(f"sql/queries/{x}/" for x in ("activity", "hours", "maintenance", "uninstall"))),
    ("verdict", ("consumer/verdict/", "consumer/process/reports.py")),
    (
        "verdict",
        tuple(f"consumer/process/{x}.py" for x in ("channels", "notifications", "notify", "notification_states")),
    ),
    ("verdict", tuple(f"sql/queries/{x}/" for x in ("observe", "rates", "reports", "notification_states"))),
    ("console", ("consumer/console/", "consumer/cli/console.py", "consumer/cli/console_process.py")),
    ("console", tuple(f"sql/queries/{x}/" for x in ("dead", "recovery", "reported", "sample", "sign_in", "system"))),
    (
        "outbox",
        ("consumer/outbox/", "consumer/worker/", *(f"sql/queries/{x}/" for x in ("numbers", "queue", "storage"))),
    ),
    ("outbox", ("sql/queries/dry_run/",)),
    ("operations", tuple(f"sql/queries/{x}/" for x in ("actions", "background", "erase", "export"))),
    ("operations", tuple(f"sql/queries/{x}/" for x in ("late", "stored_bodies"))),
    ("intake", ("consumer/receiver/intake.py",)),
    (
        "receiver",
        ("consumer/receiver/", "consumer/web/", "consumer/providers/", "consumer/events/", "sql/queries/waits/"),
    ),
    ("operations", ("consumer/postgres/origin.py", "sql/queries/origin/")),
    ("database", ("consumer/postgres/", "sql/queries/session/", "sql/queries/connections/", "sql/queries/locks/")),
    ("settings", ("consumer/settings/",)),
    ("metrics", tuple(f"consumer/{x}.py" for x in ("metrics", "gauges", "metric_labels", "logs"))),
    ("adopt", ("consumer/adopt/", "consumer/doctor/", "consumer/cli/adopt.py", "consumer/cli/doctor.py")),
    ("adopt", tuple(f"sql/queries/{x}/" for x in ("catalogue", "fill", "server", "sessions", "isolation"))),
    ("embedded", ("consumer/embedded/", "consumer/process/", "consumer/cli/up.py", "consumer/deadline.py")),
    ("embedded", ("consumer/cli/embedded_logins.py", "sql/queries/embedded_logins/")),
    ("effects", ("sql/queries/reached_code/",)),
    ("adopt", ("sql/queries/user_rehearsal/",)),
    ("operations", ("consumer/cli/", "consumer/errors.py", "consumer/__main__.py")),
    ("bench", ("bench/",)),
)
MIGRATIONS, POLICIES = "migrations", "policies"
NAMES = tuple(dict.fromkeys(name for name, _ in AREAS))
# They need programs that no test environment has.
LEFT_OUT = ("bench/peers/",)

# A test that imports all modules to look at their numbers: no line is run by it that other imports have not run before.
OF_ALL_MODULES = "tests/test_limit_values.py"

# Quick tests of the whole schema: rights, policies, constraints, functions and views, whichever migration made them.
OF_THE_SCHEMA = (
    *("test_privileges", "test_roles", "test_grants_of_logins", "test_constraints", "test_nulls_and_defaults"),
    *("test_sql_functions", "test_company_functions", "test_replacing_functions", "test_removing_functions"),
    *("test_masked_functions", "test_mirror_news", "test_views", "test_figures_of_views", "test_migrated_rows"),
    *("test_search", "test_tenants"),
)

# Tests of what no coverage sees: the statements of migrations, and modules that run in processes of their own.
TESTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("sql/migrations/", OF_THE_SCHEMA),
    ("sql/migrations/", ("test_catalogue", "test_effects", "test_prune", "test_edits", "test_status")),
    ("sql/migrations/", ("test_migrations", "test_migration_steps", "test_derived_anew", "test_masked_views")),
    (
        "consumer/embedded/",
        ("test_embedded", "test_embedded_folder", "test_embedded_owners", "test_embedded_sockets", "test_up"),
    ),
    ("consumer/process/", ("test_cli_processes", "test_up", "test_outage", "test_ops", "faults/test_processes")),
    (
        "consumer/cli/",
        (
            "test_cli_processes",
            "test_cli_refusals",
            "test_cli_settings",
            "test_up",
            "test_demo",
            "test_adopt_walk",
            "test_terminal",
        ),
    ),
    ("consumer/__main__.py", ("test_cli_processes",)),
    ("consumer/postgres/migrator.py", ("test_migrator",)),
    ("consumer/web/", ("test_server", "test_connection_limits", "test_http_timeouts", "test_http_limit_values")),
    ("bench/", ("test_bench", "test_benches_run", "test_full_load", "test_peers", "test_plans")),
)


def area_of(file: str) -> str:
    """Return the area of a file."""
    for name, prefixes in AREAS:
        if file.startswith(prefixes):
            return name
    raise LookupError(f"{file} is in no area: add it to tests/mutants/areas.py.")


def table_tests(file: str) -> list[str]:
    """Return the test files that fit a place by the table."""
    return [f"tests/{test}.py" for prefix, tests in TESTS if file.startswith(prefix) for test in tests]
