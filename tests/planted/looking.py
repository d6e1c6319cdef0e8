"""Bugs of the console's pages of what is stored."""

from tests.planted.bug import Bug

REVEAL = "tests/test_console_reveal.py"
LIST = "tests/test_console_deliveries.py"
CHANGES = "tests/test_console_changes.py"
DEAD = "tests/test_console_dead.py"
PLANS = "tests/test_console_plans.py"
USER = "tests/test_console_pages.py"
ORDERS = "tests/test_console_recovery_orders.py"
ORDERS_QUERY = "sql/queries/recovery/orders.sql"

LOOKING = (
    Bug(
        "the console's commands can't be pasted where ./run was typed",
        "consumer/console/render.py",
        'f"{found[1]}{self._program} "',
        "found[0]",
        "tests/test_console_static.py::test_commands_name_the_program_as_people_type_it",
    ),
    Bug(
        "a user's page shows the person to everybody",
        "consumer/console/users.py",
        "before: int | None = None, masked: bool = True) -> ViewedUser",
        "before: int | None = None, masked: bool = False) -> ViewedUser",
        f"{USER}::test_a_user_shows_who_set_each_field",
    ),
    Bug(
        "a delivery is revealed without a record",
        "consumer/console/reveal.py",
        '        await actions.record(conn, Action(visit.actor, "reveal", {"seqs": [seq]}, reason=reason), 1)\n',
        "",
        f"{REVEAL}::test_an_operator_reveals_a_delivery_once_for_a_recorded_reason",
    ),
    Bug(
        "a person is revealed for no reason",
        "consumer/console/reveal.py",
        "    if not 0 < len(reason) <= REASON_CHARACTERS_MAX:",
        "    if len(reason) > REASON_CHARACTERS_MAX:",
        f"{REVEAL}::test_without_a_reason_nothing_is_revealed_and_nothing_recorded",
    ),
    Bug(
        "before a user is revealed the page promises the body",
        "consumer/console/reveal.py",
        "partial(ask, OF_USER)",
        "partial(ask, OF_DELIVERY)",
        f"{REVEAL}::test_an_operator_reveals_a_user_once_for_a_recorded_reason",
    ),
    Bug(
        "a viewer may reveal",
        "consumer/console/reveal.py",
        '    Endpoint("POST", "/users/{user_id:uuid}/reveal", "operator", reveal_user),',
        '    Endpoint("POST", "/users/{user_id:uuid}/reveal", "viewer", reveal_user),',
        f"{REVEAL}::test_a_viewer_reveals_nothing_and_the_attempt_is_recorded",
    ),
    Bug(
        "an address that is not found is repeated",
        "consumer/console/find.py",
        '"", NOT_FOUND, status=404)\n    title',
        '"", f"{NOT_FOUND} {visit.form.text(\'q\')}", status=404)\n    title',
        f"{REVEAL}::test_what_is_not_found_is_not_repeated",
    ),
    Bug(
        "the next page begins with the last delivery of the one before",
        "consumer/console/deliveries.py",
        "size=PAGE_SIZE, before=before)",
        "size=PAGE_SIZE, before=before and before + 1)",
        f"{LIST}::test_pages_by_key_show_each_delivery_once",
    ),
    Bug(
        "a condition that can't be taken away",
        "consumer/console/filters.py",
        "self.address(path, **{name: None})",
        "self.address(path)",
        f"{LIST}::test_each_condition_can_be_taken_away",
    ),
    Bug(
        "a list that holds the newest delivery says that there are newer ones",
        "consumer/console/live.py",
        "newest > int(after)",
        "newest >= int(after)",
        f"{CHANGES}::test_newer_deliveries_are_announced_and_not_pushed_in",
    ),
    Bug(
        "the bars of deaths run backwards",
        "sql/queries/dead/groups.sql",
        "        ORDER BY n.hours_ago DESC\n",
        "        ORDER BY n.hours_ago\n",
        f"{DEAD}::test_each_group_shows_its_deaths_by_hour",
    ),
    Bug(
        "a filter that the page of dead letters does not know is left out",
        "consumer/console/dead.py",
        "if values.keys() - {NARROWING[by]}:",
        "if not by:",
        f"{DEAD}::test_a_condition_that_the_page_does_not_know_leads_to_the_list_that_does",
    ),
    Bug(
        "the dead letters of small groups are not counted",
        "sql/queries/dead/groups.sql",
        "(sum(sum(deliveries)) OVER ())::bigint AS total",
        "sum(deliveries)::bigint AS total",
        f"{DEAD}::test_more_groups_than_a_page_has_are_counted_too",
    ),
    Bug(
        "all dead letters are looked up to count their users",
        "sql/queries/dead/users.sql",
        """    WHERE d.state = 'dead'
    ORDER BY d.seq DESC
    LIMIT %(look_max)b::integer
""",
        """    WHERE d.state = 'dead' AND %(look_max)b::integer > 0
""",
        f"{PLANS}::test_counting_the_users_of_dead_letters_looks_up_few_of_them",
    ),
    Bug(
        "a large company is counted to its end",
        "sql/queries/one_company/find.sql",
        """            WHERE b.company_id = c.id AND b.removed_at IS NULL
            ORDER BY b.user_id
            LIMIT %(counted_max)b::integer
""",
        """            WHERE b.company_id = c.id AND b.removed_at IS NULL AND %(counted_max)b::integer > 0
            ORDER BY b.user_id
""",
        f"{PLANS}::test_a_company_of_any_size_is_counted_up_to_a_most",
    ),
    Bug(
        "a page of orders reads them all",
        ORDERS_QUERY,
        """    ORDER BY coalesce(finished_at, 'infinity') DESC, begun_at DESC, id DESC
    LIMIT %(size)b::integer
) AS b
""",
        """    AND %(size)b::integer > 0
) AS b
""",
        f"{PLANS}::test_a_page_of_orders_reads_a_page",
    ),
    Bug(
        "orders that are not finished come last",
        ORDERS_QUERY,
        "'infinity'",
        "'-infinity'",
        f"{ORDERS}::test_what_is_not_finished_comes_first_then_what_finished_last",
    ),
    Bug(
        "orders that finished at once are left out between two pages",
        ORDERS_QUERY,
        """begun_at, id) < (
            SELECT
                coalesce(last.finished_at, 'infinity'),
                last.begun_at,
                last.id
""",
        """begun_at) < (
            SELECT
                coalesce(last.finished_at, 'infinity'),
                last.begun_at
""",
        f"{ORDERS}::test_orders_that_finished_at_once_are_all_shown",
    ),
    Bug(
        "a group of dead letters acts on the types that begin like its own",
        "consumer/console/dead.py",
        ' and not self.key.endswith("*")',
        "",
        "tests/test_console_dead.py::test_a_group_that_no_filter_names_alone_has_no_list_and_no_actions",
    ),
    Bug(
        "an order stands on two pages",
        "consumer/console/templates/recovery.html",
        "found.orders[-1].id",
        "found.orders[-2].id",
        f"{ORDERS}::test_older_orders_follow_page_by_page_and_none_is_missing",
    ),
    Bug(
        "a check that goes on has done nothing",
        "consumer/console/actions.py",
        ', "users", "companies")',
        ")",
        f"{ORDERS}::test_an_order_tells_how_far_it_is_of_what_was_counted",
    ),
    Bug(
        "an order has done more than it was counted to take",
        "consumer/console/actions.py",
        "self.done <= self.seen_count < COUNT_MAX",
        "self.seen_count < COUNT_MAX",
        f"{ORDERS}::test_an_order_tells_how_far_it_is_of_what_was_counted",
    ),
    Bug(
        "an order that was stopped does not say why",
        "consumer/console/templates/recovery.html",
        "{% if each.error %}{{ each.error }}{% else %}",
        "{% if each.error %}–{% else %}",
        f"{ORDERS}::test_an_order_says_what_stopped_it",
    ),
)
