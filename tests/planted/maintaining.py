"""Bugs of `consumer maintain`: of its jobs, and of the poll of recent activity."""

from tests.planted.bug import Bug

MAINTENANCE = "consumer/operations/maintenance.py"
ACTIVITY = "consumer/operations/activity.py"
JOBS = "tests/test_maintenance.py::test"
CALLS = "tests/test_maintain.py::test"
POLLS = "tests/test_activity.py::test"
SWEEPS = "tests/test_activity_sweeps.py::test"

MAINTAINING = (
    Bug(
        "two processes at once do a job twice",
        "sql/queries/maintenance/try_lock.sql",
        "pg_try_advisory_xact_lock(hashtext('consumer.maintenance'), hashtext(%(job)b::text))",
        "%(job)b::text IS NOT NULL",
        f"{JOBS}_of_two_processes_at_once_one_runs_the_job",
    ),
    Bug(
        "a job runs before it is due",
        MAINTENANCE,
        "if last and now < last.due_at - EARLY:",
        "if last and now < last.started_at - EARLY:",
        f"{JOBS}_a_job_runs_once_a_period_and_leaves_its_run_in_a_row",
    ),
    Bug(
        "a killed job waits for its next period",
        "sql/queries/maintenance/start.sql",
        "VALUES (%(job)b::text, now(), now())",
        "VALUES (%(job)b::text, now(), now() + interval '1 hour')",
        f"{JOBS}_a_job_that_was_killed_is_due_still",
    ),
    Bug(
        "a job goes on without its lock",
        MAINTENANCE,
        "asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)",
        "asyncio.wait({working}, return_when=asyncio.FIRST_COMPLETED)",
        f"{JOBS}_a_job_ends_when_its_lock_is_lost",
    ),
    Bug(
        "a job's lock keeps dead rows",
        MAINTENANCE,
        "    await _keep_lock(holder)\n    return bool(is_taken)",
        "    return bool(is_taken)",
        f"{JOBS}_the_lock_keeps_no_dead_row_from_going",
    ),
    Bug(
        "a failing job stops the rest",
        MAINTENANCE,
        "    except (ConsumerError, psycopg.Error) as error:",
        "    except psycopg.Error as error:",
        f"{CALLS}_a_job_that_fails_keeps_no_other_from_running",
    ),
    Bug(
        "what PostgreSQL says of a row is kept",
        MAINTENANCE,
        "{summary(error)}.",
        "{error}.",
        f"{JOBS}_what_postgresql_says_of_a_row_is_not_stored",
    ),
    Bug(
        "a server that cannot tell is asked each minute",
        "consumer/cli/jobs.py",
        "JobResult({}, UNABLE, UNABLE_PERIOD)",
        "JobResult({}, UNABLE)",
        f"{CALLS}_an_old_server_is_asked_once_a_day_and_said_to_be_too_old",
    ),
    Bug(
        "the mark of the poll moves without its page",
        ACTIVITY,
        "            put = await _put(conn, sweep, page)\n",
        "        async with transaction(conn, access):\n            put = await _put(conn, sweep, page)\n",
        f"{SWEEPS}_a_mark_moves_only_with_its_page",
    ),
    Bug(
        "the mark of the poll moves before the end of its sweep",
        ACTIVITY,
        "return replace(sweep, cursor=",
        "return replace(sweep, mark_millis=newest, cursor=",
        f"{SWEEPS}_a_poll_takes_so_many_pages_and_the_next_goes_on_behind_them",
    ),
    Bug(
        "two polls store the same page",
        "sql/queries/activity/advance.sql",
        "activity.sweep_id = %(old_sweep_id)b::uuid",
        "(activity.sweep_id = %(old_sweep_id)b::uuid OR TRUE)",
        f"{SWEEPS}_of_two_polls_at_once_one_stores_the_page",
    ),
    Bug(
        "a sweep ends where the one before began",
        ACTIVITY,
        "times[-1] < mark - OVERLAP_MILLIS",
        "times[-1] < mark",
        f"{SWEEPS}_a_sweep_reads_on_to_what_a_replica_hid_from_the_one_before",
    ),
    Bug(
        "a page behind a gap follows its cursor",
        ACTIVITY,
        "    return is_recent and times[0]",
        "    return not is_recent and times[0]",
        f"{SWEEPS}_a_cursor_that_is_lost_loses_nobody",
    ),
    Bug(
        "an empty page behind a cursor ends a sweep",
        ACTIVITY,
        "    if not times or sweep.cursor_millis is None:\n        return True",
        "    if not times or sweep.cursor_millis is None:\n        return False",
        f"{SWEEPS}_a_cursor_that_is_lost_loses_nobody",
    ),
    Bug(
        "a user that cannot be used is dead each minute",
        ACTIVITY,
        "for delivery in found if not delivery.error_code]",
        "for delivery in found]",
        f"{POLLS}_a_user_that_cannot_be_used_is_counted_and_not_dead_every_minute",
    ),
    Bug(
        "a user that was active comes back from the dead",
        ACTIVITY,
        "finder.user(user.id.lower(), user.body)",
        'finder.user(user.id.lower(), user.body, "user")',
        f"{POLLS}_a_list_takes_back_no_deletion_that_a_reconciliation_found",
    ),
    Bug(
        "the poll fixes no project",
        ACTIVITY,
        "            await runs.pin_project(conn, project_id)\n",
        "",
        f"{POLLS}_the_first_page_fixes_the_project",
    ),
)
