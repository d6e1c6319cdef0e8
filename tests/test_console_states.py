"""What the console says when all is not well: each state is made for real, and read from the page."""

import re
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from consumer.postgres.connections import viewer_access
from tests.faults.proxy import Wire
from tests.support.cli import arrive, work
from tests.support.console import Desk, running
from tests.support.databases import change, scratch_database
from tests.support.dead import dead_at_the_door
from tests.support.factories import user_updated
from tests.support.processes import until
from tests.support.states import pending_migration, reported, waits, wired

pytest_plugins = ["tests.support.console"]

AGED = "at = at - interval '{0}', next_at = at - interval '{0}'"

TIME, AGE = r"\d\d:\d\d:\d\d", r"(now|[0-9a-z ]+ ago)"
# What stands on the overview beside a figure or a process, as the page says it, and while the database is away.
STANDING_STILL = (
    ("Received [0-9.]+ /s [0-9]+ {}", "in the last minute", "in the minute before"),
    ("Oldest due .{{1,12}} {} Pending", "alarm above 60 s", f"at {TIME}"),
    ("Pending [0-9]+ {} Retrying", "nothing waits", f"at {TIME}"),
    ("Dead 1 newest {}", AGE, f"at {TIME}"),
    ("Stack {}", AGE, f"at {TIME}"),
    ("Worker work-1 .{{1,20}} silent {}", "for 5 min", f"since {TIME}"),
    ("Receiver web-1 .{{1,20}} alive {}", AGE, f"at {TIME}"),
)


def words(text: str) -> str:
    """Return what a person reads of a page's main part."""
    main = text[text.index("<main") : text.index("</main>")]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main)).replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture
def cut_off(emptied: str) -> Iterator[tuple[Desk, Wire]]:
    """A console behind a wire to its database, which has one delivery."""
    arrive(emptied, user_updated())
    work(emptied)
    with wired(emptied) as made:
        yield made


def test_an_empty_installation_says_where_deliveries_come_in(desk: Desk) -> None:
    seen = words(desk.get().text)

    assert "Ready. No delivery has come yet." in seen
    assert "Point Stack at http://127.0.0.1:8000/webhooks/stack , or send one" in seen


def test_all_well_is_one_sentence_and_the_figures(desk: Desk, emptied: str) -> None:
    arrive(emptied, user_updated(), user_updated())
    work(emptied)

    seen = words(desk.get().text)

    assert "Users are flowing. Nothing needs you." in seen
    assert re.search(r"Pending 0 nothing waits .* Dead 0 none Receipt to profile [0-9]", seen)
    assert len(re.findall("user.updated", seen)) == 2


def test_without_a_worker_the_page_says_what_waits_and_how_to_start_one(desk: Desk, emptied: str) -> None:
    waits(emptied)

    seen = words(desk.get().text)

    assert "nobody applies deliveries" in seen
    assert "Start a worker: consumer work" in seen


def test_a_wrong_clock_is_named_with_its_process(desk: Desk, emptied: str) -> None:
    reported(emptied, "receiver", "web-2", skew=-71.0)

    seen = words(desk.get().text)

    assert re.search(r"receiver on web-2 its clock is 71\.\d s behind the database&#39;s", seen)
    assert re.search(r"Receiver web-2 0\.0/s −1 min 11 s", seen)


def test_a_paused_worker_is_named_with_its_reason(desk: Desk, emptied: str) -> None:
    reported(emptied, "worker", "work-1", paused_by="permission denied for table app_users")

    seen = words(desk.get().text)

    assert "paused by permission denied for table app_users" in seen
    assert "Users are not flowing." in seen


def test_a_process_that_was_replaced_is_said_to_be(desk: Desk, emptied: str) -> None:
    reported(emptied, "worker", "work-1")
    change(emptied, f"UPDATE consumer.reports SET {AGED.format('5 minutes')} WHERE duty = 'worker'")
    reported(emptied, "worker", "work-1")
    change(emptied, f"UPDATE consumer.reports SET {AGED.format('2 minutes')} WHERE duty = 'worker' AND next_at > now()")

    seen = words(desk.get().text)

    assert re.search(r"Worker work-1 \S+ 0 ms replaced, silent for 5 min Worker work-1 \S+ 0 ms silent for 2 min", seen)


def test_a_receiver_that_was_stopped_just_now_is_said_to_be(desk: Desk, emptied: str) -> None:
    reported(emptied, "receiver", "web-1")
    change(emptied, "UPDATE consumer.reports SET next_at = NULL WHERE duty = 'receiver'")

    page = desk.get().text

    assert re.search(r"Nobody takes deliveries: stopped \S+ ago\. It may be a restart\.", words(page))
    assert 'class="verdict warn"' in page


def test_a_pending_migration_is_named_and_the_rest_of_the_page_left_out(desk: Desk, emptied: str) -> None:
    with pending_migration(emptied) as newest:
        page = desk.get()

    assert (page.status, f"pending: {newest}" in words(page.text)) == (200, True)
    assert "Run consumer migrate" in words(page.text)
    assert "Who sends" not in page.text


def test_a_database_without_any_migration_asks_for_it(server_url: str) -> None:
    with scratch_database(server_url, "bare") as bare, running(bare) as desk:
        page = desk.as_("viewer").get()
        other = desk.as_("viewer").get("/actions")

    assert "A migration is pending" in words(page.text)
    assert "Run consumer migrate" in words(page.text)
    assert (other.status, "A migration is pending" in other.text) == (503, True)


def test_while_the_database_is_away_the_last_sample_stays_greyed_and_one_stays_signed_in(
    cut_off: tuple[Desk, Wire],
) -> None:
    desk, cable = cut_off
    before = desk.get()
    cable.cut()
    away = until(lambda: next((page for page in [desk.get()] if "has been away for" in page.text), None))
    other = desk.get("/actions")
    system = desk.get("/system")
    cable.mend()
    back = until(lambda: next((page for page in [desk.get()] if "has been away for" not in page.text), None))

    assert "Users are flowing." in words(before.text)
    assert (away.status, '<html lang="en" class="stale">' in away.text) == (200, True)
    assert re.search(r"The database has been away for .* Below is what was known at \d\d:\d\d:\d\d", words(away.text))
    assert "user.updated" in words(away.text)
    assert re.search(
        r"it has not answered since \d\d:\d\d:\d\d UTC\. Start the server, or correct DATABASE_URL\.", words(away.text)
    )
    assert "kim · operator" in away.text
    assert (other.status, "The database is away" in words(other.text)) == (503, True)
    assert (system.status, "Settings of this process" in system.text) == (200, True)
    assert "Users are flowing." in words(back.text)
    assert 'class="stale"' not in back.text


def test_while_the_database_is_away_no_age_stands_still_each_figure_says_of_when_it_is(
    cut_off: tuple[Desk, Wire], emptied: str
) -> None:
    desk, cable = cut_off
    arrive(emptied, dead_at_the_door("says too little"))
    reported(emptied, "worker", "work-1")
    change(emptied, f"UPDATE consumer.reports SET {AGED.format('5 minutes')} WHERE duty = 'worker'")
    reported(emptied, "receiver", "web-1")
    before = words(desk.get().text)
    cable.cut()
    away = words(until(lambda: next((page.text for page in [desk.get()] if 'class="stale"' in page.text), None)))
    cable.mend()

    for pattern, age, time in STANDING_STILL:
        assert re.search(pattern.format(age), before), (pattern, before)
        assert re.search(pattern.format(time), away), (pattern, away)
    assert not re.search(r"[0-9] (d|h|min|s|ms) ago|in the last minute", away)


def test_each_page_says_that_the_database_is_away_and_that_it_is_back_though_nobody_asks_for_the_overview(
    cut_off: tuple[Desk, Wire],
) -> None:
    desk, cable = cut_off
    before = desk.get("/deliveries")
    cable.cut()
    away = until(lambda: next((page for page in [desk.get("/dead")] if 'class="stale"' in page.text), None))
    cable.mend()
    back = until(lambda: next((page for page in [desk.get("/deliveries")] if page.status == 200), None))

    assert (away.status, "The database is away" in words(away.text)) == (503, True)
    assert "Stopped at" in away.text
    for page in (before, back):
        assert '<html lang="en">' in page.text
        assert "Stopped at" not in page.text
        assert '<a class="btn " href="/deliveries/replay" data-dialog>' in page.text


def test_each_page_counts_the_dead_of_now(desk: Desk, emptied: str) -> None:
    before = desk.get("/users")
    arrive(emptied, dead_at_the_door("says too little"))
    after = until(lambda: next((page for page in [desk.get("/users")] if 'id="side-dead">1</span>' in page.text), None))

    assert 'id="side-dead"></span>' in before.text
    assert after.status == 200


def test_a_database_that_was_started_again_while_nobody_looked_is_there(desk: Desk, emptied: str) -> None:
    desk.get()
    change(emptied, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'consumer %'")
    arrive(emptied, user_updated())
    work(emptied)
    pages: list[str] = []

    def is_shown() -> bool:
        pages.append(words(desk.get().text))
        return "user.updated" in pages[-1]

    until(is_shown)

    assert not [page for page in pages if "away" in page]


def test_a_console_that_starts_while_the_database_is_away_says_so_at_once() -> None:
    with running("postgresql://nobody@127.0.0.1:1/none") as desk:
        page = desk.as_("viewer").get()

    assert "Nothing has been known since this console started." in words(page.text)


def test_no_page_waits_long_for_a_silent_database(cut_off: tuple[Desk, Wire]) -> None:
    desk, cable = cut_off
    desk.get()
    cable.hold()
    try:
        page = desk.get("/actions")
    finally:
        cable.release()

    assert page.status == 503


def test_a_question_that_takes_too_long_is_given_up(desk: Desk, emptied: str) -> None:
    """A page takes no lock that anybody needs, so a lock of its own table is what stops it."""

    with psycopg.connect(emptied) as conn:
        conn.execute("LOCK TABLE consumer.actions IN ACCESS EXCLUSIVE MODE")
        page = desk.get("/actions")

    assert (page.status, "The question took too long" in words(page.text)) == (503, True)


def test_the_limit_of_a_statement_is_two_seconds() -> None:

    assert viewer_access("consumer").statement_timeout == timedelta(seconds=2)
