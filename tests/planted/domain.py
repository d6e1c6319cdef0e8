"""Bugs of what deliveries mean: users, companies, edits, tenants."""

from tests.planted.bug import Bug

IDENTITY = "sql/migrations/0002.identity.sql"
MIRROR = "sql/queries/users/mirror.sql"
TENANT_TESTS = "tests/test_tenants.py"
LAW = "tests/laws/test_function_of_the_set.py::test_any_order_repeats_and_batches_end_in_the_state_of_the_model"

DOMAIN = (
    Bug(
        "a renamed guest is found by the old name",
        "sql/queries/users/put_profiles.sql",
        "row((c.known).guest_keys, (c.known).search_name) IS DISTINCT FROM row(c.guest_keys, c.search_name)",
        "(c.known).guest_keys IS DISTINCT FROM c.guest_keys",
        "tests/test_search.py::test_a_guest_is_found_by_the_present_name_and_only_while_a_guest",
    ),
    Bug(
        "a guest who leaves keeps a name there",
        "sql/queries/members/home.sql",
        "        is_guest = NOT b.is_guest,\n        search_name = NULL\n",
        "        is_guest = NOT b.is_guest\n",
        "tests/test_search.py::test_a_guest_is_found_by_the_present_name_and_only_while_a_guest",
    ),
    Bug(
        "no tombstone",
        MIRROR,
        "            deletion_at = least(excluded.deletion_at, known.deletion_at),\n",
        "            deletion_at = excluded.deletion_at,\n",
        LAW,
    ),
    Bug(
        "an older deletion is lost when it comes in a later batch",
        IDENTITY,
        "OR least(offered.deleted_at, known.deleted_at) IS DISTINCT FROM known.deleted_at",
        "OR (known.deleted_at IS NULL AND offered.deleted_at IS NOT NULL)",
        LAW,
    ),
    Bug(
        "the youngest deletion instead of the oldest",
        MIRROR,
        "min(f.deletion_at) OVER by_user",
        "max(f.deletion_at) OVER by_user",
        "tests/test_effects.py::test_of_two_deletions_in_one_batch_the_oldest_counts",
    ),
    Bug(
        "no version guard",
        MIRROR,
        "WHEN excluded.version > known.version THEN excluded.stack_primary_email ELSE",
        "WHEN excluded.version <> '' THEN excluded.stack_primary_email ELSE",
        LAW,
    ),
    Bug(
        "what reconcile finds ranks as the application's",
        IDENTITY,
        "(source <> 'app')::integer::text",
        "(source IN ('stack', 'backfill'))::integer::text",
        LAW,
    ),
    Bug(
        "a version is written in the session's time zone",
        IDENTITY,
        "to_char(occurred_at AT TIME ZONE 'UTC',",
        "to_char(occurred_at,",
        LAW,
    ),
    Bug(
        "an image shows the name in the place of the e-mail",
        IDENTITY,
        "    'email', profile.email,\n",
        "    'email', profile.full_name,\n",
        "tests/laws/test_function_of_the_set.py::test_the_audit_is_a_chain_of_images_that_ends_in_the_profile",
    ),
    Bug(
        "the application outranks Stack",
        IDENTITY,
        "(source <> 'app')::integer::text",
        "(source = 'app')::integer::text",
        LAW,
    ),
    Bug(
        "a sign-in is audited whenever it is applied",
        "sql/queries/users/put_sign_ins.sql",
        "    ON CONFLICT (user_id, source, message_id) WHERE operation IN ('signed_in', 'signed_out') DO NOTHING\n",
        "    ON CONFLICT (user_id, id) DO NOTHING\n",
        "tests/laws/test_function_of_the_set.py::test_replaying_what_was_applied_writes_nothing",
    ),
    Bug(
        "a company is deleted beside those who join it",
        "sql/queries/companies/lock.sql",
        "pg_advisory_xact_lock(hashtext",
        "pg_advisory_xact_lock_shared(hashtext",
        "tests/test_rehome.py::test_who_joins_while_the_company_is_being_deleted_is_not_left_in_it",
    ),
    Bug(
        "an implied join undoes a removal",
        "sql/queries/members/put.sql",
        "WHEN f.removal_version > f.join_version THEN",
        "WHEN f.removal_version > f.join_version AND NOT f.is_implied THEN",
        LAW,
    ),
    Bug(
        "only the first page of a company's users is re-homed",
        "consumer/worker/rehome.py",
        "rest = user_ids[:size], user_ids[size:]",
        "rest = user_ids[:size], []",
        "tests/test_rehome.py::test_a_deleted_company_sends_its_users_to_the_next_one",
    ),
    Bug(
        "who is no longer placed by metadata stays",
        MIRROR,
        "coalesce(known.company_id, known.source_company_id) IS NOT NULL AS is_placed",
        "known.source_company_id IS NOT NULL AS is_placed",
        "tests/test_rehome.py::test_who_is_no_longer_placed_by_metadata_goes_back",
    ),
    Bug(
        "a move shows either company the other",
        "sql/queries/users/put_profiles.sql",
        "    WHERE old_company_id <> company_id AND",
        "    WHERE FALSE AND",
        "tests/test_rehome.py::test_a_move_leaves_a_row_under_either_company_and_none_names_both",
    ),
    Bug(
        "a withdrawn edit stays",
        "sql/queries/edits/fold.sql",
        "value = excluded.value,",
        "value = coalesce(excluded.value, known.value),",
        "tests/test_edits.py::test_what_is_withdrawn_is_the_sources_again",
    ),
    Bug(
        "an older edit is tried where the newest names no company",
        "sql/queries/edits/fold.sql",
        "        WHERE excluded.version > known.version\n",
        "        WHERE excluded.version > known.version AND (excluded.field <> 'company_id' OR excluded.value IS NULL "
        "OR EXISTS (SELECT FROM identity.companies AS c WHERE c.id::text = excluded.value AND c.deleted_at IS NULL))\n",
        "tests/test_edits.py::test_home_is_what_the_newest_edit_names_before_metadata_and_membership",
    ),
    Bug(
        "an edit's company is not locked",
        "sql/queries/companies/lock.sql",
        "    FROM consumer.edits AS e\n    WHERE e.user_id",
        "    FROM consumer.edits AS e\n    WHERE FALSE AND e.user_id",
        "tests/test_edits.py::test_an_edit_and_what_makes_or_ends_its_company_never_miss_each_other",
    ),
    Bug(
        "an edit of a forgotten user is kept when it is late",
        "sql/queries/edits/fold.sql",
        "        AND (NOT m.is_forgotten OR (",
        "        AND (TRUE OR (",
        "tests/test_edits.py::test_of_a_deleted_user_only_edits_that_a_row_is_made_of_are_kept",
    ),
    Bug(
        "a guest stays one for ever",
        "sql/queries/members/home.sql",
        "(b.removed_at IS NULL AND b.company_id IS DISTINCT FROM h.company_id)",
        "(b.is_guest OR (b.removed_at IS NULL AND b.company_id IS DISTINCT FROM h.company_id))",
        "tests/test_home_order.py",
    ),
    Bug(
        "a field of which no row is made is required",
        "consumer/providers/stack/payloads.py",
        "    signed_up_at_millis: Millis\n    server_metadata: object\n",
        "    signed_up_at_millis: Millis\n    server_metadata: object\n    auth_with_email: bool\n",
        "tests/test_unread_fields.py::test_a_user_with_a_changed_field_is_taken_and_the_field_counted",
    ),
    Bug(
        "a part that cannot be stored makes its event unusable",
        "consumer/events/check.py",
        "        if reduced is None:\n            raise\n",
        "        raise\n",
        "tests/test_left_out.py::test_an_administrator_who_is_demoted_is_one_no_more_whatever_he_wrote",
    ),
    Bug(
        "a company is named from the signed body",
        "sql/queries/companies/fold.sql",
        "convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb #> '{data,selected_team}'",
        "convert_from(o.body, 'UTF8')::jsonb #> '{data,selected_team}'",
        "tests/test_left_out.py::test_a_bystander_is_updated_whatever_a_member_of_the_selected_team_wrote",
    ),
    Bug(
        "server metadata that cannot be stored is left out",
        "consumer/events/check.py",
        "        if error := left_out.get(path):\n",
        "        if (error := left_out.get(path)) and False:\n",
        "tests/test_left_out.py::test_a_field_of_which_a_row_is_made_is_never_left_out",
    ),
    Bug(
        "the reduced body of a retried delivery is forgotten",
        "consumer/operations/replay.py",
        "            reread.append(read)\n",
        "            pass\n",
        "tests/test_reread.py::test_a_dead_delivery_is_applied_without_the_part_that_killed_it",
    ),
)
