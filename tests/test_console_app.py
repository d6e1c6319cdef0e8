"""What the console's application does around its pages: who is asked for, what is read, and what a failure says."""

import gzip
import logging
import random
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from starlette.types import Message

from consumer.console.app import GZIP_BYTES_MIN, SIGN_IN_LATER, console_app
from consumer.console.base import base_of
from consumer.console.form import BadForm
from consumer.console.person import NOBODY, Visitor
from consumer.console.reading import DatabaseAway, NotMigrated, TooSlow
from consumer.console.sampler import View
from consumer.console.turns import Busy
from consumer.console.visit import Endpoint, Visit

BASE = base_of(None, 8003, frozenset())
KIM = Visitor("kim", "viewer")
FORM = "application/x-www-form-urlencoded"


class Asked:
    """An application with one address, whose page is a text or an error; the person is named by the test."""

    def __init__(self, page: str | Exception = "", role: Literal["nobody", "viewer", "operator"] = "viewer") -> None:
        self.page, self.role, self.person = page, role, KIM
        self.visits: list[Visit] = []
        self.fresh = 0
        door = SimpleNamespace(visitor=lambda _: self.person)
        renderer = SimpleNamespace(render=self.render)
        sampler = SimpleNamespace(view=View(), fresh=self.look)
        self.console: Any = SimpleNamespace(base=BASE, door=door, renderer=renderer, sampler=sampler, refusals={})
        self.values: dict[str, Any] = {}

    def render(self, template: str, **values: Any) -> str:
        self.values = {"template": template, **values}
        return self.page if isinstance(self.page, str) else str(values.get("title"))

    async def look(self) -> None:
        self.fresh += 1

    async def handle(self, visit: Visit) -> Any:
        self.visits.append(visit)
        if isinstance(self.page, Exception):
            raise self.page
        return visit.page("some.html")

    async def ask(
        self, method: str = "GET", path: str = "/some", query: str = "", body: str = "", **headers: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        methods: tuple[Literal["GET", "POST"], ...] = ("GET", "POST")
        app = console_app(self.console, [Endpoint(each, "/some", self.role, self.handle) for each in methods])
        sent: list[Message] = []
        named = {"host": "127.0.0.1:8003", "sec-fetch-site": "same-origin", **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()],
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": body.encode(), "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await app(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], found, b"".join(each.get("body", b"") for each in sent[1:])


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (DatabaseAway(), 503, "The database is away"),
        (NotMigrated(), 503, "A migration is pending"),
        (TooSlow(), 503, "The question took too long"),
        (Busy(), 503, "The console is busy"),
        (BadForm("There is no such field."), 400, "Not understood"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
async def test_what_a_page_can_not_do_now_is_said_with_its_status(error: Exception, status: int, title: str) -> None:
    asked = Asked(error)

    assert (await asked.ask())[0] == status
    assert (asked.values["template"], asked.values["title"]) == ("problem.html", title)
    assert asked.values["sentence"] == "There is no such field." if status == 400 else asked.values["cure"]


async def test_who_is_not_signed_in_reads_that_nobody_can_while_the_database_is_away() -> None:
    asked = Asked(DatabaseAway(), "nobody")
    asked.person = NOBODY
    await asked.ask()
    assert (asked.values["sentence"], asked.values["cure"]) == SIGN_IN_LATER

    asked.person = KIM
    await asked.ask()
    assert asked.values["sentence"].endswith("You stay signed in.")
    other = Asked(Busy(), "nobody")
    other.person = NOBODY
    await other.ask()
    assert other.values["sentence"].startswith("Its connections to the database are in use")


async def test_a_bug_is_a_sentence_for_the_person_and_a_trace_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    asked = Asked(ZeroDivisionError())
    with caplog.at_level(logging.ERROR, "consumer"):
        status, _, _ = await asked.ask()

    assert (status, asked.values["title"]) == (500, "This page failed")
    assert [(each.msg, vars(each)["task"]) for each in caplog.records] == [("task_failed", "console /some")]


@pytest.mark.parametrize(
    ("person", "role", "fresh", "status"),
    [
        (KIM, "viewer", 1, 200),
        (KIM, "nobody", 0, 200),
        (NOBODY, "nobody", 0, 200),
        (NOBODY, "viewer", 0, 303),
        (KIM, "operator", 1, 403),
        (Visitor("kim", "operator"), "operator", 1, 200),
    ],
)
async def test_whether_the_database_is_there_is_asked_for_known_people_s_pages(
    person: Visitor, role: Literal["nobody", "viewer", "operator"], fresh: int, status: int
) -> None:
    asked = Asked(role=role)
    asked.person = person

    assert ((await asked.ask())[0], asked.fresh) == (status, fresh)
    assert len(asked.visits) == (status == 200)


async def test_a_page_gets_the_fields_of_its_address_and_a_post_those_of_its_form() -> None:
    asked = Asked()

    await asked.ask(query="a=1&b=+&a=2", body="c=3", content_type=FORM)
    await asked.ask("POST", query="a=1", body="c=3&d=+4+", content_type=f"{FORM.upper()} ; charset=utf-8")

    first, second = asked.visits
    assert (first.query.fields, first.form.fields) == ((("a", "1"), ("a", "2")), ())
    assert (second.query.fields, second.form.fields) == ((("a", "1"),), (("c", "3"), ("d", "4")))
    assert [each.person for each in asked.visits] == [KIM, KIM]


@pytest.mark.parametrize("content_type", ["", "text/plain", f"x; {FORM}"])
async def test_a_form_of_another_type_reaches_no_page(content_type: str) -> None:
    asked = Asked()

    assert (await asked.ask("POST", body="a=1", content_type=content_type))[0] == 400
    assert asked.visits == []


async def test_another_address_and_another_method_are_pages_too() -> None:
    asked = Asked()

    for path in ("/other", "/some/"):
        status, _, _ = await asked.ask(path=path)
        assert (status, asked.values["title"]) == (404, "Not found")
    status, headers, _ = await asked.ask("PUT")
    assert (status, asked.values["title"]) == (405, "Method not allowed")
    assert set(headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(("size", "is_zipped"), [(GZIP_BYTES_MIN - 1, False), (GZIP_BYTES_MIN, True)])
async def test_a_page_of_a_thousand_bytes_is_sent_compressed_to_who_takes_it(size: int, is_zipped: bool) -> None:
    asked = Asked("x" * size)

    _, headers, body = await asked.ask(accept_encoding="gzip")
    _, plain, whole = await asked.ask()

    assert (headers.get("content-encoding") == "gzip", len(body) < size) == (is_zipped, is_zipped)
    assert ("content-encoding" in plain, len(whole)) == (False, size)


async def test_a_page_is_compressed_as_far_as_is_worth_its_time() -> None:
    chosen = random.Random(1)
    words = ["".join(chosen.choices("abcdefgh", k=chosen.randint(2, 9))) for _ in range(60)]
    text = " ".join(chosen.choices(words, k=8_000))
    sizes = {level: len(gzip.compress(text.encode(), level)) for level in (5, 6, 9)}
    assert sizes[5] > sizes[6] > sizes[9]

    _, _, body = await Asked(text).ask(accept_encoding="gzip")

    assert gzip.decompress(body) == text.encode()
    assert len(body) == sizes[6]


async def test_an_operator_may_act_only_while_the_database_is_there() -> None:
    asked = Asked("x")
    found = []
    for person in (KIM, Visitor("kim", "operator")):
        for view in (View(), View(problem=DatabaseAway())):
            asked.person, asked.console.sampler.view = person, view
            await asked.ask()
            found.append(asked.values["may_act"])

    assert found == [False, False, True, False]
