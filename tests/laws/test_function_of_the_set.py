"""The promise: the final state is a function of the set of deliveries."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.database import connect, worker_access
from consumer.outbox import Delivery
from consumer.settings import Projection
from tests import model
from tests.support import apply_next, empty, put, record, replay_everything, rows

USERS = [UUID(int=n) for n in (1, 2, 3)]
COMPANY = UUID(int=77)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMES = st.sampled_from(["Ada", " Grace ", "\u3000", "", "José 🦊", None])
JSON: st.SearchStrategy[object] = st.sampled_from(
    [None, {}, [], 7, "x", {"role": "admin"}, {"role": " ", "department": "R&D"}, {"role": 5, "a": [1]}]
)
MILLIS = st.integers(0, 5).map(lambda n: int(NOON.timestamp() * 1000) + n * 1001)


@dataclass(frozen=True, slots=True)
class History:
    """A set of deliveries and one way in which they may arrive."""

    deliveries: list[Delivery]
    arrivals: list[int]
    batch_sizes: list[int]
    projection: Projection


def optional(strategy: st.SearchStrategy[object], *keys: str) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, strategy))


SNAPSHOTS = st.builds(
    lambda *parts: {key: value for part in parts for key, value in part.items()},
    st.fixed_dictionaries(
        {
            "display_name": NAMES,
            "primary_email": st.sampled_from(["a@example.com", "b@example.com", None]),
            "primary_email_verified": st.booleans(),
            "profile_image_url": st.sampled_from(["https://example.com/a.png", None]),
            "signed_up_at_millis": MILLIS,
            "client_metadata": JSON,
            "server_metadata": JSON,
        }
    ),
    optional(st.booleans(), "is_anonymous", "is_restricted"),
    optional(MILLIS, "last_active_at_millis"),
)


# What is no snapshot may carry fields of one: none of them is a fact, and in a deletion none of them is even checked.
PARTIAL = optional(st.sampled_from(["Partial", None]), "display_name", "profile_image_url")
UNCHECKED = optional(
    st.sampled_from([None, "junk", 300_000_000_000_000]), "primary_email", "last_active_at_millis", "is_anonymous"
)


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    user_id = draw(st.sampled_from(USERS))
    source, event_type = draw(
        st.sampled_from(
            [
                ("stack", "user.created"),
                ("stack", "user.updated"),
                ("stack", "user.updated"),
                ("backfill", "user.updated"),
                ("stack", "user.deleted"),
                ("app", "user.signed_in"),
                ("app", "user.signed_out"),
                ("stack", "user.signed_in"),
            ]
        )
    )
    data: dict[str, object] = {"id": str(user_id).upper() if draw(st.booleans()) else str(user_id)}
    if event_type in {"user.created", "user.updated"} or (event_type != "user.deleted" and draw(st.booleans())):
        data |= draw(SNAPSHOTS)
    else:
        data |= draw(UNCHECKED if event_type == "user.deleted" else PARTIAL)
    if event_type in {"user.signed_in", "user.signed_out"}:
        data |= draw(optional(MILLIS, f"{event_type.removeprefix('user.')}_at_millis"))
    return Delivery(
        source=source,
        message_id=draw(st.sampled_from("abcdAB")) + draw(st.sampled_from("0123456789")),
        event_type=event_type,
        user_id=user_id,
        team_id=None,
        occurred_at=NOON + timedelta(milliseconds=4 * draw(st.integers(0, 6))),
        verified_by=None,
        body=orjson.dumps({"type": event_type, "data": data}),
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    known = draw(st.lists(deliveries(), min_size=1, max_size=12, unique_by=lambda d: (d.source, d.message_id)))
    first = draw(st.permutations(range(len(known))))
    repeats = draw(st.lists(st.integers(0, len(known) - 1), max_size=4))
    return History(
        deliveries=known,
        arrivals=[*first, *repeats],
        batch_sizes=draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)),
        projection=Projection(
            default_company_id=draw(st.sampled_from([None, COMPANY])),
            delete_policy=draw(st.sampled_from(["soft", "anonymise", "hard"])),
        ),
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_any_order_repeats_and_batches_end_in_the_state_of_the_model(database_url: str, history: History) -> None:
    empty(database_url)

    asyncio.run(arrive(database_url, history))

    assert model.state(database_url) == model.fold(history.deliveries, history.projection)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_replaying_what_was_applied_writes_nothing(database_url: str, history: History) -> None:
    empty(database_url)
    asyncio.run(arrive(database_url, history))
    before = written(database_url)

    asyncio.run(replay_everything(database_url, batch_size=history.batch_sizes[0]))

    assert written(database_url) == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_the_audit_is_a_chain_of_images_that_ends_in_the_profile(database_url: str, history: History) -> None:
    empty(database_url)
    soft = Projection(default_company_id=history.projection.default_company_id)
    asyncio.run(arrive(database_url, History(history.deliveries, history.arrivals, history.batch_sizes, soft)))

    for profile in rows(database_url, "SELECT user_id, identity.image(p) AS image FROM identity.profiles AS p"):
        chain = rows(
            database_url,
            "SELECT previous_values AS before, new_values AS after, changed_fields FROM identity.profile_audit "
            f"WHERE user_id = '{profile['user_id']}' AND operation NOT LIKE 'signed%' ORDER BY id",
        )
        assert [None, *(row["after"] for row in chain)] == [*(row["before"] for row in chain), profile["image"]]
        assert all(row["changed_fields"] for row in chain)


async def arrive(database_url: str, history: History) -> None:
    """Deliver one by one, and drain a batch of the next size now and then."""
    await record(database_url, history.projection)
    async with await connect(database_url, worker_access("consumer")) as conn:
        for n, index in enumerate(history.arrivals):
            await put(conn, [history.deliveries[index]])
            if n % 3 == 2:
                await apply_next(conn, history.batch_sizes[n % len(history.batch_sizes)])
        while await apply_next(conn, history.batch_sizes[-1]):
            pass


def written(database_url: str) -> list[object]:
    """Return every row of the users' data with the transaction that wrote it."""
    tables = ("stack_user_profiles", "profiles", "profile_audit")
    return [rows(database_url, f"SELECT xmin::text, t.* FROM identity.{table} AS t ORDER BY 2, 3") for table in tables]
