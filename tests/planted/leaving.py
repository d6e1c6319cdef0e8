"""Bugs of copies of a database, and of leaving."""

from tests.planted.bug import Bug

ORIGIN = "consumer/postgres/origin.py"
COPIES = "tests/test_copies.py"
UNINSTALL = "consumer/operations/uninstall.py"
LEAVE = "tests/test_uninstall.py"

LEAVING = (
    Bug(
        "a copy acts",
        "consumer/cli/stack.py",
        "    await origin.refuse_copy(conn, access)\n    async with open_stack_api",
        "    async with open_stack_api",
        f"{COPIES}::test_a_copy_on_another_server_does_not_act_until_it_is_adopted",
    ),
    Bug(
        "a copy on another server is not noticed",
        ORIGIN,
        "if known.server != here.server:",
        "if not known.server:",
        f"{COPIES}::test_a_copy_on_another_server_does_not_act_until_it_is_adopted",
    ),
    Bug(
        "a copy under the old name is not noticed",
        ORIGIN,
        "if known.database_oid != here.database_oid:",
        "if not known.database_oid:",
        f"{COPIES}::test_a_copy_under_the_name_of_its_database_does_not_act",
    ),
    Bug(
        "a renamed database is not noticed",
        ORIGIN,
        "if known.database_name != here.database_name:",
        "if not known.database_name:",
        f"{COPIES}::test_a_copy_under_the_name_of_its_database_does_not_act",
    ),
    Bug(
        "migrate adopts a copy by itself",
        ORIGIN,
        "(is_adopted and here != known)",
        "(here != known)",
        f"{COPIES}::test_migrate_adopts_nothing_by_itself",
    ),
    Bug(
        "a server that hides its identifier has no origin",
        ORIGIN,
        "    except psycopg.Error:",
        "    except psycopg.DataError:",
        f"{COPIES}::test_a_server_that_hides_its_identifier_is_told_by_what_a_restore_changes",
    ),
    Bug(
        "a superuser records an identifier that the operator may not read",
        ORIGIN,
        "    async with transaction(conn, access):\n        here, known",
        "    async with as_login(conn, access):\n        here, known",
        f"{COPIES}::test_a_server_that_hides_its_identifier_is_told_by_what_a_restore_changes",
    ),
    Bug(
        "row-level security stays, so that nobody sees a row",
        UNINSTALL,
        "NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY",
        "NO FORCE ROW LEVEL SECURITY",
        f"{LEAVE}::test_it_leaves_the_tables_with_every_row_and_nothing_of_the_machinery",
    ),
    Bug(
        "a policy of ours stays",
        UNINSTALL,
        "for policy in found(POLICY))",
        "for policy in found(POLICY)[:-1])",
        f"{LEAVE}::test_it_leaves_the_tables_with_every_row_and_nothing_of_the_machinery",
    ),
    Bug(
        "an application's object is dropped with ours",
        UNINSTALL,
        "{', '.join(relations)};",
        "{', '.join(relations)} CASCADE;",
        f"{LEAVE}::test_what_depends_on_the_machinery_is_named_and_stops_all_of_it",
    ),
    Bug(
        "the role of the application's login is dropped",
        UNINSTALL,
        'READING_DUTIES = ("app", "tenant")',
        'READING_DUTIES = ("app",)',
        f"{LEAVE}::test_a_role_with_a_member_stays_and_reads_all_companies",
    ),
    Bug(
        "a role that others need stops all of it",
        UNINSTALL,
        "    except (postgres.DependentObjectsStillExist, ",
        "    except (",
        f"{LEAVE}::test_a_role_with_rights_on_other_tables_stays_and_is_named",
    ),
    Bug(
        "a login that may drop no role changes nothing",
        UNINSTALL,
        " postgres.InsufficientPrivilege,",
        "",
        f"{LEAVE}::test_a_login_that_may_drop_no_role_names_those_that_are_left",
    ),
    Bug(
        "a connected worker is no reason to refuse",
        UNINSTALL,
        'for duty in ("receiver", "worker")]',
        'for duty in ("receiver",)]',
        f"{LEAVE}::test_a_process_that_is_connected_is_a_reason_to_refuse_unless_forced",
    ),
    Bug(
        "a connected receiver is no reason to refuse",
        UNINSTALL,
        'for duty in ("receiver", "worker")]',
        'for duty in ("worker",)]',
        f"{LEAVE}::test_a_process_that_is_connected_is_a_reason_to_refuse_unless_forced",
    ),
    Bug(
        "another release's objects are dropped",
        UNINSTALL,
        "if await ledger.applied_ids(conn) != ledger.carried_ids():",
        "if not await ledger.applied_ids(conn):",
        f"{LEAVE}::test_a_database_of_another_release_is_left_alone",
    ),
    Bug(
        "uninstall does not ask",
        "consumer/cli/uninstall.py",
        'if not (is_dry_run or options["is_confirmed"]):',
        "if is_dry_run:",
        f"{LEAVE}::test_it_asks_and_says_who_sees_what",
    ),
    Bug(
        "a dry run removes the product",
        "consumer/cli/uninstall.py",
        "refused = {} if is_dry_run else _run(",
        "refused = _run(",
        f"{LEAVE}::test_a_dry_run_prints_what_a_run_executes_and_changes_nothing",
    ),
    Bug(
        "a dry run is refused while a process is connected",
        "consumer/cli/uninstall.py",
        "        if not is_dry_run:\n            _refuse",
        "        if True:\n            _refuse",
        f"{LEAVE}::test_a_process_that_is_connected_is_a_reason_to_refuse_unless_forced",
    ),
    Bug(
        "everything is dropped without a word",
        "consumer/cli/uninstall.py",
        "found = [] if is_kept else [NOT_ALL]",
        "found = [NOT_ALL][:0]",
        f"{LEAVE}::test_without_a_word_on_what_to_do_it_refuses",
    ),
    Bug(
        "what was left is called unknown",
        "consumer/postgres/refusals.py",
        "    if not made and not any(_schema",
        "    if made and not any(_schema",
        f"{LEAVE}::test_migrate_and_uninstall_after_it_say_what_is_there",
    ),
)
