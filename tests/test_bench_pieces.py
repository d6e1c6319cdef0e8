"""The benches of a receiver's way, of a start and of a scan of Stack's API: what they time, and by what."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench import path, reconcile, startup
from bench.checks import FalseFigure
from bench.client import signed_requests
from consumer.receiver.endpoint import Receiver
from tests.support.benches import Ticking, call_main, returning, silent

KEY = bytes(range(24))


def test_a_request_is_parsed_into_its_headers_and_its_body() -> None:
    request = b"POST /x HTTP/1.1\r\nhost: a: b\r\nn: 1\r\n\r\nbody\r\n\r\nmore"

    assert path.parsed(request) == ([(b"host", b"a: b"), (b"n", b"1")], b"body\r\n\r\nmore")


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five passes, of which the fourth takes the least processor time: a second."""
    ends = [(0, 5), (10, 13), (20, 24), (30, 31), (40, 42)]
    monkeypatch.setattr(path, "time", Ticking(cpu=[reading for pair in ends for reading in pair]))


def test_a_piece_takes_the_microseconds_a_request_of_its_best_pass(passes: None) -> None:
    done: list[Any] = []
    requests: Any = [("headers a", b"a"), ("headers b", b"b")]

    assert path.best(requests, lambda headers, body: done.append((headers, body))) == 500_000
    assert done == requests * 5


def test_the_whole_way_is_a_post_of_each_request(passes: None) -> None:
    done: list[Any] = []
    requests: Any = [("headers a", b"a"), ("headers b", b"b")]

    async def receiver(scope: dict[str, object], receive: Callable[[], Any], send: Callable[[object], Any]) -> None:
        done.append((scope, await receive()))
        await send(None)

    assert path.whole(requests, cast("Receiver", receiver)) == 500_000
    assert (
        done
        == [
            (
                {"method": "POST", "headers": headers, "type": "http"},
                {"type": "http.request", "body": body, "more_body": False},
            )
            for headers, body in requests
        ]
        * 5
    )


def test_each_piece_does_its_part_of_two_thousand_good_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece that refuses a request would raise or answer an error."""
    shown, done, made = silent(monkeypatch, path), list[Any](), list[Any]()
    pieces: list[Callable[[Any, bytes], object]] = []

    def best(requests: Any, piece: Callable[[Any, bytes], object]) -> float:
        pieces.append(piece)
        done.append(piece(*requests[-1]))
        return float(len(pieces))

    async def sent(message: dict[str, Any]) -> None:
        made.append(message)

    def whole(requests: Any, receiver: Receiver) -> float:
        made.append((len(requests), receiver.source))
        receive = path._receiving(requests[0][1])
        scope: Any = {"method": "POST", "headers": requests[0][0], "type": "http"}
        asyncio.run(cast("Any", receiver)(scope, receive, sent))
        return 9.0

    def requests(count: int, first: int, key: bytes) -> Iterator[bytes]:
        made.append((count, first, len(key)))
        return signed_requests(count, first, key)

    monkeypatch.setattr(path, "best", best)
    monkeypatch.setattr(path, "whole", whole)
    monkeypatch.setattr(path, "signed_requests", requests)

    call_main(monkeypatch, path, "--json")

    assert made[:2] == [(2000, 0, 24), (2000, "stack")]
    assert made[2]["status"] == 204
    assert [row["CPU us/request"] for row in shown.rows[0]] == [1, 2, 3, 4, 5, 9]
    assert shown.rows[0][0] == {"piece": "verify the signature", "CPU us/request": 1}
    assert (shown.facts, shown.as_json) == ([{"event bytes": 1300}], [True])
    assert shown.titles == ["A delivery's way through the receiver"]
    assert cast("dict[str, Any]", done[2])["type"] == "user.updated"
    # The id has its time.
    assert done[4] is None or isinstance(done[4], datetime)


@pytest.mark.parametrize(("minutes", "is_good"), [(59, True), (61, False)])
def test_a_signature_of_the_way_is_good_for_an_hour(
    monkeypatch: pytest.MonkeyPatch, minutes: int, is_good: bool
) -> None:
    silent(monkeypatch, path)
    verified: list[Callable[[Any, bytes], object]] = []
    given: list[Any] = []

    class Late(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(UTC) + timedelta(minutes=minutes)

    def best(requests: Any, piece: Callable[[Any, bytes], object]) -> float:
        verified.append(piece)
        given.append(requests[0])
        return 1.0

    monkeypatch.setattr(path, "REQUESTS", 1)
    monkeypatch.setattr(path, "datetime", Late)
    monkeypatch.setattr(path, "best", best)
    monkeypatch.setattr(path, "whole", lambda *_: 1.0)
    call_main(monkeypatch, path)

    if is_good:
        verified[0](*given[0])
    else:
        with pytest.raises(Exception, match=r"."):
            verified[0](*given[0])


@contextmanager
def running(command: str, url: str, key: bytes) -> Iterator[SimpleNamespace]:
    assert (command, url, len(key)) == ("serve", "url", 24)
    yield SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=64 * 2**20))


def test_a_start_takes_the_time_to_readiness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "running", running)
    monkeypatch.setattr(startup, "time", Ticking(10.0, 12.5))
    monkeypatch.setattr(startup, "cpu_seconds", returning(0.75))

    assert startup.started("serve", "url") == (2.5, 0.75, 64.0)


def test_of_five_starts_the_median_and_the_worst_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, what = silent(monkeypatch, startup), list[Any]()
    found = [(1.0, 5.0, 50.0), (2.0, 1.0, 70.0), (9.0, 2.0, 60.0), (3.0, 3.0, 10.0), (4.0, 4.0, 20.0)]
    left = iter(found * 2)

    async def fill(*given: object) -> None:
        what.append(given)

    def started(*given: str) -> tuple[float, float, float]:
        what.append(given)
        return next(left)

    monkeypatch.setattr(startup, "started", started)
    monkeypatch.setattr(startup, "fill", fill)
    monkeypatch.setattr(startup, "migrations", SimpleNamespace(apply=lambda *given: what.append(given)))

    call_main(monkeypatch, startup, "--json")

    url = "postgresql://the-server/startup"
    assert what == [(url, "consumer"), (url, [], 0), *[("serve", url)] * 5, *[("work", url)] * 5]
    figures = {"median s to ready": 3.0, "worst s": 9.0, "median CPU s": 3.0, "RSS MB": 70.0}
    assert shown.rows == [[{"process": f"consumer {name}", **figures} for name in ("serve", "work")]]
    assert (shown.titles, shown.facts, shown.as_json) == (["Start-up"], [{"starts": 5}], [True])
    assert shown.progress == ["serve", "work"]


class Scans:
    """Commands that ask a fake of Stack, and the tables after each look at them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, arrived: int = 2, after: tuple[int, ...] = (7, 8, 9)) -> None:
        self.shown = silent(monkeypatch, reconcile)
        self.signed_up: list[dict[str, str]] = []
        self.ran: list[Any] = []
        self.asked: list[str] = []
        self.project = SimpleNamespace(now=None, sign_up=lambda **named: self.signed_up.append(named))
        fake = SimpleNamespace(project=self.project, asked=["before"], url="http://fake")
        calls = {"backfill": 3, "work": 0, "reconcile": 2}
        # How many arrived; the rows of both tables and what is stored, before and after the reconciliation.
        counts = iter([arrived, *([arrived] if arrived != 2 else []), 7, 8, 9, *after])

        def run(url: str, *arguments: str, settings: dict[str, str]) -> None:
            self.ran.append((url, *arguments, settings["STACK_API_URL"], settings["STACK_API_RPS"]))
            fake.asked.extend(["call"] * calls[arguments[0]])

        def one(url: str, statement: str) -> int:
            self.asked.append(statement)
            return next(counts)

        @contextmanager
        def serving() -> Iterator[SimpleNamespace]:
            yield SimpleNamespace(fake=fake)

        for name, value in {
            "serving": serving,
            "commands": SimpleNamespace(run=run),
            "_one": one,
            "time": Ticking(1.0, 3.0, 10.0, 15.0, 20.0, 30.0),
        }.items():
            monkeypatch.setattr(reconcile, name, value)


def test_a_scan_s_seconds_and_its_calls_of_the_api_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    scans = Scans(monkeypatch)

    assert reconcile.measure("url", 2) == [
        {"command": "backfill", "seconds": 2.0, "calls": 3},
        {"command": "work --drain", "seconds": 5.0, "calls": 0},
        {"command": "reconcile", "seconds": 10.0, "calls": 2},
    ]
    commands = (("backfill",), ("work", "--drain"), ("reconcile",))
    assert scans.ran == [("url", *command, "http://fake", "1000") for command in commands]
    assert scans.signed_up == [{"display_name": f"User {n}", "primary_email": f"user{n}@example.com"} for n in (0, 1)]
    # Long ago, so that the events of their making are older than the scan.
    ago = datetime.now(UTC) - cast("Any", scans.project.now)
    assert timedelta(days=2) <= ago < timedelta(days=2, minutes=1)
    assert scans.shown.progress == ["backfill", "work --drain", "reconcile"]
    assert scans.asked[0] == "SELECT count(*) FROM identity.profiles"
    assert scans.asked[1:4] == scans.asked[4:]
    assert ["identity.profiles" in scans.asked[1], "stack_user_profiles" in scans.asked[2]] == [True, True]


@pytest.mark.parametrize("arrived", [1, 3])
def test_users_that_did_not_arrive_are_no_figure(monkeypatch: pytest.MonkeyPatch, arrived: int) -> None:
    scans = Scans(monkeypatch, arrived=arrived)

    with pytest.raises(FalseFigure, match=rf"^No figure: {arrived} of 2 users arrived\.$"):
        reconcile.measure("url", 2)

    assert len(scans.ran) == 2


@pytest.mark.parametrize("after", [(6, 8, 9), (7, 6, 9), (7, 8, 10)], ids=["profiles", "mirror", "deliveries"])
def test_users_that_were_written_again_are_no_figure(monkeypatch: pytest.MonkeyPatch, after: tuple[int, ...]) -> None:
    Scans(monkeypatch, after=after)

    with pytest.raises(FalseFigure, match=r"^No figure: a reconciliation of unchanged users changed rows\.$"):
        reconcile.measure("url", 2)


def test_one_value_is_read(server_url: str) -> None:
    assert reconcile._one(server_url, "SELECT 7") == 7


@pytest.mark.parametrize(("users", "pages"), [(100_000, 100), (1001, 2), (1000, 1), (1, 1)])
def test_the_api_demands_a_page_for_a_thousand_users(monkeypatch: pytest.MonkeyPatch, users: int, pages: int) -> None:
    shown, what = silent(monkeypatch, reconcile), list[Any]()
    monkeypatch.setattr(reconcile, "migrations", SimpleNamespace(apply=lambda *given: what.append(given)))
    monkeypatch.setattr(reconcile, "record_settings", what.append)
    monkeypatch.setattr(reconcile, "measure", lambda *given: [{"measured": given}])

    call_main(monkeypatch, reconcile, *([] if users == 100_000 else [f"--users={users}"]), "--json")

    url = "postgresql://the-server/reconcile"
    assert what == [(url, "consumer"), url]
    assert shown.facts == [{"users": users, "pages that the API demands": pages}]
    assert shown.rows == [[{"measured": (url, users)}]]
    assert (shown.titles, shown.as_json) == (["Scans of Stack's API"], [True])
