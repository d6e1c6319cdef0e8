"""Bugs by which something of an erased person stays."""

from tests.planted.bug import Bug

ERASE = "consumer/operations/erase.py"
LATE = "consumer/worker/late.py"
PERSONAL = "consumer/events/personal.py"
ERASE_TESTS, LATE_TESTS = "tests/test_erase.py", "tests/test_late.py"
NOTHING_LEFT = f"{ERASE_TESTS}::test_no_value_of_the_person_is_left_and_a_stranger_of_the_same_name_stays"

ERASING = (
    Bug(
        "a body about the person is left",
        ERASE,
        "if (body or EMPTY) != stored.body:",
        "if body is None:",
        NOTHING_LEFT,
    ),
    Bug(
        "the audit of an erased person is left",
        "consumer/effects/users.py",
        '    await conn.execute(query("users/scrub_audit"), {"user_ids": user_ids})\n',
        "    del conn, user_ids\n",
        NOTHING_LEFT,
    ),
    Bug(
        "a late body is left",
        LATE,
        "    if not erased:\n",
        "    if erased:\n",
        f"{LATE_TESTS}::test_a_late_body_is_reduced_in_the_batch_that_discards_it",
    ),
    Bug(
        "a body is left whose user was erased meanwhile",
        "consumer/worker/claimed.py",
        "        await late.require_none(conn, deliveries)\n",
        "",
        f"{LATE_TESTS}::test_a_user_who_is_erased_while_a_batch_waits_for_the_lock_is_noticed",
    ),
    Bug(
        "what comes in the batch of the erasure is left",
        "consumer/worker/claimed.py",
        "for part in filter(None, (erasures, others)):",
        "for part in filter(None, ([*others, *erasures],)):",
        f"{LATE_TESTS}::test_what_comes_in_the_batch_of_the_erasure_is_late",
    ),
    Bug(
        "the person's own team keeps its name",
        PERSONAL,
        "    if known.team and _id(",
        "    if not known.team and _id(",
        NOTHING_LEFT,
    ),
    Bug(
        "a shared team loses its name",
        "sql/queries/erase/teams.sql",
        ") AS is_own",
        ") OR TRUE AS is_own",
        f"{ERASE_TESTS}::test_only_the_team_without_another_member_loses_its_name",
    ),
    Bug(
        "the values to look for are lost in a kill",
        ERASE,
        "    async for others in stored_bodies.about_others(conn, access, erasure.person, erasure.found):\n"
        "        await bodies.erase_others(others)\n        yield bodies.report\n"
        "    async for own in stored_bodies.about(conn, access, erasure.person.user_id):\n"
        "        await bodies.erase_own(own)\n        yield bodies.report\n",
        "    async for own in stored_bodies.about(conn, access, erasure.person.user_id):\n"
        "        await bodies.erase_own(own)\n        yield bodies.report\n"
        "    async for others in stored_bodies.about_others(conn, access, erasure.person, erasure.found):\n"
        "        await bodies.erase_others(others)\n        yield bodies.report\n",
        f"{ERASE_TESTS}::test_one_that_was_killed_is_finished_by_the_next",
    ),
    Bug(
        "an address that another user has too is taken from that user",
        ERASE,
        "found.emails - shared)",
        "found.emails)",
        f"{ERASE_TESTS}::test_an_address_that_another_user_has_too_stays_that_users",
    ),
    Bug(
        "anybody's body can be replaced without an erasure",
        "sql/migrations/0009.erase.sql",
        "IF NOT coalesce(consumer.is_erasure_stored(of_user), FALSE) THEN",
        "IF of_user IS NULL THEN",
        f"{ERASE_TESTS}::test_only_bodies_of_a_stored_erasure_can_be_replaced",
    ),
    Bug(
        "a prune stops an erasure",
        "sql/migrations/0009.erase.sql",
        "changed_count < stored_count THEN",
        "changed_count < cardinality(seqs) THEN",
        f"{ERASE_TESTS}::test_a_body_that_a_prune_removes_meanwhile_does_not_stop_the_erasure",
    ),
)
