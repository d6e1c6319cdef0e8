"""Re-homing by pages: everybody once, whatever leads to the company, and what happens to those who cannot be moved."""

from uuid import UUID

import psycopg
import pytest

from consumer.outbox.storage import Delivery
from consumer.postgres.queries import query
from consumer.settings.settings import ShapingSettings
from consumer.worker import rehome
from consumer.worker.rehome import PageResult
from tests.support import model
from tests.support.batches import DEFAULT, FIRST, SECOND, crew, edit, every, in_batches, member, user
from tests.support.databases import change, record, schema_change
from tests.support.rehoming import (
    DELAY,
    HIGHEST,
    LOWEST,
    MIRROR,
    PAGE,
    QUEUE,
    at_home,
    delete_seven,
    held,
    homeless,
    pages,
    person,
    turn,
    turns,
)


def elsewhere(n: int) -> Delivery:
    return user(n, person(n), server_metadata={"company_id": str(SECOND)})


# What leads to a company, each way alone: a guest's membership, an edit, metadata, and being at home by default.
WAYS = {
    "members": lambda n: [elsewhere(n), member("created", n, DEFAULT, person(n))],
    "past members": lambda n: [user(n, person(n)), member("deleted", n, DEFAULT, person(n))],
    "edited": lambda n: [user(n, person(n)), edit(n, person(n), company_id=str(DEFAULT))],
    "metadata": lambda n: [user(n, person(n), server_metadata={"company_id": str(DEFAULT)})],
    "at home": lambda n: [user(n, person(n))],
}
BEGIN = [crew("created", 0, DEFAULT), crew("created", 0, SECOND)]


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (2, [2]), (3, [3]), (4, [3, 1]), (6, [3, 3]), (7, [3, 3, 1])])
@pytest.mark.parametrize("way", [*WAYS, "mixed", "all at once"])
async def test_everybody_is_rehomed_once_at_every_page_boundary(
    emptied: str, way: str, count: int, sizes: list[int]
) -> None:
    settings = ShapingSettings(default_company_id=DEFAULT if way in {"at home", "mixed", "all at once"} else None)
    await record(emptied, settings)
    ways = list(WAYS.values())
    # Of the mixed, neighbours come in different ways; of the last, each comes in every way.
    told = {
        "mixed": lambda n: ways[n % len(ways)](n),
        "all at once": lambda n: [*WAYS["members"](n), *WAYS["edited"](n), *WAYS["metadata"](n)],
    }.get(way) or WAYS[way]
    deliveries = [*(each for n in range(1, count + 1) for each in told(n)), elsewhere(90)]
    end = crew("deleted", 99, DEFAULT)
    await in_batches(emptied, BEGIN, deliveries, [end])

    results = await turns(emptied)

    assert results == [PageResult(n, [], False) for n in sizes]
    assert not every(emptied, "consumer.rehome", "id")
    assert model.state(emptied) == model.fold([*BEGIN, *deliveries, end], settings)
    written = "SELECT count(*) FROM identity.profile_audit WHERE message_id = %s"
    with psycopg.connect(emptied) as conn:
        moved = sum(1 for n in range(1, count + 1) if not _stays(way, n))
        assert conn.execute(written, [end.message_id]).fetchone() == (moved,)


def _stays(way: str, n: int) -> bool:
    """Whether a user's home was another, or none, before."""
    return way in {"members", "past members"} or (way == "mixed" and n % len(WAYS) == 0)


@pytest.mark.parametrize("way", ["edited", "metadata"])
async def test_a_company_that_is_made_takes_in_a_page_after_another(emptied: str, way: str) -> None:
    deliveries = [crew("created", 0, SECOND), *(each for n in range(1, 8) for each in WAYS[way](n))]
    made = crew("created", 99, DEFAULT)
    await in_batches(emptied, deliveries, [made])

    assert [result.users for result in await turns(emptied)] == [3, 3, 1]
    assert model.state(emptied) == model.fold([*deliveries, made], ShapingSettings())
    assert {home for (home,) in every(emptied, MIRROR, "company_id")} == {DEFAULT}


@pytest.mark.parametrize("way", ["members", "edited", "metadata", "at home", "without a home"])
async def test_a_page_begins_with_the_least_id_whatever_the_plan_and_the_order_of_arrival(
    emptied: str, way: str
) -> None:
    """The company exists only for those who are, or should be, at home by default."""
    await record(emptied, ShapingSettings(default_company_id=DEFAULT if "home" in way else None))
    before = {"members": BEGIN[1:], "at home": BEGIN, "without a home": BEGIN}.get(way, [])
    known = "at home" if "home" in way else way
    await in_batches(emptied, before, *(WAYS[known](n) for n in (4, 3, 2, 1)))
    if way == "without a home":
        change(emptied, f"UPDATE {MIRROR} SET company_id = NULL")
    values = {"company_id": DEFAULT, "next_user_id": LOWEST, "last_user_id": HIGHEST, "page_size": 2}

    with psycopg.connect(emptied) as conn:
        conn.execute("SELECT set_config(name, 'off', TRUE) FROM pg_settings WHERE name ~ 'enable_(index|bitmap).*scan'")
        found = conn.execute(query("rehome/page"), values).fetchall()

    assert found == [(person(1),), (person(2),)]


@pytest.fixture
async def seven(emptied: str) -> str:
    """Seven users at home in a company that was just deleted."""
    return await delete_seven(emptied)


async def test_a_page_advances_to_the_first_user_of_the_next(seven: str) -> None:
    await turn(seven)

    assert every(seven, "consumer.rehome", QUEUE) == [(FIRST, person(4), HIGHEST, 0)]
    assert homeless(seven) == [1, 2, 3]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(2, 4, [2, 3, 4]), (4, 4, [4]), (5, 6, [5, 6]), (8, 9, []), (0, 1, [1]), (7, 9, [7])],
)
async def test_a_range_is_rehomed_with_both_its_ends_and_nobody_beyond(
    seven: str, first: int, last: int, expected: list[int]
) -> None:
    change(seven, f"UPDATE consumer.rehome SET next_user_id = '{person(first)}', last_user_id = '{person(last)}'")

    assert [result.users for result in await turns(seven, 2)] == ([2, 1] if len(expected) == 3 else [len(expected)])

    assert homeless(seven) == expected


async def test_an_edit_of_another_field_leads_to_no_company(emptied: str) -> None:
    await in_batches(emptied, BEGIN, [user(1), edit(2, role_type=str(DEFAULT))], [crew("deleted", 99, DEFAULT)])

    assert [result.users for result in await turns(emptied)] == [0]


async def test_an_edit_or_metadata_of_another_company_leads_there_and_nowhere_else(emptied: str) -> None:
    there = {"company_id": str(SECOND)}
    told = [user(1), edit(2, company_id=str(SECOND)), user(1, person(2), server_metadata=there)]
    await in_batches(emptied, BEGIN, told, [crew("deleted", 99, DEFAULT)])

    assert [result.users for result in await turns(emptied)] == [0]


@pytest.mark.parametrize("way", WAYS)
async def test_a_range_bounds_each_way_that_leads_to_a_company(emptied: str, way: str) -> None:
    await record(emptied, ShapingSettings(default_company_id=DEFAULT if way == "at home" else None))
    await in_batches(
        emptied, BEGIN, [each for n in range(1, 8) for each in WAYS[way](n)], [crew("deleted", 99, DEFAULT)]
    )
    change(emptied, f"UPDATE consumer.rehome SET next_user_id = '{person(3)}', last_user_id = '{person(5)}'")

    assert [result.users for result in await turns(emptied, 2)] == [2, 1]


@pytest.mark.parametrize(
    ("attempts", "sizes"), [(0, [4, 3]), (1, [2, 4, 1]), (2, [1, 2, 4]), (3, [1, 1, 2, 3]), (40, [1] * 7)]
)
async def test_each_attempt_halves_the_page_down_to_one_user_and_each_page_that_succeeds_doubles_it(
    seven: str, attempts: int, sizes: list[int]
) -> None:
    change(seven, f"UPDATE consumer.rehome SET attempts = {attempts}")

    assert [result.users for result in await turns(seven, 4)] == sizes


@pytest.mark.parametrize(
    ("attempts", "pages"), [(0, [(3, [2]), (3, [5]), (1, [])]), (2, [(3, [2]), (4, [5])])], ids=["first", "third"]
)
async def test_a_locked_user_is_put_aside_alone_for_the_delay_of_the_next_attempt(
    seven: str, attempts: int, pages: list[tuple[int, list[int]]]
) -> None:
    change(seven, f"UPDATE consumer.rehome SET attempts = {attempts}")
    [(seq,)] = every(seven, "consumer.rehome", "seq")
    asked: list[int] = []

    with held(seven, 2, 5):
        results = [await turn(seven, PAGE << attempts, asked) for _ in range(3)]

    found = [(result.users, [user_id.int >> 64 for user_id, _ in result.postponed]) for result in results if result]
    assert found == pages
    second = max(attempts - 1, 0) + 1
    assert asked == [attempts + 1, second]
    postponed = [(FIRST, person(2), person(2), attempts + 1), (FIRST, person(5), person(5), second)]
    assert every(seven, "consumer.rehome", QUEUE, order="id") == postponed
    assert set(every(seven, "consumer.rehome", "seq")) == {(seq,)}
    soon = f"due_at BETWEEN now() + '{DELAY}' - interval '9 s' AND now() + '{DELAY}'"
    assert len(every(seven, "consumer.rehome", "id", soon)) == 2
    assert homeless(seven) == [1, 3, 4, 6, 7]
    assert await turn(seven) is None


def test_ten_of_500_users_may_fail_and_each_is_waited_for_50_ms() -> None:
    assert (rehome.POSTPONED_MAX, rehome.PAGE_SIZE, rehome.LOCK_TIMEOUT) == (10, 500, 50)


async def many(url: str) -> int:
    """Make as many users as may be put aside, and four more."""
    count = rehome.POSTPONED_MAX + 4
    await in_batches(url, [each for n in range(1, count + 1) for each in at_home(n)])
    await in_batches(url, [crew("deleted", 99)])
    return count


@pytest.mark.parametrize("skipped", [0, 2])
@pytest.mark.parametrize("locked", [rehome.POSTPONED_MAX, rehome.POSTPONED_MAX + 1])
async def test_too_many_locked_users_put_all_the_rest_aside_in_one_range(
    emptied: str, locked: int, skipped: int
) -> None:
    count = await many(emptied)
    if skipped:
        await turn(emptied, skipped)
    begin = person(skipped + 1) if skipped else LOWEST
    held_numbers = range(skipped + 1, skipped + 1 + locked)

    with held(emptied, *held_numbers):
        result = await turn(emptied, 100)

    assert result
    is_overrun = locked > rehome.POSTPONED_MAX
    assert (result.users, result.is_overrun) == (count - skipped, is_overrun)
    assert [user_id for user_id, _ in result.postponed] == [person(n) for n in held_numbers][: rehome.POSTPONED_MAX]
    assert {type(error) for _, error in result.postponed} == {psycopg.errors.LockNotAvailable}
    ranges = [(begin, HIGHEST)] if is_overrun else [(person(n), person(n)) for n in held_numbers]
    assert every(emptied, "consumer.rehome", QUEUE, order="id") == [(FIRST, *bounds, 1) for bounds in ranges]
    change(emptied, "UPDATE consumer.rehome SET due_at = now()")
    await turns(emptied)
    assert homeless(emptied) == list(range(1, count + 1))


async def test_an_overrun_before_the_last_page_leaves_one_range_and_no_more(emptied: str) -> None:
    count = await many(emptied)

    with held(emptied, *range(1, rehome.POSTPONED_MAX + 2)):
        result = await turn(emptied, rehome.POSTPONED_MAX + 1)

    assert result
    assert (result.users, result.is_overrun) == (rehome.POSTPONED_MAX + 1, True)
    assert every(emptied, "consumer.rehome", QUEUE) == [(FIRST, LOWEST, HIGHEST, 1)]
    assert len(homeless(emptied)) == 0 < count


ALONE = """
CREATE FUNCTION public.alone() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF (SELECT count(*) FROM moved) > 1 THEN RAISE EXCEPTION 'together'; END IF; RETURN NULL; END $$;
CREATE TRIGGER alone AFTER UPDATE ON identity.profiles REFERENCING NEW TABLE AS moved
FOR EACH STATEMENT EXECUTE FUNCTION public.alone();
"""


async def test_users_that_fail_only_together_are_tried_in_halves(seven: str) -> None:
    found = []
    with schema_change(seven, ALONE, "DROP FUNCTION public.alone CASCADE"):
        async for result in pages(seven, 4):
            named = [(user_id, type(error).__name__) for user_id, error in result.postponed]
            found.append((result.users, named, result.is_overrun))
            change(seven, "UPDATE consumer.rehome SET due_at = now()")

    # The first of a page stands for those that fail together.
    four, *twos = ((size, [(person(n), "Inseparable")], True) for size, n in [(4, 1), *((2, n) for n in range(1, 7))])
    one: tuple[int, list[tuple[UUID, str]], bool] = (1, [], False)
    assert found == [four, *(each for two in twos for each in (two, one)), one]
    assert homeless(seven) == list(range(1, 8))
