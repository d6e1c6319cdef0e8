"""Bugs of what a support engineer is shown."""

from tests.planted.bug import Bug

FOLLOWING = "tests/test_following.py"
LIST = "tests/test_deliveries_list.py"
DELIVERY = "tests/test_delivery_command.py"
USER = "tests/test_user_command.py"

LOOKING_UP = (
    Bug(
        "following asks only for what is newer than the last look",
        "consumer/lookup/following.py",
        "max(self._since, now - OVERLAP)",
        "max(self._since, now)",
        f"{FOLLOWING}::test_a_lower_number_that_commits_after_a_higher_one_is_seen",
    ),
    Bug(
        "following tells a delivery once, whatever becomes of it",
        "consumer/lookup/following.py",
        "return delivery.seq, delivery.outcome or delivery.state, delivery.at",
        'return delivery.seq, "", None',
        f"{FOLLOWING}::test_each_change_of_a_delivery_is_told_once",
    ),
    Bug(
        "a name is shown without a reason",
        "consumer/lookup/one_user.py",
        "return found if masked else",
        "return found if not masked else",
        f"{USER}::test_nothing_personal_is_shown_without_a_reason",
    ),
    Bug(
        "the signed body is shown without a reason",
        "consumer/lookup/shown.py",
        "one_delivery.body(conn, delivery.seq, masked=masked)",
        "one_delivery.body(conn, delivery.seq, masked=False)",
        f"{DELIVERY}::test_nothing_personal_is_shown_without_a_reason",
    ),
    Bug(
        "what was revealed is not recorded",
        "consumer/cli/user.py",
        '            await record(conn, {"user_id": user_id}, options["reason"])\n',
        "            pass\n",
        f"{USER}::test_revealing_shows_the_values_and_records_who_and_why_without_them",
    ),
    Bug(
        "a reason is not needed",
        "consumer/cli/reveal.py",
        'if reveal["is_revealed"] != (reveal["reason"] is not None):',
        'if reveal["reason"] is not None and not reveal["is_revealed"]:',
        f"{USER}::test_revealing_needs_a_reason_and_a_reason_needs_revealing",
    ),
    Bug(
        "a rare filter reads the whole log",
        "consumer/lookup/listing.py",
        "return is_narrow and not is_found",
        "return False",
        f"{LIST}::test_a_rare_filter_looks_at_so_many_numbers_and_says_how_far",
    ),
    Bug(
        "the deliveries about a user are looked for among the newest",
        "consumer/lookup/listing.py",
        "self.user_ids is not None or self.team_id",
        "self.team_id",
        f"{LIST}::test_a_filter_by_user_and_type_is_looked_for_everywhere",
    ),
    Bug(
        "an underscore in a type stands for any character",
        "consumer/lookup/listing.py",
        r'.replace("_", r"\_")',
        "",
        f"{LIST}::test_a_filter_chooses_and_the_newest_comes_first",
    ),
    Bug(
        "the numbers that nothing has are looked at",
        "consumer/lookup/listing.py",
        "max(floor, newest[0] - LOOK_MAX) if newest else floor",
        "max(floor, before - 1 - LOOK_MAX)",
        f"{LIST}::test_numbers_that_nothing_has_are_not_looked_at",
    ),
    Bug(
        "an edit that was withdrawn still sets the field",
        "consumer/lookup/origins.py",
        "if edit and edit.value is not None:\n        return FieldOrigin",
        "if edit:\n        return FieldOrigin",
        f"{USER}::test_an_edit_that_was_withdrawn_sets_nothing",
    ),
    Bug(
        "a user that a scan did not list is in step",
        "consumer/lookup/one_user.py",
        " and not self.is_unlisted",
        "",
        f"{USER}::test_a_user_that_the_newest_scan_did_not_list_is_out_of_step",
    ),
    Bug(
        "a stale snapshot is judged like the winner",
        "consumer/lookup/unfollowed.py",
        "if delivery.seq != user.snapshot_seq:",
        "if user.snapshot_seq is None:",
        f"{DELIVERY}::test_a_stale_snapshot_names_the_newer_one",
    ),
    Bug(
        "a failure does not know its type",
        "sql/queries/storage/put_dead.sql",
        "        %(source)b::text,\n        %(event_type)b::text\n    FROM stored",
        "        %(source)b::text,\n        NULL::text\n    FROM stored",
        "tests/test_failure_types.py::test_one_that_is_dead_at_the_door_has_both",
    ),
    Bug(
        "a failure that is read again keeps its type",
        "sql/queries/deliveries/rebury.sql",
        "source = o.source, event_type = o.event_type",
        "source = f.source, event_type = f.event_type",
        "tests/test_failure_types.py::test_one_that_is_read_again_gets_the_type_that_is_read_today",
    ),
    Bug(
        "setting one value empties the object around it",
        "consumer/cli/send.py",
        "place[key] = inner if isinstance(inner, dict) else {}",
        "place[key] = {}",
        "tests/test_send_samples.py::test_dots_lead_into_objects_and_make_those_that_are_missing",
    ),
)
