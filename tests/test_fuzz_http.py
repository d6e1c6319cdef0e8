"""Any bytes at all at a running receiver's port: never a 5xx, never a late answer, never the end of it."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.support import IS_LONG
from tests.support.databases import rows
from tests.support.samples import INVALID, VALID
from tests.support.web import APP_SECRET, BODY, SHORT, Site, Wire, post, request, running

EXAMPLES = 10_000 if IS_LONG else 400
pytestmark = [
    # The pool of the receiver, in a thread beside, draws random numbers too; hypothesis takes them for the strategy's.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
    pytest.mark.seconds_max(300 + EXAMPLES // 5),
]
HASTY = replace(SHORT, body_bytes=2 * 1024 * 1024, read_timeout_seconds=0.05, linger_seconds=0.05)
# Far above what HASTY grants anybody, and what an answer takes on a busy machine.
ANSWER_SECONDS = 5.0
# Long enough to see whether a second answer follows.
SILENCE_SECONDS = 0.05
STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) ")
OURS = {200, 204, 400, 401, 404, 405, 408, 413, 415, 431, 100}
fuzzed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
METHODS = st.sampled_from(["POST", "GET", "PUT", "HEAD", "OPTIONS", "CONNECT", "PRI", "post"])
PATHS = st.sampled_from(["/webhooks/stack", "/webhooks/app/", "/livez", "/readyz", "*", "//", "/%00", "/?a=1"])
NAMES = st.sampled_from(
    (
        *("svix-id", "svix-timestamp", "svix-signature", "webhook-id", "content-length", "transfer-encoding", "expect"),
        *("content-encoding", "connection", "upgrade", "content-type", "prefer", "cookie", "x"),
    )
)
VALUES = st.one_of(
    st.sampled_from(["chunked", "gzip", "100-continue", "keep-alive, upgrade", "0", "-1", "9" * 30, "wait=1", "h2c"]),
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=40),
)
TOKENS = st.sampled_from([b"\r\n", b"\n", b"\0", b"\r\n\r\n", b":", b" ", b"\xff", b"0\r\n\r\n", b"HTTP/1.1", b"\t"])
DELIVERIES = (
    post(),
    post(path="/webhooks/app", secret=APP_SECRET),
    post(b"", message_id="msg_2"),
    request(method="GET", path="/readyz"),
)


@pytest.fixture(scope="module")
def site(database_url: str) -> Iterator[Site]:
    with running(database_url, HASTY) as made:
        yield made


@st.composite
def mutants(draw: st.DrawFn, originals: Sequence[bytes]) -> bytes:
    """One of these in which some bytes were replaced, taken out, doubled or put in."""
    data = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        inserted = draw(st.one_of(st.just(b""), TOKENS, st.binary(max_size=8), st.just(2 * data[start:end])))
        data = data[:start] + inserted + data[end:]
    return data


PIPELINES = st.lists(mutants(DELIVERIES), min_size=2, max_size=3).map(b"".join)


@st.composite
def assembled(draw: st.DrawFn) -> bytes:
    """A request put together of plausible pieces, which may contradict each other."""
    headers = draw(st.lists(st.tuples(NAMES, VALUES), max_size=8))
    lines = [f"{draw(METHODS)} {draw(PATHS)} HTTP/1.{draw(st.integers(0, 2))}", *(f"{n}: {v}" for n, v in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + draw(st.one_of(st.binary(max_size=200), st.just(BODY)))


@fuzzed
@given(st.one_of(st.binary(max_size=2_000), mutants(DELIVERIES), assembled(), PIPELINES))
def test_no_bytes_on_the_wire_bring_about_a_server_error_or_a_late_answer(site: Site, data: bytes) -> None:
    with site.connect() as wire:
        statuses, is_over = answers(wire, data)

    assert is_over, f"no answer within {ANSWER_SECONDS:.1f} s"
    assert statuses <= OURS
    assert site.ask(request(method="GET", path="/livez")).status == 200


@fuzzed
@given(st.one_of(st.binary(max_size=4_000), mutants(tuple(VALID.values())), st.sampled_from(list(INVALID.values()))))
def test_any_signed_body_is_acknowledged_and_kept_as_it_is(site: Site, database_url: str, body: bytes) -> None:
    """What can't be used is a dead letter, never a refusal."""
    message_id = f"msg_fuzz_{time.monotonic_ns()}"

    assert site.ask(post(body, message_id=message_id)).status == 204

    (stored,) = rows(database_url, f"SELECT body FROM consumer.outbox WHERE message_id = '{message_id}'")
    assert bytes(stored["body"]) == body


def answers(wire: Wire, data: bytes) -> tuple[set[int], bool]:
    """Send bytes; return the statuses of the answers, and whether there was one or the other side hung up in time."""
    received, is_over, deadline = bytearray(), False, time.monotonic() + ANSWER_SECONDS
    wire.connection.settimeout(SILENCE_SECONDS)
    with suppress(ConnectionError):
        wire.send(data)
    while not is_over and time.monotonic() < deadline:
        try:
            piece = wire.connection.recv(65_536)
        except TimeoutError:
            is_over = bool(received)
        except ConnectionError:
            is_over = True
        else:
            received += piece
            is_over = not piece
    return {int(status) for status in STATUS_LINE.findall(received)}, is_over
