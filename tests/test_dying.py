"""The cause that is named for deliveries that die: the most frequent one of the newest thousand."""

import pytest

from tests.support.databases import change
from tests.test_observe import seen

DEAD = (
    "INSERT INTO consumer.failures (seq, state, attempts, error_code, error, failed_at) "
    "SELECT n, '{state}', 1, '{code}', '$', now() - interval '{seconds} s' FROM generate_series({first}, {last}) AS n"
)


def died(url: str, code: str, first: int, last: int, *, seconds: float, state: str = "dead") -> None:
    change(url, DEAD.format(state=state, code=code, seconds=seconds, first=first, last=last))


@pytest.mark.parametrize(("older", "newer"), [("a", "b"), ("b", "a")])
async def test_of_the_newest_thousand_the_most_frequent_cause_is_named(emptied: str, older: str, newer: str) -> None:
    """Of five hundred each the first by name is."""
    died(emptied, older, 1, 1000, seconds=60)
    died(emptied, newer, 2001, 2500, seconds=10)

    queue = (await seen(emptied)).queue

    assert (queue.dying_of, queue.died_lately) == ("a, $", 1500)
    change(emptied, "DELETE FROM consumer.failures WHERE seq = 2500")
    assert (await seen(emptied)).queue.dying_of == f"{older}, $"


async def test_of_causes_as_frequent_the_first_by_name_is_named(emptied: str) -> None:
    for number, code in enumerate(("b", "a", "c")):
        died(emptied, code, 10 * number, 10 * number + 4, seconds=number)

    assert (await seen(emptied)).queue.dying_of == "a, $"
