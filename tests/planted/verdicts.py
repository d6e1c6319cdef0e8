"""Bugs of the verdict, of what it is made from, and of what processes report."""

from tests.planted.bug import Bug

TABLE = "tests/test_verdict.py::test_an_observation_means"
VERDICT = "tests/test_verdict.py::test"
REPORTS = "tests/test_reports.py::test"
HOURS = "tests/test_hours.py::test"
OBSERVED = "tests/test_observe.py::test"
QUIET = "tests/test_quiet.py::test"
BOARD = "tests/test_board.py::test"

VERDICTS = (
    Bug(
        "nobody works, and that is called a stall",
        "consumer/verdict/queue.py",
        "and is_worked_on(observation):",
        "and True:",
        TABLE,
    ),
    Bug(
        "an older worker that reports nothing is nobody",
        "consumer/verdict/processes.py",
        'observation.worker_sessions or _alive(observation, "worker")',
        '_alive(observation, "worker")',
        TABLE,
    ),
    Bug(
        "a worker that is restarted is missed at once",
        "consumer/verdict/processes.py",
        "is_worked_on(observation) or is_back_soon or",
        "is_worked_on(observation) or",
        TABLE,
    ),
    Bug(
        "a process that ended as it was told is silent",
        "consumer/verdict/observation.py",
        "return self.next_at is not None and at > self.next_at + REPORT_LATE",
        "return at > (self.next_at or self.last_at) + REPORT_LATE",
        TABLE,
    ),
    Bug(
        "one successor stands in for all that vanished",
        "consumer/verdict/processes.py",
        "                others.remove(successor)\n",
        "",
        TABLE,
    ),
    Bug(
        "a dead receiver is forgotten though none is alive",
        "consumer/verdict/processes.py",
        "if alive_count and observation.at",
        "if observation.at",
        TABLE,
    ),
    Bug(
        "a receiver that was stopped is missed by nobody",
        "consumer/verdict/processes.py",
        "    yield from _no_receiver(observation)\n",
        "",
        TABLE,
    ),
    Bug(
        "a clock that is behind is right",
        "consumer/verdict/processes.py",
        "and abs(seconds) > SKEW_MAX",
        "and seconds > SKEW_MAX",
        TABLE,
    ),
    Bug(
        "one slip of a sender is an alarm",
        "consumer/verdict/queue.py",
        "queue.died_lately >= DYING_MIN and",
        "queue.died_lately and",
        TABLE,
    ),
    Bug(
        "a mute is heard only before there is a history",
        "consumer/verdict/senders.py",
        "elif observation.silence_max is not None:\n            yield from _silence(observation, source, received_at, "
        "observation.silence_max)",
        "else:\n            yield from _silence(observation, source, received_at, observation.silence_max or "
        "timedelta.max)",
        TABLE,
    ),
    Bug(
        "what is known of a database that is away is told",
        "consumer/verdict/findings.py",
        "    if observation.away_reason is None:\n",
        "    if True:\n",
        f"{VERDICT}_while_the_database_is_away_nothing_else_is_known",
    ),
    Bug(
        "a warning stops the users",
        "consumer/verdict/findings.py",
        'finding.gravity == "failing" and finding.code in HALTING',
        "finding.code in HALTING",
        f"{VERDICT}_one_sentence_says_whether_users_flow_and_how_much_needs_somebody",
    ),
    Bug(
        "what is replayed makes the queue late",
        "sql/queries/observe/queue.sql",
        "    WHERE seq > (SELECT coalesce(max(d.seq), 0) FROM consumer.outcomes AS d)\n",
        "",
        f"{OBSERVED}_what_is_retried_by_hand_or_imported_makes_nothing_late",
    ),
    Bug(
        "an import makes the queue late",
        "sql/queries/observe/queue.sql",
        "            WHERE o.source IN ('stack', 'app')\n",
        "",
        f"{OBSERVED}_what_is_retried_by_hand_or_imported_makes_nothing_late",
    ),
    Bug(
        "the first report is the last",
        "sql/queries/observe/processes.sql",
        "ON reported.last_at = r.at",
        "ON reported.first_at = r.at",
        f"{OBSERVED}_a_process_is_known_by_its_first_and_its_last_report_that_is_kept",
    ),
    Bug(
        "a worker without the secrets expects nothing",
        "consumer/verdict/observe.py",
        "{*expected.sources, *(source for process in reported for source in process.sources)}",
        "{*expected.sources}",
        f"{OBSERVED}_a_source_that_a_receiver_has_a_secret_of_is_expected_where_no_secret_is_known",
    ),
    Bug(
        "a late commit is never counted",
        "consumer/operations/hours.py",
        "if place.counted == place.next or await _is_awaited(conn, place):",
        "if place.counted == place.next:",
        f"{HOURS}_a_delivery_that_commits_after_later_ones_were_seen_is_counted",
    ),
    Bug(
        "under load nothing is counted",
        "consumer/operations/hours.py",
        "return any(each.is_prepared or each.writer in place.writers for each in await _writers(conn))",
        "return bool(await _writers(conn))",
        f"{HOURS}_a_transaction_that_began_later_holds_nothing_up",
    ),
    Bug(
        "a repeat counts twice",
        "consumer/operations/hours.py",
        '{"after_seq": place.counted,',
        '{"after_seq": 0,',
        f"{HOURS}_a_repeat_counts_nothing_twice_and_adds_what_is_new",
    ),
    Bug(
        "two that count at once count twice",
        "sql/queries/hours/place.sql",
        "WHERE job = %(job)b::text\nFOR UPDATE;",
        "WHERE job = %(job)b::text;",
        f"{HOURS}_two_that_count_at_once_count_once",
    ),
    Bug(
        "an hour is one of the session's time zone",
        "sql/queries/hours/fold.sql",
        "date_trunc('hour', received_at, 'UTC')",
        "date_trunc('hour', received_at)",
        f"{HOURS}_deliveries_are_counted_by_source_and_hour_of_arrival_in_utc",
    ),
    Bug(
        "the busiest week decides",
        "sql/queries/observe/quietest.sql",
        "    min(deliveries) AS deliveries\n",
        "    max(deliveries) AS deliveries\n",
        f"{QUIET}_the_quietest_week_counts",
    ),
    Bug(
        "a whole hour counts for a part of it",
        "sql/queries/observe/quietest.sql",
        "least(h.hour + interval '1 hour', w.until) - greatest(h.hour, w.since)",
        "interval '1 hour'",
        f"{QUIET}_of_an_hour_the_share_of_the_silence_counts",
    ),
    Bug(
        "a week without a row is left out",
        "sql/queries/observe/quietest.sql",
        "    LEFT JOIN consumer.hours AS h\n",
        "    INNER JOIN consumer.hours AS h\n",
        f"{QUIET}_a_week_that_brought_nothing_then_makes_nobody_quiet",
    ),
    Bug(
        "a report counts everything since the start",
        "consumer/process/reports.py",
        "        self._reported = counted\n",
        "",
        f"{REPORTS}_a_report_counts_what_rose_since_the_one_before",
    ),
    Bug(
        "what was counted in an outage is lost",
        "consumer/process/reports.py",
        "            await self.close()\n            return False\n        self._reported = counted\n",
        "            await self.close()\n            self._reported = counted\n            return False\n"
        "        self._reported = counted\n",
        f"{REPORTS}_what_was_counted_while_the_database_was_away_is_in_the_next_report",
    ),
    Bug(
        "an outage ends the reports",
        "consumer/process/reports.py",
        "except (psycopg.Error, OSError):",
        "except psycopg.InterfaceError:",
        f"{REPORTS}_while_the_database_is_away_it_tries_again_and_sooner_than_it_reports",
    ),
    Bug(
        "a process ends without a word",
        "consumer/process/reports.py",
        "        await reporter.put(None, LAST_PUT_TIMEOUT)\n",
        "",
        f"{REPORTS}_a_block_reports_at_once_and_at_its_end_that_no_report_follows",
    ),
    Bug(
        "a silent server keeps a process from ending",
        "consumer/process/reports.py",
        "LAST_PUT_TIMEOUT = timedelta(seconds=1)",
        "LAST_PUT_TIMEOUT = timedelta(seconds=9)",
        f"{REPORTS}_a_silent_server_holds_the_end_up_for_a_second_at_most",
    ),
    Bug(
        "the skew has the wrong sign",
        "sql/queries/reports/put.sql",
        "%(sent_at)b::timestamptz - clock_timestamp()",
        "clock_timestamp() - %(sent_at)b::timestamptz",
        f"{REPORTS}_the_skew_is_the_clock_of_the_process_less_the_database_s",
    ),
    Bug(
        "reports are kept without end",
        "sql/queries/hours/remove_reports.sql",
        "WHERE at < now() - %(kept)b::interval;",
        "WHERE at < now() - 99 * %(kept)b::interval;",
        f"{HOURS}_reports_are_kept_for_six_hours",
    ),
    Bug(
        "a worker that applies again is paused still",
        "consumer/worker/loop.py",
        "self.turned_at, self.trouble, self.paused_by = time.monotonic(), None, None",
        "self.turned_at, self.trouble = time.monotonic(), None",
        "tests/test_loop_pauses.py::test_one_turn_that_succeeds_ends_the_trouble_and_starts_the_pauses_again",
    ),
    Bug(
        "a check never fails",
        "consumer/cli/status.py",
        "if is_checking and any(",
        "if False and any(",
        f"{BOARD}_check_exits_with_1_while_a_finding_is_failing",
    ),
    Bug(
        "a sender's text controls the terminal",
        "consumer/cli/board.py",
        "textwrap.wrap(printable(finding.sentence), width)",
        "textwrap.wrap(finding.sentence, width)",
        f"{BOARD}_a_sender_s_text_controls_no_terminal",
    ),
)
