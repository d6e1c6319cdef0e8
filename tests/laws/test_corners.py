"""What the laws are tried on: each corner is drawn often enough, from the same histories every time."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from consumer.events.registry import EVENT_TYPES, Fact
from tests.laws.arrivals import batches
from tests.laws.corners import CORNERS
from tests.laws.histories import SCENES, SOURCES, History, Scene, histories, keys

DRAWN, SEED = 800, 1


@pytest.fixture(scope="module")
def reached() -> Counter[str]:
    """How many of the drawn histories, alike many of each scene, reach each corner."""
    found: Counter[str] = Counter()
    for scene in SCENES:
        found += _drawn(scene)
    return found


def _drawn(scene: Scene) -> Counter[str]:
    found: Counter[str] = Counter()

    @seed(SEED)
    @settings(
        max_examples=DRAWN // len(SCENES),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(history=histories([scene]))
    def draw(history: History) -> None:
        applied = batches(history)
        found.update(name for name, corner in CORNERS.items() if corner.is_reached(history, applied))

    draw()
    return found


@pytest.mark.parametrize("name", CORNERS)
def test_a_corner_is_reached(reached: Counter[str], name: str) -> None:
    assert reached[name] >= CORNERS[name].share * DRAWN


def test_every_type_that_tells_a_fact_is_drawn_from_each_of_its_sources() -> None:
    told = {name: known for name, known in EVENT_TYPES.items() if known.fact not in {Fact.NOTHING, Fact.OWN}}
    may_send = {(name, source) for name, known in told.items() for source in known.sources}

    assert {(name, source) for name, sources in SOURCES.items() for source in sources} == may_send
    assert {name: keys(name) for name in SOURCES} == {name: (known.user, known.team) for name, known in told.items()}
