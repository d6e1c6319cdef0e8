"""What commands share: filters, reasons, addresses, and one sentence for each refusal."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import click
import psycopg
import pytest
from psycopg import errors as postgres

from consumer.cli import addresses, database, dead, decision, filters, jobs, replay, reveal, subject_ids, switches
from consumer.cli.context import Misconfigured, refusals
from consumer.cli.filters import Filters
from consumer.errors import BadSettings, ConsumerError, NoDatabase, SettingsMismatch
from consumer.outbox.deliveries import Selection
from consumer.postgres.first_rows import FirstRows
from consumer.settings.settings import Settings

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ONE, TWO = UUID(int=1), UUID(int=2)
CONTEXT, OPTION = click.Context(click.Command("x")), click.Option(["--x"])


def chosen(**named: Any) -> Filters:
    nothing: Any = {**dict.fromkeys(Filters.__annotations__), "message_ids": ()}
    made: Any = {**nothing, **named}
    return cast("Filters", made)


def test_a_selection_has_each_filter_and_ends_now() -> None:
    assert filters.selection(chosen(), ("done",), NOW) == Selection(("done",), until=NOW)
    whole = chosen(
        since=2 * HOUR,
        until=HOUR,
        event_type="x",
        user_id=ONE,
        team_id=TWO,
        message_ids=("a",),
        error_code="c",
        verified_by="v",
    )
    assert filters.selection(whole, ("dead",), NOW, is_discarded=True) == Selection(
        ("dead",),
        since=NOW - 2 * HOUR,
        until=NOW - HOUR,
        event_type="x",
        user_id=ONE,
        team_id=TWO,
        message_ids=("a",),
        error_code="c",
        verified_by="v",
        is_discarded=True,
    )


@pytest.mark.parametrize("since", [timedelta(0), NOW, NOW + HOUR])
def test_a_time_that_does_not_lie_before_its_end_is_refused(since: datetime | timedelta) -> None:
    with pytest.raises(click.UsageError, match="--since must lie before --until"):
        filters.selection(chosen(since=since), ("done",), NOW)


def test_deliveries_are_named_by_a_filter_or_all_and_not_by_both() -> None:
    filters.refuse_unless_meant(chosen(), is_all=True)
    filters.refuse_unless_meant(chosen(message_ids=("a",)), is_all=False)
    filters.refuse_unless_meant(chosen(user_id=ONE), is_all=False)
    with pytest.raises(click.UsageError, match=r"^Name the deliveries by a filter, or --all\.$"):
        filters.refuse_unless_meant(chosen(), is_all=False)
    with pytest.raises(click.UsageError, match="exclude each other"):
        filters.refuse_unless_meant(chosen(error_code="c"), is_all=True)


@pytest.mark.parametrize(("n", "text"), [(0, "0 deliveries"), (1, "1 delivery"), (1_234, "1,234 deliveries")])
def test_a_number_of_deliveries_has_its_noun(n: int, text: str) -> None:
    assert filters.amount(n) == text


def test_a_reason_has_from_one_to_a_thousand_characters() -> None:
    checked = [decision.checked_reason(CONTEXT, OPTION, text) for text in (None, " why ", "x" * 1_000)]

    assert checked == [None, "why", "x" * 1_000]
    for text in ("", " ", "x" * 1_001, "a\0b"):
        with pytest.raises(click.BadParameter, match="from 1 to 1000 characters"):
            decision.checked_reason(CONTEXT, OPTION, text)


@pytest.mark.parametrize(
    ("left_out", "sentence"),
    [
        (1, "1 more is not discarded: workers or other sessions hold it at this moment. Run the command again."),
        (2, "2 more are not discarded: workers or other sessions hold them at this moment. Run the command again."),
        (1_000, "1,000 more are not discarded: workers or other sessions hold them at this moment. Run the command "),
    ],
)
def test_what_a_discard_left_out_is_a_failure(left_out: int, sentence: str) -> None:
    decision.refuse_left_out(0)
    with pytest.raises(click.ClickException) as refused:
        decision.refuse_left_out(left_out)
    assert refused.value.message.startswith(sentence)


def test_an_action_of_a_shell_names_its_user_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision, "shell_user", lambda: "ada")
    monkeypatch.setattr(decision, "gethostname", lambda: "here")

    action = decision.shell_action("replay", {"a": 1}, seen_count=3, reason="why")

    assert (action.actor.name, action.actor.via, action.actor.role) == ("ada@here", "cli", "operator")
    assert (action.action, action.filter, action.seen_count, action.reason) == ("replay", {"a": 1}, 3, "why")
    monkeypatch.setattr(decision, "shell_user", lambda: None)
    monkeypatch.setattr("os.getuid", lambda: 1001)
    assert decision.shell_action("replay", {}).actor.name == "1001@here"


def test_revealing_and_a_reason_go_together() -> None:
    assert reveal.is_masked({"is_revealed": False, "reason": None})
    assert not reveal.is_masked({"is_revealed": True, "reason": "why"})
    for is_revealed, reason in ((True, None), (False, "why")):
        with pytest.raises(click.UsageError, match="go together"):
            reveal.is_masked({"is_revealed": is_revealed, "reason": reason})


def test_only_one_subject_is_meant() -> None:
    assert subject_ids.the_only(FirstRows([ONE]), "user", "it") == ONE
    for found, sentence in (
        (FirstRows[UUID]([]), "No stored user has it."),
        (FirstRows([ONE, TWO]), f"2 users have it: {ONE}, {TWO}."),
        (FirstRows([ONE, TWO], is_more=True), f"Over 2 users have it: {ONE}, {TWO}."),
    ):
        with pytest.raises(click.ClickException) as refused:
            subject_ids.the_only(found, "user", "it")
        assert refused.value.message == sentence


def test_the_states_of_a_replay_are_listed_with_commas() -> None:
    assert replay._states(CONTEXT, OPTION, "done, dead") == ("done", "dead")
    with pytest.raises(click.BadParameter, match="'pending' is not one of done, dead, retrying"):
        replay._states(CONTEXT, OPTION, "dead,pending")


def test_a_body_is_printed_as_text_if_it_is_text() -> None:
    assert dead._document(body=None, a=1) == {"a": 1}
    assert dead._document(body=b"{}", a=1) == {"a": 1, "body": "{}"}
    assert dead._document(body=b"\xff") == {"body_base64": "/w=="}


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1", "http://127.0.0.1:8"),
        ("0.0.0.0", "http://127.0.0.1:8"),
        ("*", "http://127.0.0.1:8"),
        ("::", "http://[::1]:8"),
        ("10.0.0.1,::1", "http://10.0.0.1:8"),
    ],
)
def test_a_server_is_reached_at_the_first_address_it_listens_on(host: str, origin: str) -> None:
    assert addresses.origin(host, 8) == origin
    settings = Settings(host=host, port=8, path_prefix="/x")
    assert addresses.webhook_url(settings, "app") == f"{origin}/x/webhooks/app"


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.2", True), ("LocalHost", True), ("::ffff:127.0.0.1", True), ("127.0.0.1,10.0.0.1", False), ("a", False)],
)
def test_a_host_is_loopback_if_each_of_its_addresses_is(host: str, *, is_loopback: bool) -> None:
    assert addresses.is_loopback(host) is is_loopback


def test_the_settings_turn_jobs_on() -> None:
    api: dict[str, Any] = {"stack_project_id": "p", "stack_secret_server_key": "k"}

    assert switches.jobs_on(Settings()) == ["hours"]
    assert switches.jobs_on(Settings(retention_days=1)) == ["hours", "prune"]
    assert switches.jobs_on(Settings(audit_retention_days=1)) == ["hours", "prune"]
    assert switches.jobs_on(Settings(stack_project_id="p")) == ["hours"]
    assert switches.jobs_on(Settings(stack_secret_server_key="k")) == ["hours"]
    assert switches.jobs_on(Settings(**api)) == ["hours", "activity", "reconcile"]
    admin = Settings(stack_project_id="p", stack_super_secret_admin_key="k")
    assert switches.jobs_on(admin) == ["hours", "endpoint"]
    assert switches.jobs_on(Settings(stack_super_secret_admin_key="k")) == ["hours"]


def test_each_job_has_its_period_and_works_only_if_it_is_on() -> None:
    minute, day = timedelta(minutes=1), timedelta(hours=23)
    off = {each.name: (each.period, each.switch, each.work is None) for each in jobs.jobs(Settings())}
    whole = Settings(
        retention_days=1, stack_project_id="p", stack_secret_server_key="k", stack_super_secret_admin_key="a"
    )

    assert off == {
        "hours": (minute, None, False),
        "prune": (day, "RETENTION_DAYS or AUDIT_RETENTION_DAYS", True),
        "activity": (minute, "STACK_PROJECT_ID and STACK_SECRET_SERVER_KEY", True),
        "reconcile": (day, "STACK_PROJECT_ID and STACK_SECRET_SERVER_KEY", True),
        "endpoint": (HOUR, "STACK_PROJECT_ID and STACK_SUPER_SECRET_ADMIN_KEY", True),
    }
    assert all(each.work for each in jobs.jobs(whole))


def test_a_free_port_has_as_many_free_neighbours_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {20_001, 20_004}
    monkeypatch.setattr(addresses, "listen_problem", lambda _, port, __: "taken" if port in taken else None)
    monkeypatch.setattr("random.sample", lambda ports, count: list(ports)[: min(count, 6)])

    assert [addresses.free_port("h"), addresses.free_port("h", count=2), addresses.free_port("h", count=9)] == [
        20_000,
        20_002,
        20_005,
    ]
    monkeypatch.setattr(addresses, "listen_problem", lambda *_: "taken")
    assert addresses.free_port("h") == 20_000


def test_each_process_has_its_own_database_or_the_common_one() -> None:
    settings = Settings(database_url="common", worker_database_url="own")

    kinds: tuple[database.ProcessKind, ...] = ("receiver", "worker", "migrate", "operator")
    assert [database.url(settings, kind) for kind in kinds] == ["common", "own", "common", "common"]
    assert [database.has_urls(each) for each in (Settings(), settings, Settings(migrate_database_url="x"))] == [
        False,
        True,
        True,
    ]


def test_a_process_without_a_database_is_told_what_to_set(tmp_path: Path) -> None:
    folder = Settings(data_dir=tmp_path / "none")
    problems = database.database_problems

    assert problems(Settings(database_url="x"), "worker", is_embedded=False) == []
    assert problems(Settings(database_url="x"), "worker", is_embedded=True) == [
        "--embedded and DATABASE_URL name two databases; keep one of them."
    ]
    assert problems(Settings(worker_database_url="x"), "receiver", is_embedded=True) == [
        "--embedded and WORKER_DATABASE_URL name two databases; keep one of them."
    ]
    assert problems(Settings(worker_database_url="x"), "receiver", is_embedded=False) == [
        "RECEIVER_DATABASE_URL or DATABASE_URL is not set, though another process's database is."
    ]
    assert problems(Settings(worker_database_url="x"), "operator", is_embedded=False) == [
        "DATABASE_URL is not set, though another process's database is."
    ]
    kinds: tuple[database.ProcessKind, ...] = ("receiver", "worker")
    for kind in kinds:
        assert problems(folder, kind, is_embedded=False) == [
            "DATABASE_URL is not set; --embedded would use the embedded database."
        ]
    others: tuple[tuple[database.ProcessKind, bool], ...] = (("operator", False), ("migrate", False), ("worker", True))
    for kind, is_embedded in others:
        [problem] = problems(folder, kind, is_embedded=is_embedded)
        assert problem.startswith("DATABASE_URL is not set, and `consumer up` has made no embedded database in ")
        assert problem.endswith(f"{tmp_path / 'none'} (from CONSUMER_DATA_DIR).")


def test_a_platform_refuses_the_embedded_database_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in database.PLATFORMS:
        monkeypatch.delenv(name, raising=False)
    assert database.platform_problems(Settings(), is_embedded=False) == []
    monkeypatch.setenv("RENDER", "true")

    assert database.platform_problems(Settings(), is_embedded=False) == [
        "DATABASE_URL is not set on a platform (RENDER is); --embedded would use its volatile disk."
    ]
    assert database.platform_problems(Settings(), is_embedded=True) == []
    assert database.platform_problems(Settings(database_url="x"), is_embedded=False) == []


@pytest.mark.parametrize(
    ("error", "exit_code", "sentence"),
    [
        (BadSettings(["a", "b"]), 2, "a\nError: b"),
        (SettingsMismatch("it differs"), 2, "it differs"),
        (NoDatabase("none"), 2, "none"),
        (ConsumerError("so it is"), 1, "so it is"),
        (postgres.UndefinedTable("x"), 1, "The database lacks what this release needs: run `consumer migrate`."),
        (postgres.InvalidSchemaName("x"), 1, "The database lacks what this release needs: run `consumer migrate`."),
        (postgres.InsufficientPrivilege("x"), 1, "The login lacks a privilege: `consumer doctor` shows the missing"),
        (psycopg.OperationalError("gone"), 1, "The database can't be used: gone"),
        (postgres.CheckViolation("of 'Ada'"), 1, "The database refused a statement: CheckViolation."),
    ],
)
def test_an_expected_error_is_one_sentence_and_an_exit_code(error: Exception, exit_code: int, sentence: str) -> None:
    with pytest.raises(click.ClickException) as refused, refusals():
        raise error
    assert (refused.value.exit_code, type(refused.value) is Misconfigured) == (exit_code, exit_code == 2)
    assert refused.value.format_message().startswith(sentence)


def test_a_bug_is_no_sentence() -> None:
    with pytest.raises(ZeroDivisionError), refusals():
        raise ZeroDivisionError
