"""Every address of the console, asked by everybody in every way: the router's own list, with a row for each."""

from collections.abc import Iterator
from typing import Literal

import pytest

from consumer.console.routes import ENDPOINTS, STEPS
from tests.support.console import Desk, address, running

Method = Literal["GET", "POST"]
Who = Literal["nobody", "viewer", "operator"]

WHO: tuple[Who, ...] = ("nobody", "viewer", "operator")
# Statuses by path and method: for nobody, a viewer and an operator.
PAGE = (303, 200, 200)
UNKNOWN = (303, 404, 404)
OTHER_METHOD = (405, 405, 405)
# A confirmation, and a form that it did not make.
ORDER: dict[Method, tuple[int, int, int]] = {"GET": (303, 403, 200), "POST": (401, 403, 400)}
EXPECTED: dict[str, dict[Method, tuple[int, int, int]]] = {
    "/": {"GET": PAGE, "POST": OTHER_METHOD},
    "/deliveries": {"GET": PAGE, "POST": OTHER_METHOD},
    # These name nothing that is stored.
    "/deliveries/{seq:seq}": {"GET": UNKNOWN, "POST": OTHER_METHOD},
    "/deliveries/{seq:seq}/reveal": {"GET": (303, 403, 200), "POST": (401, 403, 400)},
    "/users": {"GET": PAGE, "POST": OTHER_METHOD},
    "/users/{user_id:uuid}": {"GET": UNKNOWN, "POST": OTHER_METHOD},
    "/users/{user_id:uuid}/reveal": {"GET": (303, 403, 200), "POST": (401, 403, 400)},
    "/companies": {"GET": PAGE, "POST": OTHER_METHOD},
    "/companies/{company_id:uuid}": {"GET": UNKNOWN, "POST": OTHER_METHOD},
    "/dead": {"GET": PAGE, "POST": OTHER_METHOD},
    "/recovery": {"GET": PAGE, "POST": OTHER_METHOD},
    "/recovery/{run_id:uuid}": {"GET": UNKNOWN, "POST": OTHER_METHOD},
    "/find": {"GET": PAGE, "POST": (401, 200, 200)},
    "/actions/{id}": {"GET": (303, 404, 404), "POST": OTHER_METHOD},
    "/dead/retry": ORDER,
    "/dead/discard": ORDER,
    "/deliveries/replay": ORDER,
    "/deliveries/discard": ORDER,
    "/deliveries/undiscard": ORDER,
    "/recovery/rebuild": ORDER,
    "/recovery/check": ORDER,
    "/users/{user_id:uuid}/refresh": ORDER,
    "/actions": {"GET": PAGE, "POST": OTHER_METHOD},
    "/system": {"GET": PAGE, "POST": OTHER_METHOD},
    "/system/test": ORDER,
    "/login": {"GET": (200, 200, 200), "POST": OTHER_METHOD},
    "/open/{token}": {"GET": (403, 403, 403), "POST": OTHER_METHOD},
    "/open": {"GET": OTHER_METHOD, "POST": (403, 403, 403)},
    "/leave": {"GET": OTHER_METHOD, "POST": (401, 303, 303)},
    "/live": {"GET": (200, 200, 200), "POST": OTHER_METHOD},
    "/static/{version}/{name}": {"GET": (200, 200, 200), "POST": OTHER_METHOD},
    "/favicon.ico": {"GET": (200, 200, 200), "POST": OTHER_METHOD},
    "/livez": {"GET": (200, 200, 200), "POST": OTHER_METHOD},
}
CASES = [(path, method, who) for path in EXPECTED for method in ("GET", "POST") for who in WHO]


@pytest.fixture(scope="module")
def desk(database_url: str) -> Iterator[Desk]:
    with running(database_url) as desk:
        yield desk


def test_every_address_of_the_router_has_a_row_and_every_row_an_address() -> None:
    listed = {(each.path, each.method) for each in ENDPOINTS}
    taken = {
        (path, method)
        for path, rows in EXPECTED.items()
        for method, statuses in rows.items()
        if statuses != OTHER_METHOD
    }

    assert taken == listed
    assert all(rows.keys() == {"GET", "POST"} for rows in EXPECTED.values())


def test_the_least_role_of_an_address_is_what_its_row_says() -> None:
    refused = {303: "page", 401: "page", 403: "act"}
    for each in ENDPOINTS:
        nobody, viewer, _ = EXPECTED[each.path][each.method]
        if each.role == "operator":
            assert (nobody in refused, viewer) == (True, 403), each.path
        elif each.role == "viewer":
            assert nobody in {303, 401}, each.path


@pytest.mark.parametrize(("path", "method", "who"), CASES, ids=str)
def test_an_address_answers_each_person_and_method_as_its_row_says(
    desk: Desk, path: str, method: Method, who: Who
) -> None:
    body, headers = ("", {}) if method == "GET" else ("x=1", {"content-type": "application/x-www-form-urlencoded"})
    headers |= {"sec-fetch-site": "same-origin"}

    with desk.as_(who).open(method, address(path), body, headers) as answer:
        assert answer.status == EXPECTED[path][method][WHO.index(who)]
        if answer.status == 303 and who == "nobody":
            assert answer.getheader("location") == "/login"


def test_an_address_that_is_not_in_the_list_does_not_exist(desk: Desk) -> None:
    for who in WHO:
        for path in ("/nowhere", "/../etc/passwd", "//example.com", "/static", "/index.html", "/system/"):
            assert desk.as_(who).get(path).status == 404, path


def test_the_first_steps_are_those_of_the_list() -> None:
    assert {"actions", "system", "live", "static", "open", "login", "leave", "livez"} <= STEPS


@pytest.mark.parametrize(("who", "status"), [("nobody", 404), ("viewer", 404)])
def test_a_number_that_no_delivery_can_have_is_not_found(desk: Desk, who: Who, status: int) -> None:
    asked = desk.as_(who)
    digits = "9" * 5_000

    assert [asked.get(f"/deliveries/{number}").status for number in ("9" * 19, digits)] == [status, status]
    assert desk.as_("viewer").get(f"/deliveries?about={digits}").status == 400
