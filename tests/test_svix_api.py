"""What the client reads of Svix and has Stack do with the admin key."""

import traceback
from datetime import timedelta

import pytest
from starlette.types import ASGIApp

from consumer.stack_api.admin import SvixToken
from consumer.stack_api.errors import ApiError, KnownError, SvixAddressUnknown, SvixRefused, UnexpectedAnswer
from consumer.stack_api.svix import SvixApi, address, open_svix
from consumer.stack_api.svix_answers import MessagesPage
from tests.support.fake_stack import FakeStack, trouble
from tests.support.fake_stack.serving import ADMIN_KEY, PROJECT_ID
from tests.support.stack_api import SHORT, Time, stack_admin, svix_api

URL = "https://hooks.example.com/webhooks/stack"


async def walked(svix: SvixApi, fake: FakeStack, days: float) -> list[MessagesPage]:
    return [page async for page in svix.messages(fake.project.now - timedelta(days=days))]


def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.stack_api.svix.PAGE_LIMIT", 2)


async def test_an_endpoint_is_made_changed_and_read_with_its_secret(any_svix: FakeStack) -> None:
    async with svix_api(any_svix) as svix:
        made = await svix.create_endpoint(URL, "consumer")
        assert await svix.endpoints() == (made,)
        assert (made.url, made.is_disabled, made.event_types, made.channels) == (URL, False, None, None)

        changed = await svix.patch_endpoint(made.id, {"disabled": True, "url": f"{URL}/2"})

        assert changed == await svix.endpoint(made.id)
        assert (changed.url, changed.is_disabled) == (f"{URL}/2", True)
        assert await svix.endpoint_secret(made.id) == any_svix.svix.endpoints[made.id].secret


async def test_a_filter_is_read_by_its_name_of_any_age(any_svix: FakeStack) -> None:
    any_svix.svix.add_endpoint(URL, any_svix.project.now, event_types=["user.created"])

    async with svix_api(any_svix) as svix:
        [endpoint] = await svix.endpoints()

    assert endpoint.event_types == ("user.created",)


async def test_all_endpoints_are_listed_page_by_page(fake: FakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    small_pages(monkeypatch)
    for _ in range(5):
        fake.svix.add_endpoint(URL, fake.project.now)

    async with svix_api(fake) as svix:
        found = {endpoint.id for endpoint in await svix.endpoints()}

    assert found == fake.svix.endpoints.keys()


async def test_an_endpoint_whose_answer_is_lost_is_not_made_twice(fake: FakeStack) -> None:
    async with svix_api(fake) as svix:
        fake.troubles.append(trouble.lost(fake.app))
        made = await svix.create_endpoint(URL, "")

    assert fake.svix.endpoints.keys() == {made.id}


async def test_two_endpoints_are_two_though_they_are_alike(fake: FakeStack) -> None:
    async with svix_api(fake) as svix:
        assert (await svix.create_endpoint(URL, "")).id != (await svix.create_endpoint(URL, "")).id


async def test_a_token_that_expires_is_made_anew(fake: FakeStack) -> None:
    async with svix_api(fake) as svix:
        fake.svix.expire_tokens()
        assert await svix.endpoints() == ()
        assert len(fake.svix.tokens) == 2


async def test_a_new_token_that_is_refused_too_is_an_error(fake: FakeStack) -> None:
    refused = trouble.body(b'{"code": "authentication_failed", "detail": "x"}', 401)

    async with svix_api(fake) as svix:
        fake.troubles.extend([refused, fake.app, refused])
        with pytest.raises(SvixRefused, match="401"):
            await svix.endpoints()


async def test_a_page_that_refuses_a_token_makes_no_new_one(fake: FakeStack) -> None:
    async with svix_api(fake) as svix:
        fake.troubles.append(trouble.page(401))
        with pytest.raises(UnexpectedAnswer, match="SVIX_SERVER_URL"):
            await svix.endpoints()

    assert len(fake.svix.tokens) == 1


async def test_the_last_attempts_of_an_endpoint_are_told(any_svix: FakeStack) -> None:
    endpoint = any_svix.svix.add_endpoint(URL, any_svix.project.now)
    async with svix_api(any_svix) as svix:
        assert await svix.last_failures(endpoint.id) == ()

        for _ in range(12):
            any_svix.project.sign_up()
        endpoint.takes = False

        assert await svix.last_failures(endpoint.id) == (True,) * 10

        any_svix.troubles.append(trouble.body(b'{"data": [{"status": "fail"}], "done": true}'))
        with pytest.raises(UnexpectedAnswer, match="status"):
            await svix.last_failures(endpoint.id)


NO_LISTS = {
    "a page": trouble.page(200),
    "a redirect": trouble.redirect("/elsewhere"),
    "a redirect that looks like Svix": trouble.body(b'{"detail": "x"}', 302),
    "no list": trouble.body(b'{"data": {}, "done": true}'),
    "no end": trouble.body(b'{"data": [], "iterator": null}'),
    "no iterator": trouble.body(b'{"data": [], "iterator": null, "done": false}'),
    "no id": trouble.body(b'{"data": [{"url": "x"}], "done": true}'),
    "odd flag": trouble.body(b'{"data": [{"id": "ep_1", "url": "x", "disabled": []}], "done": true}'),
    "odd filter": trouble.body(b'{"data": [{"id": "ep_1", "url": "x", "eventTypes": "all"}], "done": true}'),
}


@pytest.mark.parametrize("answer", NO_LISTS.values(), ids=NO_LISTS)
async def test_what_is_no_list_of_endpoints_is_an_error(fake: FakeStack, answer: ASGIApp) -> None:
    async with svix_api(fake) as svix:
        fake.troubles.append(answer)
        with pytest.raises(UnexpectedAnswer):
            await svix.endpoints()


async def test_the_test_event_is_sent_by_stack_and_its_end_is_told(fake: FakeStack) -> None:
    good = fake.svix.add_endpoint(URL, fake.project.now)
    bad = fake.svix.add_endpoint(URL, fake.project.now, takes=False)

    async with stack_admin(fake) as admin:
        assert await admin.send_test_webhook(good.id) is True
        assert await admin.send_test_webhook(bad.id) is False
        assert await admin.send_test_webhook("ep_unknown") is False

    assert [event.type for event in fake.project.events] == ["stack.test", "stack.test"]


async def test_a_wrong_admin_key_is_told_by_its_code(fake: FakeStack) -> None:
    fake.keys["admin"] = "another"

    async with stack_admin(fake) as admin:
        with pytest.raises(KnownError) as raised:
            await admin.svix_token()

    assert (raised.value.status, raised.value.code) == (401, "INVALID_SUPER_SECRET_ADMIN_KEY")


ODD_ANSWERS = {
    "no token": trouble.body(b"{}", 201),
    "an empty token": trouble.body(b'{"token": ""}', 201),
    "a token of two lines": trouble.body(b'{"token": "secret\\ntoken"}', 201),
    "a page": trouble.page(200),
}


@pytest.mark.parametrize("answer", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
async def test_what_is_no_token_is_an_error_that_does_not_show_it(fake: FakeStack, answer: ASGIApp) -> None:
    fake.troubles.append(answer)

    async with stack_admin(fake) as admin:
        with pytest.raises(UnexpectedAnswer) as raised:
            await admin.svix_token()

    assert "secret" not in "".join(traceback.format_exception(raised.value))


async def test_what_is_no_result_of_a_test_event_is_an_error(fake: FakeStack) -> None:
    fake.troubles.append(trouble.body(b'{"success": "yes"}'))

    async with stack_admin(fake) as admin:
        with pytest.raises(UnexpectedAnswer, match="success"):
            await admin.send_test_webhook("ep_1")


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("appsk_x", "https://api.svix.com"),
        ("appsk_x.us", "https://api.us.svix.com"),
        ("appsk_x.y.eu", "https://api.eu.svix.com"),
        ("appsk_x.EU", "https://api.svix.com"),
        ("appsk_x.eu.other", "https://api.svix.com"),
        ("appsk_x.evil", "https://api.svix.com"),
    ],
)
def test_a_hosted_token_names_its_region_behind_the_last_dot(token: str, expected: str) -> None:
    assert address(SvixToken(token, is_hosted=True)) == expected


async def test_a_token_of_a_self_hosted_svix_goes_to_nobody_but_the_configured_address(fake: FakeStack) -> None:
    fake.svix.is_self_hosted = True

    async with stack_admin(fake) as admin:
        with pytest.raises(SvixAddressUnknown, match="SVIX_SERVER_URL"):
            async with open_svix(admin, PROJECT_ID, None, Time().rate(), SHORT):
                raise NotImplementedError
        async with open_svix(admin, PROJECT_ID, fake.url, Time().rate(), SHORT) as svix:
            assert await svix.endpoints() == ()


async def test_an_app_id_or_endpoint_id_changes_no_path(fake: FakeStack) -> None:
    async with svix_api(fake) as svix:
        with pytest.raises(ApiError):
            await svix.endpoint("../../other/endpoint")

    assert fake.asked[-1].path.startswith(f"/api/v1/app/{PROJECT_ID}/endpoint/")


async def test_no_text_shows_a_token_a_secret_or_a_payload(fake: FakeStack) -> None:
    fake.svix.add_endpoint(URL, fake.project.now)
    fake.project.sign_up(primary_email="oda@example.com")

    async with svix_api(fake) as svix, stack_admin(fake) as admin:
        [page] = await walked(svix, fake, 1)
        with pytest.raises(SvixRefused) as raised:
            await svix.endpoint("ep_unknown")
        shown = [repr(page), repr(await admin.svix_token()), repr(svix), *traceback.format_exception(raised.value)]

    hidden = ("appsk_", "whsec_", "oda@example.com", ADMIN_KEY)
    assert not [text for text in shown if any(each in text for each in hidden)]
