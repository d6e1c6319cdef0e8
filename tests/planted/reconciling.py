"""Bugs of a reconciliation: most of them delete somebody whom Stack still has."""

from tests.planted.bug import Bug

TESTS = "tests/test_reconcile.py"
COST = "tests/test_suspects_cost.py"
DECISIONS = "tests/test_reconcile_decisions.py"
COMMAND = "tests/test_reconcile_command.py"
OPERATION = "consumer/operations/reconcile.py"
SUSPECTS = "sql/queries/suspects"

RECONCILING = (
    Bug(
        "one 404 deletes a user",
        f"{SUSPECTS}/put_answers.sql",
        "CASE WHEN s.asked_at IS NOT NULL THEN %(requested_at)b::timestamptz END",
        "%(requested_at)b::timestamptz",
        f"{TESTS}::test_one_answer_that_lacks_a_user_deletes_nobody",
    ),
    Bug(
        "Stack is asked twice in one minute",
        OPERATION,
        "ASKED_AGAIN_AFTER = timedelta(minutes=5)",
        "ASKED_AGAIN_AFTER = timedelta(minutes=1)",
        f"{TESTS}::test_one_answer_that_lacks_a_user_deletes_nobody",
    ),
    Bug(
        "a lost scan fails at each call of maintain",
        OPERATION,
        '            await runs.begin(conn, access, "reconcile", project_id, is_new=True)\n',
        "            pass\n",
        "tests/test_maintain_stack.py::test_a_scan_that_loses_its_place_for_good_is_begun_anew_without_a_person",
    ),
    Bug(
        "an empty page ends the list of a team's members",
        "consumer/stack_api/client.py",
        "        if cursor is not None and not page.items:\n",
        "        if cursor is None and not page.items:\n",
        "tests/test_stack_lists.py::test_a_list_of_members_that_loses_its_place_is_no_list",
    ),
    Bug(
        "a larger project's users raise the limit of deletions",
        f"{SUSPECTS}/living.sql",
        "l.users - l.new_users",
        "l.users",
        f"{DECISIONS}::test_users_that_a_reconciliation_brought_in_do_not_raise_the_limit",
    ),
    Bug(
        "a page of deletions is compared with each suspect",
        f"{SUSPECTS}/drop.sql",
        "coalesce(s.user_id::text, '') = coalesce(a.user_id::text, '')",
        "s.user_id IS NOT DISTINCT FROM a.user_id",
        f"{COST}::test_a_page_of_deletions_is_not_compared_with_each_suspect",
    ),
    Bug(
        "a proxy's 404 deletes a user",
        "consumer/stack_api/client.py",
        """            if _is_not_found(error, missing):
                return None
            raise
        if found.id""",
        """            if _is_not_found(error, missing):
                return None
            raise
        except UnexpectedAnswer as error:
            if error.status == 404:
                return None
            raise
        if found.id""",
        f"{TESTS}::test_a_404_without_stacks_own_code_deletes_nobody",
    ),
    Bug(
        "users are deleted without being told to",
        OPERATION,
        "if options.is_fixing and await _may_decide",
        "if await _may_decide",
        f"{TESTS}::test_lost_deletions_are_reported_and_deleted_only_with_fix",
    ),
    Bug(
        "a user that answers stays a suspect",
        "consumer/operations/questions.py",
        "return Answers(revived=revived, cleared=others, deliveries=[shown])",
        "return Answers(missing=others, revived=revived, deliveries=[shown])",
        f"{TESTS}::test_a_user_that_answers_in_between_is_no_suspect_and_its_answer_is_stored",
    ),
    Bug(
        "an answer that shows a user alive is not stored",
        "consumer/operations/questions.py",
        "cleared=others, deliveries=[shown])",
        "cleared=others)",
        f"{TESTS}::test_a_user_that_answers_in_between_is_no_suspect_and_its_answer_is_stored",
    ),
    Bug(
        "a user that just signed up is a suspect",
        "sql/queries/runs/suspect_all.sql",
        "AND coalesce(m.signed_up_at < now() - %(lag)b::interval, TRUE)",
        "AND coalesce(m.signed_up_at < now() + %(lag)b::interval, TRUE)",
        f"{TESTS}::test_a_user_that_signed_up_within_the_lag_before_the_beginning_is_no_suspect",
    ),
    Bug(
        "a company that a setting declared is deleted",
        "sql/queries/runs/suspect_all.sql",
        "o.source = 'operator' AND o.event_type = 'company.declared'",
        "o.source = 'operator' AND o.event_type = 'company.undeclared'",
        f"{DECISIONS}::test_a_company_that_a_setting_declared_is_no_suspect",
    ),
    Bug(
        "what a webhook tells meanwhile is deleted again",
        OPERATION,
        "        await suspects.drop_settled(conn, run)\n",
        "",
        f"{TESTS}::test_a_deletion_that_a_webhook_tells_meanwhile_is_no_difference",
    ),
    Bug(
        "a deletion is as new as its request",
        OPERATION,
        "finder = Finder(run.id, suspect.requested_at, ",
        "finder = Finder(run.id, suspect.requested_at + timedelta(minutes=1), ",
        f"{TESTS}::test_a_deletion_is_a_delivery_dated_a_minute_before_the_second_request",
    ),
    Bug(
        "however many are deleted",
        OPERATION,
        "if kind in found and found[kind].suspected > limit",
        "if kind in found and found[kind].suspected > living[kind]",
        f"{DECISIONS}::test_ten_deletions_are_never_too_many_and_eleven_need_force",
    ),
    Bug(
        "ten deletions of few are too many",
        OPERATION,
        "DELETIONS_ALWAYS = 10",
        "DELETIONS_ALWAYS = 9",
        f"{DECISIONS}::test_ten_deletions_are_never_too_many_and_eleven_need_force",
    ),
    Bug(
        "two percent are not too many",
        OPERATION,
        "DELETIONS_SHARE = 100",
        "DELETIONS_SHARE = 50",
        f"{DECISIONS}::test_one_percent_of_many_is_not_too_many",
    ),
    Bug(
        "what was deleted wrongly stays deleted",
        f"{SUSPECTS}/put_dead.sql",
        "CASE WHEN m.deletion_at IS NULL THEN 'revived_user' ELSE 'listed_user' END",
        "'listed_user'",
        f"{DECISIONS}::test_the_next_run_brings_back_what_one_deleted_wrongly",
    ),
    Bug(
        "a user that no scan listed is confirmed",
        "sql/migrations/0015.reconcile.sql",
        "        AND s.team_id IS NULL;\n",
        "        AND s.team_id IS NOT NULL;\n",
        f"{DECISIONS}::test_a_scan_confirms_users_without_a_change_of_their_rows",
    ),
    Bug(
        "a report of long ago is decided on",
        "sql/queries/runs/newest_complete.sql",
        "AND r.finished_at > now() - %(within)b::interval",
        "AND r.finished_at > now() - %(within)b::interval * 9",
        f"{COMMAND}::test_a_report_of_yesterday_is_not_decided_on",
    ),
    Bug(
        "a report with something left succeeds",
        "consumer/cli/reconcile.py",
        "    if reconciled.is_drifting:\n",
        "    if reconciled.excess:\n",
        f"{COMMAND}::test_a_report_is_told_in_numbers_and_fails_while_something_is_left",
    ),
)
