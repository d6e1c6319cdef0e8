"""What passes the console's guard: its own Host, forms of its own pages, its path with and without a proxy's."""

from collections.abc import Iterator

import pytest

from consumer.console.base import base_of
from consumer.console.form import BODY_BYTES_MAX, FIELDS_MAX
from consumer.console.guard import HEADERS, POLICY
from consumer.console.routes import ENDPOINTS, STEPS
from consumer.errors import BadSettings
from tests.support.console import FORM, Desk, running

URL = "https://ops.example.com/users-console"


@pytest.fixture(scope="module")
def desk(database_url: str) -> Iterator[Desk]:
    with running(database_url) as desk:
        yield desk


@pytest.fixture(scope="module")
def proxied(database_url: str) -> Iterator[Desk]:
    """A console behind a proxy that ends TLS, below a path."""
    with running(database_url, CONSOLE_URL=URL) as desk:
        desk.headers["host"] = "ops.example.com"
        yield desk


def test_a_host_that_is_not_ours_is_refused(desk: Desk) -> None:
    """A foreign name that leads to this machine (DNS rebinding) must not read the pages in a browser's name."""
    viewer = desk.as_("viewer")
    foreign = [
        "evil.example",
        f"evil.example:{desk.port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "",
        f"localhost:{desk.port}.evil",
    ]
    ours = [f"127.0.0.1:{desk.port}", f"localhost:{desk.port}", f"LOCALHOST:{desk.port}", f"[::1]:{desk.port}"]

    assert [viewer.get("/system", host=host).status for host in foreign] == [421] * len(foreign)
    assert [viewer.get("/system", host=host).status for host in ours] == [200] * len(ours)


def test_a_probe_that_calls_by_another_name_learns_only_that_the_process_runs(desk: Desk) -> None:
    answer = desk.get("/livez", host="10.0.0.7:8003")

    assert (answer.status, answer.text) == (200, '{"status":"alive"}')


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 303),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:{port}"}, 303),
        ({"sec-fetch-site": "", "origin": "http://127.0.0.1:{port}"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:{port}"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:1"}, 403),
    ],
    ids=str,
)
def test_a_form_counts_only_from_a_page_of_ours(desk: Desk, headers: dict[str, str], status: int) -> None:
    named = {name: value.format(port=desk.port) for name, value in headers.items()}

    assert desk.as_("viewer").ask("POST", "/leave", "x=1", FORM | named).status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_whatever_method_could_change_something_counts_only_from_a_page_of_ours(desk: Desk, method: str) -> None:
    foreign = {**FORM, "sec-fetch-site": "cross-site"}

    assert desk.as_("viewer").ask(method, "/leave", "x=1", foreign).status == 403


@pytest.mark.parametrize(
    ("origin", "status"), [("http://localhost:{port}", 303), ("null", 403), ("https://evil.example", 403), (None, 403)]
)
def test_an_old_browser_s_form_counts_by_its_origin(desk: Desk, origin: str | None, status: int) -> None:
    headers = {"content-type": FORM["content-type"]}
    if origin:
        headers["origin"] = origin.format(port=desk.port)

    assert desk.as_("viewer").ask("POST", "/leave", "x=1", headers).status == status


def test_every_page_bears_the_headers(desk: Desk) -> None:
    assert "unsafe" not in POLICY
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(POLICY.split("; "))
    assert {
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
    }.items() <= HEADERS.items()
    for who in ("nobody", "viewer"):
        for path in ("/", "/system", "/login", "/nowhere", "/livez", "/live", "/open/x"):
            with desk.as_(who).open("GET", path, "", {}) as answer:
                assert {name: answer.getheader(name) for name in HEADERS} == HEADERS, path
    refused = desk.get("/", host="evil.example"), desk.post("/leave", sec_fetch_site="cross-site")
    assert [{name: answer.headers.get(name) for name in HEADERS} for answer in refused] == [HEADERS] * 2


def test_only_files_whose_address_changes_with_them_are_kept_by_browsers(desk: Desk) -> None:
    kept = {path: desk.get(path).headers["cache-control"] for path in addresses(desk.get("/login").text)}

    assert kept
    assert {path.split("/")[1] for path in kept} == {"static"}
    assert set(kept.values()) == {"public, max-age=31536000, immutable"}


def addresses(text: str) -> list[str]:
    return [part.partition('"')[0] for part in text.split('href="')[1:] if part.startswith("/static/")]


@pytest.mark.parametrize("prefix", ["/users-console", ""], ids=["the proxy keeps the path", "the proxy strips it"])
def test_the_console_works_below_a_path(proxied: Desk, prefix: str) -> None:
    viewer = proxied.as_("viewer")
    viewer.path = prefix

    page = viewer.get("/system")
    left = viewer.post("/leave")
    nobody = proxied.as_("nobody")
    nobody.path = prefix
    turned_away = nobody.get("/")

    assert page.status == 200
    assert 'href="/users-console/deliveries"' in page.text
    assert 'action="/users-console/leave"' in page.text
    assert "users-console/users-console" not in page.text
    assert (left.status, left.headers["location"]) == (303, "/users-console/login")
    assert (turned_away.status, turned_away.headers["location"]) == (303, "/users-console/login")
    assert {"Path=/users-console", "Secure"} <= set(left.headers["set-cookie"].split("; "))
    assert left.headers["set-cookie"].startswith("__Secure-console=")
    linked = [part.partition('"')[0] for part in page.text.replace('src="', 'href="').split('href="')[1:]]
    assert [each for each in linked if not each.startswith(("/users-console/", "#"))] == []


def test_on_https_without_a_path_the_cookie_is_the_host_s_alone(database_url: str) -> None:
    with running(database_url, CONSOLE_URL="https://ops.example.com") as desk:
        desk.headers["host"] = "ops.example.com"
        left = desk.as_("viewer").post("/leave").headers["set-cookie"]

    assert left.startswith("__Host-console=")
    assert {"Path=/", "Secure"} <= set(left.split("; "))


def test_a_path_that_only_begins_alike_is_none_of_ours(proxied: Desk) -> None:
    assert proxied.as_("viewer").get("/users-console-2/system").status == 404


def test_a_path_that_is_a_page_is_refused() -> None:
    with pytest.raises(BadSettings, match="is a page of the console"):
        base_of("https://ops.example.com/system", 8003, STEPS)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://ops.example.com", {"ops.example.com", "ops.example.com:443"}),
        ("https://ops.example.com:8443/x", {"ops.example.com:8443"}),
        ("http://[::1]:9000", {"[::1]:9000"}),
    ],
)
def test_the_hosts_of_a_url_are_those_that_browsers_send(url: str, hosts: set[str]) -> None:
    local = {f"{host}:8003" for host in ("127.0.0.1", "localhost", "[::1]")}

    assert base_of(url, 8003, STEPS).hosts == hosts | local


def test_a_form_is_small(desk: Desk) -> None:
    viewer = desk.as_("viewer")
    pairs = [f"a{number}=1" for number in range(FIELDS_MAX + 1)]

    assert (BODY_BYTES_MAX, FIELDS_MAX) == (16 * 1024, 128)
    assert viewer.ask("POST", "/leave", "a=" + "x" * BODY_BYTES_MAX, FORM).status == 413
    assert viewer.ask("POST", "/leave", "&".join(pairs), FORM).status == 400
    assert viewer.ask("POST", "/leave", "&".join(pairs[1:]), FORM).status == 303


@pytest.mark.parametrize("body", ["a=%ff", "a=%00", "a=é"], ids=["no UTF-8", "NUL", "no ASCII"])
def test_a_form_that_no_page_of_ours_sends_is_not_understood(desk: Desk, body: str) -> None:
    with desk.as_("viewer").open("POST", "/leave", body.encode("utf-8").decode("latin-1"), FORM) as answer:
        assert answer.status == 400


def test_a_form_of_another_type_is_not_understood(desk: Desk) -> None:
    for content_type in ("application/json", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = desk.as_("viewer").ask("POST", "/leave", "a=1", FORM | {"content-type": content_type})
        assert answer.status == 400, content_type


def test_no_address_of_the_list_is_reached_by_a_head_alone(desk: Desk) -> None:
    """HEAD is GET without its body, so it needs the same role."""
    for each in ENDPOINTS:
        if each.method == "GET" and each.role != "nobody" and "{" not in each.path:
            assert desk.ask("HEAD", each.path, "", {}).status == 303
