"""Bugs of what the verdict says of senders: of their silence, and of signatures that fit no secret."""

from tests.planted.bug import Bug

SENDERS = "consumer/verdict/senders.py"
QUIETEST = "sql/queries/observe/quietest.sql"
UNMATCHED = "sql/queries/observe/unmatched.sql"
OBSERVED = "tests/test_observe.py::test"
QUIET = "tests/test_quiet.py::test"
WRONG = "tests/test_wrong_secret.py::test"

SENDER_BUGS = (
    Bug(
        "the busiest week decides",
        QUIETEST,
        "SELECT min(b.deliveries)",
        "SELECT max(b.deliveries)",
        f"{QUIET}_the_quietest_week_counts",
    ),
    Bug(
        "a whole hour counts for a part of it",
        QUIETEST,
        "least(h.hour + interval '1 hour', w.until) - greatest(h.hour, w.since)",
        "interval '1 hour'",
        f"{QUIET}_of_an_hour_the_share_of_the_silence_counts",
    ),
    Bug(
        "a week without a row is left out",
        QUIETEST,
        "    LEFT JOIN consumer.hours AS h\n",
        "    INNER JOIN consumer.hours AS h\n",
        f"{QUIET}_a_week_that_brought_nothing_then_makes_nobody_quiet",
    ),
    Bug(
        "a long silence is compared with itself",
        QUIETEST,
        "now() - (k.week + s.whole_weeks) * interval '168 hours' AS until",
        "now() - k.week * interval '168 hours' AS until",
        f"{QUIET}_a_long_silence_is_compared_with_the_weeks_before_it_as_often_as_it_covers_them",
    ),
    Bug(
        "a history silences SILENCE_HOURS",
        SENDERS,
        "    elif silence > max(",
        "    elif history is None and silence > max(",
        f"{QUIET}_a_silence_of_a_rare_source_is_found_after_90_days_too",
    ),
    Bug(
        "a weekend is a silence",
        SENDERS,
        "history.longest_silence if history else timedelta(0)",
        "timedelta(0)",
        f"{QUIET}_nights_and_weekends_of_a_busy_source_are_no_finding_and_a_silence_in_its_hours_is",
    ),
    Bug(
        "a pause that began before the four weeks is forgotten",
        QUIETEST,
        "s.known_since <= h.hour",
        "s.since - 4 * interval '168 hours' <= h.hour",
        f"{QUIET}_the_longest_silence_of_four_weeks_is_known_by_its_hours",
    ),
    Bug(
        "a wrong secret is usual beside more deliveries",
        SENDERS,
        "elif seen.unmatched >= UNMATCHED_MIN:",
        "elif seen.unmatched >= max(UNMATCHED_MIN, seen.accepted):",
        f"{WRONG}_a_wrong_secret_is_told_once_and_is_not_over_before_its_cure",
    ),
    Bug(
        "a burst is split where a quarter of an hour ends",
        UNMATCHED,
        "        ORDER BY extract(EPOCH FROM c.at)",
        "        PARTITION BY floor(extract(EPOCH FROM now() - c.at) / 900) ORDER BY extract(EPOCH FROM c.at)",
        f"{WRONG}_a_burst_fails_at_every_moment_until_a_delivery_is_accepted",
    ),
    Bug(
        "a stranger is told again and again",
        "consumer/verdict/observe.py",
        "UNMATCHED_LATELY = timedelta(hours=1)",
        "UNMATCHED_LATELY = timedelta(minutes=1)",
        f"{WRONG}_a_stranger_who_tries_for_half_a_day_is_told_once_and_does_not_fail",
    ),
    Bug(
        "that nothing is accepted is a warning",
        SENDERS,
        '= "failing", seen',
        '= "warning", seen',
        f"{WRONG}_a_wrong_secret_is_told_once_and_is_not_over_before_its_cure",
    ),
    Bug(
        "a pause of the sender is the end of a wrong secret",
        UNMATCHED,
        "FILTER (WHERE a.last_at <=",
        "FILTER (WHERE w.at > now() - %(time)b::interval AND a.last_at <=",
        f"{WRONG}_a_wrong_secret_is_told_once_and_is_not_over_before_its_cure",
    ),
    Bug(
        "a stranger fails between two deliveries",
        UNMATCHED,
        " FILTER (WHERE a.last_at <= now() - %(time)b::interval)",
        "",
        f"{WRONG}_a_stranger_who_tries_for_half_a_day_is_told_once_and_does_not_fail",
    ),
    Bug(
        "an accepted delivery does not end a failure",
        UNMATCHED,
        "FILTER (WHERE c.at > a.last_at) OVER",
        "OVER",
        f"{OBSERVED}_the_busiest_15_minutes_since_a_delivery_was_accepted_are_known_after_as_long",
    ),
    Bug(
        "a repeat is not accepted",
        UNMATCHED,
        "'deliveries_received:duplicate'",
        "'deliveries_received:repeated'",
        f"{OBSERVED}_each_delivery_that_was_answered_204_is_accepted",
    ),
    Bug(
        "a count with a point breaks every reader",
        "sql/queries/rates/minutes.sql",
        "c.value::numeric",
        "c.value::bigint",
        f"{OBSERVED}_counts_that_are_written_with_a_point_are_counts",
    ),
    Bug(
        "a silence by its history is the end of one by SILENCE_HOURS",
        "consumer/process/notifications.py",
        ', "source_silent": "quiet"',
        "",
        "tests/test_notifications.py::test_a_silence_is_not_over_while_its_history_tells_of_it",
    ),
)
