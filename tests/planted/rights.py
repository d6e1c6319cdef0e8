"""Bugs of who may do what: the list, the mending, and what the doctor says of it."""

from tests.planted.bug import Bug

DAMAGED = "tests/laws/test_damaged_rights.py::test_what_the_login_may_mend_is_equal_again"
MEND = "consumer/postgres/mend.py"
MEND_TESTS = "tests/test_mend.py"
PRIVILEGES = "consumer/postgres/privileges.py"
READ = "sql/queries/privileges/read.sql"

RIGHTS = (
    Bug(
        "a policy of our name keeps its condition",
        PRIVILEGES,
        " or bool(policy and policy[1] in policies)",
        "",
        f"{MEND_TESTS}::test_the_owner_puts_right_what_somebody_changed",
    ),
    Bug(
        "what others were granted is revoked",
        PRIVILEGES,
        "right.grantees is None or",
        "True or",
        f"{MEND_TESTS}::test_what_others_were_granted_is_listed_and_stays",
    ),
    Bug(
        "what visitors were granted stays",
        PRIVILEGES,
        '{"PUBLIC", "anon", "authenticated"}',
        '{"PUBLIC"}',
        f"{MEND_TESTS}::test_the_owner_puts_right_what_somebody_changed",
    ),
    Bug(
        "the rights of a newer release are undone",
        MEND,
        "await ledger.applied_ids(conn) != ledger.carried_ids()",
        "await ledger.missing_ids(conn)",
        f"{MEND_TESTS}::test_a_newer_release_that_migrates_after_the_look_keeps_its_rights",
    ),
    Bug(
        "the owner of a function decides nothing of its grants",
        MEND,
        "        owned = await differences(conn, role_prefix)\n",
        "        owned = found\n",
        DAMAGED,
    ),
    Bug(
        "forced row-level security is not compared",
        READ,
        "    WHERE relforcerowsecurity\n",
        "    WHERE FALSE\n",
        "tests/test_privileges.py::test_the_list_of_privileges_is_complete_and_holds_no_more",
    ),
    Bug(
        "the owner of a function is not compared",
        READ,
        "            WHEN o.owner_id = i.owner_id THEN 'CURRENT_USER'",
        "            WHEN TRUE THEN 'CURRENT_USER'",
        "tests/test_privileges.py::test_the_list_of_privileges_is_complete_and_holds_no_more",
    ),
    Bug(
        "a new object is handed on by default privileges",
        "consumer/postgres/migrations.py",
        "default_privileges.withhold(self.connection)",
        "[]",
        "tests/test_default_privileges.py::test_no_object_of_ours_is_handed_to_others",
    ),
    Bug(
        "default privileges are lost for good",
        "consumer/postgres/migrations.py",
        "        default_privileges.give_back(self.connection, self.withheld)\n",
        "",
        "tests/test_default_privileges.py::test_no_object_of_ours_is_handed_to_others",
    ),
    Bug(
        "a cure without quotes",
        "sql/queries/privileges/grant_role.sql",
        "'GRANT %%I TO %%I%%s;'",
        "'GRANT %%I TO %%s%%s;'",
        "tests/test_doctor_logins.py::test_a_login_whose_name_needs_quotes_is_cured_by_the_statement_as_printed",
    ),
    Bug(
        "the prefix is not asked for",
        "consumer/postgres/preflight.py",
        "    return [] if role_prefix in found else found\n",
        "    return []\n",
        "tests/test_doctor_rights.py::test_the_prefix_of_another_installation_is_named_and_no_policy_is_advised_away",
    ),
)
