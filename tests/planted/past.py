"""Bugs of a state as it was, of bodies that are reduced again, and of what a replay concerns."""

from tests.planted.bug import Bug

STORED, SELECTING = "sql/queries/stored/deliveries.sql", "sql/queries/stored/selecting.sql"
AS_OF = "consumer/effects/as_of.py"
TESTS, REDUCED = "tests/test_as_of.py", "tests/test_reduced_again.py"
MENDED = "tests/test_recovery.py::test_a_replay_mends_what_a_bad_release_applied"

PAST = (
    Bug(
        "a state in the past holds what came later",
        STORED,
        "            %(until)b::timestamptz IS NULL\n",
        "            TRUE\n",
        f"{TESTS}::test_rows_are_those_of_what_was_received_until_then",
    ),
    Bug(
        "the very instant is not part of the past",
        STORED,
        "o.received_at <= %(until)b",
        "o.received_at < %(until)b",
        f"{TESTS}::test_rows_are_those_of_what_was_received_until_then",
    ),
    Bug(
        "a guest keeps the name of a profile that is gone",
        "sql/queries/users/name_guests.sql",
        "m.stack_user_id = p.user_id AND m.has_profile\n",
        "m.stack_user_id = p.user_id\n",
        "tests/test_discards.py::test_a_guest_who_loses_the_profile_loses_the_name_that_a_search_finds",
    ),
    Bug(
        "a look into the past brings an erased user back",
        STORED,
        "            OR o.event_type = 'user.erased'\n",
        "",
        f"{TESTS}::test_who_is_erased_today_is_erased_at_any_time",
    ),
    Bug(
        "a company has existed before anybody selected it",
        SELECTING,
        "        AND (%(until)b::timestamptz IS NULL OR o.received_at <= %(until)b::timestamptz)\n",
        "",
        f"{TESTS}::test_a_company_that_only_users_name_is_there_from_the_first_who_selects_it",
    ),
    Bug(
        "homes in the past are in companies of today",
        AS_OF,
        "await anew.fold_past_companies(conn, named, until)",
        "set(named)",
        f"{TESTS}::test_rows_are_those_of_what_was_received_until_then",
    ),
    Bug(
        "a state from before the pruning mark is told",
        AS_OF,
        "if pruned_until and until < pruned_until:",
        "if pruned_until is None and until:",
        f"{TESTS}::test_before_the_pruning_mark_nothing_can_be_told",
    ),
    Bug(
        "a look into the past is kept",
        AS_OF,
        "    async with conn.transaction(force_rollback=True):\n        await users.lock",
        "    async with conn.transaction():\n        await users.lock",
        f"{TESTS}::test_rows_are_those_of_what_was_received_until_then",
    ),
    Bug(
        "what is young supersedes what the past needs",
        "sql/queries/prune/users.sql",
        "        d.received_at < %(until)b::timestamptz\n        AND NOT EXISTS (\n            SELECT FROM repeats",
        "        NOT EXISTS (\n            SELECT FROM repeats",
        "tests/test_prune_facts.py::test_what_is_young_stays_and_supersedes_nothing",
    ),
    Bug(
        "a rebuild reads what a bad release left",
        "consumer/effects/reread.py",
        "return check(delivery.body, delivery.source).reduced",
        "return delivery.reduced",
        f"{REDUCED}::test_what_a_bad_release_left_out_comes_back",
    ),
    Bug(
        "a company's name is made of what a bad release left",
        "consumer/effects/anew.py",
        "        await reread_companies(conn, company_ids, is_named_by_users=is_named_by_users)\n",
        "",
        f"{REDUCED}::test_what_a_bad_release_left_out_comes_back",
    ),
    Bug(
        "a rebuild stops at a body that this release can't use",
        "consumer/effects/reread.py",
        "        return delivery.reduced\n",
        "        raise\n",
        f"{REDUCED}::test_what_this_release_can_t_use_at_all_stays_as_it_was_applied",
    ),
    Bug(
        "a body that was erased meanwhile gets its old text",
        "sql/migrations/0016.reread.sql",
        "WHERE o.seq = r.seq AND o.reduced = r.earlier;",
        "WHERE o.seq = r.seq;",
        f"{REDUCED}::test_a_body_that_is_changed_meanwhile_is_not_overwritten",
    ),
    Bug(
        "a replay leaves the names of companies that users select",
        "consumer/operations/rebuild.py",
        "*await rebuild_queue.named_by(conn, subjects.user_ids)}:",
        "}:",
        f"{REDUCED}::test_what_a_bad_release_left_out_comes_back",
    ),
    Bug(
        "a replay leaves those who were re-homed",
        "consumer/operations/rebuild.py",
        "    if rehomed:\n",
        "    if not read:\n",
        MENDED,
    ),
    Bug(
        "a dry run does not tell what is stale",
        "sql/queries/deliveries/count.sql",
        "GROUP BY m.state, m.event_type, m.outcome",
        "GROUP BY m.state, m.event_type",
        "tests/test_replay_command.py::test_a_dry_run_counts_by_state_type_and_outcome",
    ),
)
