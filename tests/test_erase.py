"""After an erasure no listed place holds a value of the person; repeats, late deliveries and kills change nothing."""

import asyncio
from uuid import uuid4

import orjson
import psycopg
import pytest

from consumer.events.personal import ErasedBody
from consumer.operations import erase, stored_bodies
from consumer.postgres.connections import connect, operator_access, transaction
from consumer.settings.settings import DeletePolicy
from tests.support.acting import action
from tests.support.application import referred_to
from tests.support.cli import arrive, call, work
from tests.support.databases import change, record_settings, rows
from tests.support.effects import ACCESS, under
from tests.support.erasing import EMAIL, ERASE, NAME, OLD_EMAIL, Life, bodies, dump, left
from tests.support.factories import edited, team_event, user_deleted, user_updated
from tests.support.outbox import pruned, rebuild_everything, set_aside, states

OPERATOR = operator_access("consumer")
AUDIT = "SELECT operation FROM identity.profile_audit"


@pytest.fixture
def life(emptied: str) -> Life:
    """A person whose deliveries are applied."""
    life = Life()
    arrive(emptied, *life.told())
    work(emptied)
    assert len(left(emptied)) > 5
    return life


def test_no_value_of_the_person_is_left_and_a_stranger_of_the_same_name_stays(emptied: str, life: Life) -> None:
    report = life.erased(emptied)

    assert left(emptied) == []
    assert dump(emptied).count(NAME) == 4  # The stranger's body, mirror, profile and audit.
    assert rows(emptied, f"SELECT full_name FROM identity.profiles WHERE user_id = '{life.stranger_id}'")
    assert not rows(emptied, f"SELECT FROM identity.profiles WHERE user_id = '{life.user_id}'")
    assert not rows(emptied, f"SELECT FROM identity.company_members WHERE user_id = '{life.user_id}'")
    assert rows(emptied, f"{AUDIT} WHERE user_id = '{life.user_id}' ORDER BY id")[-1] == {"operation": "erased"}
    assert report["changed"]["consumer.outbox: about the user"] == 7 - 3
    assert report["changed"]["consumer.outbox: about others"] == 1
    assert report["changed"]["identity.profiles"] == 1
    assert [mention["relation"] for mention in report["mentions"]] == ["consumer.outbox"]


@pytest.mark.parametrize("policy", ["soft", "anonymise", "hard"])
@pytest.mark.parametrize("is_deleted", [False, True])
def test_each_delete_policy_leaves_nothing_after_an_erasure(
    emptied: str, policy: DeletePolicy, *, is_deleted: bool
) -> None:
    life = Life()
    asyncio.run(under(emptied, policy))
    arrive(emptied, *life.told(), *([user_deleted(life.user_id)] if is_deleted else []))
    work(emptied)

    assert call(emptied, "erase", str(life.user_id), *ERASE, DELETE_POLICY=policy).exit_code == 0

    assert left(emptied) == []
    [mirror] = rows(emptied, f"SELECT * FROM identity.stack_user_profiles WHERE stack_user_id = '{life.user_id}'")
    assert mirror["deleted_at"]
    assert mirror["is_erased"]


def test_bodies_about_the_person_keep_type_and_ids(emptied: str, life: Life) -> None:
    life.erased(emptied)

    user_id = str(life.user_id)
    found = [(body["type"], body["data"]) for body in bodies(emptied, life.user_id)]
    assert found == [
        ("user.updated", {"id": user_id}),
        ("user.updated", {"id": user_id}),
        ("user.signed_in", {"id": user_id}),
        ("profile.edited", {"id": user_id}),
        ("team_membership.created", {"team_id": str(life.own_id).upper(), "user_id": user_id.upper()}),
        ("team_membership.created", {"team_id": str(life.shared_id).upper(), "user_id": user_id.upper()}),
        ("team_permission.created", {"team_id": str(life.shared_id), "user_id": user_id, "id": "team_admin"}),
        ("user.erased", {"id": user_id}),
    ]


def test_only_the_team_without_another_member_loses_its_name(emptied: str, life: Life) -> None:
    life.erased(emptied)

    names = {row["id"]: row["name"] for row in rows(emptied, "SELECT id, name FROM identity.companies")}
    assert names == {life.own_id: "Unnamed team", life.shared_id: "Everybody"}


def test_a_company_that_only_the_person_named_loses_the_name(emptied: str) -> None:
    life = Life()
    arrive(emptied, life.whole())
    work(emptied)
    assert rows(emptied, "SELECT name FROM identity.companies WHERE name LIKE '%canary%'")

    life.erased(emptied)

    assert left(emptied) == []


def test_a_second_erasure_changes_nothing(emptied: str, life: Life) -> None:
    life.erased(emptied)
    before = dump(emptied, but="consumer.actions")

    report = life.erased(emptied)

    assert report["changed"] == {}
    assert dump(emptied, but="consumer.actions") == before


def test_a_dry_run_shows_the_counts_and_changes_nothing(emptied: str, life: Life) -> None:
    before = dump(emptied, but="consumer.actions")

    preview = life.erased(emptied, "--dry-run")

    assert dump(emptied, but="consumer.actions") == before
    report = life.erased(emptied)
    held = preview["changed"]
    assert held["consumer.outbox: about the user"] == report["changed"]["consumer.outbox: about the user"] == 4
    assert held["identity.profile_audit"] == report["changed"]["identity.profile_audit"]
    assert preview["is_dry_run"]


def test_a_repeat_of_an_erased_message_stays_one(emptied: str, life: Life) -> None:
    told = life.whole()
    arrive(emptied, told)
    life.erased(emptied)

    arrive(emptied, told)
    work(emptied)

    assert left(emptied) == []


def test_a_rebuild_makes_the_same_rows_of_the_erased_bodies(emptied: str, life: Life) -> None:
    life.erased(emptied)
    before = dump(emptied, but="consumer.actions")

    async def rebuilt() -> None:
        async with await connect(emptied, ACCESS) as conn:
            await rebuild_everything(conn)

    asyncio.run(rebuilt())

    assert dump(emptied, but="consumer.actions") == before


@pytest.mark.parametrize("is_dead", [False, True])
def test_pending_and_dead_deliveries_lose_the_data_too(emptied: str, life: Life, *, is_dead: bool) -> None:
    waiting = life.whole()
    arrive(emptied, waiting)
    if is_dead:
        set_aside(emptied, [waiting])
        change(emptied, f"UPDATE consumer.failures SET error = '{EMAIL}'")

    report = life.erased(emptied)

    assert left(emptied) == []
    assert report["changed"].get("consumer.failures", 0) == is_dead
    assert states(emptied)[waiting.message_id] == ("dead" if is_dead else "done")


def test_a_body_that_is_no_json_is_shown_and_then_emptied(emptied: str, life: Life) -> None:
    broken = life.whole()._replace(body=f"{{ {EMAIL}".encode(), error_code="not_json", error="$: unexpected end")
    arrive(emptied, broken)

    shown = call(emptied, "erase", str(life.user_id), "--dry-run").stdout
    [unreadable] = life.erased(emptied)["unreadable"]
    again = life.erased(emptied)["unreadable"]

    assert f"No JSON, to be emptied: {broken.message_id}  {{ {EMAIL}" in shown
    assert (unreadable["message_id"], again) == (broken.message_id, [])
    assert left(emptied) == []


def test_an_address_in_a_body_about_others_goes_and_a_sentence_with_it_is_listed(emptied: str, life: Life) -> None:
    other = uuid4()
    exact = edited(other, edited_by=OLD_EMAIL, role_type="x")
    sentence = team_event(
        "updated", life.shared_id, display_name=f"ask {EMAIL}", server_metadata={EMAIL: [EMAIL, 1.10]}
    )
    arrive(emptied, exact, sentence)
    work(emptied)

    report = life.erased(emptied)

    [body] = [row["body"] for row in rows(emptied, "SELECT body FROM consumer.outbox WHERE body LIKE '%ask %'::bytea")]
    assert b'"server_metadata":{"":[null,1.1]}' in body
    assert f"ask {EMAIL}".encode() in body
    assert {"relation": "consumer.outbox", "key": sentence.message_id, "column": "body"} in report["mentions"]
    assert [mention["relation"] for mention in report["mentions"]].count("identity.companies") == 1
    assert orjson.loads(
        rows(emptied, f"SELECT body FROM consumer.outbox WHERE message_id = '{exact.message_id}'")[0]["body"]
    )["data"] == {
        "id": str(other),
        "edited_by": None,
        "role_type": "x",
    }


def test_an_address_that_another_user_has_too_stays_that_users(emptied: str, life: Life) -> None:
    again = user_updated(primary_email=EMAIL)
    arrive(emptied, again)
    work(emptied)

    report = life.erased(emptied)

    assert report["shared_emails"] == 1
    assert again.user_id
    [body] = bodies(emptied, again.user_id)
    assert body["data"]["primary_email"] == EMAIL


def test_a_user_that_an_application_holds_is_anonymised(emptied: str, life: Life) -> None:
    with referred_to(emptied, life.user_id, ""):
        life.erased(emptied)

    [profile] = rows(emptied, f"SELECT full_name, email FROM identity.profiles WHERE user_id = '{life.user_id}'")
    assert profile == {"full_name": "Deleted user", "email": None}
    assert left(emptied) == []


@pytest.mark.parametrize("pages", range(5))
def test_one_that_was_killed_is_finished_by_the_next(
    emptied: str, life: Life, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_bodies, "PAGE_SIZE", 2)

    async def killed() -> None:
        async with await connect(emptied, OPERATOR) as conn:
            erasure = await erase.prepare(conn, OPERATOR, life.user_id)
            await erase.store(conn, OPERATOR, life.user_id, action("erase"))
            done = 0
            async for _ in erase.erase_bodies(conn, OPERATOR, erasure, is_kept=True):
                done += 1
                if done > pages:
                    break

    arrive(emptied, team_event("updated", life.shared_id, server_metadata={"owner": OLD_EMAIL}))
    asyncio.run(killed())

    life.erased(emptied)

    assert left(emptied) == []


def test_a_database_that_is_not_ready_is_left_as_it_is(emptied: str, life: Life) -> None:
    differing = call(emptied, "erase", str(life.user_id), *ERASE, DELETE_POLICY="hard")
    change(emptied, "DELETE FROM consumer.settings")
    unready = call(emptied, "erase", str(life.user_id), *ERASE)
    record_settings(emptied)

    assert (differing.exit_code, unready.exit_code) == (2, 1)
    assert unready.stderr == "Error: Nothing was erased: no settings are recorded: run `consumer migrate`.\n"
    assert not rows(emptied, "SELECT FROM consumer.outbox WHERE event_type = 'user.erased'")


def test_only_bodies_of_a_stored_erasure_can_be_replaced(emptied: str, life: Life) -> None:
    seqs = [row["seq"] for row in rows(emptied, "SELECT seq FROM consumer.outbox")]
    with psycopg.connect(emptied) as conn:
        conn.execute("SET LOCAL ROLE consumer_operator")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="no erasure"):
            conn.execute("SELECT consumer.erase_bodies(%s, %s, %s, %s)", [life.user_id, seqs[:1], [b"{}"], [None]])
    life.erased(emptied)
    with psycopg.connect(emptied) as conn:
        conn.execute("DROP POLICY definer_rereads ON consumer.outbox")
        conn.execute("SET LOCAL ROLE consumer_operator")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only 0 of 1"):
            conn.execute("SELECT consumer.erase_bodies(%s, %s, %s, %s)", [life.user_id, seqs[:1], [b"{}"], [None]])


def test_a_body_that_a_prune_removes_meanwhile_does_not_stop_the_erasure(emptied: str, life: Life) -> None:
    arrive(emptied, life.whole())
    work(emptied)

    async def replaced() -> None:
        async with await connect(emptied, OPERATOR) as conn:
            await erase.store(conn, OPERATOR, life.user_id, action("erase"))
            pages = [page async for page in stored_bodies.about(conn, OPERATOR, life.user_id)]
            assert (await pruned(conn))["user.updated"] == 1
            bodies = {stored.seq: ErasedBody(b"{}", None) for page in pages for stored in page}
            async with transaction(conn, OPERATOR):
                await stored_bodies.replace(conn, life.user_id, bodies)

    asyncio.run(replaced())

    left_bodies = rows(emptied, f"SELECT DISTINCT body FROM consumer.outbox WHERE user_id = '{life.user_id}'")
    assert left_bodies == [{"body": b"{}"}]


@pytest.mark.parametrize("role", ["worker", "app", "receiver", "tenant"])
def test_nobody_but_the_operator_replaces_bodies(role: str, database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(f"SET LOCAL ROLE consumer_{role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT consumer.erase_bodies(NULL, '{}', '{}', '{}')")
