"""The jobs of `consumer maintain` that compare with Stack: the daily reconciliation, and the endpoint at Svix."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest

from consumer.operations import reconcile
from consumer.operations.scan import RESTARTS_MAX
from tests.support.backfills import environment, held, long_ago, named, now_is_now, truth
from tests.support.cli import arrive, call, facts, work
from tests.support.databases import change, rows
from tests.support.factories import user_updated
from tests.support.fake_stack import FakeStack
from tests.support.fake_stack.serving import PROJECT_ID, SERVER_KEY
from tests.support.processes import SECRET
from tests.support.recoveries import environment as with_admin_key

URL = "https://hooks.example.com/webhooks/stack"
CONNECTED = f"INSERT INTO consumer.project (project_id, endpoint_url) VALUES ('{PROJECT_ID}', '{URL}')"
DUE = "UPDATE consumer.maintenance SET due_at = now()"


def job(document: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [report for report in document["jobs"] if report["job"] == name]
    return dict(found)


def reconciled(fake: FakeStack, url: str) -> dict[str, Any]:
    return job(facts(url, "maintain", **environment(fake)), "reconcile")


def test_what_no_webhook_tells_comes_without_a_call_by_hand(emptied: str, any_fake: FakeStack) -> None:
    long_ago(any_fake)
    named(any_fake, 3)

    report = reconciled(any_fake, emptied)
    work(emptied)

    assert report["counts"] == {"differences": 3, "repaired": 3, "unusable": 0}
    assert report["remark"] is None
    assert held(emptied) == truth(any_fake)


def test_nothing_is_deleted_here_without_a_person(
    emptied: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "ASKED_AGAIN_AFTER", reconcile.ASKED_AGAIN_AFTER * 0)
    arrive(emptied, user_updated())
    work(emptied)

    report = reconciled(fake, emptied)
    work(emptied)

    assert "--fix deletes here" in report["remark"]
    assert rows(emptied, "SELECT deleted_at FROM identity.profiles") == [{"deleted_at": None}]


def test_a_second_look_is_due_in_five_minutes_and_scans_nothing_again(emptied: str, fake: FakeStack) -> None:
    arrive(emptied, user_updated())
    work(emptied)
    first = reconciled(fake, emptied)
    change(emptied, "UPDATE consumer.suspects SET asked_at = asked_at - interval '5 minutes'")
    change(emptied, DUE)
    asked = len(fake.asked)

    second = reconciled(fake, emptied)

    assert "a second time" in first["remark"]
    assert "Differences stay" in second["remark"]
    [user] = rows(emptied, "SELECT user_id FROM consumer.suspects")
    # The job of recent activity, which runs beside it, asks for the list.
    others = [each.path for each in fake.asked[asked:] if each.path != "/api/v1/users"]
    assert others == [f"/api/v1/users/{user['user_id']}"]
    assert len(rows(emptied, "SELECT FROM consumer.runs WHERE kind = 'reconcile'")) == 1


def test_a_scan_that_loses_its_place_for_good_is_begun_anew_without_a_person(emptied: str, fake: FakeStack) -> None:
    long_ago(fake)
    named(fake, 3)
    lost = "INSERT INTO consumer.runs (id, kind, project_id, stage, restarts, cursor, cursor_millis, calls, listed_at) "
    values = f"(gen_random_uuid(), 'reconcile', '{PROJECT_ID}', 'users', {RESTARTS_MAX}, '{uuid4()}', 1, 9, now())"
    change(emptied, f"{lost} VALUES {values}")

    failed = job(orjson.loads(call(emptied, "maintain", "--json", **environment(fake)).stdout), "reconcile")
    change(emptied, DUE)
    report = reconciled(fake, emptied)
    work(emptied)

    assert (failed["state"], "lost its place" in failed["error"], report["state"]) == ("failed", True, "done")
    assert held(emptied) == truth(fake)


@pytest.mark.parametrize(
    ("url", "is_disabled", "error"),
    [
        (URL, True, "Svix has disabled the endpoint"),
        (URL, False, "Its signing secret is none of STACK_WEBHOOK_SECRETS"),
        (f"{URL}/elsewhere", False, "Svix has no endpoint for"),
    ],
    ids=["disabled", "another secret", "gone"],
)
def test_an_endpoint_that_lets_no_webhook_arrive_is_an_alarm(
    emptied: str, any_svix: FakeStack, url: str, is_disabled: bool, error: str
) -> None:
    now_is_now(any_svix)
    any_svix.svix.add_endpoint(url, any_svix.project.now, disabled=is_disabled)
    change(emptied, CONNECTED)
    settings = with_admin_key(any_svix, STACK_WEBHOOK_SECRETS=SECRET)

    result = call(emptied, "maintain", "--json", **settings)
    status = facts(emptied, "status", **settings)

    report = job(orjson.loads(result.stdout), "endpoint")
    assert (result.exit_code, report["state"]) == (1, "failed")
    assert report["error"].startswith(error)
    assert [each["subject"] for each in status["findings"] if each["code"] == "endpoint_disabled"] == ["endpoint"]


def test_a_filter_of_the_endpoint_is_a_remark(emptied: str, any_svix: FakeStack) -> None:
    now_is_now(any_svix)
    made = any_svix.svix.add_endpoint(URL, any_svix.project.now, event_types=["user.created"])
    change(emptied, CONNECTED)

    report = job(facts(emptied, "maintain", **with_admin_key(any_svix, STACK_WEBHOOK_SECRETS=made.secret)), "endpoint")

    assert (report["state"], "filter keeps out" in report["remark"]) == ("done", True)


def test_the_endpoint_is_looked_at_each_hour_and_rows_are_compared_each_day(emptied: str, any_svix: FakeStack) -> None:
    now_is_now(any_svix)

    facts(emptied, "maintain", **{**with_admin_key(any_svix), "STACK_SECRET_SERVER_KEY": SERVER_KEY})

    periods = "SELECT job, due_at - started_at AS period FROM consumer.maintenance WHERE job <> 'activity'"
    found = {row["job"]: row["period"] for row in rows(emptied, periods)}
    assert found == {"hours": timedelta(minutes=1), "endpoint": timedelta(hours=1), "reconcile": timedelta(hours=23)}


@pytest.mark.parametrize(("is_connected", "remark"), [(True, None), (False, "No endpoint is recorded")])
def test_a_sound_endpoint_and_one_that_nobody_recorded_are_none(
    emptied: str, any_svix: FakeStack, is_connected: bool, remark: str | None
) -> None:
    now_is_now(any_svix)
    made = any_svix.svix.add_endpoint(URL, any_svix.project.now)
    if is_connected:
        change(emptied, CONNECTED)

    settings = with_admin_key(any_svix, STACK_WEBHOOK_SECRETS=f"{made.secret} {SECRET}")
    report = job(facts(emptied, "maintain", **settings), "endpoint")

    assert report["state"] == "done"
    assert (report["remark"] or "").startswith(remark or "")
    assert bool(report["remark"]) == bool(remark)


def test_a_wrong_admin_key_is_a_failure_with_its_cure(emptied: str, any_svix: FakeStack) -> None:
    change(emptied, CONNECTED)

    result = call(emptied, "maintain", **with_admin_key(any_svix, STACK_SUPER_SECRET_ADMIN_KEY="sak_wrong"))

    assert result.exit_code == 1
    assert "endpoint failed: Stack refused" in result.stderr
    assert "sak_wrong" not in result.output


def test_a_reconciliation_by_hand_settles_what_the_job_complained_of(
    emptied: str, fake: FakeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "ASKED_AGAIN_AFTER", reconcile.ASKED_AGAIN_AFTER * 0)
    arrive(emptied, user_updated())
    work(emptied)
    complained = reconciled(fake, emptied)

    facts(emptied, "reconcile", "--fix", **environment(fake))

    assert complained["remark"] is not None
    assert (job(facts(emptied, "maintain", **environment(fake)), "reconcile"))["remark"] is None
