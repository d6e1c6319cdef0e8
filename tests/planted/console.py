"""Bugs of the console: of its doors, its guard, its masks, and of what is live on it."""

from tests.planted.bug import Bug

DOOR, GUARD = "consumer/console/door.py", "consumer/console/guard.py"
DOORS, GUARDS = "tests/test_console_door.py", "tests/test_console_guard.py"
LIVE, STATES = "tests/test_console_live.py", "tests/test_console_states.py"
SAMPLER = "consumer/console/sampler.py"

CONSOLE = (
    Bug(
        "a link opens the console as often as one likes",
        "sql/queries/sign_in/use_up.sql",
        "ON CONFLICT (id) DO NOTHING",
        "ON CONFLICT (id) DO UPDATE SET affected = excluded.affected",
        f"{DOORS}::test_a_link_opens_once_also_at_another_console_and_after_a_restart",
    ),
    Bug(
        "opening a link uses it up before anybody has agreed",
        "consumer/console/sign_in.py",
        "    if link is None:\n",
        "    if link is None or not await _use_up(visit, link):\n",
        f"{DOORS}::test_a_link_asks_first_and_signs_in_as_the_person_it_names",
    ),
    Bug(
        "the first look after a restart of the database says that it is away",
        "consumer/console/reading.py",
        "if is_new or error_class(error)",
        "if True or error_class(error)",
        f"{STATES}::test_a_database_that_was_started_again_while_nobody_looked_is_there",
    ),
    Bug(
        "a link or cookie never ends",
        DOOR,
        'return values if values["until"] > self._clock().timestamp() else None',
        "return values",
        f"{DOORS}::test_a_cookie_is_good_for_twelve_hours",
    ),
    Bug(
        "a link counts as a cookie",
        DOOR,
        'for salt in ("console link", "console cookie")',
        'for salt in ("console", "console")',
        f"{DOORS}::test_a_cookie_is_no_link",
    ),
    Bug(
        "scripts read the cookie",
        DOOR,
        "            httponly=True,\n",
        "",
        f"{DOORS}::test_a_cookie_keeps_from_scripts_and_other_sites_for_twelve_hours",
    ),
    Bug(
        "anybody may name the person",
        "consumer/settings/door.py",
        "        return any(peer in network for network in self.peers)",
        "        return True",
        "tests/test_console_proxy.py::test_only_loopback_or_the_named_peers_are_believed",
    ),
    Bug(
        "a client's own header counts beside the proxy's",
        DOOR,
        "if len(names) == 1 and is_name(names[0])",
        "if names and is_name(names[0])",
        "tests/test_console_proxy.py::test_two_names_are_nobody",
    ),
    Bug(
        "every name of the proxy's acts",
        DOOR,
        '"operator" if names[0] in self._header.operators else "viewer"',
        '"operator"',
        "tests/test_console_proxy.py::test_a_trusted_proxy_names_the_person",
    ),
    Bug(
        "a foreign name may lead to the console",
        GUARD,
        'if headers.get("host", "").lower() not in self._base.hosts and',
        "if False and",
        f"{GUARDS}::test_a_host_that_is_not_ours_is_refused",
    ),
    Bug(
        "another site's form counts",
        GUARD,
        'return is_ours and site in {"same-origin", None}',
        "return is_ours",
        f"{GUARDS}::test_a_form_counts_only_from_a_page_of_ours",
    ),
    Bug(
        "a form without an origin counts",
        GUARD,
        "else site is not None",
        "else True",
        f"{GUARDS}::test_an_old_browser_s_form_counts_by_its_origin",
    ),
    Bug(
        "caches keep pages",
        GUARD,
        '    "cache-control": "no-store",\n',
        "",
        f"{GUARDS}::test_every_page_bears_the_headers",
    ),
    Bug(
        "a page asks for less than its role",
        "consumer/console/system.py",
        'Endpoint("GET", "/system", "viewer", show)',
        'Endpoint("GET", "/system", "nobody", show)',
        "tests/test_console_routes.py",
    ),
    Bug(
        "the overview shows addresses as they are",
        "sql/migrations/0018.masked.sql",
        "    consumer_masked.email(m.stack_primary_email) AS stack_primary_email,",
        "    m.stack_primary_email,",
        "tests/test_console_canaries.py",
    ),
    Bug(
        "the page of a user shows the name",
        "sql/migrations/0018.masked.sql",
        "    consumer_masked.name(p.full_name) AS full_name,",
        "    p.full_name,",
        "tests/test_console_canaries.py::test_no_page_holds_a_canary",
    ),
    Bug(
        "a name can be a script",
        "consumer/console/render.py",
        "autoescape=True",
        "autoescape=False",
        "tests/test_console_static.py::test_a_name_that_is_markup_is_shown_as_text",
    ),
    Bug(
        "each who looks asks the database",
        SAMPLER,
        "            if self.view is before and not self._is_fresh():\n                await self._ask()\n",
        "            await self._ask()\n",
        f"{LIVE}::test_several_who_load_the_page_share_one_question",
    ),
    Bug(
        "those who wait for a silent database ask it one after the other",
        SAMPLER,
        "            if self.view is before and not",
        "            if not",
        f"{LIVE}::test_those_who_wait_for_a_silent_database_wait_for_one_question",
    ),
    Bug(
        "a page says for as long as nobody opens the overview that the database is away",
        "consumer/console/app.py",
        "            await console.sampler.fresh()\n",
        "            pass\n",
        f"{STATES}::test_each_page_says_that_the_database_is_away_and_that_it_is_back_though_nobody_asks_for_the_overview",
    ),
    Bug(
        "the sampler asks though nobody looks",
        SAMPLER,
        "                self._watched.clear()\n",
        "                pass\n",
        f"{LIVE}::test_the_database_is_left_alone_once_the_last_has_left",
    ),
    Bug(
        "a stop waits for those who look",
        SAMPLER,
        "            self._is_stopped = True\n",
        "            pass\n",
        f"{LIVE}::test_a_stop_ends_every_stream_at_once",
    ),
    Bug(
        "an ended session's stream is asked for without end",
        "consumer/console/live.py",
        "        yield ENDED\n",
        "        yield b''\n",
        f"{LIVE}::test_a_session_that_ends_sends_its_page_to_the_door",
    ),
    Bug(
        "the last sample is forgotten with the database",
        SAMPLER,
        "View(before.sample, at, problem, before.away_since or at)",
        "View(None, at, problem, before.away_since or at)",
        f"{STATES}::test_while_the_database_is_away_the_last_sample_stays_greyed_and_one_stays_signed_in",
    ),
)
