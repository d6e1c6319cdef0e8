"""Bugs of the console's pages that only a browser shows."""

from tests.planted.bug import Bug

TEMPLATES = "consumer/console/templates"
SCRIPT = "consumer/console/static/console.js"
SHEET = "consumer/console/static/console.css"
PAGES = "tests/browser/test_pages.py::test_a_page_is_readable_fits_and_keeps_quiet"
LIVE = "tests/browser/test_live.py"
ACTING = "tests/browser/test_acting.py"
CURES = "tests/browser/test_cures.py::test_the_three_things_of_the_overview_are_cured_from_the_page"
STATES = "tests/browser/test_states.py"
TIMES = "tests/browser/test_times.py"
HEADER = "tests/browser/test_header.py"
AWAY = f"{STATES}::test_while_the_database_is_away_the_last_sample_is_greyed_actions_are_off_and_one_stays_signed_in"

BROWSER = (
    Bug(
        "a page whose stream never began waits for it without end",
        SCRIPT,
        'htmx.trigger(live, "again");',
        "",
        f"{LIVE}::test_a_page_whose_stream_never_began_greys_and_begins_it_again",
    ),
    Bug(
        "a proxy's answer takes the place of what the page says of its liveness",
        f"{TEMPLATES}/base.html",
        ',"4xx","5xx"]',
        "]",
        f"{LIVE}::test_a_page_whose_stream_never_began_greys_and_begins_it_again",
    ),
    Bug(
        "the text of a chief button is hard to read on its ground",
        SHEET,
        ".btn.main { color: var(--on-accent);",
        ".btn.main {",
        PAGES,
    ),
    Bug(
        "an inline style",
        f"{TEMPLATES}/system.html",
        '<div class="head">',
        '<div class="head" style="margin: 0">',
        PAGES,
    ),
    Bug(
        "an open table closes with the next frame",
        f"{TEMPLATES}/base.html",
        '"morphIgnore":["data-htmx-powered","open"]',
        '"morphIgnore":["data-htmx-powered"]',
        f"{LIVE}::test_a_delivery_appears_by_itself_and_what_is_open_stays_open",
    ),
    Bug(
        "two elements share the id of the pause button",
        f"{TEMPLATES}/live_state.html",
        'id="pause-live"',
        'id="pause"',
        f"{LIVE}::test_pause_keeps_the_page_as_it_is_until_it_goes_on",
    ),
    Bug(
        "a page without frames looks live",
        SCRIPT,
        'document.documentElement.classList.add("stale");',
        "",
        f"{LIVE}::test_a_page_greys_when_the_console_is_killed_and_goes_on_when_it_is_back",
    ),
    Bug(
        "a dialog keeps the focus",
        SCRIPT,
        'dialog.addEventListener("close", () => link.focus(), { once: true });',
        "",
        f"{ACTING}::test_cancel_closes_the_dialog_changes_nothing_and_gives_the_focus_back",
    ),
    Bug(
        "a chart of a single step shows 1,000 days",
        SCRIPT,
        "x: { range: ({ data: [times] }) => [Math.min(times[0], times.at(-1) - 900), times.at(-1)] }, ",
        "",
        f"{LIVE}::test_a_chart_of_a_single_step_has_an_axis_of_times",
    ),
    Bug(
        "the finding of a vanished worker names a command that starts another process",
        "consumer/verdict/processes.py",
        '"worker": "work"',
        '"worker": "demo"',
        CURES,
    ),
    Bug(
        "the finding of dead letters leads to a list without causes",
        "consumer/verdict/queue.py",
        '"/dead", queue.dead)',
        '"/deliveries?state=dead", queue.dead)',
        CURES,
    ),
    Bug(
        "a silent source is found by the deliveries of all",
        "consumer/verdict/senders.py",
        'return f"/deliveries?source={source}"',
        'return "/deliveries"',
        CURES,
    ),
    Bug(
        "a page calls itself live without the stream",
        f"{TEMPLATES}/live_now.html",
        "is_streamed|default(false)",
        "true",
        "tests/test_console_live.py::test_only_the_stream_calls_a_page_live",
    ),
    Bug(
        "what is old loses its grey with the next frame",
        f"{TEMPLATES}/live_now.html",
        '<span class="warn-t">Stopped at',
        "<span>Stopped at",
        AWAY,
    ),
    Bug(
        "what is known no more is as old as it was",
        f"{TEMPLATES}/parts.html",
        "{% if view.is_there or not at %}{{ at|ago(now) }}",
        "{% if true %}{{ at|ago(now) }}",
        "tests/test_console_states.py::"
        "test_while_the_database_is_away_no_age_stands_still_each_figure_says_of_when_it_is",
    ),
    Bug(
        "while the database is away nothing says what to do",
        f"{TEMPLATES}/overview_now.html",
        "{% if needing %}",
        "{% if needing and view.is_there %}",
        "tests/test_console_states.py::"
        "test_while_the_database_is_away_the_last_sample_stays_greyed_and_one_stays_signed_in",
    ),
    Bug(
        "what is old can't be read",
        SHEET,
        ".stale main { filter: grayscale(1); }",
        ".stale main { opacity: 0.5; }",
        AWAY,
    ),
    Bug(
        "a phone hides who acts",
        SHEET,
        ".top .clock { display: none; }",
        ".top .clock, .who span { display: none; }",
        f"{HEADER}::test_on_a_phone_the_header_has_two_rows_with_the_name_of_who_acts",
    ),
    Bug(
        "on a phone what finds is crowded in beside the name",
        SHEET,
        '.top::after { content: ""; order: 1; flex-basis: 100%; }',
        "",
        f"{HEADER}::test_on_a_phone_the_header_has_two_rows_with_the_name_of_who_acts",
    ),
    Bug(
        "a long name pushes the header out of the window",
        SHEET,
        "gap: 7px; min-width: 0; white-space: nowrap; }",
        "gap: 7px; white-space: nowrap; }",
        f"{HEADER}::test_a_long_name_is_cut_and_pushes_nothing_away",
    ),
    Bug(
        "a long name in a finding makes a phone scroll sideways",
        SHEET,
        "main p { overflow-wrap: anywhere; }",
        "",
        f"{STATES}::test_a_state_is_named_with_its_cure_and_readable",
    ),
    Bug(
        "a time in the reader's zone loses its day",
        SCRIPT,
        "time.textContent = day(at) + clock(at);",
        "time.textContent = clock(at);",
        f"{TIMES}::test_a_time_of_another_day_keeps_its_day_in_the_reader_s_zone",
    ),
    Bug(
        "the day of a time is left out on the day of UTC",
        SCRIPT,
        "date.toDateString() === new Date().toDateString()",
        "date.toISOString().slice(0, 10) === new Date().toISOString().slice(0, 10)",
        f"{TIMES}::test_a_time_of_another_day_keeps_its_day_in_the_reader_s_zone",
    ),
    Bug(
        "the axis of a chart stays in UTC",
        SCRIPT,
        "    drawAnew();\n  });",
        "  });",
        f"{TIMES}::test_the_axis_of_a_chart_is_in_the_reader_s_zone_at_round_times",
    ),
    Bug(
        "the axis of a chart is at the round times of UTC",
        SCRIPT,
        "isLocal ? new Date(seconds * 1000) : ",
        "",
        f"{TIMES}::test_the_axis_of_a_chart_is_in_the_reader_s_zone_at_round_times",
    ),
    Bug(
        "the time on a confirmation stays in UTC",
        SCRIPT,
        "parts.childNodes);\n      showTimes();",
        "parts.childNodes);",
        f"{TIMES}::test_the_time_on_a_confirmation_is_in_the_reader_s_zone",
    ),
)
