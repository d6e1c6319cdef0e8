"""Personal data at the console: shown to an operator on one page for one recorded reason, and to nobody otherwise."""

import re
from collections.abc import Iterator
from itertools import chain

import pytest

from consumer.console.find import NOT_FOUND
from consumer.console.reveal import REASON_NEEDED
from consumer.console.routes import ENDPOINTS
from tests.support.console import Desk
from tests.support.console_pages import Told, links, told, words
from tests.support.databases import change, rows
from tests.support.lookups import AVATAR, CANARIES, EMAIL, NAME, SECRET, shown_canaries


@pytest.fixture(scope="module")
def world(database_url: str) -> Iterator[Told]:
    with told(database_url) as world:
        yield world


@pytest.fixture(autouse=True)
def forgotten(world: Told) -> None:
    change(world.url, "DELETE FROM consumer.actions")


def actions(world: Told) -> list[dict[str, object]]:
    return rows(world.url, "SELECT actor, via, role, action, filter, affected, reason FROM consumer.actions")


def reachable(desk: Desk, world: Told) -> dict[str, str]:
    """Return each page that one who follows links may read, with its text."""
    first = ["/", "/deliveries", "/dead", "/users", "/companies", "/recovery", "/actions", "/system", "/find"]
    waiting, texts = [*first, f"/users/{world.user_id}", f"/companies/{world.team_id}"], dict[str, str]()
    while waiting:
        page = desk.get(path := waiting.pop())
        texts[path] = page.text + page.headers.get("location", "")
        found = links(page.text) if "<main" in page.text else []
        waiting += [each for each in found if each not in texts and each not in waiting and each.startswith("/")]
    return texts


def test_a_form_that_asks_for_a_reason_says_who_reads_it(world: Told) -> None:
    asking = (f"/users/{world.user_id}/reveal", "/dead/discard")

    texts = [words(world.desk.as_("operator").get(path).text) for path in asking]

    assert [path for path, text in zip(asking, texts, strict=True) if "name no person" not in text] == []


def test_a_viewer_s_pages_hold_no_personal_data(world: Told) -> None:
    texts = reachable(world.desk.as_("viewer"), world)

    shapes = {re.sub(r"/[0-9a-f-]{36}|/\d+", "/ID", path.partition("?")[0]) for path in texts}
    assert {"/deliveries/ID", "/users/ID", "/companies/ID", "/dead"} <= shapes
    assert len(texts) > 25
    assert {path: found for path, text in texts.items() if (found := shown_canaries(text))} == {}


def test_an_operator_s_pages_hold_none_either_until_one_is_revealed(world: Told) -> None:
    operator = world.desk.as_("operator")
    seqs = [world.seq(each) for each in (world.overtaken, world.snapshot, world.edit)]
    paths = [f"/users/{world.user_id}", f"/companies/{world.team_id}", *(f"/deliveries/{seq}" for seq in seqs)]

    assert [shown_canaries(operator.get(path).text) for path in paths] == [[]] * len(paths)


def test_an_operator_reveals_a_delivery_once_for_a_recorded_reason(world: Told) -> None:
    operator, path = world.desk.as_("operator"), f"/deliveries/{world.seq(world.snapshot)}"

    asked = operator.get(f"{path}/reveal")
    shown = operator.post(f"{path}/reveal", {"reason": "ticket 4711"})
    after = operator.get(path)

    assert (asked.status, shown.status) == (200, 200)
    assert shown_canaries(asked.text + after.text) == []
    assert "with name, e-mail address, metadata and all else in it" in words(asked.text)
    assert {NAME, EMAIL, AVATAR, SECRET} <= set(shown_canaries(shown.text))
    assert "Personal data is shown on this page only, and it is recorded that you saw it: ticket 4711" in words(
        shown.text
    )
    assert shown.headers["cache-control"] == "no-store"
    assert "set-cookie" not in shown.headers
    assert actions(world) == [
        {
            "actor": "kim",
            "via": "console",
            "role": "operator",
            "action": "reveal",
            "filter": {"seqs": [world.seq(world.snapshot)]},
            "affected": 1,
            "reason": "ticket 4711",
        }
    ]


def test_an_operator_reveals_a_user_once_for_a_recorded_reason(world: Told) -> None:
    operator, path = world.desk.as_("operator"), f"/users/{world.user_id}"

    reason = "x" * 1000

    asked = operator.get(f"{path}/reveal")
    shown = operator.post(f"{path}/reveal", {"reason": reason})
    after = operator.get(path)

    assert "Name, e-mail address and picture, as they are and before and after each change" in words(asked.text)
    assert "and the names of the teams are shown" in words(asked.text)
    assert "Metadata is not: it stands in the bodies of deliveries." in words(asked.text)
    assert set(CANARIES) - set(shown_canaries(shown.text)) == {SECRET}
    assert {"Zaphod Before", "Northwind"} <= set(re.findall("Zaphod Before|Northwind", shown.text))
    assert shown_canaries(after.text) == []
    assert [(each["action"], each["filter"], each["affected"], each["reason"]) for each in actions(world)] == [
        ("reveal", {"user_id": str(world.user_id)}, 1, reason)
    ]


@pytest.mark.parametrize("reason", ["", "   ", "x" * 1001], ids=["none", "blank", "long"])
def test_without_a_reason_nothing_is_revealed_and_nothing_recorded(world: Told, reason: str) -> None:
    operator = world.desk.as_("operator")

    for path in (f"/deliveries/{world.seq(world.snapshot)}/reveal", f"/users/{world.user_id}/reveal"):
        answer = operator.post(path, {"reason": reason})

        assert (answer.status, REASON_NEEDED in words(answer.text)) == (400, True)
        assert shown_canaries(answer.text) == []
    assert actions(world) == []


def test_what_is_not_stored_is_not_revealed_and_not_recorded(world: Told) -> None:
    operator = world.desk.as_("operator")

    for path in ("/deliveries/99999/reveal", "/users/6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10/reveal"):
        assert operator.post(path, {"reason": "ticket 4711"}).status == 404
    assert actions(world) == []


def test_what_cannot_be_recorded_is_not_revealed(world: Told) -> None:
    operator = world.desk.as_("operator")
    change(world.url, "REVOKE INSERT ON consumer.actions FROM consumer_operator")
    try:
        answers = [
            operator.post(path, {"reason": "ticket 4711"})
            for path in (f"/deliveries/{world.seq(world.snapshot)}/reveal", f"/users/{world.user_id}/reveal")
        ]
    finally:
        change(world.url, "GRANT INSERT ON consumer.actions TO consumer_operator")

    assert [(each.status, shown_canaries(each.text)) for each in answers] == [(500, [])] * 2


def test_a_viewer_reveals_nothing_and_the_attempt_is_recorded(world: Told) -> None:
    viewer, path = world.desk.as_("viewer"), f"/users/{world.user_id}/reveal"

    asked, posted = viewer.get(path), viewer.post(path, {"reason": "ticket 4711"})

    assert [(each.status, shown_canaries(each.text)) for each in (asked, posted)] == [(403, [])] * 2
    assert [(each["action"], each["filter"]) for each in actions(world)] == [("refused", {"address": path})]


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_the_box_leads_to_what_is_named(world: Told, who: str) -> None:
    desk = world.desk.as_(who)  # type: ignore[arg-type]
    seq = world.seq(world.edit)
    named = {
        str(world.user_id): f"/users/{world.user_id}",
        str(world.user_id).upper(): f"/users/{world.user_id}",
        str(world.user_id)[:8]: f"/users/{world.user_id}",
        str(world.team_id): f"/companies/{world.team_id}",
        str(world.team_id)[:13].upper(): f"/companies/{world.team_id}",
        f" {EMAIL.upper()} ": f"/users/{world.user_id}",
        world.edit.message_id: f"/deliveries/{seq}",
        str(seq): f"/deliveries/{seq}",
    }

    answers = {text: desk.post("/find", {"q": text}) for text in named}

    assert {text: answer.headers.get("location") for text, answer in answers.items()} == named
    assert {answer.status for answer in answers.values()} == {303}


@pytest.mark.parametrize("text", ["zaphod@example.com", "canary@example.com", "%@example.com", "msg_none", "x" * 321])
def test_what_is_not_found_is_not_repeated(world: Told, text: str) -> None:
    answer = world.desk.as_("viewer").post("/find", {"q": text})

    assert (answer.status, NOT_FOUND in words(answer.text), text in answer.text) == (404, True, False)


def test_an_address_of_several_users_lists_their_ids(world: Told) -> None:
    answer = world.desk.as_("viewer").post("/find", {"q": "ada@example.com"})
    change(world.url, f"UPDATE identity.stack_user_profiles SET stack_primary_email = '{EMAIL}'")
    change(
        world.url,
        "INSERT INTO identity.stack_user_profiles (stack_user_id, stack_primary_email) "
        f"VALUES ('6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10', '{EMAIL}')",
    )
    several = world.desk.as_("viewer").post("/find", {"q": EMAIL})
    change(world.url, "DELETE FROM identity.stack_user_profiles WHERE stack_user_id::text LIKE '6f1c2f0e%'")

    assert answer.status == 404
    assert (several.status, shown_canaries(several.text)) == (200, [])
    assert {f"/users/{world.user_id}", "/users/6f1c2f0e-9d3b-4a57-8c21-0b7d5e9a4f10"} <= set(links(several.text))


def test_an_address_is_looked_for_by_a_post_alone() -> None:
    """What is asked for by GET lies in the browser's history and in the logs of proxies."""
    assert {each.method for each in ENDPOINTS if each.path == "/find"} == {"GET", "POST"}


def test_an_address_in_the_list_s_field_is_refused_and_not_repeated(world: Told) -> None:
    page = world.desk.as_("viewer").get(f"/deliveries?about={EMAIL}")

    assert (page.status, shown_canaries(page.text)) == (400, [])
    assert "Find an e-mail address by the box" in words(page.text)
    assert 'pattern="[^@]*"' in world.desk.as_("viewer").get("/deliveries").text


def test_the_log_holds_nothing_of_what_was_shown_or_looked_for(world: Told, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    operator = world.desk.as_("operator")

    operator.post("/find", {"q": EMAIL})
    operator.post(f"/users/{world.user_id}/reveal", {"reason": "ticket 4711"})

    logged = chain.from_iterable((record.getMessage(), str(record.__dict__)) for record in caplog.records)
    assert [each for each in CANARIES if each in "".join(logged)] == []
