"""users/put_profiles on rows made by hand: which delivery and which edits an audit row names, and what a move shows."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.databases import change, rows
from tests.test_anew_rows import company, fill
from tests.test_profile_rows import (
    ADA,
    BOB,
    CREW,
    EVE,
    MAX,
    ROLE,
    TEAM,
    UNIT,
    audit,
    derived,
    edited,
    put,
    said,
    shown,
    told,
)
from tests.test_stored import FEBRUARY, JANUARY, store

MINUTE = timedelta(minutes=1)
LATER = FEBRUARY + MINUTE
# By the letter of a delivery: its type and its time. All are about one user.
KINDS: dict[str, tuple[str, Any]] = {
    "end": ("user.deleted", FEBRUARY),
    "erasure": ("user.erased", FEBRUARY),
    "other end": ("user.deleted", LATER),
    "snapshot at the end": ("user.updated", FEBRUARY),
    "winner": ("user.updated", JANUARY + MINUTE),
    "old": ("user.updated", JANUARY),
    "new": ("user.updated", LATER + MINUTE),
    "edit": ("profile.edited", JANUARY),
    "late edit": ("profile.edited", JANUARY + 2 * MINUTE),
}


@pytest.mark.parametrize(
    ("names", "known_end", "changed", "applied", "cause"),
    [
        (["new", "end", "winner"], None, True, ["new"], "end"),
        (["new", "erasure", "winner"], None, True, ["new"], "erasure"),
        (["new", "end", "winner"], JANUARY, True, ["new"], "end"),
        (["new", "end", "winner"], FEBRUARY, True, ["new"], "winner"),
        (["snapshot at the end", "winner"], None, True, [], "winner"),
        (["other end", "winner"], None, True, ["other end"], "winner"),
        (["new", "winner", "edit"], FEBRUARY, False, ["edit"], "edit"),
        (["new", "winner"], FEBRUARY, False, [], "new"),
        (["new", "old", "edit"], FEBRUARY, True, ["edit"], "edit"),
        (["edit", "late edit", "new"], FEBRUARY, True, ["edit", "late edit"], "late edit"),
        (["late edit", "edit", "new"], FEBRUARY, True, ["edit", "late edit"], "late edit"),
        (["new", "old"], FEBRUARY, True, [], "new"),
        (["old", "new"], FEBRUARY, True, [], "new"),
    ],
)
async def test_the_cause_is_the_end_then_the_winner_then_what_changed_something_then_the_latest(
    emptied: str, names: list[str], known_end: object, changed: bool, applied: list[str], cause: str
) -> None:
    seqs = {name: told(emptied, ADA, KINDS[name][0], at=KINDS[name][1]) for name in names}
    told(emptied, ADA, at=LATER + 9 * MINUTE)
    change(emptied, "UPDATE consumer.outbox SET message_id = seq::text")
    winner = seqs.get("winner", 0)
    [row] = rows(
        emptied, f"SELECT consumer.version('stack', '{KINDS['winner'][1]}', '{winner}') COLLATE \"C\" AS version"
    )
    end = f"'{known_end}'" if known_end else "NULL"
    mirrored = {"version": f"'{row['version']}'", "message_id": "'x'", "deleted_at": f"'{FEBRUARY}'"}
    fill(emptied, company(CREW), derived(ADA, **mirrored), shown(ADA, full_name="'E'", deleted_at=end))

    found, *_ = await put(
        emptied,
        [ADA],
        list(seqs.values()),
        changed=[ADA] if changed else [BOB],
        applied=[seqs[name] for name in applied],
    )

    assert found == [seqs[cause]]
    assert audit(emptied, "source, message_id, seq") == [("stack", str(seqs[cause]), seqs[cause])]


async def test_of_two_deliveries_at_one_time_the_later_stored_is_named(emptied: str) -> None:
    fill(emptied, company(CREW), derived(ADA))
    seqs = [told(emptied) for _ in range(3)]

    assert (await put(emptied, [ADA], [seqs[1], seqs[0]]))[0] == [seqs[1]]


@pytest.mark.parametrize("is_pruned", [False, True])
async def test_a_rehomed_user_is_audited_under_the_delivery_about_the_company_even_if_it_is_gone(
    emptied: str, is_pruned: bool
) -> None:
    fill(emptied, company(CREW), *(derived(one) for one in (ADA, BOB, EVE)))
    seq = store(emptied, "team.deleted", user_id=None, team_id=CREW, source="reconcile", outcome=None)
    other = told(emptied)
    change(emptied, "UPDATE consumer.outbox SET message_id = seq::text")
    if is_pruned:
        change(emptied, f"DELETE FROM consumer.outbox WHERE seq = {seq}")

    found = await put(emptied, [BOB, ADA, EVE], [], rehomed=[BOB, ADA], rehomed_by=seq)

    assert found == ([seq, seq], [ADA, BOB], [ADA, BOB])
    named = ("operator", "rehome") if is_pruned else ("reconcile", str(seq))
    assert audit(emptied, "user_id, operation, source, message_id, seq") == [
        (one, "created", *named, seq) for one in (ADA, BOB)
    ]
    assert other not in found[0]


async def test_a_move_has_a_row_under_either_company_and_shows_neither_the_other(emptied: str) -> None:
    fill(emptied, company(CREW), company(TEAM))
    fill(emptied, derived(ADA, stack_display_name="'B'"), derived(BOB, company_id="NULL"), derived(EVE), derived(MAX))
    fill(emptied, *(shown(one, company_id=f"'{TEAM}'") for one in (ADA, MAX)), shown(BOB))
    fill(emptied, shown(EVE, company_id="NULL"))
    seqs = [told(emptied, one) for one in (ADA, BOB, EVE, MAX)]

    found, *_ = await put(emptied, [EVE, BOB, MAX, ADA], seqs)

    crew, team = str(CREW), str(TEAM)
    companies = "previous_values ->> 'company_id' AS a, new_values ->> 'company_id' AS b"
    names = "previous_values ->> 'full_name' AS c, new_values ->> 'full_name' AS d"
    assert audit(emptied, f"user_id, company_id, operation, changed_fields, {companies}, {names}") == [
        (ADA, TEAM, "company_changed", ["company_id"], team, None, "Ada", "Ada"),
        (ADA, CREW, "updated", ["company_id", "full_name"], None, crew, "Ada", "B"),
        (BOB, CREW, "updated", ["company_id"], crew, None, "Ada", "Ada"),
        (EVE, CREW, "updated", ["company_id"], None, crew, "Ada", "Ada"),
        (MAX, TEAM, "company_changed", ["company_id"], team, None, "Ada", "Ada"),
        (MAX, CREW, "updated", ["company_id"], None, crew, "Ada", "Ada"),
    ]
    named = [seqs[0], *seqs, seqs[3]]
    assert audit(emptied, "source, seq") == [("stack", seq) for seq in named]
    assert sorted(found) == sorted(named)


async def test_of_many_moves_each_user_leaves_before_it_arrives(emptied: str) -> None:
    people = [UUID(int=0xA0 + n) for n in range(60)]
    fill(emptied, company(CREW), company(TEAM), *(derived(one) for one in people))
    fill(emptied, *(shown(one, company_id=f"'{TEAM}'") for one in people))

    await put(emptied, people[::-1], [told(emptied, one) for one in people])

    assert audit(emptied, "user_id, company_id") == [(one, each) for one in people for each in (TEAM, CREW)]


async def test_an_edit_is_named_where_it_gives_the_value_and_a_withdrawal_in_its_own_batch(emptied: str) -> None:
    fill(emptied, company(CREW), *(derived(one) for one in (ADA, BOB, EVE)))
    fill(emptied, *(shown(one, role_type="'old'", department="'old'") for one in (ADA, BOB, EVE)))
    first, second, third = (
        told(emptied, ADA, "profile.edited", body=said(by, why), source="app")
        for by, why in (("Zoe", "why"), ("ann", "how"), ("Max", "when"))
    )
    change(emptied, f"UPDATE consumer.outbox SET reduced = '{said('Bea', 'read')}' WHERE seq = {second}")
    # ADA's edits give both values. BOB's were withdrawn, one in this batch. EVE has none.
    fill(emptied, edited(ADA, ROLE, "new", first), edited(ADA, UNIT, "new", second))
    fill(emptied, edited(BOB, ROLE, None, third), edited(BOB, UNIT, None, first))
    batch = [third, told(emptied), told(emptied, BOB), told(emptied, EVE)]

    await put(emptied, [ADA, BOB, EVE], batch)

    assert audit(emptied, "user_id, changed_fields, edited_by, reason") == [
        (ADA, [UNIT, ROLE], "Bea, Zoe", "read, why"),
        (BOB, [UNIT, ROLE], "Max", "when"),
        (EVE, [UNIT, ROLE], None, None),
    ]


async def test_of_the_edits_only_those_of_changed_fields_are_named_each_person_once_and_by_bytes(emptied: str) -> None:
    fill(emptied, company(CREW), company(TEAM), *(derived(one) for one in (ADA, BOB)))
    fill(emptied, shown(ADA, company_id=f"'{TEAM}'", role_type="'old'"), shown(BOB, role_type="'old'"))
    roles, homes = (
        told(emptied, ADA, "profile.edited", body=said(by, why)) for by, why in (("ann", "x"), ("Zoe", "x"))
    )
    fill(emptied, edited(ADA, ROLE, "r", roles), edited(ADA, "company_id", str(CREW), homes))
    # It gives another value than the profile gets: the company does not live.
    fill(emptied, edited(ADA, UNIT, "d", roles), edited(BOB, "company_id", str(TEAM), homes))
    fill(emptied, edited(BOB, UNIT, "d", homes))

    await put(emptied, [ADA, BOB], [told(emptied), told(emptied, BOB)])

    assert audit(emptied, "user_id, company_id, edited_by, reason") == [
        (ADA, TEAM, "Zoe", "x"),
        (ADA, CREW, "Zoe, ann", "x"),
        (BOB, CREW, None, None),
    ]


async def test_nobody_without_a_delivery_in_the_batch_is_derived(emptied: str) -> None:
    fill(emptied, company(CREW), derived(ADA), derived(BOB))
    told(emptied, BOB)

    assert await put(emptied, [ADA, BOB], [seq := told(emptied, at=JANUARY)]) == ([seq], [ADA], [ADA])
    assert await put(emptied, [ADA, BOB], []) == ([], [], [])


async def test_a_guest_is_told_only_if_keys_or_name_changed(emptied: str) -> None:
    people = {UUID(int=0xA0 + n): n for n in range(5)}
    changes: list[dict[str, str]] = [
        {},
        {"guest_keys": "NULL"},
        {"stack_display_name": "'B'"},
        {"guest_keys": "NULL", "stack_display_name": "'B'"},
        {"stack_primary_email": "'b@x'"},
    ]
    fill(emptied, company(CREW), *(derived(one, **changes[n]) for one, n in people.items()))
    fill(emptied, *(shown(one) for one in people))

    _, user_ids, guests = await put(emptied, list(people), [told(emptied, one) for one in people])

    everybody = list(people)
    assert (sorted(user_ids), guests) == (everybody[1:], [everybody[2]])
    assert [row["full_name"] for row in rows(emptied, "SELECT full_name FROM identity.profiles ORDER BY user_id")] == [
        "Ada",
        "Ada",
        "B",
        "B",
        "Ada",
    ]
