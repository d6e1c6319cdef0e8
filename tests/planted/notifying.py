"""Bugs of notifications: of what is told, how often, and what else gets out."""

from tests.planted.bug import Bug

RULES = "consumer/process/notifications.py"
NOTIFY = "consumer/process/notify.py"
CHANNELS = "consumer/process/channels.py"
TOLD = "tests/test_notifications.py::test"
LOOKS = "tests/test_notify.py::test"
TROUBLES = "tests/test_notify_troubles.py::test"
DOUBTS = "tests/test_notify_doubts.py::test"
SENT = "tests/test_channels.py::test"
SETTINGS = "tests/test_notify_settings.py::test"

NOTIFYING = (
    Bug(
        "a finding that flaps is told each time",
        RULES,
        "is_quiet = state.told_at is not None and now - state.told_at < QUIET_TIME",
        "is_quiet = False",
        f"{TOLD}_a_finding_is_told_once_an_hour_however_it_flaps",
    ),
    Bug(
        "ten more are ten times worse",
        RULES,
        "WORSE_FACTOR * max(told.magnitude, 1)",
        "WORSE_FACTOR + max(told.magnitude, 1)",
        f"{TOLD}_ten_times_what_was_told_is_worse",
    ),
    Bug(
        "what closes while nobody takes it is never told",
        RULES,
        "            before = replace(before, told=before.sending)\n",
        "            pass\n",
        f"{TOLD}_what_closes_while_nobody_takes_it_is_told_as_over",
    ),
    Bug(
        "a name in a finding calls everybody",
        RULES,
        ".translate(PLAIN)",
        "",
        f"{TOLD}_a_text_calls_nobody_and_has_a_length_that_chats_take",
    ),
    Bug(
        "what a killed process was sending is lost",
        RULES,
        "(state.claimed_until is None or now >= state.claimed_until)",
        "state.claimed_until is None",
        f"{LOOKS}_what_a_killed_process_was_sending_is_told_by_another_with_the_same_id",
    ),
    Bug(
        "two watchers tell the same",
        "sql/queries/notification_states/lock.sql",
        "pg_advisory_xact_lock(hashtext('consumer.maintenance'), hashtext('told'))",
        "hashtext('told')",
        f"{LOOKS}_of_processes_at_once_one_tells",
    ),
    Bug(
        "what was told goes with its report",
        "consumer/process/notification_states.py",
        "stored.age >= REFRESH_TIME",
        "stored.age < timedelta(0)",
        f"{LOOKS}_what_was_told_is_written_anew_before_its_report_is_removed",
    ),
    Bug(
        "each restart of the database is told",
        NOTIFY,
        "if now - since >= AWAY_TIME:",
        "if now >= since:",
        f"{TROUBLES}_a_restart_of_the_database_is_nobodys_business",
    ),
    Bug(
        "a lock is told as an outage",
        NOTIFY,
        "error_class(error) is ErrorClass.TRANSIENT",
        "isinstance(error, psycopg.OperationalError)",
        f"{TROUBLES}_a_lock_or_a_right_that_is_missing_is_no_outage",
    ),
    Bug(
        "the heart beats while a finding fails",
        NOTIFY,
        'all(finding.gravity != "failing" for finding in found)',
        "True",
        f"{TROUBLES}_a_heartbeat_comes_once_a_minute_while_no_finding_fails",
    ),
    Bug(
        "a full disk mutes what is found",
        NOTIFY,
        "            await self._tell(self._stored.meanwhile, found, at, fresh)\n",
        "",
        f"{DOUBTS}_a_database_that_records_nothing_mutes_nothing",
    ),
    Bug(
        "what was told meanwhile is told again",
        "consumer/process/notification_states.py",
        "{**self._recorded, **unrecorded}",
        "{**self._recorded}",
        f"{DOUBTS}_a_database_that_records_nothing_mutes_nothing",
    ),
    Bug(
        "what fails now waits for the hour",
        RULES,
        'not (is_urgent and kind != "closed")',
        "True",
        f"{TOLD}_what_fails_now_and_only_warned_before_is_told_at_once",
    ),
    Bug(
        "a start tells what is open for a second",
        NOTIFY,
        "if not has_passed(LASTING_TIME, since, now)}",
        "if now < since}",
        f"{DOUBTS}_a_finding_is_told_once_it_lasts",
    ),
    Bug(
        "a copy lets the heart beat",
        NOTIFY,
        "        if not copies:\n            await self._beat(found, now)\n",
        "        await self._beat(found, now)\n",
        f"{DOUBTS}_a_copy_tells_only_that_it_is_one",
    ),
    Bug(
        "a notification follows a redirect",
        CHANNELS,
        "follow_redirects=False",
        "follow_redirects=True",
        f"{SENT}_a_redirect_is_not_followed",
    ),
    Bug(
        "an error shows the address",
        CHANNELS,
        "did not answer ({type(error).__name__}).",
        "did not answer ({url}).",
        f"{SENT}_no_error_shows_the_address",
    ),
    Bug(
        "a slow answer holds the rest up",
        CHANNELS,
        "            asyncio.timeout(limits.seconds),\n",
        "",
        f"{SENT}_an_answer_that_trickles_ends_with_the_time_of_an_attempt",
    ),
    Bug(
        "a hung command leaves its children",
        CHANNELS,
        "os.killpg(process.pid, signal.SIGKILL)",
        "process.kill()",
        f"{SENT}_a_command_that_hangs_ends_with_its_children_and_leaves_no_zombie",
    ),
    Bug(
        "a command learns the secrets of the settings",
        "consumer/cli/notify.py",
        "if name not in NAMES",
        "if name",
        "tests/test_notify_command.py::test_a_watch_tells_a_command_and_calls_while_it_is_well",
    ),
    Bug(
        "who checks notifications may forge events",
        "consumer/settings/notifications.py",
        "in senders.items():",
        "in ():",
        f"{SETTINGS}_combinations_that_cannot_work_are_refused_at_once",
    ),
)
