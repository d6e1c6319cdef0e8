"""An event type of one's own takes one model, one SQL file and one line."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest

from consumer.effects import anew
from consumer.effects.apply import apply_own
from consumer.errors import BadPayload
from consumer.events import registry
from consumer.events.check import check
from consumer.events.registry import APP, EVENT_TYPES, EventType, Fact
from consumer.operations.replay import Replayed
from consumer.outbox.rebuild_queue import Stage
from consumer.outbox.storage import Delivery
from consumer.postgres import queries
from consumer.postgres.connections import transaction, worker_access
from consumer.providers.payload import Payload
from tests.support.databases import change, rows
from tests.support.factories import delivery, user_updated
from tests.support.kept import kept
from tests.support.outbox import arrive, replayed
from tests.support.worker import deliveries, drain_all, stored, worker

USER = UUID("6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10")
OTHER, SHOP = UUID(int=8), UUID(int=9)
# The newest order of a user by its number: a join, like every effect.
EFFECT = """
-- Keep the highest order of each user; returns the deliveries that raised it.
WITH told AS (
    SELECT DISTINCT ON (o.user_id) o.user_id, o.seq, (d.body -> 'data' ->> 'number')::bigint AS number
    FROM consumer.outbox AS o
    CROSS JOIN LATERAL (SELECT convert_from(coalesce(o.reduced, o.body), 'UTF8')::jsonb AS body) AS d
    WHERE o.seq = ANY(%(seqs)b::bigint[])
    ORDER BY o.user_id, number DESC
),

written AS (
    INSERT INTO public.orders AS known (user_id, number)
    SELECT user_id, number FROM told ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET number = excluded.number WHERE excluded.number > known.number
    RETURNING known.user_id
)

SELECT coalesce(array_agg(t.seq), '{}') FROM told AS t INNER JOIN written AS w ON t.user_id = w.user_id;
"""


class Invoice(Payload):
    """A model that no order fits."""

    total: int


class OrderPlaced(Payload):
    """An order of a user's."""

    id: str
    number: int


LINE: Mapping[str, EventType] = {
    "order.placed": EventType(OrderPlaced, APP, Fact.OWN, user="id", effect="order_placed")
}


@pytest.fixture
def shop(emptied: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    root = tmp_path / "sql"
    shutil.copytree(str(queries.sql_root()), root)
    (root / "queries" / "effects" / "order_placed.sql").write_text(EFFECT)
    monkeypatch.setattr(queries, "sql_root", lambda: root)
    for module in ("effects.by_fact", "effects.stored", "events.registry"):
        monkeypatch.setattr(f"consumer.{module}.EVENT_TYPES", {**EVENT_TYPES, **LINE})
    with psycopg.connect(emptied, autocommit=True) as conn:
        conn.execute("CREATE TABLE public.orders (user_id uuid PRIMARY KEY, number bigint NOT NULL)")
        conn.execute("GRANT SELECT, INSERT, UPDATE ON public.orders TO consumer_worker")
        try:
            yield emptied
        finally:
            conn.execute("DROP TABLE public.orders")
            queries.query.cache_clear()


def ordered(number: int, source: str = "app") -> Delivery:
    return delivery("order.placed", USER, source, number=number)


async def test_its_effect_is_applied_in_any_order_beside_the_others(shop: str) -> None:
    for number in (3, 1, 4):
        await stored(shop, [ordered(number), user_updated(USER)])
        await drain_all(shop, worker())

    assert rows(shop, "SELECT * FROM public.orders") == [{"user_id": USER, "number": 4}]
    outcomes = rows(shop, "SELECT outcome FROM consumer.deliveries WHERE event_type = 'order.placed' ORDER BY seq")
    assert [row["outcome"] for row in outcomes] == ["applied", "unchanged", "applied"]


async def test_its_user_is_locked_by_a_row_of_the_mirror(shop: str) -> None:
    await stored(shop, [ordered(1)])
    await drain_all(shop, worker())

    assert rows(shop, "SELECT stack_user_id FROM identity.stack_user_profiles") == [{"stack_user_id": USER}]


async def test_from_a_source_that_may_not_send_it_it_is_unknown(shop: str) -> None:
    await stored(shop, [ordered(1, "stack")])
    await drain_all(shop, worker())

    assert deliveries(shop, "outcome") == [("ignored",)]
    assert rows(shop, "SELECT * FROM public.orders") == []


def test_its_model_is_checked_at_the_door(shop: str) -> None:
    with pytest.raises(BadPayload, match=r"^\$\.data\.number: "):
        check(orjson.dumps({"type": "order.placed", "data": {"id": str(uuid4())}}), "app")


@pytest.mark.parametrize(
    "names", [{"user": "id"}, {"user": "customer", "team": "shop"}, {}], ids=["id", "others", "none"]
)
async def test_a_retry_after_the_release_that_knows_it_cures_it_and_names_whom_it_concerns(
    shop: str, monkeypatch: pytest.MonkeyPatch, names: dict[str, str]
) -> None:
    order = delivery("order.placed", USER, "app", customer=str(OTHER), shop=str(SHOP), number=1)
    early = order._replace(user_id=None, error_code="unknown_type", error="$.type: unknown")
    await arrive(shop, early)
    kind = LINE["order.placed"]._replace(user=names.get("user"), team=names.get("team"), fact=Fact.NOTHING)
    monkeypatch.setattr(registry, "EVENT_TYPES", {**EVENT_TYPES, "order.placed": kind})

    done = await replayed(shop)

    named = {"id": USER, "customer": OTHER, "shop": SHOP}
    [found] = rows(shop, "SELECT state, user_id, team_id FROM consumer.deliveries")
    assert done == Replayed(queued=1, unusable=0)
    assert found == {
        "state": "pending",
        "user_id": named.get(names.get("user", "")),
        "team_id": named.get(names.get("team", "")),
    }


async def test_what_came_too_early_has_its_effect_after_a_retry(shop: str) -> None:
    await arrive(shop, ordered(7)._replace(user_id=None, error_code="unknown_type", error="$.type: unknown"))

    await replayed(shop)
    await drain_all(shop, worker())

    assert rows(shop, "SELECT * FROM public.orders") == [{"user_id": USER, "number": 7}]


async def test_a_retry_before_that_release_changes_nothing_and_one_with_a_bad_model_is_cured_later(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await arrive(shop, ordered(7)._replace(user_id=None, error_code="unknown_type", error="$.type: unknown"))
    written = rows(shop, "SELECT xmin::text FROM consumer.outbox")
    found = []
    for kind in (None, LINE["order.placed"]._replace(payload=Invoice), LINE["order.placed"]):
        monkeypatch.setattr(registry, "EVENT_TYPES", {**EVENT_TYPES, **({"order.placed": kind} if kind else {})})
        await replayed(shop)
        found += deliveries(shop, "state, error_code")
        if kind is None:
            assert rows(shop, "SELECT xmin::text FROM consumer.outbox") == written

    assert found == [("dead", "unknown_type"), ("dead", "bad_shape"), ("pending", None)]


async def test_a_rebuild_of_its_user_brings_its_effect_about_again(shop: str) -> None:
    access = worker_access("consumer")
    await stored(shop, [user_updated(USER), ordered(3), ordered(2)])
    await drain_all(shop, worker())
    change(shop, "DELETE FROM public.orders; UPDATE identity.profiles SET full_name = 'wrong'")

    async with kept(shop, access) as conn, transaction(conn, access):
        differing = await anew.make_anew(conn, Stage.USER, [USER], is_kept=True)

    assert differing == {USER: ["profile"]}
    assert rows(shop, "TABLE public.orders") == [{"user_id": USER, "number": 3}]


async def test_several_types_have_their_effects_in_the_order_of_their_names(shop: str) -> None:
    from_name = {"beta": 2, "alpha": 1, "gamma": 3}
    for name, seq in from_name.items():
        (queries.sql_root() / "queries" / "effects" / f"{name}.sql").write_text(
            f"INSERT INTO public.orders SELECT gen_random_uuid(), {seq} + 0 * count(*) "
            "FROM unnest(%(seqs)b::bigint[]) AS s RETURNING ARRAY[number]"
        )

    access = worker_access("consumer")
    async with kept(shop, access) as conn, transaction(conn, access):
        applied = await apply_own(conn, {name: [seq] for name, seq in from_name.items()})

    assert applied == {1, 2, 3}
    assert [row["number"] for row in rows(shop, "SELECT number FROM public.orders ORDER BY ctid")] == [1, 2, 3]
