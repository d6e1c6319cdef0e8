"""Bugs of what a prune keeps, and of the repeats of what it removed."""

from tests.planted.bug import Bug

USERS, TEAMS = "sql/queries/prune/users.sql", "sql/queries/prune/teams.sql"
PRUNE = "sql/migrations/0010.prune.sql"
FACTS = "tests/test_prune_facts.py::test_it_keeps"
REPEATS = "tests/test_prune_repeats.py"
PAGES = "tests/test_prune_deliveries.py"
DISCARDS, EXCLUDE = "tests/test_discards.py", "sql/queries/exclusions/exclude.sql"
# By the fact that is not kept, which is the name of its case too: what tells it in the SQL, and the bug.
_FROM = "        WHERE "
USER_FACTS = {
    "the newest snapshot of the application": ("(d.source = 'app')::text AS place", "'' AS place"),
    "the newest snapshot": (f"{_FROM}d.is_snapshot\n        UNION ALL", f"{_FROM}FALSE\n        UNION ALL"),
    "a snapshot that was not anonymous": ("WHERE d.is_known\n", "WHERE FALSE\n"),
    "the latest activity": ("WHERE d.last_active_at IS NOT NULL", "WHERE FALSE"),
    "the latest sign-in": ("WHERE d.event_type = 'user.signed_in'\n", "WHERE FALSE\n"),
    "the latest sign-out": ("WHERE d.event_type = 'user.signed_out'\n", "WHERE FALSE\n"),
    "the oldest deletion": ("WHERE d.event_type = 'user.deleted' AND d.source <> 'reconcile'", "WHERE FALSE"),
    "the latest deletion that reconcile found": (
        "WHERE d.event_type = 'user.deleted' AND d.source = 'reconcile'",
        "WHERE FALSE",
    ),
    "the newest webhook that shows the user alive": ("(d.source = 'stack' OR (d.source", "(FALSE OR (d.source"),
    "the newest answer that shows the user alive": ("(d.source = 'reconcile' AND d.answers = 'user')", "FALSE"),
    "an implied first join": ("WHERE d.event_type = 'team_membership.created' OR", "WHERE FALSE AND"),
    "the first join and the last": (f"{_FROM}d.event_type = 'team_membership.created'\n", f"{_FROM}FALSE\n"),
    "the last removal": ("WHERE d.event_type = 'team_membership.deleted'", "WHERE FALSE"),
    "an implied join that is not the first": (f"{_FROM}d.selected_id IS NOT NULL", f"{_FROM}FALSE"),
    "the newest edit of each field, a withdrawal too": ("d.data ? e.field", "d.data ->> e.field IS NOT NULL"),
    "an edit of nothing, which alone shows the user": ("AND NOT d.data ?| ARRAY", "AND FALSE AND NOT d.data ?| ARRAY"),
    "the newest of each permission, a withdrawal too": (
        f"{_FROM}d.event_type IN ('team_permission.created', 'team_permission.deleted')",
        f"{_FROM}d.event_type = 'team_permission.created'",
    ),
}
TEAM_FACTS = {
    "the newest event of a team": ("WHERE d.is_named\n", "WHERE FALSE\n"),
    "the newest answer that shows a team alive": ("(d.source = 'reconcile' AND d.answers = 'team')", "FALSE"),
    "the oldest deletion of a team": ("            -extract", "            extract"),
    "the latest deletion of a team that reconcile found": (
        "WHERE NOT d.is_named AND d.source = 'reconcile'",
        "WHERE FALSE",
    ),
}

RETENTION = (
    *(Bug(f"a prune drops {name}", USERS, old, new, FACTS) for name, (old, new) in USER_FACTS.items()),
    *(Bug(f"a prune drops {name}", TEAMS, old, new, FACTS) for name, (old, new) in TEAM_FACTS.items()),
    Bug(
        "what was discarded supersedes another delivery",
        USERS,
        "ON o.seq = d.seq AND d.outcome IN ('applied', 'unchanged', 'stale')",
        "ON o.seq = d.seq AND d.outcome <> 'ignored'",
        "tests/test_prune_facts.py::test_what_was_not_applied_supersedes_nothing_and_stays",
    ),
    Bug(
        "a prune keeps no key of what it removes",
        PRUNE,
        "        FROM removed\n        ORDER BY key\n",
        "        FROM removed\n        WHERE FALSE\n        ORDER BY key\n",
        f"{REPEATS}::test_a_late_repeat_is_not_stored",
    ),
    Bug(
        "a prune removes what is not done",
        PRUNE,
        "    IF removed_count < cardinality(seqs) THEN\n",
        "    IF FALSE THEN\n",
        f"{PAGES}::test_what_is_not_done_or_not_old_or_an_erasure_can_t_be_removed",
    ),
    Bug(
        "a delivery is excluded while the one that it supersedes is removed",
        PRUNE,
        "    LOCK TABLE consumer.exclusions IN SHARE ROW EXCLUSIVE MODE;\n",
        "",
        f"{PAGES}::test_nobody_excludes_a_delivery_while_a_page_is_removed",
    ),
    Bug(
        "a repeat in flight is applied",
        "consumer/effects/apply.py",
        "by_fact([delivery for delivery in claimed if not delivery.is_pruned])",
        "by_fact(claimed)",
        f"{REPEATS}::test_a_repeat_in_flight_is_stored_once_more_and_changes_no_row",
    ),
    Bug(
        "a rebuild takes a repeat of a removed delivery for a fact",
        "sql/queries/stored/deliveries.sql",
        "WHERE s.outcome = 'stale'",
        "WHERE s.outcome = 'applied'",
        f"{REPEATS}::test_a_repeat_in_flight_is_stored_once_more_and_changes_no_row",
    ),
    Bug(
        "only the first page of a user with many deliveries is pruned",
        "consumer/operations/prune.py",
        "if is_dry_run or not removed or not (page.is_cut or size > page_size):",
        "if True:",
        f"{PAGES}::test_pages_of_any_size_find_the_same_and_remove_no_more_than_that_at_once",
    ),
    Bug(
        "a delivery of a long transaction ends the search for a time",
        "sql/migrations/0008.recovery.sql",
        "LIMIT 100\n",
        "LIMIT 1\n",
        "tests/test_seq_before.py",
    ),
    Bug(
        "what a worker applies beside a discard stays applied",
        "consumer/operations/exclusions.py",
        'if became.get(delivery.seq) == "undone"]',
        'if became.get(delivery.seq) == "undone" and delivery.state == "done"]',
        "tests/test_discards.py::test_what_a_worker_applies_between_the_choice_and_the_discard_is_undone",
    ),
    Bug(
        "a discard after a prune names nobody",
        "sql/queries/exclusions/is_log_pruned.sql",
        "pruned_until IS NOT NULL",
        "pruned_until > now()",
        "tests/test_discards.py::test_a_discard_after_a_prune_names_the_users_to_refresh",
    ),
    Bug(
        "a discard passes over what others hold, in silence",
        EXCLUDE,
        "WHERE w.state = ANY(%(states)b::text[]) AND",
        "WHERE FALSE AND w.state = ANY(%(states)b::text[]) AND",
        f"{DISCARDS}::test_a_discard_at_the_console_says_how_many_it_has_left_out",
    ),
    Bug(
        "a command that has left out some ends well",
        "consumer/cli/decision.py",
        "    if left_out:\n",
        "    if left_out > 1:\n",
        f"{DISCARDS}::test_a_discard_on_the_command_line_fails_with_the_number_that_it_has_left_out",
    ),
    Bug(
        "a discard of dead ones takes those that wait again",
        EXCLUDE,
        " AND 'pending' = ANY(%(states)b::text[])",
        "",
        f"{DISCARDS}::test_only_what_is_still_in_a_chosen_state_is_excluded",
    ),
    Bug(
        "the page of a discard is silent about what was done before its turn",
        "consumer/console/actions.py",
        'get("left_out", 0)), (self.seen_count or 0) - self.affected)',
        'get("left_out", 0)), 0)',
        f"{DISCARDS}::test_a_discard_at_the_console_says_how_many_a_worker_has_applied_before_their_turn",
    ),
)
