"""What the routes of a server answer to a request that none of them takes."""

from typing import Any

import orjson
import pytest
from starlette.responses import Response
from starlette.routing import Route

from consumer.web.answers import OUT_OF_MEMORY, pages, refusal


async def there(_: object) -> Response:
    return Response(status_code=204)


async def asked(method: str, path: str) -> tuple[int, dict[bytes, bytes], dict[str, str], list[str]]:
    """Return status, headers and body of an answer, and the codes of what was refused."""
    codes: list[str] = []
    application = pages([Route("/there", there, methods=["GET"])], codes.append)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [(b"host", b"x")]}
    await application(scope, receive, send)
    body = b"".join(each.get("body", b"") for each in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), orjson.loads(body) if body else {}, codes


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_route_answers_by_itself(method: str) -> None:
    status, _, body, codes = await asked(method, "/there")

    assert (status, body, codes) == (204, {}, [])


@pytest.mark.parametrize("path", ["/there/", "/", "/There", "/there/more", "/the%72e"])
async def test_another_path_is_not_found_and_leads_nowhere(path: str) -> None:
    status, headers, body, codes = await asked("GET", path)

    assert (status, codes) == (404, ["not_found"])
    assert body == {"error": "not_found", "message": "There is nothing here."}
    assert b"location" not in headers


async def test_another_method_is_told_which_ones_there_are() -> None:
    status, headers, body, codes = await asked("POST", "/there")

    assert (status, codes) == (405, ["method_not_allowed"])
    assert body == {"error": "method_not_allowed", "message": "This path takes another method."}
    assert set(headers[b"allow"].split(b", ")) == {b"GET", b"HEAD"}


def test_a_refusal_is_a_code_and_a_sentence_with_the_headers_that_it_is_given() -> None:
    made = refusal(418, "code", "Sentence.", {"retry-after": "7"})

    assert (made.status_code, made.headers["retry-after"]) == (418, "7")
    assert orjson.loads(made.body) == {"error": "code", "message": "Sentence."}
    assert (OUT_OF_MEMORY.status_code, OUT_OF_MEMORY.headers["retry-after"]) == (503, "5")
